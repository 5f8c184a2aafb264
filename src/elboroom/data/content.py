"""What a reader found in an input, before it is split and scaled: one type for every format.

Raw values are kept in the smallest type that holds them; a missing number is NaN, and only floating arrays have any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elboroom.core.errors import InputError
from elboroom.core.spec import Column

__all__ = ["Array", "Content", "Csr", "blocks", "smallest"]

Array = NDArray[Any]
BLOCK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Csr:
    """A sparse table by rows: row i holds data[indptr[i]:indptr[i+1]] in columns indices[...]; the rest is 0."""

    data: Array
    indices: Array
    indptr: Array
    shape: tuple[int, int]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    @property
    def nbytes(self) -> int:
        return self.data.nbytes + self.indices.nbytes + self.indptr.nbytes

    def take(self, rows: Array) -> Csr:
        """The given rows, in the given order."""
        length = (self.indptr[1:] - self.indptr[:-1])[rows]
        indptr = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        at = np.repeat(self.indptr[:-1][rows] - indptr[:-1], length) + np.arange(indptr[-1])
        return Csr(self.data[at], self.indices[at], indptr, (len(rows), self.shape[1]))

    def dense(self) -> Array:
        """(rows, columns) as one array."""
        out = np.zeros(self.shape, self.data.dtype)
        out[np.repeat(np.arange(self.shape[0]), np.diff(self.indptr)), self.indices] = self.data
        return out


@dataclass
class Content:
    """One input as read. Arrays run over the input's rows, in its order."""

    kind: Literal["images", "table"]
    x: Array | Csr
    """images: (n, channels, height, width); table: (n, columns)."""
    columns: tuple[Column, ...] = ()
    named: bool = True
    """False where the columns have no names of their own and are matched by position."""
    white: float = 255.0
    """Images: the raw value of a white pixel; black is 0."""
    masked: bool = False
    """Whether any cell is missing."""
    label: Array | None = None
    """(n,) int64."""
    classes: tuple[str, ...] = ()
    group: Array | None = None
    """(n,) int64: rows of one group stay in one part."""
    own: Array | None = None
    """(n,) int8: the part the input itself gives a row, 0 train, 1 valid, 2 test."""
    identifiers: dict[str, Array] = field(default_factory=dict)
    factors: tuple[tuple[str, int], ...] = ()
    """Names and sizes of known generative factors; their values are in `beside`."""
    beside: dict[str, Array] = field(default_factory=dict)
    """What is known of each row and never shown to a model."""
    problems: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.x)


def blocks(x: Array | Csr, rows: Array | None = None) -> Iterator[Array]:
    """The rows (all, or those asked for) as dense arrays of about 32 MiB, so that no pass needs a second copy."""
    n = len(x) if rows is None else len(rows)
    width = int(np.prod(x.shape[1:], dtype=np.int64)) * 8
    size = max(1, BLOCK_BYTES // max(width, 1))
    for at in range(0, n, size):
        picked: Any = slice(at, at + size) if rows is None else rows[at : at + size]
        if isinstance(x, Csr):
            yield x.take(np.arange(n)[picked] if rows is None else picked).dense()
        else:
            yield x[picked]


def smallest(x: Array, where: str) -> Array:
    """The same values in the smallest type that holds them; float64 stays where float32 would blur a column."""
    if x.dtype.kind not in "biuf":
        raise InputError(f"{where}: holds values of type {x.dtype}; numbers are needed")
    if x.dtype.kind == "b":
        return x.astype(np.uint8)
    if x.dtype.kind == "f":
        if x.dtype.itemsize <= 4 and x.dtype.itemsize != 4:
            return x.astype(np.float32)
        x = x.astype(x.dtype.newbyteorder("="), copy=False)
        if x.dtype.itemsize > 8:
            x = x.astype(np.float64)
        if not _whole(x):
            return x if x.dtype == np.float32 else _narrow(x, where)
    return _integers(x, where)


def _whole(x: Array) -> bool:
    """Whether a float array holds only whole numbers, none of them missing."""
    head = x.ravel()[:4096]
    return bool(np.isfinite(head).all() and (head == np.rint(head)).all()) and all(
        bool(np.isfinite(b).all() and (b == np.rint(b)).all()) for b in blocks(x)
    )


def _integers(x: Array, where: str) -> Array:
    if x.size == 0:
        return x.astype(np.uint8)
    low, high = x.min(), x.max()
    for dtype in (np.uint8, np.int16, np.int32):
        if low >= np.iinfo(dtype).min and high <= np.iinfo(dtype).max:
            return x.astype(dtype, copy=False)
    return _narrow(x.astype(np.float64), where)


def _narrow(x: Array, where: str) -> Array:
    """float32, unless its rounding exceeds a thousandth of some column's spread."""
    with np.errstate(invalid="ignore"):
        top = np.abs(x).reshape(len(x), -1)
        peak = np.where(np.isnan(top), 0, top).max(axis=0)
        if peak.max(initial=0) > 1e30:
            row, column = np.unravel_index(int(np.nanargmax(top)), top.shape)
            raise InputError(
                f"{where}: row {row}, column {column}: {x.reshape(len(x), -1)[row, column]:g} is too large "
                "for single precision; rescale the column"
            )
        filled = np.where(np.isnan(x), 0, x).reshape(len(x), -1)
        spread = filled.max(axis=0) - filled.min(axis=0)
    blurred = (peak * 2.0**-24 > 1e-4 * spread) & (spread > 0)
    return x.astype(np.float64) if blurred.any() else x.astype(np.float32)
