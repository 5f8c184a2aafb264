"""Every window of one period as a point: how far it lies from the others, by principal components or by a forest.

Sub-PCA is the score of PyOD's PCA on windows (Shyu et al. 2003; Aggarwal, Outlier Analysis, 2017, section 3.3), as
TSB-AD runs it (Liu & Paparrizos, NeurIPS 2024): each of the m places of a window is standardised, and with all unit
eigenvectors v_k of the covariance and their shares r_k of the variance

    score(z) = sum_k |z - v_k| / r_k    (here divided by sum_k 1 / r_k, which changes no order).

What is measured is the distance to the end of a unit vector, not to a plane. Since |z| is about sqrt(m), the v_k hardly
matter, and the score is nearly the length of the standardised window: read it as "far from the mean window".

Isolation forest: Liu, Ting & Zhou 2008, of 100 trees on 256 windows each, as scikit-learn fits it by default.

A window with a missing cell has no score and enters no fit. Without two complete windows to fit there are no scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .channels import Array, at_end, centred, complete, over_channels, standardised, windows

__all__ = ["Subspace", "isolation_forest", "sub_pca", "sub_pca_centred", "sub_pca_transductive"]

CHUNK = 4096
"""Windows that are copied out of the series at once."""
TREES = 100
FOREST_WINDOWS = 20_000
"""Windows from which a forest draws, evenly spaced."""


@dataclass(frozen=True)
class Subspace:
    """Mean, scale and principal components of windows."""

    mean: Array
    """(m,)"""
    scale: Array
    """(m,): standard deviation of each place; 1 where it does not vary."""
    directions: Array
    """(m, K): unit eigenvectors of the places' correlation matrix, the largest first; of each the entry that is largest
    without its sign is above 0."""
    shares: Array
    """(K,): of the variance, all above 0."""

    @classmethod
    def fit(cls, x_T: Array, starts: NDArray[np.int64], m: int) -> Subspace:
        """From the windows of m rows that begin at `starts`, at least one, all complete; memory of one chunk."""
        view, n = windows(x_T, m), len(starts)
        mean = sum((part.sum(0) for part in _chunks(view, starts)), np.zeros(m)) / n
        variance = sum((((part - mean) ** 2).sum(0) for part in _chunks(view, starts)), np.zeros(m)) / n
        scale = np.sqrt(variance)
        # of a constant place only rounding varies
        scale[scale <= 1e-12 * np.maximum(np.abs(mean), 1e-100)] = 1.0
        triangle = np.zeros((0, m))
        for part in _chunks(view, starts):
            # R of all rows is R of (R of the rows so far, the next rows): no covariance, no square of its condition
            triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, (part - mean) / scale]), mode="r"))
        _, sizes, rows = np.linalg.svd(triangle)
        # what is left of numbers far from 0 when their mean is taken away is rounding
        rounding = np.finfo(float).eps * max(n, m) * max(1.0, float((np.abs(mean) / scale).max()))
        rank = int((sizes > sizes[0] * rounding).sum()) if sizes[0] > 0 else 0
        rows = rows[:rank]
        largest = np.abs(rows).argmax(1)
        signs = np.sign(rows[np.arange(rank), largest])
        return cls(mean, scale, (rows * signs[:, None]).T, sizes[:rank] ** 2 / max(float((sizes**2).sum()), 1e-300))

    def score(self, x_T: Array) -> Array:
        """(W,): of every window of x; NaN for one with a missing cell."""
        m = len(self.mean)
        starts = np.flatnonzero(complete(x_T, m))
        out = np.full(max(0, len(x_T) - m + 1), np.nan)
        weights = 1 / self.shares
        done = 0
        for part in _chunks(windows(x_T, m), starts):
            z = (part - self.mean) / self.scale
            square = (z**2).sum(1)
            if len(weights):
                # |z - v|^2 = |z|^2 + 1 - 2 z.v
                distance = np.sqrt(np.maximum(square[:, None] + 1 - 2 * (z @ self.directions), 0))
                found = distance @ weights / weights.sum()
            else:
                found = np.sqrt(square)
            out[starts[done : done + len(part)]] = found
            done += len(part)
        return out


def sub_pca(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): fitted on the windows of the training stretch, each window's score at its last row."""
    return over_channels(lambda x_T, n, m, _: at_end(_pca(x_T, n, m), len(x_T), m), x, train, period, seed)


def sub_pca_centred(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): fitted on the windows of the training stretch, each window's score at its middle row."""
    return over_channels(lambda x_T, n, m, _: centred(_pca(x_T, n, m), len(x_T), m), x, train, period, seed)


def sub_pca_transductive(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): fitted on all windows, those it scores included, as TSB-AD does; scores at the windows' middle rows."""
    return over_channels(lambda x_T, n, m, _: centred(_pca(x_T, len(x_T), m), len(x_T), m), x, train, period, seed)


def isolation_forest(x: ArrayLike, train: int, *, period: int, seed: int = 0) -> Array:
    """(T,): a forest grown on the windows of the training stretch, each window's score at its last row."""
    return over_channels(_forest, x, train, period, seed)


def _pca(x_T: Array, fitted: int, m: int) -> Array:
    """(W,): scores of all windows by a subspace of those in the first `fitted` rows."""
    starts = np.flatnonzero(complete(x_T[:fitted], m))
    if len(starts) < 2:
        return np.full(max(0, len(x_T) - m + 1), np.nan)
    return Subspace.fit(x_T, starts, m).score(x_T)


def _forest(x_T: Array, train: int, m: int, seed: int) -> Array:
    from sklearn.ensemble import IsolationForest

    starts = np.flatnonzero(complete(x_T[:train], m))
    if len(starts) < 2:
        return np.full(len(x_T), np.nan)
    # the forest computes in float32
    x_T = np.clip(standardised(x_T, x_T[:train]), -1e30, 1e30)
    view = windows(x_T, m)
    drawn = starts[np.linspace(0, len(starts) - 1, min(len(starts), FOREST_WINDOWS)).astype(np.int64)]
    forest = IsolationForest(n_estimators=TREES, random_state=seed & 0x7FFFFFFF).fit(view[drawn])
    scored = np.flatnonzero(complete(x_T, m))
    out = np.full(len(view), np.nan)
    out[scored] = np.concatenate([-forest.score_samples(part) for part in _chunks(view, scored)])
    return at_end(out, len(x_T), m)


def _chunks(view: Array, starts: NDArray[np.int64]) -> Iterator[Array]:
    for first in range(0, len(starts), CHUNK):
        yield view[starts[first : first + CHUNK]]
