"""Line charts of a run over epochs or steps: one panel, drawn once for a wide page and once for a phone.

Raw thin, centred mean thick, baselines grey with their name and value, the kept epoch dashed, labels at the lines'
ends pushed apart (LOOK section 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from .numbers import beside, written
from .plots import Array, Axis, Canvas, centred_mean, spread, text_width, thinned, tick_texts

__all__ = ["Level", "Panel", "Series", "drawn", "fall", "tail_start"]

TOP, BOTTOM, GAP = 42.0, 38.0, 13.0
LOG_FACTOR = 10.0
"""A positive quantity that spans more than this gets a log axis."""
FEWEST_FOR_MEAN = 20


@dataclass
class Series:
    """One line: x in epochs or steps, y as logged, and how it is shown."""

    name: str
    css: str
    x: Array
    y: Array
    mean_width: float = 0.0
    """Of x, what the thick line is averaged over; 0 shows the values themselves thick."""
    rings: bool = False
    """Drawn thin with open rings (the test set)."""

    @property
    def mean(self) -> Array:
        """What is drawn thick."""
        smooth = self.mean_width > 0 and len(self.x) >= FEWEST_FOR_MEAN
        return centred_mean(self.x, self.y, self.mean_width) if smooth else self.y

    @property
    def smoothed(self) -> bool:
        return self.mean_width > 0 and len(self.x) >= FEWEST_FOR_MEAN


@dataclass
class Level:
    """Something simpler than the network: a grey line across the panel."""

    name: str
    value: float
    decimals: int | None = None
    """As the measure it stands beside is written."""


@dataclass
class Panel:
    """One panel's content. Ranges are worked out from it unless given."""

    title: str
    note: str
    series: list[Series]
    levels: list[Level] = field(default_factory=list)
    x_range: tuple[float, float] | None = None
    log: bool = False
    kept: float | None = None
    """Where along x the weights were kept."""
    named: bool = True
    """Whether that place has its name, too; there is none in a small panel."""
    x_name: str = "epoch"
    """What x counts."""
    frame: tuple[float, float, float, float] | None = None
    """x and y of the part that the next panel shows: x1, x2, y1, y2."""
    labelled: bool = True
    """Names and last values at the lines' ends."""

    def span(self) -> tuple[float, float]:
        """Smallest and largest x."""
        if self.x_range is not None:
            return self.x_range
        return min(float(s.x[0]) for s in self.series), max(float(s.x[-1]) for s in self.series)

    def y_range(self) -> tuple[float, float]:
        """Smallest and largest finite y shown, grey lines included."""
        low, high = self.span()
        shown = [s.y[(s.x >= low - 1e-9) & (s.x <= high + 1e-9)] for s in self.series]
        values = np.concatenate([*shown, np.array([v.value for v in self.levels])])
        values = values[np.isfinite(values) & ((values > 0) if self.log else True)]
        return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


def fall(series: Series, x_name: str = "epoch") -> str:
    """The one-sentence summary of a line: "falls from 4.0 to 0.522 over 80 epochs, lowest at 72"."""
    good = np.flatnonzero(np.isfinite(series.y))
    if len(good) < 2:
        return f"{series.name}: {len(good)} finite value{'' if len(good) == 1 else 's'}"
    x, y = series.x[good], series.mean[good]
    digits = max(0, 2 - math.floor(math.log10(max(abs(float(y[-1])), 1e-12))))
    first, last = (written(float(v), decimals=min(digits, 5)) for v in (y[0], y[-1]))
    word = "falls" if y[-1] < y[0] else "rises" if y[-1] > y[0] else "stays"
    best, where = ("lowest", int(np.argmin(y))) if y[-1] <= y[0] else ("highest", int(np.argmax(y)))
    span = written(float(x[-1] - x[0]))
    at = written(round(float(x[where]), 2))
    return f"{series.name} {word} from {first} to {last} over {span} {x_name}s, {best} at {at}".strip()


def tail_start(series: list[Series], levels: list[Level]) -> float | None:
    """Where a second panel begins: None unless over half of the curve lies in one tenth of the range at an end."""
    means = [s.mean[np.isfinite(s.mean)] for s in series]
    everything = np.concatenate([*means, np.array([v.value for v in levels])])
    low, high = float(everything.min()), float(everything.max())
    tenth = (high - low) / 10
    main = max(series, key=lambda s: len(s.x))
    x, y = main.x[np.isfinite(main.mean)], main.mean[np.isfinite(main.mean)]
    if len(x) < 6 or tenth <= 0:
        return None
    for near in (y <= low + tenth, y >= high - tenth):
        if near.mean() > 0.5:
            begin = float(x[int(np.flatnonzero(near)[0])])
            middle = float(x[0] + (x[-1] - x[0]) / 2)
            unit = max(1.0, 10.0 ** math.floor(math.log10((x[-1] - x[0]) / 20)))
            tidy = unit * math.ceil(max(begin, float(x[0]) + (x[-1] - x[0]) / 10) / unit - 1e-9)
            return tidy if tidy <= middle else min(begin, middle)
    return None


