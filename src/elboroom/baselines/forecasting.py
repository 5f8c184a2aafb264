"""The two forecasts every forecaster has to beat: the last value again, and the last season again.

Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, sections 5.2 and 5.5. The forecast of a row
is an earlier row, `lag` rows before it. What such a forecast would have missed in the history, x[t] - x[t - lag] for
every t, gives the interval: its quantiles, for each distance and channel by itself, with no assumption on their law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

from .channels import Array, checked

__all__ = ["Forecast", "last_value_forecast", "seasonal_naive_forecast"]


@dataclass(frozen=True)
class Forecast:
    """(horizon, C) each: what is expected in the rows after the history, and between which values it should lie."""

    expected: Array
    """NaN where the history has no row to take it from."""
    low: Array
    high: Array
    """NaN where the history has too few residuals: fewer than 2 / (1 - level)."""
    level: float
    """Share of outcomes that should lie between low and high."""


def seasonal_naive_forecast(x: ArrayLike, horizon: int, period: int, *, level: float = 0.9) -> Forecast:
    """From the history x (T, C): each of the `horizon` next rows as it was one period, or as few as can be, earlier.

    A missing cell is passed over for the one a period before it.
    """
    x_TC = _asked(x, horizon, period, level)
    rows = len(x_TC)
    ahead = np.arange(horizon)
    source = (rows + ahead - period * (ahead // period + 1))[:, None].repeat(x_TC.shape[1], 1)
    channel = np.arange(x_TC.shape[1])
    while True:
        missing = (source >= 0) & np.isnan(x_TC[np.maximum(source, 0), channel])
        if not missing.any():
            return _forecast(x_TC, source, level)
        source = np.where(missing, source - period, source)


def last_value_forecast(x: ArrayLike, horizon: int, *, level: float = 0.9) -> Forecast:
    """From the history x (T, C): each of the `horizon` next rows as the last value of its channel (the random walk)."""
    x_TC = _asked(x, horizon, 2, level)
    there = ~np.isnan(x_TC)
    last = np.where(there.any(0), len(x_TC) - 1 - there[::-1].argmax(0), -1)
    return _forecast(x_TC, np.repeat(last[None, :], horizon, 0), level)


def _asked(x: ArrayLike, horizon: int, period: int, level: float) -> Array:
    x_TC = np.asarray(x, dtype=np.float64)
    x_TC = checked(x_TC, len(x_TC) if x_TC.ndim else 1, period)
    if horizon < 1 or not 0 < level < 1:
        raise InputError(f"a forecast of {horizon} rows, level {level}; take 1 row or more and a level inside (0, 1)")
    return x_TC


def _forecast(x_TC: Array, source: NDArray[np.int64], level: float) -> Forecast:
    """`source` (horizon, C): the row each forecast is taken from; below 0 where there is none."""
    expected, low, high = np.full((3, *source.shape), np.nan)
    least = math.ceil(2 / (1 - level) - 1e-9)
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for (step, channel), row in np.ndenumerate(source):
        if row < 0:
            continue
        x_T, lag = x_TC[:, channel], int(len(x_TC) + step - row)
        if (lag, channel) not in found:
            missed = x_T[lag:] - x_T[:-lag]
            missed = missed[~np.isnan(missed)]
            ends = np.quantile(missed, [(1 - level) / 2, (1 + level) / 2]) if len(missed) >= least else (np.nan, np.nan)
            found[lag, channel] = float(ends[0]), float(ends[1])
        expected[step, channel] = x_T[row]
        below, above = found[lag, channel]
        low[step, channel], high[step, channel] = x_T[row] + below, x_T[row] + above
    return Forecast(expected, low, high, level)
