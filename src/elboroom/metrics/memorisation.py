"""Whether a model's text is its own: how much of it stands word for word in the training text.

All text repeats some of what was written before ("on the other hand"), so each number stands beside the same number for
held-out text of equal length, which cannot have been copied (cf. Lee et al. 2022, Carlini et al. 2023, who count pieces
of 50 tokens). Matches are exact, byte by byte; nothing is hashed but to leave out places that cannot match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .interval import Interval, share_interval

__all__ = ["LEAST", "LONG", "SETS", "Copying", "copying", "equal_sets", "is_copied", "match_lengths"]

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]

LEAST = 8
"""Bytes: shorter matches are not looked for. They fill one machine word."""
LONG = 50
"""Characters of a piece that is hardly met twice by chance."""
SETS = 8
"""Sets of held-out text, each as long as the samples."""
LENGTHS = (8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
CHUNK = 1 << 22
TABLE_BITS = 22
SCATTER = np.uint64(0x9E3779B97F4A7C15)


def match_lengths(pieces: Sequence[Bytes], train: Bytes) -> Whole:
    """For each byte of the pieces, in order: the longest match that begins there, in bytes; 0 where under `LEAST`.

    A match lies inside its piece and anywhere in `train`. Places of both texts that agree in their first bytes share a
    number; each round one more byte is looked at and places that no longer agree with any of the other text drop out.
    """
    text = np.concatenate([*pieces, np.zeros(0, np.uint8)])
    lengths = np.zeros(len(text), dtype=np.int64)
    ends = np.repeat(np.cumsum([len(p) for p in pieces], dtype=np.int64), [len(p) for p in pieces])
    here = np.flatnonzero(np.arange(len(text)) + LEAST <= ends)
    if not len(here) or len(train) < LEAST:
        return lengths
    known, number = np.unique(_words(text)[here], return_inverse=True)
    there, name = _places(train, known)
    length = LEAST
    while True:
        met = np.zeros(len(known), dtype=bool)
        met[name] = True
        here, number = here[met[number]], number[met[number]]
        lengths[here] = length
        longer = here + length < ends[here]
        here, number = here[longer], number[longer]
        inside = there + length < len(train)
        there, name = there[inside], name[inside]
        if not len(here) or not len(there):
            return lengths
        known, number = np.unique(number * 256 + text[here + length], return_inverse=True)
        wanted = name * 256 + train[there + length]
        name = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        same = known[name] == wanted
        there, name = there[same], name[same]
        length += 1


def _words(text: Bytes) -> NDArray[np.uint64]:
    """At each place the eight bytes from there on, as one number."""
    words: NDArray[np.uint64] = sliding_window_view(text, LEAST).copy().view(np.uint64)[:, 0]
    return words


def _places(train: Bytes, known: NDArray[np.uint64]) -> tuple[Whole, Whole]:
    """(places of `train` whose eight bytes are among the sorted `known`, which of them)."""
    shift = np.uint64(64 - TABLE_BITS)
    maybe = np.zeros(1 << TABLE_BITS, dtype=bool)
    maybe[(known * SCATTER) >> shift] = True
    places, names = [], []
    for start in range(0, len(train) - LEAST + 1, CHUNK):
        words = _words(train[start : start + CHUNK + LEAST - 1])
        some = np.flatnonzero(maybe[(words * SCATTER) >> shift])
        at = np.minimum(np.searchsorted(known, words[some]), len(known) - 1)
        same = known[at] == words[some]
        places.append(some[same] + start)
        names.append(at[same])
    return np.concatenate(places).astype(np.int64), np.concatenate(names).astype(np.int64)


@dataclass(frozen=True)
class Copying:
    """How much of some text stands in another. Lengths are in characters."""

    longest: int
    where: tuple[int, int]
    """(piece, byte) at which the longest match begins."""
    span: str
    """The longest match itself."""
    long: Interval
    """Share of pieces of `LONG` characters that stand in the other text."""
    pieces: int
    """How many such pieces there are."""
    curve: list[tuple[int, float]] = field(default_factory=list)
    """(length, share of places whose match is at least so long)."""


def copying(pieces: Sequence[Bytes], lengths: Whole) -> Copying:
    """Sums up `match_lengths` of these pieces; texts of several bytes a character are counted in characters."""
    text = np.concatenate([*pieces, np.zeros(0, np.uint8)])
    starts = (text & 0xC0) != 0x80  # in UTF-8 every other byte continues a character
    wide = max(1.0, len(text) / max(1, int(starts.sum())))
    firsts = np.concatenate([[0], np.cumsum([len(p) for p in pieces], dtype=np.int64)])
    best = int(np.argmax(lengths)) if len(text) else 0
    found = text[best : best + int(lengths[best])].tobytes() if len(text) else b""
    span = found.decode("utf-8", errors="ignore")
    piece = max(0, min(int(np.searchsorted(firsts, best, side="right")), len(pieces)) - 1)
    size = round(LONG * wide)
    cut = [np.arange(a, b - size + 1, size) for a, b in pairwise(firsts)]
    places = np.concatenate([*cut, np.zeros(0, np.int64)]).astype(np.int64)
    at = lengths[starts]
    curve = []
    for n in (n for n in LENGTHS if n * wide >= LEAST):
        share = float(np.mean(at >= round(n * wide))) if len(at) else 0.0
        curve.append((n, share))
        if share == 0:
            break
    where = (piece, best - int(firsts[piece]))
    return Copying(len(span), where, span, share_interval(lengths[places] >= size), len(places), curve)


def equal_sets(pieces: Sequence[Bytes], unseen: Bytes, most: int = SETS) -> list[list[Bytes]]:
    """Sets of pieces of the unseen text, each set with the lengths of `pieces`, spread evenly, none overlapping.

    One shorter set where the unseen text is shorter than the pieces together.
    """
    sizes = [len(p) for p in pieces]
    total = sum(sizes)
    if not len(unseen) or not total:
        return []
    count = min(most, len(unseen) // total)
    sets = []
    for i in range(max(1, count)):
        at = i * (len(unseen) // max(1, count))
        ends = np.cumsum([at, *sizes])
        cut = [unseen[a:b] for a, b in pairwise(ends)]
        sets.append([piece for piece in cut if len(piece)])
    return sets


def is_copied(found: Copying, unseen: Sequence[Copying]) -> bool:
    """The rule of the warning: the longest match has `LONG` characters or more and is over half as long again as any in
    unseen text, or the share of long pieces is clear above that of unseen text."""
    longest = max((other.longest for other in unseen), default=0)
    share = max((other.long.value for other in unseen), default=0.0)
    return found.longest >= max(LONG, 1.5 * longest + 1) or found.long.low > share
