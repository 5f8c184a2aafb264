"""Fully connected generator and critic.

Weights begin as He et al. 2015 (1502.01852) draw them for such layers; beside batch norms and maxout units as draws of
N(0, 0.02), as in PacGAN's nets. Biases begin at 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from .norm import BatchNorm

__all__ = ["LEAK", "MLPCritic", "MLPGenerator", "Maxout", "he_", "small_normal_"]

LEAK = 0.2


def small_normal_(network: nn.Module, sd: float = 0.02) -> None:
    """N(0, sd) weights and zero biases of every linear and convolutional layer (Radford et al. 2016)."""
    for layer in network.modules():
        if isinstance(layer, LAYERS):
            nn.init.normal_(layer.weight, std=sd)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def he_(network: nn.Module) -> None:
    """N(0, 2 / inputs) weights, corrected for the leak, and zero biases."""
    for layer in network.modules():
        if isinstance(layer, LAYERS):
            nn.init.kaiming_normal_(layer.weight, a=LEAK)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


class Maxout(nn.Module):
    """(batch, width_in) -> (batch, width_out): each unit is the largest of `pieces` linear ones (1302.4389)."""

    def __init__(self, width_in: int, width_out: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width_in, width_out * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.linear(x)
        return h.reshape(h.shape[0], -1, self.pieces).amax(2)


class MLPGenerator(nn.Module):
    """z (batch, width) -> (batch, *shape), any numbers; ReLU, with or without batch norms before it."""

    def __init__(self, width: int, hidden: Sequence[int], shape: Sequence[int], *, norm: str = "none") -> None:
        super().__init__()
        self.shape = tuple(shape)
        layers: list[nn.Module] = []
        for wide in hidden:
            layers += [nn.Linear(width, wide, bias=norm == "none")]
            layers += [BatchNorm(wide)] if norm == "batch" else []
            layers += [nn.ReLU()]
            width = wide
        self.hidden = nn.Sequential(*layers)
        self.last = nn.Linear(width, math.prod(self.shape))
        small_normal_(self) if norm == "batch" else he_(self)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        out: Tensor = self.last(self.hidden(z))
        return out.reshape(-1, *self.shape)


class MLPCritic(nn.Module):
    """What is seen (batch, *shape) -> scores (batch,); leaky ReLU, or maxout."""

    def __init__(self, shape: Sequence[int], hidden: Sequence[int], *, maxout: int = 0) -> None:
        super().__init__()
        width, layers = math.prod(shape), list[nn.Module]()
        for wide in hidden:
            layers += [Maxout(width, wide, maxout)] if maxout else [nn.Linear(width, wide), nn.LeakyReLU(LEAK)]
            width = wide
        self.hidden = nn.Sequential(*layers)
        self.last = nn.Linear(width, 1)
        small_normal_(self) if maxout else he_(self)

    def forward(self, seen: Tensor, label: Tensor | None = None) -> Tensor:
        out: Tensor = self.last(self.hidden(seen.flatten(1)))
        return out[:, 0]
