"""The last rows of a stream, in memory that does not grow, always one whole array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Held"]

Array = NDArray[np.float64]


class Held:
    """The last `most` rows of `lanes` numbers, written into twice the room and moved to its front when that is full."""

    def __init__(self, most: int, lanes: int) -> None:
        self.most = most
        self._room = np.empty((2 * most, lanes))
        self._stop = 0

    @property
    def rows(self) -> Array:
        """(n, lanes), the newest at the end; a view, good until the next row is added."""
        return self._room[max(0, self._stop - self.most) : self._stop]

    def add(self, row: Array) -> None:
        if self._stop == len(self._room):
            self.replace(self.rows.copy())
        self._room[self._stop] = row
        self._stop += 1

    def replace(self, rows: Array) -> None:
        """Hold these (n, lanes) instead; the last `most` of them."""
        rows = rows[len(rows) - min(len(rows), self.most) :]
        self._room[: len(rows)] = rows
        self._stop = len(rows)
