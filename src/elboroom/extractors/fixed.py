"""Spaces that are made, not learned: random networks, principal axes, and the values themselves.

Random convolutions know nothing of any data set, which makes them fair to all (Naeem et al. 2020, section 4.2, found
random embeddings to tell more than ImageNet's where the data are far from photographs). Their seeds never change, so
examples of one shape have one random space, whatever the data and the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from elboroom.baselines.pca import PCA, rows_for_pca
from elboroom.core.batch import Batch
from elboroom.data.source import Dataset
from elboroom.engine.runtime import mix, seeded

from .extractor import Network, digest
from .inputs import Standard, examples, training_rows

__all__ = ["pixels", "principal", "random_networks"]

RECIPE = 1
NETWORKS = 3
FILTERS = (32, 64, 20)
"""Channels of each convolution of a random network."""
PARTS = 2
"""The last map is averaged in so many by so many parts."""
FULL = 16
"""Images with no longer side are seen by the first convolution at every pixel, larger ones at every other."""
RANDOM_WIDTH = 128
AXES = 64


class RandomConvolutions(nn.Module):
    """(batch, C, H, W) in [0, 1] -> (batch, 240): three orthogonal networks, last maps averaged in four parts."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(nn.Sequential(*_layers(shape)) for _ in range(NETWORKS))

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.cat([network(2 * x - 1) for network in self.networks], 1)
        height, width = (min(PARTS, side) for side in maps.shape[2:])
        return functional.adaptive_avg_pool2d(maps, (height, width)).flatten(1)


def _layers(shape: tuple[int, ...]) -> Iterator[nn.Module]:
    channels = shape[0]
    first = 1 if max(shape[1:]) <= FULL else 2
    for filters, stride in zip(FILTERS, (first, 2, 2), strict=True):
        layer = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        nn.init.orthogonal_(layer.weight, math.sqrt(2))  # keeps the variance through a ReLU
        yield from (layer, nn.ReLU())
        channels = filters


class RandomUnits(nn.Module):
    """(batch, columns) -> (batch, 128): ReLU of random projections of the standardised columns, with random bends."""

    def __init__(self, standard: Standard) -> None:
        super().__init__()
        self.standard = standard
        self.dense = nn.Linear(len(standard.center), RANDOM_WIDTH)
        nn.init.normal_(self.dense.weight, std=1 / math.sqrt(len(standard.center)))
        nn.init.normal_(self.dense.bias)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.dense(self.standard(x)).relu()
        return found


class Axes(nn.Module):
    """Coordinates along the principal axes of the training part."""

    mean: Tensor
    directions: Tensor

    def __init__(self, standard: nn.Module, fitted: PCA) -> None:
        super().__init__()
        self.standard = standard
        self.register_buffer("mean", fitted.mean)
        self.register_buffer("directions", fitted.directions)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = (self.standard(x).flatten(1).float() - self.mean) @ self.directions.T
        return found


def _columns(dataset: Dataset) -> Standard:
    return Standard(dataset.spec.size).fit(lambda: examples(dataset, "train"))


def _scaled(dataset: Dataset) -> nn.Module:
    """Columns to one scale. Pixels have one: a border pixel that is nearly always black must not count like others."""
    return nn.Identity() if dataset.spec.kind == "images" else _columns(dataset)


def random_networks(dataset: Dataset, seed: int) -> Network:
    """The random space for examples of this shape; `seed` is not used."""
    training_rows(dataset)
    images = dataset.spec.kind == "images"
    with seeded(mix(0, "random features", RECIPE)):
        network = RandomConvolutions(dataset.spec.shape) if images else RandomUnits(_columns(dataset))
    how = f"{NETWORKS} fixed random convolutional networks, orthogonal weights, maps averaged in parts of the image"
    other = f"{RANDOM_WIDTH} fixed random ReLU units over columns standardised by the training rows"
    return _network("random", network, dataset, f"{how if images else other}; nothing is learned")


def principal(dataset: Dataset, seed: int) -> Network:
    """The leading principal axes, at most 64, of the training part."""
    rows, scale = training_rows(dataset), _scaled(dataset)
    most = rows_for_pca(dataset.spec.size)
    fitted = PCA(AXES, seed=seed).fit(Batch(scale(x)) for x in examples(dataset, "train", most=most))
    values = "pixels" if dataset.spec.kind == "images" else "standardised columns"
    how = f"the {fitted.width} leading principal axes of {values} over {fitted.rows:,} of {len(rows):,} training rows"
    return _network("pca", Axes(scale, fitted), dataset, how)


def pixels(dataset: Dataset, seed: int) -> Network:
    """The values themselves: for small examples, since distances in many dimensions need many samples."""
    training_rows(dataset)
    values = "pixels in [0, 1]" if dataset.spec.kind == "images" else "columns standardised by the training rows"
    return _network("pixels", _scaled(dataset), dataset, f"the {dataset.spec.size:,} {values}, as they are")


def _network(name: str, network: nn.Module, dataset: Dataset, how: str) -> Network:
    with torch.no_grad():
        width = network(torch.zeros(1, *dataset.spec.shape)).numel()
    return Network(
        name,
        network,
        dataset.spec.shape,
        width=width,
        how=how,
        hash=digest(name, (RECIPE, dataset.spec.shape), network.state_dict()),
    )
