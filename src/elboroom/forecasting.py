"""What comes after the end of a series, with intervals: paths that a forecaster draws row by row and reads again.

A forecast several rows ahead is a distribution over paths, not a sum of one-row intervals: each of `PATHS` paths draws
the next row from the law that the model gives, reads it, and so on (Salinas et al. 2020, arXiv 1704.04110). The middle
is the paths' median, the interval holds the middle share of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.anomalies.expected import ROWS, scaled
from elboroom.core.abilities import Forecasts
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.engine.runtime import mix, seeded

if TYPE_CHECKING:
    from elboroom.data.series import Series, SeriesSet
    from elboroom.run import Run

__all__ = ["Forecast", "forecast"]

Array = NDArray[np.float64]
PATHS = 400
LEVEL = 0.9
LONGEST = 100_000


@dataclass
class Forecast:
    """Of one series, in the user's units; rows are steps after its last one."""

    name: str
    """The series', empty where there is one only."""
    channels: tuple[str, ...]
    times: NDArray[np.datetime64] | None
    """(horizon,); None where the rows have no times."""
    middle: Array
    """(horizon, C): medians."""
    low: Array
    high: Array
    """(horizon, C): ends of the interval."""
    level: float
    """Share of the paths inside it."""


def forecast(run: Run, source: Any, horizon: int, *, level: float = LEVEL, seed: int = 0) -> list[Forecast]:
    """The next `horizon` rows of each series of `source`, read to its end. Raises InputError, Unable."""
    from elboroom.run import require

    require(run.model, Forecasts, "forecast", run.name)
    if not 1 <= horizon <= LONGEST:
        raise InputError(f"--horizon {horizon}: expected a number of rows from 1 to {LONGEST:,}")
    if not 0 < level < 1:
        raise InputError(f"--level {level}: expected a share between 0 and 1")
    data = run.read(source)
    assert data.series is not None
    return [_one(run, data.series, i, horizon, level, seed) for i in range(len(data.series.series))]


def _one(run: Run, known: SeriesSet, i: int, horizon: int, level: float, seed: int) -> Forecast:
    series = known.series[i]
    with seeded(mix(seed, "forecast", i)), torch.inference_mode():
        paths = _paths(run, series, horizon)
        raw = run.transform.undo(paths).double().numpy()
    tail = (1 - level) / 2
    low, middle, high = np.quantile(raw, [tail, 0.5, 1 - tail], axis=0)
    times = None
    if series.times is not None:
        times = series.times[-1] + (np.arange(1, horizon + 1) * series.step).astype("timedelta64[ns]")
    return Forecast(series.name, known.channels, times, middle, low, high, level)


def _paths(run: Run, series: Series, horizon: int) -> torch.Tensor:
    """(paths, horizon, C) in the model's space."""
    model = run.model
    assert isinstance(model, Forecasts)
    start, stop = series.segments[-1]
    x, memory, law = scaled(run.transform, series.values[start:stop]), None, None
    for at in range(0, stop - start, ROWS):
        part = x[at : at + ROWS][None]
        there = ~torch.isnan(part)
        mean, sd, memory = model.expect(Batch(x=torch.where(there, part, 0), observed=there), memory)
        law = mean[:, -1, 0], sd[:, -1, 0]
    assert law is not None
    assert memory is not None
    memory = memory.pick(torch.zeros(PATHS, dtype=torch.int64))
    mean, sd = (one.expand(PATHS, -1) for one in law)
    drawn = []
    for _ in range(horizon):
        row = mean + sd * torch.randn_like(mean)
        drawn.append(row)
        batch = Batch(x=row[:, None], observed=torch.ones_like(row[:, None], dtype=torch.bool))
        means, sds, memory = model.expect(batch, memory)
        mean, sd = means[:, 0, 0], sds[:, 0, 0]
    return torch.stack(drawn, 1)
