"""When the world has moved and is not wrong: level shifts are declared once and learnt, anomalies never.

`Recentring` watches the residuals of one channel. When one leaves the band, a trial begins: the residuals from there on
are held until three in a row lie on the other side of the old centre (it was a burst, and is forgotten), or until
`patience` of them have stayed on one side, at one level, with the spread they are known by: then it was a shift, and
their mean without outliers becomes the centre. While a trial is open, or an alarm of the caller's, nothing is learnt.
Besides, the scale follows the median of |z| outside trials, each row moving it by at most a share `rate`: it keeps up
with slow change and cannot be pulled by any row, however large.

`PageHinkley` (Page 1954, Biometrika 41; two-sided) finds what is too slow for that: it adds up what residuals lie on
one side beyond a drift that is allowed, and speaks when the sum passes a limit; both in standard deviations.

Both hold plain numbers, go row by row, and `recentred` for whole arrays is that loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

from .events import Event
from .residuals import MAD_TO_SD, robust_scale

__all__ = ["Drift", "PageHinkley", "Recentring", "Shift", "limit_for", "recentred", "shift_in"]

Array = NDArray[np.float64]
BACK = 3
"""Residuals in a row on the other side of the centre that end a trial."""
STEADY = 2.5
"""How many times wider or narrower than before the residuals of a shift may spread."""
LEVEL = 1.0
"""How far the medians of the four quarters of a trial may lie apart at one level, in units of scale."""
LAST = 5
"""Residuals at the end of a trial whose median must be at the level: a burst that has just returned is not learnt."""
LOOSE = 0.2
"""Room for level and spread as a share of the size of the shift, where that is more."""
CHECKS = 20
"""How often a trial that goes on is looked at again while `patience` rows pass."""
TYPICAL = 1 / MAD_TO_SD
"""The median of |z| for a standard normal z."""
OVERSHOOT = 1.166
"""Twice 0.583, by which a sum of standard normal steps passes a limit on average (Siegmund 1985, chapter 10)."""


@dataclass(frozen=True)
class Shift:
    """A level shift: residuals left the centre at `start`, were declared shifted at `row`, and are centred from the
    next row on. `size`: the new centre less the old, in units of scale."""

    start: int
    row: int
    size: float
    channel: int = 0


class Recentring:
    """The centre and scale of one channel's residuals."""

    def __init__(
        self,
        patience: int,
        *,
        centre: float = 0.0,
        scale: float = 1.0,
        enter: float = 3.5,
        least: float = 2.0,
        rate: float = 0.001,
    ) -> None:
        """`patience`: residuals that make a shift; holds so many at most. A period of the series, or half of one where
        scores are smoothed over a period: they are then back under their threshold within two.

        `enter`: |z| that begins a trial. `least`: the smallest shift, in units of scale. `rate`: the largest share by
        which one row changes the scale; 0: it is fixed.
        """
        if patience < 10 or not scale > 0 or not enter > 0 or not 0 <= rate < 1:
            raise InputError(
                f"patience {patience}, scale {scale:g}, enter {enter:g}, rate {rate:g}; patience is 10 rows or more, "
                "scale and enter are above 0, the rate from 0 to below 1"
            )
        self.patience, self.enter, self.least, self.rate = patience, enter, least, rate
        self.centre, self.scale = centre, scale
        self._row = 0
        self._held: list[float] = []
        self._side = 0
        self._start = 0
        self._back = 0

    @classmethod
    def fit(
        cls, residuals: ArrayLike, patience: int, *, enter: float = 3.5, least: float = 2.0, rate: float = 0.001
    ) -> Recentring:
        """With the median and the scaled median absolute deviation of calibration residuals (N,)."""
        centre, scale = robust_scale(np.asarray(residuals, dtype=np.float64).reshape(-1, 1))
        if math.isnan(scale[0]):
            raise InputError("the calibration residuals are all missing or all equal, so they have no scale")
        return cls(patience, centre=float(centre[0]), scale=float(scale[0]), enter=enter, least=least, rate=rate)

    def update(self, residual: float, *, alarm: bool = False) -> tuple[float, Shift | None]:
        """z of the next row by what was known before it, and the shift that this row completes.

        NaN, where the residual is missing, changes nothing. `alarm`: an alarm is open, so the row is not learnt from.
        """
        row, self._row = self._row, self._row + 1
        if math.isnan(residual):
            return math.nan, None
        z = (residual - self.centre) / self.scale
        if not self._side:
            if abs(z) > self.enter:
                self._side, self._start, self._back, self._held = (1 if z > 0 else -1), row, 0, [residual]
            elif not alarm:
                self.scale *= math.exp(self.rate if abs(z) > TYPICAL else -self.rate)
            return z, None
        self._held.append(residual)
        self._back = 0 if z * self._side > 0 else self._back + 1
        if self._back >= BACK:
            self._side, self._held = 0, []
            return z, None
        return z, self._judged(row)

    def _judged(self, row: int) -> Shift | None:
        over = len(self._held) - self.patience
        if over > 0:
            del self._held[0]
        if over < 0 or (row - self._start + 1 - self.patience) % max(1, self.patience // CHECKS):
            return None
        z = (np.array(self._held) - self.centre) / self.scale
        level = float(np.median(z))
        spread = MAD_TO_SD * float(np.median(np.abs(z - level)))
        quarters = [float(np.median(quarter)) for quarter in np.array_split(z, 4)]
        loose = LOOSE * abs(level)
        noise = 10 / math.sqrt(len(z))  # 2.8 standard errors of the difference of two quarters' medians
        apart = max(quarters) - min(quarters)
        if apart > max(LEVEL, loose, noise):
            return None
        if level * self._side < self.least or abs(float(np.median(z[-LAST:])) - level) > 1.5 * max(LEVEL, loose):
            return None
        if not 1 / STEADY <= spread <= max(STEADY, loose):
            return None
        if apart > max(LEVEL, noise):  # it has come up a slope: where it is by now
            z = z[len(z) // 2 :]
        size = float(z[np.abs(z - np.median(z)) <= 3 * spread].mean())
        self.centre += size * self.scale
        shift = Shift(self._start, row, size)
        self._side, self._held = 0, []
        return shift

    def to_json(self) -> dict[str, Any]:
        settings = {name: getattr(self, name) for name in ("patience", "centre", "scale", "enter", "least", "rate")}
        trial = {"held": list(self._held), "side": self._side, "start": self._start, "back": self._back}
        return settings | {"row": self._row, "trial": trial}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Recentring:
        settings = {name: saved[name] for name in ("centre", "scale", "enter", "least", "rate")}
        found, trial = cls(saved["patience"], **settings), saved["trial"]
        found._row, found._held = saved["row"], list(trial["held"])
        found._side, found._start, found._back = trial["side"], trial["start"], trial["back"]
        return found


def recentred(
    residuals: ArrayLike, channels: Sequence[Recentring], *, alarm: ArrayLike | None = None
) -> tuple[Array, list[Shift]]:
    """z (T, C) of residuals (T, C), and the shifts in the order in which they were declared.

    The channels' objects go on from where they are and are left at the last row. `alarm` (T,): rows in open alarms.
    """
    r = np.asarray(residuals, dtype=np.float64)
    if r.ndim != 2 or r.shape[1] != len(channels):
        raise InputError(f"residuals of the shape {r.shape} for {len(channels)} channels; they are (rows, channels)")
    closed = [False] * len(r) if alarm is None else np.asarray(alarm, dtype=bool).tolist()
    z, shifts = np.empty_like(r), []
    for number, (channel, column) in enumerate(zip(channels, r.T.tolist(), strict=True)):
        for row, (residual, shut) in enumerate(zip(column, closed, strict=True)):
            z[row, number], shift = channel.update(residual, alarm=shut)
            if shift is not None:
                shifts.append(replace(shift, channel=number))
    return z, sorted(shifts, key=lambda shift: shift.row)


def shift_in(event: Event, shifts: Sequence[Shift]) -> Shift | None:
    """The first shift whose rows, from its start to where it was declared, meet the event's; None: it was none."""
    return next((s for s in shifts if s.start < event.stop and s.row >= event.start), None)


@dataclass(frozen=True)
class Drift:
    """A drift found at `row` by a sum that began at `start`; `side` is 1 upwards, -1 downwards."""

    start: int
    row: int
    side: int


class PageHinkley:
    """Slow drift of residuals z around 0, both ways."""

    def __init__(self, *, drift: float = 0.25, limit: float = 25.0, cap: float = 4.0) -> None:
        """`drift`: the mean that is allowed, `limit`: the sum beyond it that is not, both in standard deviations.

        The usual choice of `drift` is half of the mean that shall be found; one of m > drift is found after about
        limit / (m - drift) rows. `cap`: |z| beyond it counts as this much, so that no single row is a drift.
        """
        if drift < 0 or not limit > 0 or not cap > drift:
            raise InputError(
                f"drift {drift:g}, limit {limit:g}, cap {cap:g}; the drift is 0 or more, the limit above 0, "
                "the cap above the drift"
            )
        self.drift, self.limit, self.cap = drift, limit, cap
        self._row = 0
        self._sums = [0.0, 0.0]
        self._starts = [0, 0]

    def update(self, z: float) -> Drift | None:
        """Take the next row; NaN counts for nothing. A drift that is found begins both sums anew."""
        row, self._row = self._row, self._row + 1
        if math.isnan(z):
            return None
        z = min(max(z, -self.cap), self.cap)
        up, down = self._sums[0] + z - self.drift, self._sums[1] - z - self.drift
        if up <= 0:
            up, self._starts[0] = 0.0, row + 1
        if down <= 0:
            down, self._starts[1] = 0.0, row + 1
        self._sums = [up, down]
        if up <= self.limit and down <= self.limit:
            return None
        found = Drift(self._starts[0], row, 1) if up > self.limit else Drift(self._starts[1], row, -1)
        self.reset()
        return found

    def reset(self) -> None:
        """Begin anew with the next row: after a shift, or a gap."""
        self._sums, self._starts = [0.0, 0.0], [self._row, self._row]

    def to_json(self) -> dict[str, Any]:
        settings = {"drift": self.drift, "limit": self.limit, "cap": self.cap}
        return settings | {"row": self._row, "sums": list(self._sums), "starts": list(self._starts)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> PageHinkley:
        found = cls(drift=saved["drift"], limit=saved["limit"], cap=saved["cap"])
        found._row, found._sums, found._starts = saved["row"], list(saved["sums"]), list(saved["starts"])
        return found


def limit_for(rate: float, *, drift: float = 0.25, variance: float = 1.0) -> float:
    """The limit of `PageHinkley` with `rate` false findings per row on residuals without drift.

    Rows to a finding on one side = (e^(2 d b) - 2 d b - 1) / (2 d^2), b = limit + 1.166 (Siegmund 1985, Sequential
    Analysis). `variance` is the long-run variance of z (`stationarity.long_run_variance`), 1 for independent
    residuals; what is correlated wanders further, and limit and drift are counted in its root.
    """
    if not 0 < rate < 1 or not drift > 0 or not variance > 0:
        raise InputError(
            f"rate {rate:g}, drift {drift:g}, variance {variance:g}; the rate lies between 0 and 1, the others above 0"
        )
    d = drift / math.sqrt(variance)
    low, high = 0.0, 350 / d
    for _ in range(200):
        b = (low + high) / 2
        rows = (math.exp(2 * d * b) - 2 * d * b - 1) / (2 * d * d)
        low, high = (b, high) if rows < 2 / rate else (low, b)
    return max(low - OVERSHOOT, 1e-3) * math.sqrt(variance)
