"""Matrix profile: how far each window of one period is from the most similar other window (Yeh et al. 2016).

The distance is Euclidean between windows brought to mean 0 and standard deviation 1, so only the shape counts:

    d(i, j) = sqrt(2 m (1 - r(i, j))),    r = cov(i, j) / (norm_i norm_j),    |i - j| > exclusion.

The covariance runs along the diagonals in constant time a step (Zimmerman et al. 2019, "Matrix Profile XIV"):

    cov(i, j) = cov(i - 1, j - 1) + f_i g_j + f_j g_i
    f_i = (x[i + m - 1] - x[i - 1]) / 2,    g_i = (x[i + m - 1] - mean_i) + (x[i - 1] - mean_{i - 1}),

and here all diagonals take a step at once, as vectors: time O(T^2), memory O(T). Every 1,024 steps the covariances are
computed afresh, so that rounding does not build up. The left profile (Zhu et al. 2017, "Matrix Profile VII") takes the
neighbour among earlier windows only: it is causal, and the first of two equal oddities is found, too.

A flat window has no shape: two flat ones are at distance 0, a flat one and another at sqrt(m), as in stumpy.

On one core, windows of 125 rows: 0.3 s for 10,000 rows, 3 s for 40,000, 20 s for 100,000. So beyond 40,000 rows each
window is compared with every k-th one only, about 4e8 pairs in all (k = 26 for 100,000 rows): 3 s, and distances that
are too large. That k follows from the number of rows, and with it a left profile; nothing else of the future does.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

from .channels import Array, at_end, centred, complete, over_channels, standardised, windows

__all__ = ["EXACT", "matrix_profile", "matrix_profile_left", "profile", "stride_for"]

EXACT = 40_000
"""Windows up to which all pairs are compared."""
PAIRS = 400_000_000
"""Pairs of a window and a reference window that are compared at most beyond that."""
AFRESH = 1024
FLAT = 1e-6
"""A window whose standard deviation is below this share of that of the training stretch is flat."""
BLOCK = 256


def matrix_profile_left(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): distance to the nearest earlier window, at the window's last row."""
    return over_channels(lambda x_T, n, m, _: at_end(_own(x_T, n, m, True), len(x_T), m), x, train, period, seed)


def matrix_profile(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): distance to the nearest window, earlier or later, at the window's middle row."""
    return over_channels(lambda x_T, n, m, _: centred(_own(x_T, n, m, False), len(x_T), m), x, train, period, seed)


