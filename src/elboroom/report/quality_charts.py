"""The drawings of sample quality: a model between ceiling and floors, distance over 1/N, what truncation trades."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from .figures import SHAPES, Dot
from .numbers import beside, decimals_for, written
from .plots import Axis, Canvas, text_width, tick_texts

__all__ = ["Rung", "by_truncation", "key_shape", "ladder", "over_n", "trade"]

TOP, BOTTOM = 40.0, 44.0
RUNG = 62.0
"""Height of one measure of a ladder."""
LOG_FACTOR = 10.0
APART = 46.0
"""Fewest pixels between two numbers of an axis of 1/N."""


@dataclass(frozen=True)
class Rung:
    """One measure: the model, and (place among the reference rows, value) of what bounds it."""

    title: str
    better: str
    model: Dot
    others: list[tuple[int, Dot]]


def key_shape(place: int) -> Markup:
    """The sign of a reference row as a small drawing; place -1 is the model, 0 the ceiling."""
    canvas = Canvas(13, 13)
    _sign(canvas, place, 6.5, 6.5)
    return canvas.svg("", "key")


def _sign(canvas: Canvas, place: int, x: float, y: float) -> None:
    """A filled dot for the model, an upright for the ceiling, hollow shapes for the floors."""
    if place < 0:
        canvas.circle(x, y, 4, "c1 fill")
    elif place == 0:
        canvas.line(x, y - 6, x, y + 6, "ref")
    else:
        canvas.shape(x, y, SHAPES[1 + (place - 1) % (len(SHAPES) - 1)], "base-line ring")


def ladder(rungs: list[Rung], width: float, summary: str) -> Markup:
    """One line a measure, each with its own axis: the model's value and interval among ceiling and floors."""
    canvas = Canvas(width, RUNG * len(rungs) - 4)
    for i, rung in enumerate(rungs):
        top = RUNG * i
        known = [rung.model, *(dot for _, dot in rung.others)]
        scale = _rung_scale(known, rung.better, width)
        axis = scale.place
        note = f"{rung.better} is better" + (f", {scale.name} axis" if scale.name else "")
        canvas.text(0, top + 12, rung.title, "chart-title")
        canvas.text(text_width(rung.title, 12) + 8, top + 12, note, "chart-note")
        model = rung.model
        canvas.text(width, top + 12, written(model.value, model.low, model.high), "end c1-text", "end")
        y = top + 30
        canvas.line(7, y, width - 7, y, "hair")
        for tick, text in scale.ticks(max(3, int(width / 110))):
            canvas.line(axis(tick), y + 8, axis(tick), y + 12, "axis")
            half = text_width(text, 11) / 2
            canvas.text(min(max(axis(tick), half), width - half), y + 23, text, "tick", "middle")
        for place, dot in rung.others:
            if dot.low is not None and dot.high is not None:
                canvas.line(axis(dot.low), y, axis(dot.high), y, "base-line")
            _sign(canvas, place, axis(dot.value), y)
        if model.low is not None and model.high is not None:
            start, end = axis(model.low), axis(model.high)
            canvas.rect(min(start, axis(model.value) - 1), y - 4, max(end - start, 2), 8, "c1 interval")
        hollow = model.low is None or model.high is None
        canvas.circle(axis(model.value), y, 4, "c1 ring" if hollow else "c1 fill")
    return canvas.svg(summary, "panel")


@dataclass(frozen=True)
class Scale:
    """Where the values of a rung lie: on an even axis, on a log one, or on that of asinh(value / unit)."""

    axis: Axis
    name: str = ""
    unit: float = 0.0
    """Of an asinh axis: about even below it, about log above, through 0 and below."""

    def place(self, value: float) -> float:
        """The pixel of a value; what lies beyond an end is put there."""
        at = math.asinh(value / self.unit) if self.unit else value
        return self.axis(min(max(at, self.axis.low), self.axis.high))

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """(value, text), far enough apart to be read."""
        if not self.unit:
            ticks = [t for t in self.axis.ticks(most) if self.axis.holds(t)]
            return list(zip(ticks, tick_texts(ticks), strict=True))
        power = math.floor(math.log10(self.unit))
        wanted = [0.0, *(sign * 10.0**p for p in range(power + 4, power - 1, -1) for sign in (1, -1))]
        kept: list[float] = []
        for value in wanted:
            inside = self.axis.low <= math.asinh(value / self.unit) <= self.axis.high
            if inside and all(abs(self.place(value) - self.place(other)) > 44 for other in kept):
                kept.append(value)
        return [(value, written(value)) for value in sorted(kept)]


