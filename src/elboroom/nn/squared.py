"""A decoder that gives one point, judged by the squared error: the least a decoder can be.

As a law it is a Gaussian around the point whose standard deviation is 1 in the model's space, so -log p is half the
squared error and a constant; a draw is the point itself, as such models are used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.core.spec import Spec

from .head import Head, Independent, full_precision
from .span import Span

__all__ = ["Squared", "SquaredHead"]


@dataclass(frozen=True)
class Squared(Independent):
    """The point (..., size)."""

    point: Tensor
    shape: tuple[int, ...]

    def expected(self) -> Tensor:
        return self.point

    def deviations(self) -> Tensor:
        return torch.ones_like(self.point)

    def draw(self) -> Tensor:
        return self.point

    def surprisal(self, x: Tensor) -> Tensor:
        return 0.5 * (x.to(self.point.dtype) - self.point).square() + 0.5 * math.log(2 * math.pi)


class SquaredHead(Head):
    """One number a value, brought to where values may lie."""

    discrete = False

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.features, self.shape = spec.size, spec.shape
        self.span = Span(spec, counts=True)

    def forward(self, h: Tensor) -> Squared:
        return Squared(self.span(full_precision(h)), self.shape)
