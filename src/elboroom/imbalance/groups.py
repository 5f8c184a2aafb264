"""Groups of rows: pieces of a graph of neighbours, joined until only valleys lie between them.

Rows are joined by the neighbours they share (Jarvis & Patrick 1973, Clustering using a similarity measure based on
shared near neighbors). Small pieces of Ward's tree are joined, the two with the strongest link first; the link is the
weight between two pieces over all weight of the smaller one. It follows bent and stretched groups, which a Gaussian
mixture cuts into several, and a small group is measured by its own size, which k-means does not.

How weak is a valley? Even one Gaussian has few links across its middle where rows are many or dimensions few. So a link
is held against that of one Gaussian of as many rows and dimensions, cut into the same two shares: across a cut at the
share s run phi(Phi^-1(s)) of the rows per unit of depth, a neighbourhood is rows^(-1/dimension) deep, and the factor is
measured on a drawn Gaussian; a cut across a long group, which is narrow there, has fewer. Below `VALLEY` of that, two
groups are two.

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
"""Link over that of one Gaussian below which two groups are two, and the rows added to every link: an empty valley is
no evidence where not even five rows were to be expected in it. Set on the digits, with
four subsets of MNIST in sight."""
NEIGHBOURS, PIECES, PIECE_ROWS = 10, 40, 15
LARGEST_LINK = 0.5
TINY = 1e-12
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
    dimension = intrinsic_dimension(distance)
    pieces = _Pieces.of_rows(x_ND, piece, _weights(_shared(near), piece), dimension)
    while len(pieces.members) > 1:
        link = pieces.links(dimension)
        pair = tuple(int(v) for v in np.unravel_index(link.argmax(), link.shape))
        if link[pair] < valley:
            break
        pieces.join(*sorted(pieces.partners(pair)))
    group_of = np.empty(piece.max() + 1, np.int64)
    for g, members in enumerate(pieces.members):
        group_of[members] = g
    return Groups(x_ND, group_of[piece])


@dataclass
class _Pieces:
    """What is known of each piece while they are joined."""

    members: list[list[int]]
    weight_PP: Array
    size_P: Array
    mean_PD: Array
    scatter_PDD: Array
    narrow_PP: Array
    """At most 1: the spread of two pieces over their spread towards each other. A long group has few links across."""
    axes: int

    @classmethod
    def of_rows(cls, x_ND: Array, piece_N: Labels, weight_PP: Array, dimension: float) -> _Pieces:
        count, d = len(weight_PP), x_ND.shape[1]
        parts = [x_ND[piece_N == p] for p in range(count)]
        means = np.array([part.mean(0) for part in parts])
        scatter = np.array([(part - m).T @ (part - m) for part, m in zip(parts, means, strict=True)])
        size = np.bincount(piece_N).astype(np.float64)
        made = cls([[p] for p in range(count)], weight_PP.copy(), size, means, scatter, np.ones((count, count)), d)
        made.axes = min(d, max(1, round(dimension)))
        for p in range(count):
            made.narrow_PP[p] = made.narrowness(p)
        return made

    def narrowness(self, p: int) -> Array:
        """(P,) of one piece with each: geometric mean spread on the widest axes over that towards the other."""
        within = (self.scatter_PDD[p] + self.scatter_PDD) / (self.size_P[p] + self.size_P)[:, None, None]
        towards = self.mean_PD - self.mean_PD[p]
        towards /= np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), TINY)
        along = np.einsum("pd,pde,pe->p", towards, within, towards)
        widest = np.maximum(np.linalg.eigvalsh(within)[:, -self.axes :], TINY)
        spread = np.exp(0.5 * np.log(widest).mean(1))
        found: Array = np.minimum(1.0, spread / np.sqrt(np.maximum(along, TINY)))
        return found

    def links(self, dimension: float) -> Array:
        """(P, P): link over that of one Gaussian; nothing on the diagonal."""
        volume: Array = np.maximum(self.weight_PP.sum(1), TINY)
        both, least = self.size_P[:, None] + self.size_P, np.minimum(self.size_P[:, None], self.size_P)
        link: Array = self.weight_PP / np.minimum(volume[:, None], volume) + DOUBT / least
        link /= expected_link(both, least / both, dimension) * self.narrow_PP
        np.fill_diagonal(link, -math.inf)
        return link

    def partners(self, pair: tuple[int, ...]) -> tuple[int, int]:
        """The smaller of a pair, and what it has most weight with, which its few rows do not blur; else the other."""
        smaller, larger = sorted(pair, key=lambda p: self.size_P[p])
        other = self.weight_PP[smaller].copy()
        other[smaller] = 0.0
        return smaller, int(other.argmax()) if other.max() > 0 else larger

    def join(self, i: int, j: int) -> None:
        """Make one piece of two, i < j, in the place of i."""
        both, apart = self.size_P[i] + self.size_P[j], self.mean_PD[j] - self.mean_PD[i]
        between = np.outer(apart, apart) * self.size_P[i] * self.size_P[j] / both
        self.scatter_PDD[i] += self.scatter_PDD[j] + between
        self.mean_PD[i] += apart * self.size_P[j] / both
        self.size_P[i] = both
        self.weight_PP[i] += self.weight_PP[j]
        self.weight_PP[:, i] += self.weight_PP[:, j]
        for name in ("weight_PP", "narrow_PP"):
            setattr(self, name, np.delete(np.delete(getattr(self, name), j, 0), j, 1))
        for name in ("size_P", "mean_PD", "scatter_PDD"):
            setattr(self, name, np.delete(getattr(self, name), j, 0))
        self.members[i] += self.members.pop(j)
        self.narrow_PP[i] = self.narrow_PP[:, i] = self.narrowness(i)


def intrinsic_dimension(distance_NK: Array) -> float:
    """From the distances to the nearest rows, ascending (Levina & Bickel 2004, with MacKay & Ghahramani's mean)."""
    ratio = np.log(distance_NK[:, -1:] / np.maximum(distance_NK[:, :-1], TINY))
    mean = float(np.minimum(ratio, 50.0).mean())
    return max(1.0, 1 / mean) if mean > 0 else 1.0


def expected_link(rows: Array, share: Array, dimension: float) -> Array:
    """The link across a cut of one Gaussian of so many `rows`, of which the smaller part holds `share`."""
    from scipy.special import ndtri

    whole = max(1, round(dimension))
    measured, drawn = _reference(whole)
    cut = np.exp(-0.5 * ndtri(share) ** 2) / (2 * share)  # phi(Phi^-1(share)) / share, over that of a half
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
