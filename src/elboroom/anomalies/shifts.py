"""When the world has moved and is not wrong: a level shift is declared once and the rows are read anew from there.

The idea is a likelihood ratio. While an alarm is open the last rows are kept. Once `patience` of them have come since
the errors grew, the model reads them again from an empty memory, with a level taken off from that row on: the
difference of the means over whole periods after and before, then what of its neighbours the model errs least on. Where
the rows so read would raise no alarm, and have far smaller errors that spread as they are known to, it was a shift:
what comes is read with the level taken off, and the memory is the one that was read so, which has no step in it. Where
no level explains the rows they are an anomaly, and nothing is learnt from them, however long it lasts. What was said of
earlier rows stays.

The errors of the model as it goes on cannot tell one from the other: a net that says the change from the last value
goes along with a step in part, so they neither stay on one side nor at one size.

Letters: n rows held, H steps ahead, C channels, K levels that are tried.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Forecasts
from elboroom.core.batch import Batch

from .detector import ORDINARY, Detector
from .events import Event
from .residuals import multi_step, pooled, robust_scale

__all__ = ["Found", "Rule", "Shift", "Trial", "mark", "rounded", "said"]

Array = NDArray[np.float64]
LEAST_ROWS = 20
"""Rows at a new level that make a shift where a period is shorter."""
LEAST = 1.5
"""The smallest shift of a channel, in units of its error one step ahead."""
GAIN = 0.5
"""The share of what is missed beyond the ordinary that must remain at most once the level is off."""
STEADY = 2.5
"""How many times wider or narrower than in training the errors at the new level may spread."""
CHECKS = 20
"""How often a trial is looked at again while `patience` rows pass; later, whenever it has grown by a tenth."""
BACK = 0.25
"""What may be left of the largest shift of an event whose level is said to have come back."""
STEPS = (1.0, 0.25)
"""Between the levels that are tried, first and then, in units of the error farthest ahead."""
TRIED = np.linspace(-4.0, 4.0, 9)


@dataclass(frozen=True)
class Shift:
    """The level of `start` and what follows is another; declared at `row`, and taken off from the next row on."""

    start: int
    row: int
    sizes: tuple[float, ...]
    """(C,) in the model's scaled space; 0 where a channel has not moved."""


@dataclass
class Found:
    """A shift, and the rows held as they are read at the new level."""

    rows: int
    """How many of the held rows are at the new level."""
    level: Array
    """(C,): to be taken off."""
    x: Array
    """(n, C): the last rows held, the level taken off."""
    missed: Array
    """(n, C): what the model missed in them, NaN where it had read too little."""
    mean: Array
    """(n, H, C): forecasts made at each row."""
    memory: Any
    """After the last row."""


@dataclass(frozen=True)
class Rule:
    """When rows are a level shift, for one model and detector."""

    model: Forecasts
    detector: Detector

    @property
    def patience(self) -> int:
        """Rows at the new level that make a shift."""
        return max(self.detector.width, LEAST_ROWS)

    @property
    def span(self) -> int:
        """Rows whose mean is a level: whole periods."""
        return self.patience // self.detector.width * self.detector.width

    @property
    def lead(self) -> int:
        """Rows before the shift that fill an empty memory."""
        return max(self.patience, 2 * self.detector.warm_up)

    @property
    def held(self) -> int:
        """Rows that must be kept; so much memory is used at most."""
        return self.lead + self.patience + self.patience // 4

    def level_before(self, x: Array) -> Array:
        """(C,): the mean over the last whole periods of rows x (n, C), NaN where a channel has no value."""
        return _mean(x[-self.span :])

    def read(self, x: Array, rows: int, levels: Array) -> tuple[Array, Array, Array, Any]:
        """Rows x (n, C) from an empty memory, with levels (K, C) off the last `rows`: (K, n, C) rows, (K, n, C) what
        was missed, (K, n, H, C) forecasts, and the memory."""
        assert isinstance(self.model, torch.nn.Module)
        moved = np.repeat(x[None], len(levels), 0)
        moved[:, len(x) - rows :] -= levels[:, None]
        moved = rounded(moved)
        device = next(self.model.parameters()).device
        mean, memory = said(self.model, torch.from_numpy(moved).float().to(device), None)
        ahead = np.full_like(mean, np.nan)
        for h in range(mean.shape[2]):
            ahead[:, h + 1 :, h] = mean[:, : -h - 1, h]
        z = (moved[:, :, None] - ahead) / np.asarray(self.detector.unit)
        missed = multi_step(z.reshape(-1, *z.shape[2:])).reshape(moved.shape)
        missed[:, : self.detector.warm_up] = np.nan
        return moved, missed, mean, memory

    def judged(self, x: Array, missed: Array, before: Array) -> Found | int:
        """The shift that rows x (n, C) hold, which the model missed by (n, C), or rows until it is worth a look.

        `before` (C,): the level before the alarm.
        """
        assert self.detector.tail is not None
        unit, threshold = np.asarray(self.detector.unit), self.detector.tail.threshold
        rows = len(x) - _grown(pooled(missed), threshold)
        if rows < self.patience:
            return self.patience - rows
        if rows > self.patience + self.patience // 4:  # too long ago: all that is read is at the new level
            rows = self.patience + self.detector.warm_up
            x, missed = x[-rows:], missed[-rows:]
        else:
            x, missed = x[-rows - self.lead :], missed[-rows - self.lead :]
        rows = min(rows, len(x))
        change = np.nan_to_num(_mean(x[-self.span :]) - before)
        loud = np.nan_to_num(_mean(missed[-self.patience :])) > threshold
        moved = loud & (np.abs(change) >= LEAST * unit[0])
        if not moved.any():
            return 0
        level = np.where(moved, change, 0.0)
        for step in STEPS:
            levels = level + moved * unit[-1] * step * TRIED[:, None]
            _, errors, _, _ = self.read(x, rows, levels)
            cost = np.stack([_mean(one[-self.patience :]) for one in errors])
            best = np.argmin(np.where(np.isnan(cost), np.inf, cost), 0)
            level = np.take_along_axis(levels, best[None], 0)[0]
        moved_x, errors, mean, memory = self.read(x, rows, level[None])
        found = Found(rows, level, moved_x[0], errors[0], mean[0], memory)
        score = float(_mean(pooled(missed[-self.patience :])[:, None])[0])
        return found if self._explained(found, moved, min(threshold, ORDINARY + GAIN * (score - ORDINARY))) else 0

    def _explained(self, found: Found, moved: NDArray[np.bool_], most: float) -> bool:
        """Whether the rows at the new level have a mean score of `most` or less, and spread as in training."""
        late = slice(-self.patience, None)
        score = float(_mean(pooled(found.missed)[late, None])[0])
        ahead = np.concatenate([np.full_like(found.mean[:1, 0], np.nan), found.mean[:-1, 0]])
        spread = np.nan_to_num(robust_scale((found.x - ahead)[late])[1])
        known = np.asarray(self.detector.spread)
        steady = (spread <= STEADY * known) & (spread >= known / STEADY)
        return score <= most and bool(steady[moved & (known > 0)].all())


