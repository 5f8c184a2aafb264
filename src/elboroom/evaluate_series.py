"""The measures of a model that forecasts series, with the naive forecasts beside them.

Each series is read from its start; what is measured are the rows of the held-out stretch, each forecast one row and
`horizon` rows before. Errors are in standard deviations of the channel over the training stretch, so that channels
count alike; intervals take blocks of one period as the sample, for neighbouring rows err together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.anomalies.expected import expected
from elboroom.core.abilities import Forecasts
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.evaluate import Evaluation, held_out
from elboroom.evaluate_horizons import Horizons
from elboroom.metrics.interval import Measure, Reference, ratio_interval

if TYPE_CHECKING:
    from elboroom.data.series import SeriesSet
    from elboroom.data.source import Dataset
    from elboroom.data.transforms import Transform

__all__ = ["evaluate_series"]

Array = NDArray[np.float64]
Z90 = 1.6448536269514722
"""The middle nine tenths of a normal law lie within so many standard deviations."""


def evaluate_series(
    model: Model, transform: Transform, dataset: Dataset, *, part: str = "test", seed: int = 0, baselines: bool = True
) -> Evaluation:
    """Measure `model` on a part of `dataset`; see `elboroom.evaluate.evaluate`, which calls this."""
    name = held_out(dataset, part)
    found = dataset.series
    if not isinstance(model, Forecasts) or found is None:
        raise InputError(f"{dataset.name} holds no series that this model could forecast")
    was_training = model.training
    model.eval()
    try:
        horizons = Horizons(found, model.horizon, baselines=baselines)
        parts = [_of_one(model, transform, dataset, i, name, horizons) for i in range(len(found.series))]
    finally:
        model.train(was_training)
    block = max(found.period, model.horizon, 16)
    table = {key: np.concatenate([one[key] for one in parts]) for key in parts[0]}
    if not np.isfinite(table["first"]).any():
        raise InputError(f"the {name} part of {dataset.name} has no row that is known and could be forecast")
    measures: dict[str, Measure] = {}

    def put(key: str, values: Array, unit: str, how: str, beside: dict[str, Array]) -> None:
        known = {title: rows for title, rows in beside.items() if np.isfinite(rows).any()}
        references = tuple(Reference.of(title, _mean(rows, block, seed), how) for title, rows in known.items())
        count = int(np.isfinite(values).sum())
        mean = _mean(values, block, seed)
        mean = mean.within(low=0, high=1) if unit == "share" else mean
        measures[key] = Measure.of(mean, unit=unit, n=count, split=name, how=how, references=references)

    unit, blocks = "standard deviations", f"mean over channels; blocks of {block} rows"
    naive = {"last value": table["last"], "seasonal naive": table["season"]} if baselines else {}
    far = {"last value": table["last_far"], "seasonal naive": table["season"]} if baselines else {}
    put("mae", table["first"], unit, f"one row ahead, {blocks}", naive)
    put("mae_horizon", table["far"], unit, f"{model.horizon} rows ahead, {blocks}", far)
    put("coverage_90", table["inside"], "share", f"rows inside the 90 % interval, one row ahead, {blocks}", {})
    details: dict[str, Any] = {
        "series": {
            "horizon": model.horizon,
            "channels": list(found.channels),
            "period": found.period,
            "step": found.step_words,
            "rows": int(np.isfinite(table["first"]).sum()),
        },
        "forecasts": horizons.details(lambda rows: _mean(rows, block, seed)),
    }
    return Evaluation(
        metrics={key: measure.to_json() for key, measure in measures.items()},
        details=details,
        per_example={
            "index": table["row"].astype(np.int64),
            "mae": table["first"],
            "mae_horizon": table["far"],
            "coverage_90": table["inside"],
            "mae_as_read": table["first_as_read"],
            "mae_horizon_as_read": table["far_as_read"],
        },
        block=block,
    )


def _of_one(
    model: Forecasts, transform: Transform, dataset: Dataset, i: int, part: str, horizons: Horizons
) -> dict[str, Array]:
    """Per row of the part: its number among all, and means over the channels that are there, of the model's errors and
    of those of the naive forecasts."""
    known = dataset.series
    assert known is not None
    series = known.series[i]
    start, stop = known.stretches[i].get(part, (0, 0)) if known.stretches else (0, len(series))
    found = expected(model, transform, series.values, series.segments)
    horizons.add(found, i, (start, stop), transform)
    rows, far = slice(start, stop), model.horizon - 1
    z = np.abs(found.errors[rows, 0] / found.sd[rows, 0])
    before = sum(len(other) for other in known.series[:i])
    one, farthest = np.abs(found.errors[rows, 0]), np.abs(found.errors[rows, far])
    size = _units(transform, len(known.channels)) / _spread(known)
    out = {
        "row": before + np.arange(start, stop, dtype=np.float64),
        "first": _over_channels(one),
        "far": _over_channels(farthest),
        "inside": _over_channels(np.where(np.isnan(z), np.nan, z <= Z90)),
        "first_as_read": _over_channels(one * size),
        "far_as_read": _over_channels(farthest * size),
    }
    if horizons.baselines:
        for key, lag in (("last", 1), ("last_far", model.horizon), ("season", known.period)):
            missed = np.full(found.x.shape, np.nan)
            if lag:
                missed[lag:] = np.abs(found.x[lag:] - found.x[:-lag])
            out[key] = _over_channels(missed[rows])
    return out


def _units(transform: Transform, channels: int) -> Array:
    """(channels,): one unit of the model's x in the units of the data; scales of series are straight lines."""
    ends = transform.undo(torch.tensor([0.0, 1.0], dtype=torch.float64)[:, None, None].expand(2, 1, channels))
    out: Array = (ends[1, 0] - ends[0, 0]).numpy().astype(np.float64)
    return out


def _spread(known: SeriesSet) -> Array:
    """(channels,): the standard deviation of all rows there are, the same for every run on these data."""
    values = np.concatenate([one.values for one in known.series])
    there = ~np.isnan(values)
    count = np.maximum(there.sum(0), 1)
    middle = np.where(there, values, 0.0).sum(0) / count
    out: Array = np.sqrt(np.where(there, (values - middle) ** 2, 0.0).sum(0) / count)
    return np.where(out > 0, out, 1.0)


def _over_channels(values: Array) -> Array:
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0.0).sum(1), there.sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), math.nan)


def _mean(values: Array, block: int, seed: int) -> Any:
    """The mean of rows (T,), with blocks of neighbouring rows as the sample."""
    there = np.isfinite(values)
    cuts = np.arange(0, len(values), block)
    totals = np.add.reduceat(np.where(there, values, 0.0), cuts)
    counts = np.add.reduceat(there.astype(np.float64), cuts)
    return ratio_interval(totals[counts > 0], counts[counts > 0], seed=seed & 0x7FFFFFFF)
