"""Residual generator and critic without any normalisation, for images of any size and number of channels.

After Huang et al. 2024 (2501.05441), section 4: each size has one transition (bilinear resampling, and a 1x1
convolution where the number of channels changes) and residual blocks of 1x1, grouped 3x3 and 1x1 convolutions with
leaky ReLU between, twice as wide inside as outside. Where others normalise, weights begin as in Zhang et al. 2019
(Fixup, 1901.09321): the last convolution of each block at 0, those before it scaled by L^(-1/4) for L blocks.

A critic of this kind mixes no examples, so the slope of its score at one of them is well defined.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .labels import LabelledNoise, Score
from .players import LEAK, he_
from .sizes import halvings

__all__ = ["ResidualCritic", "ResidualGenerator", "bilinear"]

EXPANSION, GROUP, WIDEST = 2, 16, 4
"""Width inside a block over that outside; channels a group of the 3x3 convolutions; most channels over `width`."""


class Block(nn.Module):
    """x + f(x); f is 0 in the beginning."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = EXPANSION * channels
        groups = math.gcd(wide, max(wide // GROUP, 1))
        self.into = nn.Conv2d(channels, wide, 1)
        self.across = nn.Conv2d(wide, wide, 3, padding=1, groups=groups)
        self.out = nn.Conv2d(wide, channels, 1, bias=False)
        self.act = nn.LeakyReLU(LEAK)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.out(self.act(self.across(self.act(self.into(x)))))
        return x + h


class Resample(nn.Module):
    """(batch, channels, *have) -> (batch, filters, *wanted): bilinear, and a 1x1 convolution at the smaller size."""

    rows: Tensor
    columns: Tensor

    def __init__(self, channels: int, filters: int, have: Sequence[int], wanted: Sequence[int]) -> None:
        super().__init__()
        self.grows = wanted[0] > have[0] or wanted[1] > have[1]
        self.mix = nn.Conv2d(channels, filters, 1, bias=False) if channels != filters else nn.Identity()
        self.register_buffer("rows", bilinear(have[0], wanted[0]), persistent=False)
        self.register_buffer("columns", bilinear(have[1], wanted[1]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(x) if self.grows else x
        x = self.rows.to(x.dtype) @ (x @ self.columns.to(x.dtype).T)
        return x if self.grows else self.mix(x)


def bilinear(have: int, wanted: int) -> Tensor:
    """(wanted, have): the matrix of linear interpolation between pixel centres, as F.interpolate has it.

    A product with it is repeatable on every device and can be differentiated twice.
    """
    at = ((torch.arange(wanted) + 0.5) * (have / wanted) - 0.5).clamp(0, have - 1)
    return (1 - (at[:, None] - torch.arange(have)).abs()).clamp_min(0)


def begin_(network: nn.Module) -> None:
    """He et al. 2015 everywhere; then the blocks as Fixup has them."""
    he_(network)
    blocks = [m for m in network.modules() if isinstance(m, Block)]
    with torch.no_grad():
        for block in blocks:
            for layer in (block.into, block.across):
                layer.weight.mul_(len(blocks) ** -0.25)
            block.out.weight.zero_()


class ResidualGenerator(nn.Module):
    """z (batch, noise) -> (batch, channels, height, width), any numbers; `depth` blocks a size, `width` channels at
    full size, doubled with each halving up to four times that."""

    def __init__(self, noise: int, shape: Sequence[int], *, width: int, depth: int, classes: int = 0) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)[::-1]
        widths = [width * min(2**k, WIDEST) for k in range(len(sizes))][::-1]
        self.classes = classes
        self.noise = LabelledNoise(noise, classes)
        self.first = nn.Linear(self.noise.width, widths[0])
        self.basis = nn.Parameter(torch.randn(widths[0], *sizes[0]))
        layers: list[nn.Module] = [Block(widths[0]) for _ in range(depth)]
        for k in range(1, len(sizes)):
            layers += [Resample(widths[k - 1], widths[k], sizes[k - 1], sizes[k])]
            layers += [Block(widths[k]) for _ in range(depth)]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Conv2d(width, channels, 1)
        begin_(self)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        h = self.first(self.noise(z, label))[:, :, None, None] * self.basis
        out: Tensor = self.last(self.layers(h))
        return out


class ResidualCritic(nn.Module):
    """What is seen (batch, channels, height, width) -> scores (batch,): the generator's mirror."""

    def __init__(self, shape: Sequence[int], *, width: int, depth: int, classes: int = 0) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)
        widths = [width * min(2**k, WIDEST) for k in range(len(sizes))]
        self.first = nn.Conv2d(channels, width, 1)
        layers: list[nn.Module] = [Block(width) for _ in range(depth)]
        for k in range(1, len(sizes)):
            layers += [Resample(widths[k - 1], widths[k], sizes[k - 1], sizes[k])]
            layers += [Block(widths[k]) for _ in range(depth)]
        self.layers = nn.Sequential(*layers)
        self.basis = nn.Parameter(torch.randn(widths[-1], *sizes[-1]) / math.sqrt(math.prod(sizes[-1])))
        self.last = Score(widths[-1], classes)
        begin_(self)

    def forward(self, seen: Tensor, label: Tensor | None = None) -> Tensor:
        h = (self.layers(self.first(seen)) * self.basis).sum((2, 3))
        out: Tensor = self.last(h, label)
        return out
