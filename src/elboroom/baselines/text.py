"""What needs no network to store a text: counting n-grams, gzip, xz; each as a code length of the same bytes.

The n-gram is interpolated Kneser-Ney with three discounts (Kneser & Ney 1995; Chen & Goodman 1999, section 2.7.3) on
bytes, so no symbol is unknown and its code length is exact:

    p(w | c) = (n(c w) - D(n(c w))) / n(c) + g(c) p(w | c without its first byte)

n: how often a gram was met in the longest order, and after how many different bytes in the shorter ones; g(c): the
mass the discounts took. An n-gram of 1 is the frequency of single bytes. Compressors are given the training text
first: what the held-out text adds to its length is the fair price beside a model that has learnt from that text.
"""

from __future__ import annotations

import lzma
import math
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LONGEST", "NGram", "Stored", "gzip_size", "order_for", "stored", "xz_size"]

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
LONGEST = 8
"""Bytes of a gram that fit one machine word."""
SYMBOLS = 256


@dataclass(frozen=True)
class _Order:
    """The grams of one length: sorted, with the probability of their last byte; and their contexts."""

    grams: Array
    mass: Array
    """(n - D(n)) / n(context) of each gram."""
    contexts: Array
    left: Array
    """g of each context."""


class NGram:
    """Counts of up to `order` bytes. `fit` once, then `nats` of any text."""

    def __init__(self, order: int) -> None:
        if not 1 <= order <= LONGEST:
            raise ValueError(f"an n-gram of {order} bytes; 1 to {LONGEST} can be counted")
        self.order = order
        self.orders: list[_Order] = []
        """From 1 to `order`."""

    def fit(self, text: Bytes) -> NGram:
        """Count the grams of a text."""
        grams, counts = np.unique(_grams(text, self.order), return_counts=True)
        self.orders = [_smoothed(grams, counts)]
        for length in range(self.order - 1, 0, -1):
            # each different longer gram counts once: after how many bytes was this one met?
            grams, counts = np.unique(grams & _mask(length), return_counts=True)
            self.orders.insert(0, _smoothed(grams, counts))
        return self

    def nats(self, text: Bytes) -> NDArray[np.float64]:
        """(n,): -log p of each byte given those before it."""
        whole = _grams(text, self.order)
        p = np.full(len(text), 1 / SYMBOLS)
        for length, order in enumerate(self.orders, 1):
            gram = whole & _mask(length)
            at, known = _found(order.contexts, gram >> np.uint64(8))
            left = np.where(known, order.left[at], 1.0)
            at, known = _found(order.grams, gram)
            p = np.where(known, order.mass[at], 0.0) + left * p
        nats: NDArray[np.float64] = -np.log(p)
        return nats


def _mask(length: int) -> np.uint64:
    return np.uint64((1 << 8 * length) - 1)


def _grams(text: Bytes, length: int) -> Array:
    """(n,) uint64: at each place the last `length` bytes, the newest lowest; zeros stand before the text."""
    grams = np.zeros(len(text), dtype=np.uint64)
    for back in range(min(length, len(text))):
        grams[back:] |= text[: len(text) - back].astype(np.uint64) << np.uint64(8 * back)
    return grams


def _smoothed(grams: Array, counts: Array) -> _Order:
    contexts, first = np.unique(grams >> np.uint64(8), return_index=True)
    totals = np.add.reduceat(counts, first)
    taken = _discounts(counts)[np.minimum(counts, 3)]
    sizes = np.diff(np.append(first, len(grams)))
    mass = (counts - taken) / np.repeat(totals, sizes)
    return _Order(grams, mass, contexts, np.add.reduceat(taken, first) / totals)


def _discounts(counts: Array) -> Array:
    """D of a count of 0, 1, 2, 3 and more (Chen & Goodman 1999, equation 17); one half where grams are too few."""
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].astype(np.float64)
    if not n.all():
        return np.array([0.0, 0.5, 0.5, 0.5])
    y = n[0] / (n[0] + 2 * n[1])
    found = [k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3)]
    return np.array([0.0, *(min(max(d, 0.01), k - 0.01) for k, d in enumerate(found, 1))])


def _found(table: Array, wanted: Array) -> tuple[Array, Array]:
    """(place in a sorted table, whether it is there)."""
    at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return at, table[at] == wanted


def order_for(text: Bytes, letters: int = 5) -> int:
    """Bytes that hold about `letters` characters of this text, as many as can be counted."""
    starts = int(np.count_nonzero((text & 0xC0) != 0x80))  # in UTF-8 every other byte continues a character
    return min(LONGEST, round(letters * len(text) / max(1, starts)))


def gzip_size(data: bytes) -> int:
    """Bytes of `gzip -9`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return len(packer.compress(data) + packer.flush())


def xz_size(data: bytes) -> int:
    """Bytes of `xz -9e` with a dictionary that holds all of the data."""
    size = 1 << max(12, math.ceil(math.log2(max(1, len(data)))))
    rule = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": size}
    return len(lzma.compress(data, format=lzma.FORMAT_XZ, filters=[rule]))


@dataclass(frozen=True)
class Stored:
    """One way to store the held-out text without a network, and what was counted or packed before it."""

    name: str
    bits: NDArray[np.float64] | float
    """Of each byte; one number for all of them where only the whole has a length."""
    how: str


def stored(held: Bytes, train: Bytes) -> list[Stored]:
    """The held-out text by each of them, the simplest first; those that learn only where there is a training text."""
    found = []
    if len(train):
        counted = train[-COUNTED:]
        order, on = order_for(counted), _amount(len(counted), len(train))
        for size, name in ((1, "byte frequencies"), (order, f"{order}-gram")):
            told = f"interpolated Kneser-Ney on bytes, counted in {on}" if size > 1 else f"counted in {on}"
            found.append(Stored(name, NGram(size).fit(counted).nats(held) / math.log(2), told))
    return found + _packed(held.tobytes(), train)


def _packed(held: bytes, train: Bytes) -> list[Stored]:
    """Compressors, after the training text and alone: all runs side by side, for zlib and lzma let threads run."""
    contexts = {name: train[-most:].tobytes() if len(train) else b"" for name, (_, most) in COMPRESSORS.items()}
    jobs = {
        (name, kind): (size, data)
        for name, (size, _) in reversed(COMPRESSORS.items())  # the slow one first
        for kind, data in (("both", contexts[name] + held), ("before", contexts[name]), ("alone", held))
        if data
    }
    with ThreadPoolExecutor(2) as pool:
        sizes = dict(zip(jobs, pool.map(lambda job: job[0](job[1]), jobs.values()), strict=True))
    after = [
        Stored(
            name,
            8.0 * (sizes[name, "both"] - sizes[name, "before"]),
            f"what the held-out text adds after {_amount(len(contexts[name]), len(train))}",
        )
        for name in COMPRESSORS
        if contexts[name]
    ]
    alone = [Stored(f"{name} alone", 8.0 * sizes[name, "alone"], "the held-out text by itself") for name in COMPRESSORS]
    return after + alone


def _amount(used: int, there: int) -> str:
    return f"the {there:,} bytes of training text" if used == there else f"the last {used:,} bytes of training text"


COMPRESSORS = {"gzip": (gzip_size, 1 << 20), "xz": (xz_size, 1 << 21)}
"""How each packs, and the training text it is given at most: gzip forgets after 32 kB, xz takes a second a MB."""
COUNTED = 1 << 23
"""Bytes of training text that are counted at most: half a second."""
