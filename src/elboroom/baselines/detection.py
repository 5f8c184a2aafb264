"""What stands beside every detector of anomalies: scores of a time series that need no network.

A score has the form `score(x, train, *, period, seed) -> (T,)`: x is (T, C) with NaN where a cell is missing, its first
`train` rows are the training stretch, `period` is in rows; larger is more unusual, NaN says that a row has no score
(missing, or too few rows before it). Windows are of one period; a window with a missing cell has no score and is never
filled; moving_z and ewma leave missing cells out instead. Several channels: see `channels`.

That such scores are hard to beat is the finding of Sarfraz et al. 2024 (arXiv 2405.02678) and of TSB-AD (Liu &
Paparrizos, NeurIPS 2024); that a random one must stand beside them, of Kim et al. 2022 (arXiv 2109.05257).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from .channels import Array, at_end, centred, checked, complete, over_channels, spread
from .matrix_profile import matrix_profile, matrix_profile_left
from .subsequence import isolation_forest, sub_pca, sub_pca_centred, sub_pca_transductive

__all__ = [
    "BASELINES",
    "Baseline",
    "Score",
    "constant_scores",
    "ewma",
    "moving_variance",
    "moving_variance_centred",
    "moving_z",
    "random_scores",
    "seasonal_naive",
]

FLOOR = 0.01
"""Of the training standard deviation: a flat stretch counts as having at least this much, or any change is infinite."""


class Score(Protocol):
    """(T,): how unusual each row of x (T, C) is."""

    def __call__(self, x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array: ...


@dataclass(frozen=True)
class Baseline:
    """One of them, and what it may look at."""

    name: str
    title: str
    """As it is written in a table."""
    causal: bool
    """A score at t uses rows up to t and the training stretch only."""
    transductive: bool
    """Fitted on the rows it scores."""
    score: Score
    how: str
    """What it computes, in a sentence."""


def random_scores(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): uniform draws; what knows nothing reaches this much of a measure."""
    x_TC = checked(x, train, period)
    return np.where(np.isnan(x_TC).all(1), np.nan, np.random.default_rng(seed).random(len(x_TC)))


def constant_scores(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): zeros."""
    return np.where(np.isnan(checked(x, train, period)).all(1), np.nan, 0.0)


def moving_z(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): |x - mean of the period before it|, in standard deviations of that period; from half a period on."""
    return over_channels(_moving_z, x, train, period, seed)


def moving_variance(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): variance of the period that ends at the row."""
    return over_channels(lambda x_T, n, m, _: at_end(_variance(x_T, n, m), len(x_T), m), x, train, period, seed)


def moving_variance_centred(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): variance of the period around the row."""
    return over_channels(lambda x_T, n, m, _: centred(_variance(x_T, n, m), len(x_T), m), x, train, period, seed)


def ewma(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): |x - exponentially weighted mean before it|, in exponentially weighted standard deviations.

    The weight of the newest row is 2 / (period + 1) (Roberts 1959); mean and variance are updated as in Finch 2009. A
    missing row leaves both as they were. Scores begin after one period of rows with a value.
    """
    return over_channels(_ewma, x, train, period, seed)


def seasonal_naive(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): |x - x one period earlier|, in standard deviations of that difference over the training stretch."""
    return over_channels(_seasonal_naive, x, train, period, seed)


def _moving_z(x_T: Array, train: int, m: int, seed: int) -> Array:
    before = np.concatenate([np.full(m, np.nan), x_T[:-1]])
    count, mean, variance = _moments(before, m, x_T[:train])
    sd = np.maximum(np.sqrt(variance), FLOOR * spread(x_T[:train]))
    return np.where(count >= max(2, math.ceil(m / 2)), np.abs(x_T - mean) / sd, np.nan)


def _variance(x_T: Array, train: int, m: int) -> Array:
    if len(x_T) < m:
        return np.zeros(0)
    _, _, variance = _moments(x_T, m, x_T[:train])
    return np.where(complete(x_T, m), variance, np.nan)


