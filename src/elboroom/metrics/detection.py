"""How well anomaly scores rank rows: areas under the PR and ROC curves, and their volumes over buffers round events.

The one idea of the volumes (VUS; Paparrizos et al. 2022, PVLDB 15(11); Boniol et al. 2025, arXiv 2502.13318): an alarm
a few rows beside an event is worth something, and how many rows are a few is not for us to say. So the label fades out
over a buffer on both sides, and the area is averaged over buffers of w = 0 .. `window` rows. With d the rows to an
event, P labelled rows of T, and for each threshold the alarms, rows whose score reaches it:

    label(row) = 1 inside an event; sqrt(1 - d / w) where d <= w // 2, summed over events, at most 1; else 0
    B = sum of label over alarms outside events,  TP = alarms inside events + B
    recall = min(1, TP / (P + B / 2)) * share of zones with an alarm
    precision = TP / alarms
    false-positive rate = (alarms - TP) / (T - P - B / 2)

A zone is an event with w // 2 rows on both sides, or several events whose zones meet.

The thresholds are 250 of the sorted scores, evenly spaced by rank; PR is summed in right-hand steps, ROC by trapezoids
up to (1, 1). This is the definition of TSB-AD (Liu & Paparrizos 2024, NeurIPS; TheDatumOrg/TSB-AD at 8763009), and
equals its numbers to 1e-12. Other packages give other numbers the same name: compare within one definition.

TSB-AD computes each row, threshold and buffer anew, O(T * window * thresholds). Here each score gets its rank among
the thresholds once; a buffer of w is then a weighted sum of one table of ranks by distance, O(T log T + buffers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

from .events import mask_of, spans
from .interval import Interval

__all__ = ["THRESHOLDS", "Volume", "auc_pr", "auc_roc", "chance_level", "period", "vus", "vus_difference"]

Array = NDArray[Any]
THRESHOLDS = 250
"""As many as TSB-AD takes."""
BLOCKS = 64
"""Into about as many blocks a series is cut for its bootstrap."""


@dataclass(frozen=True)
class Volume:
    """Volumes under the precision-recall and the ROC surface, each in [0, 1]."""

    pr: float
    roc: float


def _checked(labels: ArrayLike, *scores: ArrayLike) -> tuple[NDArray[np.bool_], list[NDArray[np.float64]]]:
    """Labels with rows of both kinds, and scores that are numbers."""
    truth = mask_of(labels)
    if not truth.any():
        raise InputError("no row is labelled as an anomaly; measure a series that has an event")
    if truth.all():
        raise InputError("every row is labelled as an anomaly; measure a series that has normal rows")
    found = []
    for given in scores:
        score = np.asarray(given, dtype=np.float64)
        if score.shape != truth.shape:
            raise InputError(f"scores are {score.shape}, labels {truth.shape}; give one of each for every row")
        missing = np.flatnonzero(np.isnan(score))
        if len(missing):
            raise InputError(f"{len(missing)} rows have no score (NaN), the first is row {missing[0]}; leave them out")
        found.append(score)
    return truth, found


# -- rows --------------------------------------------------------------------------------------------------------------


def auc_pr(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision: sum over distinct scores of precision times the recall gained, equal scores taken together.

    labels (T,): a mask. scores (T,): larger is more unusual. A random score gets about the share of labelled rows.
    """
    right, alarms = _steps(labels, scores)
    return float((np.diff(right, prepend=0) * right / alarms).sum() / right[-1])


def auc_roc(labels: ArrayLike, scores: ArrayLike) -> float:
    """The chance that a labelled row scores higher than another, equal scores counted half. A random score gets 0.5.

    labels (T,): a mask. scores (T,): larger is more unusual.
    """
    right, alarms = _steps(labels, scores)
    wrong = alarms - right
    height = right + np.concatenate([[0], right[:-1]])
    return float((np.diff(wrong, prepend=0) * height).sum() / (2 * right[-1] * wrong[-1]))


