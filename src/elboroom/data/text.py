"""Text for a model: a corpus becomes windows of tokens; parts, tokenizer and window are chosen here, and told.

A single text, or a few, is cut into spans of characters; of ten documents or more whole ones are held out. Where there
are several, the tokenizer's `end` stands before the first, between them and after the last, so that a model learns how
a text begins and where it ends; within a document that was cut there is none.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Spec

from .bpe import load_bpe, train_bpe
from .content import Array
from .corpus import Corpus
from .fingerprint import text_fingerprint
from .overlap import copied_share
from .reading import Reading
from .splits import Piece, spans, split
from .storage import joined
from .tokenizers import Byte, Char, Ids, Tokenizer, refuse_unknown
from .transforms import Transform
from .windows import Windows

__all__ = ["TextTransform", "Tokens", "read_tokens", "read_tokens_like"]

WHOLE = 10
"""From so many documents on a tenth of them is at least one, and whole documents are held out."""
CHARACTERS = 256
"""Up to so many different characters each gets a token of its own, where the user names no tokenizer."""
WINDOW = 256
SHORTEST = 8
COPIED = 0.03
"""Above this share of copied passages the held-out text is no fair test."""

Pieces = dict[str, list[Piece]]


class TextTransform(Transform):
    """x = the tokens as int64, (rows, n + 1); between them and text stands `tokenizer`."""

    scale = "tokens"

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, raw: dict[str, Tensor]) -> Batch:
        return Batch(raw["x"].to(torch.int64))

    def undo(self, x: Tensor) -> Tensor:
        return x

    def to_json(self) -> dict[str, Any]:
        return {"kind": "text", "tokenizer": self.tokenizer.to_json()}


@dataclass
class Tokens:
    """What a Dataset of text is made of."""

    parts: dict[str, Windows]
    tokenizer: Tokenizer
    spec: Spec
    reading: Reading
    fingerprint: str
    problems: list[str]
    split_how: str
    counts: dict[str, Any]
    """documents, characters, bytes and tokens, of the whole and, under "parts", of each part."""


def read_tokens(corpus: Corpus, reading: Reading, *, seed: int, tokenizer: Tokenizer | None = None) -> Tokens:
    """Split, tokenize and cut. `tokenizer` is that of an existing run, taken as it is in place of a new one."""
    pieces, how = _parts(corpus, reading.split, seed)
    if tokenizer is None:
        tokenizer, said = _chosen(reading.tokenizer, corpus, pieces)
    elif reading.tokenizer in ("", "auto", tokenizer.name):
        said = []
    else:
        raise InputError(
            f"--tokenizer {reading.tokenizer}: the run that this goes on from has the tokenizer {tokenizer.name}; "
            "leave the flag out"
        )
    _refuse_unknown(tokenizer, corpus)
    problems = [*corpus.problems, *said, *_unended(corpus, tokenizer)]
    tokens, counts = _encoded(corpus, pieces, tokenizer)
    window, said = _window(reading.window, tokens, corpus.where)
    parts, start = {}, 0
    for part, array in tokens.items():
        parts[part] = Windows(array, min(window, len(array) - 1), start=start)
        start += len(array)
    problems += [*said, *_copied(corpus, pieces)]
    return Tokens(
        parts=parts,
        tokenizer=tokenizer,
        spec=Spec(kind="text", shape=(window,), scale="tokens", levels=tokenizer.size),
        reading=dataclasses.replace(reading, kind="text", scale="tokens", tokenizer=tokenizer.name, window=window),
        fingerprint=text_fingerprint(corpus.documents, tokenizer.to_json()),
        problems=problems,
        split_how=how,
        counts=counts,
    )


def read_tokens_like(corpus: Corpus, reading: Reading, spec: Spec, tokenizer: Tokenizer) -> Tokens:
    """All of a new text as the part "all", with the tokenizer and the window of an existing run."""
    _refuse_unknown(tokenizer, corpus)
    pieces = {"all": [(i, 0, len(document)) for i, document in enumerate(corpus.documents)]}
    tokens, counts = _encoded(corpus, pieces, tokenizer)
    _measurable(corpus.where, "all", tokens["all"])
    return Tokens(
        parts={"all": Windows(tokens["all"], min(spec.shape[0], len(tokens["all"]) - 1))},
        tokenizer=tokenizer,
        spec=spec,
        reading=reading,
        fingerprint=text_fingerprint(corpus.documents, tokenizer.to_json()),
        problems=[*corpus.problems, *_unended(corpus, tokenizer)],
        split_how="the whole text in its order",
        counts=counts,
    )


def _parts(corpus: Corpus, asked: tuple[float, ...] | None, seed: int) -> tuple[Pieces, str]:
    """Which pieces of which documents make each part."""
    lengths = [len(document) for document in corpus.documents]
    if len(corpus) < WHOLE:
        return spans(lengths, asked)
    chosen, how = split(len(corpus), asked, seed=seed, row="document")
    parts = {part: [(int(i), 0, lengths[i]) for i in rows] for part, rows in chosen.items()}
    return parts, f"whole documents {how}"


def _texts(corpus: Corpus, pieces: list[Piece]) -> Iterator[str]:
    for i, start, stop in pieces:
        yield corpus.documents[i][start:stop]


def _chosen(name: str, corpus: Corpus, pieces: Pieces) -> tuple[Tokenizer, list[str]]:
    """The tokenizer asked for, learnt from the training part; or the one that suits it, and why."""
    end, train = len(corpus) > 1, pieces["train"]
    if name in ("", "auto"):
        return _auto(corpus, pieces, end)
    if name == "char":
        return Char.of(_texts(corpus, train), end=end), []
    if name == "byte":
        return Byte(end=end), []
    if not name.startswith("bpe:"):
        return load_bpe(Path(name).expanduser(), end=end), []
    size = int(name.removeprefix("bpe:"))
    rough = Byte(end=False)
    learnt = train_bpe((part for text in _texts(corpus, train) for part in rough.pieces(text)), size, end=end)
    said = f"--tokenizer {name}: no pair of tokens comes twice any more after {learnt.size:,}"
    return learnt, [said] if learnt.size < size else []


def _auto(corpus: Corpus, pieces: Pieces, end: bool) -> tuple[Tokenizer, list[str]]:
    """Characters where they are few and all of them are in the training part, else bytes."""
    known = set[str]().union(*map(set, _texts(corpus, pieces["train"])))
    other = set[str]()
    for part in pieces:
        other |= set[str]().union(*map(set, _texts(corpus, pieces[part])))
    lacking = sorted(other - known)
    if len(known) > CHARACTERS:
        return Byte(end=end), [f"tokenizer byte: {len(known):,} different characters, more than {CHARACTERS}"]
    if lacking:
        shown = ", ".join(map(repr, lacking[:5])) + (", ..." if len(lacking) > 5 else "")
        return Byte(end=end), [f"tokenizer byte: the held-out text has characters that training never sees ({shown})"]
    said = f"tokenizer char: {len(known)} different characters; `--tokenizer byte` takes any text, bpe:V is shorter"
    return Char("".join(sorted(known)), end=end), [said]


def _refuse_unknown(tokenizer: Tokenizer, corpus: Corpus) -> None:
    found: Counter[str] = Counter()
    for document in corpus.documents:
        found.update(tokenizer.unknown(document))
    refuse_unknown(tokenizer, found, f"{corpus.where}: ")


def _unended(corpus: Corpus, tokenizer: Tokenizer) -> list[str]:
    if len(corpus) > 1 and tokenizer.end is None:
        return [f"the run's tokenizer has no end-of-text token: {len(corpus):,} documents follow each other without"]
    return []


def _encoded(corpus: Corpus, pieces: Pieces, tokenizer: Tokenizer) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tokens of each part in their smallest type, and how many of everything there are."""
    dtype = next(t for t in (np.uint8, np.int16, np.int32) if tokenizer.size - 1 <= np.iinfo(t).max)
    tokens, counts = {}, {}
    for part, chosen in pieces.items():
        tokens[part] = joined(_ids(corpus, chosen, tokenizer), dtype, corpus.where)
        counts[part] = {
            "documents": len(chosen),
            "characters": sum(stop - start for _, start, stop in chosen),
            "bytes": sum(len(text) if text.isascii() else len(text.encode()) for text in _texts(corpus, chosen)),
            "tokens": len(tokens[part]),
        }
    total = {key: sum(count[key] for count in counts.values()) for key in ("characters", "bytes", "tokens")}
    return tokens, {"documents": len(corpus), **total, "parts": counts}


