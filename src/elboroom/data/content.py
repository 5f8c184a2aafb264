"""What a reader found in an input, before it is split and scaled: one type for every format.

Raw values are kept in the smallest type that holds them; a missing number is NaN, and only floating arrays have any.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elboroom.core.spec import Column

__all__ = ["Array", "Content", "Csr", "Mixture"]

Array = NDArray[Any]


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


@dataclass(frozen=True, eq=False)
class Mixture:
    """What a table was drawn from, where that is known: equal shares of round Gaussians."""

    centres: Array
    """(K, d) float64, in raw units, d the table's columns; centre k is the class k."""
    sd: float
    """Standard deviation in every direction, in raw units."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"centres": self.centres.tolist(), "sd": self.sd}


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
    mixture: Mixture | None = None
    """Tables: what the rows were drawn from, where that is known."""
    channelwise: bool = False
    """Images: whether the label is made of one label a channel, the first counting most; `factors` are those."""
    problems: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.x)
