"""How the threshold was set: calibration scores, the tail fitted to them, and the rate of false alarms asked for.

The tail is a generalised Pareto law of the peaks over `initial` (Pickands 1975; Siffer et al. 2017, KDD): an alarm
passes a score z in peaks / rows * (1 + shape (z - initial) / scale)^(-1 / shape) of the rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from markupsafe import Markup

from .layout import Figure, csv_uri, data_table
from .numbers import number, written
from .plots import Array, Axis, Canvas, text_width, tick_texts

__all__ = ["alarm_rates", "tail_rates", "threshold_figure"]

HEIGHT, TOP, BOTTOM = 268.0, 42.0, 44.0
WIDE, NARROW = 680.0, 358.0
LEVELS = 160
"""Scores at which rates are worked out."""
EXPONENTIAL = 1e-9
"""A shape this near to 0 is 0."""


def tail_rates(tail: dict[str, Any], levels: Array) -> Array:
    """Alarms a row by the fitted law at levels (n,); NaN below its initial threshold, or where no law was fitted."""
    initial, shape, scale = (number(tail.get(name)) for name in ("initial", "shape", "scale"))
    peaks, rows = number(tail.get("peaks")), number(tail.get("rows"))
    if not (scale > 0 and peaks > 0 and rows > 0 and math.isfinite(initial) and math.isfinite(shape)):
        return np.full(len(levels), np.nan)
    far = np.maximum(levels - initial, 0) / scale
    with np.errstate(divide="ignore"):
        survival = np.exp(-far) if abs(shape) < EXPONENTIAL else np.maximum(1 + shape * far, 0) ** (-1 / shape)
    rates: Array = np.where(levels >= initial, peaks / rows * survival, np.nan)
    return rates


def alarm_rates(scores: Array, levels: Array, apart: int) -> Array:
    """Alarms a row that scores (N,) in time order give at levels (n,); rows `apart` or less from each other are one."""
    rows = int(np.isfinite(scores).sum())
    found = np.zeros(len(levels))
    for i, level in enumerate(levels.tolist()):
        above = np.flatnonzero(np.nan_to_num(scores, nan=-np.inf) > level)
        found[i] = 0 if not len(above) else 1 + int(np.sum(np.diff(above) > apart))
    return found / max(rows, 1)


def threshold_figure(found: dict[str, Any]) -> Figure | None:
    """Share of rows and rate of alarms over the score, on a log axis; None without calibration scores.

    The tail is drawn where it gave the threshold, not where an empirical quantile did.
    """
    scores = np.asarray(found.get("calibration") if found.get("calibration") is not None else [], dtype=np.float64)
    good = np.sort(scores[np.isfinite(scores)])
    threshold, rate, tail = number(found.get("threshold")), number(found.get("rate")), found.get("tail") or {}
    if len(good) < 2 or not math.isfinite(threshold):
        return None
    high = max(float(good[-1]), threshold)
    levels = np.linspace(float(good[0]), high + (high - float(good[0])) * 0.05, LEVELS)
    above = (len(good) - np.searchsorted(good, levels, "right")) / len(good)
    alarms = alarm_rates(scores, levels, max(1, int(found.get("merge") or found.get("width") or 1)))
    first = number(tail.get("initial"))  # below it alarms run together, and their number says nothing
    alarms[levels < (first if math.isfinite(first) and first < levels[-1] else levels[int(np.argmax(alarms))])] = np.nan
    gave_it = math.isclose(float(tail_rates(tail, np.array([threshold]))[0]), rate, rel_tol=1e-3)
    fitted = tail_rates(tail, levels) if gave_it else np.full(LEVELS, np.nan)
    summary = (
        f"{len(good):,} calibration scores from {written(float(good[0]))} to {written(float(good[-1]))}; "
        f"threshold {written(threshold)} at {written(rate)} alarms a row."
    )
    lines = [("rows", "line thin c2", above), ("alarms", "line mean c1", alarms), ("fit", "line fitted", fitted)]
    drawings = [_drawn(lines, levels, threshold, rate, width, summary) for width in (WIDE, NARROW)]
    head = ["score", "share of rows above", "alarms a row", "fitted alarms a row"]
    rows = [list(row) for row in zip(*(v.tolist() for v in (levels, above, alarms, fitted)), strict=True)]
    return Figure(
        caption=_caption(fitted, int((good > threshold).sum()), len(good)),
        summary=summary,
        wide=[drawings[0]],
        narrow=[drawings[1]],
        table=data_table("Rates over the score", head, rows, [[written(v) for v in row] for row in rows]),
        csv=csv_uri(head, rows),
        csv_name="threshold.csv",
    )


def _caption(fitted: Array, passed: int, rows: int) -> str:
    law = "dashed: the law fitted to the highest ones; " if np.isfinite(fitted).any() else ""
    return (
        f"Calibration scores. Thin line: share of rows above a score; thick line: alarms a row, of which each holds "
        f"several rows; {law}upright: the threshold; level: the rate asked for. {passed:,} of {rows:,} calibration "
        f"rows lie above the threshold."
    )


def _drawn(
    lines: list[tuple[str, str, Array]], levels: Array, threshold: float, rate: float, width: float, summary: str
) -> Markup:
    canvas = Canvas(width, HEIGHT)
    canvas.text(0, 12, "How often a score is passed, a row", "chart-title")
    canvas.text(0, 28, "log axis", "chart-note")
    seen = np.concatenate([v for _, _, v in lines])
    seen = seen[np.isfinite(seen) & (seen > 0)]
    least = min(float(seen.min()) if len(seen) else 1e-3, rate if rate > 0 else 1.0)
    floor = max(least / 2, (rate if rate > 0 else least) / 50, 1e-12)
    y = Axis(floor, 1.0, HEIGHT - BOTTOM, TOP, log=True)
    ticks = [t for t in y.ticks(6) if y.holds(t)]
    texts = tick_texts(ticks)
    left = max([text_width(t, 11) for t in texts], default=30) + 8
    x = Axis(float(levels[0]), float(levels[-1]), left, width - 58)
    for tick, text in zip(ticks, texts, strict=True):
        canvas.line(left, y(tick), x.end, y(tick), "grid")
        canvas.text(left - 7, y(tick) + 4, text, "tick", "end")
    _score_axis(canvas, x, y)
    for _, css, values in lines:
        shown = np.where(values >= floor, values, np.nan)
        canvas.curve(x.place(levels), y.place(shown), css)
    _asked(canvas, x, y, threshold, rate)
    _labels(canvas, lines, levels, x, y)
    return canvas.svg(summary, "panel")


def _labels(canvas: Canvas, lines: list[tuple[str, str, Array]], levels: Array, x: Axis, y: Axis) -> None:
    """Names: of rows above its line, of alarms before it begins, of the fit behind its end."""
    for name, _, values in lines:
        shown = np.flatnonzero(np.isfinite(values) & (values >= y.low))
        if not len(shown):
            continue
        at = int({"rows": shown[len(shown) // 4], "alarms": shown[0], "fit": shown[-1]}[name])
        place = x(float(levels[at])), y(float(values[at]))
        if name == "rows":
            canvas.text(place[0] + 4, place[1] - 7, name, "end halo c2-text")
        elif name == "alarms":
            canvas.text(place[0] - 6, place[1] + 4, name, "end halo c1-text", "end")
        else:
            canvas.text(place[0] + 6, place[1] + 4, name, "end halo")


def _score_axis(canvas: Canvas, x: Axis, y: Axis) -> None:
    canvas.line(x.start, y.start, x.end, y.start, "axis")
    ticks = x.ticks(max(3, int((x.end - x.start) / 64)))
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        canvas.line(x(tick), y.start, x(tick), y.start + 4, "axis")
        canvas.text(x(tick), y.start + 17, text, "tick", "middle")
    canvas.text(x.end, y.start + 32, "score", "tick", "end")


def _asked(canvas: Canvas, x: Axis, y: Axis, threshold: float, rate: float) -> None:
    """The threshold upright, the rate across to it."""
    canvas.line(x(threshold), y.end, x(threshold), y.start, "threshold")
    text = f"threshold {written(threshold)}"
    before = x(threshold) + text_width(text, 12) > canvas.width
    canvas.text(
        x(threshold) + (-6 if before else 6), y.end + 9, text, "threshold-text halo", "end" if before else "start"
    )
    if y.holds(rate):
        canvas.line(x.start, y(rate), x(threshold), y(rate), "threshold unused-part")
        canvas.text(x.start + 6, y(rate) - 5, f"asked for: {written(rate)} a row", "threshold-text halo")
