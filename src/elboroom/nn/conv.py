"""Convolutional encoder and decoder for images of any size and number of channels.

The nets of the UvA deep learning course (tutorial 9, with 32 base channels): five 3x3 layers that halve the image
three times, and their mirror. At 28 x 28 with 20 latent dimensions: 142,920 and, with 16 levels, 127,696 parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from .mlp import ACTIVATIONS, MLP

__all__ = ["ConvDecoder", "ConvEncoder"]

BASE = 32


def halved(size: int) -> int:
    """Length of an axis after a 3x3 convolution with stride 2 and padding 1."""
    return (size + 1) // 2


class ConvEncoder(nn.Module):
    """(batch, *shape) -> (batch, width_out); `hidden` are fully connected layers after the convolutions."""

    def __init__(
        self,
        shape: Sequence[int],
        hidden: Sequence[int],
        width_out: int,
        *,
        activation: str = "gelu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = []
        for filters, stride in ((BASE, 2), (BASE, 1), (2 * BASE, 2), (2 * BASE, 1), (2 * BASE, 2)):
            layers += [nn.Conv2d(channels, filters, 3, stride, padding=1), ACTIVATIONS[activation]()]
            channels = filters
            if stride == 2:
                height, width = halved(height), halved(width)
        self.conv = nn.Sequential(*layers)
        self.dense = MLP(channels * height * width, hidden, width_out, activation=activation, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dense(self.conv(x.to(self.dense.last.weight.dtype)))
        return out


class ConvDecoder(nn.Module):
    """(batch, width_in) -> (batch, channels, height, width); `hidden` are fully connected layers before the others."""

    def __init__(
        self,
        width_in: int,
        hidden: Sequence[int],
        shape: Sequence[int],
        *,
        activation: str = "gelu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, *full = shape
        half = [halved(size) for size in full]
        quarter = [halved(size) for size in half]
        eighth = [halved(size) for size in quarter]
        self.start = (2 * BASE, *eighth)
        self.dense = MLP(width_in, hidden, math.prod(self.start), activation=activation, dropout=dropout)
        act = ACTIVATIONS[activation]
        self.conv = nn.Sequential(
            act(),
            _doubled(2 * BASE, 2 * BASE, eighth, quarter),
            act(),
            nn.Conv2d(2 * BASE, 2 * BASE, 3, padding=1),
            act(),
            _doubled(2 * BASE, BASE, quarter, half),
            act(),
            nn.Conv2d(BASE, BASE, 3, padding=1),
            act(),
            _doubled(BASE, channels, half, full),
        )

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.conv(self.dense(z).reshape(-1, *self.start))
        return out


def _doubled(channels: int, filters: int, size: Sequence[int], target: Sequence[int]) -> nn.ConvTranspose2d:
    """A transposed convolution from one size to a target of twice it, or twice less one."""
    missing = [wanted - (2 * have - 1) for have, wanted in zip(size, target, strict=True)]
    return nn.ConvTranspose2d(channels, filters, 3, stride=2, padding=1, output_padding=(missing[0], missing[1]))
