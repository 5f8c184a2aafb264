"""Series for a model: a table becomes series on a grid, cut in time, scaled on the training stretch, cut in windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec

from .columns import RawTable, unique_names
from .content import Array
from .reading import Reading
from .scaling import fit_series
from .series import Measured, Series, SeriesSet, gridded, series_fingerprint
from .series_columns import measured, measured_like
from .series_parts import Stretches, by_shares, by_stop, calendar, season, stop_row, usual_window, window_limit
from .series_windows import SeriesWindows
from .splits import DEFAULT, PARTS, _said
from .times import Clock, find_clock, settled, span
from .transforms import Transform

__all__ = ["ReadSeries", "read_series", "read_series_like"]

STRIDE = 4
"""Training windows start every window / STRIDE rows."""


@dataclass
class ReadSeries:
    """What a Dataset of series is made of."""

    parts: dict[str, SeriesWindows]
    series: SeriesSet
    spec: Spec
    transform: Transform
    reading: Reading
    fingerprint: str
    problems: list[str]
    split_how: str


def read_series(raw: RawTable, reading: Reading, clock: Clock | None) -> ReadSeries:
    """Grid, cut, find the season, choose the window, fit the scaling. `clock` is that of `series_clock`."""
    if clock is not None:
        settled(raw, clock)
    reading.refuse_unused("series")
    table = measured(raw, reading, clock)
    found, repairs = _set(table, raw, clock, reading)
    cut = _Cut(found, reading, raw.own, raw.where)
    limit = reading.window or window_limit(max(cut.before(i) for i in range(len(found.series))))
    found.stretches = cut.stretches(limit)
    found.period = reading.period or _season(found)
    window = reading.window or usual_window(found.period, max(cut.before(i) for i in range(len(found.series))))
    found.stretches = cut.stretches(window)
    train = np.concatenate([run for _, run in _runs(found, "train")])
    scale = "standard" if reading.scale == "auto" else reading.scale
    transform, unvarying = fit_series(train, found.channels, scale)
    present = {part for stretches in found.stretches for part in stretches}
    parts = {part: _windowed(found, part, window) for part in PARTS if part in present}
    parts = {part: rows for part, rows in parts.items() if len(rows)}
    if "train" not in parts:
        raise InputError(f"{raw.where}: the training stretch holds no value; choose another with --train-until")
    said = [_read_as(found, reading), *table.problems, *repairs, *unvarying, *cut.said]
    return ReadSeries(
        parts=parts,
        series=found,
        spec=_spec(window, found.channels, scale),
        transform=transform,
        reading=dataclasses.replace(reading, kind="series", scale=scale, window=window, period=found.period),
        fingerprint=series_fingerprint(found),
        problems=[*said, *_chosen(found, reading, window), *_labelled(found)],
        split_how=f"{cut.how}; {_laid(window)}",
    )


def read_series_like(
    raw: RawTable, reading: Reading, spec: Spec, transform: Transform, saved: dict[str, Any], *, named: bool
) -> ReadSeries:
    """New series for an existing run, all of each as the part "all". `saved` is the run's `SeriesSet.to_json()`."""
    known = [column.name for column in spec.columns]
    clock = _clock_like(raw, reading, saved, known) if saved["time"] else None
    table = measured_like(raw, reading, clock, known, named)
    found, repairs = _set(table, raw, clock, reading, step=saved["step"] if clock else 0)
    found.period = saved["period"]
    found.stretches = [{"all": (0, len(one))} for one in found.series]
    parts = {"all": _windowed(found, "all", spec.shape[0])}
    if not len(parts["all"]):
        raise InputError(f"{raw.where}: the series hold no value")
    return ReadSeries(
        parts=parts,
        series=found,
        spec=spec,
        transform=transform,
        reading=reading,
        fingerprint=series_fingerprint(found),
        problems=[_read_as(found, reading), *table.problems, *repairs],
        split_how="all rows in time, in windows side by side",
    )


def _clock_like(raw: RawTable, reading: Reading, saved: dict[str, Any], known: list[str]) -> Clock:
    """The clock of new data: the column of the run's name, else the one that is found."""
    names, _ = unique_names(raw.names, [])
    time = saved["time"]
    asked = f"{time}:{saved['order']}" if saved["order"] else time
    apart = [*known, *(name for name in (reading.group_by, reading.label) if name)]
    clock = find_clock(raw, names, asked if time in names else "", apart=apart, whole=False)
    if clock is None:
        raise InputError(f"{raw.where}: has no column of times, and the run was trained with one, {time!r}")
    return settled(raw, clock)


def _set(
    table: Measured, raw: RawTable, clock: Clock | None, reading: Reading, *, step: int = 0
) -> tuple[SeriesSet, list[str]]:
    """All series on their grids, and what was repaired."""
    if reading.strict and clock is not None and not clock.read.all():
        lost = clock.problems[-1].replace(": left out", "")
        raise InputError(f"{raw.where}: {lost}; --strict refuses them")
    series, step, repairs = gridded(table, clock, raw.where, strict=reading.strict, step=step)
    said = ("", "", "") if clock is None else (clock.name, clock.zone, clock.order)
    return SeriesSet(series, table.names, step, *said, identifiers=table.identifiers), repairs