def drawn(panel: Panel, width: float, height: float, summary: str) -> Markup:
    """The panel as SVG."""
    canvas = Canvas(width, height)
    x_low, x_high = panel.span()
    y_low, y_high = panel.y_range()
    pad = (y_high / y_low) ** 0.04 if panel.log else (y_high - y_low) * 0.05 or abs(y_high) * 0.05 or 0.5
    limits = (y_low / pad, y_high * pad) if panel.log else (y_low - pad, y_high + pad)
    y_axis = Axis(*limits, height - BOTTOM, TOP, log=panel.log)
    ticks = [t for t in y_axis.ticks(5) if y_axis.holds(t)]
    texts = tick_texts(ticks)
    left = max([text_width(t, 11) for t in texts], default=20) + 8
    labels = _end_labels(panel, y_axis) if panel.labelled else []
    right = max([text_width(text, 12, bold=True) + 12 for _, text, _ in labels], default=10)
    x_axis = Axis(x_low, x_high, left, width - right)
    canvas.text(0, 12, panel.title, "chart-title")
    canvas.text(0, 28, panel.note, "chart-note")
    _axes(canvas, x_axis, y_axis, list(zip(ticks, texts, strict=True)), panel.x_name)
    _levels(canvas, panel, x_axis, y_axis)
    for series in panel.series:
        _line(canvas, series, x_axis, y_axis, panel.labelled)
    _boundaries(canvas, panel, x_axis, y_axis)
    for y, text, css, at in _placed(labels, y_axis):
        if abs(y - at) > 4:
            canvas.line(x_axis.end + 2, at, x_axis.end + 9, y, "hair")
        canvas.text(x_axis.end + 10, y + 4, text, f"end {css}-text")
    plot = {
        "x": f"{x_axis.low!r} {x_axis.high!r} {x_axis.start:g} {x_axis.end:g}",
        "y": f"{y_axis.low!r} {y_axis.high!r} {y_axis.start:g} {y_axis.end:g} {int(panel.log)}",
    }
    return canvas.svg(summary, "panel", plot)


def _axes(canvas: Canvas, x_axis: Axis, y_axis: Axis, ticks: list[tuple[float, str]], x_name: str) -> None:
    for value, text in ticks:
        y = y_axis(value)
        canvas.line(x_axis.start, y, x_axis.end, y, "grid")
        canvas.text(x_axis.start - 7, y + 4, text, "tick", "end")
    base = y_axis.start
    canvas.line(x_axis.start, base, x_axis.end, base, "axis")
    x_ticks = x_axis.ticks(max(3, int((x_axis.end - x_axis.start) / 36)))
    if any(len(text) > 4 for text in tick_texts(x_ticks)):
        x_ticks = x_axis.ticks(max(3, int((x_axis.end - x_axis.start) / 64)))
    for value, text in zip(x_ticks, tick_texts(x_ticks), strict=True):
        x = x_axis(value)
        canvas.line(x, base, x, base + 4, "axis")
        canvas.text(x, base + 17, text, "tick", "middle")
    canvas.text(x_axis.end, base + 32, x_name, "tick", "end")


def _levels(canvas: Canvas, panel: Panel, x_axis: Axis, y_axis: Axis) -> None:
    """Grey lines with their labels above them at the right end, apart from each other."""
    taken: list[tuple[bool, float]] = []
    if panel.kept is not None and x_axis.holds(panel.kept):
        taken = [(True, y_axis.end + 5), (False, y_axis.end + 5)]  # the name of the kept step stands there
    for level in (v for v in panel.levels if y_axis.holds(v.value)):
        at, text = y_axis(level.value), f"{level.name} {beside(level.value, level.decimals)}"
        canvas.line(x_axis.start, at, x_axis.end, at, "base-line")
        right, y = _level_place(panel, x_axis, y_axis, at, text_width(text, 11), taken)
        taken.append((right, y))
        canvas.text(x_axis.end if right else x_axis.start + 4, y, text, "base-label halo", "end" if right else "start")


