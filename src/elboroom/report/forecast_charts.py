"""The drawings of a forecaster: a stretch with its forecasts, measures by steps ahead, a histogram of residuals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from .detection_time import Clock
from .numbers import written
from .plots import Array, Axis, Canvas, spread, text_width, tick_texts

__all__ = ["Ahead", "Forecast", "Stretch", "ahead_chart", "histogram", "stretch_chart"]

TOP, BOTTOM = 40.0, 42.0
Z90 = 1.6448536269514722


@dataclass(frozen=True)
class Forecast:
    """What was expected of rows (T,) so many steps before each, nan where nothing was."""

    ahead: int
    mean: Array
    sd: Array


@dataclass(frozen=True)
class Stretch:
    """One channel over some rows (T,), nan where missing."""

    name: str
    clock: Clock
    values: Array
    forecasts: list[Forecast]

    def limits(self) -> tuple[float, float]:
        """Smallest and largest value to draw; bands may run out of the frame where they are wide."""
        everything = [self.values, *(f.mean for f in self.forecasts)]
        good = np.concatenate(everything)
        good = good[np.isfinite(good)]
        if not len(good):
            return 0.0, 1.0
        room = float(good.max() - good.min()) * 0.08 or 0.5
        return float(good.min()) - room, float(good.max()) + room


@dataclass(frozen=True)
class Ahead:
    """One measure by steps ahead, with its interval; `css` "base" for what needs no network."""

    label: str
    css: str
    x: Array
    y: Array
    low: Array
    high: Array


def stretch_chart(one: Stretch, forecast: Forecast, width: float, height: float, title: str, summary: str) -> Markup:
    """Values as a thin dark line; the forecast thick with its 90 % band. All panels of a channel share their y axis."""
    canvas = Canvas(width, height)
    canvas.text(0, 12, title, "chart-title")
    y_axis = Axis(*one.limits(), height - BOTTOM, 24)
    left = _y_ticks(canvas, y_axis, width, 4)
    x_axis = Axis(float(one.clock.x[0]), float(one.clock.x[-1]), left, width - 8)
    xs = x_axis.place(one.clock.x)
    low, high = (np.clip(forecast.mean + k * Z90 * forecast.sd, y_axis.low, y_axis.high) for k in (-1, 1))
    for start, stop in _runs(np.isfinite(low) & np.isfinite(high)):
        here = slice(start, stop)
        canvas.band(xs[here], y_axis.place(low[here]), y_axis.place(high[here]), "c1 band")
    canvas.curve(xs, y_axis.place(forecast.mean), "line mean c1")
    canvas.curve(xs, y_axis.place(one.values), "whisker")
    base = y_axis.start
    canvas.line(left, base, x_axis.end, base, "axis")
    for tick in one.clock.ticks(x_axis, max(2, int((x_axis.end - left) / 78))):
        canvas.line(x_axis(tick.at), base, x_axis(tick.at), base + 4, "axis")
        for text, y in ((tick.text, base + 16), (tick.second, base + 29)):
            half = text_width(text, 11) / 2
            canvas.text(min(max(x_axis(tick.at), half), width - half), y, text, "tick", "middle")
    if not one.clock.timed:
        canvas.text(x_axis.end, base + 30, "row", "tick", "end")
    return canvas.svg(summary, "panel")


def ahead_chart(
    lines: list[Ahead],
    width: float,
    *,
    title: str,
    note: str,
    summary: str,
    share: bool = False,
    levels: tuple[tuple[str, float], ...] = (),
) -> Markup:
    """Lines with their bands over the steps ahead; `levels` are dashed lines across, what an honest band would give."""
    height = 236.0
    canvas = Canvas(width, height)
    canvas.text(0, 12, title, "chart-title")
    canvas.text(0, 28, note, "chart-note")
    values = np.concatenate([v for line in lines for v in (line.y, line.low, line.high)])
    values = np.concatenate([values[np.isfinite(values)], [v for _, v in levels]])
    low, high = float(values.min()), float(values.max())
    room = (high - low) * 0.08 or 0.05
    limits = (max(0.0, low - room), min(1.0, high + room)) if share else (0.0 if low >= 0 else low - room, high + room)
    y_axis = Axis(*limits, height - BOTTOM, TOP)
    right = max(text_width(line.label, 12, bold=True) for line in lines) + 14
    left = _y_ticks(canvas, y_axis, width - right, 5, share=share)
    first, last = (float(v) for v in (lines[0].x[0], lines[0].x[-1]))
    x_axis = Axis(first, last if last > first else first + 1, left + 6, width - right)
    for _, level in levels:
        canvas.line(left, y_axis(level), x_axis.end, y_axis(level), "dash")
    _ahead_axis(canvas, x_axis, left, y_axis.start)
    for line in lines:
        xs = x_axis.place(line.x)
        css = "base-band" if line.css == "base" else f"{line.css} band"
        canvas.band(xs, y_axis.place(line.low), y_axis.place(line.high), css)
    for line in lines:
        css = "base-line" if line.css == "base" else f"line mean {line.css}"
        ys = y_axis.place(line.y)
        canvas.curve(x_axis.place(line.x), ys, css)
        if line.css != "base":
            for x, y in zip(x_axis.place(line.x).tolist(), ys.tolist(), strict=True):
                if math.isfinite(y):
                    canvas.circle(x, y, 2.4, f"{line.css} fill")
    _end_names(canvas, lines, x_axis, y_axis)
    return canvas.svg(summary, "panel")


def _end_names(canvas: Canvas, lines: list[Ahead], x_axis: Axis, y_axis: Axis) -> None:
    ends = [line.y[np.isfinite(line.y)] for line in lines]
    shown = [(line, y_axis(float(end[-1]))) for line, end in zip(lines, ends, strict=True) if len(end)]
    places = spread([at for _, at in shown], 15, y_axis.end + 4, y_axis.start - 4)
    for (line, at), y in zip(shown, places, strict=True):
        if abs(y - at) > 4:
            canvas.line(x_axis.end + 2, at, x_axis.end + 8, y, "hair")
        css = "base-label" if line.css == "base" else f"end {line.css}-text"
        canvas.text(x_axis.end + 10, y + 4, line.label, css)


def _ahead_axis(canvas: Canvas, x_axis: Axis, left: float, base: float) -> None:
    canvas.line(left, base, x_axis.end, base, "axis")
    ticks = [t for t in x_axis.ticks(8) if t == round(t)]
    ticks = (
        ticks
        if ticks and ticks[0] == x_axis.low
        else [x_axis.low, *(t for t in ticks if x_axis(t) - x_axis.start > 24)]
    )
    for tick in ticks:
        canvas.line(x_axis(tick), base, x_axis(tick), base + 4, "axis")
        canvas.text(x_axis(tick), base + 17, written(tick, form="count"), "tick", "middle")
    canvas.text(x_axis.end, base + 33, "steps ahead", "tick", "end")


def histogram(
    edges: Array, shares: Array, width: float, height: float, *, title: str, note: str, summary: str
) -> Markup:
    """Shares by bin as steps, and the normal law's as a thin grey line."""
    canvas = Canvas(width, height)
    canvas.text(0, 12, title, "chart-title")
    canvas.text(0, 28, note, "chart-note")
    middles = (edges[1:] + edges[:-1]) / 2
    normal = np.exp(-(middles**2) / 2) / math.sqrt(2 * math.pi) * np.diff(edges)
    y_axis = Axis(0, float(max(shares.max(), normal.max())) * 1.08, height - BOTTOM, TOP)
    left = _y_ticks(canvas, y_axis, width - 4, 4, share=True)
    x_axis = Axis(float(edges[0]), float(edges[-1]), left + 2, width - 8)
    for k, share in enumerate(shares.tolist()):
        x, end = x_axis(float(edges[k])), x_axis(float(edges[k + 1]))
        canvas.rect(x, y_axis(share), end - x - 0.6, y_axis.start - y_axis(share), "c1 interval")
    canvas.curve(x_axis.place(middles), y_axis.place(normal), "base-line")
    base = y_axis.start
    canvas.line(left, base, x_axis.end, base, "axis")
    for tick in x_axis.ticks(6):
        canvas.line(x_axis(tick), base, x_axis(tick), base + 4, "axis")
        canvas.text(x_axis(tick), base + 17, written(tick, decimals=0), "tick", "middle")
    canvas.text(x_axis.end, base + 33, "standard deviations the model stated", "tick", "end")
    return canvas.svg(summary, "panel")


def _y_ticks(canvas: Canvas, y_axis: Axis, end: float, most: int, *, share: bool = False) -> float:
    """Hairlines and their numbers; where the plot begins."""
    ticks = [t for t in y_axis.ticks(most) if y_axis.holds(t)]
    texts = [written(t, form="share", decimals=0) for t in ticks] if share else tick_texts(ticks)
    left = max([text_width(t, 11) for t in texts], default=20.0) + 8
    for tick, text in zip(ticks, texts, strict=True):
        canvas.line(left, y_axis(tick), end, y_axis(tick), "grid")
        canvas.text(left - 7, y_axis(tick) + 4, text, "tick", "end")
    return left


def _runs(there: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    """(start, stop) of the stretches that are there."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
