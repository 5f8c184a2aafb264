"""A forecaster on its way through one series: many rows at once by tensors, few of them row by row without any.

Both give the same numbers up to rounding, so one goes on where the other stopped. What a row costs in tensors is the
same for one row and for some dozens; a model that `Follows` spends a fraction of it on one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.core.abilities import Follows, Forecasts

from .shifts import said

__all__ = ["Reader"]

Array = NDArray[np.float64]
FEW = 32
"""Rows at once up to which they are read one after the other."""


class Reader:
    """Holds what the model carries. The weights of a model that follows are those of when this was made."""

    def __init__(self, model: Forecasts) -> None:
        assert isinstance(model, torch.nn.Module)
        self.model, self.device = model, next(model.parameters()).device
        self._follower = model.follower() if isinstance(model, Follows) else None
        self._memory: Any = None
        self._follows = False
        """Whether the memory lies with the follower."""

    def one_by_one(self, rows: int) -> bool:
        """Whether so many rows are best read by `row`."""
        return rows == 1 or (rows <= FEW and self._follower is not None)

    def row(self, x: Array) -> Array:
        """Forecasts (H, C) after the next row (C,) in the model's space, NaN where missing."""
        if self._follower is None:
            found: Array = self.rows(x[None])[0]
            return found
        if not self._follows:
            self._follower.begin(self._memory)
            self._follows = True
        return self._follower.read(x)

    def rows(self, x: Array) -> Array:
        """Forecasts (n, H, C) after each of the next rows (n, C); the memory is then `memory` after all of them."""
        mean, self.memory = said(self.model, torch.from_numpy(x).float()[None].to(self.device), self.memory)
        found: Array = mean[0]
        return found

    @property
    def memory(self) -> Any:
        """As the model's `expect` has it."""
        return self._follower.memory() if self._follower is not None and self._follows else self._memory

    @memory.setter
    def memory(self, memory: Any) -> None:
        self._memory, self._follows = memory, False
