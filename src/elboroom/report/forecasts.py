"""The section on a run that forecasts: a held-out stretch with its bands, error and coverage by step, residuals.

Made from what details.json holds under "forecasts"; see `elboroom.evaluate_horizons`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .contents import Contents, entries
from .detection_time import Clock
from .forecast_charts import Ahead, Forecast, Stretch, ahead_chart, histogram, stretch_chart
from .layout import Figure, Note, Section, csv_uri, data_table
from .names import shown_name
from .numbers import column, number, written
from .plots import Array
from .words import plural

__all__ = ["forecasts"]

WIDE, NARROW, PANEL, LOW_PANEL = 680.0, 358.0, 172.0, 150.0
NAIVE = ("seasonal naive", "last value")
BANDS = (("inside_50", "50 % band", 0.5, "c2"), ("inside_90", "90 % band", 0.9, "c1"))


def forecasts(contents: Contents) -> Section | None:
    """None where the run keeps no forecasts."""
    found = contents.detail("forecasts")
    by = [one for one in entries(found.get("by_ahead")) if isinstance(one, dict) and _ahead(one)]
    stretches = _stretches(found.get("stretch"))
    if not by and not stretches:
        return None
    section = Section("forecasts", "Forecasts")
    if stretches:
        section.figures.append(_stretch_figure(stretches, found["stretch"]))
    if by:
        section.figures.append(_error_figure(by))
        section.figures += [figure for figure in (_coverage_figure(by),) if figure is not None]
    residuals = _residual_figure(found.get("residuals"))
    section.figures += [] if residuals is None else [residuals]
    section.notes = [
        Note("Read the stretch.", "Each point of the thick line was said so many rows before, from what was known."),
        Note("Seasonal naive.", "The last known value of the same phase; a series without a season has none."),
        Note("An honest band", "holds the share it names. Below its dashed line it is too narrow, above it too wide."),
    ]  # fmt: skip
    return section


# -- the stretch -------------------------------------------------------------------------------------------------------


def _stretches(found: Any) -> list[Stretch]:
    """The channels that can be drawn; none where the file holds something else."""
    if not isinstance(found, dict):
        return []
    out = []
    for channel in entries(found.get("channels")):
        values = _numbers(channel.get("values")) if isinstance(channel, dict) else None
        if values is None or len(values) < 2 or not np.isfinite(values).any():
            continue
        times = found.get("times_ns")
        fits = isinstance(times, list) and len(times) == len(values) and all(isinstance(t, int) for t in times)
        clock = Clock(np.array(times, dtype="datetime64[ns]") if fits else None, len(values))
        if not fits:
            start = number(found.get("start"))
            clock.x = clock.x + (start if math.isfinite(start) else 0.0)
        made = [_forecast(one, len(values)) for one in entries(channel.get("forecasts"))]
        kept = [one for one in made if one is not None]
        if kept:
            out.append(Stretch(str(channel.get("name")), clock, values, kept))
    return out


def _forecast(one: Any, rows: int) -> Forecast | None:
    if not isinstance(one, dict) or not isinstance(one.get("ahead"), int):
        return None
    mean, sd = _numbers(one.get("mean")), _numbers(one.get("sd"))
    if mean is None or sd is None or len(mean) != rows or len(sd) != rows:
        return None
    return Forecast(one["ahead"], mean, sd)


def _numbers(values: Any) -> Array | None:
    try:
        out = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return out if out.ndim == 1 else None


def _stretch_figure(stretches: list[Stretch], found: dict[str, Any]) -> Figure:
    """The first channel at each distance, the others at the farthest."""
    first, rows = stretches[0], len(stretches[0].values)
    of = number(found.get("of"))
    part = (
        f"the first {rows:,} of {int(of):,} held-out rows"
        if math.isfinite(of) and of > rows
        else f"{rows:,} held-out rows"
    )
    series = f" of series {shown_name(found.get('series'))}" if found.get("series") else ""
    told = f"{part}{series}, with forecasts of them"
    drawn = [(first, forecast) for forecast in first.forecasts]
    drawn += [(other, other.forecasts[-1]) for other in stretches[1:]]
    figure = Figure(
        f"{told[:1].upper()}{told[1:]}. Thin line: what came; thick line: the forecast; band: its 90 % interval.",
        summary=f"{shown_name(first.name)}: {told}.",
    )
    for one, forecast in drawn:
        title = f"{shown_name(one.name)}, {plural(forecast.ahead, 'row')} ahead"
        for held, width in ((figure.wide, WIDE), (figure.narrow, NARROW)):
            held.append(stretch_chart(one, forecast, width, PANEL if one is first else LOW_PANEL, title, title))
    head = ["row", "value"]
    columns = [first.values]
    for forecast in first.forecasts:
        head += [f"{forecast.ahead} ahead", f"sd {forecast.ahead} ahead"]
        columns += [forecast.mean, forecast.sd]
    start = number(found.get("start"))
    at = (int(start) if math.isfinite(start) else 0) + np.arange(rows)
    figure.csv = csv_uri(head, [[int(r), *map(float, row)] for r, row in zip(at, np.stack(columns, 1), strict=True)])
    figure.csv_name = "forecasts.csv"
    return figure


# -- by steps ahead ----------------------------------------------------------------------------------------------------


def _ahead(one: dict[str, Any]) -> bool:
    error = one.get("error")
    return isinstance(one.get("ahead"), int) and isinstance(error, dict) and math.isfinite(number(error.get("value")))


def _line(by: list[dict[str, Any]], name: str, label: str, css: str) -> Ahead | None:
    """The measure `name` of every entry; None where none has it."""
    parts = [found if isinstance(found := one.get(name), dict) else {} for one in by]
    value, low, high = (np.array([number(part.get(k)) for part in parts]) for k in ("value", "low", "high"))
    x = np.array([one["ahead"] for one in by], dtype=np.float64)
    return Ahead(label, css, x, value, low, high) if np.isfinite(value).any() else None


def _error_figure(by: list[dict[str, Any]]) -> Figure:
    lines = [_line(by, "error", "model", "c1"), *(_line(by, name, name, "base") for name in NAIVE)]
    shown = [line for line in lines if line is not None]
    model, summary = shown[0], ""
    ends = [written(float(model.y[k]), float(model.low[k]), float(model.high[k])) for k in (0, -1)]
    summary = f"The mean absolute error is {ends[0]} one row ahead"
    if len(by) > 1:
        summary += f" and {ends[1]} {int(model.x[-1]):,} rows ahead"
    for line in sorted(shown[1:], key=lambda line: float(line.y[-1]))[:1]:  # the best of what is simpler
        summary += f"; that of {line.label} is {written(float(line.y[-1]), float(line.low[-1]), float(line.high[-1]))}"
    summary += ", in standard deviations."
    title = "Absolute error by steps ahead, standard deviations"
    head = ["steps ahead", *(line.label for line in shown)]
    rows = [[float(model.x[k]), *(float(line.y[k]) for line in shown)] for k in range(len(by))]
    cells_of = [column(line.y.tolist()) for line in shown]
    texts = [[f"{int(row[0]):,}", *cells] for row, cells in zip(rows, zip(*cells_of, strict=True), strict=True)]
    figure = Figure(f"Error by steps ahead. {summary} Bands: 95 % intervals.", summary=summary)
    figure.wide, figure.narrow = (
        [ahead_chart(shown, width, title=title, note="less is better", summary=summary)] for width in (WIDE, NARROW)
    )
    figure.table = data_table("Absolute error by steps ahead", head, rows, texts)
    figure.csv, figure.csv_name = csv_uri(head, rows), "error-by-step.csv"
    return figure


def _coverage_figure(by: list[dict[str, Any]]) -> Figure | None:
    made = [(_line(by, name, label, css), label, level) for name, label, level, css in BANDS]
    kept = [(line, label, level) for line, label, level in made if line is not None]
    if not kept:
        return None
    shown, levels = [line for line, _, _ in kept], tuple((label, level) for _, label, level in kept)
    said = [
        f"The {label} holds {written(float(line.y[0]), form='share', decimals=1)} of the rows one step ahead"
        + (
            f" and {written(float(line.y[-1]), form='share', decimals=1)} {int(line.x[-1]):,} ahead"
            if len(by) > 1
            else ""
        )
        for line, label, _ in reversed(kept)
    ]
    summary = ". ".join(said) + "."
    title, note = "Share of rows inside the band, by steps ahead", "dashed: the share each band names"
    figure = Figure(f"Coverage of the intervals. {summary}", summary=summary)
    figure.wide, figure.narrow = (
        [ahead_chart(shown, width, title=title, note=note, summary=summary, share=True, levels=levels)]
        for width in (WIDE, NARROW)
    )
    head = ["steps ahead", *(label for _, label, _ in kept)]
    rows = [[float(shown[0].x[k]), *(float(line.y[k]) for line in shown)] for k in range(len(by))]
    texts = [[f"{int(r[0]):,}", *(written(v, form="share", decimals=1) for v in r[1:])] for r in rows]
    figure.table = data_table("Share of rows inside the band", head, rows, texts)
    figure.csv, figure.csv_name = csv_uri(head, rows), "coverage-by-step.csv"
    return figure


# -- residuals ---------------------------------------------------------------------------------------------------------


def _residual_figure(found: Any) -> Figure | None:
    """The nearest and the farthest step side by side."""
    made = [one for one in entries(found) if isinstance(one, dict) and _bins(one) is not None]
    if not made:
        return None
    chosen = made if len(made) < 2 else [made[0], made[-1]]
    figure = Figure(
        "Residuals in standard deviations that the model stated with each forecast; all channels. Thin line: the "
        "normal law it assumes. A higher middle with long ends means rare large errors."
    )
    for one in chosen:
        bins = _bins(one)
        assert bins is not None
        edges, shares, beyond = bins
        title = f"{plural(int(number(one.get('ahead'))), 'row')} ahead"
        note = f"mean {written(number(one.get('mean')), decimals=2)}, sd {written(number(one.get('sd')), decimals=2)}"
        note += f"; beyond the frame {written(beyond, form='share', decimals=1)}"
        for held, width in ((figure.wide, (WIDE - 12) / len(chosen)), (figure.narrow, NARROW)):
            held.append(histogram(edges, shares, width, 206.0, title=title, note=note, summary=f"{title}: {note}"))
    figure.summary = figure.caption
    return figure


def _bins(one: dict[str, Any]) -> tuple[Array, Array, float] | None:
    """Edges (n + 1,), shares (n,), and the share beyond them; None for anything else."""
    edges, counts, beyond = (_numbers(one.get(key)) for key in ("edges", "counts", "beyond"))
    if edges is None or counts is None or beyond is None or len(edges) != len(counts) + 1 or len(counts) < 2:
        return None
    total = float(counts.sum() + beyond.sum())
    good = (
        isinstance(one.get("ahead"), int)
        and bool(np.isfinite(edges).all())
        and bool((np.diff(edges) > 0).all())
        and math.isfinite(total)
        and total > 0
    )
    return (edges, counts / total, float(beyond.sum()) / total) if good else None