@dataclass
class Trial:
    """An alarm that is open, and when it is looked at as a possible shift."""

    event: int
    """Row at which the alarm began."""
    begun: int
    """Row at which the trial did: the same, or the row after a shift that the alarm already holds."""
    due: int
    """The first row at which a look is worth it."""
    before: Array
    """(C,): the level before it."""

    @classmethod
    def at(cls, rule: Rule, event: int, begun: int, x: Array) -> Trial:
        """From the row `begun` on; x (n, C) are the rows before it."""
        return cls(event, begun, begun + rule.patience // 2, rule.level_before(x))

    def look(self, rule: Rule, row: int, x: Array, missed: Array) -> Found | None:
        """Look at the rows held, the last of which is `row`; at rows whose score is loud, from `due` on."""
        found = rule.judged(x, missed, self.before)
        if isinstance(found, Found):
            return found
        self.due = row + (found or max(1, rule.patience // CHECKS, (row - self.begun) // 10))
        return None

    def to_json(self) -> dict[str, Any]:
        before = [None if math.isnan(value) else float(value) for value in self.before]
        return {"event": self.event, "begun": self.begun, "due": self.due, "before": before}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Trial:
        before = np.array([math.nan if value is None else value for value in saved["before"]])
        return cls(saved["event"], saved["begun"], saved["due"], before)


def rounded(x: Array) -> Array:
    """As the model sees it, in single precision."""
    return x.astype(np.float32).astype(np.float64)


def said(model: Forecasts, x: Tensor, memory: Any) -> tuple[Array, Any]:
    """What the model forecasts (K, n, H, C) at each of rows x (K, n, C), NaN where missing, and its memory after."""
    with torch.inference_mode():
        there = ~torch.isnan(x)
        mean, _, memory = model.expect(Batch(x=torch.where(there, x, 0), observed=there), memory)
        return mean.double().cpu().numpy(), memory


def mark(events: Sequence[Event], shifts: Sequence[Shift]) -> list[Event]:
    """The events, those that were a shift called so."""
    return [replace(event, kind="shift") if _has_moved(event, shifts) else event for event in events]


def _has_moved(event: Event, shifts: Sequence[Shift]) -> bool:
    """Whether the level was another after the event. One that went and came back within it has not moved."""
    sizes = [shift.sizes for shift in shifts if shift.start < event.stop and shift.row >= event.start]
    if not sizes:
        return False
    return float(np.abs(np.sum(sizes, 0)).max()) > BACK * float(np.abs(sizes).max())


def _grown(score: Array, threshold: float) -> int:
    """The place from which scores (n,) are those of another state: where the sum of what lies above the middle is
    largest (the last zero of Page's sum, 1954). The middle: the root of the usual one of late, for 1 is that of
    training; not below the threshold."""
    late = score[-max(1, len(score) // 4) :]
    late = late[~np.isnan(late)]
    middle = max(threshold, math.sqrt(float(np.median(late)))) if len(late) else threshold
    above = np.nan_to_num(np.minimum(score, 2 * middle) - middle)
    return int(len(score) - 1 - np.argmax(np.cumsum(above[::-1])))


def _mean(x: Array) -> Array:
    """(C,) of (n, C) over what is there; NaN where nothing is."""
    there = ~np.isnan(x)
    count = there.sum(0)
    mean = np.full(x.shape[1], np.nan)
    np.divide(np.where(there, x, 0.0).sum(0), count, out=mean, where=count > 0)
    return mean
