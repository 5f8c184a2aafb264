"""Disentanglement as metrics.json has it: four scores of the codes of some rows, beside PCA and random codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import disentanglement as scores
from .factor_votes import GROUP, PRUNE, factor_vae_score
from .interval import Interval, Reference

__all__ = ["FEWEST", "WIDEST", "FactorScores", "factor_scores"]

FEWEST, WIDEST = 60, 128
"""Rows, and numbers in a code, outside which nothing is scored: too few to say anything, too many to wait for."""

Array = NDArray[Any]


@dataclass(frozen=True)
class FactorScores:
    """Each score under its key with how it was made and what stands beside it."""

    entries: dict[str, tuple[Interval, str, list[Reference]]]
    details: dict[str, Any]


def factor_scores(
    codes: Array, factors: Array, names: list[str], simple: dict[str, Array], *, seed: int = 0
) -> FactorScores | None:
    """Scores of codes (n, d) against factors (n, f) with these names, or None where there is nothing to score.

    `simple`: other codes of the same rows, by name; random codes of the same width, which say what chance gives, are
    added. References have no interval but those of the votes.
    """
    several = [len(np.unique(column)) > 1 for column in factors.T]
    if len(codes) < FEWEST or codes.shape[1] > WIDEST or not any(several):
        return None
    v = factors[:, several]
    n, d = codes.shape
    noise = np.random.default_rng([seed, 1]).standard_normal((n, d))
    gap, tree = scores.mig(codes, v, seed=seed), scores.dci(codes, v, seed=seed)
    machine, votes = scores.sap(codes, v, seed=seed), factor_vae_score(codes, v, seed=seed)
    rows = f"{n:,} rows, {v.shape[1]} factors"
    also = f"completeness {tree.completeness.value:.3f}, informativeness {tree.informativeness.value:.3f}"
    voting = f"{votes.active} of {d} codes vote (standard deviation of {PRUNE:g} or more); interval over votes alone"
    split = f"fitted on {scores.fitted_rows(n):,} of them, judged by others"

    def beside(score: Callable[[Array], Interval]) -> list[Reference]:
        return [Reference.of(name, score(z), how) for name, (z, how) in others.items()]

    others = {name: (z, "") for name, z in simple.items()}
    others["random codes"] = (noise, "chance: a normal draw for each number of each row")
    entries = {
        "mig": (
            gap.score,
            f"gap of mutual information over entropy, mean codes in {scores.BINS} bins, {rows}",
            beside(lambda z: scores.mig(z, v, draws=0).score),
        ),
        "dci_disentanglement": (
            tree.disentanglement,
            f"importances of bagged trees, {rows}, 3 times {split}; {also}",
            beside(lambda z: scores.dci(z, v, repeats=1, seed=seed).disentanglement),
        ),
        "sap": (
            machine.score,
            f"gap of accuracy of a linear support vector machine on one code, {rows}, {split}",
            beside(lambda z: scores.sap(z, v, draws=0, seed=seed).score),
        ),
        "factor_vae_score": (
            votes.score,
            f"votes of groups of {GROUP} rows that share one factor's value, {rows}, {voting}",
            beside(lambda z: factor_vae_score(z, v, seed=seed).score),
        ),
    }
    entropy = scores.information(codes, v)[1]
    details = {
        "names": [name for name, kept in zip(names, several, strict=True) if kept],
        "information": (gap.by_pair / entropy).round(4).tolist(),
        "importance": tree.importance.round(4).tolist(),
        "completeness": tree.completeness.value,
        "informativeness": tree.informativeness.value,
    }
    return FactorScores(entries, details)
