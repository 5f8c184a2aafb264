"""One judged series as the page of `detect` reads it: arrays checked for shape, events, and who is to blame where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .detection_time import Clock
from .names import shown_name
from .plots import Array, thinned

__all__ = ["Event", "Judged", "Stretch", "binned", "judged", "runs", "short"]

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Stretch = tuple[int, int]
"""Rows start <= row < stop."""


@dataclass(frozen=True)
class Event:
    """Rows start <= row < stop; `channels` are (name, share of the blame), the largest first."""

    number: int
    start: int
    stop: int
    peak: int
    score: float
    channels: tuple[tuple[str, float], ...]

    @property
    def height(self) -> float:
        """The score for ordering; an event without one comes last."""
        return self.score if not math.isnan(self.score) else -math.inf


@dataclass(frozen=True)
class Judged:
    """One series: T rows, C channels; NaN where there is nothing."""

    name: str
    channels: tuple[str, ...]
    clock: Clock
    values: Array
    """(T, C), as are `expected` and `sd`."""
    expected: Array
    sd: Array
    score: Array
    """(T,)"""
    shares: Array | None
    """(T, C): parts of the blame, where they were given."""
    train: int
    stretches: dict[str, Stretch]
    labels: Mask | None
    """(T,)"""
    segments: list[Stretch]
    events: list[Event]

    def __len__(self) -> int:
        return len(self.score)

    @cached_property
    def distance(self) -> Array:
        """(T, C): how far each value is from what was expected, in standard deviations."""
        with np.errstate(divide="ignore", invalid="ignore"):
            away: Array = np.abs(self.values - self.expected) / self.sd
        return np.where(np.isfinite(away), away, np.nan)

    @cached_property
    def blame(self) -> Array:
        """(T, C): each channel's part of the score; the distance where no shares were given."""
        if self.shares is None:
            return self.distance
        return np.where(np.isfinite(self.shares), np.maximum(self.score, 0)[:, None] * self.shares, np.nan)

    @property
    def judged_rows(self) -> int:
        """Rows after training and calibration that have a score."""
        return int(np.isfinite(self.score[self.train :]).sum())

    def edges(self, start: int, stop: int) -> tuple[float, float]:
        """Where rows start <= row < stop begin and end along the axis, half a step about the first and the last."""
        half = self.clock.step / 2
        return float(self.clock.x[start]) - half, float(self.clock.x[stop - 1]) + half

    def line(self, values: Array, start: int, stop: int, columns: int) -> tuple[Array, Array]:
        """Values (T,) of some rows to be drawn: the lowest and the highest of a pixel column, NaN across gaps."""
        x, y = self.clock.x[start:stop], np.where(np.isfinite(values[start:stop]), values[start:stop], np.nan)
        cuts = [a - start for a, _ in self.segments if start < a < stop]
        x, y = np.insert(x, cuts, x[cuts]), np.insert(y, cuts, np.nan)
        return thinned(x, y, columns) if len(x) > 2 * columns else (x, y)

    def most_blamed(self, count: int) -> list[int]:
        """Channels with the most blame over all events, or farthest from what was expected where there are none."""
        totals = dict.fromkeys(range(len(self.channels)), 0.0)
        places = {name: c for c, name in enumerate(self.channels)}
        for event in self.events:
            for name, share in event.channels:
                if name in places and math.isfinite(share):
                    totals[places[name]] += share
        if not self.events:
            totals = {c: _highest(self.distance[self.train :, c]) for c in totals}
        return sorted(sorted(totals, key=lambda c: -totals[c])[:count])

    def blamed(self, event: Event, count: int) -> list[int]:
        """Channels of an event, the most blamed first."""
        places = {name: c for c, name in enumerate(self.channels)}
        found = [places[name] for name, _ in event.channels if name in places]
        if not found:
            reach = [_highest(self.distance[event.start : event.stop, c]) for c in range(len(self.channels))]
            found = sorted(range(len(reach)), key=lambda c: -reach[c])
        return found[:count]


def _highest(values: Array) -> float:
    good = values[np.isfinite(values)]
    return float(good.max()) if len(good) else -math.inf


def judged(entry: dict[str, Any], channels: list[str]) -> Judged:
    """A series of the dictionary. Missing arrays are NaN."""
    score = np.asarray(entry["score"], dtype=np.float64)
    shape = (len(score), len(channels))
    values, expected, sd = (_table(entry.get(name), shape) for name in ("values", "expected", "sd"))
    labels = entry.get("labels")
    return Judged(
        name=str(entry.get("name") or ""),
        channels=tuple(channels),
        clock=Clock(entry.get("times"), len(score)),
        values=values,
        expected=expected,
        sd=sd,
        score=score,
        shares=None if entry.get("shares") is None else _table(entry["shares"], shape),
        train=min(int(entry.get("train") or 0), len(score)),
        stretches={k: (int(a), int(b)) for k, (a, b) in (entry.get("stretches") or {}).items()},
        labels=None if labels is None else np.asarray(labels, dtype=bool),
        segments=[(int(a), int(b)) for a, b in entry.get("segments") or [(0, len(score))]],
        events=[_event(e) for e in entry.get("events") or []],
    )


def _table(values: Any, shape: tuple[int, int]) -> Array:
    if values is None:
        return np.full(shape, np.nan)
    return np.asarray(values, dtype=np.float64).reshape(shape)


def _event(entry: dict[str, Any]) -> Event:
    start, stop = int(entry["start"]), int(entry["stop"])
    channels = tuple((str(name), float(share)) for name, share in entry.get("channels") or [])
    peak = int(entry.get("peak", start))
    return Event(int(entry["number"]), start, max(stop, start + 1), peak, float(entry["score"]), channels)


def runs(mask: Mask) -> list[Stretch]:
    """(start, stop) of the stretches where a mask (T,) holds."""
    padded = np.concatenate([[False], mask, [False]]).astype(np.int8)
    turns = np.flatnonzero(np.diff(padded))
    return [(int(a), int(b)) for a, b in zip(turns[::2], turns[1::2], strict=True)]


def binned(x: Array, values: Array, low: float, high: float, columns: int) -> Array:
    """(columns, C): the highest of values (n, C) in each of `columns` equal parts of [low, high]; NaN where none is."""
    out = np.full((columns, values.shape[1]), np.nan)
    if not len(x) or columns < 1:
        return out
    column = np.clip(((x - low) / (high - low) * columns).astype(int), 0, columns - 1)
    begins = np.flatnonzero(np.diff(column, prepend=-1))
    filled = np.where(np.isfinite(values), values, -np.inf)
    highest = np.maximum.reduceat(filled, begins, axis=0)
    out[column[begins]] = np.where(np.isfinite(highest), highest, np.nan)
    return out


def short(name: str, most: int) -> str:
    """A name cut in its middle to at most `most` characters."""
    text = shown_name(name)
    return text if len(text) <= most else f"{text[: most - most // 3 - 1]}…{text[-(most // 3) :]}"
