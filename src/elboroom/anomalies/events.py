"""From scores to events: where an alarm begins and ends, when it was worst, which channels it lies with.

An event begins at a row whose score is above the threshold. It goes on while scores are above the release level, a
share of the threshold, and ends with the last such row once `merge` rows of rest have followed: so a score that
flickers about the threshold is one event. Rows without a score (NaN, or not usable) neither begin nor end an event and
count for nothing; `gap` of them in a row end it, for nothing is known across a gap.

`find_events` does it for an array, `Alarm` row by row, with the same result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

__all__ = ["GAP", "Alarm", "Event", "blame", "find_events", "ranked", "reasons"]

Array = NDArray[np.float64]
GAP = 10
"""Rows without a score that end an event."""


@dataclass(frozen=True)
class Event:
    """Rows start <= row < stop."""

    start: int
    stop: int
    peak: int
    """The row of the highest score, the first of several."""
    peak_score: float
    shares: tuple[float, ...] = field(default=(), compare=False)
    """Each channel's part of the blame, where a stream was given shares."""
    kind: str = "anomaly"
    """Or "shift": the level of the series moved, and what came after is judged by the new one."""


def find_events(
    score: ArrayLike,
    threshold: float,
    *,
    usable: ArrayLike | None = None,
    merge: int = 1,
    least: int = 1,
    release: float = 1.0,
    gap: int = GAP,
) -> list[Event]:
    """The events of a score (T,), in order. Those of fewer than `least` rows are left out.

    `usable` (T,) boolean: rows that may count; others are as if they had no score. `merge`: rows not above the
    release level that end an event. `release`: that level as a share of the threshold, of one below 0 as far beneath.
    """
    _check(threshold, merge, least, release, gap)
    s = np.asarray(score, dtype=np.float64)
    known = ~np.isnan(s) if usable is None else ~np.isnan(s) & np.asarray(usable, dtype=bool)
    rows = np.flatnonzero(known)
    values = s[rows]
    loud = np.flatnonzero(values > _release_level(threshold, release))
    if not len(loud):
        return []
    stretch = np.cumsum(np.diff(rows, prepend=rows[0]) > gap)
    parted = (np.diff(loud) > merge) | (np.diff(stretch[loud]) > 0)
    begins = np.concatenate([[0], np.flatnonzero(parted) + 1])
    ends = np.append(begins[1:], len(loud))
    found = []
    for group in np.flatnonzero(np.maximum.reduceat(values[loud], begins) > threshold):
        inside = loud[begins[group] : ends[group]]
        inside = inside[np.argmax(values[inside] > threshold) :]
        peak = inside[np.argmax(values[inside])]
        event = Event(int(rows[inside[0]]), int(rows[inside[-1]]) + 1, int(rows[peak]), float(values[peak]))
        if event.stop - event.start >= least:
            found.append(event)
    return found