def _steps(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(right alarms, alarms) at each distinct score, from the highest on."""
    truth, (score,) = _checked(labels, scores)
    order = np.argsort(score, kind="stable")[::-1]
    ordered = score[order]
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)
    return np.cumsum(truth[order])[last].astype(np.float64), (last + 1).astype(np.float64)


# -- events with buffers -----------------------------------------------------------------------------------------------


def vus(labels: ArrayLike, scores: ArrayLike, window: int, thresholds: int = THRESHOLDS) -> Volume:
    """VUS-PR and VUS-ROC as TSB-AD defines them; the formulas stand at the top of this file.

    labels (T,): a mask. scores (T,): larger is more unusual; no NaN. `window`: the widest buffer in rows; TSB-AD takes
    `period` of the series. Raises InputError for labels of one kind only, NaN scores, unequal lengths.
    """
    truth, (score,) = _checked(labels, scores)
    return _Buffers.of(truth, window).volume(score, thresholds)


def chance_level(labels: ArrayLike, window: int, thresholds: int = THRESHOLDS) -> Volume:
    """What `vus` gives to a score drawn at random, in the limit of many rows: the expected curves are integrated.

    For VUS-PR it is the share of labelled rows, faded ones by their weight. labels (T,): a mask.
    """
    truth, _ = _checked(labels)
    return _Buffers.of(truth, window).chance(thresholds)


@dataclass(frozen=True)
class _Buffers:
    """Rows in and beside events, without the scores."""

    truth: NDArray[np.bool_]
    window: int
    first: Array
    """(events,) first rows."""
    last: Array
    beside: Array
    """(2, events, reach) rows 1 .. reach before and after each event; what lies outside the series is `outside`."""
    outside: Array
    lone: Array
    """(2, n): rows in the buffer of one event alone, and their distance to it."""
    shared: Array
    """Likewise of rows in several buffers, a row's entries side by side."""

    @classmethod
    def of(cls, truth: NDArray[np.bool_], window: int) -> _Buffers:
        if isinstance(window, bool) or not isinstance(window, int | np.integer) or window < 0:
            raise InputError(f"the window is {window!r}; give a whole number of rows, 0 or more, such as the period")
        events = spans(truth)
        first, last = events[:, 0], events[:, 1] - 1
        far = np.arange(1, int(window) // 2 + 1)
        beside = np.stack([first[:, None] - far, last[:, None] + far])
        outside = (beside < 0) | (beside >= len(truth))
        beside = np.where(outside, 0, beside)
        fading = ~outside & ~truth[beside]
        pairs = np.stack([beside[fading], np.broadcast_to(far, beside.shape)[fading]])
        alone = np.bincount(pairs[0], minlength=len(truth))[pairs[0]] == 1
        shared = pairs[:, ~alone]
        shared = shared[:, np.argsort(shared[0], kind="stable")]
        return cls(truth, int(window), first, last, beside, outside, pairs[:, alone], shared)

    def volume(self, score: NDArray[np.float64], thresholds: int) -> Volume:
        """Both volumes of scores (T,)."""
        ordered = np.sort(score)
        levels = ordered[len(score) - 1 - self._picks(thresholds)]  # from the highest to the lowest
        alarms = len(score) - np.searchsorted(ordered, levels, "left")
        rank = np.searchsorted(-levels, -score, "left")  # the first threshold that raises an alarm in each row
        hits = np.cumsum(np.bincount(rank[self.truth], minlength=thresholds))
        return self._under(hits, self._faded(rank, thresholds), self._zones_met(rank, thresholds), alarms)

    def chance(self, thresholds: int) -> Volume:
        """With expected counts in place of counts, where each threshold alarms its share of all rows."""
        alarms = self._picks(thresholds) + 1.0
        share = alarms / len(self.truth)
        whole = self._faded(np.zeros(len(self.truth), dtype=np.int64), 1)
        met = np.empty((self.window // 2 + 1, thresholds))
        for reach, heads in enumerate(self._joined()):
            begin = np.maximum(self.first[heads] - reach, 0)
            end = np.minimum(self.last[np.append(heads[1:] - 1, -1)] + reach, len(self.truth) - 1)
            met[reach] = 1 - ((1 - share) ** (end - begin + 1)[:, None]).mean(0)
        return self._under(share * self.truth.sum(), share * whole, met, alarms)

    def _picks(self, thresholds: int) -> NDArray[np.int64]:
        if thresholds < 1:
            raise InputError(f"{thresholds} thresholds; give 1 or more, {THRESHOLDS} for TSB-AD's numbers")
        return np.linspace(0, len(self.truth) - 1, thresholds).astype(np.int64)

    def _under(self, hits: Array, faded: Array, met: Array, alarms: Array) -> Volume:
        """The volumes under the curves, from counts at each threshold (n,) and, with buffers, (window + 1, n)."""
        rows, labelled = len(self.truth), int(self.truth.sum())
        right = hits + faded
        positives = labelled + faded / 2
        recall = np.minimum(right / positives, 1) * met[np.arange(self.window + 1) // 2]
        wrong = (alarms - right) / (rows - positives)
        nought, one = np.zeros((self.window + 1, 1)), np.ones((self.window + 1, 1))
        pr = (np.diff(recall, axis=1, prepend=0) * right / alarms).sum(1)
        x, y = np.hstack([nought, wrong, one]), np.hstack([nought, recall, one])
        roc = (np.diff(x, axis=1) * (y[:, 1:] + y[:, :-1]) / 2).sum(1)
        return Volume(float(pr.mean()), float(roc.mean()))

    def _faded(self, rank: NDArray[np.int64], n: int) -> NDArray[np.float64]:
        """(window + 1, n): B of every buffer at every threshold."""
        width = np.arange(self.window + 1)[:, None]
        far = np.arange(1, self.window // 2 + 1)
        weight = np.where(far <= width // 2, np.sqrt(np.maximum(1 - far / np.maximum(width, 1), 0)), 0)
        rows, away = self.lone
        table = np.bincount((away - 1) * n + rank[rows], minlength=n * len(far)).reshape(len(far), n)
        found = weight @ table.astype(np.float64)
        rows, away = self.shared
        if len(rows):
            heads = np.append(0, np.flatnonzero(rows[1:] != rows[:-1]) + 1)
            for w in range(2, self.window + 1):
                label = np.minimum(np.add.reduceat(weight[w, away - 1], heads), 1)
                found[w] += np.bincount(rank[rows[heads]], weights=label, minlength=n)
        return np.cumsum(found, axis=1)

    def _zones_met(self, rank: NDArray[np.int64], n: int) -> NDArray[np.float64]:
        """(window // 2 + 1, n): share of zones with an alarm, by the rows that buffers reach."""
        inside = rank[self.truth]
        sizes = self.last - self.first + 1
        lowest = np.minimum.reduceat(inside, np.cumsum(sizes) - sizes)
        near = np.where(self.outside, n, rank[self.beside]).min(0)
        by_reach = np.minimum.accumulate(np.column_stack([lowest, near]), axis=1)
        met = np.empty((self.window // 2 + 1, n))
        for reach, heads in enumerate(self._joined()):
            ranks = np.minimum.reduceat(by_reach[:, reach], heads)
            met[reach] = np.cumsum(np.bincount(ranks, minlength=n)) / len(heads)
        return met

    def _joined(self) -> list[NDArray[np.int64]]:
        """For buffers that reach 0, 1 .. window // 2 rows: the events with which a zone begins."""
        gaps = self.first[1:] - self.last[:-1]
        return [np.append(0, np.flatnonzero(gaps > 2 * reach) + 1) for reach in range(self.window // 2 + 1)]


def vus_difference(
    labels: ArrayLike, a: ArrayLike, b: ArrayLike, window: int, *, draws: int = 200, seed: int = 0
) -> Interval:
    """VUS-PR of scores `a` minus that of `b` on the same rows, with its 95 % interval.

    The circular block bootstrap (Politis & Romano 1992): blocks of neighbouring rows are drawn with return, for both
    alike, and joined to a series of T rows; the interval holds the middle 95 % of `draws` differences. A block has the
    rows of the longest event and its buffer at least, and 1/64 of the series. Where it begins is chance, so blocks
    may cut an event; draws without an event are drawn again. It tells how much hangs on which stretches were seen,
    and cannot tell of stretches unlike them: with one event, or less than two blocks, there is no interval.

    labels, a, b: (T,), as for `vus`. Takes 2 `draws` times as long as `vus`.
    """
    truth, (one, other) = _checked(labels, a, b)
    value = _pr_difference(truth, one, other, window)
    events = spans(truth)
    rows = len(truth)
    block = max(int((events[:, 1] - events[:, 0]).max()) + int(window), math.ceil(rows / BLOCKS))
    if len(events) < 2 or 2 * block > rows:
        why = "one event" if len(events) < 2 else f"less than two blocks of {block:,} rows"
        return Interval(value, math.nan, math.nan, f"{why}, no interval")
    rng = np.random.default_rng(seed)
    found: list[float] = []
    while len(found) < draws:
        begins = rng.integers(0, rows, math.ceil(rows / block))
        pick = ((begins[:, None] + np.arange(block)) % rows).ravel()[:rows]
        drawn = truth[pick]
        if drawn.any() and not drawn.all():
            found.append(_pr_difference(drawn, one[pick], other[pick], window))
    low, high = np.quantile(found, [0.025, 0.975])
    how = f"bootstrap over blocks of {block:,} rows; {len(events)} events"
    return Interval(value, float(low), float(high), how)


def _pr_difference(truth: NDArray[np.bool_], a: Array, b: Array, window: int) -> float:
    buffers = _Buffers.of(truth, window)
    return buffers.volume(a, THRESHOLDS).pr - buffers.volume(b, THRESHOLDS).pr


# -- the period --------------------------------------------------------------------------------------------------------

LEAD_ROWS = 20_000
LAGS = 400
SKIP = 3
NO_PERIOD = 125


def period(x: ArrayLike) -> int:
    """The period of a series in rows, as TSB-AD finds it (`find_length_rank`, rank 1): the window of its VUS.

    The lag of the highest local maximum of the autocorrelation at lags 4 to 399 of the first 20,000 rows; 125 where
    there is none, or where it lies below lag 6 or above lag 303. The autocorrelation is the biased one, divided by n
    at each lag. x (T,): numbers; a missing one (NaN) takes part in no product.
    """
    series = np.asarray(x, dtype=np.float64)
    if series.ndim != 1 or series.size == 0:
        raise InputError(f"the series has shape {series.shape}; give one channel at a time, (T,)")
    if np.isinf(series).any():
        raise InputError(f"row {int(np.flatnonzero(np.isinf(series))[0])} is infinite; mark missing values as NaN")
    lags = _autocorrelation(series[:LEAD_ROWS])[SKIP:]
    inner = lags[1:-1]
    peaks = np.flatnonzero((inner > lags[:-2]) & (inner > lags[2:])) + 1
    if len(peaks) == 0:
        return NO_PERIOD
    best = int(peaks[::-1][np.argmax(lags[peaks[::-1]])])  # the longest of equal ones
    return best + SKIP if 3 <= best <= 300 else NO_PERIOD


def _autocorrelation(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lags 0 to 400, or as many as there are rows; zeros where the series does not vary."""
    known = ~np.isnan(x)
    count = min(LAGS + 1, len(x))
    if not known.any() or x[known].min() == x[known].max():
        return np.zeros(count)
    centred = np.where(known, x - x[known].mean(), 0.0)
    size = 1 << (len(x) + count).bit_length()  # long enough that no lag up to `count` wraps round
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    products = np.fft.irfft(power, size)[:count]
    scaled: NDArray[np.float64] = products / products[0]
    return scaled
