"""What a forecaster expected of a whole series, row by row, and by how much it was wrong.

Each segment is read from its start with an empty memory, in pieces that the memory joins: nothing is carried over a
gap, and a forecast of a row uses only rows before it. Letters: T rows, H steps ahead, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elboroom.core.abilities import Forecasts

__all__ = ["Expected", "expected", "read", "scaled"]

Array = NDArray[np.float64]
ROWS = 2048
"""Rows read at a time."""


@dataclass
class Expected:
    """In the model's scaled space; NaN where there is no forecast, or no value."""

    x: Array
    """(T, C): the rows themselves."""
    mean: Array
    """(T, H, C): of row t, as forecast h + 1 rows before it."""
    sd: Array
    """(T, H, C)"""

    @property
    def errors(self) -> Array:
        """(T, H, C): what came, less what was expected."""
        return self.x[:, None] - self.mean


def scaled(transform: nn.Module, values: Array) -> Tensor:
    """(T, C) raw values as the model sees them, NaN where missing."""
    raw = torch.from_numpy(values)[None]
    batch = transform({"x": raw, "observed": ~torch.isnan(raw)})
    return torch.where(batch.observed[0], batch.x[0], torch.nan)


def expected(
    model: Forecasts, transform: nn.Module, values: Array, segments: Sequence[tuple[int, int]] | None = None
) -> Expected:
    """Read (T, C) raw values, NaN where missing, segment by segment; the model is in evaluation mode."""
    return read(model, scaled(transform, values), segments)


def read(model: Forecasts, x: Tensor, segments: Sequence[tuple[int, int]] | None = None) -> Expected:
    """The same of rows (T, C) in the model's scaled space."""
    from elboroom.core.batch import Batch

    assert isinstance(model, nn.Module)
    device = next(model.parameters()).device
    rows, channels = x.shape
    mean = np.full((rows, model.horizon, channels), np.nan)
    sd = np.full_like(mean, np.nan)
    with torch.inference_mode():
        for start, stop in segments or [(0, rows)]:
            memory = None
            for at in range(start, stop, ROWS):
                part = x[at : min(at + ROWS, stop)][None].to(device)
                there = ~torch.isnan(part)
                said, spread, memory = model.expect(Batch(x=torch.where(there, part, 0), observed=there), memory)
                for h in range(model.horizon):
                    first, last = at + 1 + h, min(at + part.shape[1] + 1 + h, stop)
                    if first < last:
                        mean[first:last, h] = said[0, : last - first, h].double().cpu().numpy()
                        sd[first:last, h] = spread[0, : last - first, h].double().cpu().numpy()
    return Expected(x.double().numpy(), mean, sd)
