"""Which few columns tell most of all the others: greedy column subset selection on the training part.

Farahat, Elgohary, Ghodsi & Kamel 2013 (doi 10.1007/s10115-012-0538-1): take the column whose span explains most of the
squared length of all columns, remove it from all, and again. With E what is left of the columns (n, d), column l scores
|E^T E_l|^2 / |E_l|^2; the numerators f and denominators g follow from step to step without E being made anew, in
O(n d) a step. Columns count alike, with mean 0 and standard deviation 1. Nothing is drawn: equal data, equal choice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elboroom.core.errors import InputError
from elboroom.core.spec import Spec

from .rows import Rows
from .stream import in_order
from .transforms import Transform

__all__ = ["HOW", "choose_landmarks", "greedy_columns"]

HOW = "chosen greedily on the training part: each explains most of what all columns still hold"
ROWS = 20_000
CELLS = 1 << 26
"""At most so many rows and cells are looked at."""
SPENT = 1e-4
"""A column with this share of its variance left lies in the span of those chosen."""


def choose_landmarks(rows: Rows, transform: Transform, spec: Spec, count: int) -> tuple[int, ...]:
    """Places of `count` columns of numbers, ascending; fewer where the rest add nothing."""
    able = np.array([column.kind != "categorical" for column in spec.columns])
    if count >= len(spec.columns):
        raise InputError(
            f"--landmarks {count}: the table has {len(spec.columns)} columns, and some must be left to be told from "
            "the landmarks; choose fewer"
        )
    if not able.any():
        raise InputError("--landmarks: the table has no column of numbers; name columns with --observed")
    most = max(2, min(ROWS, CELLS // len(spec.columns)))
    parts = [transform(raw).x.cpu().numpy() for raw in in_order(rows, 1024, most)]
    x = np.concatenate(parts).astype(np.float32)
    counts = [i for i, column in enumerate(spec.columns) if column.kind == "count"]
    x[:, counts] = np.log1p(x[:, counts])
    return tuple(sorted(greedy_columns(x, count, able)))


def greedy_columns(x: NDArray[np.float32], count: int, able: NDArray[np.bool_]) -> list[int]:
    """Columns of x (n, d) in the order of their choice; only those that are `able` are taken."""
    spread = x.std(0)
    e = (x - x.mean(0)) / np.where(spread > 0, spread, 1)
    n, d = e.shape
    f = np.concatenate([np.square(e.T @ e[:, at : at + 512]).sum(0, dtype=np.float64) for at in range(0, d, 512)])
    g = np.square(e).sum(0, dtype=np.float64)
    weights = np.zeros((0, d))
    chosen: list[int] = []
    for _ in range(count):
        score = np.where(able & (g > SPENT * n), f / np.maximum(g, SPENT), -1.0)
        score[chosen] = -1.0
        best = int(score.argmax())
        if score[best] < 0:
            break
        chosen.append(best)
        left = e.T @ e[:, best] - weights[:, best] @ weights
        w = left / np.sqrt(left[best])
        h = e.T @ (e @ w) - (weights @ w) @ weights
        f = f - 2 * w * h + (w @ w) * w * w
        g = g - w * w
        weights = np.vstack([weights, w])
    return chosen
