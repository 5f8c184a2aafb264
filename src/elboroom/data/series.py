"""Time series on an even grid: sorted, with one row a step, what is missing as NaN, and cut where much is missing.

The step is the median difference of times. Rows whose distances are whole numbers of steps, to a tenth of a step, stand
on a grid that follows them from the first to the last; other rows are resampled: each lies in the nearest row of a grid
of exact steps, and what falls together is averaged. Up to GAP rows that are missing between two become rows of NaN;
where more are missing a segment ends. Nothing is ever filled in.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from elboroom.core.errors import InputError

from .content import Array
from .times import Clock, span

__all__ = ["GAP", "SNAP", "Measured", "Series", "SeriesSet", "gridded", "series_fingerprint"]

GAP = 10
"""Missing rows in a row that are masked; more cut the series."""
SNAP = 0.1
"""Share of a step within which a time stands on the grid, and within which two steps are the same."""
REGULAR = 0.9
"""Share of the distances that must be whole steps for a grid that follows the times."""


@dataclass
class Series:
    """One series on its grid. T rows, C channels; `rows` and `row_of` speak of the n input rows that belong to it."""

    name: str
    """The group's; empty where there is one series only."""
    times: Array | None
    """(T,) datetime64[ns]; None where the rows have no times and are one step apart."""
    values: Array
    """(T, C) float64, NaN where missing."""
    segments: list[tuple[int, int]]
    """(start, stop) of the stretches between gaps, in order; together they are all T rows."""
    step: int
    """Nanoseconds from row to row; 1 where there are no times."""
    rows: Array
    """(n,) int64: the input rows, ascending."""
    row_of: Array
    """(n,) int64: the grid row of each of them; -1 where its time cannot be read."""
    labels: Array | None = None
    """(T,) bool: whether the row is known to be an anomaly; None where that is not known."""

    def __len__(self) -> int:
        return len(self.values)


@dataclass
class SeriesSet:
    """All series of one input, with the same channels and step."""

    series: list[Series]
    channels: tuple[str, ...]
    step: int
    """Nanoseconds, or 1 where there are no times."""
    time: str = ""
    """Name of the column of times; empty where there is none."""
    zone: str = ""
    """Of the times, UTC or +HH:MM; empty where not named."""
    order: str = ""
    """dayfirst or monthfirst, where the year is written last."""
    period: int = 0
    """Rows in one season; 0 where there is none."""
    stretches: list[dict[str, tuple[int, int]]] = field(default_factory=list)
    """Of each series, the rows (start, stop) of its parts."""
    identifiers: dict[str, Array] = field(default_factory=dict)
    """The cells of times, groups and row names as they were given, by input row."""

    @property
    def rows(self) -> int:
        """Grid rows of all series."""
        return sum(map(len, self.series))

    @property
    def step_words(self) -> str:
        """`5 min`; `1 row` where there are no times."""
        return span(self.step) if self.time else "1 row"

    def train_stop(self, i: int) -> int:
        """The row at which the training stretch of series `i` ends; 0 where it has none."""
        return self.stretches[i].get("train", (0, 0))[1] if self.stretches else 0

    def to_json(self) -> dict[str, Any]:
        """What run.json keeps under "data", "series"."""
        return {
            "time": self.time,
            "zone": self.zone,
            "order": self.order,
            "step": self.step,
            "step_words": self.step_words,
            "period": self.period,
            "channels": list(self.channels),
            "rows": self.rows,
            "series": [self._one(i) for i in range(len(self.series))],
        }

    def _one(self, i: int) -> dict[str, Any]:
        one = self.series[i]
        ends = (None, None) if one.times is None else (str(one.times[0]), str(one.times[-1]))
        return {
            "name": one.name,
            "rows": len(one),
            "segments": len(one.segments),
            "start": ends[0],
            "end": ends[1],
            "train_stop": self.train_stop(i),
            "stretches": {part: list(rows) for part, rows in (self.stretches[i] if self.stretches else {}).items()},
        }


@dataclass
class Measured:
    """The numbers of a table that become series, by input row."""

    names: tuple[str, ...]
    values: Array
    """(n, C) float64, NaN where missing."""
    label: Array | None
    """(n,) bool."""
    group: Array
    """(n,) int64: to which series a row belongs; -1 to none."""
    groups: tuple[str, ...]
    """Their names; one empty one where the rows are one series."""
    identifiers: dict[str, Array]
    problems: list[str]