class _Cut:
    """Where each series is cut, by --split, --train-until or the set's own test part."""

    def __init__(self, found: SeriesSet, reading: Reading, own: Array | None, where: str) -> None:
        if reading.train_until and reading.split:
            raise InputError("--train-until and --split both say where training ends; give one of them")
        self.found, self.where = found, where
        self.asked = reading.split or DEFAULT
        self.said: list[str] = []
        self.stops: list[int] | None = None
        if reading.train_until:
            self.stops = [stop_row(one, reading.train_until, found.zone) for one in found.series]
            if all(stop >= len(one) for stop, one in zip(self.stops, found.series, strict=True)):
                raise InputError(
                    f"--train-until {reading.train_until}: no row comes later; name an earlier time or row"
                )
        elif own is not None and (own > 0).any() and not reading.split:
            self.stops = [_own_stop(one, own) for one in found.series]
        said = "the set's own test part" if not reading.train_until else f"training until {reading.train_until}"
        self.how = f"in time, {said}" if self.stops else f"in time, {_said(self.asked)} of each series"

    def before(self, i: int) -> int:
        """The rows of series `i` that training and validation may have."""
        return self.stops[i] if self.stops else len(self.found.series[i])

    def stretches(self, window: int) -> list[Stretches]:
        """The parts of each series, `window` rows left out between them."""
        out, short = [], 0
        for i, one in enumerate(self.found.series):
            if self.stops:
                parts = by_stop(len(one), self.stops[i], window)
            else:
                parts = by_shares(len(one), self.asked, window)
                if not parts and len(self.found.series) > 1:
                    parts = {"train": (0, len(one))}
                    short += 1
            out.append(parts)
        if not any("train" in parts for parts in out):
            most = max(self.before(i) for i in range(len(out)))
            raise InputError(
                f"{self.where}: {most:,} rows are too few to train on, with a window of {window:,} rows left out "
                "between the parts; give more rows, a smaller --window, or `--split 1,0,0` to train on all of them"
            )
        self.said = [f"series too short to be cut, trained on as a whole: {short:,} of {len(out):,}"] if short else []
        return out


def _own_stop(series: Series, own: Array) -> int:
    """The first grid row of the set's own test part."""
    test = series.row_of[(own[series.rows] == 2) & (series.row_of >= 0)]
    return int(test.min()) if len(test) else len(series)


def _runs(found: SeriesSet, part: str) -> Iterator[tuple[int, Array]]:
    """What a part holds of each segment: the grid row it begins with, counted over all series, and its values."""
    offset = 0
    for one, stretches in zip(found.series, found.stretches, strict=True):
        first, stop = stretches.get(part, (0, 0))
        for a, b in one.segments:
            a, b = max(a, first), min(b, stop)
            if a < b:
                yield offset + a, one.values[a:b]
        offset += len(one)


def _season(found: SeriesSet) -> int:
    """That of the training stretch."""
    period = season([run for _, run in _runs(found, "train")])
    return calendar(period, found.step) if found.time else period


def _windowed(found: SeriesSet, part: str, window: int) -> SeriesWindows:
    runs = list(_runs(found, part))
    stride = max(1, window // STRIDE) if part == "train" else 0
    return SeriesWindows([run for _, run in runs], [start for start, _ in runs], window, stride=stride)


def _spec(window: int, channels: tuple[str, ...], scale: str) -> Spec:
    columns = tuple(Column(name=name) for name in channels)
    return Spec(kind="series", shape=(window, len(channels)), scale=scale, columns=columns, masked=True)


def _laid(window: int) -> str:
    return (
        f"{window} rows left out between the parts; training windows of {window} rows start every "
        f"{max(1, window // STRIDE)} rows, held-out ones lie side by side"
    )


def _read_as(found: SeriesSet, reading: Reading) -> str:
    """The sentence that says that this is a series, and by what."""
    count, many = len(found.series), f"{found.rows:,} rows"
    what = "a series" if count == 1 else f"{count:,} series"
    if not found.time:
        return f"read as {what} of {many}, one step apart in the order of the input: there is no column of times"
    ends = [t for one in found.series if one.times is not None for t in (one.times[0], one.times[-1])]
    begin, end = (str(t.astype("datetime64[s]")).replace("T", " ") for t in (min(ends), max(ends)))
    zone = f" {found.zone}" if found.zone else ""
    other = "; --kind table reads a table" if reading.kind == "auto" and not reading.time else ""
    return (
        f"read as {what} by the times in column {found.time!r}: {many}, one every {span(found.step)}, from {begin} to "
        f"{end}{zone}{other}"
    )


def _chosen(found: SeriesSet, reading: Reading, window: int) -> list[str]:
    """What the data decided where the user did not."""
    out = []
    if not reading.period and found.period:
        length = f" ({span(found.period * found.step)})" if found.time else ""
        out.append(
            f"period {found.period:,} rows{length}: the autocorrelation of the training stretch is highest there"
        )
    elif not reading.period:
        out.append("period: the autocorrelation of the training stretch shows none; --period P names one")
    if not reading.window:
        out.append(f"window {window:,} rows: {_why(found.period, window)}")
    return out


def _why(period: int, window: int) -> str:
    """What the window follows from."""
    if not period:
        return "a tenth of the series, 32 to 128 where it is long enough"
    if window == 2 * period:
        return "two periods"
    return f"two periods are {2 * period:,}, and a window has 32 to 128 and at most a tenth of the series"


def _labelled(found: SeriesSet) -> list[str]:
    """Anomalies that training would learn as normal."""
    known = [(i, one.labels) for i, one in enumerate(found.series) if one.labels is not None]
    bad = sum(int(labels[slice(*found.stretches[i].get("train", (0, 0)))].sum()) for i, labels in known)
    return [f"rows of the training stretch that are labelled as anomalies: {bad:,}"] if bad else []
