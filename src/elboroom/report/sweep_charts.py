"""The drawings of a sweep: a measure over one swept setting, and distortion over rate.

A mark is the mean over seeds with its 95 % interval, hollow where one seed has none; thin dots are the runs themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from .figures import SHAPES, Dot
from .plots import Array, Axis, Canvas, spread, text_width, tick_texts

__all__ = ["COLORS", "Line", "Place", "over_setting", "rate_distortion"]

COLORS = 6
"""Lines with a colour and a shape of their own."""
HEIGHT, TOP, BOTTOM = 206.0, 44.0, 36.0


@dataclass
class Place:
    """One setting: where it lies along x, its mean, and the value of each run."""

    at: float
    dot: Dot
    values: list[float] = field(default_factory=list)


@dataclass
class Line:
    """Settings that share all but the one along x."""

    name: str
    places: list[Place]


def over_setting(
    lines: Sequence[Line], width: float, title: str, x_name: str, names: Sequence[str], summary: str
) -> Markup:
    """A measure over one setting; `names`: what stands at x = 0, 1, ... where the setting is no number."""
    canvas = Canvas(width, HEIGHT)
    canvas.text(0, 12, title, "chart-title")
    places = [place for line in lines for place in line.places]
    y_axis = _y_axis([v for p in places for v in (p.dot.value, p.dot.low, p.dot.high, *p.values) if v is not None])
    left = _y_ticks(canvas, y_axis, width)
    along = sorted({p.at for p in places})
    log = not names and along[0] > 0 and along[-1] / along[0] > 10
    room = max(text_width(line.name, 11) for line in lines) + 12 if len(lines) > 1 else 14
    x_axis = Axis(along[0], along[-1], left + 12, max(width - room, left + 60), log=log)
    ticks = [float(i) for i in range(len(names))] if names else along if len(along) <= 7 else x_axis.ticks(6)
    texts = list(names) if names else [f"{t:g}" for t in ticks]
    _x_ticks(canvas, x_axis, ticks, texts, width)
    canvas.line(left, y_axis.start, width, y_axis.start, "axis")
    canvas.text(width, HEIGHT - 3, x_name + (", log axis" if log else ""), "tick", "end")
    shift = np.linspace(-3, 3, len(lines)) if len(lines) > 1 else [0.0]
    ends = spread([y_axis(line.places[-1].dot.value) for line in lines], 13, TOP, y_axis.start - 8)
    for i, line in enumerate(lines):
        xs = np.array([x_axis(p.at) + float(shift[i]) for p in line.places])
        ys = np.array([y_axis(p.dot.value) for p in line.places])
        if not names:
            canvas.curve(xs, ys, f"line thin c{i % COLORS + 1}")
        for x, place in zip(xs.tolist(), line.places, strict=True):
            _mark(canvas, y_axis, x, place, i)
        if len(lines) > 1:
            canvas.text(float(xs[-1]) + 10, ends[i] + 4, line.name, "label")
    return canvas.svg(summary, "panel")


def rate_distortion(points: Sequence[tuple[str, Array]], width: float, summary: str, *, joined: bool) -> Markup:
    """Distortion over rate, both in nats: `points` are (setting, (runs, 2) of rate and distortion).

    Slanted grey lines join equal sums: there the bound (the sum, sign turned) is the same. `joined`: the settings are
    values of one number, in order, so a line through their means says something.
    """
    height, bottom = 330.0, 40.0
    canvas = Canvas(width, height)
    canvas.text(0, 12, "Distortion over rate, nats an example", "chart-title")
    canvas.text(0, 28, "grey: equal bound; each dot a run, each shape the mean of a setting", "chart-note")
    every = np.concatenate([xy for _, xy in points])
    low, high = every.min(0), every.max(0)
    pad = np.maximum((high - low) * 0.1, 1e-6 + 0.01 * np.abs(high))
    y_axis = Axis(low[1] - pad[1], high[1] + pad[1], height - bottom, TOP)
    left = _y_ticks(canvas, y_axis, width)
    labels = max(text_width(name, 11) for name, _ in points) + 14
    x_axis = Axis(max(low[0] - pad[0], 0.0), high[0] + pad[0], left + 6, max(width - labels, left + 80))
    ticks = x_axis.ticks(6)
    _x_ticks(canvas, x_axis, ticks, tick_texts(ticks), width, height, bottom)
    canvas.line(left, y_axis.start, width, y_axis.start, "axis")
    canvas.text(width, height - 4, "rate, nats", "tick", "end")
    sums = Axis(x_axis.low + y_axis.low, x_axis.high + y_axis.high, 0, 1).ticks(7)
    for total in sums:
        ends = sorted({min(max(x, x_axis.low), x_axis.high) for x in (total - y_axis.low, total - y_axis.high)})
        if len(ends) == 2:
            canvas.line(x_axis(ends[0]), y_axis(total - ends[0]), x_axis(ends[1]), y_axis(total - ends[1]), "grid")
    means = np.array([xy.mean(0) for _, xy in points])
    if joined:
        canvas.curve(x_axis.place(means[:, 0]), y_axis.place(means[:, 1]), "line thin c10")
    places = spread([y_axis(float(y)) for y in means[:, 1]], 13, TOP, y_axis.start - 8)
    for i, (name, xy) in enumerate(points):
        slot = f"c{i % COLORS + 1}"
        canvas.dots(x_axis.place(xy[:, 0]), y_axis.place(xy[:, 1]), f"points few {slot}")
        x, y = x_axis(float(means[i, 0])), y_axis(float(means[i, 1]))
        canvas.shape(x, y, SHAPES[i % len(SHAPES)], f"{slot} ring")
        canvas.text(x + 9, places[i] + 4, name, "label halo")
    return canvas.svg(summary, "panel")


def _mark(canvas: Canvas, y_axis: Axis, x: float, place: Place, i: int) -> None:
    slot, dot = f"c{i % COLORS + 1}", place.dot
    if dot.low is not None and dot.high is not None:
        canvas.line(x, y_axis(dot.low), x, y_axis(dot.high), "whisker")
    if len(place.values) > 1:
        values = np.array(place.values)
        canvas.dots(np.full(len(values), x), y_axis.place(values), f"points {slot}")
    hollow = dot.low is None or dot.high is None
    canvas.shape(x, y_axis(dot.value), SHAPES[i % len(SHAPES)], f"{slot} {'ring' if hollow else 'fill'}")


def _y_axis(values: Sequence[float]) -> Axis:
    good = [v for v in values if math.isfinite(v)]
    room = (max(good) - min(good)) * 0.08 or abs(max(good)) * 0.1 or 0.5
    return Axis(min(good) - room, max(good) + room, HEIGHT - BOTTOM, TOP)


def _y_ticks(canvas: Canvas, y_axis: Axis, width: float) -> float:
    """Draws them and gives where the plot begins."""
    ticks = [t for t in y_axis.ticks(5) if y_axis.holds(t)]
    texts = tick_texts(ticks)
    left = max((text_width(t, 11) for t in texts), default=0.0) + 8
    for tick, text in zip(ticks, texts, strict=True):
        canvas.line(left, y_axis(tick), width, y_axis(tick), "grid")
        canvas.text(left - 7, y_axis(tick) + 4, text, "tick", "end")
    return left


def _x_ticks(
    canvas: Canvas,
    x_axis: Axis,
    ticks: Sequence[float],
    texts: Sequence[str],
    width: float,
    height: float = HEIGHT,
    bottom: float = BOTTOM,
) -> None:
    """Numbers under the axis, leaving out those that would touch the one before."""
    free = -math.inf
    for tick, text in zip(ticks, texts, strict=True):
        half = text_width(text, 11) / 2
        x = min(x_axis(tick), width - half)
        canvas.line(x_axis(tick), height - bottom, x_axis(tick), height - bottom + 4, "axis")
        if x - half > free:
            canvas.text(x, height - bottom + 17, text, "tick", "middle")
            free = x + half + 4
