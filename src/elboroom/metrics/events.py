"""How well an alarm mask finds labelled events: by row, by event, by range, by distance; delay and false alarms.

The one idea: an event is a run of neighbouring labelled rows, an alarm a run of neighbouring rows that raise one. The
measures differ in what a run is worth:

    row_scores          every row counts (the longest event decides)
    event_scores        an event counts once, an alarm beside every event once (Hundman et al. 2018, arXiv 1802.04431)
    composite_scores    recall by event, precision by row (Garg et al. 2021, arXiv 2109.11428)
    range_scores        share of a run that is met, less where many runs meet it (Tatbul et al. 2018, arXiv 1803.03639)
    affiliation_scores  distance, against a row thrown at random (Huet et al. 2022, arXiv 2206.13167)

`T` is the number of rows. A mask is booleans or 0 and 1. Precision is NaN where there is no alarm, and F1 then 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

__all__ = [
    "Bias",
    "PointAdjusted",
    "PrecisionRecall",
    "affiliation_scores",
    "back",
    "composite_scores",
    "detection_delays",
    "event_scores",
    "false_alarms",
    "flat",
    "front",
    "mask_of",
    "middle",
    "point_adjusted_f1_misleading",
    "range_scores",
    "row_scores",
    "spans",
]

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Bias = Callable[[int], NDArray[np.float64]]
"""Weights of the places in a run of that many rows."""


@dataclass(frozen=True)
class PrecisionRecall:
    """Two numbers in [0, 1]; precision is NaN where there was no alarm."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean; 0 where both are 0 or nothing was alarmed."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both > 0 else 0.0


def mask_of(values: ArrayLike, name: str = "labels") -> Mask:
    """(T,) booleans from booleans or numbers 0 and 1. Raises InputError for another shape or other values."""
    x = np.asarray(values)
    if x.ndim != 1 or x.size == 0:
        raise InputError(f"{name} have shape {x.shape}; give one value for each row, (T,)")
    if x.dtype == np.bool_:
        return x
    if x.dtype.kind not in "iuf" or not ((x == 0) | (x == 1)).all():
        raise InputError(f"{name} hold something besides 0 and 1; give 1 for an anomalous row and 0 for any other")
    mask: Mask = x == 1
    return mask


def spans(mask: ArrayLike) -> NDArray[np.int64]:
    """(runs, 2): of every run of true rows the first row and the one after its last."""
    x = mask_of(mask, "mask values")
    padded = np.concatenate([[False], x, [False]])
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)


def _pair(labels: ArrayLike, alarms: ArrayLike) -> tuple[Mask, Mask]:
    truth, found = mask_of(labels), mask_of(alarms, "alarms")
    if len(truth) != len(found):
        raise InputError(f"{len(truth)} labels and {len(found)} alarms; give one of each for every row")
    if not truth.any():
        raise InputError("no row is labelled as an anomaly; give labels with an event, or measure false alarms only")
    return truth, found


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _met(runs: NDArray[np.int64], mask: Mask) -> NDArray[np.int64]:
    """(runs,): how many rows of each are true in a mask."""
    sums = np.concatenate([[0], np.cumsum(mask)])
    rows: NDArray[np.int64] = sums[runs[:, 1]] - sums[runs[:, 0]]
    return rows


# -- counting ----------------------------------------------------------------------------------------------------------


def row_scores(labels: ArrayLike, alarms: ArrayLike) -> PrecisionRecall:
    """Of rows. labels, alarms: (T,) masks."""
    truth, found = _pair(labels, alarms)
    right = int((truth & found).sum())
    return PrecisionRecall(_share(right, int(found.sum())), _share(right, int(truth.sum())))


def event_scores(labels: ArrayLike, alarms: ArrayLike) -> PrecisionRecall:
    """Of events: one is found where any of its rows is alarmed; a run of alarms without a labelled row is false.

    precision = found / (found + false), recall = found / events (Hundman et al. 2018). labels, alarms:
    (T,) masks. Several alarms inside one event count once.
    """
    truth, raised = _pair(labels, alarms)
    events = spans(truth)
    found = int((_met(events, raised) > 0).sum())
    return PrecisionRecall(_share(found, found + _false(truth, raised)), _share(found, len(events)))


def composite_scores(labels: ArrayLike, alarms: ArrayLike) -> PrecisionRecall:
    """Recall of events, precision of rows (Garg et al. 2021; the event-based F1 of TSB-AD)."""
    return PrecisionRecall(row_scores(labels, alarms).precision, event_scores(labels, alarms).recall)


