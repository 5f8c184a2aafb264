"""Time along an axis: ticks at whole minutes, hours, days, months or years, and times and durations in words.

A series without times counts its rows. Times are shown as the data give them; no zone is added.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .numbers import written
from .plots import Array, Axis, tick_texts
from .words import plural

__all__ = ["Clock", "Tick"]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EPOCH = datetime.datetime(1970, 1, 1)
MINUTE, HOUR, DAY = 60, 3600, 86400
SECONDS = (
    *(1, 2, 5, 10, 15, 30),
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
    *(DAY * n for n in (1, 2, 4, 7, 14)),
)
MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)


@dataclass(frozen=True)
class Tick:
    """One tick: the text under it, and on a second line what changed since the tick before."""

    at: float
    text: str
    second: str = ""


class Clock:
    """The times of one series as numbers: seconds since 1970, or row numbers where `times` is None."""

    def __init__(self, times: Any, rows: int) -> None:
        self.timed = times is not None
        if self.timed:
            nanoseconds = np.asarray(times).astype("datetime64[ns]").astype(np.int64)
            self.x: Array = nanoseconds / 1e9
            self.step = float(np.median(np.diff(nanoseconds))) / 1e9 if rows > 1 else 1.0
        else:
            self.x = np.arange(rows, dtype=np.float64)
            self.step = 1.0
        self._seconds = bool(self.timed and np.any(np.mod(self.x, MINUTE) > 1e-6))
        self._hours = bool(self._seconds or (self.timed and np.any(np.mod(self.x, DAY) > 1e-6)))

    def said(self, row: int) -> str:
        """When a row was: 2026-11-20 14:02, or "row 1,234" (the first row is row 0)."""
        if not self.timed:
            return f"row {row:,}"
        when = _moment(float(self.x[row]))
        text = f"{when.year:04d}-{when.month:02d}-{when.day:02d}"
        if self._hours:
            text += f" {when.hour:02d}:{when.minute:02d}"
        if self._seconds:
            text += f":{when.second:02d}" + (f".{when.microsecond // 1000:03d}" if when.microsecond else "")
        return text

    def lasted(self, start: int, stop: int) -> str:
        """How long rows start <= row < stop took, the last one's own step included."""
        if not self.timed:
            return plural(stop - start, "row")
        return written(float(self.x[stop - 1] - self.x[start]) + self.step, form="time")

    def ticks(self, axis: Axis, most: int) -> list[Tick]:
        """About `most` ticks at most, at whole units that the span asks for."""
        if not self.timed:
            found = [t for t in axis.ticks(most) if t == round(t)]
            return [Tick(t, text) for t, text in zip(found, tick_texts(found), strict=True)]
        span = axis.high - axis.low
        for step in SECONDS:
            if span / step <= most and (span / step >= 2 or step >= 1) and span >= 2:
                return _named(_even(axis.low, axis.high, step), step)
        if span < 2:
            return _parts_of_seconds(axis, most)
        for months in MONTH_STEPS:
            found = _whole_months(axis.low, axis.high, months)
            if len(found) <= most:
                break
        return _named(found, months * 30 * DAY)

    @property
    def unit(self) -> str:
        """What the pointer's reading counts: days or hours since the first row, or rows."""
        if not self.timed:
            return "row"
        return "day" if self.x[-1] - self.x[0] > 3 * DAY else "hour"

    @property
    def unit_size(self) -> float:
        return {"row": 1.0, "day": float(DAY), "hour": float(HOUR)}[self.unit]


def _moment(seconds: float) -> datetime.datetime:
    return EPOCH + datetime.timedelta(microseconds=round(seconds * 1e6))


def _even(low: float, high: float, step: int) -> list[float]:
    """Multiples of a step; of weeks those that begin on a Monday (1970 began on a Thursday)."""
    first = 4 * DAY if step % (7 * DAY) == 0 else 0
    begin, end = math.ceil((low - first) / step - 1e-9), math.floor((high - first) / step + 1e-9)
    return [float(first + i * step) for i in range(begin, end + 1)]


def _whole_months(low: float, high: float, months: int) -> list[float]:
    """Firsts of months whose count from year 0 is a multiple of `months`."""
    start = _moment(low)
    at = (start.year * 12 + start.month - 1) // months * months
    found = []
    while at // 12 < datetime.MAXYEAR:
        when = (datetime.datetime(max(1, at // 12), at % 12 + 1, 1) - EPOCH).total_seconds()
        if when > high:
            break
        if when >= low:
            found.append(when)
        at += months
    return found


def _named(ticks: list[float], step: int) -> list[Tick]:
    """Texts as short as can be: hours, and the day where it changes; days, and the year where it changes."""
    found, before = [], ""
    for at in ticks:
        when = _moment(at)
        day, year = f"{when.day} {MONTHS[when.month - 1]}", str(when.year)
        if step < DAY:
            text = f"{when.hour:02d}:{when.minute:02d}" + (f":{when.second:02d}" if step < MINUTE else "")
            second = f"{DAYS[when.weekday()]} {day} {year}"
        elif step < 28 * DAY:
            text = f"{DAYS[when.weekday()]} {day}" if step == DAY else day
            second = year
        else:
            text, second = (MONTHS[when.month - 1], year) if step < 360 * DAY else (year, "")
        found.append(Tick(at, text, second if second != before else ""))
        before = second
    return found


def _parts_of_seconds(axis: Axis, most: int) -> list[Tick]:
    """Under two seconds: seconds and their decimals, counted from the whole second before."""
    whole = math.floor(axis.low)
    inside = Axis(axis.low - whole, axis.high - whole, 0, 1).ticks(most)
    when = _moment(whole)
    day = f"{when.hour:02d}:{when.minute:02d}:{when.second:02d}, {when.day} {MONTHS[when.month - 1]} {when.year}"
    texts = tick_texts(inside)
    return [Tick(whole + t, f"{text} s", f"after {day}" if i == 0 else "")
            for i, (t, text) in enumerate(zip(inside, texts, strict=True))]  # fmt: skip
