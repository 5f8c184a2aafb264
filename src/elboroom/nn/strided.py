"""Convolutional generator and critic for images of any size and number of channels.

The nets of Radford et al. 2016 (1511.06434), section 3: convolutions with stride 2, and transposed ones, in place of
pooling; batch norms except where images go in or come out; ReLU in the generator, leaky ReLU in the critic; weights
begin as N(0, 0.02). Sizes are halved, rounded up, until the shorter side is at most 4 (at least twice), and channels
double with each halving. A critic without norms begins as He et al. 2015 (1502.01852) draw it: small weights would fade
from layer to layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from elboroom.core.errors import InputError

from .labels import LabelledNoise, Score
from .norm import BatchNorm
from .players import LEAK, he_, small_normal_
from .sizes import halvings

__all__ = ["ConvCritic", "ConvGenerator"]


def odd(kernel: int) -> int:
    """Half of an odd kernel, rounded down: the padding with which stride 2 halves any size."""
    if kernel % 2 == 0:
        raise InputError(f"--kernel {kernel}: sizes are halved by odd kernels; give 3, 5 or 7")
    return kernel // 2


class ConvGenerator(nn.Module):
    """z (batch, noise) -> (batch, channels, height, width), any numbers.

    `width` is the number of channels at full size, before the last layer; with `refined` that layer is a further
    convolution with stride 1, and the layers before it are wider by one doubling.
    """

    def __init__(
        self,
        noise: int,
        shape: Sequence[int],
        *,
        width: int,
        kernel: int = 5,
        refined: bool = False,
        classes: int = 0,
    ) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)
        self.classes = classes
        self.noise = LabelledNoise(noise, classes)
        wide = width * 2 ** (len(sizes) - 2 + refined)
        self.start = (wide, *sizes[-1])
        self.first = nn.Linear(self.noise.width, math.prod(self.start), bias=False)
        layers: list[nn.Module] = []
        for have, wanted in zip(reversed(sizes), list(reversed(sizes))[1:], strict=False):
            layers += [BatchNorm(wide), nn.ReLU()]
            last = wanted == sizes[0] and not refined
            layers += [doubled(wide, channels if last else wide // 2, kernel, have, wanted, bias=last)]
            wide //= 2
        if refined:
            layers += [BatchNorm(wide), nn.ReLU(), nn.Conv2d(wide, channels, kernel, padding=odd(kernel))]
        self.layers = nn.Sequential(*layers)
        small_normal_(self)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        out: Tensor = self.layers(self.first(self.noise(z, label)).reshape(-1, *self.start))
        return out


def doubled(
    channels: int, filters: int, kernel: int, size: Sequence[int], target: Sequence[int], *, bias: bool
) -> nn.ConvTranspose2d:
    """A transposed convolution from one size to a target of twice it, or twice less one."""
    more = [wanted - (2 * have - 1) for have, wanted in zip(size, target, strict=True)]
    return nn.ConvTranspose2d(
        channels, filters, kernel, stride=2, padding=odd(kernel), output_padding=(more[0], more[1]), bias=bias
    )


class ConvCritic(nn.Module):
    """What is seen (batch, channels, height, width) -> scores (batch,); `width` channels after the first layer."""

    def __init__(
        self, shape: Sequence[int], *, width: int, kernel: int = 5, norm: str = "batch", classes: int = 0
    ) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)
        layers: list[nn.Module] = []
        for step in range(len(sizes) - 1):
            normed = norm == "batch" and step > 0
            layers += [nn.Conv2d(channels, width, kernel, stride=2, padding=odd(kernel), bias=not normed)]
            layers += [BatchNorm(width)] if normed else []
            layers += [nn.LeakyReLU(LEAK)]
            channels, width = width, 2 * width
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.last = Score(channels * math.prod(sizes[-1]), classes)
        small_normal_(self) if norm == "batch" else he_(self)

    def forward(self, seen: Tensor, label: Tensor | None = None) -> Tensor:
        out: Tensor = self.last(self.layers(seen), label)
        return out
