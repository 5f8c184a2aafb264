"""How many of the kinds of things in the data a model makes, and in which shares: known modes, classes, or found bins.

Known modes, as PacGAN counts them (Lin, Khetan, Fanti & Oh 2018, arXiv 1712.04086): a sample is of high quality where
it lies within three standard deviations of the nearest centre, a mode is found where one such sample is nearest to it.
The divergence is KL(made || real), called the reverse one there, in nats. Without labels: the number of statistically
different bins (Richardson & Weiss 2018, On GANs and GMMs, arXiv 1805.12462).

n samples in d columns, K modes, classes or bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

from .interval import Interval, Z, share_interval

__all__ = [
    "REACH",
    "REGISTERED",
    "BinTest",
    "ClassModes",
    "MixtureModes",
    "class_shares",
    "divergence",
    "lloyd",
    "mixture_modes",
    "ndb",
]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

REACH = 3.0
"""Standard deviations from the nearest centre within which a sample is of high quality."""
REGISTERED = 20
"""High-quality samples with which a mode is held, the stricter count."""
BLOCK = 2**21
"""Numbers of one block of distances."""
ROUNDS = 20
"""Of Lloyd's iteration at most: any bins make a fair test, so they need not be the very best."""
FEW = 5
"""Samples for each category seen, below which the divergence by chance is not known well enough to be taken off."""
SIGNIFICANCE = 0.05
"""The share of bins that differ by chance alone; |z| above Z is that two-sided level."""


@dataclass(frozen=True, eq=False)
class MixtureModes:
    """What samples cover of a mixture whose centres are known."""

    found: int
    """Modes with one high-quality sample or more."""
    held: int
    """Modes with `REGISTERED` high-quality samples or more: one by chance is no mode."""
    known: int
    high_quality_share: Interval
    """1 - exp(-4.5) = .989 for the true mixture in two dimensions, which is not 1."""
    kl: Interval
    """KL(high-quality samples by mode || equal shares), nats; NaN where no sample is of high quality."""
    counts: Whole
    """(K,) high-quality samples of each mode."""
    nearest: Whole
    """(n,) the nearest centre; -1 for a sample that is not finite."""
    high_quality: NDArray[np.bool_]
    """(n,)."""


@dataclass(frozen=True, eq=False)
class ClassModes:
    """What samples, named by a classifier, cover of the classes that the data have."""

    found: int
    """Classes of the data that were made once or more."""
    known: int
    """Classes that the data have."""
    kl: Interval
    """KL(made || real), nats; infinite where a class is made that the data lack."""
    counts: Whole
    """(K,) samples of each class."""
    shares: Array
    """(K,) made."""
    absent: list[int]
    """Classes of the data that were never made."""


@dataclass(frozen=True, eq=False)
class BinTest:
    """Training rows and samples counted in the same bins."""

    different: int
    """Bins whose shares differ at the 5 % level; a perfect model has about `expected` of them."""
    bins: int
    expected: float
    jsd: float
    """Jensen-Shannon divergence of the two shares, nats: 0 equal, log 2 apart."""
    z: Array
    """(bins,) of the two-proportion test; below 0 where too few were made."""
    real: Array
    """(bins,) shares of the training rows."""
    made: Array
    """(bins,) shares of the samples."""


def mixture_modes(samples: ArrayLike, centres: ArrayLike, sd: float) -> MixtureModes:
    """Samples (n, d) against centres (K, d) with the same standard deviation `sd` in every direction, all raw units."""
    x, c = _rows(samples, finite=False), _rows(centres)
    nearest, squared = _nearest(x, c)
    good = squared < (REACH * sd) ** 2
    counts = np.bincount(nearest[good], minlength=len(c))
    return MixtureModes(
        found=int((counts > 0).sum()),
        held=int((counts >= REGISTERED).sum()),
        known=len(c),
        high_quality_share=share_interval(good),
        kl=divergence(counts, np.full(len(c), 1 / len(c))),
        counts=counts,
        nearest=np.where(np.isfinite(squared), nearest, -1),
        high_quality=good,
    )


def class_shares(predicted: ArrayLike, classes: int, real: ArrayLike) -> ClassModes:
    """Classes `predicted` (n,) of samples, each 0 .. K-1, against the shares `real` (K,) of the data."""
    r = np.asarray(real, np.float64)
    r = r / r.sum()
    counts = np.bincount(np.asarray(predicted, np.int64), minlength=classes)
    if len(counts) != classes or r.shape != (classes,):
        raise InputError(
            f"{classes} classes, the largest predicted is {len(counts) - 1}, {len(r)} shares; give all of K"
        )
    there = r > 0
    return ClassModes(
        found=int((there & (counts > 0)).sum()),
        known=int(there.sum()),
        kl=divergence(counts, r),
        counts=counts,
        shares=counts / max(counts.sum(), 1),
        absent=np.flatnonzero(there & (counts == 0)).tolist(),
    )


