"""How far each number of a code stands for one known factor: information gap, DCI and separated predictability.

    mig     Chen et al. 2018 (arXiv 1802.04942), section 4: between the two codes that know most of a factor, the gap
            of their mutual information with it, over the factor's entropy. Here by histograms of 20 bins of equal
            width, the protocol of Locatello et al. 2019 (1811.12359)
    dci     Eastwood & Williams 2018 (ICLR): a regression of each factor on all codes, and how its importances are
            spread. Disentanglement: each code serves one factor; completeness: each factor is served by one code;
            informativeness: share of unseen rows whose factor is named. Trees are bagged, which takes a fraction of
            the time, or boosted, which is what Locatello et al. ran: two scores of different height
    sap     Kumar et al. 2018 (1711.00848): as the first, with the accuracy of a linear support vector machine on one
            code. It depends on the scale of the codes and on the number of rows, for its C is fixed

Codes (n, d) are computed once; everything below is indexing. The scores of `factor_votes` belong to the same family.
No score of these says that a model found the factors by itself: without labels that is not possible in general
(Locatello et al. 2019, theorem 1). A random code scores above 0 in some, so compare with one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .interval import Interval, mean_interval
from .threshold_svm import accuracies

__all__ = ["BINS", "DCI", "Gap", "Trees", "checked", "dci", "fitted_rows", "information", "mig", "sap"]

Array = NDArray[Any]
Floats = NDArray[np.float64]
Trees = Literal["bagged", "boosted"]

BINS = 20
TRAIN, TEST = 10_000, 5_000  # rows of the published protocol; where there are fewer, two thirds and a third
FOREST = 10


@dataclass(frozen=True)
class Gap:
    """A score that is a gap between the best and the second-best code of each factor."""

    score: Interval
    by_pair: Floats
    """(d, f): what each code alone has of each factor: information in nats, or accuracy."""


@dataclass(frozen=True)
class DCI:
    """Three scores from one set of importances."""

    disentanglement: Interval
    completeness: Interval
    informativeness: Interval
    importance: Floats
    """(d, f): each column sums to 1; mean over the repeats."""


def checked(codes: ArrayLike, factors: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """Codes (n, d) as float64; factors (n, f) with their values renumbered from 0, without those of one value only."""
    z, v = np.asarray(codes, dtype=np.float64), np.asarray(factors)
    if z.ndim != 2 or v.ndim != 2 or len(z) != len(v):
        raise ValueError(f"codes of shape {z.shape}, factors of shape {v.shape}: give (n, d) and (n, f)")
    columns = [np.unique(v[:, j], return_inverse=True) for j in range(v.shape[1])]
    kept = [inverse for values, inverse in columns if len(values) > 1]
    if not kept or not z.shape[1]:
        raise ValueError(
            f"{v.shape[1]} factors, {z.shape[1]} codes: at least a factor of two values and a code are needed"
        )
    return z, np.stack(kept, 1).astype(np.int64)


# -- information -------------------------------------------------------------------------------------------------------


def information(codes: ArrayLike, factors: ArrayLike, *, bins: int = BINS) -> tuple[Floats, Floats]:
    """(d, f) plug-in mutual information of each binned code with each factor, and the (f,) entropies, in nats.

    Bins are of equal width from the smallest to the largest value; a code of one value knows nothing.
    """
    z, v = checked(codes, factors)
    return _information(_places(z, bins), v, bins, None)


def _places(z: Floats, bins: int) -> NDArray[np.int64]:
    """The bin of each value, 0 to bins - 1, by numpy's histogram edges."""
    low, high = z.min(0), z.max(0)
    place = np.zeros(z.shape, dtype=np.int64)
    for i in np.flatnonzero(high > low):
        edges = np.linspace(low[i], high[i], bins + 1)
        place[:, i] = np.searchsorted(edges[1:-1], z[:, i], side="right")
    return place


def _information(place: Array, v: NDArray[np.int64], bins: int, weight: Floats | None) -> tuple[Floats, Floats]:
    """The same of bins already found; `weight` counts a row more than once."""
    sizes = v.max(0) + 1
    known, entropy = np.zeros((place.shape[1], v.shape[1])), np.zeros(v.shape[1])
    for j, size in enumerate(sizes):
        for i in range(place.shape[1]):
            joint = np.bincount(place[:, i] * size + v[:, j], weight, bins * size).reshape(bins, size)
            p = joint / joint.sum()
            known[i, j] = _entropy(p.sum(0)) + _entropy(p.sum(1)) - _entropy(p.ravel())
        entropy[j] = _entropy(p.sum(0))
    return known, entropy


def _entropy(p: Floats) -> float:
    """Of shares that sum to 1, in nats."""
    some = p[p > 0]
    return float(-(some * np.log(some)).sum())