def _rung_scale(known: list[Dot], better: str, width: float) -> Scale:
    """Shares lie evenly. Distances that span much do not: a log axis where all are above 0, else that of asinh."""
    values = [v for dot in known for v in (dot.value, dot.low, dot.high) if v is not None and math.isfinite(v)]
    low, high, smallest = min(values), max(values), min(dot.value for dot in known)
    if better == "less" and smallest > 0 and max(dot.value for dot in known) / smallest > LOG_FACTOR:
        low = smallest if low <= 0 else low
        room = (high / low) ** 0.04
        return Scale(Axis(low / room, high * room, 7, width - 7, log=True), "log")
    unit = 0.0
    if better == "less" and smallest <= 0 < high and len(known) > 2:
        unit = high / 100
        low, high = math.asinh(low / unit), math.asinh(high / unit)
    room = (high - low) * 0.04 or abs(low) * 0.1 or 0.1
    return Scale(Axis(low - room, high + room, 7, width - 7), "asinh" if unit else "", unit)


def over_n(points: list[tuple[float, float]], limit: float, error: float, width: float, summary: str) -> Markup:
    """Fréchet distance against 1/N with its straight line and where that meets N without end; `error` may be nan."""
    height = 226.0
    canvas = Canvas(width, height)
    canvas.text(0, 12, "Fréchet distance by number of samples", "chart-title")
    canvas.text(0, 28, "less is better; axis of 1/N, to the left more samples", "chart-note")
    x, y = (np.array(v, dtype=np.float64) for v in zip(*points, strict=True))
    inverse = 1 / x
    slope = float((inverse * (y - limit)).sum() / (inverse**2).sum())
    spread = error if math.isfinite(error) else 0.0
    ends = [*y.tolist(), limit - spread, limit + spread]
    room = (max(ends) - min(ends)) * 0.1 or abs(limit) * 0.1 or 0.5
    y_axis = Axis(min(ends) - room, max(ends) + room, height - BOTTOM, TOP)
    left = _y_ticks(canvas, y_axis, width)
    x_axis = Axis(0.0, float(inverse.max()), left + 12, width - 26)
    base = y_axis.start
    canvas.line(left, base, width, base, "axis")
    placed = [(x_axis(0.0), "∞")]
    for n in sorted(x.tolist()):
        at = x_axis(1 / n)
        if all(abs(at - other) >= APART for other, _ in placed):
            placed.append((at, written(n, form="count")))
    for at, text in placed:
        canvas.line(at, base, at, base + 4, "axis")
        canvas.text(at, base + 17, text, "tick", "middle")
    canvas.text(width, base + 33, "samples N", "tick", "end")
    canvas.line(x_axis(0.0), y_axis(limit), x_axis.end, y_axis(limit + slope * x_axis.high), "line thin c1")
    for px, py in zip(x_axis.place(inverse).tolist(), y_axis.place(y).tolist(), strict=True):
        canvas.circle(px, py, 3, "c1 fill")
    at = x_axis(0.0)
    if spread:
        canvas.line(at, y_axis(limit - spread), at, y_axis(limit + spread), "line mean c1")
    canvas.circle(at, y_axis(limit), 4, "c1 ring")
    ends_text = (limit - spread, limit + spread) if spread else (None, None)
    text = f"limit {written(limit, *ends_text)}"
    canvas.text(at + 10, y_axis(limit) + (17 if slope >= 0 else -9), text, "end c1-text halo")
    return canvas.svg(summary, "panel")


