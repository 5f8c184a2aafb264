"""Play with a series: new rows judged by a run, or the run's own, with all that a page needs to move the threshold.

A page gets every score and share of blame once, and a threshold for each of a ladder of false-alarm rates, so that it
finds the events itself while the rate is moved, by the rule of `anomalies.events.find_events`. Curves are drawn here,
stretch by stretch, as in the report of `elboroom detect`, whose judging this is: level shifts are followed at one false
alarm in 2,000 rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Le, Len, MaxLen
from numpy.typing import NDArray

from elboroom.anomalies.events import Event, blame
from elboroom.anomalies.expected import Expected, pieces, scaled
from elboroom.core.abilities import Forecasts
from elboroom.core.errors import InputError
from elboroom.detecting import ROWS_AN_ALARM, Asked, Judged, at_rate, judged, learnt, scored
from elboroom.report.detection_plots import channel_ends, close_up, score_ends
from elboroom.report.detection_plots import told as in_words
from elboroom.report.detection_series import Event as Entry
from elboroom.report.detection_series import Judged as Drawable
from elboroom.report.detection_series import short
from elboroom.report.detection_stack import Panel, Shade, Stack
from elboroom.report.plots import Axis, Canvas
from elboroom.run import require
from elboroom.web.answers import Form

from .answers import Handler, Json, Player, checked, packed
from .drawn import tree
from .series_told import Kept, Learnt, differing, drawn, ranges, reading, table, told

if TYPE_CHECKING:
    from elboroom.data.series import SeriesSet
    from elboroom.data.source import Dataset
    from elboroom.run import Run

__all__ = ["ASKS"]

Array = NDArray[np.float64]
Finite = Annotated[float, Ge(-1e300), Le(1e300)]
HOUR_NS = 3600 * 10**9
PERIODS_H = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440, 2160, 4320, 8760, 17_520, 43_800)
"""Periods that hold one false alarm, hours: from an hour to five years."""
APART = 5
"""Times the rows of rest that part two alarms: the most frequent false alarms that have a threshold."""
NEAR = 0.1
"""A period this near to that of 2,000 rows is left out."""
ROWS = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000)
"""The same in rows, for data without times; the ends bound both."""
KEPT = 4
"""Judged inputs that stay in memory."""
SCORE = 96
"""Height of the panel of the score, pixels."""


class Judging(Form):
    """Which data to judge."""

    path: Annotated[str, MaxLen(4096)] = ""
    """a file that was dropped; empty: the run's own data"""
    whole: bool = False
    """of the run's own data, the rows it learnt from, too, as if they were dropped"""


class Window(Form):
    """A stretch of one series, for so many columns of pixels."""

    key: Annotated[str, MaxLen(100)]
    """what judging answered"""
    series: Annotated[int, Ge(0)] = 0
    """its place, counted from 0"""
    start: Annotated[int, Ge(0)] = 0
    """its first row"""
    stop: Annotated[int, Ge(1)]
    """the row after its last"""
    width: Annotated[int, Ge(200), Le(4000)] = 800
    """pixels of the drawing"""
    channels: Annotated[list[Annotated[int, Ge(0)]], Len(1, 16)]
    """channels by their places, counted from 0"""


class Rows(Form):
    """One series."""

    key: Annotated[str, MaxLen(100)]
    """what judging answered"""
    series: Annotated[int, Ge(0)] = 0
    """its place, counted from 0"""


class Close(Form):
    """One event."""

    key: Annotated[str, MaxLen(100)]
    """what judging answered"""
    series: Annotated[int, Ge(0)] = 0
    """its place, counted from 0"""
    start: Annotated[int, Ge(0)]
    """the event's first row"""
    stop: Annotated[int, Ge(1)]
    """the row after its last"""
    number: Annotated[int, Ge(1)]
    """what it is called"""
    threshold: Finite
    """that it passed"""


def judge(player: Player, given: Json) -> Iterator[Json]:
    """Parts that say what is being done, with rows where it goes by them; one with how the data were read, as soon as
    they are; then one with all of it under "judged", or with "differs": the columns of data that do not fit the run.
    """
    form = checked(Judging, given)
    run = player.run
    require(run.model, Forecasts, "judge a series", run.name)
    base, own = player.held.get("series/learnt"), None
    if base is None:
        base, own = yield from _learnt(player)
        player.held["series/learnt"] = base
    data = base.data
    if form.path:
        yield {"doing": "reading the file"}
        try:
            data = run.read(form.path)
        except InputError as error:
            yield {"differs": differing(form.path, base, str(error))}
            return
    yield {"read": reading(base, data)}
    after = not (form.path or form.whole)
    key = data.fingerprint[:24] if form.path else "own" if after else "whole"
    held: dict[str, Kept] = player.held.setdefault("series/kept", {})
    kept = held.pop(key, None)
    if kept is None:
        kept = yield from _judged(player, base, data, None if form.path else own, own=after)
    held[key] = kept  # as the last one that was looked at
    while len(held) > KEPT:
        del held[next(iter(held))]
    which = {"own": not form.path, "whole": not (form.path or after)}
    file = Path(form.path or str(run.meta["data"]["source"])).name
    yield {"judged": {"key": key, **which, "file": file, **told(base, kept)}}


