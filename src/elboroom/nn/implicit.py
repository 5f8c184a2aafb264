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

__all__ = ["Implicit", "NoiseIn"]

POINTS = 32
"""Fixed draws of the noise that mean and spread are taken over."""


@dataclass(frozen=True)
class Implicit:
    """q(z given x) for features of x (batch, width): computed when it is asked for."""

    network: NoiseIn
    features: Tensor

    @property
    def mean(self) -> Tensor:
        """(batch, latent): over the fixed draws."""
        return self.network.fixed(self.features).mean(0)

    @property
    def stddev(self) -> Tensor:
        """(batch, latent): over the fixed draws."""
        return self.network.fixed(self.features).std(0)

    def rsample(self) -> Tensor:
        """(batch, latent): of new noise, each time."""
        h = self.features
        out: Tensor = self.network(h, torch.randn(len(h), self.network.noise, device=h.device, dtype=h.dtype))
        return out


class NoiseIn(nn.Module):
    """Features of x (batch, width_in) and noise (batch, noise) -> z (batch, latent)."""

    points: Tensor

    def __init__(self, width_in: int, noise: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.network = MLP(width_in + noise, (hidden,), latent)
        self.noise = noise
        self.register_buffer("points", torch.randn(POINTS, noise))

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        out: Tensor = self.network(torch.cat([features, noise], 1))
        return out

    def fixed(self, features: Tensor) -> Tensor:
        """(POINTS, batch, latent): the same noise for every example, whatever else is in the batch."""
        rows = features.shape[0]
        noise = self.points.to(features.dtype).repeat_interleave(rows, 0)
        out: Tensor = self(features.repeat(POINTS, 1), noise)
        return out.reshape(POINTS, rows, -1)
