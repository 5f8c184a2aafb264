"""How unequal the shares of groups are, and how sure that is.

With K groups of shares w and H the entropy of w in nats: the ratio of the largest to the smallest share, the effective
number of groups exp H (Hill 1973, order 1) and the index 1 - H / ln K, 0 where all shares are equal and towards 1 where
one group has nearly all. Of one group there is no balance to speak of.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .interval import Interval

__all__ = ["effective_groups", "imbalance_index", "ratio_of_shares", "spread_interval"]

HOW = "over draws of rows and seeds"


def _shares(shares: ArrayLike) -> NDArray[np.float64]:
    w = np.asarray(shares, dtype=np.float64).reshape(-1)
    if len(w) == 0 or (w < 0).any() or not w.sum() > 0:
        raise ValueError("shares are numbers of at least 0 with a sum above 0")
    out: NDArray[np.float64] = w / w.sum()
    return out


def effective_groups(shares: ArrayLike, order: float = 1.0) -> float:
    """How many equal groups would be as diverse: exp H at order 1, 1 / sum w^2 at order 2 (Hill 1973)."""
    w = _shares(shares)
    w = w[w > 0]
    if order == 1.0:
        return math.exp(-float((w * np.log(w)).sum()))
    return float((w**order).sum() ** (1 / (1 - order)))


def imbalance_index(shares: ArrayLike) -> float:
    """1 - H / ln K over all K shares given, those of 0 included; NaN of one group."""
    w = _shares(shares)
    if len(w) == 1:
        return math.nan
    return min(1.0, max(0.0, 1 - math.log(effective_groups(w)) / math.log(len(w))))


def ratio_of_shares(shares: ArrayLike) -> float:
    """The largest share over the smallest; infinite where one is empty."""
    w = _shares(shares)
    return float(w.max() / w.min()) if w.min() > 0 else math.inf


def spread_interval(
    value: float,
    drawn: ArrayLike,
    *,
    wider: float = 0.0,
    root: bool = False,
    least: float = 0.0,
    most: float = math.inf,
) -> Interval:
    """`value` between the 2.5 and 97.5 % points of `drawn` (draws of rows, other seeds), and `wider` on each side.

    On a scale where an error is as large at either end: the square root where `root` (an index that is quadratic near
    its 0), else the logarithm where `wider` is given, else the value itself. Draws that are not finite count as the
    upper end. An index near 0 is always drawn above itself, so its lower end is as far below as the upper is above.
    """
    x = np.asarray(drawn, dtype=np.float64)
    if len(x) < 2 or not math.isfinite(value):
        return Interval(value, math.nan, math.nan, "too few draws for an interval")
    low, high = (float(v) for v in np.quantile(x, [0.025, 0.975], method="nearest"))
    low, high = min(low, value), max(high, value)
    if root:
        up, down = math.sqrt(max(high, 0.0)), math.sqrt(max(0.0, min(low, 2 * value - high)))
        return Interval(value, max(0.0, down - wider) ** 2, min(1.0, (up + wider) ** 2), HOW)
    if wider:
        low, high = low * math.exp(-wider), high * math.exp(wider)
    return Interval(value, low, high, HOW).within(least, most)
