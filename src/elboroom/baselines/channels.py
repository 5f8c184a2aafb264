"""What every score of a time series shares: what it may be asked, its windows, and one score from several channels.

A score of one channel becomes a score of several in one way: each channel is scored alone, its scores are standardised
by their mean and standard deviation over the training stretch, and the mean over the channels that have a score is
taken (per-channel scores normalised on the training part and summed: Garg et al. 2021, arXiv 2109.11428). A channel
without any score in the training stretch takes no part; the scores of one that stood still there are only centred.

Letters: T rows, C channels, m rows of a window, W = T - m + 1 windows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

__all__ = [
    "Array",
    "at_end",
    "centred",
    "checked",
    "combined",
    "complete",
    "over_channels",
    "spread",
    "standardised",
    "varies",
    "windows",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
LARGEST = 1e100
"""The square of a larger number leaves too little room."""


def checked(x: ArrayLike, train: int, period: int) -> Array:
    """x as (T, C) float64, after a look at all three; NaN is a missing cell."""
    x_TC = np.asarray(x, dtype=np.float64)
    if x_TC.ndim != 2 or 0 in x_TC.shape:
        raise InputError(f"a series has the shape (rows, channels), not {x_TC.shape}; give one channel as x[:, None]")
    too_large = np.abs(x_TC) > LARGEST
    if too_large.any():
        row, channel = np.argwhere(too_large)[0]
        raise InputError(f"row {row}, channel {channel} holds {x_TC[row, channel]}; mark such a cell as missing (NaN)")
    if not 1 <= train <= len(x_TC):
        raise InputError(f"a training stretch of {train} rows in a series of {len(x_TC)}; take 1 to {len(x_TC)}")
    if period < 2:
        raise InputError(f"a period of {period} rows; take at least 2, such as elboroom.metrics.detection.period finds")
    return x_TC


def over_channels(
    one: Callable[[Array, int, int, int], Array], x: ArrayLike, train: int, period: int, seed: int = 0
) -> Array:
    """(T,): the score of each row, from `one(x_T, train, period, seed)`, which scores one channel."""
    x_TC = checked(x, train, period)
    scores = [one(np.ascontiguousarray(x_T), train, period, seed + i) for i, x_T in enumerate(x_TC.T)]
    if len(scores) == 1:
        return scores[0]
    return combined(np.stack(scores, 1), train, [varies(x_T[:train]) for x_T in x_TC.T])


def combined(scores_TC: Array, train: int, moving: Sequence[bool]) -> Array:
    """(T,): mean of the channels' scores in units of their own training scores; NaN where no channel has one.

    `moving` says which channels vary in the training stretch: scores of the others differ there by rounding only.
    """
    total_T, count_T = np.zeros(len(scores_TC)), np.zeros(len(scores_TC))
    for scores_T, varied in zip(scores_TC.T, moving, strict=True):
        known = scores_T[:train][~np.isnan(scores_T[:train])]
        if len(known):
            seen = ~np.isnan(scores_T)
            total_T[seen] += (scores_T[seen] - known.mean()) / (spread(known) if varied else 1.0)
            count_T += seen
    return np.where(count_T > 0, total_T / np.maximum(count_T, 1), np.nan)


def spread(x: Array) -> float:
    """Standard deviation of what is not missing; 1 where nothing varies, so that it can be divided by."""
    known = x[~np.isnan(x)]
    # the computed deviation of equal numbers need not be 0
    return float(known.std()) if varies(known) else 1.0


def standardised(x_T: Array, like: Array) -> Array:
    """(T,): x in units of the spread of `like`, about its mean."""
    known = like[~np.isnan(like)]
    return (x_T - (float(known.mean()) if len(known) else 0.0)) / spread(known)


def varies(x: Array) -> bool:
    """Whether two values that are not missing differ."""
    known = x[~np.isnan(x)]
    return bool(len(known) and np.ptp(known) > 0)


def windows(x_T: Array, m: int) -> Array:
    """(W, m): every stretch of m rows, as a view; no window where the series is shorter."""
    return sliding_window_view(x_T, m) if len(x_T) >= m else np.empty((0, m))


def complete(x_T: Array, m: int) -> Mask:
    """(W,): whether each window of m rows has all of its cells."""
    if len(x_T) < m:
        return np.zeros(0, dtype=bool)
    missing = np.concatenate([[0], np.cumsum(np.isnan(x_T))])
    whole: Mask = missing[m:] == missing[:-m]
    return whole


def at_end(scores_W: Array, rows: int, m: int) -> Array:
    """(rows,): the score of each window at its last row, so that no row's score uses a later row."""
    return _placed(scores_W, rows, m - 1)


def centred(scores_W: Array, rows: int, m: int) -> Array:
    """(rows,): the score of each window at its middle row (start + ceil((m - 1) / 2), as TSB-AD pads)."""
    return _placed(scores_W, rows, math.ceil((m - 1) / 2))


def _placed(scores_W: Array, rows: int, first: int) -> Array:
    out = np.full(rows, np.nan)
    out[first : first + len(scores_W)] = scores_W
    return out