def _ids(corpus: Corpus, pieces: list[Piece], tokenizer: Tokenizer) -> Iterator[Ids]:
    """The tokens of one part, a stretch at a time."""
    border = np.array([] if tokenizer.end is None or len(corpus) == 1 else [tokenizer.end], np.int64)
    for place, (i, start, stop) in enumerate(pieces):
        document = corpus.documents[i]
        if place == 0 and start == 0:
            yield border
        for piece in tokenizer.pieces(document[start:stop]):
            yield tokenizer.encode(piece)
        if stop == len(document):
            yield border


def _window(asked: int, tokens: dict[str, Array], where: str) -> tuple[int, list[str]]:
    """The window asked for; else the usual one, or a shorter one that fits into every part."""
    shortest = min(tokens, key=lambda part: len(tokens[part]))
    said = []
    window = asked or max(SHORTEST, min(WINDOW, len(tokens[shortest]) - 1))
    if not asked and window < WINDOW:
        said.append(f"window {window}: the {shortest} part has only {len(tokens[shortest]):,} tokens")
    if len(tokens["train"]) <= window:
        wanted = f"--window {asked}: takes" if asked else f"{where}: is too short: a window of {window} takes"
        raise InputError(
            f"{wanted} {window + 1:,} tokens and the training part has {len(tokens['train']):,}; give more text"
            + (" or a smaller window" if asked else ", or `--split 1,0,0` to train on all of it")
        )
    for part, array in tokens.items():
        _measurable(where, part, array)
        if asked and len(array) <= window:
            said.append(f"the {part} part has only {len(array):,} tokens: it is read with a window of {len(array) - 1}")
    return window, said


def _measurable(where: str, part: str, tokens: Array) -> None:
    if len(tokens) < 2:
        raise InputError(
            f"{where}: the {part} part has {len(tokens)} token{'s' * (len(tokens) != 1)}, so there is none to predict; "
            "give more text or another --split"
        )


def _copied(corpus: Corpus, pieces: Pieces) -> list[str]:
    held = (text for part in pieces if part != "train" for text in _texts(corpus, pieces[part]))
    share = copied_share(_texts(corpus, pieces["train"]), held)
    if share <= COPIED:
        return []
    said = f"{share:.0%} of the held-out text stands word for word in the training part, in passages of 50 characters"
    return [f"{said} or more: measures will flatter the model"]
