"""The figures of the page of `detect`: the whole series with its score, and each event close up."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from .detection_series import Event, Judged, binned, runs, short
from .detection_stack import Badge, Heat, Marks, Panel, Shade, Stack
from .layout import CSV_ROWS, Figure, csv_uri, data_table
from .names import shown_name
from .numbers import column, written
from .plots import Array, Axis, Canvas, text_width, thinned
from .words import plural

__all__ = ["channel_ends", "close_up", "overview", "score_ends", "score_panel", "told"]

WIDE, NARROW, CLOSE = 1032.0, 358.0, 680.0
PANELS, STRIPS, CLOSE_PANELS, CLOSE_STRIPS = 3, 16, 3, 8
"""Channels drawn: as lines and as strips of blame, over the whole and close up."""
FAR = 12.0
"""A score this many times its threshold asks for a log axis."""
TABLE_STRETCHES = 24
READ = 400
CLOSE_ROWS = 400
"""Rows of the numbers of an event."""
NOTED, SURE = 2.0, 4.0
"""Distances in standard deviations: where the shade of blame begins, and the least at which it ends."""


def overview(one: Judged, threshold: float, *, with_channels: bool) -> Figure:
    """A whole series: its most blamed channels, the score with its threshold, labels and blame beneath."""
    chosen = one.most_blamed(PANELS) if with_channels else []
    summary = _summary(one, threshold)
    drawings = [_whole(one, threshold, chosen, width, summary) for width in (WIDE, NARROW)]
    head, rows, saved = _score_rows(one)
    texts = [[*(str(v) for v in row[:2]), *cells] for row, cells in zip(rows, _score_texts(rows), strict=True)]
    return Figure(
        caption=_caption(one, chosen),
        summary=summary,
        wide=[drawings[0]],
        narrow=[drawings[1]],
        table=data_table("Score by stretch", head, rows, texts),
        csv=csv_uri(["row", "time", "score"], saved),
        csv_name="score.csv",
        reading=_reading(one),
    )


def _whole(one: Judged, threshold: float, chosen: list[int], width: float, summary: str) -> Markup:
    low, high = one.edges(0, len(one))
    wide = width > CLOSE
    stack = Stack(one.clock, low, high, width, reads=bool(_reading(one)))
    stack.shades = [*_stretches(one), *(Shade(*one.edges(e.start, e.stop), "event") for e in one.events)]
    ranked = sorted(one.events, key=lambda e: -e.height)
    stack.badges = [Badge(e.number, *one.edges(e.start, e.stop)) for e in ranked]
    for c in chosen:
        stack.panels.append(channel_panel(one, c, 0, len(one), width, 62))
    stack.right = text_width("threshold", 12) + 12 if wide else 10.0
    score = score_panel(one, threshold, 0, len(one), width, 128, labelled=wide)
    stack.panels.append(replace(score, title=f"Score, {short(one.name, int(width / 14))}") if one.name else score)
    if one.labels is not None:
        stack.marks = [Marks("labels" if wide else "lab.", [one.edges(a, b) for a, b in runs(one.labels)])]
    if len(one.channels) > 1:
        stack.heat = _heat(one, one.most_blamed(STRIPS), 0, len(one), width)
    return stack.drawn(summary)


def _stretches(one: Judged) -> list[Shade]:
    """What the rows were used for."""
    names = {"train": ("learnt", "learnt from"), "valid": ("calibration", "threshold set")}
    found = [Shade(*one.edges(*one.stretches[k]), css, name) for k, (css, name) in names.items()
             if k in one.stretches and one.stretches[k][1] > one.stretches[k][0]]  # fmt: skip
    if one.train < len(one):
        found.append(Shade(*one.edges(one.train, len(one)), "judged", "judged"))
    return found


def score_panel(
    one: Judged, threshold: float, start: int, stop: int, width: float, height: float, *, labelled: bool
) -> Panel:
    """The score of some rows and the threshold across: dotted where rows are not judged."""
    shown = one.score[start:stop]
    low, high, log = score_ends(one, threshold, start, stop)
    xs, ys = one.line(one.score, start, stop, int(width))
    first = one.edges(one.train, one.train + 1)[0] if one.train < len(one) else math.inf

    def paint(canvas: Canvas, x: Axis, y: Axis) -> None:
        parts = min(max(x(first), x.start), x.end) if math.isfinite(first) else x.end
        if math.isfinite(threshold):
            canvas.line(x.start, y(threshold), parts, y(threshold), "threshold unused-part")
            canvas.line(parts, y(threshold), x.end, y(threshold), "threshold")
        canvas.curve(x.place(xs), y.place(ys), "line observed")
        for row in np.flatnonzero(np.isposinf(shown))[:20].tolist():
            at = x(float(one.clock.x[start + row]))
            canvas.line(at, y.end, at, y.end + 8, "line observed")
        if labelled and math.isfinite(threshold):
            middle = min(max(y(threshold), y.end + 6), y.start - 14)
            canvas.text(x.end + 8, middle, "threshold", "threshold-text")
            canvas.text(x.end + 8, middle + 15, written(threshold), "threshold-text strong")
        if not np.isfinite(shown).any():
            canvas.text((x.start + x.end) / 2, (y.start + y.end) / 2, "no row has a score", "label halo", "middle")

    note = ("log axis" if log else "linear axis") + ", no unit"
    note += "" if labelled else f"; line across: threshold {written(threshold)}"
    return Panel("Score", note, height, low, high, paint, log)


def score_ends(one: Judged, threshold: float, start: int, stop: int) -> tuple[float, float, bool]:
    """Lowest and highest of the scores of some rows and the threshold, and whether they ask for a log axis."""
    shown = one.score[start:stop]
    good = shown[np.isfinite(shown)]
    ends = [*([float(good.min()), float(good.max())] if len(good) else [0.0]), threshold]
    low, high = (f([v for v in ends if math.isfinite(v)]) for f in (min, max))
    if high <= low:
        low, high = low - abs(low) * 0.1 - 0.1, high + abs(high) * 0.1 + 0.1
    return low, high, low > 0 and high > FAR * threshold


def channel_panel(one: Judged, channel: int, start: int, stop: int, width: float, height: float) -> Panel:
    """What was measured, what was expected, and two standard deviations about it."""
    name = one.channels[channel]
    values, expected = one.values[:, channel], one.expected[:, channel]
    lows, highs = (expected + sign * 2 * one.sd[:, channel] for sign in (-1, 1))
    low, high = channel_ends(one, channel, start, stop)
    band = _band(one, lows, highs, start, stop, int(width))
    middle = one.line(expected, start, stop, int(width))
    seen = one.line(values, start, stop, int(width))

    def paint(canvas: Canvas, x: Axis, y: Axis) -> None:
        for xs, bottom, top in band:
            lower, upper = (y.place(np.clip(v, y.low, y.high)) for v in (bottom, top))
            canvas.band(x.place(xs), lower, upper, "c1 band")
        canvas.curve(x.place(middle[0]), y.place(middle[1]), "line expected c1")
        canvas.curve(x.place(seen[0]), y.place(seen[1]), "line observed")

    return Panel(short(name, int(width / 9)), "", height, low, high, paint)


def channel_ends(one: Judged, channel: int, start: int, stop: int) -> tuple[float, float]:
    """Lowest and highest to be drawn of a channel: what was measured and expected, and the band near to it."""
    values, expected, sd = (x[start:stop, channel] for x in (one.values, one.expected, one.sd))
    everything = np.concatenate([values, expected])
    good = everything[np.isfinite(everything)]
    low, high = (float(good.min()), float(good.max())) if len(good) else (0.0, 1.0)
    room = (high - low) * 0.35 or abs(low) * 0.05 or 0.5
    ends = np.array([np.nanpercentile(v, p) if (v := b[np.isfinite(b)]).size else f
                     for b, p, f in ((expected - 2 * sd, 2, low), (expected + 2 * sd, 98, high))])  # fmt: skip
    low, high = min(low, max(float(ends[0]), low - room)), max(high, min(float(ends[1]), high + room))
    return (low, high) if high > low else (low - room, high + room)


def _band(
    one: Judged, lows: Array, highs: Array, start: int, stop: int, columns: int
) -> list[tuple[Array, Array, Array]]:
    """(x, low, high) of each stretch without a gap; the outermost of each pixel column."""
    inside = np.zeros(len(one), dtype=bool)
    inside[start:stop] = np.isfinite(lows[start:stop]) & np.isfinite(highs[start:stop])
    cuts = {a for a, _ in one.segments}
    found = []
    every = max(1, math.ceil((stop - start) / columns))
    for first, last in runs(inside):
        edges = sorted({first, last, *(c for c in cuts if first < c < last)})
        for a, b in pairwise(edges):
            begins = np.arange(a, b, every)
            x = one.clock.x[np.minimum(begins + every // 2, b - 1)]
            bottom, top = np.minimum.reduceat(lows[:b], begins), np.maximum.reduceat(highs[:b], begins)
            half = one.clock.step / 2
            if len(x) == 1:
                x, bottom, top = np.array([x[0] - half, x[0] + half]), bottom.repeat(2), top.repeat(2)
            found.append((x, bottom, top))
    return found


def _heat(one: Judged, channels: list[int], start: int, stop: int, width: float) -> Heat:
    """Blame by channel; a cell holds the highest of its rows."""
    wide = width > NARROW
    low, high = one.edges(start, stop)
    slots = max(1, round((high - low) / one.clock.step))
    values = binned(one.clock.x[start:stop], one.blame[start:stop][:, channels], low, high, min(slots, int(width / 3)))
    good = values[np.isfinite(values)]
    highest = float(good.max()) if len(good) else 0.0
    if one.shares is None:
        floor, top = NOTED, max(SURE, highest)
        ends = f"paper {NOTED:g} sd, strongest {written(top, decimals=0)} sd"
        title = f"Blame by channel: distance from what was expected, {ends}" if wide else f"off by: {ends}"
    else:
        floor, top = 0.0, highest or 1.0
        ends = f"paper 0, strongest {written(float(f'{top:.3g}'))}"
        title = f"Blame by channel: part of the score, {ends}" if wide else f"part of score: {ends}"
    names = [short(one.channels[c], 18 if wide else 9) for c in channels]
    return Heat(title, names, values.T, floor, top)


# -- one event ---------------------------------------------------------------------------------------------------------


def window(one: Judged, event: Event, width: int) -> tuple[int, int]:
    """Rows about an event: as many on each side as it has, within bounds that the smoothing width sets."""
    size = event.stop - event.start
    around = max(24, min(size, 2 * max(width, 1)))
    return max(0, event.start - around), min(len(one), event.stop + around)


def close_up(one: Judged, event: Event, threshold: float, width: int) -> Figure:
    """An event: the channels to blame with what was expected of them, the score, blame of all channels."""
    start, stop = window(one, event, width)
    channels = one.blamed(event, CLOSE_PANELS)
    said = told(one, event)
    drawings = [_close(one, event, threshold, (start, stop), channels, room, said) for room in (CLOSE, NARROW)]
    names = [shown_name(one.channels[c]) for c in channels]
    head = ["row", "time", "score", *(f"{what}, {name}" for name in names for what in ("value", "expected", "sd"))]
    rows = [
        [i, one.clock.said(i), float(one.score[i])]
        + [v for c in channels for v in (float(one.values[i, c]), _short(one.expected[i, c]), _short(one.sd[i, c]))]
        for i in range(start, stop, max(1, math.ceil((stop - start) / CLOSE_ROWS)))
    ]
    texts = zip(*(column(v) for v in list(zip(*rows, strict=True))[2:]), strict=True)
    written_rows = [[f"{row[0]:,}", row[1], *cells] for row, cells in zip(rows, texts, strict=True)]
    return Figure(
        caption=said + _close_note(one, event, channels, stop - start),
        summary=said,
        wide=[drawings[0]],
        narrow=[drawings[1]],
        table=data_table(f"Event {event.number}", head, rows, written_rows),
        csv=csv_uri(head, rows),
        csv_name=f"event-{event.number}.csv",
    )


def _close(
    one: Judged, event: Event, threshold: float, rows: tuple[int, int], channels: list[int], width: float, said: str
) -> Markup:
    start, stop = rows
    stack = Stack(one.clock, *one.edges(start, stop), width)
    near = [e for e in one.events if e.start < stop and e.stop > start]
    ranked = sorted(near, key=lambda e: (e.number != event.number, -e.height))
    stack.shades = [Shade(*one.edges(e.start, e.stop), "event" if e is event else "other-event") for e in near]
    if one.train > start:
        stack.shades.insert(0, Shade(*one.edges(start, min(one.train, stop)), "calibration"))
    stack.badges = [Badge(e.number, *_inside(one, e, start, stop)) for e in ranked]
    stack.panels = [channel_panel(one, c, start, stop, width, 104) for c in channels]
    wide = width > NARROW
    stack.right = text_width("threshold", 12) + 12 if wide else 10.0
    stack.panels.append(score_panel(one, threshold, start, stop, width, 56, labelled=wide))
    if one.labels is not None:
        inside = [(max(a, start), min(b, stop)) for a, b in runs(one.labels) if a < stop and b > start]
        stack.marks = [Marks("labels" if wide else "lab.", [one.edges(a, b) for a, b in inside])]
    if len(one.channels) > 1:
        stack.heat = _heat(one, one.blamed(event, CLOSE_STRIPS), start, stop, width)
    return stack.drawn(said)


def _inside(one: Judged, event: Event, start: int, stop: int) -> tuple[float, float]:
    return one.edges(max(event.start, start), min(event.stop, stop))


def told(one: Judged, event: Event) -> str:
    """An event in words: when, how long, how high, and where its most blamed channel was farthest off."""
    place = f"{short(one.name, 40)}, " if one.name else ""
    said = f"Event {event.number}: {place}{one.clock.said(event.start)}, {one.clock.lasted(event.start, event.stop)}"
    said += f", highest score {written(event.score)}."
    channels = one.blamed(event, 1)
    away = one.distance[event.start : event.stop, channels[0]] if channels else np.zeros(0)
    if np.isfinite(away).any():
        row, c = event.start + int(np.nanargmax(away)), channels[0]
        value, middle, sd = (float(part[row, c]) for part in (one.values, one.expected, one.sd))
        was, thought, low, high = column([value, middle, middle - 2 * sd, middle + 2 * sd])
        at = "In that row" if event.stop - event.start == 1 else f"At {one.clock.said(row)}"
        at = at.replace("At row", "In row")
        said += f" {at} {short(one.channels[c], 40)} was {was} where {thought} ({low} to {high}) was expected."
    return said


def _close_note(one: Judged, event: Event, channels: list[int], rows: int) -> str:
    said = [" Line: what was measured; line inside the band: what was expected; shaded: the event."]
    if len(one.channels) > len(channels):
        strips = f", {CLOSE_STRIPS} as strips" if len(one.channels) > CLOSE_STRIPS else ""
        said.append(f"Drawn are the {len(channels)} most to blame of {len(one.channels):,} channels{strips}.")
    if rows > CLOSE_ROWS:
        said.append(f"The csv holds one row in {math.ceil(rows / CLOSE_ROWS)}; scores.csv has every score.")
    return " ".join(said)


def _short(value: float) -> float:
    """With the seven digits that a network's single precision has."""
    return float(f"{value:.7g}")


