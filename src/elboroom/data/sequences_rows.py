"""Sequences of any length as rows: all steps lie end to end, and a batch is padded when it is taken."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from .content import Array
from .rows import Device, Rows

__all__ = ["SequenceRows"]


class SequenceRows(Rows):
    """Row i is one sequence: x (T, C) raw, NaN where a cell is missing or beyond its end; of tokens (T,), 0 beyond it.

    Beside it stand `lengths` where not every sequence has T steps, `observed` of the shape of x where a cell is missing
    or padded, and `label`: one number, or (T,), -1 where a step has none or is padded.
    """

    def __init__(
        self,
        values: Array,
        lengths: Array,
        index: Array,
        steps: int,
        *,
        label: Array | None = None,
        per_step: bool = False,
        masked: bool = False,
    ) -> None:
        """`values` (sum of `lengths`, C) floating, or (sum,) whole: the steps of sequence 0, then those of 1 ...

        `label` is (n,), or (sum,) with `per_step`; `steps` is T, at least the longest; `masked`: `values` hold NaN.
        """
        self.steps, self.per_step = steps, per_step
        self.tokens = values.ndim == 1
        short = bool((lengths < steps).any())
        nothing = np.full((1, *values.shape[1:]), 0 if self.tokens else np.nan, values.dtype)
        self.data = torch.from_numpy(np.concatenate([values, nothing]))
        """All steps and, behind them, the one that stands for every step that is not there."""
        self.lengths = torch.from_numpy(np.asarray(lengths, np.int64)) if short else None
        self._first = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64))
        self._at = torch.arange(steps)
        if label is not None and per_step:
            label = np.concatenate([label, [-1]])
        known = None if label is None else torch.from_numpy(np.asarray(label, np.int64))
        super().__init__(index, known, masked=not self.tokens and (masked or short))

    @property
    def device(self) -> torch.device:
        return self.data.device

    @property
    def fields(self) -> tuple[str, ...]:
        return (*super().fields, *(["lengths"] if self.lengths is not None else []))

    def _places(self, where: Tensor) -> Tensor:
        """(B, T): which step of all stands at each step of the rows."""
        at = self._first.index_select(0, where)[:, None] + self._at
        if self.lengths is None:
            return at
        return torch.where(self._at < self.lengths.index_select(0, where)[:, None], at, len(self.data) - 1)

    def x(self, where: Tensor) -> Tensor:
        picked = self.data.index_select(0, self._places(where).reshape(-1))
        return picked.reshape(len(where), self.steps, *self.data.shape[1:])

    def take(self, where: Tensor) -> dict[str, Tensor]:
        batch = {"x": self.x(where)}
        if self.label is not None and self.per_step:
            batch["label"] = self.label.index_select(0, self._places(where).reshape(-1)).reshape(len(where), self.steps)
        elif self.label is not None:
            batch["label"] = self.label.index_select(0, where)
        if self.masked:
            batch["observed"] = ~torch.isnan(batch["x"])
        if self.lengths is not None:
            batch["lengths"] = self.lengths.index_select(0, where)
        return batch

    def to(self, device: Device) -> SequenceRows:
        out = copy.copy(self)
        for name in ("data", "lengths", "label", "_first", "_at"):
            held = getattr(self, name)
            setattr(out, name, None if held is None else held.to(device))
        return out
