"""How unbalanced a set without labels is: the mass of its groups, with intervals, or a refusal to say.

"Class" is not defined without labels: what is measured is the balance among groups that can be told apart. And the
density of a code does not tell it: the bound pushes the codes of all rows together towards N(0, I) whatever the groups'
shares are, so that the larger group has the larger volume, not the higher density. So: representations of several
seeds (representation.py), groups in each with valleys between them, their masses set right by confusion (groups.py),
the spread over seeds and draws of rows as intervals, and no answer where groups are not separable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elboroom.core.chance import mix
from elboroom.metrics.imbalance import effective_groups, imbalance_index, ratio_of_shares, spread_interval
from elboroom.metrics.interval import Interval, finite

from .groups import Groups, confusion, corrected, find_groups
from .representation import FITTED, Representation

__all__ = ["Diagnosis", "Look", "diagnose_rows", "look"]

Array = NDArray[np.float64]
DRAWS, KEPT = 20, 0.8
"""Draws of each representation: groups of four rows in five, drawn without return since two equal rows are a false
neighbourhood, and then their shares as so many new rows would show them."""
FEWEST_ROWS, SMALL = 150, 20
"""Rows below which nothing is said, and rows of a group below which its share tells nothing."""
EXPLAINS, STABLE, CONDITION = 0.9, 0.6, 10.0
"""Limits of abstention: error left over that of the mean; adjusted Rand index; condition of the confusion."""
WIDER = {"index": 0.17, "ratio": 1.7, "effective_groups": 0.15}
"""Half-widths added for what draws cannot see, that groups are not classes: of sqrt(index), of ln ratio and of ln
effective groups. Frozen on the digits, where 15, 14 and 14 of 15 answered sets with twenty rows a class needed no more.
"""
ABOVE = (1.5, 3.0, 10.0)
UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Look:
    """The groups in one representation, and what draws of rows make of them."""

    groups: Groups
    shares: Array
    """(G,) corrected, in the order of the groups."""
    condition: float
    label: NDArray[np.int64]
    """(N,) the most probable group of each row."""
    responsibilities: Array
    draws: list[Array]
    """Corrected shares of each draw."""
    labels: list[NDArray[np.int64]]
    """Groups of all rows by each draw."""


@dataclass(frozen=True)
class Diagnosis:
    """What is said of the balance; `to_json` is the document of the command line."""

    identifiable: bool
    why: str
    rows: int
    shares: Array = field(default_factory=lambda: np.zeros(0))
    """Descending."""
    share_intervals: list[Interval] = field(default_factory=list)
    ratio: Interval = UNKNOWN
    effective: Interval = UNKNOWN
    index: Interval = UNKNOWN
    above: dict[str, float] = field(default_factory=dict)
    """Share of the draws whose ratio is above 1.5, 3 and 10."""
    stability: float = math.nan
    condition: float = math.nan
    models: int = 0
    label: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(N,) group of each row, 0 the largest."""
    medoids: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """(G, 8): the rows nearest to the middle of each group."""
    weights: Array = field(default_factory=lambda: np.zeros(0))
    """(N,) for resampling: mean 1; rows of a group together weigh as much as those of another."""
    places: Array = field(default_factory=lambda: np.zeros((0, 0)))
    """(N, D): where the rows lie in the representation the groups were taken from."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; the first six keys and "why" are promised."""
        return {
            "identifiable": self.identifiable,
            "groups": len(self.shares),
            "shares": self.shares.tolist(),
            "ratio": _ends(self.ratio),
            "effective_groups": _ends(self.effective),
            "index": _ends(self.index),
            "why": self.why,
            "share_intervals": [_ends(interval) for interval in self.share_intervals],
            "ratio_above": self.above,
            "rows": self.rows,
            "models": self.models,
            "stability": finite(self.stability),
            "confusion_condition": finite(self.condition),
        }


def look(seen: Representation, seed: int) -> Look:
    """Groups of one representation, their corrected shares, and the same on draws of rows."""
    rng = np.random.default_rng(mix(seed, "imbalance", "look"))
    n = len(seen.places)
    some = np.sort(rng.permutation(n)[:FITTED])
    found = find_groups(seen.places[some])
    shares, condition = _shares(found, seen.places, seen.again)
    draws, labels = [], []
    for _ in range(DRAWS):
        drawn = find_groups(seen.places[np.sort(rng.permutation(some)[: round(KEPT * len(some))])])
        draws.append(rng.multinomial(n, _shares(drawn, seen.places, seen.again)[0]) / n)
        labels.append(drawn.responsibilities(seen.places).argmax(1))
    r = found.responsibilities(seen.places)
    return Look(found, shares, condition, r.argmax(1), r, draws, labels)


def _shares(groups: Groups, x: Array, again: Array) -> tuple[Array, float]:
    """Corrected shares and the condition of the confusion."""
    mixed, seen = confusion(groups, x, again)
    condition = float(np.linalg.cond(mixed))
    return (corrected(seen, mixed) if condition < CONDITION else seen), condition


def diagnose_rows(seen: list[Representation], seed: int = 0) -> Diagnosis:
    """The answer from the representations of one or more models of the same rows."""
    n = len(seen[0].places)
    refused = _refused(seen, n)
    if refused:
        return Diagnosis(False, refused, n, models=len(seen))
    looks = [look(one, mix(seed, i)) for i, one in enumerate(seen)]
    agreement = _agreement(looks)
    best = int(np.argmax(agreement.mean(1)))
    one = looks[best]
    stability = _stability(looks, best)
    alone = sum(len(each.shares) == 1 for each in looks)
    if alone * 2 > len(looks) or len(one.shares) == 1:
        why = "no separable groups: imbalance is not identifiable from these data"
        return Diagnosis(False, why, n, stability=stability, models=len(seen), places=seen[best].places)
    return _measured(looks, best, stability, n, seen[best].places)


