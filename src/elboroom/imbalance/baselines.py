"""What stands beside the diagnosis: simpler estimates of the same index, each with the reason why it errs.

k-means and a Gaussian mixture on principal axes count clusters; two look at the code's density, as recipes for the
latent space do: histograms of each dimension (Amini et al. 2019, Uncovering and mitigating algorithmic bias through
learned latent structure, section 3.2) and the distance of the codes from a uniform cloud. Where labels are known, they
can be counted: the only one that is right about classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elboroom.metrics.imbalance import imbalance_index

from .representation import FITTED, Representation

__all__ = ["baselines", "counted", "density_scores", "methods"]

Array = NDArray[np.float64]
AXES, MOST, BINS, SIDE = 7, 16, 10, 3.0
ERRS = {
    "k-means": "on principal axes, number by silhouette: leans to equal sizes, gives no interval and never refuses",
    "Gaussian mixture": "on principal axes, number by BIC: a group that is not Gaussian is several; never refuses",
    "latent histograms": "1 - entropy over ln 10 of each code dimension in ten bins, mean: density, no mass of groups",
    "latent uniformity": "1 - entropy over ln 100 of the two widest dimensions on a grid: N(0, I) is never uniform",
    "labels counted": "what is asked for, where labels are known",
}


def baselines(x_ND: Array, seen: Representation, seed: int) -> list[dict[str, Any]]:
    """Index and groups (None for densities) by each; `x_ND` are the rows themselves, in the model's space."""
    return [_entry(name, *method()) for name, method in methods(x_ND, seen, seed).items()]


def methods(x_ND: Array, seen: Representation, seed: int) -> dict[str, Callable[[], tuple[float, int | None]]]:
    """Each by its name, to be called: (index, groups)."""
    return {
        "k-means": lambda: _of_shares(_k_means(_axes(x_ND, seed))),
        "Gaussian mixture": lambda: _of_shares(_mixture(_axes(x_ND, seed))),
        "latent histograms": lambda: (density_scores(seen.codes)[0], None),
        "latent uniformity": lambda: (density_scores(seen.codes)[1], None),
    }


def counted(labels: NDArray[np.int64]) -> dict[str, Any]:
    """The index of the labels; rows without one (-1) are left out."""
    return _entry("labels counted", *_of_shares(np.bincount(labels[labels >= 0]).astype(np.float64)))


def density_scores(codes: Array) -> tuple[float, float]:
    """(latent histograms, latent uniformity) of codes (N, latent): both 0 where the codes are uniform."""
    spans = [np.histogram(column, BINS)[0] for column in codes.T if column.std() > 0]
    histograms = float(np.mean([_unevenness(counts) for counts in spans])) if spans else 0.0
    wide = np.argsort(-codes.var(0), kind="stable")[:2]
    plane = (codes[:, wide] - codes[:, wide].mean(0)) / np.maximum(codes[:, wide].std(0), 1e-12)
    counts = np.histogramdd(plane.clip(-SIDE, SIDE), bins=BINS, range=[(-SIDE, SIDE)] * len(wide))[0]
    return histograms, _unevenness(counts.reshape(-1))


def _unevenness(counts: NDArray[Any]) -> float:
    p = counts[counts > 0] / counts.sum()
    return 1 + float((p * np.log(p)).sum()) / math.log(len(counts))


def _axes(x_ND: Array, seed: int) -> Array:
    """Principal axes of a sample of the rows, in units of their spread."""
    from sklearn.decomposition import PCA

    some = np.sort(np.random.default_rng(seed).permutation(len(x_ND))[:FITTED])
    if not np.ptp(x_ND[some], axis=0).any():
        return np.zeros((len(some), 1))
    z: Array = PCA(min(AXES, x_ND.shape[1]), random_state=0).fit_transform(x_ND[some]).astype(np.float64)
    return z / (float(z.std()) or 1.0)


def _different(z: Array) -> int:
    """Rows that differ: there can be no more clusters."""
    return len(np.unique(z.round(9), axis=0))


def _mixture(z: Array) -> Array:
    """Weights of the full-covariance mixture of the least BIC, between 1 and 16 components."""
    from sklearn.mixture import GaussianMixture

    most = max(1, min(MOST, len(z) // 20, _different(z)))
    fits = [GaussianMixture(k, reg_covar=1e-3, random_state=0).fit(z) for k in range(1, most + 1)]
    weights: Array = min(fits, key=lambda made: float(made.bic(z))).weights_
    return weights


def _k_means(z: Array) -> Array:
    """Shares of the clusters whose number has the best silhouette (Rousseeuw 1987), 2 to 16; 1 of equal rows."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    most = min(max(2, min(MOST, len(z) // 20)), _different(z))
    if most < 2:
        return np.array([float(len(z))])
    fits = [KMeans(k, n_init=1, random_state=0).fit_predict(z) for k in range(2, most + 1)]
    score = [silhouette_score(z, label, sample_size=min(len(z), 1000), random_state=0) for label in fits]
    return np.bincount(fits[int(np.argmax(score))]).astype(np.float64)


def _of_shares(shares: Array) -> tuple[float, int]:
    some = shares[shares > 0]
    return (imbalance_index(some) if len(some) > 1 else math.nan), len(some)


def _entry(name: str, index: float, groups: int | None) -> dict[str, Any]:
    return {"name": name, "index": None if math.isnan(index) else index, "groups": groups, "how": ERRS[name]}