def _false(truth: Mask, raised: Mask) -> int:
    """Runs of alarms without a labelled row."""
    return int((_met(spans(raised), truth) == 0).sum())


def false_alarms(labels: ArrayLike, alarms: ArrayLike, per: float = 1000.0) -> float:
    """Runs of alarms that touch no event, for every `per` rows without a label.

    With `per` = rows in a day this is false alarms a day. labels, alarms: (T,) masks; labels may have no event.
    """
    truth, raised = mask_of(labels), mask_of(alarms, "alarms")
    if len(truth) != len(raised):
        raise InputError(f"{len(truth)} labels and {len(raised)} alarms; give one of each for every row")
    quiet = len(truth) - int(truth.sum())
    return per * _share(_false(truth, raised), quiet)


def detection_delays(labels: ArrayLike, alarms: ArrayLike) -> NDArray[np.float64]:
    """(events,) rows from an event's first row to the first alarm inside it; NaN where it was missed.

    An alarm that began before the event and lasts into it has a delay of 0.
    """
    truth, raised = _pair(labels, alarms)
    events, rows = spans(truth), np.flatnonzero(raised)
    first = np.append(rows, len(truth))[np.searchsorted(rows, events[:, 0])]
    delays: NDArray[np.float64] = np.where(first < events[:, 1], first - events[:, 0], np.nan)
    return delays


# -- ranges ------------------------------------------------------------------------------------------------------------


def flat(length: int) -> NDArray[np.float64]:
    """Every place of a run counts the same."""
    return np.ones(length)


def front(length: int) -> NDArray[np.float64]:
    """The first places count most."""
    return np.arange(length, 0, -1, dtype=np.float64)


def back(length: int) -> NDArray[np.float64]:
    """The last places count most."""
    return np.arange(1, length + 1, dtype=np.float64)


def middle(length: int) -> NDArray[np.float64]:
    """The places in the middle count most."""
    return np.minimum(front(length), back(length))


def range_scores(labels: ArrayLike, alarms: ArrayLike, alpha: float = 0.2, bias: Bias = flat) -> PrecisionRecall:
    """Range-based precision and recall (Tatbul et al. 2018, section 4).

    A labelled run earns `alpha` where it is met at all, and 1 - `alpha` times the weight of its met rows over the
    number of alarmed runs that meet it; recall is the mean over labelled runs. Precision is the same with the roles
    changed and alpha 0. labels, alarms: (T,) masks; `bias` weighs the places of a run in both. 0.2 is TSB-AD's.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}; it is the share for being met at all, from 0 to 1")
    truth, raised = _pair(labels, alarms)
    events, runs = spans(truth), spans(raised)
    exists = (_met(events, raised) > 0).mean()
    recall = alpha * exists + (1 - alpha) * _overlap(events, runs, raised, bias)
    return PrecisionRecall(_overlap(runs, events, truth, bias) if len(runs) else math.nan, float(recall))


def _overlap(mine: NDArray[np.int64], theirs: NDArray[np.int64], mask: Mask, bias: Bias) -> float:
    """Mean over my runs: weight of the rows that are in theirs, over how many of theirs they meet."""
    met = np.searchsorted(theirs[:, 0], mine[:, 1], "left") - np.searchsorted(theirs[:, 1], mine[:, 0], "right")
    earned = 0.0
    for (start, stop), count in zip(mine, met, strict=True):
        if count:
            weights = bias(int(stop - start))
            earned += float(weights[mask[start:stop]].sum() / weights.sum()) / count
    return earned / len(mine)


# -- distances ---------------------------------------------------------------------------------------------------------


def affiliation_scores(labels: ArrayLike, alarms: ArrayLike) -> PrecisionRecall:
    """Affiliation precision and recall (Huet et al. 2022): how near, as a chance against a point thrown at random.

    Row i is the interval [i, i + 1). Every event owns the zone up to half way to its neighbours. Precision of a zone:
    the mean over its alarmed points of the chance that a point thrown into the zone lies at least as far from the
    event; recall: the mean over the event's points of the chance that such a point lies at least as far from them as
    the nearest alarm, 0 without one. Averages over events, for precision over those with an alarm in their zone.
    Near misses score high: on a total miss of one event in 250 rows F1 is about 0.95, so it never stands alone.
    labels, alarms: (T,) masks. The integrals are exact.
    """
    truth, raised = _pair(labels, alarms)
    events, runs = spans(truth).astype(np.float64), spans(raised).astype(np.float64)
    borders = np.concatenate([[0.0], (events[:-1, 1] + events[1:, 0]) / 2, [float(len(truth))]])
    precisions, recalls = [], []
    for event, low, high in zip(events, borders[:-1], borders[1:], strict=True):
        near = runs[np.searchsorted(runs[:, 1], low, "right") : np.searchsorted(runs[:, 0], high, "left")]
        if len(near) == 0:
            recalls.append(0.0)
            continue
        near = np.clip(near, low, high)
        precisions.append(_zone_precision(near, event, low, high))
        recalls.append(_zone_recall(near, event, low, high))
    return PrecisionRecall(float(np.mean(precisions)) if precisions else math.nan, float(np.mean(recalls)))


def _zone_precision(near: Array, event: Array, low: float, high: float) -> float:
    """Mean over alarmed points x of P(distance(X, event) >= distance(x, event)), X uniform on the zone."""
    before, after = event[0] - low, high - event[1]
    at, width = _pieces(low, high, near.ravel(), event, np.array([event[0] - after, event[1] + before]))
    far = _distance(at, event[None])
    chance = (np.maximum(before - far, 0) + np.maximum(after - far, 0)) / (high - low)
    weight = width * (_distance(at, near) == 0)
    return float(weight @ np.where(far == 0, 1.0, chance) / weight.sum())


def _zone_recall(near: Array, event: Array, low: float, high: float) -> float:
    """Mean over the event's points y of P(|X - y| >= distance(y, alarms)), X uniform on the zone."""
    edges = near.ravel()
    halves = np.concatenate([(near[:-1, 1] + near[1:, 0]) / 2, (edges + low) / 2, (edges + high) / 2])
    at, width = _pieces(event[0], event[1], edges, halves, np.array([(low + high) / 2]))
    far = _distance(at, near)
    room = np.minimum(at - low, high - at)  # to the nearer end of the zone; the further one is never nearer than `far`
    chance = 1 - (np.minimum(far, room) + far) / (high - low)
    return float(width @ chance / width.sum())


