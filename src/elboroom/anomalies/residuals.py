"""From forecasts to a score per row and channel; larger is more unusual, NaN where none can be given.

A forecast of row t made h steps before is a mean and a standard deviation; what it missed, in those standard
deviations, is the residual z. One step ahead catches what is sudden; several steps together also what is slow, since a
forecast that has seen an anomaly begin goes along with it. What is made of the errors decides more than which network
made them (Garg et al. 2021, arXiv 2109.11428), so each way is here under its name; `gaussian` weighs channels that
move together.

A missing number makes no score of its own and takes part in none: a mean is over what is there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

from .smoothing import WindowSums, window_sums

__all__ = [
    "DynamicGaussian",
    "dynamic_gaussian",
    "multi_step",
    "one_step",
    "pooled",
    "robust_scale",
    "shares",
    "standardised",
]

Array = NDArray[np.float64]
MAD_TO_SD = 1.482602218505602
"""The standard deviation of a normal variable over the median of its absolute deviation: 1 / Phi^-1(3/4)."""
ROUNDING = 1e-12
"""A variance below this share of the mean square is what rounding leaves of none."""


def standardised(x: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> Array:
    """(T, H, C): (x - mean) / sd for rows x (T, C) and their forecasts (T, H, C), made h = 1..H steps before."""
    x, mean, sd = (np.asarray(a, dtype=np.float64) for a in (x, mean, sd))
    if x.ndim != 2 or mean.ndim != 3 or mean.shape != sd.shape or mean[:, 0].shape != x.shape:
        raise InputError(
            f"x has the shape {x.shape}, the means {mean.shape}, the deviations {sd.shape}; they are "
            "(rows, channels) and twice (rows, steps ahead, channels)"
        )
    wrong = np.argwhere(sd <= 0)
    if len(wrong):
        row, ahead, channel = wrong[0].tolist()
        raise InputError(
            f"the standard deviation of row {row}, {ahead + 1} steps ahead, channel {channel} is "
            f"{sd[row, ahead, channel]:g}; it must be above 0, or NaN where there is no forecast"
        )
    z: Array = (x[:, None] - mean) / sd
    return z


def one_step(z: ArrayLike) -> Array:
    """(T, C): z squared one step ahead, from z (T, H, C)."""
    squared: Array = _residuals(z)[:, 0] ** 2
    return squared


def multi_step(z: ArrayLike) -> Array:
    """(T, C): the mean of z squared over the steps ahead for which there was a forecast, from z (T, H, C)."""
    return _mean_of_present(_residuals(z) ** 2, axis=1)


def pooled(score: ArrayLike) -> Array:
    """(T,): the mean of a score (T, C) over the channels that have one.

    The mean, not the sum, so that a row with a channel missing is held against the same threshold.
    """
    return _mean_of_present(np.asarray(score, dtype=np.float64), axis=1)


def shares(score: ArrayLike) -> Array:
    """(T, C): each channel's part of the row's sum, for scores that are 0 or more.

    A missing channel has no part (0); equal parts where all are 0; NaN where none is there. Rows that have a share
    sum to 1.
    """
    s = np.asarray(score, dtype=np.float64)
    if (s < 0).any():
        row, channel = np.argwhere(s < 0)[0].tolist()
        raise InputError(f"the score of row {row}, channel {channel} is below 0 and has no share; give squares")
    there = ~np.isnan(s)
    parts = np.where(there, s, 0.0)
    total = parts.sum(axis=1, keepdims=True)
    parts = np.where(total > 0, parts, there.astype(np.float64))
    total = parts.sum(axis=1, keepdims=True)
    out = np.full(s.shape, np.nan)
    np.divide(parts, total, out=out, where=total > 0)
    return out


def robust_scale(x: ArrayLike) -> tuple[Array, Array]:
    """(C,) centre and (C,) scale of x (N, C): the median, and 1.4826 times the median absolute deviation from it.

    The scale is the standard deviation where more than half of the values are equal, and NaN for a channel that never
    varies: nothing can be said in units of nothing.
    """
    columns = np.asarray(x, dtype=np.float64)
    centre, scale = np.full(columns.shape[1], np.nan), np.full(columns.shape[1], np.nan)
    for channel, column in enumerate(columns.T):
        values = column[~np.isnan(column)]
        if len(values):
            centre[channel] = np.median(values)
            spread = MAD_TO_SD * np.median(np.abs(values - centre[channel])) or values.std()
            scale[channel] = spread or np.nan
    return centre, scale


class DynamicGaussian:
    """How far the last few errors lie above the many before them: Gauss-D of Garg et al. 2021, section 3.3.

    Each channel by itself: with the mean m and the standard deviation s of its errors over the last `long` rows, the
    score is -log P(N(m, s) > mean of the last `short` errors), in nats; log 2 where nothing has changed. Errors are
    larger where worse: squares, not signed residuals. The first rows are best the calibration stretch.
    """

    def __init__(self, channels: int, *, long: int = 2000, short: int = 10, least: int = 100) -> None:
        """No score before `least` errors have been seen (`long`, where that is less). Holds `long` rows."""
        _check_windows(long, short, least)
        self.long, self.short, self.least = long, short, least
        self._long = WindowSums(long, 3 * channels)
        self._short = WindowSums(short, 2 * channels)

    def update(self, error: ArrayLike) -> Array:
        """(C,): the scores of this row, from its errors (C,)."""
        e = np.asarray(error, dtype=np.float64)[None]
        lanes = _moments(e)
        many = self._long.update(lanes[0])[None]
        few = self._short.update(lanes[0, : 2 * e.shape[1]])[None]
        score: Array = _log_survival(e, many, few, min(self.least, self.long))[0]
        return score

    def to_json(self) -> dict[str, Any]:
        settings = {"long": self.long, "short": self.short, "least": self.least}
        return settings | {"many": self._long.to_json(), "few": self._short.to_json()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> DynamicGaussian:
        score = cls(0, long=int(saved["long"]), short=int(saved["short"]), least=int(saved["least"]))
        score._long, score._short = WindowSums.from_json(saved["many"]), WindowSums.from_json(saved["few"])
        return score


def dynamic_gaussian(errors: ArrayLike, *, long: int = 2000, short: int = 10, least: int = 100) -> Array:
    """(T, C): the scores of `DynamicGaussian` for all rows of errors (T, C)."""
    _check_windows(long, short, least)
    e = np.asarray(errors, dtype=np.float64)
    if e.ndim != 2:
        raise InputError(f"errors of the shape {e.shape}; they are (rows, channels)")
    lanes = _moments(e)
    few = window_sums(lanes[:, : 2 * e.shape[1]], short)
    return _log_survival(e, window_sums(lanes, long), few, min(least, long))


def _moments(e: Array) -> Array:
    """(T, 3 C): number, sum and sum of squares of what is there."""
    there = ~np.isnan(e)
    values = np.where(there, e, 0.0)
    return np.concatenate([there.astype(np.float64), values, values**2], axis=1)


def _log_survival(e: Array, many: Array, few: Array, least: int) -> Array:
    from scipy.special import log_ndtr

    c = e.shape[1]
    count, total, squares, some, recent = many[:, :c], many[:, c : 2 * c], many[:, 2 * c :], few[:, :c], few[:, c:]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        variance = (squares - total * mean) / (count - 1)
        z = (recent / some - mean) / np.sqrt(variance)
        known = ~np.isnan(e) & (count >= max(2, least)) & (variance > ROUNDING * squares / count)
    score = np.full(e.shape, np.nan)
    score[known] = -log_ndtr(-z[known])
    return score


def _mean_of_present(values: Array, axis: int) -> Array:
    there = ~np.isnan(values)
    count = there.sum(axis=axis)
    mean = np.full(count.shape, np.nan)
    np.divide(np.where(there, values, 0.0).sum(axis=axis), count, out=mean, where=count > 0)
    return mean


def _residuals(z: ArrayLike) -> Array:
    z = np.asarray(z, dtype=np.float64)
    if z.ndim != 3 or not z.shape[1]:
        raise InputError(f"residuals of the shape {z.shape}; they are (rows, steps ahead, channels)")
    return z


def _check_windows(long: int, short: int, least: int) -> None:
    if not 1 <= short < long or least < 2:
        raise InputError(
            f"a short window of {short} rows, a long one of {long}, {least} errors at least; "
            "the short one must be the shorter, and two errors are the fewest that have a spread"
        )
