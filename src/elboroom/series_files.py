"""The tables that `detect` and `forecast` write, one line a row, as the contract names their columns."""

from __future__ import annotations

import csv
import io
import math
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elboroom.core.spec import Column
from elboroom.outputs import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from elboroom.anomalies.events import Event
    from elboroom.data.series import Series
    from elboroom.detecting import Found, Judged
    from elboroom.forecasting import Forecast

__all__ = ["events_table", "forecast_result", "number", "scores_table", "time_words"]

PIECE = 1 << 14
"""Lines that are made at a time."""
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
    rows = np.concatenate([one.series.rows for one in found.judged])
    which = np.repeat(np.arange(len(found.judged)), [len(one.series.rows) for one in found.judged])
    at = np.concatenate([one.series.row_of for one in found.judged])
    order, inside = np.argsort(rows, kind="stable"), _events_of_rows(found)

    def lines() -> Iterator[Sequence[str]]:
        for start in range(0, len(order), PIECE):
            piece = order[start : start + PIECE]
            cuts = np.flatnonzero(np.diff(which[piece], prepend=-1, append=-1))
            for first, stop in pairwise(cuts.tolist()):  # rows of one series that follow each other
                here, series = piece[first:stop], int(which[piece[first]])
                yield from _lines(found, found.judged[series], rows[here], at[here], inside[series])

    return _csv(head, lines())


def _events_of_rows(found: Found) -> list[NDArray[np.int64]]:
    """Of each series, the number of the event that each of its rows is in, 0 for none, counted through as in
    events.csv."""
    out, number_of_event = [], 0
    for one in found.judged:
        inside = np.zeros(len(one.series), np.int64)
        for event in one.events:
            number_of_event += 1
            inside[event.start : event.stop] = number_of_event
        out.append(inside)
    return out


def _lines(
    found: Found, one: Judged, rows: NDArray[np.int64], at: NDArray[np.int64], inside: NDArray[np.int64]
) -> Iterator[Sequence[str]]:
    """Lines of input rows that lie at rows `at` of the grid, -1 where they have no place on it."""
    threshold, channels = number(found.threshold), range(len(found.series.channels))
    there = at >= 0
    score, shares = (np.where(there.reshape(-1, *[1] * (a.ndim - 1)), a[at], np.nan) for a in (one.score, one.shares))
    event = np.where(there, inside[at], 0).tolist()
    reason = np.where(there, one.reasons[at], "missing").tolist()
    times = [time_words(one.series, place) if place >= 0 else "" for place in at.tolist()]
    return zip(
        map(str, rows.tolist()),
        times,
        map(number, score.tolist()),
        repeat(threshold, len(rows)),
        ("1" if k else "0" for k in event),
        (str(k) if k else "" for k in event),
        reason,
        *(map(number, shares[:, c].tolist()) for c in channels),
        strict=True,
    )


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


def forecast_result(found: Sequence[Forecast], *, wide: bool) -> Result:
    """One row a step of each series, named by its step, by its series where there are several, by its time if it has
    one. `wide`, for tables: of each channel middle, low and high side by side; else the middles, low and high beside.
    """
    several, timed = len(found) > 1, found[0].times is not None
    steps = [step for one in found for step in range(1, len(one.middle) + 1)]
    names: dict[str, list[Any]] = {"step": steps}
    if several:
        names["series"] = [one.name for one in found for _ in one.middle]
    if timed:
        moments = [moment for one in found if one.times is not None for moment in one.times]
        names["time"] = [str(moment).replace(".000000000", "") for moment in moments]
    parts = {
        "middle": [one.middle for one in found],
        "low": [one.low for one in found],
        "high": [one.high for one in found],
    }
    whole = {name: np.concatenate(arrays).astype(np.float32) for name, arrays in parts.items()}
    if not wide:
        beside = {"low": whole["low"], "high": whole["high"], "step": np.array(names.pop("step"))}
        return Result(name="x", values=whole["middle"], beside=beside, names=names)
    columns = tuple(Column(name=name + end) for name in found[0].channels for end in ("", ":low", ":high"))
    values = np.stack(list(whole.values()), axis=2).reshape(len(steps), -1)
    return Result(name="x", values=values, columns=columns, names=names)


def _csv(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return held.getvalue()