def _refused(seen: list[Representation], n: int) -> str:
    """Why nothing is looked for, or ""."""
    if n < FEWEST_ROWS:
        return f"{n} rows: fewer than {FEWEST_ROWS} do not show groups; give more"
    places = seen[0].places
    unlike = len(np.unique((places / np.maximum(np.abs(places).max(), 1e-12)).round(6), axis=0))
    if unlike < FEWEST_ROWS:
        return f"{unlike} different rows among {n}: what is equal can be counted, and shows no groups"
    left = float(np.median([one.unexplained for one in seen]))
    if left > EXPLAINS:
        return f"the model leaves {left:.0%} of the held-out variance unexplained: its code says nothing of the rows"
    if max(one.active for one in seen) < min(2, seen[0].places.shape[1]):
        return "fewer than two dimensions of the code are in use: it has no room for groups"
    return ""


def _measured(looks: list[Look], best: int, stability: float, n: int, places: Array) -> Diagnosis:
    one = looks[best]
    order = np.argsort(-one.shares, kind="stable")
    shares = one.shares[order]
    drawn = [w for each in looks for w in [each.shares, *each.draws] if len(w) > 1]
    indices, ratios, effectives = (
        np.array([measure(w) for w in drawn]) for measure in (imbalance_index, ratio_of_shares, effective_groups)
    )
    index = spread_interval(imbalance_index(shares), indices, wider=WIDER["index"], root=True)
    ratio = spread_interval(ratio_of_shares(shares), ratios, wider=WIDER["ratio"], least=1.0)
    effective = spread_interval(effective_groups(shares), effectives, wider=WIDER["effective_groups"], least=1.0)
    place = np.argsort(order)
    label = place[one.label]
    small = int((np.bincount(label, minlength=len(order)) < SMALL).sum())
    why = _why_not(one, stability, small)
    return Diagnosis(
        identifiable=not why,
        why=why or f"{len(order)} groups; shares are masses of groups found without labels, which need not be classes",
        rows=n,
        shares=shares,
        share_intervals=_share_intervals(looks, label, shares),
        ratio=ratio,
        effective=effective,
        index=index,
        above={f"{limit:g}": float((ratios > limit).mean()) for limit in ABOVE},
        stability=stability,
        condition=one.condition,
        models=len(looks),
        label=label,
        medoids=_medoids(places, label, len(order)),
        weights=_balancing(one.responsibilities[:, order]),
        places=places,
    )


def _why_not(one: Look, stability: float, small: int) -> str:
    """Why groups that were found are not to be trusted, or ""."""
    if stability < STABLE:
        return (
            f"the groups are not stable: draws of the rows and other seeds agree with them by {stability:.2f} "
            f"(adjusted Rand index), and {STABLE:g} is needed; imbalance is not identifiable from these data"
        )
    if one.condition > CONDITION:
        return "the model confuses its own groups: decoded rows of one are encoded into another"
    if small:
        return f"{small} of the groups have fewer than {SMALL} rows: too few to measure a share; give more rows"
    return ""


def _agreement(looks: list[Look]) -> Array:
    """(models, models): adjusted Rand index of their groups."""
    from sklearn.metrics import adjusted_rand_score

    out = np.array([[adjusted_rand_score(a.label, b.label) for b in looks] for a in looks])
    return out


def _stability(looks: list[Look], best: int) -> float:
    """Mean agreement of the chosen groups with those of draws of rows, and with those of the other models."""
    from sklearn.metrics import adjusted_rand_score

    label = looks[best].label
    own = [float(adjusted_rand_score(label, other)) for other in looks[best].labels]
    others = [float(adjusted_rand_score(label, each.label)) for i, each in enumerate(looks) if i != best]
    return float(np.mean([np.mean(part) for part in (own, others) if part]))


def _share_intervals(looks: list[Look], label: NDArray[np.int64], shares: Array) -> list[Interval]:
    """Of each group, over draws: the share of the drawn group that has most rows in common with it."""
    drawn: list[list[float]] = [[] for _ in shares]
    for each in looks:
        for weights, other in zip([each.shares, *each.draws], [each.label, *each.labels], strict=True):
            both = np.zeros((len(shares), len(weights)))
            np.add.at(both, (label, other), 1.0)
            union = both.sum(1)[:, None] + both.sum(0)[None] - both
            for g, match in enumerate((both / np.maximum(union, 1.0)).argmax(1)):
                drawn[g].append(float(weights[match]))
    return [spread_interval(float(s), d, least=0.0, most=1.0) for s, d in zip(shares, drawn, strict=True)]


def _medoids(places: Array, label: NDArray[np.int64], groups: int, count: int = 8) -> NDArray[np.int64]:
    """(groups, count): rows nearest to the coordinate-wise median of their group, nearest first."""
    out = np.zeros((groups, count), np.int64)
    for g in range(groups):
        rows = np.flatnonzero(label == g)
        if len(rows):
            gap = ((places[rows] - np.median(places[rows], axis=0)) ** 2).sum(1)
            out[g] = np.resize(rows[np.argsort(gap, kind="stable")[:count]], count)
    return out


def _balancing(r_NG: Array) -> Array:
    """Weights with which every group is drawn as often as every other: joint, where one a dimension would not be."""
    w = (r_NG / np.maximum(r_NG.sum(0), 1e-12)).sum(1)
    out: Array = w * (len(w) / w.sum())
    return out


def _ends(interval: Interval) -> dict[str, float | None]:
    return {"value": finite(interval.value), "low": finite(interval.low), "high": finite(interval.high)}
