"""What a forecaster expected of a whole series, row by row, and by how much it was wrong.

Each segment is read from its start with an empty memory, in pieces that the memory joins: nothing is carried over a
gap, and a forecast of a row uses only rows before it. Letters: T rows, H steps ahead, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elboroom.core.abilities import Forecasts
from elboroom.data.transforms import TableTransform

__all__ = ["Errors", "Expected", "expected", "pieces", "read", "scale_of_a_row", "scaled"]

Array = NDArray[np.float64]
Forecast = NDArray[np.float32]
ROWS = 2048
"""Rows read at a time."""


@dataclass(frozen=True)
class Errors:
    """(T, H, C): what came, less what was expected; made for the rows that are asked for, since of a long series all
    of them are more than the forecasts themselves."""

    x: Array
    mean: Forecast

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, asked: slice | tuple[slice, Any]) -> Array:
        """`[rows]`, (n, H, C); `[rows, h]` or `[rows, (h, ...)]`, of the steps ahead that are chosen, from 0."""
        rows, ahead = asked if isinstance(asked, tuple) else (asked, slice(None))
        x = self.x[rows]
        found: Array = (x if isinstance(ahead, int) else x[:, None]) - self.mean[rows, ahead]
        return found


@dataclass
class Expected:
    """In the model's scaled space; NaN where there is no forecast, or no value."""

    x: Array
    """(T, C): the rows themselves."""
    mean: Forecast
    """(T, H, C): of row t, as forecast h + 1 rows before it; in single precision, as it was said."""
    sd: Forecast
    """(T, H, C)"""

    @property
    def errors(self) -> Errors:
        return Errors(self.x, self.mean)


def scaled(transform: nn.Module, values: Array) -> Tensor:
    """(T, C) raw values as the model sees them, NaN where missing."""
    raw = torch.from_numpy(values)[None]
    batch = transform({"x": raw, "observed": ~torch.isnan(raw)})
    return torch.where(batch.observed[0], batch.x[0], torch.nan)


def scale_of_a_row(transform: nn.Module) -> Callable[[Array], Array]:
    """`scaled` for one row (C,), without tensors where the transform is the usual one; its numbers as they are now."""
    if not isinstance(transform, TableTransform):
        return lambda row: scaled(transform, row[None]).double().numpy()[0]
    center, spread = (p.detach().cpu().numpy().copy() for p in (transform.center, transform.spread))
    moves, logs = transform.moves, transform.scale == "log1p"

    def scale(row: Array) -> Array:
        x = row
        if moves:
            x = np.subtract(row, center, dtype=center.dtype).astype(spread.dtype) / spread
        elif logs:
            with np.errstate(divide="ignore"):
                x = np.log1p(row.astype(spread.dtype))
        else:
            x = row.astype(spread.dtype)
        return x.astype(np.float64)

    return scale


def expected(
    model: Forecasts, transform: nn.Module, values: Array, segments: Sequence[tuple[int, int]] | None = None
) -> Expected:
    """Read (T, C) raw values, NaN where missing, segment by segment; the model is in evaluation mode."""
    return read(model, scaled(transform, values), segments)


def read(model: Forecasts, x: Tensor, segments: Sequence[tuple[int, int]] | None = None) -> Expected:
    """The same of rows (T, C) in the model's scaled space."""
    reading = pieces(model, x, segments)
    while True:
        try:
            next(reading)
        except StopIteration as ended:
            found: Expected = ended.value
            return found


def pieces(
    model: Forecasts, x: Tensor, segments: Sequence[tuple[int, int]] | None = None
) -> Generator[int, None, Expected]:
    """`read` in pieces: gives the rows of each piece once they are read, and returns what was expected of all."""
    from elboroom.core.batch import Batch

    assert isinstance(model, nn.Module)
    device = next(model.parameters()).device
    rows, channels = x.shape
    mean = np.full((rows, model.horizon, channels), np.nan, dtype=np.float32)
    sd = np.full_like(mean, np.nan)
    for start, stop in segments or [(0, rows)]:
        memory = None
        for at in range(start, stop, ROWS):
            with torch.inference_mode():  # not over a yield: who asks for the next piece may do other things between
                part = x[at : min(at + ROWS, stop)][None].to(device)
                there = ~torch.isnan(part)
                said, spread, memory = model.expect(Batch(x=torch.where(there, part, 0), observed=there), memory)
                for h in range(model.horizon):
                    first, last = at + 1 + h, min(at + part.shape[1] + 1 + h, stop)
                    if first < last:
                        mean[first:last, h] = said[0, : last - first, h].float().cpu().numpy()
                        sd[first:last, h] = spread[0, : last - first, h].float().cpu().numpy()
            yield part.shape[1]
    return Expected(x.double().numpy(), mean, sd)
