"""The tables that `detect` and `forecast` write, one line a row, as the contract names their columns."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from elboroom.anomalies.events import Event
    from elboroom.data.series import Series
    from elboroom.detecting import Found, Judged
    from elboroom.forecasting import Forecast

__all__ = ["events_table", "forecast_table", "number", "scores_table", "time_words"]

CHANNELS = 5
"""Channels named beside an event."""


def number(value: float) -> str:
    """Six significant digits; nothing where there is none."""
    return f"{value:.6g}" if math.isfinite(value) else ""


def time_words(series: Series, row: int) -> str:
    """The time of a grid row as ISO 8601 without needless zeros; its number where there are no times."""
    if series.times is None:
        return str(row)
    text = str(series.times[row]).replace(".000000000", "")
    return text.rstrip("0") if "." in text else text


def scores_table(found: Found) -> str:
    """scores.csv: one line per input row, in input order. Rows are counted from 0."""
    channels = [f"blame:{name}" for name in found.series.channels]
    head = ["row", "time", "score", "threshold", "is_event", "event", "reason", *channels]
    lines: dict[int, list[str]] = {}
    number_of_event = 0
    for one in found.judged:
        inside = np.zeros(len(one.series), np.int64)
        for event in one.events:
            number_of_event += 1
            inside[event.start : event.stop] = number_of_event
        for row, at in zip(one.series.rows.tolist(), one.series.row_of.tolist(), strict=True):
            lines[row] = _line(found, one, row, at, int(inside[at]) if at >= 0 else 0)
    return _csv(head, (lines[row] for row in sorted(lines)))


def _line(found: Found, one: Judged, row: int, at: int, event: int) -> list[str]:
    threshold = number(found.threshold)
    if at < 0:
        return [str(row), "", "", threshold, "0", "", "missing", *([""] * len(found.series.channels))]
    shares = [number(share) for share in one.shares[at].tolist()]
    reason = str(one.reasons[at])
    score = number(float(one.score[at]))
    return [
        str(row),
        time_words(one.series, at),
        score,
        threshold,
        str(int(event > 0)),
        str(event or ""),
        reason,
        *shares,
    ]


def events_table(found: Found) -> str:
    """events.csv: rows are input rows, the last one of an event included; times likewise.

    Where there are several series, or a level shift among the events, a last column each says which is which.
    """
    lines: list[list[str]] = []
    head = ["event", "start_row", "end_row", "start", "end", "peak_row", "peak_score", "channels"]
    several, shifted = len(found.judged) > 1, any(event.kind == "shift" for one in found.judged for event in one.events)
    head += ["series"] * several + ["kind"] * shifted
    for one in found.judged:
        for event in one.events:
            first, last, peak = (_input_row(one.series, at) for at in (event.start, event.stop - 1, event.peak))
            line = [str(len(lines) + 1), first, last]
            line += [time_words(one.series, at) for at in (event.start, event.stop - 1)]
            line += [peak, number(event.peak_score), blamed(found, one, event)]
            lines.append([*line, *[one.series.name] * several, *[event.kind] * shifted])
    return _csv(head, lines)


def blamed(found: Found, one: Judged, event: Event) -> str:
    """`temperature 51%, vibration 10%`: channels that carry the event, largest share first."""
    most = [(c, share) for c, share in one.channels(event)[:CHANNELS] if share >= 0.05]
    return ", ".join(f"{found.series.channels[c]} {share:.0%}" for c, share in most)


def _input_row(series: Series, at: int) -> str:
    """The input row at a grid row, or the last one before it where the grid row was missing in the input."""
    there = series.rows[(series.row_of >= 0) & (series.row_of <= at)]
    exact = series.rows[series.row_of == at]
    return str(int(exact[0])) if len(exact) else str(int(there[-1])) if len(there) else ""


def forecast_table(found: Sequence[Forecast]) -> str:
    """step, time where there are times, series where there are several; of each channel middle, low and high."""
    first = found[0]
    several, timed = len(found) > 1, first.times is not None
    head = ["step", *(["series"] if several else []), *(["time"] if timed else [])]
    for name in first.channels:
        head += [name, f"{name}:low", f"{name}:high"]
    lines = []
    for one in found:
        for step in range(len(one.middle)):
            line = [str(step + 1), *([one.name] if several else [])]
            if one.times is not None:
                line.append(str(one.times[step]).replace(".000000000", ""))
            for c in range(len(one.channels)):
                line += [number(float(part[step, c])) for part in (one.middle, one.low, one.high)]
            lines.append(line)
    return _csv(head, lines)


def _csv(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return held.getvalue()