def mig(codes: ArrayLike, factors: ArrayLike, *, bins: int = BINS, draws: int = 50, seed: int = 0) -> Gap:
    """Mutual information gap. Interval: bootstrap over rows (no interval with draws 0).

    Its reach is 1.96 standard deviations of the resamples; their percentiles would lie too high, because counting a
    row twice adds information.
    """
    z, v = checked(codes, factors)
    place = _places(z, bins)

    def gap(weight: Floats | None) -> tuple[float, Floats]:
        known, entropy = _information(place, v, bins, weight)
        # a resample may lose all values of a rare factor but one: it then says nothing about that factor
        return float(np.mean(_gaps(known) / np.maximum(entropy, 1e-12))), known

    rng = np.random.default_rng(seed)
    n = len(z)
    value, known = gap(None)
    drawn = [gap(np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64))[0] for _ in range(draws)]
    return Gap(_by_resamples(value, drawn), known)


def _gaps(by_pair: Floats, alone: Floats | float = 0.0) -> Floats:
    """(f,): largest less second-largest of each column; where there is one code, less what is had `alone`."""
    ranked = np.sort(by_pair, axis=0)
    second = ranked[-2] if len(ranked) > 1 else alone
    gaps: Floats = ranked[-1] - second
    return gaps


def _by_resamples(value: float, drawn: list[float]) -> Interval:
    if len(drawn) < 2:
        return Interval(value, math.nan, math.nan)
    reach = 1.96 * float(np.std(drawn, ddof=1))
    return Interval(value, value - reach, value + reach, "bootstrap over rows").within(0.0, 1.0)


# -- rows to fit on and rows to judge by -------------------------------------------------------------------------------


def fitted_rows(n: int, train: int = TRAIN, test: int = TEST) -> int:
    """Of n rows so many are fitted on; `test` others, or the rest, judge."""
    return train if n >= train + test else min(train, 2 * n // 3)


def _parts(n: int, train: int, test: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Row numbers of two parts that share none."""
    if n < 3:
        raise ValueError(f"{n} rows: three are needed, two to fit on and one to judge by")
    order, fit = rng.permutation(n), fitted_rows(n, train, test)
    return order[:fit], order[fit : fit + test]


# -- importances -------------------------------------------------------------------------------------------------------


def dci(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    trees: Trees = "bagged",
    train: int = TRAIN,
    test: int = TEST,
    repeats: int = 3,
    seed: int = 0,
) -> DCI:
    """Disentanglement, completeness, informativeness. Interval: Student's t over `repeats` of split and trees.

    That interval does not know of the luck of the rows. With one code completeness is 1, with one factor
    disentanglement is 1: there is nothing to be spread over.
    """
    z, v = checked(codes, factors)
    runs = list(_fitted(z, v, trees, train, test, repeats, seed))
    rows = np.array([[_one_use(r), _one_use(r.T), right] for r, right in runs])
    one, all_in_one, right = (mean_interval(column).within(0.0, 1.0) for column in rows.T)
    return DCI(one, all_in_one, right, np.mean([r for r, _ in runs], axis=0))


def _fitted(
    z: Floats, v: NDArray[np.int64], trees: Trees, train: int, test: int, repeats: int, seed: int
) -> Iterator[tuple[Floats, float]]:
    """Importances (d, f) and the mean accuracy over factors, once a repeat."""
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        fit, judge = _parts(len(z), train, test, rng)
        state = int(rng.integers(2**31))
        importance, right = np.zeros((z.shape[1], v.shape[1])), []
        for j in range(v.shape[1]):
            if trees == "boosted":
                model = GradientBoostingClassifier(random_state=state)
            else:
                # every split may use every code: a code that knows nothing is then not used for want of a better
                leaf = max(3, len(fit) // 500)
                model = RandomForestClassifier(
                    FOREST, max_features=None, min_samples_leaf=leaf, max_samples=0.5, random_state=state
                )
            model.fit(z[fit], v[fit, j])
            importance[:, j] = np.abs(model.feature_importances_)
            right.append(float(np.mean(model.predict(z[judge]) == v[judge, j])))
        yield importance, float(np.mean(right))


def _one_use(importance: Floats) -> float:
    """Rows of (a, b): 1 - entropy of each row's shares to the base b, rows weighed by their sums."""
    total = importance.sum(1)
    if total.sum() == 0 or importance.shape[1] == 1:
        return 1.0 if total.sum() else 0.0
    used = total > 0
    shares = importance[used] / total[used, None]
    spread = np.array([_entropy(row) for row in shares]) / math.log(importance.shape[1])
    return float(((1 - spread) * total[used]).sum() / total.sum())


# -- predictability ----------------------------------------------------------------------------------------------------


def sap(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    c: float = 0.01,
    train: int = TRAIN,
    test: int = TEST,
    draws: int = 20,
    seed: int = 0,
) -> Gap:
    """Separated attribute predictability. Interval: bootstrap over rows, within each part (none with draws 0)."""
    z, v = checked(codes, factors)
    rng = np.random.default_rng(seed)
    fit, judge = _parts(len(z), train, test, rng)
    largest = np.array([np.bincount(column).max() / len(column) for column in v[judge].T])

    def gap(fit: Array, judge: Array) -> tuple[float, Floats]:
        found = accuracies(z[fit], v[fit], z[judge], v[judge], c=c)
        return float(np.mean(_gaps(found, largest))), found

    value, found = gap(fit, judge)
    drawn = [gap(rng.choice(fit, len(fit)), rng.choice(judge, len(judge)))[0] for _ in range(draws)]
    return Gap(_by_resamples(value, drawn), found)
