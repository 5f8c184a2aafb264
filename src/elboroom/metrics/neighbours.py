"""Whether made examples lie where real ones lie, and real ones where made ones do: measures from nearest neighbours.

    precision    share of made examples inside the ball of some real one: are samples good?     (Kynkäänniemi et al.
    recall       share of real examples inside the ball of some made one: is all made?           2019, 1904.06991)
    density      real balls a made example is inside of, over k: 1 on average for a perfect model     (Naeem et al.
    coverage     share of real examples with a made one inside their ball                         2020, 2002.09797)

The ball of an example reaches to its k-th nearest other one of its own set, edge included. A model that makes one good
example again and again has precision 1 and recall near 0. Precision and recall of a perfect model are well below 1 and
depend on n, d and k: read them beside those of real against real.

Memorised samples and doubles are told by distances, too, each beside what honest samples would give.

Features are (n, d) real, (m, d) made: tensors of any float type on any device; distances are exact, in float64 and in
blocks, so memory grows with n, not with its square.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .images import jackknife_error, rows_of
from .interval import Interval, Z, mean_interval, share_interval

__all__ = [
    "Memorised",
    "Neighbourhood",
    "density_coverage",
    "doubles",
    "expected_coverage",
    "memorised",
    "neighbourhood",
    "precision_recall",
    "spread",
]

K = 5
FALSE_RATE = 0.01
"""Share of honest samples that are taken for memorised, or for doubles, where there are enough examples to tell."""
PARTS = 20
"""Disjoint parts of both sets that show how much the measures vary."""
ROUNDING = 1e-13
"""Of a squared length: squared distances below so much are rounding, and are 0."""
CHANCES = 20_000
"""Draws of what chance alone gives."""
BLOCK = 2**22
"""Numbers of one block of distances: 32 MB."""


@dataclass(frozen=True)
class Neighbourhood:
    """Four measures with 95 % intervals."""

    precision: Interval
    recall: Interval
    density: Interval
    coverage: Interval


@dataclass(frozen=True, eq=False)
class Memorised:
    """Which of m samples are copies of training rows."""

    share: Interval
    """Share of samples flagged; 1 for copies."""
    honest: Interval
    """What samples that copy nothing give: the false rate, and between which shares chance leaves them."""
    nearest_train: Tensor
    """(m, k) int64: training rows nearest to each sample, the nearest first."""
    ratios: Tensor
    """(m,) float64: distance to the nearest training row over that to the nearest held-out row; 0 for a copy."""
    threshold: float
    """Ratio at or below which a sample is flagged."""


def neighbourhood(real: Tensor, made: Tensor, k: int = K) -> Neighbourhood:
    """Precision, recall, density and coverage of `made` in one pass over all distances.

    Intervals are Wilson's, that of a mean for density, times the root of a design effect (Kish 1965), for examples that
    share balls are not independent: as they stand the intervals are too narrow by up to 1.8. The effect is what 20
    disjoint parts of both sets differ by, over what independent examples would; it is 1 where 10 parts of 4 k examples
    cannot be had. Coverage in simulation over draws of both sets (Gaussians of 2 to 64 features, n = 400): .90 to 1 in
    22 of 24 cases, .83 at worst (coverage in 64 dimensions). Compare sets of equal size: recall and coverage
    rise as more is made.
    """
    x, y = _pair(real, made, k + 1)
    effects, how = _design_effects(x, y, k)
    found = {}
    for (name, values), effect in zip(_counted(x, y, k).items(), effects, strict=True):
        plain = mean_interval(values) if name == "density" else share_interval(values)
        found[name] = _wider(plain, math.sqrt(effect), how).within(0, math.inf if name == "density" else 1)
    return Neighbourhood(**found)


# The four come from one pass: whoever asks for two of them gets all.
precision_recall = density_coverage = neighbourhood


def expected_coverage(n: int, m: int, k: int = K) -> float:
    """Coverage of n real examples by m made ones from the same distribution: 1 - prod_{i<k} (n-1-i) / (n-1+m-i).

    Of a real example's n - 1 + m fellows every order by distance is equally likely. It is left uncovered where the k
    nearest are all real. About 1 - 2^-k for n = m.
    """
    return 1 - math.prod((n - 1 - i) / (n - 1 + m - i) for i in range(min(k, n)))


def memorised(train: Tensor, held_out: Tensor, made: Tensor, k: int = 1) -> Memorised:
    """Samples that are nearer to training rows than honest ones would be; `k` nearest training rows are named.

    A sample is judged by the distance to its nearest training row over that to its nearest held-out row: 0 for a copy.
    The distance alone would not do, for blurred samples are near to everything. The threshold is the ratio that 1 % of
    held-out rows fall to, each among the others of its kind; so that samples meet as many, each leaves out one held-out
    row. Honest samples, drawn like the data, are then flagged at the rate `honest.value`: 1 %, or 1 / (h + 1) with
    h < 100 held-out rows. Where both distances are 0, the row being in both sets, the ratio is 1.
    """
    train, held = rows_of(train, held_out, 2, ("training", "held-out"))
    train, samples = rows_of(train, made, 1, ("training", "made"))
    origin = train.mean(0)
    train, held, samples = train - origin, held - origin, samples - origin
    h, n = len(held), len(samples)
    own = torch.arange(h, device=held.device)
    known = _ratios(_nearest(held, train, 1)[0], _nearest(held, held, 1, own)[0])
    near, which = _nearest(samples, train, min(k, len(train)))
    ratios = _ratios(near, _nearest(samples, held, 1, torch.arange(n, device=held.device) % h)[0])
    rank = max(1, int(FALSE_RATE * (h + 1)))
    threshold = float(known.kthvalue(rank).values)
    honest = _by_chance(rank, h, n)
    how = (
        f"ratio of the distances to the nearest training and held-out row up to {threshold:.3g}; honest samples give "
        f"{honest.value:.3f} ({honest.low:.3f} to {honest.high:.3f})"
    )
    share = replace(share_interval((ratios <= threshold).cpu().numpy()), how=how)
    return Memorised(share, honest, which, ratios, threshold)


def doubles(real: Tensor, made: Tensor, seed: int = 0) -> Interval:
    """Share of made examples as near to another made one as 1 % of real ones are to another real one.

    About .01 for a perfect model, 1 where all is one example (cf. the birthday test of Arora & Zhang 2017, 1706.08224).
    Distances to neighbours shrink as sets grow, so as many are drawn from the larger set as the smaller has. The
    nearest come in pairs, so pairs are counted: the threshold is that of the j nearest real pairs, j = n / 200, and the
    interval is Wilson's for half as many examples. Of a perfect model the next pair is as likely a made one as a real
    one: a negative binomial number of its pairs lies below the threshold, j on average (`how` gives the range).
    """
    x, y = _pair(real, made, 2)
    n = min(len(x), len(y))
    rng = np.random.default_rng(seed)
    x, y = (z if len(z) == n else z[torch.from_numpy(rng.permutation(len(z))[:n]).to(z.device)] for z in (x, y))
    own = torch.arange(n, device=x.device)
    near_real, near_made = (_nearest(z, z, 1, own)[0][:, 0] for z in (x, y))
    pairs = max(1, round(FALSE_RATE * n / 2))
    hits = (near_made <= near_real.kthvalue(2 * pairs).values).double().cpu().numpy()
    half, value = share_interval(np.sort(hits)[::2]), float(hits.mean())
    low, high = np.quantile(2 * rng.negative_binomial(pairs, 0.5, CHANCES) / n, [0.025, 0.975])
    how = f"{n:,} of each; a perfect model gives {2 * pairs / n:.3f} ({low:.3f} to {high:.3f})"
    return Interval(value, min(half.low, value), max(half.high, value), how)


def spread(real: Tensor, made: Tensor) -> Interval:
    """Mean distance between two made examples over that between two real ones: 1 = as varied as the data, 0 = all one.

    The jackknife gives the error of each mean, the delta method that of their ratio.
    """
    (top, top_error), (bottom, bottom_error) = (_mean_distance(z) for z in reversed(_pair(real, made, 3)))
    if bottom == 0:
        return Interval(math.nan, math.nan, math.nan, "all real examples are equal")
    value = top / bottom
    reach = Z * math.hypot(top_error, value * bottom_error) / bottom
    return Interval(value, value - reach, value + reach, "jackknife over examples").within(low=0)


def _counted(x: Tensor, y: Tensor, k: int) -> dict[str, NDArray[np.float64]]:
    """What each example adds to its measure: (n,) or (m,), whose means the measures are."""
    real_ball, made_ball = (_ball(z, k) for z in (x, y))
    inside = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    covered, recalled = [], []
    for here, squared in _blocks(x, y):
        hits = squared <= real_ball[here, None]
        inside += hits.sum(0)
        covered.append(hits.any(1))
        recalled.append((squared <= made_ball).any(1))
    found = {
        "precision": inside > 0,
        "recall": torch.cat(recalled),
        "density": inside.double() / k,
        "coverage": torch.cat(covered),
    }
    return {name: values.double().cpu().numpy() for name, values in found.items()}


def _design_effects(x: Tensor, y: Tensor, k: int) -> tuple[NDArray[np.float64], str]:
    """(4,): variance of each measure over disjoint parts of both sets, over that of as many independent examples.

    At least 1; with what there is to say of the interval.
    """
    parts = min(PARTS, len(x) // (4 * k), len(y) // (4 * k))
    if parts < PARTS // 2:
        return np.ones(4), "too few examples for the error of the balls"
    rng = np.random.default_rng(0)
    x, y = (z[torch.from_numpy(rng.permutation(len(z))).to(z.device)] for z in (x, y))
    counted = [list(_counted(x[g::parts], y[g::parts], k).values()) for g in range(parts)]
    seen = np.var([[values.mean() for values in part] for part in counted], axis=0, ddof=1)
    independent = np.mean([[values.var(ddof=1) / len(values) for values in part] for part in counted], axis=0)
    return np.maximum(1.0, np.divide(seen, independent, out=np.ones(4), where=independent > 0)), ""


def _wider(found: Interval, factor: float, how: str) -> Interval:
    low, high = (found.value + factor * (end - found.value) for end in (found.low, found.high))
    return Interval(found.value, low, high, "; ".join(filter(None, (found.how, how))))


def _pair(real: Tensor, made: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Both sets in float64 about the real mean: distances stay, their rounding shrinks."""
    x, y = rows_of(real, made, least)
    origin = x.mean(0)
    return x - origin, y - origin


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances (rows of the block, m) from some rows of x (n, d) after the others to all of y (m, d).

    By |x|^2 + |y|^2 - 2 x y; its rounding, about 1e-15 |x|^2, is taken off so that equal rows have distance 0.
    """
    long_x, long_y = x.square().sum(1, keepdim=True), y.square().sum(1)
    step = max(1, BLOCK // len(y))
    for start in range(0, len(x), step):
        here = slice(start, min(start + step, len(x)))
        squared = torch.addmm(long_y[None], x[here], y.T, alpha=-2)
        yield here, squared.add_(long_x[here] * (1 - ROUNDING)).clamp_min_(0)


def _nearest(x: Tensor, y: Tensor, k: int, barred: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(n, k) squared distances from rows of x to their k nearest of y, nearest first, and which these are.

    barred (n,): one row of y that each row of x may not take; itself, where x and y are one set.
    """
    found = []
    for here, squared in _blocks(x, y):
        if barred is not None:
            squared.scatter_(1, barred[here, None], math.inf)
        found.append(torch.topk(squared, k, largest=False))
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def _ball(x: Tensor, k: int) -> Tensor:
    """(n,): squared radius to the k-th nearest other row, with room for rounding so that its edge is inside."""
    own = torch.arange(len(x), device=x.device)
    return _nearest(x, x, k, own)[0][:, -1] + 10 * ROUNDING * x.square().sum(1)


def _ratios(near: Tensor, other: Tensor) -> Tensor:
    """(n,): ratio of the first distances, from squared ones (n, k)."""
    a, b = near[:, 0].sqrt(), other[:, 0].sqrt()
    return torch.where((a == 0) & (b == 0), 1.0, a / b)


def _by_chance(rank: int, h: int, n: int) -> Interval:
    """Share of n honest samples at or below the `rank`-th of h like them: a binomial whose rate is a Beta variable."""
    rng = np.random.default_rng(0)
    shares = rng.binomial(n, rng.beta(rank, h + 1 - rank, CHANCES)) / n
    low, high = np.quantile(shares, [0.025, 0.975])
    return Interval(rank / (h + 1), float(low), float(high), "chance alone")


def _mean_distance(x: Tensor) -> tuple[float, float]:
    """Mean distance over all pairs of rows, and its standard error."""
    n = len(x)
    sums = torch.cat([squared.sqrt_().sum(1) for _, squared in _blocks(x, x)])
    without = (sums.sum() - 2 * sums) / ((n - 1) * (n - 2))
    return float(sums.sum()) / (n * (n - 1)), jackknife_error(without)
