"""A number and how sure we are of it: 95 % intervals of means, ratios, shares and paired differences.

The one idea: the examples are the sample. A mean over many examples gets the normal interval; where they are few or
skewed, so that the normal one would lie, the studentised bootstrap (Efron & Tibshirani 1993, section 12.5), which is
seeded and therefore repeatable. Two models on the same items are compared by the interval of their difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Interval",
    "Measure",
    "Reference",
    "bootstrap_interval",
    "difference_interval",
    "mean_interval",
    "ratio_interval",
    "share_interval",
]

Z = 1.959963984540054  # the 97.5 % point of N(0, 1)
FEW = 100  # below this many examples the mean is not taken to be normal
TINY = 10  # below this many a resample is too often all one value; Student's t is used
DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """`value` with its 95 % interval; NaN ends where none can be had, and `how` says why."""

    value: float
    low: float
    high: float
    how: str = ""

    @property
    def clear_of_zero(self) -> bool:
        """Whether zero is outside."""
        return self.low > 0 or self.high < 0

    def within(self, low: float = -math.inf, high: float = math.inf) -> Interval:
        """The same with its ends held inside what the quantity can be."""
        return replace(self, low=min(max(self.low, low), high), high=max(min(self.high, high), low))


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Something simpler that stands beside a measure: a baseline, a floor, a bound."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    how: str = ""

    @classmethod
    def of(cls, name: str, interval: Interval, how: str = "") -> Reference:
        return cls(name=name, value=interval.value, low=interval.low, high=interval.high, how=how)

    def to_json(self) -> dict[str, Any]:
        out = {"name": self.name, "value": finite(self.value), "low": finite(self.low), "high": finite(self.high)}
        return out | ({"how": self.how} if self.how else {})


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One entry of metrics.json."""

    value: float
    low: float
    high: float
    unit: str
    n: int
    split: str
    how: str
    references: tuple[Reference, ...] = field(default=())

    @classmethod
    def of(
        cls, interval: Interval, *, unit: str, n: int, split: str, how: str, references: tuple[Reference, ...] = ()
    ) -> Measure:
        told = f"{how}; {interval.how}" if interval.how else how
        return cls(
            value=interval.value,
            low=interval.low,
            high=interval.high,
            unit=unit,
            n=n,
            split=split,
            how=told,
            references=references,
        )

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "value": finite(self.value),
            "low": finite(self.low),
            "high": finite(self.high),
            "unit": self.unit,
            "n": self.n,
            "split": self.split,
            "how": self.how,
        }
        if self.references:
            out["references"] = [reference.to_json() for reference in self.references]
        return out


def finite(x: float) -> float | None:
    """JSON has no NaN: None where a number cannot be given."""
    return float(x) if math.isfinite(x) else None


def mean_interval(values: ArrayLike, *, seed: int = 0, signed: bool = False) -> Interval:
    """The mean of `values` (n,) with its interval; `signed`: they may be negative, though none of these are.

    Normal where n is at least 100 and 25 times the squared skewness (Cochran 1977, section 2.15); else the
    studentised bootstrap; Student's t below 10 values; no interval for one value or where one is not finite.
    """
    x = np.asarray(values, dtype=np.float64).reshape(-1)
    return ratio_interval(x, np.ones_like(x), seed=seed, signed=signed)


def ratio_interval(totals: ArrayLike, counts: ArrayLike, *, seed: int = 0, signed: bool = False) -> Interval:
    """sum(totals) / sum(counts), both (n,): the mean per cell where examples have different numbers of cells.

    The standard error is that of the linearised ratio: the mean of (total - ratio * count) / mean count. Where no
    total is negative the interval does not reach below 0, unless they are `signed`.
    """
    v = np.asarray(totals, dtype=np.float64).reshape(-1)
    c = np.asarray(counts, dtype=np.float64).reshape(-1)
    n = len(v)
    if n == 0 or c.sum() == 0:
        return Interval(math.nan, math.nan, math.nan, "nothing to measure")
    least = 0.0 if v.min() >= 0 and not signed else -math.inf
    value = float(v.sum() / c.sum())
    if n == 1 or not math.isfinite(value):
        return Interval(value, math.nan, math.nan, "one example, no interval" if n == 1 else "not finite, no interval")
    residual = (v - value * c) / c.mean()
    error = _standard_error(residual)
    if error == 0.0:
        return Interval(value, value, value)
    if n < TINY:
        from scipy.special import stdtrit

        reach = float(stdtrit(n - 1, 0.975)) * error
        return Interval(value, value - reach, value + reach, "Student's t").within(least)
    if n >= FEW and n >= 25 * _skewness(residual) ** 2:
        return Interval(value, value - Z * error, value + Z * error).within(least)
    low, high = _studentised(v, c, value, error, np.random.default_rng(seed))
    return Interval(value, low, high, "bootstrap over examples").within(least)


def difference_interval(a: ArrayLike, b: ArrayLike, *, seed: int = 0) -> Interval:
    """mean(a - b) over the same items, in the same order: what separates two models, free of what the items share."""
    return mean_interval(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64), seed=seed, signed=True)


def share_interval(hits: ArrayLike) -> Interval:
    """The share of true values, with Wilson's interval, which stays inside [0, 1] (Wilson 1927)."""
    x = np.asarray(hits, dtype=np.float64).reshape(-1)
    n = len(x)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, "nothing to measure")
    p = float(x.mean())
    scale = 1 + Z * Z / n
    centre = (p + Z * Z / (2 * n)) / scale
    reach = Z / scale * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return Interval(p, min(p, max(0.0, centre - reach)), max(p, min(1.0, centre + reach)), "Wilson")


def bootstrap_interval(
    statistic: Callable[[NDArray[np.int64]], float], n: int, *, seed: int = 0, draws: int = 1000
) -> Interval:
    """The percentile interval of any statistic of the rows: `statistic(index)` gets n row numbers drawn with return."""
    rng = np.random.default_rng(seed)
    value = statistic(np.arange(n))
    if n < 2:
        return Interval(value, math.nan, math.nan, "one example, no interval")
    drawn = [statistic(rng.integers(0, n, size=n)) for _ in range(draws)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high), "bootstrap over examples")


def _standard_error(x: NDArray[np.float64]) -> float:
    return float(x.std(ddof=1) / math.sqrt(len(x)))


def _skewness(x: NDArray[np.float64]) -> float:
    centred = x - x.mean()
    spread = float(np.sqrt(np.mean(centred**2)))
    return float(np.mean(centred**3)) / spread**3 if spread > 0 else 0.0


def _studentised(
    v: NDArray[np.float64], c: NDArray[np.float64], value: float, error: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Ends of the bootstrap-t interval, in blocks of resamples so that memory stays near 32 MB."""
    n = len(v)
    block = max(1, 2_000_000 // n)
    ts: list[NDArray[np.float64]] = []
    done = 0
    while done < DRAWS:
        k = min(block, DRAWS - done)
        pick = rng.integers(0, n, size=(k, n))
        vs, cs = v[pick], c[pick]
        ratio = vs.sum(1) / np.maximum(cs.sum(1), np.finfo(np.float64).tiny)
        residual = (vs - ratio[:, None] * cs) / np.maximum(cs.mean(1), np.finfo(np.float64).tiny)[:, None]
        spread = residual.std(1, ddof=1) / math.sqrt(n)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(spread > 0, (ratio - value) / spread, 0.0)
        ts.append(t)
        done += k
    low, high = np.quantile(np.concatenate(ts), [0.025, 0.975])
    return value - float(high) * error, value - float(low) * error
