"""The drawings that are not lines over epochs: interval marks, rate bars, bound over K, code map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from .numbers import written
from .plots import Array, Axis, Canvas, text_width, tick_texts

__all__ = ["SHAPES", "Dot", "bar_chart", "bound_chart", "code_map", "logo", "mark", "mark_axis"]

SHAPES = ("circle", "square", "triangle", "diamond", "down", "plus")
SLOTS = 10
FEW_POINTS = 500
LINE = 15.0
"""Height of a class name."""
LONGEST_BAND = 5
"""The axis of a mark is at least this many times as long as its widest interval."""


@dataclass(frozen=True)
class Dot:
    """One value on an interval mark; without an interval it is hollow."""

    value: float
    low: float | None = None
    high: float | None = None


def logo() -> Markup:
    """The sign of the house: a dot with room between two walls."""
    canvas = Canvas(16, 12)
    canvas.line(2, 1, 2, 11, "wall")
    canvas.line(14, 1, 14, 11, "wall")
    canvas.line(2, 6, 14, 6, "wall")
    canvas.circle(8, 6, 2.6, "c1 fill")
    return canvas.svg("", "logo")


def mark_axis(values: list[float], width: float, widest: float = 0.0) -> Axis | None:
    """One axis for all marks of a unit; log where all are above 0 and span more than a factor 10.

    `widest` is the widest interval among them: the axis is at least some times as long, so that a band reads as one.
    """
    good = [v for v in values if math.isfinite(v)]
    if not good:
        return None
    low, high = min(good), max(good)
    if low > 0 and high / low > 10:
        room = (high / low) ** 0.08
        return Axis(low / room, high * room, 4, width - 4, log=True)
    room = max((high - low) * 0.08, (LONGEST_BAND * widest - (high - low)) / 2) or abs(low) * 0.5 or 0.5
    return Axis(low - room, high + room, 4, width - 4)


def mark(
    dots: list[Dot], references: list[float], axis: Axis | None, width: float, reasons: list[str] | None = None
) -> Markup:
    """The interval mark: hairline, wide pale band, dot; grey ticks for references; one line a dot.

    `reasons` stand on the lines of dots that have no value.
    """
    step = 13.0
    height = max(18.0, step * len(dots) + 5)
    canvas = Canvas(width, height)
    if axis is None:
        return Markup("")
    for reference in references:
        if axis.holds(reference):
            canvas.line(axis(reference), 2, axis(reference), height - 2, "ref")
    for i, (dot, reason) in enumerate(zip(dots, reasons or [""] * len(dots), strict=True)):
        y = height / 2 if len(dots) == 1 else 2.5 + step * (i + 0.5)
        slot = f"c{i % 6 + 1}"
        if reason and not math.isfinite(dot.value):
            canvas.text(4, y + 4, reason, "chart-note")
            continue
        canvas.line(0, y, width, y, "hair")
        if dot.low is not None and dot.high is not None and axis.holds(dot.value):
            start, end = axis(max(dot.low, axis.low)), axis(min(dot.high, axis.high))
            canvas.rect(min(start, axis(dot.value) - 1), y - 3, max(end - start, 2), 6, f"{slot} interval")
        if axis.holds(dot.value):
            hollow = dot.low is None or dot.high is None
            canvas.shape(axis(dot.value), y, SHAPES[i % 6], f"{slot} {'ring' if hollow else 'fill'}")
    return canvas.svg("", "mark")


def bar_chart(values: Array, lows: Array, highs: Array, unused: int, width: float, summary: str, title: str) -> Markup:
    """Bars from 0, sorted, each with its whisker; the last `unused` are outlines with a word over them."""
    height, top, bottom = 206.0, 34.0, 34.0
    canvas = Canvas(width, height)
    canvas.text(0, 12, title, "chart-title")
    y_axis = Axis(0, float(np.nanmax(np.concatenate([values, highs]))) * 1.05 or 1.0, height - bottom, top)
    ticks = y_axis.ticks(5)
    texts = tick_texts(ticks)
    left = max(text_width(t, 11) for t in texts) + 8
    for tick, text in zip(ticks, texts, strict=True):
        canvas.line(left, y_axis(tick), width, y_axis(tick), "grid")
        canvas.text(left - 7, y_axis(tick) + 4, text, "tick", "end")
    slot = (width - left - 2) / len(values)
    for i, value in enumerate(values.tolist()):
        x, wide = left + 2 + i * slot, max(slot - min(3, slot * 0.25), 0.6)
        if i >= len(values) - unused:
            canvas.rect(x, y_axis.start - 3, wide, 3, "unused")
            continue
        canvas.rect(x, y_axis(value), wide, y_axis.start - y_axis(value), "c1 fill")
        if math.isfinite(float(lows[i])) and slot >= 4:
            middle = x + wide / 2
            canvas.line(middle, y_axis(float(lows[i])), middle, y_axis(float(highs[i])), "whisker")
    canvas.line(left, y_axis.start, width, y_axis.start, "axis")
    canvas.text(left, y_axis.start + 17, f"sorted, 1 to {len(values)}", "tick")
    if unused:
        text = f"{unused} unused"
        under = int((text_width(text, 12, bold=True) + 6) / slot) + 1
        tallest = float(np.nanmax(np.concatenate([values[-under:], highs[-under:], [0.0]])))
        canvas.text(width, min(y_axis(tallest), y_axis.start - 5) - 7, text, "label strong halo", "end")
    return canvas.svg(summary, "panel")


def bound_chart(k: Array, value: Array, low: Array, high: Array, width: float, summary: str, title: str) -> Markup:
    """The importance-weighted bound over K, with whiskers and band, on a log axis of K."""
    height, top, bottom = 206.0, 34.0, 48.0
    canvas = Canvas(width, height)
    canvas.text(0, 12, title, "chart-title")
    everything = np.concatenate([value, low, high])
    everything = everything[np.isfinite(everything)]
    room = float(everything.max() - everything.min()) * 0.2 or 0.5
    y_axis = Axis(float(everything.min()) - room, float(everything.max()) + room, height - bottom, top)
    ticks = y_axis.ticks(5)
    texts = tick_texts(ticks)
    left = max(text_width(t, 11) for t in texts) + 8
    x_axis = Axis(float(k[0]), float(k[-1]), left + 6, width - 16, log=bool(k[-1] > k[0] > 0))
    for tick, text in zip(ticks, texts, strict=True):
        canvas.line(left, y_axis(tick), width, y_axis(tick), "grid")
        canvas.text(left - 7, y_axis(tick) + 4, text, "tick", "end")
    canvas.line(left, y_axis.start, width, y_axis.start, "axis")
    decades = [float(10**p) for p in range(int(math.log10(k[0])), int(math.log10(k[-1])) + 1)]
    ends = [v for v in decades if abs(x_axis(v) - x_axis(float(k[-1]))) > 40] + [float(k[-1])]
    for tick in ends:
        canvas.line(x_axis(tick), y_axis.start, x_axis(tick), y_axis.start + 4, "axis")
        canvas.text(x_axis(tick), y_axis.start + 17, written(tick, form="count"), "tick", "middle")
    canvas.text(width, y_axis.start + 33, "importance samples K, log axis", "tick", "end")
    xs = x_axis.place(k)
    canvas.band(xs, y_axis.place(low), y_axis.place(high), "c1 band")
    canvas.curve(xs, y_axis.place(value), "line mean c1")
    for x, v, a, b in zip(xs.tolist(), value.tolist(), low.tolist(), high.tolist(), strict=True):
        if math.isfinite(a) and math.isfinite(b):
            canvas.line(x, y_axis(a), x, y_axis(b), "line mean c1")
        canvas.circle(x, y_axis(v), 3, "c1 fill")
    under = float(low[0]) if math.isfinite(low[0]) else float(value[0])
    canvas.text(xs[0] - 6, y_axis(under) + 14, "ELBO, K = 1" if k[0] == 1 else f"K = {k[0]:g}", "label halo")
    last = written(float(value[-1]), _maybe(low[-1]), _maybe(high[-1]))
    canvas.text(
        width - 4, y_axis(float(high[-1] if math.isfinite(high[-1]) else value[-1])) - 8, last, "end c1-text", "end"
    )
    return canvas.svg(summary, "panel")


def _maybe(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def code_map(
    points: Array,
    groups: list[tuple[str, Array]],
    names: tuple[str, str],
    width: float,
    summary: str,
    prior: float,
    under: Array | None = None,
) -> Markup:
    """Points by class on one scale for both axes, class names at the median of each cloud.

    `groups` holds (name, boolean mask) in drawing order; the first nine have colours of their own, the rest are grey.
    `prior` is the radius of a dashed circle about 0; 0 draws none. `under` are points of another law, grey, beneath.
    """
    margin, bottom = 34.0, 34.0
    both = points if under is None else np.concatenate([points, under])
    low, high = both.min(axis=0), both.max(axis=0)
    if prior:
        low, high = np.minimum(low, -prior), np.maximum(high, prior)
    extent = np.maximum(high - low, 1e-9)
    plot = width - margin - 4
    tall = float(np.clip(plot * extent[1] / extent[0], plot * 0.5, plot))
    per_pixel = float(max(extent[0] / plot, extent[1] / tall)) * 1.04
    middle = (low + high) / 2
    half = (plot * per_pixel / 2, tall * per_pixel / 2)
    canvas = Canvas(width, tall + bottom + 28)
    x_axis = Axis(middle[0] - half[0], middle[0] + half[0], margin, margin + plot)
    y_axis = Axis(middle[1] - half[1], middle[1] + half[1], tall + 24, 24)
    _map_axes(canvas, x_axis, y_axis, names)
    if prior:
        radius = x_axis(prior) - x_axis(0)
        canvas.circle(x_axis(0), y_axis(0), radius, "dash")
    size = " few" if len(points) < FEW_POINTS else ""
    if under is not None:
        canvas.dots(x_axis.place(under[:, 0]), y_axis.place(under[:, 1]), f"points{size} c{SLOTS}")
    for i, (_, mask) in enumerate(groups):
        slot = f"c{i + 1}" if i < SLOTS - 1 else f"c{SLOTS}"
        canvas.dots(x_axis.place(points[mask, 0]), y_axis.place(points[mask, 1]), f"points{size} {slot}")
    medians = [(_cut(name), np.median(points[mask], axis=0)) for name, mask in groups if name]
    wanted = [(x_axis(float(x)), y_axis(float(y)) + 5) for _, (x, y) in medians]
    for (name, _), (x, y) in zip(
        medians, _apart(wanted, [text_width(n, 14, bold=True) for n, _ in medians]), strict=True
    ):
        canvas.text(x, y, name, "class-name halo", "middle")
    return canvas.svg(summary, "panel map")


def _map_axes(canvas: Canvas, x_axis: Axis, y_axis: Axis, names: tuple[str, str]) -> None:
    y_ticks = y_axis.ticks(6)
    for tick, text in zip(y_ticks, tick_texts(y_ticks), strict=True):
        canvas.line(x_axis.start, y_axis(tick), x_axis.end, y_axis(tick), "grid")
        canvas.text(x_axis.start - 6, y_axis(tick) + 4, text, "tick", "end")
    canvas.line(x_axis.start, y_axis.start, x_axis.end, y_axis.start, "axis")
    x_ticks = x_axis.ticks(6)
    for tick, text in zip(x_ticks, tick_texts(x_ticks), strict=True):
        canvas.line(x_axis(tick), y_axis.start, x_axis(tick), y_axis.start + 4, "axis")
        canvas.text(x_axis(tick), y_axis.start + 17, text, "tick", "middle")
    canvas.text(x_axis.end, y_axis.start + 31, names[0], "tick", "end")
    canvas.text(0, 10, names[1], "tick")


def _apart(places: list[tuple[float, float]], widths: list[float]) -> list[tuple[float, float]]:
    """Places moved up or down as little as keeps names from lying on each other."""
    found = list(places)
    for _ in range(20):
        moved = False
        for i in range(len(found)):
            for j in range(i):
                (x1, y1), (x2, y2) = found[i], found[j]
                over = LINE - abs(y1 - y2)
                if over > 0 and abs(x1 - x2) < (widths[i] + widths[j]) / 2:
                    step = over / 2 + 0.1
                    up = step if y1 < y2 or (y1 == y2 and i < j) else -step
                    found[i], found[j] = (x1, y1 - up), (x2, y2 + up)
                    moved = True
        if not moved:
            break
    return found


def _cut(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"