@dataclass
class Alarm:
    """`find_events` row by row, in constant memory; settings as there."""

    threshold: float
    merge: int = 1
    least: int = 1
    release: float = 1.0
    gap: int = GAP
    _row: int | None = field(default=None, init=False)
    """The row before."""
    _silent: int = field(default=0, init=False)
    """Rows without a score up to here."""
    _quiet: int = field(default=0, init=False)
    """Rows not above the release level since `_last`."""
    _start: int | None = field(default=None, init=False)
    """Where the open event began; None: none is open."""
    _last: int = field(default=0, init=False)
    """Its last row above the release level."""
    _peak: int = field(default=0, init=False)
    _peak_score: float = field(default=0.0, init=False)
    _blame: list[list[float]] = field(default_factory=list, init=False)
    """Number of rows and sums of shares: up to `_last`, and since."""

    def __post_init__(self) -> None:
        _check(self.threshold, self.merge, self.least, self.release, self.gap)

    @property
    def open(self) -> Event | None:
        """The event so far, once it has `least` rows; its stop is one beyond its last loud row."""
        if self._start is None or self._last + 1 - self._start < self.least:
            return None
        count, *sums = self._blame[0] if self._blame else [0.0]
        shares = tuple(total / count for total in sums) if count else ()
        return Event(self._start, self._last + 1, self._peak, self._peak_score, shares)

    def update(self, row: int, score: float, shares: Sequence[float] | None = None) -> Event | None:
        """Take the next row and give the event that it ended. Rows that were passed over had no score.

        `shares` (C,): how the channels share this row's score, for the blame of the event.
        """
        if self._row is not None and row <= self._row:
            raise InputError(f"row {row} after row {self._row}; a stream takes its rows in order")
        self._silent += 0 if self._row is None else row - self._row - 1
        self._row = row
        unknown = math.isnan(score)
        self._silent += unknown
        ended = self.finish() if self._silent >= self.gap else None
        if not unknown:
            self._silent = 0
            ended = self._hear(row, score) or ended
        if self._start is not None and shares is not None:
            self._share(shares, loud=row == self._last)
        return ended

    def finish(self) -> Event | None:
        """No more rows come, or none that belong to the open event: end it, and give it where it is long enough."""
        event = self.open
        self._start, self._quiet, self._blame = None, 0, []
        return event

    def _hear(self, row: int, score: float) -> Event | None:
        if self._start is None:
            if score > self.threshold:
                self._start, self._last, self._peak, self._peak_score = row, row, row, score
            return None
        if score > _release_level(self.threshold, self.release):
            self._last, self._quiet = row, 0
            if score > self._peak_score:
                self._peak, self._peak_score = row, score
            return None
        self._quiet += 1
        return self.finish() if self._quiet >= self.merge else None

    def _share(self, shares: Sequence[float], *, loud: bool) -> None:
        """Rows of rest belong to the event once a loud one follows."""
        if not self._blame:
            self._blame = [[0.0] * (len(shares) + 1), [0.0] * (len(shares) + 1)]
        sure, waiting = self._blame
        if not any(math.isnan(share) for share in shares):
            waiting[:] = [a + float(b) for a, b in zip(waiting, (1.0, *shares), strict=True)]
        if loud:
            sure[:] = [a + b for a, b in zip(sure, waiting, strict=True)]
            waiting[:] = [0.0] * len(waiting)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Alarm:
        alarm = cls(**{f.name: saved[f.name] for f in fields(cls) if f.init})
        for f in fields(cls):
            if not f.init:
                setattr(alarm, f.name, saved[f.name])
        alarm._blame = [list(sums) for sums in alarm._blame]
        return alarm


def blame(shares: ArrayLike, event: Event) -> list[tuple[int, float]]:
    """(channel, share) with the largest first: the mean of shares (T, C) over the event's rows that have them."""
    rows = np.asarray(shares, dtype=np.float64)[event.start : event.stop]
    rows = rows[~np.isnan(rows).any(axis=1)]
    return ranked(rows.mean(axis=0)) if len(rows) else []


def ranked(shares: ArrayLike) -> list[tuple[int, float]]:
    """(channel, share) with the largest first, from shares (C,)."""
    s = np.asarray(shares, dtype=np.float64)
    return [(int(channel), float(s[channel])) for channel in np.argsort(-s, kind="stable")]


def reasons(
    score: ArrayLike, *, train: int = 0, gap: ArrayLike | None = None, missing: ArrayLike | None = None
) -> NDArray[np.str_]:
    """(T,): why a row of a score (T,) counts or not, in the words of scores.csv.

    `training` for the first `train` rows; `ok` where there is a score; else `gap` and `missing` where those masks
    (T,) are true; else `warm-up`.
    """
    s = np.asarray(score, dtype=np.float64)
    masks = [np.zeros(len(s), dtype=bool) if mask is None else np.asarray(mask, dtype=bool) for mask in (gap, missing)]
    if any(mask.shape != s.shape for mask in masks):
        raise InputError(f"{len(s)} scores, but masks of {[len(mask) for mask in masks]} rows; give one mark a row")
    return np.select(
        [np.arange(len(s)) < train, ~np.isnan(s), *masks], ["training", "ok", "gap", "missing"], default="warm-up"
    )


def _release_level(threshold: float, release: float) -> float:
    return threshold - (1 - release) * abs(threshold)


def _check(threshold: float, merge: int, least: int, release: float, gap: int) -> None:
    if math.isnan(threshold):
        raise InputError("the threshold is not a number; fit one, or give one")
    if merge < 1 or least < 1 or gap < 1 or not 0 < release <= 1:
        raise InputError(
            f"merge {merge}, least {least}, gap {gap} and release {release:g}; "
            "the first three are rows, 1 or more, the last a share above 0 and at most 1"
        )
