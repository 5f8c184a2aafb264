"""What stands beside a model that fills in missing cells: the column's mean, nearest rows, ridge regression.

All see rows (n, columns) in the model's space, NaN where a cell is missing, and give a number for every cell.
k, and the strength of the ridge, are chosen on rows that were not fitted on, with cells hidden as in the question.

Ridge regression of every missing cell on the measured ones of its row, for any pattern of missing cells, is
E[x_m given x_o] = mean_m + C_mo (C_oo + a I)^-1 (x_o - mean_o) with the covariance C of the training rows: where all
rows lack the same columns it is Hoerl & Kennard's (1970) estimator, column by column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

__all__ = ["ColumnMeans", "Filler", "NearestRows", "RidgeFilling", "fitted"]

Array = NDArray[np.floating]
NEIGHBOURS = (1, 3, 5, 10, 20, 50)
STRENGTHS = tuple(float(10.0**e) for e in np.arange(-4, 2.5, 0.5))
"""Of the ridge, times the mean variance of the columns that are known."""
WORK = 1e11
"""Operations of all solutions of the ridge together, above which it is left out."""


class Filler(ABC):
    """Fitted on training rows; `choices` are the values of its one setting, `chosen` the one it was given."""

    name: str
    choices: tuple[float, ...] = (0.0,)
    chosen: float = 0.0

    @abstractmethod
    def fit(self, rows: Array) -> None:
        """Learn from rows (n, columns)."""

    @abstractmethod
    def fill(self, rows: Array, setting: float) -> Array:
        """(m, columns): every cell as told from the measured ones of its row."""

    def __call__(self, rows: Array) -> Array:
        """`fill` with the chosen setting."""
        return self.fill(rows, self.chosen)

    @property
    def told(self) -> str:
        """The name with its setting."""
        return self.name


class ColumnMeans(Filler):
    """The training part's mean of each column."""

    name = "mean of each column"

    def fit(self, rows: Array) -> None:
        self.mean = _means(rows)

    def fill(self, rows: Array, setting: float) -> Array:
        return np.broadcast_to(self.mean, rows.shape)


class NearestRows(Filler):
    """The mean of the k training rows that are nearest in the cells both rows have, by mean squared distance."""

    name = "nearest rows"
    choices = tuple(map(float, NEIGHBOURS))

    def fit(self, rows: Array) -> None:
        self.rows, self.mean = rows, _means(rows)
        self.there = np.isfinite(rows)

    def fill(self, rows: Array, setting: float) -> Array:
        k = min(int(setting), len(self.rows))
        out = np.empty(rows.shape, np.float32)
        for at in range(0, len(rows), 256):
            near = np.argpartition(self._distance(rows[at : at + 256]), k - 1, axis=1)[:, :k]
            for i, which in enumerate(near):
                seen, values = self.there[which], self.rows[which]
                count = seen.sum(0)
                total = np.where(seen, values, 0).sum(0)
                out[at + i] = np.where(count > 0, total / np.maximum(count, 1), self.mean)
        return out

    def _distance(self, rows: Array) -> Array:
        """(m, n): mean squared difference over shared cells, endless where there is none."""
        known = np.isfinite(rows).any(0)
        mine, theirs = np.isfinite(rows[:, known]), self.there[:, known]
        a, b = np.where(mine, rows[:, known], 0), np.where(theirs, self.rows[:, known], 0)
        m, t = mine.astype(a.dtype), theirs.astype(b.dtype)
        square = np.square(a) @ t.T - 2 * a @ b.T + m @ np.square(b).T
        shared = m @ t.T
        return np.where(shared > 0, np.maximum(square, 0) / np.maximum(shared, 1), np.inf)

    @property
    def told(self) -> str:
        return f"{int(self.chosen)} nearest rows"


class RidgeFilling(Filler):
    """See the head of the file."""

    name = "ridge regression"
    choices = STRENGTHS

    def __init__(self, known: NDArray[np.bool_]) -> None:
        """`known` (columns,): the columns of which any row to be filled has a cell; no others are ever regressed on."""
        self.known = np.flatnonzero(known)

    def fit(self, rows: Array) -> None:
        self.mean = _means(rows)
        off = np.where(np.isfinite(rows), rows - self.mean, 0)
        self.cross = off[:, self.known].astype(np.float64).T @ off / len(rows)
        self.scale = max(float(np.diagonal(self.cross[:, self.known]).mean()), 1e-12)

    def fill(self, rows: Array, setting: float) -> Array:
        seen = np.isfinite(rows[:, self.known])
        patterns, member = np.unique(seen, axis=0, return_inverse=True)
        out = np.empty(rows.shape, np.float64)
        for number, pattern in enumerate(patterns):
            which, at = np.flatnonzero(member.ravel() == number), np.flatnonzero(pattern)
            cross = self.cross[at]
            within = cross[:, self.known[at]] + setting * self.scale * np.eye(len(at))
            off = (rows[np.ix_(which, self.known[at])] - self.mean[self.known[at]]).astype(np.float64)
            out[which] = self.mean + np.linalg.solve(within, off.T).T @ cross
        return out

    @property
    def told(self) -> str:
        return f"ridge regression, strength {self.chosen:.2g}"


def fitted(train: Array, choosing: Array, hidden: Array, question: Array) -> list[Filler]:
    """The baselines, settings chosen by squared error on the rows `choosing`, whose cells `hidden` holds the truth.

    `hidden` is NaN where nothing is asked. Of `question`, the rows to be filled, only the patterns are looked at: where
    ridge regression would have to be solved for too many of them it is left out.
    """
    known: NDArray[np.bool_] = np.isfinite(np.concatenate([question, choosing])).any(axis=0)
    fillers: list[Filler] = [ColumnMeans(), NearestRows()]
    solutions = len(np.unique(np.isfinite(np.concatenate([question, choosing])), axis=0))
    if solutions * (known.sum() ** 3 / 3 + known.sum() * train.shape[1]) * len(STRENGTHS) <= WORK:
        fillers.append(RidgeFilling(known))
    asked = np.isfinite(hidden)
    for filler in fillers:
        filler.fit(train)
        errors = [
            float(np.square(np.where(asked, filler.fill(choosing, setting) - hidden, 0)).sum())
            if len(filler.choices) > 1
            else 0.0
            for setting in filler.choices
        ]
        filler.chosen = filler.choices[int(np.argmin(errors))]
    return fillers


def _means(rows: Array) -> NDArray[np.float64]:
    """Mean of each column over its measured cells; 0 where it has none."""
    there = np.isfinite(rows)
    total = np.where(there, rows, 0).sum(0, dtype=np.float64)
    out: NDArray[np.float64] = total / np.maximum(there.sum(0), 1)
    return out
