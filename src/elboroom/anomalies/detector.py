"""From what a forecaster missed to a score, a threshold and events.

    error      what came, less what was forecast 1 .. H rows before, in units of such errors on the training stretch
    score      the mean of their squares over steps ahead and channels, averaged over one period
    threshold  passed as often as was asked by the scores of a calibration stretch that was not trained on (tail.py)

Several steps ahead are taken together because a forecast one step ahead goes along with an anomaly that has begun; the
mean over a period, because an anomaly lasts (Garg et al. 2021, arXiv 2109.11428: what is made of the errors decides).
The centred mean looks half a period ahead: it is for records. The causal one uses rows up to its own only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elboroom.core.errors import InputError

from .events import Event, find_events
from .expected import Errors
from .residuals import multi_step, pooled, robust_scale, shares
from .smoothing import causal_mean, centred_mean
from .tail import Tail, fit_tail

__all__ = ["ORDINARY", "Detector", "Scores", "Smoothing"]

Array = NDArray[np.float64]
Smoothing = Literal["centred", "causal"]
ORDINARY = 1.0
"""What is missed in units of training: its mean there."""
ROWS = 1 << 14
"""Rows whose errors are held at a time."""
LEAST = 30
"""Rows with a score that a calibration needs."""
FLOOR = 1e-3
"""Of a scaled channel's unit: errors of a channel that never errs count as being at least so large."""


@dataclass
class Scores:
    """Of one series; NaN where a row has none."""

    score: Array
    """(T,)"""
    channels: Array
    """(T, C): what each channel adds to it; `score` is their mean."""

    @property
    def shares(self) -> Array:
        """(T, C): each channel's part of the blame, summing to 1."""
        return shares(self.channels)


@dataclass(frozen=True)
class Detector:
    """How errors become scores and alarms; all of it follows from rows before those it is used on."""

    unit: tuple[tuple[float, ...], ...]
    """(H, C): root mean square of the errors on the training stretch."""
    width: int
    """Rows of the moving mean: one period."""
    smoothing: Smoothing
    warm_up: int
    """Rows at a segment's start that have no score: the forecaster has seen too little."""
    merge: int
    """Rows of rest that part two events."""
    tail: Tail | None = None
    """None where no threshold was asked for."""
    spread: tuple[float, ...] = ()
    """(C,): scaled median absolute deviation of the errors one step ahead on the training stretch; 0: never errs."""

    @classmethod
    def fit(
        cls, errors: Array, *, period: int, smoothing: Smoothing = "centred", warm_up: int = 0, merge: int = 0
    ) -> Detector:
        """Units from errors (N, H, C) of a training stretch."""
        with np.errstate(invalid="ignore"):
            there = ~np.isnan(errors)
            squares = np.where(there, errors, 0.0) ** 2
            unit = np.sqrt(squares.sum(0) / np.maximum(there.sum(0), 1))
        width = max(1, period)
        units = tuple(tuple(float(max(u, FLOOR)) for u in row) for row in unit)
        spread = tuple(np.nan_to_num(robust_scale(errors[:, 0])[1]).tolist())
        return cls(units, width, smoothing, warm_up, merge or width, spread=spread)

    def scores(self, errors: Array | Errors, segments: Sequence[tuple[int, int]] | None = None) -> Scores:
        """Of errors (T, H, C); each segment is smoothed by itself."""
        missed = self.missed(errors, segments)
        smooth = np.full_like(missed, np.nan)
        for start, stop in segments or [(0, len(missed))]:
            smooth[start:stop] = self.smoothed(missed[start:stop])
        return Scores(pooled(smooth), smooth)

    def missed(self, errors: Array | Errors, segments: Sequence[tuple[int, int]] | None = None) -> Array:
        """(T, C): the mean square over steps ahead of errors (T, H, C) in their units, 1 on average in training."""
        unit = np.asarray(self.unit)
        missed = np.empty((len(errors), unit.shape[1]))
        for at in range(0, len(errors), ROWS):
            missed[at : at + ROWS] = multi_step(errors[at : at + ROWS] / unit)
        for start, stop in segments or [(0, len(missed))]:
            missed[start : min(start + self.warm_up, stop)] = np.nan
        return missed

    def smoothed(self, missed: Array, *, causal: bool = False) -> Array:
        """(T, C): the moving mean of one segment's (T, C); `causal` whatever the detector's own smoothing is.

        What a window lacks, at the edges of a segment and where values are missing, counts as ordinary, ORDINARY: a
        mean of few rows would pass the threshold of one of many by chance.
        """
        there, beyond = ~np.isnan(missed), np.full((self.width, missed.shape[1]), ORDINARY)
        mean = causal_mean if causal or self.smoothing == "causal" else centred_mean
        smooth = mean(np.concatenate([beyond, np.where(there, missed, ORDINARY), beyond]), self.width)
        smooth = smooth[self.width : len(smooth) - self.width]
        smooth[~there] = np.nan
        return smooth

    def calibrated(self, score: Array, rate: float) -> Detector:
        """With the threshold that scores (N,) of a calibration stretch pass in a share `rate` of the rows."""
        there = int((~np.isnan(score)).sum())
        if there < LEAST:
            raise InputError(
                f"the calibration stretch has {there} rows with a score, and a threshold needs {LEAST}; give a longer "
                "training stretch with --train-until, or a smaller --window"
            )
        return replace(self, tail=fit_tail(score, rate, merge=self.merge))

    def events(self, score: Array, usable: NDArray[np.bool_] | None = None) -> list[Event]:
        """Alarms in scores (T,), of usable rows alone."""
        assert self.tail is not None
        return find_events(score, self.tail.threshold, usable=usable, merge=self.merge)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        saved = asdict(self)
        unit, spread = [list(row) for row in self.unit], list(self.spread)
        return {**saved, "unit": unit, "spread": spread, "tail": None if self.tail is None else self.tail.to_json()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Detector:
        """The inverse of `to_json`."""
        tail = None if saved["tail"] is None else Tail.from_json(saved["tail"])
        unit, spread = tuple(tuple(row) for row in saved["unit"]), tuple(saved["spread"])
        return cls(**{**saved, "unit": unit, "spread": spread, "tail": tail})