@dataclass
class _Timed:
    """One series on its way to the grid."""

    name: str
    rows: Array
    unique: Array
    """Its different times, sorted, in ns."""
    which: Array
    """(n,) the place of each row's time among them; -1 where there is none."""


@dataclass
class _Tally:
    """What had to be done to the rows."""

    unsorted: int = 0
    repeated: int = 0
    absent: int = 0
    gaps: int = 0
    longest_ns: float = 0
    times: int = 0
    moved: int = 0
    merged: int = 0

    def said(self, step: int) -> list[str]:
        """A sentence for each repair."""
        out = []
        if self.unsorted:
            out.append(f"rows out of the order of time, sorted: {self.unsorted:,}")
        if self.repeated:
            out.append(f"rows that repeat the time of another, averaged with it: {self.repeated:,}")
        if self.moved:
            together = f" ({self.merged:,} fell together: averaged)" if self.merged else ""
            out.append(
                f"times more than {SNAP:.0%} of a step off the grid of {span(step)}, moved to its nearest row: "
                f"{self.moved:,} of {self.times:,}{together}"
            )
        if self.absent:
            out.append(f"rows missing in stretches of at most {GAP}, masked: {self.absent:,}")
        if self.gaps:
            out.append(
                f"gaps of more than {GAP} missing rows, where the series is cut: {self.gaps:,} (the longest "
                f"{span(self.longest_ns)})"
            )
        return out


def gridded(
    measured: Measured, clock: Clock | None, where: str, *, strict: bool = False, step: int = 0
) -> tuple[list[Series], int, list[str]]:
    """The series, their step and what was repaired. `step` is that of a run that new data are read for."""
    members = _members(measured.group, len(measured.groups))
    names = measured.groups
    tally = _Tally()
    if clock is None:
        series = [_untimed(name, rows, measured) for name, rows in zip(names, members, strict=True)]
        return series, 1, []
    timed = [_sorted(name, rows, clock, tally) for name, rows in zip(names, members, strict=True)]
    if strict and tally.repeated:
        raise InputError(f"{where}: rows that repeat the time of another: {tally.repeated:,}; --strict refuses them")
    step = _step([one for one in timed if len(one.unique) > 1], where, step)
    series = [_on_grid(one, step, measured, tally) for one in timed if len(one.unique)]
    return series, step, tally.said(step)


def series_fingerprint(found: SeriesSet) -> str:
    """64 hexadecimal digits: SHA-256 over names, channels, step, times, values and labels on the grid."""
    head = {
        "kind": "series",
        "channels": list(found.channels),
        "step": found.step,
        "series": [[one.name, len(one), one.labels is not None] for one in found.series],
    }
    digest = hashlib.sha256(json.dumps(head, ensure_ascii=True).encode())
    for one in found.series:
        if one.times is not None:
            digest.update(one.times.astype("<i8").tobytes())
        values = one.values.astype("<f8") + 0.0  # -0.0 + 0.0 is 0.0
        values[np.isnan(values)] = np.nan
        digest.update(values.tobytes())
        if one.labels is not None:
            digest.update(one.labels.astype(np.uint8).tobytes())
    return digest.hexdigest()


def _members(group: Array, count: int) -> list[Array]:
    """The rows of each group, ascending."""
    order = np.argsort(group, kind="stable")
    cuts = np.searchsorted(group[order], np.arange(count + 1))
    return [order[a:b] for a, b in pairwise(cuts)]


def _untimed(name: str, rows: Array, measured: Measured) -> Series:
    label = None if measured.label is None else measured.label[rows]
    n = len(rows)
    return Series(name, None, measured.values[rows], [(0, n)], 1, rows, np.arange(n, dtype=np.int64), label)


def _sorted(name: str, rows: Array, clock: Clock, tally: _Tally) -> _Timed:
    """Its different times in order."""
    read = clock.read[rows]
    ns = clock.ns[rows][read]
    unique, place = np.unique(ns, return_inverse=True)
    which = np.full(len(rows), -1, np.int64)
    which[read] = place
    tally.unsorted += int((ns[1:] < ns[:-1]).sum())
    tally.repeated += len(ns) - len(unique)
    tally.times += len(unique)
    return _Timed(name, rows, unique, which)


