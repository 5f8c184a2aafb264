"""A part of series as rows: windows of grid rows, none of which crosses a gap, picked without copies of the whole.

A run is what a part holds of one segment. Windows of the training part start every `stride` rows, and each epoch `seed`
rows further on; held-out ones lie side by side, the last at the end of its run, so that each grid row is in one window.
A run shorter than a window, and the first of windows side by side, are filled up at the front with missing rows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .content import Array
from .rows import Device, Rows

__all__ = ["SeriesWindows"]


class SeriesWindows(Rows):
    """Row i is x (window, C), raw, NaN where missing, with `observed` of the same shape; `index` is its first grid row.

    Grid rows are counted over all series of the input, one after the other. Windows without one observed cell are no
    rows.
    """

    def __init__(self, runs: Sequence[Array], starts: Sequence[int], window: int, *, stride: int = 0) -> None:
        """`runs`: (n, C) values each, its first row the grid row `starts`. `stride` 0 lays windows side by side."""
        channels = runs[0].shape[1] if runs else 0
        self.window = window
        self.stride = stride
        self.shift = 0
        self.data = torch.from_numpy(np.concatenate([*runs, np.full((1, channels), np.nan)]))
        """(grid rows of the part + 1, C) float64; the last row stands for every row that is not there."""
        base, low, last, first = _windows([len(run) for run in runs], window, stride)
        seen = np.concatenate([[0], np.cumsum((~torch.isnan(self.data[:-1])).any(dim=1).numpy())])
        start = np.minimum(base, last)
        some = seen[start + window] > seen[np.maximum(start, low)]
        self._base, self._low, self._last = (torch.from_numpy(one[some]) for one in (base, low, last))
        self._steps = torch.arange(window)
        places = np.asarray(starts, np.int64)[first] + np.maximum(start, low) - low
        super().__init__(places[some], None, masked=True)

    @property
    def device(self) -> torch.device:
        return self.data.device

    def x(self, where: Tensor) -> Tensor:
        start = torch.minimum(self._base.index_select(0, where) + self.shift, self._last.index_select(0, where))
        at = start[:, None] + self._steps
        at = torch.where(at < self._low.index_select(0, where)[:, None], len(self.data) - 1, at)
        return self.data.index_select(0, at.reshape(-1)).reshape(len(where), self.window, self.data.shape[1])

    def epoch(self, seed: int) -> SeriesWindows:
        """Windows `seed % stride` rows further on, as far as their run goes; held-out ones stay."""
        out = copy.copy(self)
        out.shift = seed % self.stride if self.stride else 0
        return out

    def to(self, device: Device) -> SeriesWindows:
        out = copy.copy(self)
        for name in ("data", "_base", "_low", "_last", "_steps"):
            setattr(out, name, getattr(self, name).to(device))
        return out


def _windows(lengths: Sequence[int], window: int, stride: int) -> tuple[Array, Array, Array, Array]:
    """Of each window: where it starts, its run's first row, the last place it may start at, and its run's number.

    Places are rows of all runs laid end to end. A start before the run's first row asks for rows that are not there.
    """
    base, low, last, runs = [], [], [], []
    at = 0
    for number, length in enumerate(lengths):
        end = at + length - window
        if stride:
            count = 1 + max(0, -((window - length) // stride))
            starts = at + stride * np.arange(count)
        else:
            count = -(-length // window)
            starts = end - window * np.arange(count - 1, -1, -1)
        base.append(starts)
        low.append(np.full(count, at))
        last.append(np.full(count, end))
        runs.append(np.full(count, number))
        at += length
    none = np.zeros(0, np.int64)
    return tuple(np.concatenate([none, *one]) for one in (base, low, last, runs))  # type: ignore[return-value]
