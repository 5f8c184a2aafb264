"""Is it the same all along: two tests with opposite null hypotheses, and how much of a series is trend and season.

`dickey_fuller` (Said & Dickey 1984, augmented): the null is a unit root, a walk that never comes home; a small p speaks
for stationarity. `kpss` (Kwiatkowski, Phillips, Schmidt & Shin 1992): the null is stationarity, around a level or a
trend; a small p speaks against it. Together: both small, or neither, means that a line or a level shift is likelier
than a walk, or that the rows are too few to tell.

With missing values the longest stretch without any is tested; `rows` says how long it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

from .smoothing import centred_mean

__all__ = ["HypothesisTest", "Strength", "dickey_fuller", "kpss", "long_run_variance", "trend_and_season_strength"]

Array = NDArray[np.float64]
LEAST_ROWS = 20
MOST_LAGS = 50
"""Lags that are tried at most, so that a long series does not become a wide matrix."""

# MacKinnon 1994, "Approximate asymptotic distribution functions for unit-root and cointegration tests", J. Business &
# Economic Statistics 12, tables 3 and 4, one series: p = Phi of a polynomial of the statistic, one up to `SWITCH`, one
# above; beyond the ends p is 0 and 1. Without trend, with trend.
LOW_P = ((2.1659, 1.4412, 0.038269), (3.2512, 1.6047, 0.049588))
HIGH_P = ((1.7339, 0.93202, -0.12745, -0.010368), (2.5261, 0.61654, -0.37956, -0.060285))
SWITCH = (-1.61, -2.89)
ENDS = ((-18.83, 2.74), (-16.18, 0.7))
# MacKinnon 2010, "Critical values for cointegration tests", Queen's Economics Department working paper 1227, table 2:
# the critical value of n rows is a polynomial in 1 / n.
CRITICAL = (
    {
        0.01: (-3.43035, -6.5393, -16.786, -79.433),
        0.05: (-2.86154, -2.8903, -4.234, -40.040),
        0.10: (-2.56677, -1.5384, -2.809, 0.0),
    },
    {
        0.01: (-3.95877, -9.0531, -28.428, -134.155),
        0.05: (-3.41049, -4.3904, -9.036, -45.374),
        0.10: (-3.12705, -2.5856, -3.925, -22.380),
    },
)
# Kwiatkowski et al. 1992, table 1: level, trend.
KPSS_CRITICAL = (
    {0.10: 0.347, 0.05: 0.463, 0.025: 0.574, 0.01: 0.739},
    {0.10: 0.119, 0.05: 0.146, 0.025: 0.176, 0.01: 0.216},
)


@dataclass(frozen=True)
class HypothesisTest:
    """What a test found. `p` of `kpss` is held within its table, 0.01 to 0.1."""

    statistic: float
    p: float
    null: str
    lags: int
    rows: int
    critical: dict[float, float]
    """Significance -> the value beyond which the null is refused."""


@dataclass(frozen=True)
class Strength:
    """Shares of variance, 0 to 1; NaN where they cannot be told."""

    trend: float
    season: float


def dickey_fuller(x: ArrayLike, *, lags: int | None = None, trend: bool = False) -> HypothesisTest:
    """The augmented Dickey-Fuller test of a series (T,): x[t] - x[t-1] on x[t-1], a constant, earlier differences.

    `lags`: how many differences; None: the number with the least AIC among those up to 12 (T / 100)^(1/4) (Schwert
    1989), compared on the same rows. `trend`: with a linear trend among the regressors.
    """
    x = _stretch(x)
    if np.ptp(np.diff(x)) <= 1e-12 * np.ptp(x):
        raise InputError("the series is a straight line, so its steps leave nothing to explain")
    fixed = 2 + trend
    if lags is None:
        most = min(int(12 * (len(x) / 100) ** 0.25), MOST_LAGS, len(x) // 2 - fixed - 1)
        lags = _least_aic(x, most, trend)
    if lags < 0 or len(x) - 1 - lags <= fixed + lags:
        raise InputError(f"{lags} lags for {len(x)} rows without gaps; a regression needs more rows than it has terms")
    y, design = _regression(x, lags, trend)
    size = np.sqrt((design**2).sum(axis=0))
    design = design / np.where(size > 0, size, 1.0)
    pseudo = np.linalg.pinv(design)  # a lag that is 0 in all rows has no coefficient
    coefficients = pseudo @ y
    residuals = y - design @ coefficients
    variance = float(residuals @ residuals) / (len(y) - design.shape[1])
    level = fixed - 1
    statistic = float(coefficients[level]) / math.sqrt(variance * float(pseudo[level] @ pseudo[level]))
    return HypothesisTest(
        statistic, _unit_root_p(statistic, trend), "unit root", lags, len(x), _unit_root_critical(len(y), trend)
    )


def kpss(x: ArrayLike, *, lags: int | None = None, trend: bool = False) -> HypothesisTest:
    """The KPSS test of a series (T,), around its mean or, with `trend`, around its line.

    `lags` of the long-run variance: None lets the data choose (`long_run_variance`).
    """
    x = _stretch(x)
    n = len(x)
    time = np.arange(n) - (n - 1) / 2
    residuals = x - x.mean()
    if trend:
        residuals = residuals - time * (time @ residuals) / (time @ time)
    if residuals @ residuals <= 1e-20 * (x @ x):
        raise InputError("the series is a straight line, so there is nothing that could be stationary around it")
    lags = _automatic_lags(residuals) if lags is None else lags
    statistic = float((np.cumsum(residuals) ** 2).sum() / (n**2 * long_run_variance(residuals, lags=lags)))
    table = KPSS_CRITICAL[trend]
    p = float(np.interp(statistic, list(table.values()), list(table)))
    return HypothesisTest(statistic, p, "stationary around a line" if trend else "stationary", lags, n, dict(table))


def long_run_variance(x: ArrayLike, *, lags: int | None = None) -> float:
    """The variance of sqrt(T) times the mean of a series (T,), by Newey & West 1987: Bartlett weights up to `lags`.

    For independent values their variance. `lags` None: chosen from the data (Hobijn, Franses & Ooms 1998).
    """
    values = np.asarray(x, dtype=np.float64)
    values = values[~np.isnan(values)]
    d = values - values.mean()
    lags = _automatic_lags(d) if lags is None else lags
    if not 0 <= lags < len(d):
        raise InputError(f"{lags} lags for {len(d)} values; there must be fewer lags than values, and 0 or more")
    pairs = sum((1 - k / (lags + 1)) * float(d[k:] @ d[:-k]) for k in range(1, lags + 1))
    return (float(d @ d) + 2 * pairs) / len(d)


def trend_and_season_strength(x: ArrayLike, period: int = 0) -> Strength:
    """1 - Var(rest) / Var(rest + trend), and the same of the season (Wang, Smith & Hyndman 2006), of a series (T,).

    The classical decomposition: the trend is the mean over one period around each row, the season the mean of what is
    left at each place of the period; rows less than half a period from an end are left out. Noise alone has a season of
    about 1 / number of periods. Without a period (below 2) the trend is the mean over a tenth of the rows, and the
    season NaN, as it is with fewer than three periods. Missing values are left out.
    """
    values = np.asarray(x, dtype=np.float64)
    width = period if period > 1 else max(3, len(values) // 10)
    if len(values) < LEAST_ROWS or len(values) < width + 2:
        raise InputError(f"{len(values)} rows and a period of {period}; a trend needs {LEAST_ROWS} rows and a period")
    trend = centred_mean(values, width)
    if width % 2 == 0:  # two means, half a row early and late: 2 x period (Hyndman & Athanasopoulos, section 3.3)
        trend[1:] = (trend[1:] + trend[:-1]) / 2
    inner = slice(width // 2, len(values) - width // 2)
    trend, rest = trend[inner], (values - trend)[inner]
    there = ~np.isnan(rest)
    season = np.zeros(len(rest))
    seasonal = period > 1 and len(values) >= 3 * period
    if seasonal:
        place = np.arange(len(rest)) % period
        count = np.bincount(place[there], minlength=period)
        means = np.bincount(place[there], weights=rest[there], minlength=period) / np.maximum(count, 1)
        season = (means - means.mean())[place]
    rest = rest - season
    return Strength(
        _strength(rest[there], trend[there]), _strength(rest[there], season[there]) if seasonal else math.nan
    )


def _strength(rest: Array, part: Array) -> float:
    whole = float(np.var(rest + part)) if len(rest) else 0.0
    return max(0.0, 1 - float(np.var(rest)) / whole) if whole > 0 else math.nan


def _stretch(x: ArrayLike) -> Array:
    """The longest stretch without missing values."""
    values = np.asarray(x, dtype=np.float64)
    edges = np.concatenate([[-1], np.flatnonzero(np.isnan(values)), [len(values)]])
    longest = int(np.argmax(np.diff(edges)))
    values = values[edges[longest] + 1 : edges[longest + 1]]
    if len(values) < LEAST_ROWS:
        raise InputError(f"{len(values)} rows without a gap; a test of stationarity needs {LEAST_ROWS}")
    if not np.ptp(values) > 0 or np.isinf(values).any():
        raise InputError("the series is constant or not finite, so there is nothing to test")
    return values


def _regression(x: Array, lags: int, trend: bool) -> tuple[Array, Array]:
    """(y, design): constant, trend, level, then earlier differences, the latest first."""
    steps = np.diff(x)
    y = steps[lags:]
    columns = [np.ones(len(y)), *([np.arange(1.0, len(y) + 1)] if trend else []), x[lags:-1] - x.mean()]
    columns += [steps[lags - k : len(steps) - k] for k in range(1, lags + 1)]
    return y, np.stack(columns, axis=1)


def _least_aic(x: Array, most: int, trend: bool) -> int:
    """Among 0 to `most` lags. The columns of fewer lags come first, so one QR holds all the regressions."""
    y, design = _regression(x, most, trend)
    explained = np.cumsum((np.linalg.qr(design)[0].T @ y) ** 2)[1 + trend :]
    left = np.maximum(y @ y - explained, np.finfo(np.float64).tiny)
    return int(np.argmin(len(y) * np.log(left / len(y)) + 2 * np.arange(most + 1)))


def _unit_root_p(statistic: float, trend: bool) -> float:
    low, high = ENDS[trend]
    if not low <= statistic <= high:
        return float(statistic > high)
    powers = LOW_P[trend] if statistic <= SWITCH[trend] else HIGH_P[trend]
    return 0.5 * math.erfc(-sum(c * statistic**k for k, c in enumerate(powers)) / math.sqrt(2))


def _unit_root_critical(n: int, trend: bool) -> dict[float, float]:
    return {level: sum(c / n**k for k, c in enumerate(powers)) for level, powers in CRITICAL[trend].items()}


def _automatic_lags(d: Array) -> int:
    """Hobijn, Franses & Ooms 1998, "Generalizations of the KPSS-test for stationarity", for Bartlett weights."""
    n = len(d)
    lags = range(1, int(n ** (2 / 9)) + 1)
    products = [2 * float(d[k:] @ d[:-k]) / n for k in lags]
    total = float(d @ d) / n + sum(products)
    slope = sum(k * product for k, product in zip(lags, products, strict=True))
    if total == 0:
        return 0
    return min(int(1.1447 * ((slope / total) ** 2) ** (1 / 3) * n ** (1 / 3)), n - 1)
