"""Residual generator and critic with spectral norms, for images of any size.

The nets of SAGAN (Zhang et al. 2019, 1805.08318) and BigGAN (Brock et al. 2019, 1809.11096, appendix B), which go back
to Miyato & Koyama 2018 (1802.05637). The generator begins at about 4 x 4 and doubles; the critic halves until it is
there. Where a side is odd the larger half counts: 28 - 14 - 7 - 4. At half the image's size stands the attention.

`width` channels at the full size, twice as many at every halving, at most `widest` times: the published nets are
width 96, widest 16 (128 x 128) and width 256, widest 1 (32 x 32).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conditional import PerClass, SharedWithNoise
from .norm import BatchNorm
from .pixel_attention import PixelAttention
from .sizes import halvings
from .spectral import FIRST, SpectralConv2d, SpectralEmbedding, SpectralLinear, iterate_

__all__ = ["DownBlock", "SpectralCritic", "SpectralGenerator", "UpBlock", "begin_"]

Size = tuple[int, int]


def widths_of(blocks: int, width: int, widest: int) -> list[int]:
    """Channels after each halving."""
    return [width * min(2**i, widest) for i in range(blocks)]


def doubled(x: Tensor, size: Size) -> Tensor:
    """Every pixel four times, cut to `size`."""
    batch, channels, height, width = x.shape
    x = x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(batch, channels, 2 * height, 2 * width)
    return x[:, :, : size[0], : size[1]]


def halved(x: Tensor) -> Tensor:
    """The mean of each 2 x 2 pixels, at an odd end of fewer."""
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def begin_(network: nn.Module, draw: Callable[[Tensor], Any]) -> None:
    """First weights by `draw`, biases 0, singular vectors that fit them."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | SpectralEmbedding):
            draw(layer.weight)
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    for _ in range(FIRST):
        iterate_(network)


class UpBlock(nn.Module):
    """norm, ReLU, doubling, 3x3, norm, ReLU, 3x3, beside a 1x1. That one comes before its doubling, which changes
    nothing but the time it takes."""

    def __init__(self, narrow: int, wide: int, size: Size, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.size = size
        self.norm1, self.norm2 = norm(narrow), norm(wide)
        self.conv1 = SpectralConv2d(narrow, wide, 3, padding=1)
        self.conv2 = SpectralConv2d(wide, wide, 3, padding=1)
        self.beside = SpectralConv2d(narrow, wide, 1)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        h = self.conv1(doubled(F.relu(self.norm1(x, condition)), self.size))
        h = self.conv2(F.relu(self.norm2(h, condition)))
        out: Tensor = h + doubled(self.beside(x), self.size)
        return out


class DownBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, mean of 2 x 2, beside a 1x1 where anything changes; the first one has no ReLU before."""

    def __init__(self, narrow: int, wide: int, *, halves: bool, first: bool = False) -> None:
        super().__init__()
        self.halves, self.first = halves, first
        self.conv1 = SpectralConv2d(narrow, wide, 3, padding=1)
        self.conv2 = SpectralConv2d(wide, wide, 3, padding=1)
        self.beside = SpectralConv2d(narrow, wide, 1) if halves or narrow != wide else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(x if self.first else F.relu(x))
        h = self.conv2(F.relu(h))
        if self.halves:
            h, x = halved(h), halved(x)
        out: Tensor = h + (x if self.beside is None else self.beside(x))
        return out


class SpectralGenerator(nn.Module):
    """z (batch, latent) and label (batch,) -> (batch, *shape), any numbers.

    With `shared` above 0 the conditions of the norms are those of `SharedWithNoise`, else those of `PerClass`.
    """

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        width: int,
        widest: int,
        classes: int = 0,
        shared: int = 0,
        attention: bool = True,
    ) -> None:
        super().__init__()
        channels, *full = shape
        small, *sizes = halvings(*full)[::-1]
        widths = widths_of(len(sizes), width, widest)[::-1]
        self.classes = classes
        self.told: PerClass | SharedWithNoise = (
            SharedWithNoise(latent, len(sizes), classes, shared) if shared else PerClass(latent, len(sizes), classes)
        )
        self.start = (widths[0], *small)
        self.first = SpectralLinear(self.told.first, math.prod(self.start))
        narrow = [widths[0], *widths[:-1]]
        self.blocks = nn.ModuleList(
            UpBlock(a, b, size, self.told.norm) for a, b, size in zip(narrow, widths, sizes, strict=True)
        )
        self.attention = PixelAttention(narrow[-1]) if attention else None
        self.norm = BatchNorm(widths[-1])
        self.last = SpectralConv2d(widths[-1], channels, 3, padding=1)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        h, condition = self.halfway(z, label)
        if self.attention is not None:
            h = self.attention(h)
        out: Tensor = self.last(F.relu(self.norm(self.blocks[-1](h, condition))))
        return out

    def halfway(self, z: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The features at half the image's size, which the attention is given; and what the last block is told."""
        first, conditions = self.told(z, label)
        h = self.first(first).reshape(-1, *self.start)
        for block, condition in zip(self.blocks[:-1], conditions[:-1], strict=True):
            h = block(h, condition)
        return h, conditions[-1]


class SpectralCritic(nn.Module):
    """What is seen (batch, *shape), and label (batch,) -> scores (batch,).

    D(x, y) = w^T phi(x) + b + e_y^T phi(x), the projection of Miyato & Koyama 2018 (equation 4); phi sums over pixels.
    It stops halving where the shorter side is `smallest`; further blocks keep the size.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int,
        widest: int,
        classes: int = 0,
        smallest: int = 4,
        attention: bool = True,
    ) -> None:
        super().__init__()
        channels, *full = shape
        *sizes, _ = halvings(*full)
        widths = widths_of(len(sizes), width, widest)
        halves = [min(size) > smallest for size in sizes]
        self.blocks = nn.ModuleList(
            DownBlock(a, b, halves=half, first=i == 0)
            for i, (a, b, half) in enumerate(
                zip([channels, *widths], [*widths, widths[-1]], [*halves, False], strict=True)
            )
        )
        self.attention = PixelAttention(widths[0]) if attention else None
        self.linear = SpectralLinear(widths[-1], 1)
        self.embedding = SpectralEmbedding(classes, widths[-1]) if classes else None

    def features(self, seen: Tensor) -> Tensor:
        """phi(x), (batch, channels)."""
        h = self.blocks[0](seen)
        if self.attention is not None:
            h = self.attention(h)
        for block in self.blocks[1:]:
            h = block(h)
        return torch.relu(h).sum((2, 3))

    def forward(self, seen: Tensor, label: Tensor | None = None) -> Tensor:
        phi = self.features(seen)
        score: Tensor = self.linear(phi)[:, 0]
        if self.embedding is None:
            return score
        score = score + (self.embedding(label) * phi).sum(1)
        return score
