"""Panels and strips under each other over one axis of time: what the figures of the page of `detect` are drawn with.

Every panel shares the x axis, so that what happens at one time stands in one upright line. Shades run through all of
them; numbered badges stand above.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from .detection_time import Clock, Tick
from .drawing import Cells
from .heat import LEVELS
from .plots import Array, Axis, Canvas, text_width, tick_texts

__all__ = ["Badge", "Heat", "Marks", "Panel", "Shade", "Stack"]

Paint = Callable[[Canvas, Axis, Axis], None]
RIGHT = 10.0
BADGE_ROWS = 2
STRIP = 12.0


@dataclass(frozen=True)
class Shade:
    """A stretch of the axis behind all panels; one with a name is named above them."""

    low: float
    high: float
    css: str
    name: str = ""


@dataclass(frozen=True)
class Badge:
    """A number above a stretch; where there is no room for all, the first ones given have it."""

    number: int
    low: float
    high: float


@dataclass(frozen=True)
class Panel:
    """A quantity over time; `paint` draws what is inside."""

    title: str
    note: str
    height: float
    low: float
    high: float
    paint: Paint
    log: bool = False

    def axis(self, top: float) -> Axis:
        """Values to pixels, with a little room at both ends."""
        pad = (self.high / self.low) ** 0.05 if self.log else (self.high - self.low) * 0.06
        ends = (self.low / pad, self.high * pad) if self.log else (self.low - pad, self.high + pad)
        return Axis(*ends, top + self.height, top, log=self.log)


@dataclass(frozen=True)
class Marks:
    """A strip with bars where something holds."""

    name: str
    stretches: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Heat:
    """A strip a name, darker where a value (rows, columns) is higher: paper at `floor`, the last step at `top`."""

    title: str
    names: Sequence[str]
    values: Array
    floor: float
    top: float


@dataclass
class Stack:
    """The figure: give it panels and strips, then draw it."""

    clock: Clock
    low: float
    high: float
    width: float
    panels: list[Panel] = field(default_factory=list)
    marks: list[Marks] = field(default_factory=list)
    heat: Heat | None = None
    shades: list[Shade] = field(default_factory=list)
    badges: list[Badge] = field(default_factory=list)
    right: float = RIGHT
    reads: bool = False
    """The pointer reads values of the last panel."""

    def drawn(self, summary: str) -> Markup:
        """The figure as SVG."""
        canvas = Canvas(self.width, 0)
        x = Axis(self.low, self.high, self._left(), self.width - self.right)
        top, body = self._header(Canvas(self.width, 0), x), Canvas(self.width, 0)
        at, last = top, (0.0, 0.0)
        for panel in self.panels:
            at += 30 if panel.note else 18
            y = panel.axis(at)
            _frame(body, panel, x, y)
            panel.paint(body, x, y)
            last, at = (y.start, y.end), at + panel.height + 8
        for strip in self.marks:
            _bars(body, strip, x, at)
            at += STRIP + 4
        if self.heat is not None:
            at = _cells(body, self.heat, x, at + 18)
        self._behind(canvas, x, top, at)
        self._header(canvas, x)
        canvas.parts += body.parts
        _time_axis(canvas, x, at, self.clock.ticks(x, max(2, int((x.end - x.start) / 66))))
        canvas.height = at + 38
        return canvas.svg(summary, "panel", self._reading(x, last) if self.reads else None)

    def _reading(self, x: Axis, y: tuple[float, float]) -> dict[str, str]:
        """What the page's script needs: x in the units that are read, and where the last panel lies."""
        first, size = float(self.clock.x[0]), self.clock.unit_size
        ends = (x.low - first) / size, (x.high - first) / size
        return {"x": f"{ends[0]!r} {ends[1]!r} {x.start:g} {x.end:g}", "y": f"0 1 {y[0]:g} {y[1]:g} 0"}

    def _left(self) -> float:
        """Room for the widest text left of the axis."""
        texts = [t for p in self.panels for t in tick_texts(_y_ticks(p, p.axis(0)))]
        names = [*(m.name for m in self.marks), *(self.heat.names if self.heat else ())]
        return max([text_width(t, 11) for t in [*texts, *names]], default=30) + 10

    def _header(self, canvas: Canvas, x: Axis) -> float:
        """Names of the shades and numbers of the events above the panels; gives where the panels begin."""
        at = 0.0
        named = [s for s in self.shades if s.name]
        if named:
            at = 16.0
            for shade, place in zip(named, _apart(named, x, self.width), strict=True):
                low, high = x(max(shade.low, x.low)) + 1, x(min(shade.high, x.high)) - 1
                canvas.line(low, at, high, at, "axis")
                canvas.line(low, at - 3, low, at + 3, "axis")
                canvas.line(high, at - 3, high, at + 3, "axis")
                canvas.text(place, at - 6, shade.name, "tick", "middle")
            at += 8
        if self.badges:
            at = self._numbers(canvas, x, at)
        return at

    def _numbers(self, canvas: Canvas, x: Axis, top: float) -> float:
        """Badges in two rows at most."""
        taken: list[list[tuple[float, float]]] = [[] for _ in range(BADGE_ROWS)]
        used = 0
        for badge in self.badges:
            radius = 5.0 + 3.2 * len(str(badge.number))
            middle = x(min(max((badge.low + badge.high) / 2, x.low), x.high))
            for row, others in enumerate(taken):
                if all(abs(middle - other) >= radius + size + 1 for other, size in others):
                    others.append((middle, radius))
                    at = top + 11 + 20 * row
                    canvas.circle(middle, at, min(radius, 10), "badge")
                    canvas.text(middle, at + 4, str(badge.number), "badge-text", "middle")
                    used = max(used, row + 1)
                    break
        return top + 4 + 20 * used

    def _behind(self, canvas: Canvas, x: Axis, top: float, bottom: float) -> None:
        for shade in self.shades:
            low, high = x(max(shade.low, x.low)), x(min(shade.high, x.high))
            wide = max(high - low, 2.0 if shade.css == "event" else 0.0)
            canvas.rect((low + high - wide) / 2, top, wide, bottom - top, shade.css)