def _own(x_T: Array, train: int, m: int, earlier: bool) -> Array:
    return profile(x_T, m, m // 2, earlier=earlier, stride=stride_for(len(x_T) - m + 1, m), like=x_T[:train])


def stride_for(count: int, period: int) -> int:
    """How many windows apart the reference windows of `count` windows lie; 1, all of them, up to EXACT.

    It has no common divisor with the period, or some phases would never be a reference.
    """
    if count <= EXACT:
        return 1
    stride = max(math.ceil(count / EXACT), math.ceil(count * count / PAIRS))
    while math.gcd(stride, period) > 1:
        stride += 1
    return stride


def profile(
    x: ArrayLike,
    window: int,
    exclusion: int,
    *,
    earlier: bool = False,
    stride: int = 1,
    like: ArrayLike | None = None,
) -> Array:
    """(W,): distance of each window of x (T,) from its nearest neighbour that begins more than `exclusion` rows away.

    `earlier`: among earlier windows only. `stride` above 1: among every stride-th window only. `like`: the values whose
    spread says what is flat; None: those of x. NaN for a window with a missing cell, and for one without a neighbour.
    """
    x_T = np.asarray(x, dtype=np.float64)
    if x_T.ndim != 1 or window < 2 or exclusion < 0 or stride < 1:
        raise InputError(
            f"a profile of shape {x_T.shape}, window {window}, exclusion {exclusion}, stride {stride}; "
            "give one channel, a window of at least 2, an exclusion of at least 0 and a stride of at least 1"
        )
    whole = complete(x_T, window)
    if not whole.any():
        return np.full(len(whole), np.nan)
    # what stands in a missing cell is in no window that is compared
    x_T = standardised(x_T, x_T if like is None else np.asarray(like, dtype=np.float64))
    x_T = np.where(np.isnan(x_T), 0.0, x_T)
    found = _recurrence if stride == 1 else _sampled
    nearest = found(x_T, window, exclusion, earlier, whole, stride)
    nearest = np.where(nearest < -2, np.nan, nearest)
    distance: Array = np.sqrt(np.maximum(2 * window * (1 - nearest), 0))
    return distance


def _shapes(x_T: Array, m: int, whole: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """(mean, 1 / norm, addend) of each window: r(i, j) = cov(i, j) / (norm_i norm_j) + addend_i + addend_j.

    The addends give what a flat window has in place of a correlation, and keep out windows with a missing cell.
    """
    view = windows(x_T, m)
    mean, norm = np.empty(len(view)), np.empty(len(view))
    for first in range(0, len(view), 4096):
        part = slice(first, first + 4096)
        mean[part] = view[part].mean(1)
        norm[part] = np.sqrt(((view[part] - mean[part, None]) ** 2).sum(1))
    flat = norm < FLAT * math.sqrt(m)
    over = np.where(flat | ~whole, 0.0, 1 / np.where(flat, 1.0, norm))
    return mean, over, np.where(whole, 0.5 * flat, -np.inf)


def _recurrence(x_T: Array, m: int, exclusion: int, earlier: bool, whole: NDArray[np.bool_], stride: int) -> Array:
    """(W,): the largest correlation of each window, over all pairs; -inf where there is none."""
    mean, over, addend = _shapes(x_T, m, whole)
    count, gap = len(mean), exclusion + 1
    f, g = np.zeros(count), np.zeros(count)
    f[1:] = (x_T[m:] - x_T[: count - 1]) / 2
    g[1:] = (x_T[m:] - mean[1:]) + (x_T[: count - 1] - mean[:-1])
    plain = not addend.any()
    left, right = np.full(count, -np.inf), np.full(count, -np.inf)
    covariance, space = np.empty(max(0, count - gap)), np.empty(max(0, count - gap))
    for i in range(count - gap):
        # place k of the vectors is the pair (i, i + gap + k)
        later = slice(i + gap, count)
        cov, r = covariance[: count - gap - i], space[: count - gap - i]
        if i % AFRESH == 0:
            cov[:] = np.correlate(x_T[i + gap :], x_T[i : i + m] - mean[i], mode="valid")
        else:
            np.multiply(g[later], f[i], out=r)
            cov += r
            np.multiply(f[later], g[i], out=r)
            cov += r
        np.multiply(cov, over[later], out=r)
        r *= over[i]
        if not plain:
            r += addend[later]
            r += addend[i]
        np.maximum(left[later], r, out=left[later])
        if not earlier:
            right[i] = r.max()
    return left if earlier else np.asarray(np.maximum(left, right))


def _sampled(x_T: Array, m: int, exclusion: int, earlier: bool, whole: NDArray[np.bool_], stride: int) -> Array:
    """(W,): likewise, over the pairs of any window with every stride-th one, as products of matrices."""
    mean, over, addend = _shapes(x_T, m, whole)
    view, count = windows(x_T, m), len(mean)
    at = np.arange(0, count, stride)
    reference = ((view[at] - mean[at, None]) * over[at, None]).T
    out = np.empty(count)
    for first in range(0, count, BLOCK):
        some = np.arange(first, min(count, first + BLOCK))
        # references before `low` lie far enough before the whole block, those from `high` on far enough behind it
        low, high = np.searchsorted(at, [first - exclusion, some[-1] + exclusion + 1])
        last = int(high) if earlier else len(at)
        shapes = (view[some] - mean[some, None]) * over[some, None]
        r = shapes @ reference[:, :last] + addend[at[:last]]
        lag = some[:, None] - at[low:high]
        r[:, low:high][(lag <= exclusion) if earlier else (np.abs(lag) <= exclusion)] = -np.inf
        out[some] = r.max(1, initial=-np.inf) + addend[some]
    return out
