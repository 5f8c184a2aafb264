"""Rows of a data set as extractors take them: pixels in [0, 1] and cells in raw units, whatever scale a run uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from elboroom.core.errors import InputError, Unable
from elboroom.data.rows import Rows
from elboroom.data.source import Dataset
from elboroom.data.stream import in_order

__all__ = ["Standard", "examples", "training_rows", "unit"]

BATCH = 1024


def training_rows(dataset: Dataset) -> Rows:
    """The training part, the only rows that an extractor is made from."""
    if dataset.spec.kind not in ("images", "table"):
        raise Unable(f"{dataset.name} holds {dataset.spec.kind}; features are taken of images and tables")
    if "train" not in dataset.parts:
        raise InputError(f"{dataset.name} has no training part; name the data that the model was trained on")
    return dataset.parts["train"]


def unit(dataset: Dataset) -> Callable[[Tensor], Tensor]:
    """The map from raw values, as `Rows.take` gives them in "x", to what extractors take."""
    if dataset.spec.kind == "images":
        white = float(dataset.transform.to_json()["white"])
        return lambda raw: raw.float() / white
    return lambda raw: raw if raw.is_floating_point() else raw.float()


def examples(dataset: Dataset, part: str, *, batch: int = BATCH, most: int = 0) -> Iterator[Tensor]:
    """The rows of a part in order, a batch at a time; `most`: so many, evenly spread. A missing cell is NaN."""
    to_unit = unit(dataset)
    for raw in in_order(dataset.parts[part], batch, most):
        yield to_unit(raw["x"])


class Standard(nn.Module):
    """Table cells to mean 0 and standard deviation 1 in each column; a missing cell becomes the mean, 0.

    (batch, columns) to the same in float32; in between float64, since a column may lie far from 0.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(width, dtype=torch.float64))

    def fit(self, batches: Callable[[], Iterable[Tensor]]) -> Standard:
        """Mean and standard deviation over the observed cells, in two passes; a column that never varies keeps 1."""
        count, total, square = (torch.zeros_like(self.center) for _ in range(3))
        for x in batches():
            count += (~x.isnan()).sum(0)
            total += x.double().nansum(0)
        self.center.copy_(total / count.clamp_min(1))
        for x in batches():
            square += (x.double() - self.center).square().nansum(0)
        spread = (square / count.clamp_min(1)).sqrt()
        self.spread.copy_(torch.where(spread > 1e-9 * self.center.abs(), spread, torch.ones_like(spread)))
        return self

    def forward(self, x: Tensor) -> Tensor:
        scaled = (x.double() - self.center) / self.spread
        return torch.where(scaled.isnan(), torch.zeros_like(scaled), scaled).float()