def _judged(
    player: Player, base: Learnt, data: Dataset, known: list[Expected] | None, *, own: bool
) -> Generator[Json, None, Kept]:
    """All series of `data` judged; `known`: what was expected of them, where that is there."""
    found = data.series
    assert found is not None
    read = known or (yield from _expected(player.run, found, "judging"))
    series: list[Judged] = []
    for i, (one, of_one) in enumerate(zip(found.series, read, strict=True)):
        many = f", series {i + 1} of {len(found.series)}" if len(found.series) > 1 else ""
        yield {"doing": f"looking for events and shifts of the level{many}"}
        series.append(judged(player.run, base.detector, one, of_one, learnt(found, i) if own else 0, Asked()))
    assert base.detector.tail is not None
    shown = [drawn(one, found, i) for i, one in enumerate(series)]
    return Kept(data, series, shown, base.detector.tail.threshold)


def _expected(run: Run, found: SeriesSet, doing: str) -> Generator[Json, None, list[Expected]]:
    """What the run expected of each series, with a part for each piece of rows."""
    assert isinstance(run.model, Forecasts)
    read: list[Expected] = []
    rows = 0
    yield {"doing": doing, "rows": rows, "of": found.rows}
    for one in found.series:
        reading = pieces(run.model, scaled(run.transform, one.values), one.segments)
        while True:
            try:
                rows += next(reading)
            except StopIteration as ended:
                read.append(ended.value)
                break
            yield {"doing": doing, "rows": rows, "of": found.rows}
    return read


