"""How every number of a report is written: one function, and one table of cases (numbers.json) that a test walks.

A value and its 95 % interval share one last decimal: the half-width rounded up to one digit, or to two where it
begins with 1 and the second is not 0. An interval whose sides differ by over 10 % is written "7.9 (7.1 to 8.8)"; there
the narrower side decides, down to a tenth of the half-width, so that rounding does not move the value past it.
What is missing is a word, never NaN, null or 0.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Form", "Parts", "beside", "column", "decimals_for", "number", "parts", "written"]

Form = Literal["number", "prose", "ratio", "share", "count", "time", "date", "size"]

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
SPACE = "\N{NO-BREAK SPACE}"
SLACK = 1e-6
"""Relative room under a rounding-up, so that (0.525 - 0.521) / 2 = 0.0020000000000000018 stays 0.002."""
SKEWED = 1.1
"""Sides of an interval that differ by more than this factor are written apart."""
SIGNIFICANT = 4
"""Digits of a value without an interval."""


@dataclass(frozen=True)
class Parts:
    """One written number in the pieces a page sets in different sizes."""

    value: str
    interval: str = ""
    """"± 0.002" or "7.1 to 8.8"; empty where there is none."""
    skewed: bool = False
    unit: str = ""

    def __str__(self) -> str:
        shown = self.interval and (f" ({self.interval})" if self.skewed else f" {self.interval}")
        gap = NARROW if self.unit == "%" else " "
        return f"{self.value}{shown}{gap if self.unit else ''}{self.unit}"


def number(value: Any) -> float:
    """A value from a file as a number; nan for whatever is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def written(
    value: float | str | None,
    low: float | None = None,
    high: float | None = None,
    *,
    form: Form = "number",
    unit: str = "",
    decimals: int | None = None,
) -> str:
    """The number as every page writes it; `decimals` fixes the last decimal of a value without an interval."""
    if isinstance(value, str) or value is None or not math.isfinite(value):
        return _date(value) if form == "date" and isinstance(value, str) else "none"
    if form == "count":
        return _with_unit(_grouped(value, 0) if abs(value) < 1e6 else _words(value), unit)
    if form == "time":
        return _time(value)
    if form == "size":
        return _size(value)
    return str(parts(value, low, high, form=form, unit=unit, decimals=decimals))


def parts(
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    form: Form = "number",
    unit: str = "",
    decimals: int | None = None,
) -> Parts:
    """Value and interval written with one last decimal."""
    if form == "share":
        scaled = [None if v is None else 100 * v for v in (low, high)]
        return parts(100 * value, *scaled, unit="%", decimals=decimals)
    if form == "prose" and abs(value) >= 1e6:
        return Parts(_words(value), unit=unit)
    interval = _interval(low, high)
    if interval is None:
        return Parts(_fixed(value, decimals), unit=unit)
    half, place = _half_width(value, *interval)
    power = _power(max(abs(value), half))
    shown = [_at_place(v, place, power) for v in (value, *interval)]
    tail = f"{TIMES} 10{_superscript(power)}" if power else ""
    full_unit = " ".join(part for part in (tail, unit) if part)
    if form == "ratio" or _is_skewed(value, *interval):
        return Parts(shown[0], f"{shown[1]} to {shown[2]}", skewed=True, unit=full_unit)
    margin = f"± {_at_place(half, place, power)}"
    return Parts(f"({shown[0]}" if tail else shown[0], f"{margin})" if tail else margin, unit=full_unit)


def decimals_for(value: float, low: float | None = None, high: float | None = None) -> int | None:
    """How many decimals the value is written with, for numbers that stand beside it; None where it has no interval."""
    interval = _interval(low, high)
    if interval is None:
        return None
    half, place = _half_width(value, *interval)
    return None if _power(max(abs(value), half)) else max(0, -place)


