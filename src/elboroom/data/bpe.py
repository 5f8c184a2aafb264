"""Byte-pair encoding on bytes: frequent strings become one token, and nothing is ever unknown.

Sennrich, Haddow & Birch (2016), on the bytes of UTF-8 as in GPT-2 (Radford et al. 2019): a vocabulary begins with the
256 bytes and grows by joining, again and again, the pair of neighbours that is most frequent in the training text; no
pair reaches over the border of two words. Merges are learnt and applied by the `tokenizers` library; what a token
means is known here, so that decoding needs no library.

A vocabulary writes each byte as one printable character. Bytes that are printable in Latin-1 stand for themselves, the
others, in order, for the characters from U+0100 on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.core.errors import InputError

from .limits import named
from .tokenizers import BPE_SIZES, Ids, Tokenizer, refuse_unknown, surrogates

__all__ = ["Bpe", "load_bpe", "train_bpe"]

PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [b for b in range(256) if b not in PRINTABLE]
LETTER_OF = {**{b: chr(b) for b in PRINTABLE}, **{b: chr(0x100 + i) for i, b in enumerate(_OTHERS)}}
BYTE_OF = {letter: b for b, letter in LETTER_OF.items()}
SPLIT = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
"""How GPT-2 finds the borders of words: a word takes the space before it."""
ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|end|>")
"""Names of the end-of-text token in published tokenizers."""
BORDER = re.compile(r"(?<=\S)(?= [A-Za-z])|(?<=\S\n)(?=[A-Za-z])")
"""Where every known way to find words has a border: before " word", and after one line end."""
WAIT = 2**16
"""Characters that are searched for such a border; a text without one is cut anyway."""
KNOWN, KNOWN_LENGTH = 200_000, 64
"""Words whose tokens are remembered, and the longest of them in characters."""
LONGEST = 1000
"""Characters of the longest word that is learnt from; a line of a megabyte would take hours."""
LONG = re.compile(rf"\S{{{LONGEST + 1}}}|\s{{{LONGEST + 1}}}")
PARTS = re.compile(rf"\s?\S{{1,{LONGEST}}}|\s{{1,{LONGEST}}}")
JSON_BYTES = 64 * 2**20
PROBE = "Don't  stop\n\n\tna\u00efve \u65e5\u672c\u8a9e 1234 e\u0301 \x00\U0001f917 <|endoftext|> "


class Bpe(Tokenizer):
    """`vocabulary` by id in printable letters ("" where `special` says what an id is), `merges` in order."""

    def __init__(
        self,
        vocabulary: list[str],
        merges: list[str],
        *,
        special: Mapping[int, str] | None = None,
        end: int | None = None,
        split: Mapping[str, Any] = SPLIT,
        ignore_merges: bool = False,
    ) -> None:
        table = [bytes(BYTE_OF[letter] for letter in token) for token in vocabulary]
        lacking = sorted(set(range(256)) - {token[0] for token in table if len(token) == 1})
        if lacking:
            raise InputError(f"the vocabulary has no token for the byte {lacking[0]:#04x}: it is not on bytes")
        super().__init__(f"bpe:{len(table)}", table, end)
        self.vocabulary, self.merges, self.special = vocabulary, merges, dict(special or {})
        self.split, self.ignore_merges = dict(split), ignore_merges
        self._library: Any = None
        self._borders = True
        self._known: dict[str, list[int]] = {}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Bpe:
        """The inverse of `to_json`."""
        return cls(
            saved["vocabulary"].split("\n"),
            saved["merges"].split("\n") if saved["merges"] else [],
            special={int(i): name for i, name in saved["special"].items()},
            end=saved["end"],
            split=saved["split"],
            ignore_merges=saved["ignore_merges"],
        )

    def to_json(self) -> dict[str, Any]:
        # two long texts in place of two long lists: run.json stays short and quick to read
        return {
            "kind": "bpe",
            "vocabulary": "\n".join(self.vocabulary),
            "merges": "\n".join(self.merges),
            "special": {str(i): name for i, name in self.special.items()},
            "end": self.end,
            "split": self.split,
            "ignore_merges": self.ignore_merges,
        }

    def encode(self, text: str) -> Ids:
        refuse_unknown(self, self.unknown(text))
        if self._library is None:
            self._library = self._built()
            borders = {to for _, (_, to) in self._library.pre_tokenizer.pre_tokenize_str("ab cd, ef\ngh")}
            self._borders = borders >= {2, 6, 10}
        return np.concatenate([self._ids(piece) for piece in self.pieces(text)])

    def _ids(self, text: str) -> Ids:
        """Each different word is encoded once: a third of the time on prose whose words are known by then."""
        words = BORDER.split(text) if self._borders else [text]
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        found = self._library.encode_batch_fast(new, add_special_tokens=False)
        self._known.update(zip(new, (piece.ids for piece in found), strict=True))
        ids = np.fromiter(chain.from_iterable(map(self._known.__getitem__, words)), np.int64)
        for word in new:
            if len(word) > KNOWN_LENGTH or len(self._known) > KNOWN:
                del self._known[word]
        return ids

    def unknown(self, text: str) -> dict[str, int]:
        return surrogates(text)

    def cut(self, text: str, near: int) -> int:
        found = BORDER.search(text, near, near + WAIT)
        return found.start() if found else min(near + WAIT, len(text))

    def _built(self) -> Any:
        """The library's tokenizer. It is not told of special tokens, so it cannot find any in a text."""
        model = {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(self.vocabulary) if token},
            "merges": self.merges,
            "ignore_merges": self.ignore_merges,
        }
        try:
            return _library().Tokenizer.from_str(
                json.dumps({"version": "1.0", "model": model, "pre_tokenizer": self.split})
            )
        except InputError:
            raise
        except Exception as error:  # the library raises nothing more exact
            raise InputError(f"the tokenizer's merges cannot be read: {' '.join(str(error).split())[:200]}") from error


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise InputError(
            "a byte-pair tokenizer needs the package tokenizers: pip install 'elboroom[text]'; "
            "`--tokenizer char` and `--tokenizer byte` need nothing"
        ) from error
    return tokenizers


