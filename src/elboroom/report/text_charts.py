"""Two charts of a text run on one kind of panel: a few lines with bands over a log axis of lengths."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from .numbers import written
from .plots import Array, Axis, Canvas, spread, text_width, tick_texts

__all__ = ["Line", "lengths_chart"]

HEIGHT, TOP, BOTTOM = 226.0, 42.0, 48.0


@dataclass(frozen=True)
class Line:
    """One line: x, y, and its band (nan where there is none)."""

    label: str
    css: str
    """c1, c2 ..., or "base" for what needs no network."""
    x: Array
    y: Array
    low: Array
    high: Array
    dots: bool = True


def lengths_chart(
    lines: list[Line],
    width: float,
    *,
    title: str,
    note: str,
    x_title: str,
    summary: str,
    share: bool = False,
    level: tuple[str, float] | None = None,
) -> Markup:
    """Lines over lengths on a log axis; `share`: y is a share on a log axis; `level`: a grey line across."""
    canvas = Canvas(width, HEIGHT)
    canvas.text(0, 12, title, "chart-title")
    canvas.text(0, 28, note, "chart-note")
    xs = np.concatenate([line.x for line in lines])
    y_axis = _y_axis(lines, share, level)
    ticks = [t for t in y_axis.ticks(5) if y_axis.holds(t)]
    texts = [written(t, form="share") for t in ticks] if share else tick_texts(ticks)
    left = max(text_width(t, 11) for t in texts) + 8
    labels = [(line, float(line.y[-1])) for line in lines if line.label]
    right = max([text_width(line.label, 12, bold=True) + 12 for line, _ in labels], default=10)
    x_axis = Axis(float(xs.min()), float(xs.max()), left + 6, width - right, log=True)
    for tick, text in zip(ticks, texts, strict=True):
        canvas.line(left, y_axis(tick), x_axis.end, y_axis(tick), "grid")
        canvas.text(left - 7, y_axis(tick) + 4, text, "tick", "end")
    _x_axis(canvas, x_axis, y_axis, left, x_title)
    if level is not None and y_axis.holds(level[1]):
        canvas.line(left, y_axis(level[1]), x_axis.end, y_axis(level[1]), "base-line")
        text, at = f"{level[0]} {written(level[1], decimals=2)}", y_axis(level[1])
        canvas.text(left + 4, at + (14 if y_axis.start - at > 20 else -5), text, "base-label halo")
    for line in lines:
        _line(canvas, line, x_axis, y_axis)
    places = spread([y_axis(y) for _, y in labels], 15, TOP + 4, y_axis.start - 4)
    for (line, y), place in zip(labels, places, strict=True):
        at = x_axis(float(line.x[-1]))
        if abs(place - y_axis(y)) > 4:
            canvas.line(at + 5, y_axis(y), x_axis.end + 6, place, "hair")
        css = "base-label" if line.css == "base" else f"end {line.css}-text"
        canvas.text(x_axis.end + 8, place + 4, line.label, f"{css} halo")
    return canvas.svg(summary, "panel")


def _y_axis(lines: list[Line], share: bool, level: tuple[str, float] | None) -> Axis:
    values = np.concatenate([part for line in lines for part in (line.y, line.low, line.high)])
    values = values[np.isfinite(values)]
    if share:
        values = values[values > 0]
        low = float(values.min()) if len(values) else 0.1
        return Axis(min(0.1, low / 1.5), 1.0, HEIGHT - BOTTOM, TOP, log=True)
    ends = [float(values.min()), float(values.max())]
    if level is not None:
        ends.append(level[1])
    room = (max(ends) - min(ends)) * 0.08 or 0.5
    return Axis(min(ends) - room, max(ends) + room, HEIGHT - BOTTOM, TOP)


def _x_axis(canvas: Canvas, x_axis: Axis, y_axis: Axis, left: float, title: str) -> None:
    base = y_axis.start
    canvas.line(left, base, x_axis.end, base, "axis")
    first, last = math.ceil(math.log2(x_axis.low) - 1e-9), math.floor(math.log2(x_axis.high) + 1e-9)
    powers = list(range(first, last + 1))
    every = max(1, math.ceil(len(powers) * 40 / (x_axis.end - x_axis.start)))
    for tick in (2.0**p for p in powers[::every]):
        canvas.line(x_axis(tick), base, x_axis(tick), base + 4, "axis")
        canvas.text(x_axis(tick), base + 17, written(tick, form="count"), "tick", "middle")
    canvas.text(x_axis.end, base + 33, title, "tick", "end")


def _line(canvas: Canvas, line: Line, x_axis: Axis, y_axis: Axis) -> None:
    xs = x_axis.place(line.x)
    low, high = (y_axis.place(np.clip(v, y_axis.low, y_axis.high)) for v in (line.low, line.high))
    if line.css == "base":
        canvas.band(xs, low, high, "base-band")
        canvas.curve(xs, y_axis.place(line.y), "base-line")
        return
    canvas.band(xs, low, high, f"{line.css} band")
    canvas.curve(xs, y_axis.place(line.y), f"line mean {line.css}")
    for x, y in zip(xs.tolist(), y_axis.place(line.y).tolist(), strict=True):
        if line.dots and math.isfinite(y):
            canvas.circle(x, y, 2.6, f"{line.css} fill")
