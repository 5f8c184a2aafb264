"""Moving means of scores: over the last rows (causal), or around each row (centred, which looks ahead).

With the period of the series as `width` these are the causal and the centred period smoothing. A centred mean at row t
needs rows after t: it is for records, never for a stream. Rows without a score (NaN) count for nothing; across a gap
in time nothing should be averaged, so each stretch is smoothed by itself, and a stream calls `reset`.

The one idea: the sum over the last `width` rows is the end of one block of rows plus the beginning of the next (van
Herk 1992 and Gil & Werman 1993 have it for minima). Nothing is ever subtracted, so no rounding error stays behind; a
row costs the same at any width; and a stream does the very additions that the whole array does, to the last bit.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

__all__ = ["CausalMean", "WindowSums", "causal_mean", "centred_mean", "window_sums"]

Array = NDArray[np.float64]


def window_sums(values: Array, width: int) -> Array:
    """(T, K): the sum of each column over the last `width` rows, over fewer where the array begins."""
    _check(width)
    rows, lanes = values.shape
    width = max(1, min(width, rows))
    blocks = -(-rows // width)
    padded = np.zeros((blocks * width, lanes))
    padded[:rows] = values
    block = padded.reshape(blocks, width, lanes)
    sums = np.cumsum(block, axis=1)
    ends = np.cumsum(block[:, ::-1], axis=1)[:, ::-1]
    sums[1:, :-1] += ends[:-1, 1:]
    out: Array = sums.reshape(-1, lanes)[:rows]
    return out


class WindowSums:
    """`window_sums` row by row; holds `width` rows."""

    def __init__(self, width: int, lanes: int) -> None:
        _check(width)
        self.width = width
        # rows of the block in hand up to `_at`; beyond it, sums from there to the end of the block before
        self._held = np.zeros((width, lanes))
        self._sum = np.zeros(lanes)
        self._at = 0

    def update(self, row: Array) -> Array:
        """(K,): the sums with this row as the newest."""
        self._held[self._at] = row
        self._sum = self._sum + row
        self._at += 1
        if self._at < self.width:
            both: Array = self._sum + self._held[self._at]
            return both
        out = self._sum
        self._held = np.cumsum(self._held[::-1], axis=0)[::-1].copy()
        self._sum = np.zeros_like(out)
        self._at = 0
        return out

    def to_json(self) -> dict[str, Any]:
        return {"held": self._held.tolist(), "sum": self._sum.tolist(), "at": self._at}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> WindowSums:
        held = np.array(saved["held"], dtype=np.float64)
        sums = cls(*held.shape)
        sums._held, sums._sum, sums._at = held, np.array(saved["sum"], dtype=np.float64), int(saved["at"])
        return sums


def causal_mean(score: ArrayLike, width: int) -> Array:
    """The mean of the last `width` rows of (T,) or (T, C), over those that have a score; NaN where none has."""
    return _mean(score, width, 0)


def centred_mean(score: ArrayLike, width: int) -> Array:
    """The mean from (width - 1) // 2 rows before each row to width // 2 after it, over those that have a score.

    Offline: it looks ahead. At both ends of the array it is over the rows there are.
    """
    return _mean(score, width, width // 2)


class CausalMean:
    """`causal_mean` of one score, row by row; holds `width` numbers and as many marks.

    The additions are those of `WindowSums`; so few numbers are added sooner without arrays.
    """

    def __init__(self, width: int) -> None:
        _check(width)
        self.width = width
        self.reset()

    def reset(self) -> None:
        """Forget all rows: after a gap, or where a shift ended what came before."""
        self._values, self._marks = [0.0] * self.width, [0.0] * self.width
        self._sum = self._count = 0.0
        self._at = 0

    def update(self, score: float) -> float:
        """The mean with this row as the newest; a row without a score is NaN."""
        there = score == score  # not NaN
        value, mark, at = (score, 1.0, self._at) if there else (0.0, 0.0, self._at)
        self._values[at], self._marks[at] = value, mark
        total, count = self._sum + value, self._count + mark
        at += 1
        if at < self.width:
            self._sum, self._count, self._at = total, count, at
            total, count = total + self._values[at], count + self._marks[at]
        else:
            self._values = list(accumulate(reversed(self._values)))[::-1]
            self._marks = list(accumulate(reversed(self._marks)))[::-1]
            self._sum, self._count, self._at = 0.0, 0.0, 0
        return total / count if count else math.nan

    def to_json(self) -> dict[str, Any]:
        held = [list(both) for both in zip(self._values, self._marks, strict=True)]
        return {"width": self.width, "sums": {"held": held, "sum": [self._sum, self._count], "at": self._at}}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> CausalMean:
        mean, sums = cls(int(saved["width"])), saved["sums"]
        mean._values, mean._marks = ([float(both[lane]) for both in sums["held"]] for lane in (0, 1))
        mean._sum, mean._count = (float(value) for value in sums["sum"])
        mean._at = int(sums["at"])
        return mean


def _mean(score: ArrayLike, width: int, ahead: int) -> Array:
    _check(width)
    x = np.asarray(score, dtype=np.float64)
    if x.ndim not in (1, 2):
        raise InputError(f"a score has the axes (rows) or (rows, channels), not {x.ndim} of them; reshape it")
    columns = x[:, None] if x.ndim == 1 else x
    there = ~np.isnan(columns)
    both = np.concatenate([np.where(there, columns, 0.0), there], axis=1)
    both = np.concatenate([both, np.zeros((ahead, both.shape[1]))])
    total, count = np.split(window_sums(both, width)[ahead:], 2, axis=1)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.reshape(x.shape)


def _check(width: int) -> None:
    if width < 1:
        raise InputError(f"a window of {width} rows; give its width as 1 or more")