def _apart(named: Sequence[Shade], x: Axis, width: float) -> list[float]:
    """Middles of the names of shades, as near to the middles of the shades as they can be side by side."""
    halves = [text_width(s.name, 11) / 2 + 3 for s in named]
    places = [x((max(s.low, x.low) + min(s.high, x.high)) / 2) for s in named]
    limit = x.start - 40
    for i, half in enumerate(halves):
        places[i] = max(places[i], limit + half)
        limit = places[i] + half
    limit = width
    for i, half in reversed(list(enumerate(halves))):
        places[i] = min(places[i], limit - half)
        limit = places[i] - half
    return places


def _y_ticks(panel: Panel, y: Axis) -> list[float]:
    return [t for t in y.ticks(5 if panel.height > 90 else 4) if y.holds(t)]


def _frame(canvas: Canvas, panel: Panel, x: Axis, y: Axis) -> None:
    top = y.end
    canvas.text(x.start, top - (18 if panel.note else 5), panel.title, "chart-title halo")
    if panel.note:
        canvas.text(x.start, top - 5, panel.note, "chart-note halo")
    ticks = _y_ticks(panel, y)
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        canvas.line(x.start, y(tick), x.end, y(tick), "grid")
        canvas.text(x.start - 7, y(tick) + 4, text, "tick", "end")


def _bars(canvas: Canvas, strip: Marks, x: Axis, top: float) -> None:
    canvas.text(x.start - 7, top + 9, strip.name, "tick", "end")
    canvas.rect(x.start, top, x.end - x.start, STRIP - 2, "strip")
    for low, high in strip.stretches:
        begin, end = x(max(low, x.low)), x(min(high, x.high))
        wide = max(end - begin, 1.5)
        canvas.rect((begin + end - wide) / 2, top, wide, STRIP - 2, "labelled-rows")


def _cells(canvas: Canvas, heat: Heat, x: Axis, top: float) -> float:
    """Strips of colour; gives where they end."""
    canvas.text(x.start, top - 4, heat.title, "chart-note halo")
    rows, columns = heat.values.shape
    with np.errstate(invalid="ignore"):
        shares = np.clip((heat.values - heat.floor) / max(heat.top - heat.floor, 1e-300), 0, 1)
    steps = np.where(np.isfinite(shares), np.rint(np.nan_to_num(shares) * LEVELS), -1).astype(np.int64)
    canvas.parts.append(Cells(x.start, top, (x.end - x.start) / columns, STRIP, steps).svg(alone=False))
    for i, name in enumerate(heat.names):
        canvas.text(x.start - 7, top + STRIP * i + 10, name, "tick", "end")
    return top + STRIP * rows


def _time_axis(canvas: Canvas, x: Axis, base: float, ticks: list[Tick]) -> None:
    """Ticks with their texts; on a second line what changed, where there is room for it."""
    canvas.line(x.start, base, x.end, base, "axis")
    placed: list[tuple[float, float, str]] = []
    for i, tick in enumerate(ticks):
        at = x(tick.at)
        canvas.line(at, base, at, base + 4, "axis")
        half = text_width(tick.text, 11) / 2
        canvas.text(min(at, canvas.width - half), base + 17, tick.text, "tick", "middle")
        if tick.second:
            wide = text_width(tick.second, 11)
            middle = min(max(at, wide / 2), canvas.width - wide / 2)
            if placed and middle - wide / 2 < placed[-1][1] + 6:
                if len(placed) > 1 or i > 2:
                    continue
                placed.pop()
            placed.append((middle, middle + wide / 2, tick.second))
    for middle, _, text in placed:
        canvas.text(middle, base + 31, text, "tick", "middle")
