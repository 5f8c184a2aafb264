"""How two players are told of a label: a vector beside the noise, and a direction in the critic's features.

Mirza & Osindero 2014, Conditional generative adversarial nets (1411.1784), for the first; Miyato & Koyama 2018, cGANs
with projection discriminator (1802.05637), for the second. Without classes both are the plain thing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LabelledNoise", "Score"]

EMBEDDED = 32
"""Width of the vector beside the noise."""


class LabelledNoise(nn.Module):
    """z (batch, noise) -> (batch, width): z, and a learned vector of the label where there are classes."""

    def __init__(self, noise: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, EMBEDDED) if classes else None
        self.width = noise + EMBEDDED * bool(classes)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return z if self.embedding is None else torch.cat([z, self.embedding(label).to(z.dtype)], 1)


class Score(nn.Module):
    """Features h (batch, width) -> (batch,): w h + b, and with classes + v_label h (equation 4 of the second)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        self.embedding = nn.Embedding(classes, width) if classes else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=width**-0.5)

    def forward(self, h: Tensor, label: Tensor | None = None) -> Tensor:
        score: Tensor = self.linear(h)[:, 0]
        return score if self.embedding is None else score + (self.embedding(label) * h).sum(1)
