"""Groups of rows: pieces of a graph of neighbours, joined until only valleys lie between them.

Rows are joined by the neighbours they share (Jarvis & Patrick 1973, Clustering using a similarity measure based on
shared near neighbors). Small pieces of Ward's tree are joined, the two with the strongest link first; the link is the
weight between two pieces over all weight of the smaller one. It follows bent and stretched groups, which a Gaussian
mixture cuts into several, and a small group is measured by its own size, which k-means does not.

How weak is a valley? Even one Gaussian has few links across its middle where rows are many or dimensions few. So a link
is held against that of one Gaussian of as many rows and dimensions, cut into the same two shares: across a cut at the
share s run phi(Phi^-1(s)) of the rows per unit of depth, a neighbourhood is rows^(-1/dimension) deep, and the factor is
measured on a drawn Gaussian. Below `VALLEY` of that, two groups are two.

Shares are then set right by what only a generative model can tell: each row is drawn again from its own code, decoded,
encoded and assigned anew. That gives a confusion C, and w with C^T w = the shares seen is what was there (black-box
shift estimation: Lipton, Wang & Smola 2018, 1802.03916), held on the simplex.

Letters: N rows, D columns, P pieces, G groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["VALLEY", "Groups", "confusion", "corrected", "expected_link", "find_groups", "intrinsic_dimension"]

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
VALLEY, DOUBT = 0.2, 1.0
"""Link over that of one Gaussian below which two groups are two, and rows that are added to those of every link: an
empty valley beside a few rows is no evidence. Frozen on the digits."""
NEIGHBOURS, PIECES, PIECE_ROWS = 10, 40, 15
LARGEST_LINK = 0.5
DRAWN = 4
"""Gaussians whose mean link is the reference."""


@dataclass(frozen=True)
class Groups:
    """Rows with the group of each: what new rows are assigned by."""

    x: Array
    """(N, D)"""
    label: Labels
    """(N,) 0 .. G - 1"""

    def __len__(self) -> int:
        return int(self.label.max()) + 1

    def responsibilities(self, x_ND: Array) -> Array:
        """(n, G): shares of each group among the ten rows nearest to each given one."""
        _, near = _nearest(self.x, x_ND, min(NEIGHBOURS, len(self.x)))
        found: Array = np.eye(len(self))[self.label[near]].mean(1)
        return found


def find_groups(x_ND: Array, *, valley: float = VALLEY) -> Groups:
    """The groups of these rows; one, where there is no valley."""
    from scipy.cluster.hierarchy import fcluster, linkage

    n = len(x_ND)
    distance, near = _nearest(x_ND, x_ND, NEIGHBOURS, own=True)
    piece = fcluster(linkage(x_ND, "ward"), max(1, min(PIECES, n // PIECE_ROWS)), "maxclust").astype(np.int64) - 1
    of = _joined(_weights(_shared(near), piece), np.bincount(piece), intrinsic_dimension(distance), valley)
    group_of = np.empty(piece.max() + 1, np.int64)
    for g, members in enumerate(of):
        group_of[members] = g
    return Groups(x_ND, group_of[piece])


def intrinsic_dimension(distance_NK: Array) -> float:
    """From the distances to the nearest rows, ascending (Levina & Bickel 2004, with MacKay & Ghahramani's mean)."""
    ratio = np.log(distance_NK[:, -1:] / np.maximum(distance_NK[:, :-1], 1e-300))
    mean = float(np.minimum(ratio, 50.0).mean())
    return max(1.0, 1 / mean) if mean > 0 else 1.0


def expected_link(rows: Array, share: Array, dimension: float) -> Array:
    """The link across a cut of one Gaussian of so many `rows`, of which the smaller part holds `share`."""
    from scipy.stats import norm

    whole = max(1, round(dimension))
    measured, drawn = _reference(whole)
    cut = norm.pdf(norm.ppf(share)) / share / (norm.pdf(0) / 0.5)
    found: Array = np.minimum(measured * (drawn / rows) ** (1 / dimension) * cut, LARGEST_LINK)
    return found


def confusion(groups: Groups, x_ND: Array, again_ND: Array) -> tuple[Array, Array]:
    """(G, G): the share of each group's mass that another turn of the model puts in each; and (G,) the shares seen."""
    r = groups.responsibilities(x_ND)
    mass = np.maximum(r.sum(0), 1e-12)
    return r.T @ groups.responsibilities(again_ND) / mass[:, None], mass / mass.sum()


def corrected(seen_G: Array, confusion_GG: Array) -> Array:
    """The weights w >= 0 of sum 1 for which confusion^T w is nearest to the shares seen, by least squares."""
    from scipy.optimize import nnls

    heavy = 1e3  # of the row that asks for a sum of 1
    a = np.vstack([confusion_GG.T, np.full((1, len(seen_G)), heavy)])
    w = nnls(a, np.append(seen_G, heavy))[0]
    out: Array = w / w.sum()
    return out


@cache
def _reference(dimension: int, rows: int = 1000) -> tuple[float, int]:
    """(link between the halves of a drawn Gaussian of this dimension, its rows)."""
    links = []
    for seed in range(DRAWN):
        x = np.random.default_rng(seed).normal(size=(rows, dimension))
        half = (x[:, 0] > np.median(x[:, 0])).astype(np.int64)
        w = _weights(_shared(_nearest(x, x, NEIGHBOURS, own=True)[1]), half)
        links.append(w[0, 1] / w.sum(1).min())
    return max(float(np.mean(links)), 1 / rows), rows


def _joined(w_PP: Array, size_P: Labels, dimension: float, valley: float) -> list[list[int]]:
    """Pieces of each group."""
    of, w, size = [[p] for p in range(len(size_P))], w_PP.copy(), size_P.astype(np.float64)
    while len(of) > 1:
        volume = np.maximum(w.sum(1), 1e-12)
        both, least = size[:, None] + size, np.minimum(size[:, None], size)
        link = w / np.minimum(volume[:, None], volume) + DOUBT / least
        link /= expected_link(both, least / both, dimension)
        np.fill_diagonal(link, -math.inf)
        pair = tuple(int(v) for v in np.unravel_index(link.argmax(), link.shape))
        if link[pair] < valley:
            break
        smaller = min(pair, key=lambda p: size[p])
        i, j = sorted((smaller, _partner(w[smaller], smaller, pair)))
        w[i] += w[j]
        w[:, i] += w[:, j]
        w = np.delete(np.delete(w, j, 0), j, 1)
        size[i] += size[j]
        size = np.delete(size, j)
        of[i] += of.pop(j)
    return of


def _partner(weights: Array, piece: int, pair: tuple[int, ...]) -> int:
    """Whom a piece is joined to: the one with most weight, which small sizes do not blur; without any, its pair."""
    other = weights.copy()
    other[piece] = 0.0
    return int(other.argmax()) if other.max() > 0 else next(p for p in pair if p != piece)


def _nearest(x_ND: Array, asked_ND: Array, count: int, *, own: bool = False) -> tuple[Array, Labels]:
    """Distances and places of the rows nearest to each asked one, ascending; `own`: without itself."""
    from sklearn.neighbors import NearestNeighbors

    distance, near = NearestNeighbors(n_neighbors=count + own).fit(x_ND).kneighbors(asked_ND)
    return distance[:, int(own) :], near[:, int(own) :]


def _shared(near_NK: Labels) -> Any:
    """(N, N) sparse: neighbours that two neighbours have in common."""
    from scipy.sparse import csr_matrix

    n, k = near_NK.shape
    one = csr_matrix((np.ones(n * k), (np.repeat(np.arange(n), k), near_NK.reshape(-1))), (n, n))
    either = ((one + one.T) > 0).astype(np.float64)
    return (either @ either).multiply(either).tocsr()


def _weights(graph: Any, piece_N: Labels) -> Array:
    """(P, P): sums of the graph's weights between pieces."""
    from scipy.sparse import csr_matrix

    member = csr_matrix((np.ones(len(piece_N)), (np.arange(len(piece_N)), piece_N)))
    out: Array = (member.T @ graph @ member).toarray()
    return out
