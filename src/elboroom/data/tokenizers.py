"""Tokenizers: from text to whole numbers and back, without a loss.

Every token stands for a fixed string of bytes and the bytes of a text's tokens, one after the other, are the text in
UTF-8. So losses per token of any tokenizer become bits per byte, and a stream of tokens can be shown as it comes. Only
`end`, which stands between documents, has no bytes; no text contains it, whatever is written in the text.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elboroom.core.errors import InputError, nearest

__all__ = [
    "SURROGATES",
    "Byte",
    "Char",
    "Ids",
    "Tokenizer",
    "check_name",
    "refuse_unknown",
    "surrogates",
    "tokenizer_from_json",
]

Ids = NDArray[np.int64]
NAMES = ("auto", "char", "byte")
BPE_SIZES = (256, 1_000_000)
PIECE = 2**20
"""Characters that are encoded at a time, so that a long text needs little memory beside its tokens."""
SURROGATES = re.compile("[\ud800-\udfff]")
SHOWN = 8


class Tokenizer(ABC):
    """Text in, ids 0 .. size-1 out."""

    def __init__(self, name: str, table: Sequence[bytes], end: int | None) -> None:
        self.name = name
        """char, byte or bpe:SIZE."""
        self.size = len(table)
        self.end = end
        """The id of the end-of-text token; None where there is none."""
        self.byte_lengths: Ids = np.array([len(token) for token in table], np.int64)
        """(size,): bytes of UTF-8 that each token stands for; 0 for `end`."""
        self._table = list(table)

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """(n,) ids. Raises InputError that lists the characters there is no token for."""

    @abstractmethod
    def unknown(self, text: str) -> dict[str, int]:
        """Characters that have no token, and how often each stands in the text."""

    @abstractmethod
    def cut(self, text: str, near: int) -> int:
        """A place at `near` or soon after it where the text can be cut and its tokens stay the same."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """What `tokenizer_from_json` needs, in plain JSON types."""

    def token_bytes(self, i: int) -> bytes:
        """The bytes that token `i` stands for; b"" for `end`."""
        if not 0 <= i < self.size:
            raise InputError(f"token {i}: the tokenizer {self.name} has tokens 0 to {self.size - 1}")
        return self._table[i]

    def decode(self, ids: Sequence[int] | NDArray[Any]) -> str:
        """The text of some tokens; bytes that are no UTF-8, as of half a character, become U+FFFD."""
        return b"".join(self.token_bytes(int(i)) for i in ids).decode("utf-8", "replace")

    def pieces(self, text: str, size: int = PIECE) -> Iterator[str]:
        """The text in pieces of about `size` characters that can be encoded apart."""
        at = 0
        while len(text) - at > size:
            to = self.cut(text, at + size)
            yield text[at:to]
            at = to
        yield text[at:] if at else text


class Char(Tokenizer):
    """One token a character, in the order of code points; `end` comes last."""

    def __init__(self, characters: str, *, end: bool) -> None:
        if not characters or list(characters) != sorted(set(characters)):
            raise InputError("the characters of a tokenizer must be sorted, each once, and at least one")
        self.characters = characters
        table = [c.encode() for c in characters]
        super().__init__("char", [*table, b""] if end else table, len(table) if end else None)
        points = _code_points(characters)
        self._id = np.full(int(points[-1]) + 2, -1, np.int64)  # its last place stands for every code point beyond
        self._id[points] = np.arange(len(points))

    @classmethod
    def of(cls, texts: Iterator[str], *, end: bool) -> Char:
        """The characters of some texts."""
        return cls("".join(sorted(set[str]().union(*map(set, texts)))), end=end)

    def encode(self, text: str) -> Ids:
        ids: Ids = self._id[np.minimum(_code_points(text), len(self._id) - 1)]
        if (ids < 0).any():
            refuse_unknown(self, self.unknown(text))
        return ids

    def unknown(self, text: str) -> dict[str, int]:
        return {c: text.count(c) for c in sorted(set(text) - set(self.characters))}

    def cut(self, text: str, near: int) -> int:
        return near

    def to_json(self) -> dict[str, Any]:
        return {"kind": "char", "characters": self.characters, "end": self.end is not None}


class Byte(Tokenizer):
    """One token a byte of UTF-8: any text in any language, 256 tokens, and `end` as the 257th."""

    def __init__(self, *, end: bool) -> None:
        table = [bytes([i]) for i in range(256)]
        super().__init__("byte", [*table, b""] if end else table, 256 if end else None)

    def encode(self, text: str) -> Ids:
        try:
            return np.frombuffer(text.encode(), np.uint8).astype(np.int64)
        except UnicodeEncodeError:
            refuse_unknown(self, self.unknown(text))
            raise

    def unknown(self, text: str) -> dict[str, int]:
        return surrogates(text)

    def cut(self, text: str, near: int) -> int:
        return near

    def to_json(self) -> dict[str, Any]:
        return {"kind": "byte", "end": self.end is not None}


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def surrogates(text: str) -> dict[str, int]:
    """Lone halves of surrogate pairs, which are no characters and have no UTF-8."""
    return {} if text.isascii() else dict(sorted(Counter(SURROGATES.findall(text)).items()))


def refuse_unknown(tokenizer: Tokenizer, found: Mapping[str, int], where: str = "") -> None:
    """Raise an InputError that lists these characters, the most frequent first; nothing where there are none."""
    if not found:
        return
    most = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(
        f"{repr(c) if c.isprintable() else f'U+{ord(c):04X}'} ({n:,} time{'s' * (n > 1)})" for c, n in most[:SHOWN]
    )
    more = f" and {len(most) - SHOWN:,} more" if len(most) > SHOWN else ""
    if all(SURROGATES.match(c) for c in found):
        fix = "these are halves of characters, not characters: repair the text"
    else:
        fix = "leave them out, or train with `--tokenizer byte`, which takes any text"
    said = f"{len(most):,} character{'s' * (len(most) > 1)} of the text"
    raise InputError(f"{where}the tokenizer {tokenizer.name} has no token for {said}: {shown}{more}; {fix}")


def check_name(name: str) -> None:
    """Refuse what is neither char, byte, bpe:V nor the path of a file or folder; before any data are read."""
    if not name or name in NAMES:
        return
    low, high = BPE_SIZES
    if name == "bpe" or name.startswith("bpe:"):
        size = name.partition(":")[2]
        if not (size.isascii() and size.isdecimal() and low <= int(size[:9]) <= high):
            raise InputError(f"--tokenizer {name}: give the size of the vocabulary, {low} to {high:,}, as in bpe:2000")
    elif not Path(name).expanduser().exists():
        raise InputError(
            f"--tokenizer {name}: there is no such file or folder{nearest(name, NAMES)}; "
            "give char, byte, bpe:V, or a tokenizer.json or a folder that holds one"
        )


def tokenizer_from_json(saved: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that `to_json` described."""
    try:
        if saved["kind"] == "char":
            return Char(saved["characters"], end=bool(saved["end"]))
        if saved["kind"] == "byte":
            return Byte(end=bool(saved["end"]))
        if saved["kind"] == "bpe":
            from .bpe import Bpe

            return Bpe.from_json(saved)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the tokenizer kept with the run is damaged: {error}") from error
    raise InputError(f"the run's tokenizer is of kind {saved['kind']!r}, which this version does not know")
