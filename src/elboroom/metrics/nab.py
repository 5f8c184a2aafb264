"""The score of the Numenta Anomaly Benchmark: alarms in labelled windows, the earlier the better, under three profiles.

Lavin & Ahmad 2015 (arXiv 1510.03336), as numenta/NAB at ea702d7 computes it. With y the place of an alarm relative to a
window of n rows, and s(y) = 2 / (1 + exp(5 y)) - 1:

    in a window          tp * s(y) / s(-1),  y = -1 at its first row and -1 / n at its last; the best alarm counts
    a window missed      -fn
    outside              fp * s(y) each,  y = rows since the last window's end over its length - 1; -fp beyond y = 3
                         and before the first window
    the first 15 % of a file's rows, 750 at most, count for nothing

The sum over all files is set between 0, no alarm at all, and 100, every window found at its first row and no false
alarm. One threshold serves all files, and NAB chooses it by the labels: the number is an oracle's, fit to compare with
published ones alone. Random scores get 11 to 17; it never stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

__all__ = ["PROFILES", "NabFile", "NabScore", "Profile", "nab_scores", "window_rows"]

PROBATION = 0.15
PROBATION_ROWS = 5000
"""The share above is taken of so many rows at most."""
FAR = 3.0
"""Window lengths behind a window at which an alarm is wholly false."""


@dataclass(frozen=True)
class Profile:
    """What an application gains and pays."""

    true_positive: float
    false_positive: float
    false_negative: float


PROFILES: Mapping[str, Profile] = {
    "standard": Profile(1.0, 0.11, 1.0),
    "reward_low_FP_rate": Profile(1.0, 0.22, 1.0),
    "reward_low_FN_rate": Profile(1.0, 0.11, 2.0),
}
"""NAB's three."""


@dataclass(frozen=True)
class NabFile:
    """One series as NAB sees it."""

    scores: NDArray[np.float64]
    """(T,), larger is more unusual; NaN raises no alarm. NAB's lie in [0, 1], others may not."""
    windows: tuple[tuple[int, int], ...]
    """First and last row of each labelled window, in order and apart; may be empty."""


@dataclass(frozen=True)
class NabScore:
    """The score of all files at one threshold."""

    score: float
    """0 for no alarm, 100 for a perfect detector, below 0 for one whose false alarms cost more than they find."""
    threshold: float
    """A row with this score or more is an alarm; infinite where no alarm at all scores best."""
    raw: float
    """The sum before it is set between 0 and 100."""
    found: int
    """Windows with an alarm."""
    windows: int
    false_rows: int
    """Rows with an alarm outside windows."""


def window_rows(timestamps: ArrayLike, windows: Sequence[Sequence[Any]]) -> tuple[tuple[int, int], ...]:
    """Windows given by the times of their first and last row, as in NAB's combined_windows.json, as row numbers.

    timestamps (T,): times, or texts such as "2014-02-14 14:30:00". Of rows with equal times the first counts. Raises
    InputError where a time is not that of a row.
    """
    times = np.asarray(timestamps, dtype="datetime64[us]")
    found = []
    for limits in windows:
        rows = []
        for limit in np.asarray(list(limits), dtype="datetime64[us]"):
            at = np.flatnonzero(times == limit)
            if len(at) == 0:
                raise InputError(f"no row has the time {limit} of a window; give windows whose ends are times of rows")
            rows.append(int(at[0]))
        found.append((rows[0], rows[1]))
    return tuple(found)


