"""Features learned without labels, by telling examples apart: two views of one example are near, all others far.

Chen et al. 2020 (SimCLR): the loss is the cross-entropy of finding, for each view, the other view of its example among
all views of the batch. A view of an image is moved and scaled, and part of it is covered; it is never blurred or made
noisy, since features that do not see noise would call noisy samples good. A view of a row of a table has some cells
taken from other rows (Bahri et al. 2022, SCARF). The features are the layer before the projection that the loss is of.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from elboroom.data.source import Dataset
from elboroom.engine.runtime import mix, seeded

from .bodies import body
from .cache import cached, place
from .extractor import Network, digest
from .inputs import training_rows
from .learning import learn, seen

__all__ = ["NAME", "covered", "exchanged", "learn_apart", "moved", "pair_loss"]

NAME = "selfsup"
RECIPE = 1
BATCH = 256
TEMPERATURE = 0.2
PROJECTED = 64
MOVE, SCALE = 0.15, 0.15
"""Furthest move of an image, in halves of its side, and the largest change of its scale."""
COVER = 0.4
"""Side of the covered square, in sides of the image."""
EXCHANGE = 0.3
"""Share of cells that a view of a row takes from other rows."""


class Apart(nn.Module):
    """A body and the projection that is thrown away."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.body = body(dataset)
        self.project = nn.Sequential(nn.Linear(self.body.width, PROJECTED), nn.ReLU(), nn.Linear(PROJECTED, PROJECTED))

    def loss(self, x: Tensor, label: Tensor | None) -> Tensor:
        view = (lambda x: covered(moved(x))) if x.ndim == 4 else exchanged
        a, b = (self.project(self.body(view(x))).float() for _ in range(2))
        return pair_loss(a, b, TEMPERATURE)


def pair_loss(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """NT-Xent in nats (SimCLR, equation 1) of two views (n, width): of 2 n - 1 other views one is the right one."""
    n = len(a)
    views = functional.normalize(torch.cat([a, b]), dim=1)
    near = views @ views.T / temperature
    near = near.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=a.device), float("-inf"))
    return functional.cross_entropy(near, torch.arange(2 * n, device=a.device).roll(n))


def moved(x: Tensor) -> Tensor:
    """Each image (n, C, H, W) shifted and scaled by its own draw; what comes in repeats the border."""
    n = len(x)
    scale = 1 + SCALE * (2 * torch.rand(n) - 1)
    shift = MOVE * (2 * torch.rand(n, 2) - 1)
    theta = torch.cat([torch.diag_embed(scale[:, None].expand(n, 2)), shift[:, :, None]], 2)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x.float(), grid, padding_mode="border", align_corners=False)


def covered(x: Tensor) -> Tensor:
    """Each image with a square, at a place of its own, set to the image's mean."""
    n, _, height, width = x.shape
    top, left = torch.rand(2, n, 1, 1, 1)
    down = (torch.arange(height) + 0.5)[:, None] / height - top * (1 - COVER)
    right = (torch.arange(width) + 0.5)[None, :] / width - left * (1 - COVER)
    inside = (down > 0) & (down < COVER) & (right > 0) & (right < COVER)
    return torch.where(inside, x.mean((1, 2, 3), keepdim=True), x)


def exchanged(x: Tensor) -> Tensor:
    """Each row (n, columns) with cells taken, by chance, from other rows of the batch, column by column."""
    others = torch.rand(x.shape).argsort(0)
    return torch.where(torch.rand(x.shape) < EXCHANGE, x.gather(0, others), x)


def learn_apart(dataset: Dataset, seed: int) -> Network:
    """Train on the training part, or take from the cache what was trained on it before."""
    with seeded(mix(seed, NAME)):
        network = Apart(dataset)
        path = place(NAME, RECIPE, dataset, seed)
        count = seen(dataset) // 2  # each is seen in two views
        cached(path, network, lambda: learn(network, network.loss, dataset, count, seed=seed, batch=BATCH))
    views = "moved, scaled and partly covered images" if dataset.spec.kind == "images" else "rows with exchanged cells"
    rows = f"{len(training_rows(dataset)):,} training rows without labels, {count:,} examples seen, seed {seed}"
    return Network(
        NAME,
        network.body,
        dataset.spec.shape,
        width=network.body.width,
        how=f"a small network trained to know {views} again, on {rows}; in-domain: compare within one data set only",
        hash=digest(NAME, RECIPE, network.body.state_dict()),
    )
