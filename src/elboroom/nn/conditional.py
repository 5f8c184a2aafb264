"""Batch norms that are told what is to be made, and two ways to tell the blocks of a generator.

A conditional batch norm (de Vries et al. 2017, 1707.00683; in a generator Miyato & Koyama 2018, 1802.05637) takes its
gain and its bias from a condition c:  y = (1 + gain(c)) * (x - mean) / sd + bias(c), one pair a channel and example.

PerClass          c is the class, gain and bias are tables of one row a class (Zhang et al. 2019, SAGAN, 1805.08318)
SharedWithNoise   c is an embedding of the class, the same for all norms, beside a part of z that belongs to the block;
                  gain and bias are linear in it (Brock et al. 2019, BigGAN, 1809.11096, appendix B)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from elboroom.core.errors import InputError

from .norm import BatchNorm
from .spectral import SpectralLinear

__all__ = ["ConditionalBatchNorm", "PerClass", "SharedWithNoise", "labels_by"]


def labels_by(shares: Tensor, n: int) -> Tensor:
    """(n,) int64: draws of classes whose shares (classes,) are given, by the default generator."""
    place = torch.rand(n, 1, device=shares.device)
    return (place > shares.cumsum(0)[:-1]).sum(1)


class ConditionalBatchNorm(nn.Module):
    """x (batch, channels, height, width) and c (batch, ...) to the shape of x; `gain` and `bias` map c to channels."""

    def __init__(self, channels: int, gain: nn.Module, bias: nn.Module) -> None:
        super().__init__()
        self.norm = BatchNorm(channels, affine=False)
        self.gain, self.bias = gain, bias

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        out: Tensor = self.norm(x) * gain[:, :, None, None] + bias[:, :, None, None]
        return out


class Unconditional(nn.Module):
    """A batch norm with a gain and a bias of its own, called as a conditional one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = BatchNorm(channels)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        out: Tensor = self.norm(x)
        return out


class PerClass(nn.Module):
    """z goes in at the start alone; every norm has a row of its own for each class, or knows none."""

    def __init__(self, latent: int, blocks: int, classes: int) -> None:
        super().__init__()
        self.first, self.blocks, self.classes = latent, blocks, classes

    def norm(self, channels: int) -> nn.Module:
        """A norm that understands the conditions given here; all classes begin alike."""
        if not self.classes:
            return Unconditional(channels)
        gain, bias = nn.Embedding(self.classes, channels), nn.Embedding(self.classes, channels)
        nn.init.zeros_(gain.weight)
        nn.init.zeros_(bias.weight)
        return ConditionalBatchNorm(channels, gain, bias)

    def forward(self, z: Tensor, label: Tensor | None) -> tuple[Tensor, list[Tensor | None]]:
        """What the first layer is given (batch, first), and a condition for each block."""
        return z, [label if self.classes else None] * self.blocks


class SharedWithNoise(nn.Module):
    """z (batch, latent) is cut into equal parts, one for the start and one for each block; without classes these alone
    are the conditions. What cannot be shared out equally goes in at the start."""

    def __init__(self, latent: int, blocks: int, classes: int, width: int) -> None:
        super().__init__()
        self.part = latent // (blocks + 1)
        if not self.part:
            raise InputError(
                f"--latent {latent}: z is cut into {blocks + 1} parts, one for each block; give {blocks + 1} or more"
            )
        self.first, self.blocks, self.classes = latent - blocks * self.part, blocks, classes
        self.embedding = nn.Embedding(classes, width) if classes else None
        if self.embedding is not None:
            nn.init.orthogonal_(self.embedding.weight)
        self.width = self.part + (width if classes else 0)

    def norm(self, channels: int) -> nn.Module:
        """A norm that understands the conditions given here."""
        gain, bias = (SpectralLinear(self.width, channels, bias=False) for _ in range(2))
        return ConditionalBatchNorm(channels, gain, bias)

    def forward(self, z: Tensor, label: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """What the first layer is given (batch, first), and a condition (batch, width) for each block."""
        first, *parts = z.split([self.first, *[self.part] * self.blocks], 1)
        if self.embedding is None:
            return first, parts
        known = self.embedding(label)
        return first, [torch.cat([known, part.to(known.dtype)], 1) for part in parts]
