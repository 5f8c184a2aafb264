"""How well one number tells classes apart by a linear support vector machine: exact, and all classes at once.

The machine of SAP's published protocol (Kumar et al. 2018; settings of Locatello et al. 2019): one class against the
rest, squared hinge, C = 0.01, the classes balanced, an intercept that is penalised like the slope. For each class

    minimise over (w, b)   (w^2 + b^2) / 2 + C sum_i c_i max(0, 1 - y_i (w x_i + b))^2,

c_i = n / (classes * size of the class) where y_i = 1, and 1 elsewhere (both sides are weighed where there are two
classes). The one idea: which rows have a loss is decided by where x lies beside two thresholds, so with x sorted once
every sum is a difference of running sums, and a Newton step over any number of rows costs two binary searches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["accuracies", "fit"]

Floats = NDArray[np.float64]
STEPS = 100  # a guard; 5 to 20 are needed


@dataclass(frozen=True)
class _Classes:
    """The classes of all factors side by side, a machine for each, or one for a factor of two."""

    member: NDArray[np.bool_]
    """(rows, machines): whether the row counts as 1."""
    weight: Floats
    """(2, machines): c_i of a row that counts as 1, and of one that counts as -1."""
    named: list[tuple[slice, NDArray[Any]]]
    """Of each factor its machines and its classes."""

    @classmethod
    def of(cls, y: NDArray[Any]) -> _Classes:
        members, weights, named = [], [], []
        at = 0
        for column in y.T:
            classes, count = np.unique(column, return_counts=True)
            balanced = len(column) / (len(classes) * count)
            asked = slice(1, 2) if len(classes) == 2 else slice(0, len(classes))
            members.append(column[:, None] == classes[asked])
            rest = balanced[:1] if len(classes) == 2 else np.ones(len(classes))
            weights.append(np.stack([balanced[asked], rest]))
            named.append((slice(at, at + len(rest)), classes))
            at += len(rest)
        return cls(np.concatenate(members, 1), np.concatenate(weights, 1), named)


def accuracies(x_train: Floats, y_train: NDArray[Any], x_test: Floats, y_test: NDArray[Any], *, c: float) -> Floats:
    """(codes, factors): share of the test rows whose class the machine on one code alone names.

    x: (rows, codes); y: (rows, factors) whole numbers. Of equal scores the lower class wins.
    """
    classes = _Classes.of(y_train)
    out = np.zeros((x_train.shape[1], y_train.shape[1]))
    for i, x in enumerate(x_train.T):
        w, b = _fit(x, classes, c)
        for j, (machines, names) in enumerate(classes.named):
            score = x_test[:, i, None] * w[machines] + b[machines]
            place = (score[:, 0] > 0).astype(np.int64) if len(names) == 2 else score.argmax(1)
            out[i, j] = np.mean(names[place] == y_test[:, j])
    return out


def fit(x: Floats, y: NDArray[Any], *, c: float) -> tuple[Floats, Floats]:
    """Slopes and intercepts (classes,) of the scores of one factor y (rows,) by x (rows,); one of each for two."""
    return _fit(x, _Classes.of(np.asarray(y)[:, None]), c)


def _fit(x: Floats, classes: _Classes, c: float) -> tuple[Floats, Floats]:
    """Newton's method, each machine with halved steps where its loss would rise."""
    order = np.argsort(x, kind="stable")
    x, member = x[order], classes.member[order]
    machines = np.arange(member.shape[1])
    powers = np.stack([np.ones_like(x), x, x * x], 1)
    everyone = np.concatenate([np.zeros((1, 3)), powers.cumsum(0)])
    mine = np.zeros((len(x) + 1, 3, len(machines)))
    np.cumsum(powers[:, :, None] * member[:, None, :], axis=0, out=mine[1:])
    c_mine, c_rest = c * classes.weight

    def sums(w: Floats, limit: Floats, *, below: bool) -> tuple[Floats, Floats]:
        """Sums of (1, x, x^2) over the rows with w x < limit, or > limit: (machines, 3), of members and of the rest."""
        safe = np.where(w == 0, 1.0, w)
        at = np.searchsorted(x, limit / safe)
        at = np.where(w == 0, np.where(limit > 0, len(x), 0), at)
        held, all_held = mine[at, :, machines], everyone[at]
        turned = np.where(w == 0, not below, (w > 0) != below)[:, None]
        held = np.where(turned, mine[-1].T - held, held)
        return held, np.where(turned, everyone[-1] - all_held, all_held) - held

    def look(theta: Floats) -> tuple[Floats, Floats, Floats]:
        """Losses (machines,), gradients (machines, 2) and curvatures (machines, 2, 2)."""
        w, b = theta.T
        inside = c_mine[:, None] * sums(w, 1 - b, below=True)[0]
        outside = c_rest[:, None] * sums(w, -1 - b, below=False)[1]
        (n, sx, sxx), (m, tx, _) = (inside + outside).T, (inside - outside).T  # of rows with a loss; those times y
        half = np.stack([np.stack([sxx, sx], 1), np.stack([sx, n], 1)], 1)
        pull, pressed = np.stack([tx, m], 1), (half @ theta[:, :, None])[:, :, 0]
        loss = (theta * (theta / 2 - 2 * pull + pressed)).sum(1) + n
        return loss, theta + 2 * (pressed - pull), np.eye(2) + 2 * half

    theta = np.zeros((len(machines), 2))
    loss, slope, curvature = look(theta)
    for _ in range(STEPS):
        step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
        while True:
            found = look(theta - step)
            worse = found[0] > loss + 1e-12 * np.abs(loss)
            if not worse.any():
                break
            step[worse] /= 2
        done = np.all(loss - found[0] <= 1e-12 * np.abs(loss))
        theta, (loss, slope, curvature) = theta - step, found
        if done:
            break
    return theta[:, 0], theta[:, 1]
