"""Networks between an example and a row of vectors, one a place: what a vector quantiser stands between.

Images: two 4x4 layers that halve each side, a 3x3 one, residual blocks, and the mirror (van den Oord et al. 2017,
section 4.1), so a place is a patch of 4 x 4 pixels; images of less than 12 are halved once. Other data: fully connected
layers, and as many places as asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from .conv import halved
from .mlp import MLP

__all__ = ["conv_pair", "mlp_pair"]

SMALL = 12


class Residual(nn.Module):
    """x + 1x1(ReLU(3x3(ReLU(x))))."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(width, inner, 3, padding=1)
        self.outer = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.outer(self.inner(x.relu()).relu())
        return out


def sides(shape: Sequence[int]) -> list[tuple[int, int]]:
    """Sizes of the picture from whole to smallest."""
    height, width = shape[1:]
    out = [(height, width)]
    for _ in range(1 if min(height, width) < SMALL else 2):
        height, width = halved(height), halved(width)
        out.append((height, width))
    return out


def conv_pair(
    shape: Sequence[int], features: int, width: int, blocks: int, code: int
) -> tuple[nn.Module, nn.Module, int]:
    """Encoder of images of that shape to vectors of width `code`, decoder to `features` numbers, and the places."""
    made = (features // math.prod(shape[1:]), *shape[1:])
    places = math.prod(sides(shape)[-1])
    return ConvPlaces(shape, width, blocks, code), PlacesConv(made, width, blocks, code), places


def mlp_pair(shape: Sequence[int], features: int, hidden: int, places: int, code: int) -> tuple[nn.Module, nn.Module]:
    """The same, fully connected, of any data."""
    encoder = MLPPlaces(math.prod(shape), (hidden,), places, code)
    return encoder, PlacesMLP(places * code, (hidden,), features)


class ConvPlaces(nn.Module):
    """(batch, channels, height, width) -> (batch, places, D)."""

    def __init__(self, shape: Sequence[int], width: int, blocks: int, out: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = shape[0]
        for i in range(len(sides(shape)) - 1):
            wide = width // 2 if i == 0 else width
            layers += [nn.Conv2d(channels, wide, 3, stride=2, padding=1), nn.ReLU()]
            channels = wide
        layers += [nn.Conv2d(channels, width, 3, padding=1), *(Residual(width, width // 4) for _ in range(blocks))]
        self.network = nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(width, out, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(x)
        return out.flatten(2).transpose(1, 2)


class PlacesConv(nn.Module):
    """(batch, places, D) -> (batch, channels * height * width), channels slowest."""

    def __init__(self, shape: Sequence[int], width: int, blocks: int, given: int) -> None:
        super().__init__()
        down = sides(shape)
        self.start = down[-1]
        layers: list[nn.Module] = [nn.Conv2d(given, width, 3, padding=1)]
        layers += [Residual(width, width // 4) for _ in range(blocks)]
        channels = width
        for i, (small, large) in enumerate(zip(down[:0:-1], down[-2::-1], strict=True)):
            last = i == len(down) - 2
            wide = shape[0] if last else width // 2
            missing = [big - (2 * less - 1) for less, big in zip(small, large, strict=True)]
            up = nn.ConvTranspose2d(channels, wide, 3, 2, 1, output_padding=(missing[0], missing[1]))
            layers += [nn.ReLU(), up]
            channels = wide
        self.network = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.network(z.transpose(1, 2).reshape(z.shape[0], -1, *self.start))
        return out.flatten(1)


class MLPPlaces(nn.Module):
    """(batch, ...) -> (batch, places, D)."""

    def __init__(self, size: int, hidden: Sequence[int], places: int, out: int) -> None:
        super().__init__()
        self.network, self.places = MLP(size, hidden, places * out), places

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(x)
        return out.reshape(x.shape[0], self.places, -1)


class PlacesMLP(nn.Module):
    """(batch, places, D) -> (batch, features)."""

    def __init__(self, given: int, hidden: Sequence[int], features: int) -> None:
        super().__init__()
        self.network = MLP(given, tuple(reversed(hidden)), features)

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.network(z)
        return out
