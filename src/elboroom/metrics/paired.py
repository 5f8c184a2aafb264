"""The difference of two models over the same items, with its 95 % interval: of means, of functions of means, of shares.

What the items share, hard ones and easy ones, cancels item by item. A mean may be weighed: a sum over the cells, bytes
or tokens of all items by their number. The two sides may weigh an item differently (tokenisers cut a text in their own
ways); then, and for a function of a mean, each side is linearised as in `ratio_interval`, and the linear parts, which
do belong to one item each, are subtracted. Neighbours that err together are taken together first (`in_blocks`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .interval import Interval, mean_interval, ratio_interval

__all__ = ["in_blocks", "mean_difference", "share_difference"]

Array = NDArray[np.float64]
Z = 1.959963984540054  # the 97.5 % point of N(0, 1)
LARGEST = 700.0  # exp of more is no float


def in_blocks(values: ArrayLike, weights: ArrayLike, block: int) -> tuple[Array, Array]:
    """Means and weights (ceil(n / block),) of blocks of neighbours; a value that is NaN is none; an empty block is NaN.

    For series, whose neighbouring rows err together and are no sample; blocks are (Carlstein 1986).
    """
    x, w = (np.asarray(v, dtype=np.float64).reshape(-1) for v in (values, weights))
    there = np.isfinite(x)
    cuts = np.arange(0, len(x), max(1, block))
    if not len(cuts):
        return x, w
    total = np.add.reduceat(np.where(there, x * w, 0.0), cuts)
    weight = np.add.reduceat(np.where(there, w, 0.0), cuts)
    return np.divide(total, weight, out=np.full(len(cuts), math.nan), where=weight > 0), weight


def mean_difference(
    a: ArrayLike, b: ArrayLike, a_weights: ArrayLike, b_weights: ArrayLike, *, exp: bool = False, seed: int = 0
) -> Interval:
    """mean(a) - mean(b), each (n,) over the same items and weighed; with `exp` the difference of exp of the means."""
    x, y, w, v = (np.asarray(each, dtype=np.float64).reshape(-1) for each in (a, b, a_weights, b_weights))
    if not exp and np.array_equal(w, v):
        return ratio_interval((x - y) * w, w, seed=seed, signed=True)
    if not len(x):
        return Interval(math.nan, math.nan, math.nan, "nothing to measure")
    (first, mine), (second, other) = _linear(x, w, exp), _linear(y, v, exp)
    found = mean_interval(first - second + mine - other, seed=seed, signed=True)
    return Interval(first - second, found.low, found.high, found.how)


def _linear(x: Array, w: Array, exp: bool) -> tuple[float, Array]:
    """The weighed mean, or exp of it, and what each item adds to it: (n,) whose mean is 0."""
    mean = float((x * w).sum() / w.sum())
    value = math.exp(min(mean, LARGEST)) if exp else mean
    return value, (value if exp else 1.0) * w * (x - mean) / w.mean()


def share_difference(a: ArrayLike, b: ArrayLike) -> Interval:
    """The share of true values of `a` less that of `b`, both (n,) over the same items.

    Wald's interval with one item added to either way in which the two can disagree: it stays honest where they hardly
    ever do, or only in one way (Bonett & Price 2012, J. Educ. Behav. Stat. 37:479).
    """
    x, y = (np.asarray(each).reshape(-1) > 0.5 for each in (a, b))
    n = len(x)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, "nothing to measure")
    only_a, only_b = int((x & ~y).sum()), int((y & ~x).sum())
    p, q = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    reach = Z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    found = Interval((only_a - only_b) / n, p - q - reach, p - q + reach, "Bonett and Price")
    return found.within(-1, 1)