def beside(value: float, decimals: int | None) -> str:
    """A number that stands beside another, with its decimals; with more where they would leave under two digits."""
    if decimals is None or value == 0 or abs(value) >= 10.0 ** (1 - decimals):
        return written(value, decimals=decimals)
    if abs(value) < 1e-4:
        return written(value)
    return written(value, decimals=max(decimals, 1 - math.floor(math.log10(abs(value)))))


def column(values: Sequence[float]) -> list[str]:
    """Numbers of one unit under each other, with the decimals that give the middle one four digits."""
    sizes = sorted(abs(v) for v in values if math.isfinite(v) and v != 0)
    if not sizes or not (sizes[0] >= 1e-4 and sizes[-1] < 1e6):
        return [written(v) for v in values]
    middle = math.floor(math.log10(sizes[len(sizes) // 2]))
    return [written(v, decimals=max(0, SIGNIFICANT - 1 - middle)) for v in values]


def _interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return None if high - low <= 1e-12 * max(abs(low), abs(high)) else (low, high)


def _is_skewed(value: float, low: float, high: float) -> bool:
    below, above = value - low, high - value
    narrow, wide = min(below, above), max(below, above)
    return narrow <= 0 or wide / narrow > SKEWED + SLACK


def _half_width(value: float, low: float, high: float) -> tuple[float, int]:
    """Half of the interval, or the narrower side of a skewed one, rounded up; the power of ten of its last digit."""
    half = (high - low) / 2
    narrow = min(value - low, high - value)
    if narrow > 0 and _is_skewed(value, low, high):
        half = max(narrow, half / 10)
    power = math.floor(math.log10(half) + 1e-12)
    two = math.ceil(half / 10.0 ** (power - 1) * (1 - SLACK))
    if 11 <= two <= 19:
        return two * 10.0 ** (power - 1), power - 1
    one = math.ceil(half / 10.0**power * (1 - SLACK))
    return (10.0 ** (power + 1), power + 1) if one == 10 else (one * 10.0**power, power)


def _power(size: float) -> int:
    """The power of ten to take out: 0 from 0.0001 to 999,999."""
    return 0 if size == 0 or 1e-4 <= size < 1e6 else math.floor(math.log10(size))


def _at_place(value: float, place: int, power: int) -> str:
    return _grouped(round(value, -place) / 10.0**power, max(0, power - place))


def _fixed(value: float, decimals: int | None) -> str:
    power = _power(abs(value))
    if power:
        digits = f"{value / 10.0**power:.3g}"
        return f"{digits.replace('-', MINUS)} {TIMES} 10{_superscript(power)}"
    if decimals is not None:
        return _grouped(value, decimals)
    if value == 0:
        return "0"
    wanted = SIGNIFICANT - 1 - math.floor(math.log10(abs(value)))
    text = _grouped(value, max(0, wanted))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _grouped(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def _words(value: float) -> str:
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= size * (1 - 5e-3):
            return f"{f'{value / size:.2f}'.rstrip('0').rstrip('.').replace('-', MINUS)} {word}"
    return _grouped(value, 0)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text


def _superscript(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _time(seconds: float) -> str:
    """Two units at most."""
    if seconds < 0.9995:
        return f"{_short(seconds * 1e3)} ms"
    if seconds < 59.95:
        return f"{_short(seconds)} s"
    whole = round(seconds)
    for size, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = round((whole % size) / part)
            units, rest = (whole // size + 1, 0) if rest * part == size else (whole // size, rest)
            return f"{units} {name} {rest} {part_name}" if rest else f"{units} {name}"
    return f"{whole} s"


def _short(value: float) -> str:
    text = f"{value:.1f}" if value < 10 else f"{value:.0f}"
    return text.removesuffix(".0")


def _size(size: float) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{_short(size / unit)} {name}"
    return f"{size:.0f} B"


def _date(text: str) -> str:
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        return "none"
    if when.tzinfo is not None:
        when = when.astimezone(datetime.UTC)
    return when.strftime("%Y-%m-%d %H:%M") + (" UTC" if when.tzinfo is not None else "")