def divergence(counts: ArrayLike, real: ArrayLike) -> Interval:
    """KL(counts as shares || real), nats, both (K,): the value of published tables, and where the true one lies.

    The value puts the counted shares into the formula, which on average adds (m - 1) / 2n for m seen of K and n counts
    (Miller 1955): .019 for 1,000 classes of 26,000 samples, of the size of the best published figures. The interval is
    about the value less that. Its variance is that of the first-order term, Var(log q / p) / n, and of the second,
    (m - 1) / 2n^2, which alone is left where made and real shares are equal. It is widened to hold the value, and down
    to 0 where there are fewer than 5 samples for each category seen, for chance then adds more than that.
    """
    k, p = np.asarray(counts, np.float64), np.asarray(real, np.float64)
    n, seen = k.sum(), k > 0
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, "nothing to measure")
    if (p[seen] == 0).any():
        return Interval(math.inf, math.nan, math.nan, "something is made that the data lack, no interval")
    q = k[seen] / n
    ratio = np.log(q / p[seen])
    value = max(0.0, float(q @ ratio))
    extra = float((seen.sum() - 1) / (2 * n))
    variance = (q @ (ratio - value) ** 2 + extra) / n
    reach = Z * math.sqrt(max(0.0, variance))
    told = f"{extra:.2g} of it is what {n:,.0f} samples add by chance"
    high = max(value, float(value - extra + reach))
    if n < FEW * seen.sum():
        return Interval(value, 0.0, high, f"at least {told}; they are too few for a lower end")
    return Interval(value, min(value, max(0.0, float(value - extra - reach))), high, told)


def ndb(train: ArrayLike, made: ArrayLike, bins: int = 100, seed: int = 0) -> BinTest:
    """Features `train` (n, d) and `made` (m, d), counted in the `bins` that k-means finds in `train`.

    The bins are cut by the training rows, which then stand for the data: rows held out differ from them in a little
    more than 5 % of the bins. Fewer bins are used where there are fewer different rows.
    """
    real, new = _rows(train), _rows(made)
    centres = lloyd(real, bins, seed)
    a, b = (np.bincount(_nearest(x, centres)[0], minlength=len(centres)) for x in (real, new))
    p, q = a / len(real), b / len(new)
    pooled = (a + b) / (len(real) + len(new))
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(real) + 1 / len(new)))
    z = np.divide(q - p, error, out=np.zeros(len(p)), where=error > 0)
    middle = (p + q) / 2
    jsd = (_relative(p, middle) + _relative(q, middle)) / 2
    return BinTest(
        different=int((np.abs(z) > Z).sum()),
        bins=len(centres),
        expected=SIGNIFICANCE * len(centres),
        jsd=jsd,
        z=z,
        real=p,
        made=q,
    )


def lloyd(x: ArrayLike, clusters: int, seed: int = 0) -> Array:
    """(clusters, d) centres of k-means (Lloyd 1982) from seeds far apart (k-means++, Arthur & Vassilvitskii 2007).

    Fewer where x (n, d) has fewer different rows. A cluster that loses all its rows starts again at the row that is
    furthest from its centre.
    """
    rows = _rows(x)
    centres = _seeds(rows, clusters, np.random.default_rng(seed))
    member = np.full(len(rows), -1)
    for _ in range(ROUNDS):
        found, far = _nearest(rows, centres)
        if (found == member).all():
            break
        member = found
        size = np.bincount(member, minlength=len(centres))
        total = np.stack([np.bincount(member, column, len(centres)) for column in rows.T], axis=1)
        centres = np.where(size[:, None] > 0, total / np.maximum(size, 1)[:, None], centres)
        lost = np.flatnonzero(size == 0)
        centres[lost] = rows[np.argsort(-far, kind="stable")[: len(lost)]]
    return centres


def _seeds(x: Array, clusters: int, rng: np.random.Generator) -> Array:
    """Rows of x, each drawn with a chance in proportion to its squared distance from those before."""
    chosen = [int(rng.integers(len(x)))]
    far = ((x - x[chosen[0]]) ** 2).sum(1)
    while len(chosen) < clusters and far.max() > 0:
        up_to = np.cumsum(far)
        # the first row whose sum is above: one of distance 0 never is, so that no row is chosen twice
        chosen.append(int(np.searchsorted(up_to, rng.random() * up_to[-1], "right")))
        far = np.minimum(far, ((x - x[chosen[-1]]) ** 2).sum(1))
    return x[chosen]


def _nearest(x: Array, centres: Array) -> tuple[Whole, Array]:
    """(n,) the centre nearest to each row, and (n,) the squared distance to it."""
    middle = centres.mean(0)
    moved = centres - middle
    length = (moved**2).sum(1)
    nearest, squared = np.zeros(len(x), np.int64), np.zeros(len(x))
    size = max(1, BLOCK // max(centres.shape))
    with np.errstate(invalid="ignore", over="ignore"):
        for at in range(0, len(x), size):
            part = x[at : at + size]
            found = (length - 2 * (part - middle) @ moved.T).argmin(1)
            nearest[at : at + size] = found
            # the distance itself by subtraction: the expanded square above loses digits where centres are far apart
            squared[at : at + size] = ((part - centres[found]) ** 2).sum(1)
    return nearest, squared


def _relative(p: Array, q: Array) -> float:
    """Sum of p log(p / q), nats, with 0 log 0 = 0."""
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


def _rows(x: ArrayLike, *, finite: bool = True) -> Array:
    out = np.asarray(x, np.float64)
    if out.ndim != 2 or not len(out):
        raise InputError(f"numbers of shape {out.shape} are no rows in columns; give (n, d), one row or more")
    if finite and not np.isfinite(out).all():
        row = int(np.flatnonzero(~np.isfinite(out).all(1))[0])
        raise InputError(f"row {row} is not finite; leave such rows out")
    return out