def _level_place(
    panel: Panel, x_axis: Axis, y_axis: Axis, at: float, width: float, taken: list[tuple[bool, float]]
) -> tuple[bool, float]:
    """(at the right end, baseline) of a level's label: over its line at the right, or where it lies on no curve."""
    best, most = (True, at - 5), -1.0
    for right, y in ((True, at - 5), (True, at + 13), (False, at - 5), (False, at + 13)):
        low, high = (x_axis.end - width, x_axis.end) if right else (x_axis.start, x_axis.start + width)
        near = [abs(y - 4 - other) for side, other in taken if side == right]
        near += [abs(y - 4 - edge) for edge in (y_axis.start,)]
        for series in panel.series:
            xs, ys = x_axis.place(series.x), y_axis.place(series.mean)
            inside = (xs >= low) & (xs <= high) & np.isfinite(ys)
            near += [float(np.min(np.abs(ys[inside] - (y - 4))))] if inside.any() else []
        room = min(near)
        if room >= 12:
            return right, y
        if room > most:
            best, most = (right, y), room
    return best


def _line(canvas: Canvas, series: Series, x_axis: Axis, y_axis: Axis, rings: bool) -> None:
    inside = (series.x >= x_axis.low - 1e-9) & (series.x <= x_axis.high + 1e-9)
    columns = max(1, int(x_axis.end - x_axis.start))
    lines = [(series.y, "raw"), (series.mean, "mean")] if series.smoothed else [(series.y, "mean")]
    for values, style in lines:
        x, y = thinned(series.x[inside], values[inside], columns)
        if len(x):
            style = "thin" if series.rings else style
            canvas.curve(x_axis.place(x), y_axis.place(y), f"line {style} {series.css}")
    x, y = series.x[inside], series.y[inside]
    if (series.rings and rings) or len(x) <= 12:
        at = np.unique(np.linspace(0, len(x) - 1, min(len(x), 9)).round().astype(int))
        for px, py in zip(x_axis.place(x[at]), y_axis.place(y[at]), strict=True):
            if math.isfinite(py):
                canvas.circle(px, py, 3 if series.rings else 2.2, f"{series.css} {'ring' if series.rings else 'fill'}")
    for px in x_axis.place(x[~np.isfinite(y)])[:20]:
        canvas.line(px, y_axis.end, px, y_axis.end + 8, f"line mean {series.css}")


def _boundaries(canvas: Canvas, panel: Panel, x_axis: Axis, y_axis: Axis) -> None:
    """What is dashed: the kept epoch, and the frame of the next panel."""
    if panel.frame is not None:
        x1, x2, y1, y2 = panel.frame
        top = y_axis(min(y2, y_axis.high)) - 2
        bottom = y_axis(max(y1, y_axis.low)) + 2
        canvas.rect(x_axis(x1), top, x_axis(x2) - x_axis(x1), bottom - top, "dash")
    if panel.kept is not None and x_axis.holds(panel.kept):
        x = x_axis(panel.kept)
        canvas.line(x, y_axis.end, x, y_axis.start, "dash")
        text = f"kept: {panel.x_name} {written(round(panel.kept, 2))}"
        before = x - text_width(text, 12) > x_axis.start
        if panel.named:
            canvas.text(x + (-6 if before else 6), y_axis.end + 9, text, "label halo", "end" if before else "start")
        for series in panel.series[:1]:
            near = int(np.argmin(np.abs(series.x - panel.kept)))
            if math.isfinite(float(series.y[near])):
                canvas.circle(x, y_axis(float(series.y[near])), 4, f"{series.css} fill")


def _end_labels(panel: Panel, y_axis: Axis) -> list[tuple[float, str, str]]:
    """(value, text, colour) of each line's end."""
    found = []
    for series in panel.series:
        good = np.flatnonzero(np.isfinite(series.mean) & ((series.mean > 0) if panel.log else True))
        if len(good):
            last = float(series.mean[good[-1]])
            apart = (y_axis.high - y_axis.low) / 100 if not y_axis.log else abs(last) / 100
            digits = min(6, max(0, math.ceil(-math.log10(apart)))) if apart > 0 else 2
            name = f"○ {series.name}" if series.rings else series.name
            found.append((last, f"{name} {written(last, decimals=digits)}".strip(), series.css))
    return found


def _placed(labels: list[tuple[float, str, str]], y_axis: Axis) -> list[tuple[float, str, str, float]]:
    """(y, text, colour, y of the line) with the labels pushed apart."""
    wanted = [y_axis(min(max(value, y_axis.low), y_axis.high)) for value, _, _ in labels]
    places = spread(wanted, GAP + 2, y_axis.end + 4, y_axis.start - 4)
    return [(y, text, css, at) for y, (_, text, css), at in zip(places, labels, wanted, strict=True)]
