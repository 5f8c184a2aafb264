"""Whether codes follow the law they were meant to follow: draws of q(z) beside draws of the prior.

    MMD^2     squared maximum mean discrepancy, unbiased (Gretton et al. 2012, JMLR 13, equation 3), with the inverse
              multiquadric c / (c + |a - b|^2), whose tails see far (Tolstikhin et al. 2018, 1711.01558), c the median
              squared distance of all pairs; about 0, and as often below it as above, where the laws are equal
    p         share of exchanges of the two sets' members that give as large an MMD^2
    KS        per axis the largest gap of the two distribution functions; p values by Kolmogorov's limit with Stephens'
              correction (1970), times the number of axes (Holm 1979)
    AUC       how well a classifier that was fitted on four fifths tells the rest: 0.5 cannot, 1 always can. It looks at
              z, its squares and products and random features of three widths (Rahimi & Recht 2007)

No axis can tell a dependence between axes; MMD grows weak in many dimensions; the classifier sees what it is made for.
So all three are given. Both sets are (n, d) arrays of equally many draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .distances import squared_distances
from .interval import Interval, Z, finite

__all__ = ["MMD", "Axis", "Matching", "axes", "matching", "mmd", "noise_shares", "two_sample_auc"]

EXCHANGES = 500
FOLDS = 5
FEATURES = 200
"""Random features of the classifier, in three widths."""
WIDTHS = (0.5, 1.0, 2.0)
"""Of the kernels they stand for, in median distances."""
MOST_PRODUCTS = 300
"""Squares and products of axes that the classifier looks at; the first ones where there are more."""
RIDGE = 1e-2
"""Times the number of rows: features are standardised."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MMD:
    """MMD^2 and the p value of equal laws."""

    square: Interval
    p: float


@dataclass(frozen=True)
class Axis:
    """One axis of the code."""

    mean: float
    sd: float
    statistic: float
    p: float
    """Of equal laws on this axis, corrected for the number of axes."""


@dataclass(frozen=True)
class Matching:
    """All that is said of two sets of draws."""

    n: int
    mmd: MMD
    axes: list[Axis]
    auc: Interval

    @property
    def worst(self) -> int:
        """The axis with the largest gap."""
        return int(np.argmax([axis.statistic for axis in self.axes]))

    @property
    def gap(self) -> Interval:
        """That gap; |gap - its estimate| is at most the gap of (estimated - true) on any axis: Kolmogorov's limit."""
        from scipy.special import kolmogi

        value = self.axes[self.worst].statistic
        reach = float(kolmogi(0.05 / len(self.axes))) * math.sqrt(2 / self.n)
        return Interval(value, value - reach, value + reach, "Kolmogorov's limit, all axes").within(0.0, 1.0)

    def to_json(self) -> dict[str, Any]:
        """As it stands in details.json."""
        square, worst = self.mmd.square, self.axes[self.worst]
        return {
            "n": self.n,
            "mmd": {**_ends(square), "p": self.mmd.p},
            "ks": {**_ends(self.gap), "p": worst.p, "axis": self.worst},
            "auc": _ends(self.auc),
            "axes": [{"mean": a.mean, "sd": a.sd, "ks": a.statistic, "p": a.p} for a in self.axes],
        }


def matching(codes: ArrayLike, prior: ArrayLike, *, seed: int = 0) -> Matching:
    """Draws of q(z) (n, d) beside as many of the prior; n of 20 or more."""
    x, y = (np.asarray(a, dtype=np.float64) for a in (codes, prior))
    if x.shape != y.shape or x.ndim != 2 or len(x) < 20:
        raise ValueError(f"codes {x.shape} and prior {y.shape}: give two arrays (n, d) of one shape, n of 20 or more")
    return Matching(len(x), mmd(x, y, seed=seed), axes(x, y), two_sample_auc(x, y, seed=seed))