def _moments(x_T: Array, m: int, like: Array) -> tuple[Array, Array, Array]:
    """(count, mean, variance) of what is there in each window of m rows, from running sums about the mean of `like`."""
    known = like[~np.isnan(like)]
    centre = float(known.mean()) if len(known) else 0.0
    there = ~np.isnan(x_T)
    x = np.where(there, x_T - centre, 0.0)
    sums = np.zeros((3, len(x_T) + 1))
    np.cumsum([there, x, x * x], axis=1, out=sums[:, 1:])
    count, total, square = sums[:, m:] - sums[:, :-m]
    mean = total / np.maximum(count, 1)
    return count, mean + centre, np.maximum(square / np.maximum(count, 1) - mean**2, 0.0)


def _ewma(x_T: Array, train: int, m: int, seed: int) -> Array:
    out, at = np.full(len(x_T), np.nan), np.flatnonzero(~np.isnan(x_T))
    if len(at) <= m:
        return out
    x, a = x_T[at], 2 / (m + 1)
    # plain numbers: scipy's filter would be quicker by less than its import takes
    mean = np.array(list(accumulate(x.tolist(), lambda mean, value: mean + a * (value - mean))))
    off = x[1:] - mean[:-1]
    squares = (off[:-1] ** 2).tolist()
    before = np.array(list(accumulate(squares, lambda variance, new: (1 - a) * (variance + a * new), initial=0.0)))
    sd = np.maximum(np.sqrt(before), FLOOR * spread(x_T[:train]))
    out[at[m:]] = (np.abs(off) / sd)[m - 1 :]
    return out


def _seasonal_naive(x_T: Array, train: int, m: int, seed: int) -> Array:
    out = np.full(len(x_T), np.nan)
    difference = x_T[m:] - x_T[:-m]
    out[m:] = np.abs(difference) / spread(difference[: max(0, train - m)])
    return out


BASELINES: tuple[Baseline, ...] = (
    Baseline("random", "random", True, False, random_scores, "uniform draws"),
    Baseline("constant", "constant", True, False, constant_scores, "the same score everywhere"),
    Baseline(
        "moving_z", "moving z-score", True, False, moving_z, "standard deviations from the mean of the period before"
    ),
    Baseline("ewma", "EWMA", True, False, ewma, "standard deviations from the exponentially weighted mean before"),
    Baseline(
        "seasonal_naive",
        "seasonal naive",
        True,
        False,
        seasonal_naive,
        "difference from one period earlier, over its training standard deviation",
    ),
    Baseline(
        "moving_variance", "moving variance", True, False, moving_variance, "variance of the period up to the row"
    ),
    Baseline(
        "moving_variance_centred",
        "moving variance, centred",
        False,
        False,
        moving_variance_centred,
        "variance of the period around the row",
    ),
    Baseline(
        "sub_pca",
        "Sub-PCA",
        True,
        False,
        sub_pca,
        "windows of one period up to the row, principal components of the training windows",
    ),
    Baseline(
        "sub_pca_centred",
        "Sub-PCA, centred",
        False,
        False,
        sub_pca_centred,
        "windows of one period around the row, principal components of the training windows",
    ),
    Baseline(
        "sub_pca_transductive",
        "Sub-PCA, transductive",
        False,
        True,
        sub_pca_transductive,
        "windows of one period around the row, principal components of all windows, as TSB-AD runs it",
    ),
    Baseline(
        "isolation_forest",
        "isolation forest",
        True,
        False,
        isolation_forest,
        "windows of one period up to the row, 100 trees on training windows",
    ),
    Baseline(
        "matrix_profile_left",
        "left matrix profile",
        True,
        False,
        matrix_profile_left,
        "distance of the window up to the row from the nearest earlier one; beyond 40,000 rows, of every k-th",
    ),
    Baseline(
        "matrix_profile",
        "matrix profile",
        False,
        True,
        matrix_profile,
        "distance of the window around the row from the nearest one; beyond 40,000 rows, of every k-th",
    ),
)
"""From the simplest to the dearest."""