def _pieces(low: float, high: float, *kinks: Array) -> tuple[Array, Array]:
    """(middles, widths) of the pieces of [low, high] between kinks: what is linear on each is summed exactly."""
    edges = np.unique(np.clip(np.concatenate([[low, high], *kinks]), low, high))
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


def _distance(points: Array, intervals: Array) -> Array:
    """(points,): to the nearest of disjoint, sorted intervals (n, 2); 0 inside one."""
    after = np.searchsorted(intervals[:, 0], points, "right")
    ends = np.concatenate([[-np.inf], intervals[:, 1]])
    begins = np.append(intervals[:, 0], np.inf)
    nearest: Array = np.minimum(np.maximum(points - ends[after], 0), begins[after] - points)
    return nearest


# -- what misleads -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PointAdjusted:
    """F1 after point adjustment beside that of alarms thrown at random; without the latter it says nothing."""

    f1: float
    random_f1: float
    """Of as many alarms, thrown at random."""
    best_random_f1: float
    """Of the best number of alarms, thrown at random: what an oracle threshold makes of a random score."""


def point_adjusted_f1_misleading(labels: ArrayLike, alarms: ArrayLike) -> PointAdjusted:
    """F1 of rows after every event with one alarmed row was counted as wholly found. Do not rank detectors by it.

    WARNING: it misleads. One lucky row in a long event earns the whole event, so random scores reach what published
    detectors reach (Kim et al. 2022, arXiv 2109.05257). It is here to explain published numbers, and comes with what
    random alarms get: with a rate q, an event of n rows is met with the chance 1 - (1 - q)^n, and these expectations
    are put into F1. labels, alarms: (T,) masks.
    """
    truth, raised = _pair(labels, alarms)
    events = spans(truth)
    sizes = (events[:, 1] - events[:, 0]).astype(np.float64)
    right, wrong = float(sizes[_met(events, raised) > 0].sum()), float((raised & ~truth).sum())

    def by_chance(rates: Array) -> Array:
        met = (sizes * (1 - (1 - rates[:, None]) ** sizes)).sum(1)
        f1: Array = 2 * met / (met + sizes.sum() + rates * (len(truth) - sizes.sum()))
        return f1

    return PointAdjusted(
        f1=2 * right / (right + sizes.sum() + wrong),
        random_f1=float(by_chance(np.array([raised.mean()]))[0]),
        best_random_f1=float(by_chance(np.geomspace(1 / len(truth), 1, 1000)).max()),
    )