def mmd(x: ArrayLike, y: ArrayLike, *, exchanges: int = EXCHANGES, seed: int = 0) -> MMD:
    """MMD^2 of two sets (n, d) of one size; the interval by linearisation, the p value by exchanges."""
    both = np.concatenate([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
    n = len(both) // 2
    kernel = squared_distances(both)
    middle = float(np.median(kernel[np.triu_indices(2 * n, 1)]))
    kernel = middle / (middle + kernel) if middle > 0 else (kernel == 0).astype(np.float64)
    np.fill_diagonal(kernel, 0.0)
    sides = np.ones((2 * n, 1 + exchanges))
    rng = np.random.default_rng(seed)
    sides[n:, 0] = -1
    sides[:, 1:] = rng.permuted(np.repeat(sides[:, :1], exchanges, 1), axis=0)
    # s K s = within - across and sum K = within + across, for s of +1 in one set and -1 in the other
    total, signed = kernel.sum(), np.einsum("ij,ij->j", sides, kernel @ sides)
    values = (total + signed) / (2 * n * (n - 1)) - (total - signed) / (2 * n * n)
    own = np.concatenate([kernel[:n, :n].sum(1), kernel[n:, n:].sum(1)]) / (n - 1)
    other = np.concatenate([kernel[:n, n:].sum(1), kernel[n:, :n].sum(1)]) / n
    pull = own - other
    reach = Z * 2 * math.hypot(pull[:n].std(ddof=1), pull[n:].std(ddof=1)) / math.sqrt(n)
    value = float(values[0])
    p = (1 + int((values[1:] >= value - 1e-12 * abs(value)).sum())) / (1 + exchanges)
    return MMD(Interval(value, value - reach, value + reach, "linearised over draws"), p)


def axes(x: ArrayLike, y: ArrayLike) -> list[Axis]:
    """Of each column of x its mean, its standard deviation and its gap from the same column of y."""
    from scipy.special import kolmogorov

    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    size = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    gaps = np.array([_gap(a[:, j], b[:, j]) for j in range(a.shape[1])])
    p = np.asarray(kolmogorov((size + 0.12 + 0.11 / size) * gaps), dtype=np.float64)
    order, worst = np.argsort(p, kind="stable"), 0.0
    for rank, j in enumerate(order):  # Holm: no p below one that is smaller
        worst = max(worst, min(1.0, (len(p) - rank) * float(p[j])))
        p[j] = worst
    return [
        Axis(float(a[:, j].mean()), float(a[:, j].std(ddof=1)), float(gaps[j]), float(p[j])) for j in range(len(gaps))
    ]


def two_sample_auc(x: ArrayLike, y: ArrayLike, *, seed: int = 0) -> Interval:
    """Mean area under the ROC curve over five folds.

    Each fold's error is that of DeLong et al. 1988; their mean's is widened as folds are fitted on rows they share
    (Nadeau & Bengio 2003, section 3).
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    rng = np.random.default_rng(seed)
    features = _features(np.concatenate([a, b]), rng)
    target = np.repeat([1.0, -1.0], len(a))
    fold = np.concatenate([rng.permutation(len(a)) % FOLDS for _ in range(2)])
    found = []
    for k in range(FOLDS):
        fitted, judged = fold != k, fold == k
        square = features[fitted].T @ features[fitted]
        square.flat[:: len(square) + 1] += RIDGE * fitted.sum()
        weights = np.linalg.solve(square, features[fitted].T @ target[fitted])
        score = features[judged] @ weights
        found.append(_auc(score[target[judged] > 0], score[target[judged] < 0]))
    value = float(np.mean([v for v, _ in found]))
    shared = math.sqrt(1 + FOLDS / (FOLDS - 1))
    reach = Z * shared * math.sqrt(sum(error**2 for _, error in found)) / FOLDS
    return Interval(value, value - reach, value + reach, f"{FOLDS} folds").within(0.0, 1.0)


def noise_shares(mean: ArrayLike, sd: ArrayLike) -> Array:
    """(d,): of each axis E[sd^2] / (E[sd^2] + Var[mean]), the share of Var z that x does not decide; 0 / 0 is 0."""
    within = np.mean(np.asarray(sd, dtype=np.float64) ** 2, axis=0)
    total = within + np.var(np.asarray(mean, dtype=np.float64), axis=0)
    share: Array = np.divide(within, total, out=np.zeros_like(within), where=total > 0)
    return share


def _gap(a: Array, b: Array) -> float:
    at = np.concatenate([a, b])
    below_a, below_b = (np.searchsorted(np.sort(side), at, side="right") / len(side) for side in (a, b))
    return float(np.abs(below_a - below_b).max())


def _features(z: Array, rng: np.random.Generator) -> Array:
    """(2n, ...): what the classifier sees, standardised; random ones are drawn from the kernel of each width."""
    spread = z.std(0)
    z = (z - z.mean(0)) / np.where(spread > 0, spread, 1.0)
    i, j = np.triu_indices(z.shape[1])
    pairs = z[:, i[:MOST_PRODUCTS]] * z[:, j[:MOST_PRODUCTS]]
    some = z[rng.permutation(len(z))[:400]]
    middle = math.sqrt(float(np.median(squared_distances(some)[np.triu_indices(len(some), 1)]))) or 1.0
    scale = np.repeat(WIDTHS, -(-FEATURES // len(WIDTHS)))[:FEATURES] * middle
    waves = np.cos(z @ (rng.standard_normal((z.shape[1], FEATURES)) / scale) + rng.uniform(0, 2 * np.pi, FEATURES))
    both = np.concatenate([z, pairs, waves], 1)
    both = both - both.mean(0)
    width = both.std(0)
    out: Array = both / np.where(width > 0, width, 1.0)
    return out


def _auc(high: Array, low: Array) -> tuple[float, float]:
    """(area, standard error): how often a score of `high` is above one of `low`, ties by half."""

    def placed(of: Array, among: Array) -> Array:
        ordered = np.sort(among)
        out: Array = (np.searchsorted(ordered, of, "left") + np.searchsorted(ordered, of, "right")) / (2 * len(among))
        return out

    first, second = placed(high, low), 1 - placed(low, high)
    return float(first.mean()), math.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))


def _ends(found: Interval) -> dict[str, float | None]:
    return {"value": finite(found.value), "low": finite(found.low), "high": finite(found.high)}