def window(player: Player, given: Json) -> Json:
    """The frame of a drawing of some channels with the score under them, where each panel lies in it, and what the page
    draws there: of each column of `every` rows (N) the lowest and highest value of channels and score (C + 1, N), the
    middle expected value and the band of two standard deviations about it (C, N), float32, NaN for none."""
    form = checked(Window, given)
    kept, one = _shown(player, form.key, form.series)
    stop = min(form.stop, len(one))
    if form.start >= stop:
        raise InputError(f"rows {form.start:,} to {form.stop:,}: the series has {len(one):,}")
    if max(form.channels) >= len(one.channels):
        raise InputError(f"there is no channel {max(form.channels) + 1}; there are {len(one.channels):,}")
    every = -(-(stop - form.start) // form.width)
    begins = np.arange(0, stop - form.start, every)
    values, mean, sd = (x[form.start : stop, form.channels] for x in (one.values, one.expected, one.sd))
    seen = np.concatenate([values, one.score[form.start : stop, None]], axis=1)
    columns = {
        "low": np.fmin.reduceat(seen, begins),
        "high": np.fmax.reduceat(seen, begins),
        "expected": mean[np.minimum(begins + every // 2, len(mean) - 1)],
        "below": np.fmin.reduceat(mean - 2 * sd, begins),
        "above": np.fmax.reduceat(mean + 2 * sd, begins),
    }
    arrays = {name: packed(np.ascontiguousarray(x.T, dtype=np.float32)) for name, x in columns.items()}
    return {"start": form.start, "stop": stop, "every": every, **arrays, **_frame(one, form, stop, kept.usual)}


def close(player: Player, given: Json) -> Json:
    """One event close up, drawn wide and narrow, and what it was in words."""
    form = checked(Close, given)
    _, one = _shown(player, form.key, form.series)
    if not form.start < form.stop <= len(one):
        raise InputError(f"rows {form.start:,} to {form.stop:,} are no event of a series of {len(one):,} rows")
    score = one.score[form.start : form.stop]
    peak = form.start + int(np.nanargmax(score)) if np.isfinite(score).any() else form.start
    shares = np.full_like(one.values, np.nan) if one.shares is None else one.shares
    blamed = blame(shares, Event(form.start, form.stop, peak, float(one.score[peak])))
    channels = tuple((one.channels[c], share) for c, share in blamed)
    event = Entry(form.number, form.start, form.stop, peak, float(one.score[peak]), channels)
    width = player.held["series/learnt"].detector.width
    figure = close_up(replace(one, events=[event]), event, form.threshold, width)
    return {"wide": tree(figure.wide[0]), "narrow": tree(figure.narrow[0]), "said": in_words(one, event)}


def rows(player: Player, given: Json) -> Json:
    """What a table of one series says of its rows, beside what judging answered."""
    form = checked(Rows, given)
    kept, _ = _shown(player, form.key, form.series)
    assert kept.data.series is not None
    return table(kept.series[form.series], kept.data.series)


def _shown(player: Player, key: str, series: int) -> tuple[Kept, Drawable]:
    kept: Kept | None = player.held.get("series/kept", {}).get(key)
    if kept is None:
        raise InputError("these data are no longer held; judge them again")
    if series >= len(kept.shown):
        raise InputError(f"there is no series {series + 1}; there are {len(kept.shown):,}")
    return kept, kept.shown[series]


def _frame(one: Drawable, form: Window, stop: int, usual: float) -> Json:
    """The panels without curves, and the ends of their axes in values and pixels."""
    stack = Stack(one.clock, *one.edges(form.start, stop), form.width)
    stack.shades = _stretches(one, form.start, stop)
    ends: list[Json] = []

    def paint(canvas: Canvas, x: Axis, y: Axis) -> None:
        ends.append({"x": _ends(x), "y": _ends(y), "log": y.log})

    tall = 62 if len(form.channels) <= 4 else 44
    for c in form.channels:
        name = short(one.channels[c], form.width // 9)
        stack.panels.append(Panel(name, "", tall, *channel_ends(one, c, form.start, stop), paint))
    low, high, log = score_ends(one, usual, form.start, stop)
    note = f"{'log' if log else 'linear'} axis, no unit"
    stack.panels.append(Panel("Score", note, SCORE, low, high, paint, log))
    frame = tree(stack.drawn("channels and score over time"))
    return {"frame": frame, "panels": ends}


def _ends(axis: Axis) -> list[float]:
    return [axis.low, axis.high, axis.start, axis.end]


def _stretches(one: Drawable, start: int, stop: int) -> list[Shade]:
    """What rows of the run's own data were used for, as far as they are in sight."""
    names = {"train": ("learnt", "learnt from"), "valid": ("calibration", "threshold set"), "": ("judged", "judged")}
    spans = [(part, *ends) for part, ends in one.stretches.items() if part in names]
    if spans:  # where the whole file is judged, what follows those
        spans.append(("", one.train or max(last for _, _, last in spans), len(one)))
    inside = [(part, max(a, start), min(b, stop)) for part, a, b in spans]
    return [Shade(*one.edges(a, b), *names[part]) for part, a, b in inside if b > a]


# -- what is known beforehand ------------------------------------------------------------------------------------------


def _learnt(player: Player) -> Generator[Json, None, tuple[Learnt, list[Expected]]]:
    """That, and what was expected of the run's own data."""
    run = player.run
    yield {"doing": "reading the run's own data"}
    data = run.dataset()
    known = data.series
    assert known is not None
    read = yield from _expected(run, known, "learning what is usual")
    yield {"doing": "setting the thresholds"}
    bare, valid, both = scored(run, known, read, "centred")
    detector, _ = at_rate(bare, valid, both, 1 / ROWS_AN_ALARM)
    thresholds: list[Json] = []
    for rows in _ladder(known, bare.merge):
        tail = at_rate(bare, valid, both, 1 / rows)[0].tail
        assert tail is not None
        if rows > ROWS_AN_ALARM and tail.threshold == thresholds[-1]["threshold"]:
            break  # the rows cannot show rarer alarms: it is the largest score seen from here on
        thresholds.append({"rows": rows, "threshold": tail.threshold, "how": tail.how, "few": tail.few})
    train = [one.values[slice(*parts["train"])] for one, parts in zip(known.series, known.stretches, strict=True)
             if "train" in parts]  # fmt: skip
    return Learnt(data, detector, thresholds, ranges(np.concatenate(train))), read


def _ladder(known: SeriesSet, merge: int) -> list[float]:
    """Rows that hold one false alarm, ascending; ROWS_AN_ALARM is among them.

    Alarms with fewer than `merge` rows of rest between them are one, so that what comes not much less often than that
    has no threshold.
    """
    rows = [hours * HOUR_NS / known.step for hours in PERIODS_H] if known.time else [float(r) for r in ROWS]
    least = min(max(ROWS[0], APART * merge), ROWS_AN_ALARM)
    near = [r for r in rows if least <= r <= ROWS[-1] and abs(r / ROWS_AN_ALARM - 1) > NEAR]
    return sorted([*near, float(ROWS_AN_ALARM)])


ASKS: dict[str, Handler] = {"series/judge": judge, "series/window": window, "series/close": close, "series/table": rows}
