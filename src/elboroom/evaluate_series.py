"""The measures of a model that forecasts series, with the naive forecasts beside them.

Each series is read from its start; what is measured are the rows of the held-out stretch, each forecast one row and
`horizon` rows before. Errors are in standard deviations of the channel over the training stretch, so that channels
count alike; intervals take blocks of one period as the sample, for neighbouring rows err together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elboroom.anomalies.expected import expected
from elboroom.core.abilities import Forecasts
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.evaluate import Evaluation, held_out
from elboroom.metrics.interval import Measure, Reference, ratio_interval

if TYPE_CHECKING:
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
        parts = [_of_one(model, transform, dataset, i, name, baselines) for i in range(len(found.series))]
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
        measures[key] = Measure.of(
            _mean(values, block, seed), unit=unit, n=count, split=name, how=how, references=references
        )

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
        }
    }
    return Evaluation(
        metrics={key: measure.to_json() for key, measure in measures.items()},
        details=details,
        per_example={"absolute_error": table["first"], "absolute_error_horizon": table["far"]},
    )


def _of_one(
    model: Forecasts, transform: Transform, dataset: Dataset, i: int, part: str, baselines: bool
) -> dict[str, Array]:
    """Per row of the part, means over the channels that are there: errors of the model and of the naive forecasts."""
    known = dataset.series
    assert known is not None
    series = known.series[i]
    start, stop = known.stretches[i].get(part, (0, 0)) if known.stretches else (0, len(series))
    found = expected(model, transform, series.values, series.segments)
    rows, far = slice(start, stop), model.horizon - 1
    z = np.abs(found.errors[rows, 0] / found.sd[rows, 0])
    out = {
        "first": _over_channels(np.abs(found.errors[rows, 0])),
        "far": _over_channels(np.abs(found.errors[rows, far])),
        "inside": _over_channels(np.where(np.isnan(z), np.nan, z <= Z90)),
    }
    if baselines:
        for key, lag in (("last", 1), ("last_far", model.horizon), ("season", known.period)):
            missed = np.full(found.x.shape, np.nan)
            if lag:
                missed[lag:] = np.abs(found.x[lag:] - found.x[:-lag])
            out[key] = _over_channels(missed[rows])
    return out


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