def trade(points: list[tuple[str, Dot, Dot]], names: tuple[str, str], width: float, summary: str) -> Markup:
    """Fidelity (upright) against variety (across), one point a truncation with its name, joined in their order."""
    height = 226.0
    canvas = Canvas(width, height)
    canvas.text(0, 12, f"{names[1]} against {names[0].lower()}", "chart-title")
    canvas.text(0, 28, "more is better in both", "chart-note")
    y_axis = Axis(*_room([y for _, _, y in points]), height - BOTTOM, TOP)
    left = _y_ticks(canvas, y_axis, width - 8)
    x_axis = Axis(*_room([x for _, x, _ in points]), left + 6, width - 30)
    base = y_axis.start
    canvas.line(left, base, width - 8, base, "axis")
    ticks = [t for t in x_axis.ticks(5) if x_axis.holds(t)]
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        canvas.line(x_axis(tick), base, x_axis(tick), base + 4, "axis")
        canvas.text(x_axis(tick), base + 17, text, "tick", "middle")
    canvas.text(width - 8, base + 33, names[0].lower(), "tick", "end")
    xs, ys = np.array([x_axis(x.value) for _, x, _ in points]), np.array([y_axis(y.value) for _, _, y in points])
    canvas.curve(xs, ys, "line thin c1")
    for (_, x, y), px, py in zip(points, xs.tolist(), ys.tolist(), strict=True):
        _whisker(canvas, y, y_axis, px, upright=True)
        _whisker(canvas, x, x_axis, py, upright=False)
        canvas.circle(px, py, 3, "c1 fill")
    taken: list[tuple[float, float]] = []
    for (name, _, _), px, py in zip(points, xs.tolist(), ys.tolist(), strict=True):
        if all(abs(px - a) > 30 or abs(py - b) > 13 for a, b in taken):
            taken.append((px, py))
            over = px + 7 + text_width(name, 12) > width
            canvas.text(px + (7 if not over else -7), py - 5, name, "label halo", "end" if over else "start")
    return canvas.svg(summary, "panel")


def _whisker(canvas: Canvas, dot: Dot, axis: Axis, at: float, *, upright: bool) -> None:
    if dot.low is None or dot.high is None:
        return
    low, high = axis(max(dot.low, axis.low)), axis(min(dot.high, axis.high))
    canvas.line(*((at, low, at, high) if upright else (low, at, high, at)), "line thin c1")


def _room(dots: list[Dot]) -> tuple[float, float]:
    values = [v for d in dots for v in (d.value, d.low, d.high) if v is not None and math.isfinite(v)]
    room = (max(values) - min(values)) * 0.08 or 0.05
    return min(values) - room, max(values) + room


def by_truncation(names: list[str], dots: list[Dot | None], title: str, better: str, width: float) -> Markup:
    """One measure at each truncation, evenly apart in the order given."""
    height = 226.0
    canvas = Canvas(width, height)
    known = [d for d in dots if d is not None]
    canvas.text(0, 12, title, "chart-title")
    canvas.text(0, 28, f"{better} is better", "chart-note")
    y_axis = Axis(*_room(known), height - BOTTOM, TOP)
    left = _y_ticks(canvas, y_axis, width - 8)
    base = y_axis.start
    canvas.line(left, base, width - 8, base, "axis")
    step = (width - 8 - left) / len(names)
    xs = np.array([left + (i + 0.5) * step for i in range(len(names))])
    every = max(1, math.ceil(max(text_width(n, 11) + 6 for n in names) / step))
    for i, (x, name) in enumerate(zip(xs.tolist(), names, strict=True)):
        canvas.line(x, base, x, base + 4, "axis")
        if (len(names) - 1 - i) % every == 0:
            half = text_width(name, 11) / 2
            canvas.text(min(x, width - half), base + 17, name, "tick", "middle")
    canvas.text(width - 8, base + 33, "truncation", "tick", "end")
    ys = np.array([math.nan if d is None else y_axis(d.value) for d in dots])
    canvas.curve(xs, ys, "line thin c1")
    said = []
    for name, dot, x, y in zip(names, dots, xs.tolist(), ys.tolist(), strict=True):
        if dot is not None:
            _whisker(canvas, dot, y_axis, x, upright=True)
            canvas.circle(x, y, 3, "c1 fill")
            said.append(f"{beside(dot.value, decimals_for(dot.value, dot.low, dot.high))} at {name}")
    return canvas.svg(f"{title}: {', '.join(said)}.", "panel")


def _y_ticks(canvas: Canvas, y_axis: Axis, end: float) -> float:
    """Hairlines and their numbers; where the plot begins."""
    ticks = [t for t in y_axis.ticks(5) if y_axis.holds(t)]
    texts = tick_texts(ticks)
    left = max([text_width(t, 11) for t in texts], default=20.0) + 8
    for tick, text in zip(ticks, texts, strict=True):
        canvas.line(left, y_axis(tick), end, y_axis(tick), "grid")
        canvas.text(left - 7, y_axis(tick) + 4, text, "tick", "end")
    return left