def _step(timed: list[_Timed], where: str, known: int) -> int:
    """The median difference of times, of the middle series where there are several; all must agree."""
    medians = [round(float(np.median(_apart(one.unique)))) for one in timed]
    if not medians and not known:
        raise InputError(f"{where}: there is only one time in it; a series needs two or more")
    step = known or sorted(medians)[len(medians) // 2]
    for one, median in zip(timed, medians, strict=True):
        if len(one.unique) < 3 or abs(median / step - 1) <= SNAP:
            continue
        whose = f"series {one.name!r} has" if one.name else "the data have"
        other = "the run was trained on one" if known else "others have one"
        raise InputError(
            f"{where}: {whose} a row every {span(median)} and {other} every {span(step)}; bring them to one step first"
        )
    return step


def _on_grid(one: _Timed, step: int, measured: Measured, tally: _Tally) -> Series:
    """The rows of one series on its grid."""
    at, times, segments = _grid(one.unique, step, tally)
    row_of = np.where(one.which >= 0, at[one.which], -1)
    timed = row_of >= 0
    row, rows, size = row_of[timed], one.rows[timed], len(times)
    given = np.bincount(row, minlength=size)
    tally.absent += int((given == 0).sum())
    values = np.full((size, len(measured.names)), np.nan)
    if given.max(initial=0) <= 1:
        values[row] = measured.values[rows]
    else:
        for c in range(values.shape[1]):
            cells = measured.values[rows, c]
            known = ~np.isnan(cells)
            count = np.bincount(row[known], minlength=size)
            total = np.bincount(row[known], weights=cells[known], minlength=size)
            values[count > 0, c] = total[count > 0] / count[count > 0]
    labels: Array | None = None
    if measured.label is not None:
        labels = np.bincount(row, weights=measured.label[rows], minlength=size) > 0
        labels |= (given == 0) & _between(labels, given > 0)
    return Series(one.name, times, values, segments, step, one.rows, row_of, labels)


def _between(labels: Array, given: Array) -> Array:
    """Whether the nearest given rows on both sides are labelled: a missing row inside an anomaly is part of it."""
    place = np.arange(len(labels))
    before = np.maximum.accumulate(np.where(given, place, 0))
    after = np.minimum.accumulate(np.where(given, place, len(labels) - 1)[::-1])[::-1]
    inside: Array = labels[before] & labels[after]
    return inside


def _grid(unique: Array, step: int, tally: _Tally) -> tuple[Array, Array, list[tuple[int, int]]]:
    """The grid row of each time, the grid's times and its segments."""
    apart = _apart(unique)
    cuts = np.flatnonzero(np.rint(apart / step) > GAP + 1) + 1
    if len(cuts):
        tally.gaps += len(cuts)
        tally.longest_ns = max(tally.longest_ns, float(apart[cuts - 1].max()))
    at = np.empty(len(unique), np.int64)
    times: list[Array] = []
    segments: list[tuple[int, int]] = []
    start = 0
    for a, b in zip([0, *cuts], [*cuts, len(unique)], strict=True):
        place, even = _placed(apart[a : b - 1], step, tally)
        last = int(place[-1])
        at[a:b] = start + place
        size = last + 1
        length = int(unique[b - 1]) - int(unique[a]) if even else step * last
        each, rest = divmod(length, max(last, 1))
        k = np.arange(size, dtype=np.int64)
        times.append(unique[a] + k * each + (k * rest + last // 2) // max(last, 1))
        segments.append((start, start + size))
        start += size
    return at, np.concatenate(times).astype("datetime64[ns]"), segments


def _apart(unique: Array) -> Array:
    """Nanoseconds from each time to the next; 292 years, the most there can be, where it is more."""
    apart = np.diff(unique)
    return np.where(apart < 0, np.iinfo(np.int64).max, apart)


def _placed(apart: Array, step: int, tally: _Tally) -> tuple[Array, bool]:
    """(n + 1,) rows from the first of a segment, for its n distances; and whether the grid follows the times."""
    if not len(apart):
        return np.zeros(1, np.int64), True
    steps = apart / step
    since = np.concatenate([[0.0], np.cumsum(apart, dtype=np.float64)])
    whole = np.rint(steps)
    if whole.min() >= 1 and (np.abs(steps - whole) <= SNAP).mean() >= REGULAR:
        place = np.concatenate([[0], np.cumsum(whole)]).astype(np.int64)
        off = np.abs(since / (since[-1] / place[-1]) - place)
        if off.max() <= 0.5:
            tally.moved += int((off > SNAP).sum())
            return place, True
    place = np.floor(since / step + 0.5).astype(np.int64)
    tally.moved += int((np.abs(since / step - place) > SNAP).sum())
    tally.merged += len(place) - len(np.unique(place))
    return place, False
