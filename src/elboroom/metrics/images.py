"""How far made examples are from real ones as two clouds of features: the Fréchet and the kernel distance.

Fréchet distance (Heusel et al. 2017, 1706.08500): the squared 2-Wasserstein distance of two Gaussians with the sets'
means and covariances,

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^(1/2) S2 S1^(1/2))^(1/2)        (Dowson & Landau 1982)

The matrix under the last root is symmetric and has no negative eigenvalue, so nothing becomes complex. Computed from n
examples it reads too high, by about a constant over n that differs from model to model (Chong & Forsyth 2020,
1911.07023): `frechet_interval` takes that bias off, `frechet_over_n` shows it.

Kernel distance (Bińkowski et al. 2018, 1801.01401): the squared maximum mean discrepancy under (x . y / d + 1)^3,
without bias at every n; it may come out below 0.

Features are (n, d) tensors of any float type on any device; all sums are taken in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from elboroom.core.errors import InputError

from .interval import Interval, Z

__all__ = [
    "Curve",
    "frechet_distance",
    "frechet_interval",
    "frechet_of_moments",
    "frechet_over_n",
    "jackknife_error",
    "kernel_distance",
    "rows_of",
]

GROUPS = 20
STUDENT = 2.093024054408263  # the 97.5 % point of Student's t with GROUPS - 1 degrees of freedom
ENOUGH = 5
"""Examples a feature below which a covariance is poorly known."""
STRAIGHT = 2
"""Examples a feature from which on the distance is a straight line in 1/n."""
SIZES = 15
MOST = 20_000
"""Examples of a set that the kernel distance compares; more are drawn from at random."""
BLOCK = 2**22
"""Numbers of one block of a matrix of pairs: 32 MB."""


@dataclass(frozen=True)
class Moments:
    """Mean (d,) and unbiased covariance (d, d) of a set, float64."""

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class Curve:
    """A distance at several numbers of examples, and where the line through it over 1/n meets n = infinity."""

    points: list[tuple[int, float]]
    limit: float
    error: float
    """Standard error of the intercept of the line. How another draw of both sets would move it is not in there; for
    that see `frechet_interval`."""


def rows_of(
    real: Tensor, made: Tensor, least: int = 2, names: tuple[str, str] = ("real", "made")
) -> tuple[Tensor, Tensor]:
    """Both sets in float64 on the device of the first; refuses what cannot be compared (InputError)."""
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1] or not real.shape[1]:
        sizes = f"{tuple(real.shape)} and {tuple(made.shape)}"
        raise InputError(
            f"features of sizes {sizes} cannot be compared; give two (n, d) of equal d, from one extractor"
        )
    for name, x in zip(names, (real, made), strict=True):
        if len(x) < least:
            raise InputError(f"{len(x)} {name} examples are too few to compare; give at least {least}")
        if not bool(torch.isfinite(x).all()):
            raise InputError(f"features of the {name} examples are not all finite; look for NaN in what was extracted")
    return real.double(), made.double().to(real.device)


def frechet_of_moments(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> float:
    """The squared 2-Wasserstein distance of two Gaussians, of full rank or not: means (d,), covariances (d, d)."""
    values, axes = torch.linalg.eigh(covariance_1)
    root = (axes * values.clamp_min(0).sqrt()) @ axes.T
    shared = torch.linalg.eigvalsh(root @ covariance_2 @ root).clamp_min(0).sqrt().sum()
    squared = (mean_1 - mean_2).square().sum() + covariance_1.trace() + covariance_2.trace() - 2 * shared
    return max(0.0, float(squared))


def frechet_distance(real: Tensor, made: Tensor) -> float:
    """Of the sets as they are, (n, d) and (m, d): the number the literature prints; at small n it reads too high."""
    return _distance(*(_moments(x) for x in rows_of(real, made)))


def frechet_interval(real: Tensor, made: Tensor, seed: int = 0) -> Interval:
    """The distance between what the sets are drawn from, with its 95 % interval.

    The plain bootstrap will not do: its resamples read higher still, and its interval lies wholly above the truth. Both
    sets are cut into 20 blocks at random and each pair of blocks is left out once (the grouped two-sample jackknife;
    Efron & Tibshirani 1993, chapter 11), which takes off the bias of order 1/n and gives Student's t interval with 19
    degrees of freedom. Neither value nor end is below 0.

    Coverage in simulation (Gaussians of 2 to 64 features, equal and unequal, 2 d to 2,000 examples): .92 to 1. It is
    above .95 where the distance is 0, since the jackknife overrates the error there. With about d examples or fewer it
    fails: value and ends are too high. `how` says so, and where n is below 5 d.
    """
    x, y = rows_of(real, made)
    least, width = min(len(x), len(y)), x.shape[1]
    whole = _distance(_moments(x), _moments(y))
    if least < 2 * GROUPS:
        return Interval(whole, math.nan, math.nan, f"fewer than {2 * GROUPS} examples: bias not taken off, no interval")
    rng = np.random.default_rng(seed)
    pairs = zip(_left_out(x, rng), _left_out(y, rng), strict=True)
    pseudo = GROUPS * whole - (GROUPS - 1) * np.array([_distance(a, b) for a, b in pairs])
    value, reach = float(pseudo.mean()), STUDENT * float(pseudo.std(ddof=1)) / math.sqrt(GROUPS)
    how = f"jackknife over {GROUPS} blocks; {whole:.4g} before its bias at n = {least:,} was taken off"
    if least < ENOUGH * width:
        worse = ", value and ends are too high" if least - least // GROUPS <= width else ""
        how += f"; {least:,} examples are fewer than {ENOUGH} times {width:,} features{worse}"
    found = Interval(max(0.0, value), value - reach, value + reach, how).within(low=0)
    return replace(found, high=max(found.high, found.value))


def frechet_over_n(real: Tensor, made: Tensor, seed: int = 0) -> Curve:
    """The distance at 15 equal sizes of both sets, random subsets, and its limit (Chong & Forsyth 2020).

    Sizes go from a tenth of the smaller set to all of it. Below two examples a feature the points leave the line (with
    n = 5 d a line from n / 10 on keeps about a quarter of the bias), so they begin there, or at half the set if that
    is less.
    """
    x, y = rows_of(real, made, 4)
    least = min(len(x), len(y))
    first = max(2, least // 10, min(least // 2, STRAIGHT * x.shape[1]))
    sizes = sorted({round(n) for n in np.linspace(first, least, SIZES)})
    rng = np.random.default_rng(seed)
    points = []
    for n in sizes:
        some = [_moments(z[torch.from_numpy(rng.permutation(len(z))[:n]).to(z.device)]) for z in (x, y)]
        points.append((n, _distance(*some)))
    return _line(points)


def kernel_distance(real: Tensor, made: Tensor, seed: int = 0) -> Interval:
    """The squared maximum mean discrepancy under the cubic kernel over all pairs, with its 95 % interval.

    The interval is of this estimate, not the scatter of small subsets: the error is the jackknife's, each example of
    either set being left out once, which costs nothing since the sum over its pairs is known. For equal distributions
    that error is too large by a factor of about 1.4, so their interval holds 0 at least as often as it should. Coverage
    in simulation against the closed form for Gaussians: .93 to 1 with 500 examples; down to .86 with 100 of two
    features, whose sixth moments are hard to know. `seed` draws 20,000 examples from larger sets.
    """
    x, y = rows_of(real, made, 3)
    rng = np.random.default_rng(seed)
    x, y = (z if len(z) <= MOST else z[torch.from_numpy(rng.permutation(len(z))[:MOST]).to(z.device)] for z in (x, y))
    n, m = len(x), len(y)
    within_x, within_y = ((_kernel_sums(z, z)[0] - _kernel(1 + z.square().mean(1))) for z in (x, y))
    across_x, across_y = _kernel_sums(x, y)
    total_x, total_y, total = within_x.sum(), within_y.sum(), across_x.sum()
    mean_x, mean_y = total_x / (n * (n - 1)), total_y / (m * (m - 1))
    without_x = (total_x - 2 * within_x) / ((n - 1) * (n - 2)) + mean_y - 2 * (total - across_x) / ((n - 1) * m)
    without_y = mean_x + (total_y - 2 * within_y) / ((m - 1) * (m - 2)) - 2 * (total - across_y) / (n * (m - 1))
    value = float(mean_x + mean_y - 2 * total / (n * m))
    reach = Z * math.hypot(jackknife_error(without_x), jackknife_error(without_y))
    return Interval(value, value - reach, value + reach, "all pairs; jackknife over examples")


def jackknife_error(without: Tensor) -> float:
    """Standard error of a statistic from its values (n,) without each of n examples (Efron & Tibshirani 1993, 11.5)."""
    return math.sqrt((len(without) - 1) / len(without) * float((without - without.mean()).square().sum()))


def _moments(x: Tensor) -> Moments:
    mean = x.mean(0)
    centred = x - mean
    return Moments(mean, centred.T @ centred / (len(x) - 1))


def _distance(one: Moments, other: Moments) -> float:
    return frechet_of_moments(one.mean, one.covariance, other.mean, other.covariance)


def _line(points: list[tuple[int, float]]) -> Curve:
    """Least squares of the distances over 1/n, with the standard error of the intercept; NaN for two points."""
    across, up = np.array([1 / n for n, _ in points]), np.array([value for _, value in points])
    mean = float(across.mean())
    squares = float(np.sum((across - mean) ** 2))
    slope = float((across - mean) @ up) / squares
    limit = float(up.mean()) - slope * mean
    if len(points) < 3:
        return Curve(points, limit, math.nan)
    noise = float(np.sum((up - limit - slope * across) ** 2)) / (len(points) - 2)
    return Curve(points, limit, math.sqrt(noise * (1 / len(points) + mean**2 / squares)))


def _left_out(x: Tensor, rng: np.random.Generator) -> Iterator[Moments]:
    """Moments of the set without each of its random blocks in turn, by taking the block off the sums over the whole."""
    origin = x.mean(0)
    x = (x - origin)[torch.from_numpy(rng.permutation(len(x))).to(x.device)]
    total, squares = x.sum(0), x.T @ x
    for g in range(GROUPS):
        block = x[g::GROUPS]
        n = len(x) - len(block)
        mean = (total - block.sum(0)) / n
        yield Moments(origin + mean, (squares - block.T @ block - n * torch.outer(mean, mean)) / (n - 1))


def _kernel(scaled: Tensor) -> Tensor:
    """The cubic kernel from 1 + x . y / d."""
    return scaled.square().mul_(scaled)


def _kernel_sums(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) and (m,): for each row of x the kernel summed over y, and the reverse."""
    rows, columns = [], torch.zeros_like(y[:, 0])
    for part in x.split(max(1, BLOCK // len(y))):
        kernel = _kernel(torch.addmm(x.new_ones(1), part, y.T, alpha=1 / x.shape[1]))
        rows.append(kernel.sum(1))
        columns += kernel.sum(0)
    return torch.cat(rows), columns
