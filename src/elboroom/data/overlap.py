"""How much of a held-out text stands word for word in the training text: such passages flatter every measure.

Shingles (Broder 1997, "On the resemblance and containment of documents") of 50 characters are taken from the held-out
text step by step, at most 20,000 of them, and looked for at every place of the training text by a polynomial hash
modulo 2^64, which is built by doubling: the hash of 2k characters is that of the first k times B^k plus that of the
next k. Time is that of about ten passes over the training text, of which at most 32 million characters are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from .content import Array

__all__ = ["copied_share"]

LENGTH = 50
MOST = 20_000
LOOKED_AT = 32_000_000
BLOCK = 2**20
VARIED = 12
"""Different characters that a shingle must have: lines of dashes and blank space are no copies."""
BASE = np.array([0x9E3779B97F4A7C15], np.uint64)
FILTER_BITS = 22


def copied_share(train: Iterable[str], held: Iterable[str]) -> float:
    """The share of the held-out text in passages of 50 characters or more that the training text has too, in 0..1."""
    shingles = _sampled(list(held))
    if not shingles:
        return 0.0
    wanted = np.array([_hashes(_points(s))[0] for s in shingles])
    order = np.unique(wanted)
    seen = np.zeros(len(order), bool)
    # most hashes of the training text fail this look-up in a small table and are never searched for
    likely = np.zeros(2**FILTER_BITS, bool)
    shift = np.uint64(64 - FILTER_BITS)
    likely[order >> shift] = True
    for block in _blocks(train):
        found = _hashes(_points(block))
        found = found[likely[found >> shift]]
        place = np.searchsorted(order, found).clip(max=len(order) - 1)
        seen[place[order[place] == found]] = True
    return float(seen[np.searchsorted(order, wanted)].mean())


def _sampled(texts: list[str]) -> list[str]:
    """Shingles at equal steps, at least half a shingle apart."""
    step = max(LENGTH // 2, -(-sum(map(len, texts)) // MOST))
    cut = (text[at : at + LENGTH] for text in texts for at in range(0, len(text) - LENGTH + 1, step))
    return [shingle for shingle in cut if len(set(shingle)) >= VARIED]


def _blocks(texts: Iterable[str]) -> Iterator[str]:
    """The texts in blocks that overlap by one character less than a shingle, up to LOOKED_AT characters of all."""
    left = LOOKED_AT
    for text in texts:
        for at in range(0, min(len(text), left) - LENGTH + 1, BLOCK):
            yield text[at : at + BLOCK + LENGTH - 1]
        left -= len(text)
        if left <= 0:
            return


def _points(text: str) -> NDArray[np.uint64]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)


def _hashes(points: NDArray[np.uint64]) -> Array:
    """The hash of the LENGTH characters from each place on."""
    total: Array | None = None
    taken, length, doubled, power = 0, 1, points + np.uint64(1), BASE  # arrays wrap around without a warning
    while True:
        if LENGTH & length:  # 50 = 2 + 16 + 32: the parts are set side by side
            rest = doubled[taken:]
            total = rest if total is None else total[: len(rest)] * power + rest
            taken += length
        if taken == LENGTH:
            return total[: len(points) - LENGTH + 1]  # type: ignore[index]
        doubled = doubled[:-length] * power + doubled[length:]
        length, power = 2 * length, power * power
