"""What a code keeps: dimensions in use, neighbourhoods, labels.

Trustworthiness: Venna & Kaski 2001; 1 where no item is a neighbour in the code that was not one in the data.
Active units: Burda et al. 2016, section 5.1 (variance of the mean code above 0.01), and by rate above 0.01 nats.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .distances import squared_distances
from .interval import Interval

__all__ = ["ACTIVE", "active_by_rate", "active_by_variance", "neighbour_hits", "trust"]

ACTIVE = 0.01  # nats of rate, or variance of the mean code, above which a dimension is in use


def _count(value: NDArray[np.float64], error: NDArray[np.float64]) -> Interval:
    """Dimensions above ACTIVE; the interval counts those surely and those possibly above."""
    reach = 1.96 * error
    low, high = (value - reach > ACTIVE).sum(), (value + reach > ACTIVE).sum()
    return Interval(float((value > ACTIVE).sum()), float(low), float(high))


def active_by_rate(rate_ND: ArrayLike) -> Interval:
    """Dimensions whose mean rate over the items is above 0.01 nats."""
    rate = np.asarray(rate_ND, dtype=np.float64)
    error = rate.std(0, ddof=1) / np.sqrt(len(rate)) if len(rate) > 1 else np.zeros(rate.shape[1])
    return _count(rate.mean(0), error)


def active_by_variance(mean_ND: ArrayLike) -> Interval:
    """Dimensions whose mean code varies over the items by more than 0.01."""
    z = np.asarray(mean_ND, dtype=np.float64)
    if len(z) < 2:
        return Interval(0.0, float("nan"), float("nan"), "one example, no variance")
    square = (z - z.mean(0)) ** 2
    return _count(z.var(0, ddof=1), square.std(0, ddof=1) / np.sqrt(len(z)))


def _to_others(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, n), infinite on the diagonal: an item is not its own neighbour."""
    distance = squared_distances(x)
    np.fill_diagonal(distance, np.inf)
    return distance


def _rows(x: ArrayLike) -> NDArray[np.float32]:
    out = np.asarray(x, dtype=np.float32)
    return out.reshape(len(out), -1)


def trust(data: ArrayLike, code: ArrayLike, *, neighbours: int) -> NDArray[np.float64]:
    """(n,): each item's share of the trustworthiness; their mean is it. Needs n > 2 * neighbours."""
    x, z = _rows(data), _rows(code)
    n, k = len(x), neighbours
    order = np.argsort(_to_others(x), axis=1, kind="stable")
    rank = np.empty((n, n), dtype=np.int64)
    rank[np.arange(n)[:, None], order] = np.arange(1, n + 1)
    near = np.argsort(_to_others(z), axis=1, kind="stable")[:, :k]
    excess = np.take_along_axis(rank, near, axis=1) - k
    penalty = np.maximum(excess, 0).sum(1)
    share: NDArray[np.float64] = 1 - penalty * (2 / (k * (2 * n - 3 * k - 1)))
    return share


def neighbour_hits(code: ArrayLike, label: ArrayLike) -> NDArray[np.bool_]:
    """(n,): whether the nearest other item has the same label (leave-one-out, one neighbour)."""
    y = np.asarray(label)
    nearest = _to_others(_rows(code)).argmin(1)
    hits: NDArray[np.bool_] = y[nearest] == y
    return hits
