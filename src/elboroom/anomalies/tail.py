"""The threshold that is passed as often as was asked: extreme values of the scores of a calibration stretch.

Peaks over a high threshold u exceed it by a generalised Pareto law with shape k and scale s (Pickands 1975), so a
level z far above u is passed by an alarm in

    rate(z) = peaks / rows * (1 + k (z - u) / s)^(-1/k)

of the rows, and the level for a rate follows: the threshold of SPOT (Siffer et al. 2017, KDD). Shape and scale are
those of probability-weighted moments, better than maximum likelihood for samples of this size (Hosking & Wallis 1987,
Technometrics 29).

What is counted is alarms, not rows: exceedances with fewer than `merge` rows of rest between them are one cluster with
one peak (runs declustering), as `events.find_events` makes one event of them. Alarms per row = alarms per day * days
per row. Where the stretch does not carry such a law the threshold is an empirical quantile, and `how` says why.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

__all__ = ["Tail", "alarm_peaks", "fit_tail", "pareto_fit"]

Array = NDArray[np.float64]
LEVELS = (0.98, 0.95, 0.9, 0.8)
"""Quantiles of the scores that may be the initial threshold: the first with enough peaks above it. No threshold lies
below the last: what is passed by more than a fifth of the rows is no alarm."""
PEAKS = 30
"""Fewer have no tail to speak of."""
SHAPES = (-0.5, 0.5)
"""Of the Pareto law: beyond them its moments do not hold what the fit needs."""
EXPONENTIAL = 1e-9
"""A shape this near to 0 is 0."""


@dataclass(frozen=True, kw_only=True)
class Tail:
    """A threshold, and what is known of the scores around it. Plain numbers."""

    threshold: float
    initial: float
    """u: the law holds above it."""
    shape: float
    scale: float
    """In units of the score; NaN where nothing exceeds `initial`."""
    peaks: int
    """Alarms that calibration would have given at `initial`."""
    rows: int
    """Rows of calibration that have a score."""
    rate: float
    """Alarms per row that were asked for."""
    how: str
    """Of what the threshold was made, and why."""

    @property
    def few(self) -> bool:
        """Whether calibration has too few alarms, or too few rows, to tell how rare one above the threshold is."""
        return self.peaks < PEAKS or self.rate * self.rows < 1

    def rate_at(self, score: ArrayLike) -> Array:
        """Alarms per row expected at a threshold of `score`, of any shape; at or below `initial` the rate there."""
        s = np.asarray(score, dtype=np.float64)
        far = np.maximum(s - self.initial, 0.0) / self.scale
        if abs(self.shape) < EXPONENTIAL:
            survival = np.exp(-far)
        else:
            with np.errstate(divide="ignore"):
                survival = np.maximum(1 + self.shape * far, 0.0) ** (-1 / self.shape)
        rate: Array = np.asarray(self.peaks / self.rows * survival)
        return rate

    def return_level(self, rate: float) -> float:
        """The score that an alarm passes in a share `rate` of the rows; rates above that of `initial` have none."""
        most = self.peaks / self.rows
        if not 0 < rate <= most:
            raise InputError(
                f"a rate of {rate:g} alarms a row; the tail tells of rates above 0 and up to {most:g}, "
                "that of its initial threshold"
            )
        times = most / rate
        if abs(self.shape) < EXPONENTIAL:
            return self.initial + self.scale * math.log(times)
        return self.initial + self.scale / self.shape * float(times**self.shape - 1)

    def to_json(self) -> dict[str, Any]:
        saved = asdict(self)
        return saved | {"scale": None} if math.isnan(self.scale) else saved

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Tail:
        return cls(**saved | {"scale": math.nan if saved["scale"] is None else float(saved["scale"])})


def fit_tail(score: ArrayLike, rate: float, *, merge: int = 1) -> Tail:
    """The threshold for `rate` alarms per row, from calibration scores (N,) in time order; NaN rows have none.

    `merge`: rows of rest that part two alarms, as in `events.find_events`.
    """
    x, there = _scores(score, rate, merge)
    initial, peaks = _first_level(x, there, merge)
    excess = peaks - initial
    seen = len(peaks) / len(there)
    if len(peaks) >= PEAKS and rate < seen:
        shape, scale = pareto_fit(excess)
        tail = Tail(
            threshold=math.nan,
            initial=initial,
            shape=shape,
            scale=scale,
            peaks=len(peaks),
            rows=len(there),
            rate=rate,
            how=f"generalised Pareto tail of {len(peaks)} alarms in {len(there)} rows",
        )
        return replace(tail, threshold=tail.return_level(rate))
    if len(peaks) < PEAKS:
        why = f"only {len(peaks)} alarms above the initial threshold, {PEAKS} make a tail"
    else:
        why = f"the rate asked for is no smaller than that of the initial threshold, one alarm in {1 / seen:.3g} rows"
    if rate * len(there) < 1:
        why += f"; {len(there)} rows cannot show one alarm in {1 / rate:.0f}: the largest score seen"
    allowed = int(rate * len(there))
    threshold, most = _lowest_level(x, allowed, merge)
    if most <= allowed:
        why += f"; alarms run into each other before they are that many: the level with the most of them, {most}"
    return Tail(
        threshold=threshold,
        initial=initial,
        shape=0.0,
        scale=float(excess.mean()) if len(excess) else math.nan,
        peaks=len(peaks),
        rows=len(there),
        rate=rate,
        how=f"empirical quantile: {why}",
    )


def alarm_peaks(score: Array, level: float, merge: int = 1) -> Array:
    """The largest score of each alarm above `level`: alarms are parted by `merge` rows or more of rest."""
    rows = np.flatnonzero(score > level)
    if not len(rows):
        return np.zeros(0)
    begins = np.flatnonzero(np.diff(rows, prepend=rows[0] - merge - 1) > merge)
    peaks: Array = np.maximum.reduceat(score[rows], begins)
    return peaks


def pareto_fit(excess: ArrayLike) -> tuple[float, float]:
    """(shape, scale) of a generalised Pareto law from excesses (n,) by probability-weighted moments.

    Hosking & Wallis 1987, equation 5 and plotting positions (i - 0.35) / n; their k is minus the shape. A shape
    outside -0.5..0.5 is brought to the end, with the scale that keeps the mean.
    """
    y = np.sort(np.asarray(excess, dtype=np.float64))
    n = len(y)
    if n < 2 or y[0] < 0 or y[-1] == 0:
        raise InputError(f"{n} excesses from {y.min(initial=0):g} on; a tail needs two or more, 0 at least, not all 0")
    first = float(y.mean())
    weighted = float((y * (1 - (np.arange(1, n + 1) - 0.35) / n)).mean())
    shape = 2 - first / (first - 2 * weighted)
    shape = min(max(shape, SHAPES[0]), SHAPES[1])
    return shape, first * (1 - shape)


def _scores(score: ArrayLike, rate: float, merge: int) -> tuple[Array, Array]:
    """The scores with and without rows that have none."""
    x = np.asarray(score, dtype=np.float64)
    there = x[~np.isnan(x)]
    if x.ndim != 1 or not len(there) or np.isinf(there).any():
        raise InputError(
            f"calibration scores of the shape {x.shape}, {len(there)} of them numbers; "
            "a threshold needs one finite score a row, in time order"
        )
    if not 0 < rate < 1 or merge < 1:
        raise InputError(
            f"a rate of {rate:g} alarms a row and {merge} rows between alarms; "
            "the rate lies between 0 and 1 (alarms a day / rows a day), the rows are 1 or more"
        )
    return x, there


def _first_level(x: Array, there: Array, merge: int) -> tuple[float, Array]:
    """The highest initial threshold with enough alarms, else that with most of them; and their peaks."""
    best: tuple[float, Array] = (math.inf, np.zeros(0))
    for share in LEVELS:
        level = float(np.quantile(there, share))
        peaks = alarm_peaks(x, level, merge)
        if math.isinf(best[0]) or len(peaks) > len(best[1]):
            best = level, peaks
        if len(peaks) >= PEAKS:
            return level, peaks
    return best


def _lowest_level(x: Array, allowed: int, merge: int) -> tuple[float, int]:
    """The lowest level that at most `allowed` alarms pass, as it is lowered from the largest score, and the most alarms
    met on the way, one more than allowed where there are so many.

    Row after row is let in, from the largest score down: a row alone begins an alarm, one beside an alarm belongs to
    it, one between two joins them. So alarms become fewer again where the level is low: where they never are as many as
    allowed, the highest level with the most of them is taken.
    """
    rows = int((~np.isnan(x)).sum())
    order = np.argsort(-x, kind="stable")[:rows]  # rows without a score come last
    floor = max(1, int((1 - LEVELS[-1]) * rows))
    inside: list[int] = []
    alarms, most, level, above = 0, 0, math.nan, math.nan
    for number, row in enumerate(order[:floor].tolist()):
        at = bisect_left(inside, row)
        left = at > 0 and row - inside[at - 1] <= merge
        right = at < len(inside) and inside[at] - row <= merge
        joined = left and right and inside[at] - inside[at - 1] <= merge
        alarms += 0 if joined else 1 - left - right
        here = float(x[row])
        if alarms > allowed:
            return (here if math.isnan(above) else (here + above) / 2), alarms
        inside.insert(at, row)
        if alarms > most:
            most = alarms
            level = (here + float(x[order[min(number + 1, rows - 1)]])) / 2
        above = here
    return level, most