def train_bpe(texts: Iterable[str], size: int, *, end: bool) -> Bpe:
    """A vocabulary of `size` tokens, `end` among them, learnt from some texts; smaller where they give no more pairs,
    and never below the 256 bytes and `end`.

    The same texts give the same vocabulary, whatever the number of threads.
    """
    library = _library()
    learner = library.Tokenizer(library.models.BPE())
    learner.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = library.trainers.BpeTrainer(
        vocab_size=size - end,
        min_frequency=2,
        initial_alphabet=sorted(BYTE_OF),
        special_tokens=[],
        show_progress=False,
    )
    learner.train_from_iterator(_words_bounded(texts), trainer=trainer)
    model = json.loads(learner.to_str())["model"]
    vocabulary = [token for token, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    merges = [" ".join(pair) for pair in model["merges"]]
    return _with_end(vocabulary, merges, {}, SPLIT, False, end=end)


def _words_bounded(texts: Iterable[str]) -> Iterator[str]:
    """The texts with words above LONGEST cut."""
    for text in texts:
        if LONG.search(text) is None:
            yield text
        else:
            yield from PARTS.findall(text)


def _with_end(
    vocabulary: list[str],
    merges: list[str],
    special: dict[int, str],
    split: Mapping[str, Any],
    ignore_merges: bool,
    *,
    end: bool,
) -> Bpe:
    """The tokenizer with its own end-of-text token; where `end` asks for one and it has none, with one more."""
    known = next((i for name in ENDS for i, said in special.items() if said == name), None)
    if known is None and end:
        known = len(vocabulary)
        vocabulary, special = [*vocabulary, ""], {**special, known: ENDS[0]}
    return Bpe(vocabulary, merges, special=special, end=known, split=split, ignore_merges=ignore_merges)


def load_bpe(path: Path, *, end: bool) -> Bpe:
    """From tokenizer.json, or from vocab.json with merges.txt beside it; or the folder that holds them.

    Only tokenizers on bytes that keep every byte are taken. `end` asks for an end-of-text token, added where there is
    none. A normaliser NFC is left out: text is encoded as it is written.
    """
    file = path
    if path.is_dir():
        file = next((path / n for n in ("tokenizer.json", "vocab.json") if (path / n).is_file()), path)
        if file == path:
            raise InputError(f"{path}: holds neither tokenizer.json nor vocab.json with merges.txt")
    try:
        found = _read_json(file)
        made = _whole(found, file, end) if "model" in found else _halves(found, file, end)
        probe = made.decode(made.encode(PROBE))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error
        raise InputError(f"{file}: is no byte-pair tokenizer that can be read: {error}") from error
    if probe != PROBE:
        raise InputError(f"{file}: its tokens do not give the text back; only tokenizers that keep every byte serve")
    return made


def _read_json(file: Path) -> Any:
    with named(file, ValueError, RecursionError):
        if file.stat().st_size > JSON_BYTES:
            raise InputError(f"{file}: {file.stat().st_size:,} bytes are more than a vocabulary ever holds")
        return json.loads(file.read_bytes())


def _whole(found: Mapping[str, Any], file: Path, end: bool) -> Bpe:
    """From what a tokenizer.json holds."""
    model, split, changes = found["model"], found.get("pre_tokenizer"), found.get("normalizer")
    if model.get("type", "BPE") != "BPE" or "ByteLevel" not in json.dumps(split):
        raise InputError("is no byte-pair tokenizer on bytes (as that of GPT-2); give another, or use bpe:V to train")
    if changes is not None and changes.get("type") != "NFC":
        raise InputError(f"changes the text before it is encoded ({changes.get('type')}): its bytes could not be had")
    added = {int(token["id"]): token for token in found.get("added_tokens") or []}
    special = {i: str(token["content"]) for i, token in added.items()}
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    vocabulary = _by_id({t: i for t, i in model["vocab"].items() if i not in special}, special)
    return _with_end(vocabulary, merges, special, _bare(split), bool(model.get("ignore_merges")), end=end)


def _halves(found: Mapping[str, int], file: Path, end: bool) -> Bpe:
    """From what a vocab.json holds and the merges.txt beside it."""
    other = file.with_name("merges.txt")
    if not other.is_file():
        raise InputError(f"has no merges.txt beside it in {file.parent}")
    with named(other, UnicodeDecodeError):
        lines = other.read_text(encoding="utf-8").splitlines()
    merges = [line for line in lines if line.strip() and not line.startswith("#version")]
    special = {i: token for token, i in found.items() if token in ENDS}
    vocabulary = _by_id({t: i for t, i in found.items() if i not in special}, special)
    return _with_end(vocabulary, merges, special, SPLIT, False, end=end)


def _by_id(ids: Mapping[str, int], special: Mapping[int, str]) -> list[str]:
    """Tokens in the order of their ids; "" in the places of special tokens and of those that do not exist."""
    size = max([*ids.values(), *special]) + 1
    if size > min(2 * (len(ids) + len(special)) + 1000, BPE_SIZES[1]) or min([*ids.values(), *special]) < 0:
        raise InputError(f"its ids reach from {min(ids.values())} to {size - 1} for {len(ids):,} tokens")
    out = [""] * size
    for token, i in ids.items():
        if out[i]:
            raise InputError(f"gives the id {i} to {out[i]!r} and to {token!r}")
        if not set(token) <= BYTE_OF.keys():
            raise InputError(f"its token {token!r} is not written in bytes")
        out[i] = token
    return out


def _bare(split: Any) -> Any:
    """The same way to find words without a space put before the text."""
    if isinstance(split, list):
        return [_bare(part) for part in split]
    if isinstance(split, dict):
        return {k: False if k == "add_prefix_space" else _bare(v) for k, v in split.items()}
    return split