# -- words and numbers of the whole ------------------------------------------------------------------------------------


def _summary(one: Judged, threshold: float) -> str:
    good = one.score[np.isfinite(one.score)]
    place = f"{short(one.name, 40)}: " if one.name else ""
    if not len(good):
        return f"{place}no row has a score."
    return (
        f"{place}{plural(len(one.events), 'event')} in {plural(one.judged_rows, 'judged row')}; scores from "
        f"{written(float(good.min()))} to {written(float(good.max()))}, threshold {written(threshold)}."
    )


def _caption(one: Judged, chosen: Sequence[int]) -> str:
    named = f"{short(one.name, 40)}. " if one.name else ""
    if chosen:
        named += "Line: what was measured; band: two standard deviations about what was expected. "
    said = [f"{named}Upright shades with numbers: events"]
    said[0] += "; line across: the threshold." if one.events else ", of which there are none; line across: threshold."
    columns = WIDE - 120
    if len(one) > 2 * columns:
        said.append(
            f"Each pixel column holds {int(len(one) / columns):,} rows or more and shows the lowest and highest."
        )
    if one.labels is not None:
        count = len(runs(one.labels))
        said.append(f"Strip of labels: {plural(count, 'stretch', 'stretches')} known to be anomalous; nothing was "
                    "learnt from them.")  # fmt: skip
    if chosen and len(chosen) < len(one.channels):
        said.append(f"The channels are the {len(chosen)} most to blame of {len(one.channels):,}.")
    if not one.clock.timed:
        said.append("The data have no times; rows are counted from 0.")
    return " ".join(said)


