"""What every chart is drawn with: an axis, a sheet of SVG, and the rules of LOOK section 5 as small functions.

Nothing here knows a measure. Colours are class names (`c1`, `base`, `rule`), so that one drawing serves light, dark
and print; sizes are screen pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup, escape

from .names import printable
from .numbers import MINUS, TIMES, written

__all__ = ["Array", "Axis", "Canvas", "centred_mean", "spread", "text_width", "thinned", "tick_texts"]

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
WIDEST = 0.64
"""Width of a character over its size in the widest face met (DejaVu Sans, bold 0.70)."""
STEPS = (1.0, 2.0, 5.0, 10.0)


class Axis:
    """Values to pixels; linear, or log to the base 10."""

    def __init__(self, low: float, high: float, start: float, end: float, *, log: bool = False) -> None:
        if log and low <= 0:
            raise ValueError("a log axis holds values above 0 only")
        if high <= low:
            pad = abs(low) * 0.05 or 0.5
            low, high = (low / 1.05, high * 1.05) if log else (low - pad, high + pad)
        self.low, self.high, self.start, self.end, self.log = float(low), float(high), start, end, log

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, at = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def place(self, values: Array) -> Array:
        """Pixels of many values; what is not finite, or not above 0 on a log axis, becomes nan."""
        ok = np.isfinite(values) & ((values > 0) if self.log else True)
        safe = np.where(ok, values, self.low)
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        share = ((np.log(safe) if self.log else safe) - low) / (high - low)
        return np.where(ok, self.start + share * (self.end - self.start), np.nan)

    def holds(self, value: float) -> bool:
        """Whether the value lies within the axis."""
        return math.isfinite(value) and self.low <= value <= self.high

    def ticks(self, most: int = 6) -> list[float]:
        """At most `most` numbers of the 1-2-5 series; on a log axis whole powers where there are enough."""
        return self._log_ticks(most) if self.log else _linear_ticks(self.low, self.high, most)

    def _log_ticks(self, most: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for factors in ((1, 2, 5), (1,)):
            found = [f * 10.0**p for p in range(first, last + 1) for f in factors]
            found = [v for v in found if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]
            if len(found) <= most:
                break
        if len(found) > most:
            found = found[:: math.ceil(len(found) / most)]
        return found if len(found) >= 2 else _linear_ticks(self.low, self.high, max(3, most - 2))


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (power * s for s in (*STEPS, 20.0)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if step >= rough * (1 - 1e-9) or last - first + 1 <= most:
            return [i * step for i in range(first, last + 1)]
    return [low, high]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The numbers of one axis, all with the same decimals (each with its own on a log axis over a factor of 100)."""
    if not ticks:
        return []
    largest, apart = max(abs(t) for t in ticks), min((b - a for a, b in pairwise(ticks)), default=0)
    if largest and (largest >= 1e6 or largest < 1e-3):
        return [_power_text(t) for t in ticks]
    if min(ticks) > 0 and largest / min(ticks) > 99:
        return [written(t) for t in ticks]
    decimals = max(0, -math.floor(math.log10(apart) + 1e-9)) if apart else 0
    return [written(t, decimals=decimals) for t in ticks]


def _power_text(value: float) -> str:
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)) + 1e-9)
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    digits = f"{value / 10.0**power:.3g}".replace("-", MINUS)
    return f"10{raised}" if digits == "1" else f"{digits} {TIMES} 10{raised}"


def text_width(text: str, size: float = 12, bold: bool = False) -> float:
    """Pixels a text may take in the widest face."""
    return len(text) * size * (0.70 if bold else WIDEST)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near as can be to those wanted, `gap` apart, within [low, high] where there is room."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [0.0] * len(wanted)
    at = low
    for i in order:
        at = max(wanted[i], at)
        placed[i] = at
        at += gap
    limit = high
    for i in reversed(order):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def centred_mean(x: Array, y: Array, width: float) -> Array:
    """The mean of the points within `width` / 2 of each x, shortened evenly at the ends; x ascending."""
    half = np.minimum(np.minimum(x - x[0], x[-1] - x), width / 2) * (1 + 1e-9)
    good = np.isfinite(y)
    sums = np.concatenate([[0.0], np.cumsum(np.where(good, y, 0.0))])
    counts = np.concatenate([[0], np.cumsum(good)])
    first, last = np.searchsorted(x, x - half, "left"), np.searchsorted(x, x + half, "right")
    number = counts[last] - counts[first]
    means: Array = np.where(number > 0, (sums[last] - sums[first]) / np.maximum(number, 1), np.nan)
    return means


