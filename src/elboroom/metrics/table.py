"""How close a decoded table is, column by column, in the user's units, over the cells that were measured.

r2 = 1 - sum of squared errors / sum of squared distances to the training part's column mean: 0 is as good as the
mean, 1 is exact, below 0 is worse than the mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from elboroom.core.spec import Column

from .interval import finite

__all__ = ["ColumnSums", "numeric_columns", "r_squared"]


def numeric_columns(columns: Sequence[Column]) -> Tensor:
    """(columns,) bool: those whose values can be subtracted."""
    return torch.tensor([column.kind != "categorical" for column in columns])


def r_squared(error: float, spread: float) -> float:
    """Share of the squared distance to the mean that is explained; NaN where there is none."""
    return 1 - error / spread if spread > 0 else math.nan


class ColumnSums:
    """Running sums for each column of what several predictors ("model", "mean", "pca") say of the same cells."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = list(columns)
        self.count = torch.zeros(len(self.columns), dtype=torch.float64)
        self.square: dict[str, Tensor] = {}
        self.absolute: dict[str, Tensor] = {}
        self.right: dict[str, Tensor] = {}

    def add(self, x_BC: Tensor, predicted: Mapping[str, Tensor], observed: Tensor | None = None) -> None:
        """x and each prediction (batch, columns) in the user's units."""
        seen = torch.ones_like(x_BC, dtype=torch.bool) if observed is None else observed
        self.count += seen.sum(0).cpu()
        for name, guess in predicted.items():
            error = torch.where(seen, (guess - x_BC).double(), torch.zeros((), dtype=torch.float64, device=x_BC.device))
            hit = seen & (guess.round() == x_BC)
            for sums, term in ((self.square, error.square()), (self.absolute, error.abs()), (self.right, hit)):
                sums[name] = sums.get(name, torch.zeros_like(self.count)) + term.sum(0).cpu()

    def table(self) -> list[dict[str, Any]]:
        """One entry a column: mae and r2 of every predictor, or the share right where values are names."""
        return [self._entry(i, column) for i, column in enumerate(self.columns)]

    def _entry(self, i: int, column: Column) -> dict[str, Any]:
        n = int(self.count[i])
        entry: dict[str, Any] = {"name": column.name, "kind": column.kind, "n": n}
        for name in self.square:
            if column.kind == "categorical":
                if name == "pca":  # of numbers that stand for names it says nothing
                    continue
                entry[f"accuracy_{name}"] = finite(float(self.right[name][i]) / n) if n else None
                continue
            entry[f"mae_{name}"] = finite(float(self.absolute[name][i]) / n) if n else None
            if "mean" in self.square:
                entry[f"r2_{name}"] = finite(r_squared(float(self.square[name][i]), float(self.square["mean"][i])))
        return entry
