"""The drawings of what samples cover: points over modes, counts by mode, shares by class, counts of many groups."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from .figures import Dot
from .names import shown_name
from .numbers import written
from .plots import Array, Axis, Canvas, text_width, tick_texts

__all__ = ["count_bars", "count_histogram", "mode_map", "share_bars"]

ROW = 24.0
"""Height of one class."""
LONGEST = 22
"""Letters of a class name."""


def mode_map(
    real: Array, made: Array, centres: Array, empty: list[bool], width: float, summary: str
) -> tuple[Markup, int]:
    """Made points (n, 2) over real ones (m, 2) on one scale for both axes, centres (k, 2) as crosses.

    A centre that `empty` marks is ringed. The frame is that of the real points with some room; also gives how many made
    points lie outside and are not drawn.
    """
    low, high = np.min(np.concatenate([real, centres]), axis=0), np.max(np.concatenate([real, centres]), axis=0)
    room = np.maximum((high - low) * 0.1, 1e-9)
    low, high = low - room, high + room
    margin, bottom = 40.0, 22.0
    plot = width - margin - 4
    tall = float(np.clip(plot * (high[1] - low[1]) / (high[0] - low[0]), plot * 0.4, plot))
    per_pixel = max((high[0] - low[0]) / plot, (high[1] - low[1]) / tall)
    middle = (low + high) / 2
    half = np.array([plot, tall]) * per_pixel / 2
    x_axis = Axis(middle[0] - half[0], middle[0] + half[0], margin, margin + plot)
    y_axis = Axis(middle[1] - half[1], middle[1] + half[1], tall + 10, 10)
    canvas = Canvas(width, tall + 10 + bottom)
    y_ticks, x_ticks = y_axis.ticks(6), x_axis.ticks(6)
    for tick, text in zip(y_ticks, tick_texts(y_ticks), strict=True):
        canvas.line(margin, y_axis(tick), x_axis.end, y_axis(tick), "grid")
        canvas.text(margin - 6, y_axis(tick) + 4, text, "tick", "end")
    canvas.line(margin, y_axis.start, x_axis.end, y_axis.start, "axis")
    for tick, text in zip(x_ticks, tick_texts(x_ticks), strict=True):
        canvas.line(x_axis(tick), y_axis.start, x_axis(tick), y_axis.start + 4, "axis")
        canvas.text(min(x_axis(tick), width - text_width(text, 11) / 2), y_axis.start + 17, text, "tick", "middle")
    inside = (made[:, 0] >= x_axis.low) & (made[:, 0] <= x_axis.high)
    inside &= (made[:, 1] >= y_axis.low) & (made[:, 1] <= y_axis.high)
    canvas.dots(x_axis.place(real[:, 0]), y_axis.place(real[:, 1]), "points c10")
    if inside.any():
        canvas.dots(x_axis.place(made[inside, 0]), y_axis.place(made[inside, 1]), "points c1")
    for (x, y), bare in zip(centres.tolist(), empty, strict=True):
        at, up = x_axis(x), y_axis(y)
        canvas.line(at - 5, up, at + 5, up, "whisker")
        canvas.line(at, up - 5, at, up + 5, "whisker")
        if bare:
            canvas.circle(at, up, 11, "dash")
    return canvas.svg(summary, "panel map"), int((~inside).sum())


def count_bars(counts: Array, width: float, title: str, summary: str, expected: float | None = None) -> Markup:
    """One upright bar a mode, numbered from 1; an empty mode is an outline; grey line: an equal share."""
    height, top, bottom = 198.0, 40.0, 36.0
    canvas = Canvas(width, height)
    canvas.text(0, 12, title, "chart-title")
    if expected is not None:
        canvas.text(0, 28, f"grey line: equal shares, {written(expected, decimals=0)} each", "chart-note")
    highest = max(float(counts.max(initial=0)), expected or 0.0) * 1.08 or 1.0
    y_axis = Axis(0, highest, height - bottom, top)
    ticks = [t for t in y_axis.ticks(5) if y_axis.holds(t)]
    texts = tick_texts(ticks)
    left = max(text_width(t, 11) for t in texts) + 8
    for tick, text in zip(ticks, texts, strict=True):
        canvas.line(left, y_axis(tick), width, y_axis(tick), "grid")
        canvas.text(left - 7, y_axis(tick) + 4, text, "tick", "end")
    slot = (width - left - 2) / len(counts)
    every = max(1, math.ceil(26 / slot))
    for i, count in enumerate(counts.tolist()):
        x, wide = left + 2 + i * slot, max(slot - min(4, slot * 0.3), 0.6)
        if count > 0:
            canvas.rect(x, y_axis(count), wide, y_axis.start - y_axis(count), "c1 fill")
        else:
            canvas.rect(x, y_axis.start - 3, wide, 3, "unused")
        if i % every == 0:
            canvas.text(x + wide / 2, y_axis.start + 15, str(i + 1), "tick", "middle")
    canvas.line(left, y_axis.start, width, y_axis.start, "axis")
    if expected is not None:
        canvas.line(left, y_axis(expected), width, y_axis(expected), "base-line")
    canvas.text(width, y_axis.start + 31, "mode", "tick", "end")
    return canvas.svg(summary, "panel")


def share_bars(names: list[str], real: Array, made: list[Dot], width: float, summary: str) -> Markup:
    """One line a class: a bar for its share of the samples with its interval, a grey tick for its share of the data."""
    top, bottom = 44.0, 22.0
    canvas = Canvas(width, top + ROW * len(names) + bottom)
    canvas.text(0, 12, "Share of each class", "chart-title")
    canvas.text(0, 28, "bar: samples, with its 95 % interval; grey tick: data", "chart-note")
    shown = [cut if len(cut := shown_name(n)) <= LONGEST else cut[: LONGEST - 1] + "…" for n in names]
    left = min(max(text_width(n, 12) for n in shown) + 10, width * 0.42)
    highest = max([*real.tolist(), *(d.high if d.high is not None else d.value for d in made)])
    x_axis = Axis(0, highest * 1.03 or 1.0, left, width - 58)
    ticks = [t for t in x_axis.ticks(5) if x_axis.holds(t)]
    base = top + ROW * len(names)
    for tick in ticks:
        canvas.line(x_axis(tick), top - 4, x_axis(tick), base, "grid")
        canvas.text(x_axis(tick), base + 16, written(tick, form="share", decimals=_decimals(ticks)), "tick", "middle")
    for i, (name, share, dot) in enumerate(zip(shown, real.tolist(), made, strict=True)):
        y = top + ROW * i + ROW / 2
        canvas.text(left - 8, y + 4, name, "label", "end")
        if dot.value > 0:
            canvas.rect(left, y - 5, x_axis(dot.value) - left, 10, "c1 fill")
        else:
            canvas.rect(left, y - 5, 3, 10, "unused")
        if dot.low is not None and dot.high is not None:
            canvas.line(x_axis(dot.low), y, x_axis(dot.high), y, "whisker")
        canvas.line(x_axis(share), y - 10, x_axis(share), y + 10, "ref")
        text = written(dot.value, form="share", decimals=1) if dot.value > 0 else "absent"
        canvas.text(width, y + 4, text, "end c1-text" if dot.value > 0 else "end c2-text", "end")
    canvas.line(left, top - 4, left, base, "axis")
    return canvas.svg(summary, "panel")


def _decimals(ticks: list[float]) -> int:
    apart = min((b - a for a, b in pairwise(ticks)), default=1.0)
    return max(0, -math.floor(math.log10(100 * apart) + 1e-9))


def count_histogram(counts: Array, noun: str, expected: float, width: float, summary: str) -> Markup:
    """How many groups (classes, modes) got how many samples: for more groups than can be named one by one."""
    height, top, bottom = 206.0, 40.0, 42.0
    canvas = Canvas(width, height)
    canvas.text(0, 12, f"{noun.capitalize()} by the number of samples they got", "chart-title")
    canvas.text(0, 28, f"outline: {noun} without a sample; grey upright: equal shares", "chart-note")
    largest = int(max(counts.max(initial=1), math.ceil(expected), 1))
    step = max(1, math.ceil(largest / 30))
    edges = np.arange(1, largest + step + 1, step)  # the first bar is for 0 alone
    bars = [int((counts == 0).sum()), *np.histogram(counts, bins=edges)[0].tolist()]
    y_axis = Axis(0, max(bars) * 1.08, height - bottom, top)
    ticks = [t for t in y_axis.ticks(5) if y_axis.holds(t) and t == round(t)]
    left = max(text_width(written(t, form="count"), 11) for t in ticks) + 8
    for tick in ticks:
        canvas.line(left, y_axis(tick), width, y_axis(tick), "grid")
        canvas.text(left - 7, y_axis(tick) + 4, written(tick, form="count"), "tick", "end")
    slot = (width - left - 8) / len(bars)
    for i, bar in enumerate(bars):
        x = left + 4 + i * slot
        canvas.rect(x, y_axis(bar), slot - 1, y_axis.start - y_axis(bar), "unused" if i == 0 else "c1 fill")
    base = y_axis.start
    canvas.line(left, base, width, base, "axis")
    starts = [0, *edges[:-1].tolist()]
    every = max(1, math.ceil(40 / slot))
    for i in range(0, len(starts), every):
        text = str(starts[i]) if step == 1 or i == 0 else f"{starts[i]}+"
        canvas.text(left + 4 + (i + 0.5) * slot, base + 17, text, "tick", "middle")
    at = left + 4 + slot * (1 + (expected - 1) / step) + slot / 2 / step
    if left <= at <= width:
        canvas.line(at, top, at, base, "base-line")
    canvas.text(width, base + 33, "samples", "tick", "end")
    return canvas.svg(summary, "panel")