def thinned(x: Array, y: Array, columns: int) -> tuple[Array, Array]:
    """At most two points a pixel column: the lowest and the highest, in their order; gaps (nan) are kept as one nan."""
    if len(x) <= 2 * columns:
        return x, y
    column = np.minimum(((x - x[0]) / (x[-1] - x[0]) * columns).astype(int), columns - 1)
    keep: set[int] = {0, len(x) - 1}
    edges = np.flatnonzero(np.diff(column, prepend=-1, append=columns))
    for start, end in pairwise(edges.tolist()):
        part = y[start:end]
        good = np.flatnonzero(np.isfinite(part))
        if len(good) < len(part):
            keep.add(int(start + np.flatnonzero(~np.isfinite(part))[0]))
        if len(good):
            keep |= {int(start + good[np.argmin(part[good])]), int(start + good[np.argmax(part[good])])}
    chosen = sorted(keep)
    return x[chosen], y[chosen]


class Canvas:
    """One SVG being drawn. Text is escaped here and nowhere else."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line; hairlines are put on whole pixels by their class."""
        self.parts.append(f'<path class="{css}" d="M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}"/>')

    def curve(self, xs: Array, ys: Array, css: str) -> None:
        """A line through the points; nan breaks it, and a lone point between breaks is a dot."""
        pieces, pen_down = [], False
        for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
            if math.isnan(y) or math.isnan(x):
                pen_down = False
                continue
            pieces.append(f"{'L' if pen_down else 'M'}{_n(x)} {_n(y)}" + ("" if pen_down else "h0"))
            pen_down = True
        if pieces:
            self.parts.append(f'<path class="{css}" d="{"".join(pieces)}"/>')

    def band(self, xs: Array, lows: Array, highs: Array, css: str) -> None:
        """The area between two lines."""
        ok = np.isfinite(lows) & np.isfinite(highs)
        there = [f"{_n(x)} {_n(y)}" for x, y in zip(xs[ok], highs[ok], strict=True)]
        back = [f"{_n(x)} {_n(y)}" for x, y in zip(xs[ok][::-1], lows[ok][::-1], strict=True)]
        if there:
            self.parts.append(f'<path class="{css}" d="M{"L".join(there + back)}Z"/>')

    def dots(self, xs: Array, ys: Array, css: str) -> None:
        """Many round points as one path; their size is the width of the stroke."""
        points = "".join(f"M{_n(x)} {_n(y)}h0" for x, y in zip(xs.tolist(), ys.tolist(), strict=True))
        self.parts.append(f'<path class="{css}" d="{points}"/>')

    def rect(self, x: float, y: float, width: float, height: float, css: str) -> None:
        self.parts.append(
            f'<rect class="{css}" x="{_n(x)}" y="{_n(y)}" width="{_n(max(0, width))}" height="{_n(max(0, height))}"/>'
        )

    def circle(self, x: float, y: float, radius: float, css: str) -> None:
        self.parts.append(f'<circle class="{css}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>')

    def shape(self, x: float, y: float, form: str, css: str) -> None:
        """One of the shapes of the first six series: circle square triangle diamond down plus."""
        r = 4.0
        paths = {
            "square": f"M{_n(x - r)} {_n(y - r)}h{2 * r:g}v{2 * r:g}h{-2 * r:g}Z",
            "triangle": f"M{_n(x)} {_n(y - r - 0.6)}l{r + 0.8:g} {2 * r:g}h{-2 * r - 1.6:g}Z",
            "diamond": f"M{_n(x)} {_n(y - r - 1)}l{r + 1:g} {r + 1:g}l{-r - 1:g} {r + 1:g}l{-r - 1:g} {-r - 1:g}Z",
            "down": f"M{_n(x)} {_n(y + r + 0.6)}l{r + 0.8:g} {-2 * r:g}h{-2 * r - 1.6:g}Z",
            "plus": f"M{_n(x - 1.5)} {_n(y - r - 0.5)}h3v3h3v3h-3v3h-3v-3h-3v-3h3Z",
        }
        if form == "circle":
            self.circle(x, y, r, css)
        else:
            self.parts.append(f'<path class="{css}" d="{paths[form]}"/>')

    def text(self, x: float, y: float, text: str, css: str = "tick", anchor: str = "start") -> None:
        """Text on its baseline; `anchor` start, middle or end."""
        end = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(f'<text class="{css}" x="{_n(x)}" y="{_n(y)}"{end}>{escape(printable(text))}</text>')

    def svg(self, summary: str, css: str = "", data: dict[str, str] | None = None) -> Markup:
        """The whole drawing; `summary` is what a screen reader says of it, `data` becomes data-* attributes."""
        size = f'width="{_n(self.width)}" height="{_n(self.height)}" viewBox="0 0 {_n(self.width)} {_n(self.height)}"'
        extra = "".join(f' data-{name}="{escape(value)}"' for name, value in (data or {}).items())
        spoken = f'role="img" aria-label="{escape(printable(summary))}"' if summary else 'aria-hidden="true"'
        return Markup(f'<svg class="{css}" {size} {spoken}{extra}>{"".join(self.parts)}</svg>')


def _n(value: float) -> str:
    """A pixel with a tenth at most."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