def nab_scores(files: Mapping[str, NabFile], profile: Profile, threshold: float | None = None) -> NabScore:
    """The score of all files under one profile of `PROFILES`.

    `threshold`: that of all files; None: the one with the highest score, the highest of equals, as NAB optimises it on
    the labels. Raises InputError where no file has a window, or windows are no rows of their file.
    """
    parts = [_rows(name, file) for name, file in files.items()]
    windows = sum(len(file.windows) for file in files.values())
    if windows == 0:
        raise InputError("no file has a labelled window; the NAB score needs one at least")
    if not any(len(part.score) for part in parts):
        raise InputError("no row behind the probation has a score; the first 15 % of a file count for nothing")
    offsets = np.cumsum([0, *(len(file.windows) for file in files.values())])
    scores = np.concatenate([part.score for part in parts])
    value = np.concatenate([part.value for part in parts])
    numbered = zip(parts, offsets[:-1], strict=True)
    window = np.concatenate([np.where(part.window < 0, -1, part.window + offset) for part, offset in numbered])
    null = -profile.false_negative * sum(part.reachable for part in parts)

    order = np.argsort(-scores, kind="stable")
    ordered, place = scores[order], window[order]
    gain = np.where(place < 0, profile.false_positive * value[order], 0.0)
    first = np.zeros(len(order), dtype=bool)
    for each in np.unique(place[place >= 0]):
        at = np.flatnonzero(place == each)
        best = np.maximum.accumulate(profile.true_positive * value[order[at]])
        gain[at] = np.diff(best, prepend=-profile.false_negative)
        first[at[0]] = True
    totals = np.concatenate([[null], null + np.cumsum(gain)])  # after so many alarms, the highest scores first
    ends = np.append(0, np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1)  # equal scores alarm together
    if threshold is None:
        alarms = int(ends[np.argmax(totals[ends])])
        threshold = float(ordered[alarms - 1]) if alarms else math.inf
    else:
        alarms = int(np.searchsorted(-ordered, -threshold, "right"))
    perfect = profile.true_positive * windows
    return NabScore(
        score=float(100 * (totals[alarms] - null) / (perfect - null)),
        threshold=threshold,
        raw=float(totals[alarms]),
        found=int(first[:alarms].sum()),
        windows=windows,
        false_rows=int((place[:alarms] < 0).sum()),
    )


@dataclass(frozen=True)
class _Rows:
    """The rows of one file that count and have a score."""

    score: NDArray[np.float64]
    value: NDArray[np.float64]
    """What an alarm there is worth: in a window in (0, 1], outside in [-1, 0]."""
    window: NDArray[np.int64]
    """The window's number, -1 outside."""
    reachable: int
    """Windows that do not lie in the probation wholly; there one is neither met nor missed."""


def _rows(name: str, file: NabFile) -> _Rows:
    score = np.asarray(file.scores, dtype=np.float64)
    if score.ndim != 1:
        raise InputError(f"{name}: scores have shape {score.shape}; give one value for each row, (T,)")
    count, end = len(score), -1
    value, window = np.full(count, -1.0), np.full(count, -1, dtype=np.int64)
    for number, (first, last) in enumerate(file.windows):
        if not end < first <= last < count:
            raise InputError(
                f"{name}: window {number}, rows {first} to {last}, does not lie behind the one before it and inside "
                f"the file's {count} rows; give windows in order and apart"
            )
        length, end = last - first + 1, last
        inside = np.arange(-length, 0) / length
        value[first : last + 1] = _sigmoid(inside) / _sigmoid(np.array(-1.0))
        window[first : last + 1] = number
        behind = np.arange(1, count - last)
        past = behind / (length - 1) if length > 1 else np.full(len(behind), math.inf)
        value[last + 1 :] = np.where(past > FAR, -1.0, _sigmoid(np.minimum(past, FAR)))
    counted = np.arange(count) >= min(math.floor(PROBATION * count), PROBATION * PROBATION_ROWS)
    reachable = len(np.unique(window[counted & (window >= 0)]))
    counted &= ~np.isnan(score)
    return _Rows(score[counted], value[counted], window[counted], reachable)


def _sigmoid(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 / (1 + exp(5 y)) - 1: near 1 at a window's first row, 0 at its end, near -1 a window's length behind."""
    scaled: NDArray[np.float64] = 2 / (1 + np.exp(5 * y)) - 1
    return scaled
