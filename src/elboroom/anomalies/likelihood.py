"""How rare a row is, on a scale that means the same on every series: a score in [0, 1], row by row, that holds back.

What a forecaster missed has units and tails that differ from series to series, so no threshold serves two of them. The
anomaly likelihood of Ahmad et al. 2017 (Neurocomputing 262) sets the mean of a few errors against the many before them;
here four statistics of each channel are read, in the scaled units of the model:

    level     |mean of the last 10 errors one step ahead|         a course that the forecast does not follow
    spread    root mean square of the last 40 such errors         what has become harder to forecast
    value     |value - its median over the calibration stretch|   where the series has never been
    season    root mean square of the last 40 differences from    a day unlike the days before, which a forecaster that
              the mean of about 10 rows at the same place of      has seen two of them, or looks back an hour, cannot
              earlier seasons                                     know; where rows are told with their place

Each is turned into the rows between two that are as large (`ReturnPeriod`): its tail is a power law whose exponent is
that of Hill (1975), above a quantile that is followed row by row, both with a memory of some 2,000 rows, so scale and
tail move with the series. A statistic may say no more than was seen: k spells as large in t rows make it 1 in t / k.

The rarest speaks, and then holds back: a row is reported only if it is rarer than all of the last `hold` rows, so one
event is one alarm, or a few that grow, whatever the threshold. The bar is raised with the fourth root of the rows read:
the longer a stream runs, the rarer must be what is worth a look, as in spending a budget of false alarms (Foster &
Stine 2008). Score 0.3 is then once in 1,000 rows, 0.4 once in 10,000, at row 1,000.

Everything is causal and in memory that does not grow; `Likelihood.scores` is `update` for whole arrays, to the bit.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

from .smoothing import CausalMean

__all__ = ["Likelihood", "ReturnPeriod", "place_of_day", "rows_of_day"]

Array = NDArray[np.float64]
LEVEL, SPREAD = 10, 40
"""Rows of the two moving means."""
HOLD = 200
"""Rows for which a report quietens those that are less rare."""
SHARE = 0.05
"""Of the rows, those in the tail."""
MEMORY = 2000
"""Rows after which the tail forgets."""
EXPONENT, WEIGHT = 0.3, 10
"""What is believed of the tail before it is seen, and as how many of its rows that counts."""
LOUD = 4.0
"""Times the mean excess: what one row adds to it at most, so that no anomaly becomes normal at once."""
STEP, STEPS = 0.05, 400
"""Magnitudes that count as equally large, in logarithms, and how many there are above the first quantile."""
SPELL = 50
"""Rows that part two spells."""
FLOOR = 1e-3
"""Of the calibration median: what is added to a statistic, so that exact zeros have a logarithm."""
LEAST = 1e-6
"""That floor where a statistic stood still."""
ROOT, AT = 0.25, 1000
"""The bar rises with (rows read / AT) ** ROOT."""
DECADES = 10.0
"""Powers of ten of the rows that make a score of 1."""
LOG_TEN, LOG_SHARE = math.log(10), math.log10(SHARE)
FEWEST = 20
"""Rows of a calibration stretch that a statistic must have to be used."""
SEASONS = 10
"""Earlier seasons that the mean of a place remembers."""


DAY_NS = 86_400 * 10**9
MOST_PLACES = 86_400
"""Rows of a day above which places would be remembered for each second and less."""


def rows_of_day(step: int) -> int:
    """Rows of a step (nanoseconds) in a day; 0 where there is one at most, or no whole number of them."""
    rows = DAY_NS // step
    return rows if DAY_NS % step == 0 and 1 < rows <= MOST_PLACES else 0


def place_of_day(time: Any, step: int) -> Any:
    """The place in its day of a row at `time`, nanoseconds since 1970: a number, or an array of them."""
    return time % DAY_NS // step


class ReturnPeriod:
    """The rows between two values as large as this one, of one statistic that is 0 or more."""

    def __init__(self, floor: float, quantile: float, mean: float, weight: float) -> None:
        """`floor`: see FLOOR; `quantile`: logarithm of where the tail begins; `mean`: of log excesses above it, from
        `weight` of them; see `fit`."""
        self.floor, self.quantile, self.mean, self.weight = floor, quantile, mean, weight
        self.origin, self.rows, self.followed = quantile, 0, 0
        # of each magnitude: spells that reached it, and the last row that did
        self._spells = np.zeros(STEPS)
        self._last = np.full(STEPS, -SPELL - 1)

    @classmethod
    def fit(cls, values: ArrayLike) -> ReturnPeriod:
        """From a calibration stretch (N,) in time order; NaN where missing."""
        x = np.asarray(values, dtype=np.float64)
        x = x[~np.isnan(x)]
        if x.ndim != 1 or len(x) < FEWEST or (x < 0).any() or np.isinf(x).any():
            raise InputError(f"{len(x)} values to calibrate on; a tail needs {FEWEST} magnitudes, finite and 0 or more")
        above = x[x > 0]
        floor = FLOOR * float(np.median(above)) if 2 * len(above) > FEWEST else LEAST
        logs = np.log(x + floor)
        quantile = float(np.quantile(logs, 1 - SHARE))
        excess = (logs - quantile)[logs > quantile]
        weight = WEIGHT + len(excess)
        made = cls(floor, quantile, float(WEIGHT * EXPONENT + excess.sum()) / weight, weight)
        for log in logs.tolist():
            made.rows += 1
            made._count(log)
        made.followed = min(made.rows, MEMORY)
        return made

    def update(self, value: float) -> float:
        """log10 of the rows between two such values, 0 or more; NaN, where it is missing, changes nothing."""
        if value != value:  # NaN
            return math.nan
        log = math.log(value + self.floor)
        excess = log - self.quantile
        # Hill: P(log excess > e) = exp(-e / mean), in SHARE of the rows; nearer than the quantile it does not matter
        period = (excess / (self.mean * LOG_TEN) if excess > 0 else excess) - LOG_SHARE
        period = period if period > 0 else 0.0
        if log >= self.origin:
            spells = self._spells[self._place(log)]
            period = min(period, math.log10(self.rows / spells)) if spells else period
        self.rows += 1
        self._count(log)
        self._follow(excess)
        return period

    def _follow(self, excess: float) -> None:
        """Move quantile and mean excess by this row (stochastic approximation: Robbins & Monro 1951)."""
        self.followed = min(self.followed + 1, MEMORY)
        if excess > 0:
            weight = min(self.weight, MEMORY * SHARE)
            self.mean += (min(excess, LOUD * self.mean) - self.mean) / (weight + 1)
            self.weight = weight + 1
            self.quantile += self.mean * (1 - SHARE) / SHARE / self.followed
        else:
            self.quantile -= self.mean / self.followed

    def _count(self, log: float) -> None:
        if log < self.origin:
            return
        upto = self._place(log) + 1
        self._spells[:upto] += self.rows - self._last[:upto] > SPELL
        self._last[:upto] = self.rows

    def _place(self, log: float) -> int:
        return min(int((log - self.origin) / STEP), STEPS - 1)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        names = ("floor", "quantile", "mean", "weight", "origin", "rows", "followed")
        arrays = {"spells": self._spells.tolist(), "last": self._last.tolist()}
        return {name: getattr(self, name) for name in names} | arrays

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> ReturnPeriod:
        """The inverse of `to_json`."""
        made = cls(saved["floor"], saved["quantile"], saved["mean"], saved["weight"])
        made.origin, made.rows, made.followed = saved["origin"], saved["rows"], saved["followed"]
        made._spells, made._last = np.array(saved["spells"]), np.array(saved["last"])
        return made


class _Channel:
    """The four statistics of one channel and their return periods; one that calibration hardly showed has None."""

    def __init__(self, centre: float, season: int) -> None:
        self.centre = centre
        self.level, self.spread, self.season = CausalMean(LEVEL), CausalMean(SPREAD), CausalMean(SPREAD)
        # of each place: the mean of the values there, and of how many
        self.usual, self.count = np.zeros(season), np.zeros(season, dtype=np.int64)
        self.periods: list[ReturnPeriod | None] = [None] * 4

    def statistics(self, error: float, value: float, place: int) -> tuple[float, float, float, float]:
        """Of the next row; those of a missing number are missing."""
        level, spread, season = self.level.update(error), self.spread.update(error * error), math.nan
        if error != error:  # NaN
            level = spread = math.nan
        if len(self.count):
            off = self._unusual(value, place)
            season = self.season.update(off * off)
            season = season if off == off else math.nan
        return abs(level), math.sqrt(spread), abs(value - self.centre), math.sqrt(season)

    def _unusual(self, value: float, place: int) -> float:
        """The value less what is usual at its place, which then learns of it; NaN at a place not seen before."""
        if place < 0 or math.isnan(value):
            return math.nan
        off = value - float(self.usual[place]) if self.count[place] else math.nan
        self.count[place] = min(self.count[place] + 1, SEASONS)
        self.usual[place] += (value - self.usual[place]) / self.count[place]
        return off

    def update(self, error: float, value: float, place: int) -> float:
        """log10 of the return period of the rarest; NaN where nothing is known."""
        rarest = math.nan
        for period, statistic in zip(self.periods, self.statistics(error, value, place), strict=True):
            if period is not None and not (said := period.update(statistic)) <= rarest and said == said:
                rarest = said
        return rarest

    def to_json(self) -> dict[str, Any]:
        means = {name: getattr(self, name).to_json() for name in ("level", "spread", "season")}
        usual = {"usual": self.usual.tolist(), "count": self.count.tolist()}
        periods = [None if period is None else period.to_json() for period in self.periods]
        return {"centre": self.centre, "periods": periods} | means | usual

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> _Channel:
        made = cls(saved["centre"], len(saved["usual"]))
        made.level, made.spread, made.season = (
            CausalMean.from_json(saved[name]) for name in ("level", "spread", "season")
        )
        made.usual, made.count = np.array(saved["usual"]), np.array(saved["count"], dtype=np.int64)
        made.periods = [None if period is None else ReturnPeriod.from_json(period) for period in saved["periods"]]
        return made


class Likelihood:
    """Errors and values of a row to a score in [0, 1]; made by `fit`."""

    def __init__(self, channels: list[_Channel], hold: int, rows: int) -> None:
        self.channels, self.hold, self.rows = channels, hold, rows
        # rows and their decades that none after them within `hold` has reached, the rarest first
        self._rarest: deque[tuple[int, float]] = deque()

    @classmethod
    def fit(
        cls, errors: ArrayLike, values: ArrayLike, places: ArrayLike | None = None, *, season: int = 0, hold: int = HOLD
    ) -> Likelihood:
        """From the errors one step ahead and the values, both (N, C) in the model's units, of a calibration stretch.

        The next row is the one after it. NaN where missing; errors or values that are missing throughout have no say.
        `places` (N,): where in a season of `season` rows each row lies, such as the time of day; -1 where that is not
        known. `hold`: rows, 0 for no holding back. Raises InputError where shapes do not fit or rows are too few.
        """
        e, x, at = _rows(errors, values, places, season)
        if hold < 0:
            raise InputError(f"{hold} rows to hold back; give 0 or more")
        channels = []
        for error, value in zip(e.T, x.T, strict=True):
            known = value[~np.isnan(value)]
            channel = _Channel(float(np.median(known)) if len(known) else 0.0, season)
            rows = zip(error.tolist(), value.tolist(), at.tolist(), strict=True)
            seen = np.array([channel.statistics(*row) for row in rows]).reshape(-1, 4)
            enough = (~np.isnan(seen)).sum(0) >= FEWEST
            channel.periods = [ReturnPeriod.fit(s) if known else None for s, known in zip(seen.T, enough, strict=True)]
            channels.append(channel)
        if not any(period for channel in channels for period in channel.periods):
            raise InputError(
                f"of {len(e)} rows to calibrate on no channel has {FEWEST} errors or values; give a longer stretch"
            )
        return cls(channels, hold, len(e))

    def update(self, error: ArrayLike, value: ArrayLike, place: int = -1) -> float:
        """The score of the next row from its errors (C,) and values (C,); NaN where all are missing."""
        e, x = (np.asarray(a, dtype=np.float64).reshape(-1) for a in (error, value))
        if len(e) != len(self.channels) or len(x) != len(self.channels):
            raise InputError(f"{len(e)} errors and {len(x)} values for {len(self.channels)} channels; give one each")
        if place >= self.season:
            raise InputError(f"place {place} in a season of {self.season} rows; places count from 0, -1 is not known")
        rarest = math.nan
        for channel, one, other in zip(self.channels, e.tolist(), x.tolist(), strict=True):
            if not (said := channel.update(one, other, place)) <= rarest and said == said:
                rarest = said
        self.rows += 1
        if math.isnan(rarest):
            return math.nan
        # the rarest of C channels is C times as frequent (Bonferroni)
        decades = max(0.0, rarest - math.log10(len(self.channels)) - ROOT * math.log10(self.rows / AT))
        return min(1.0, self._held_back(decades) / DECADES)

    @property
    def season(self) -> int:
        """Places of a season; 0: none."""
        return len(self.channels[0].usual)

    def _held_back(self, decades: float) -> float:
        """0 where one of the last `hold` rows was as rare."""
        held = self._rarest
        while held and held[0][0] < self.rows - self.hold:
            held.popleft()
        quiet = bool(self.hold and held and held[0][1] >= decades)
        while held and held[-1][1] <= decades:
            held.pop()
        held.append((self.rows, decades))
        return 0.0 if quiet else decades

    def scores(self, errors: ArrayLike, values: ArrayLike, places: ArrayLike | None = None) -> Array:
        """(T,): the scores of the next rows, errors and values (T, C); this object goes on from where it is."""
        e, x, at = _rows(errors, values, places, self.season)
        return np.array([self.update(*row) for row in zip(e, x, at.tolist(), strict=True)], dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        channels = [channel.to_json() for channel in self.channels]
        rarest = [list(one) for one in self._rarest]
        return {"channels": channels, "hold": self.hold, "rows": self.rows, "rarest": rarest}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Likelihood:
        """The inverse of `to_json`."""
        made = cls([_Channel.from_json(one) for one in saved["channels"]], saved["hold"], saved["rows"])
        made._rarest = deque((int(row), float(decades)) for row, decades in saved["rarest"])
        return made


def _rows(
    errors: ArrayLike, values: ArrayLike, places: ArrayLike | None, season: int
) -> tuple[Array, Array, NDArray[np.int64]]:
    """All three as arrays, after a look at their shapes."""
    e, x = (np.asarray(a, dtype=np.float64) for a in (errors, values))
    at = np.full(len(e), -1) if places is None else np.asarray(places)
    if e.ndim != 2 or e.shape != x.shape or not e.shape[1] or at.shape != e.shape[:1]:
        raise InputError(
            f"errors of the shape {e.shape}, values {x.shape}, places {at.shape}; give the first two as "
            "(rows, channels), the places as (rows,)"
        )
    if len(at) and at.max() >= max(0, season):
        raise InputError(f"place {at.max()} in a season of {season} rows; places count from 0, -1 is not known")
    return e, x, at.astype(np.int64)
