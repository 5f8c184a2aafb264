"""Which factor was held still? Scores by votes of small groups of rows that share the value of one factor.

    factor_vae_score   Kim & Mnih 2018 (arXiv 1802.05983), section 4: the code that varies least within a group, each
                       divided by its spread over all rows, votes; a table from code to factor is made of 10,000 votes
                       and judged by 5,000 more. Codes of a standard deviation below 0.05 do not vote, as in the study
                       of Locatello et al. 2019 (1811.12359)
    beta_vae_score     Higgins et al. 2017 (ICLR), section 3: pairs of rows that share one factor's value; the mean
                       absolute difference of their codes goes into a linear classifier of that factor

Groups have 64 rows, or pairs. Codes are computed once: a vote picks rows by number, it encodes nothing. A value is
drawn as often as it occurs; of its rows, each with the same chance and any of them twice. Intervals are Wilson's over
the judged votes: they do not know of the luck of the rows. Chance is 1 / factors for codes drawn anew for every row;
a little more where a value has few rows, whose codes come again and again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .disentanglement import checked
from .interval import Interval, share_interval

__all__ = ["Votes", "beta_vae_score", "factor_vae_score"]

TRAIN, JUDGE, GROUP = 10_000, 5_000, 64
PRUNE = 0.05
AT_ONCE = 1_000  # votes held in memory together

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Votes:
    """The share of judged votes that name the factor held still."""

    score: Interval
    on_train: float
    """The same on the votes that the table, or classifier, was made of."""
    active: int
    """Codes that had a vote."""


class _SameValue:
    """Rows of each value of each factor, ready to draw from."""

    def __init__(self, factors: Whole) -> None:
        self.factors = factors
        self.order = np.argsort(factors, axis=0, kind="stable")
        self.count = [np.bincount(column) for column in factors.T]
        self.start = [np.cumsum(count) - count for count in self.count]

    def with_value(self, k: int, value: Whole, width: int, rng: np.random.Generator) -> Whole:
        """(votes, width) row numbers: each row of them has the value (votes, 1 or width) of factor k."""
        pick = (rng.random((len(value), width)) * self.count[k][value]).astype(np.int64)
        found: Whole = self.order[self.start[k][value] + pick, k]
        return found

    def blocks(self, votes: int, rng: np.random.Generator) -> Iterator[tuple[int, Whole]]:
        """(factor, places among the votes), at most so many together that they fit into the cache."""
        asked = rng.integers(0, self.factors.shape[1], votes)
        for k in range(self.factors.shape[1]):
            here = np.flatnonzero(asked == k)
            for at in range(0, len(here), AT_ONCE):
                yield k, here[at : at + AT_ONCE]


def factor_vae_score(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    train: int = TRAIN,
    judge: int = JUDGE,
    group: int = GROUP,
    prune: float = PRUNE,
    seed: int = 0,
) -> Votes:
    """Share of votes whose code belongs, by the majority of the training votes, to the factor held still.

    `prune`: codes of a smaller standard deviation do not vote; where none is left the score is 0.
    """
    z, v = checked(codes, factors)
    spread = z.std(0, ddof=1)
    live = np.flatnonzero((spread >= prune) & (spread > 0))
    if not len(live):
        return Votes(Interval(0.0, math.nan, math.nan, "no code varies"), 0.0, 0)
    z = z[:, live] / spread[live]
    rng, rows = np.random.default_rng(seed), _SameValue(v)

    def vote(votes: int) -> tuple[Whole, Whole]:
        """Codes that vote, and the factors held still."""
        code, still = np.zeros(votes, np.int64), np.zeros(votes, np.int64)
        for k, here in rows.blocks(votes, rng):
            value = v[rng.integers(0, len(v), (len(here), 1)), k]
            picked = z[rows.with_value(k, value, group, rng)]
            code[here], still[here] = picked.var(1).argmin(1), k
        return code, still

    code, still = vote(train)
    table = np.zeros((len(live), v.shape[1]), np.int64)
    np.add.at(table, (code, still), 1)
    names = table.argmax(1)
    judged, held = vote(judge)
    return Votes(share_interval(names[judged] == held), float(np.mean(names[code] == still)), len(live))


def beta_vae_score(
    codes: ArrayLike, factors: ArrayLike, *, train: int = TRAIN, judge: int = JUDGE, group: int = GROUP, seed: int = 0
) -> Votes:
    """Share of votes whose mean absolute differences the linear classifier gives to the factor that pairs share.

    The differences are standardised before the classifier, a logistic regression, so that the scale of the codes does
    not decide how much it is regularised.
    """
    from sklearn.linear_model import LogisticRegression

    z, v = checked(codes, factors)
    rng, rows = np.random.default_rng(seed), _SameValue(v)

    def vote(votes: int) -> tuple[Floats, Whole]:
        """Mean absolute differences (votes, d), and the factors that the pairs share."""
        apart, still = np.zeros((votes, z.shape[1])), np.zeros(votes, np.int64)
        for k, here in rows.blocks(votes, rng):
            first = rng.integers(0, len(v), (len(here), group))
            second = rows.with_value(k, v[first, k], group, rng)
            apart[here], still[here] = np.abs(z[first] - z[second]).mean(1), k
        return apart, still

    apart, still = vote(train)
    if v.shape[1] == 1:
        return Votes(Interval(1.0, 1.0, 1.0, "one factor"), 1.0, z.shape[1])
    centre, spread = apart.mean(0), apart.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    model = LogisticRegression(max_iter=1000).fit((apart - centre) / spread, still)
    judged, held = vote(judge)
    hits = model.predict((judged - centre) / spread) == held
    right = float(np.mean(model.predict((apart - centre) / spread) == still))
    return Votes(share_interval(hits), right, z.shape[1])
