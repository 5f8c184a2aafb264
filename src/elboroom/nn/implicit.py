"""A posterior without a density: noise goes into the encoder together with the example.

Makhzani et al. 2016 (1511.05644), section 2: q(z given x) is the law of f(x, noise), of any shape ("universal
approximator"), so q(z) may fit a prior even where each x would have one point. Its density is not known; it can be
drawn from, and its mean and spread are taken over a few fixed draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .mlp import MLP

__all__ = ["Draws", "NoiseIn"]

POINTS = 32
"""Fixed draws of the noise that mean and spread are taken over."""


@dataclass(frozen=True)
class Draws:
    """q(z given x) as draws."""

    points: Tensor
    """(POINTS, batch, latent): of the fixed noise."""
    fresh: Tensor
    """(batch, latent): of new noise."""

    @property
    def mean(self) -> Tensor:
        return self.points.mean(0)

    @property
    def stddev(self) -> Tensor:
        return self.points.std(0)

    def rsample(self) -> Tensor:
        return self.fresh


class NoiseIn(nn.Module):
    """Features of x (batch, width_in) and noise -> z (batch, latent)."""

    points: Tensor

    def __init__(self, width_in: int, noise: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.network = MLP(width_in + noise, (hidden,), latent)
        self.noise = noise
        self.register_buffer("points", torch.randn(POINTS, noise))

    def draw(self, features: Tensor) -> Tensor:
        """(batch, latent), by new noise."""
        noise = torch.randn(features.shape[0], self.noise, device=features.device, dtype=features.dtype)
        out: Tensor = self.network(torch.cat([features, noise], 1))
        return out

    def forward(self, features: Tensor) -> Draws:
        rows = features.shape[0]
        noise = self.points.to(features.dtype)[:, None].expand(-1, rows, -1)
        both = torch.cat([features.expand(POINTS, -1, -1), noise], 2)
        points = self.network(both.reshape(POINTS * rows, -1)).reshape(POINTS, rows, -1)
        return Draws(points, self.draw(features))
