"""The small networks that learn features: from an example to a vector, without statistics of the batch.

Images: 3x3 convolutions of stride 2 until no side is longer than 5, each with group normalisation (Wu & He 2018), which
treats every image alone; what is left is flattened, so that a feature knows where it is. Tables: two dense layers.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from elboroom.data.source import Dataset
from elboroom.nn.conv import halved

from .inputs import Standard, examples

__all__ = ["ChannelsApart", "ImageBody", "TableBody", "body"]

FIRST, MOST = 16, 64
"""Channels of the first convolution, doubled in each, up to the most."""
SMALL = 5
"""A map whose sides are no longer is flattened."""


class ImageBody(nn.Module):
    """(batch, channels, height, width) in [0, 1] -> (batch, 96), none below 0."""

    width = 96

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, *size = shape
        layers: list[nn.Module] = []
        filters = FIRST
        while max(size) > SMALL or not layers:
            layers += [nn.Conv2d(channels, filters, 3, 2, padding=1), nn.GroupNorm(8, filters), nn.ReLU()]
            size = [halved(side) for side in size]
            channels, filters = filters, min(2 * filters, MOST)
        self.conv = nn.Sequential(*layers)
        self.dense = nn.Linear(channels * math.prod(size), self.width)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.dense(self.conv(2 * x - 1).flatten(1)).relu()
        return found


class TableBody(nn.Module):
    """(batch, columns) in raw units -> (batch, 64), none below 0."""

    width = 64

    def __init__(self, standard: Standard) -> None:
        super().__init__()
        self.standard = standard
        self.dense = nn.Sequential(nn.Linear(len(standard.center), 128), nn.ReLU(), nn.Linear(128, self.width))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.dense(self.standard(x)).relu()
        return found


class ChannelsApart(nn.Module):
    """One body for images of a single channel, over each channel: (batch, C, H, W) -> (batch, C * width)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.one = ImageBody((1, *shape[1:]))
        self.width = shape[0] * self.one.width

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.one(x.flatten(0, 1)[:, None])
        return found.reshape(len(x), self.width)


def body(dataset: Dataset) -> ImageBody | TableBody | ChannelsApart:
    """The network for these data, its weights drawn from the default generator."""
    spec = dataset.spec
    if spec.kind == "table":
        return TableBody(Standard(spec.size).fit(lambda: examples(dataset, "train")))
    return ChannelsApart(spec.shape) if dataset.channelwise else ImageBody(spec.shape)