def _score_rows(one: Judged) -> tuple[list[str], list[list[object]], list[list[object]]]:
    """(head, rows of the table: a stretch each; rows of the csv: every score, or the lowest and highest of many)."""
    cuts = np.unique(np.linspace(0, len(one), min(TABLE_STRETCHES, len(one)) + 1).round().astype(int))
    rows: list[list[object]] = []
    for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        part = one.score[a:b][np.isfinite(one.score[a:b])]
        ends = [float(f(part)) for f in (np.min, np.median, np.max)] if len(part) else [math.nan] * 3
        rows.append([one.clock.said(a), one.clock.said(b - 1), *ends])
    at, score = thinned(np.arange(len(one), dtype=np.float64), one.score, CSV_ROWS // 2)
    saved: list[list[object]] = [
        [int(i), one.clock.said(int(i)), float(s)] for i, s in zip(at.tolist(), score.tolist(), strict=True)
    ]
    return ["from", "to", "lowest", "median", "highest"], rows, saved


def _score_texts(rows: list[list[object]]) -> list[list[str]]:
    """The three numbers of each row, with the same decimals."""
    flat = column([float(str(v)) for row in rows for v in row[2:]])
    return [flat[i : i + 3] for i in range(0, len(flat), 3)]


def _reading(one: Judged) -> str:
    """Scores for the pointer: where there are many, the highest of each of some hundred parts."""
    if len(one) < 2 or not np.isfinite(one.score).any():
        return ""
    low, high = one.edges(0, len(one))
    parts = min(READ, len(one))
    highest = binned(one.clock.x, one.score[:, None], low, high, parts)[:, 0]
    middles = (np.arange(parts) + 0.5) * (high - low) / parts + low - one.clock.x[0]
    kept = {
        "name": one.clock.unit,
        "x": [round(float(v), 4) for v in middles / one.clock.unit_size],
        "series": [{"name": "highest score" if parts < len(one) else "score", "css": "c1",
                    "y": [float(f"{v:.6g}") if math.isfinite(v) else None for v in highest]}],
    }  # fmt: skip
    return json.dumps(kept, separators=(",", ":"))
