"""How well a model predicts text it has not seen: nats per token, perplexity, bits per byte, and how sure of each.

The one idea: a loss per token depends on what a token is, a code length does not,

    bits per byte = nats / (ln 2 * bytes),

so only that compares models of different tokenisers, and models with gzip. What was surprising is surprising together
(a name, a scene, a page of tables), so neighbouring tokens are no sample: the text is cut into blocks of equally many
bytes, and the blocks are (Carlstein 1986; Künsch 1989; studentised: Götze & Künsch 1996).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .interval import Interval, ratio_interval

__all__ = [
    "BLOCKS",
    "Blocks",
    "bits_per_byte",
    "blocks_of",
    "bytes_of",
    "context_bins",
    "perplexity",
]

Array = NDArray[Any]
BLOCKS = 64
"""Enough of them for a bootstrap, and each long beside what binds neighbouring tokens."""
SHORTEST = 128
"""Bytes of a block at least; a short text has fewer blocks."""
CHUNK = 1 << 20


def bits_per_byte(nats: ArrayLike, count: ArrayLike) -> NDArray[np.float64]:
    """Nats of some text to bits for each of its bytes."""
    bits: NDArray[np.float64] = np.asarray(nats, dtype=np.float64) / (math.log(2) * np.asarray(count))
    return bits


def perplexity(loss_nats: Interval) -> Interval:
    """exp of the mean loss of a token: among how many equally likely tokens it would be as unsure."""
    value, low, high = (math.exp(min(x, 700.0)) for x in (loss_nats.value, loss_nats.low, loss_nats.high))
    return Interval(value, low, high, loss_nats.how)


def blocks_of(size: int) -> int:
    """Into how many blocks a text of `size` bytes is cut. It does not depend on the tokens, so models can be paired."""
    return max(1, min(BLOCKS, size // SHORTEST))


def bytes_of(tokens: Array, pieces: Sequence[bytes], *, end: bytes = b"\x00") -> NDArray[np.uint8]:
    """The bytes of a text from its tokens; a token of no bytes, which ends a document, becomes `end`."""
    table = [piece or end for piece in pieces]
    lengths = np.array([len(piece) for piece in table], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    letters = np.frombuffer(b"".join(table), dtype=np.uint8)
    if (lengths == 1).all():
        return letters[tokens]
    found = [np.zeros(0, dtype=np.uint8)]
    for some in (tokens[i : i + CHUNK] for i in range(0, len(tokens), CHUNK)):
        size = lengths[some]
        # place in the table = where the token's piece begins + how far into the piece
        shift = starts[some] - (np.cumsum(size) - size)
        found.append(letters[np.repeat(shift, size) + np.arange(int(size.sum()))])
    return np.concatenate(found)


def context_bins(window: int) -> list[tuple[int, int]]:
    """Numbers of tokens seen before, in groups that double: (1, 1), (2, 2), (3, 4), (5, 8) ... up to the window."""
    bins, first = [], 1
    while first <= window:
        last = min(window, max(1, 2 * (first - 1)))
        bins.append((first, last))
        first = last + 1
    return bins


@dataclass(frozen=True)
class Blocks:
    """What was found in each block of a text; a token belongs to the block in which it begins."""

    nats: NDArray[np.float64]
    size: NDArray[np.float64]
    """Bytes."""
    tokens: NDArray[np.float64]
    right: NDArray[np.float64]
    """Tokens that were the likeliest ones."""

    @classmethod
    def of(cls, block: Array, nats: Array, size: Array, right: Array, count: int) -> Blocks:
        """From per-token arrays: the number of the token's block, its nats, its bytes, whether it was the likeliest."""
        sums = (np.bincount(block, weights=w, minlength=count) for w in (nats, size, np.ones(len(block)), right))
        return cls(*(each.astype(np.float64) for each in sums))

    def _over(self, totals: Array, counts: Array, seed: int) -> Interval:
        there = counts > 0
        found = ratio_interval(totals[there], counts[there], seed=seed)
        n = int(there.sum())
        if n == 1:
            return replace(found, how="one block of text, no interval")
        return replace(found, how=f"{n} blocks of {round(float(self.size.sum()) / n):,} bytes")

    def loss(self, seed: int = 0) -> Interval:
        """Nats per token."""
        return self._over(self.nats, self.tokens, seed)

    def bits(self, seed: int = 0) -> Interval:
        """Bits per byte."""
        return self._over(self.nats / math.log(2), self.size, seed)

    def accuracy(self, seed: int = 0) -> Interval:
        """Share of tokens that were the likeliest ones."""
        return self._over(self.right, self.tokens, seed).within(0, 1)

    def beside(self, bits: Array, seed: int = 0) -> Interval:
        """Bits per byte of something else, given its bits in each of these blocks."""
        return self._over(bits, self.size, seed)
