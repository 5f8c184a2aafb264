"""Changes of images that the gradient goes through, one at random for each image, in training only.

Zhao et al. 2020, Differentiable augmentation for data-efficient GAN training (2006.10738), section 3.3 and its policy
of colour, translation and cutout. Real and made images are changed by the same law before the critic sees them, and the
generator's gradient goes through the change; so the critic cannot learn few images by heart, and the generator is not
taught the changes. All draws have fixed shapes; translation is a product with a matrix of zeros and ones, which is
repeatable on every device and can be differentiated twice.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from elboroom.core.errors import InputError
from elboroom.core.spec import Spec

__all__ = ["DiffAugment", "Flip", "augmentation"]

SHIFT, HOLE = 1 / 8, 1 / 2
"""Of a side: the longest way an image is moved, and the side of the hole."""


def augmentation(name: str, spec: Spec) -> nn.Module:
    """From images (batch, channels, height, width) on [-1, 1] to the same; `none` changes nothing."""
    if name == "none":
        return nn.Identity()
    if spec.kind != "images" or spec.masked:
        what = "images with missing pixels" if spec.kind == "images" else f"a {spec.kind}"
        raise InputError(f"--augment {name} is for whole images, and these data are {what}; use --augment none")
    return Flip() if name == "flip" else nn.Sequential(Flip(), DiffAugment())


def each(x: Tensor, low: float, high: float) -> Tensor:
    """(batch, 1, 1, 1): one uniform number an image."""
    return low + (high - low) * torch.rand_like(x[:, :1, :1, :1])


class Flip(nn.Module):
    """Half of the images are mirrored, left to right."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(each(x, 0, 1) < 0.5, x.flip(3), x) if self.training else x


class DiffAugment(nn.Module):
    """Colour, translation, cutout."""

    def forward(self, x: Tensor) -> Tensor:
        return cut_out(translated(coloured(x))) if self.training else x


def coloured(x: Tensor) -> Tensor:
    """Brightness moved by up to a quarter of the range, saturation times 0 to 2, contrast times 0.5 to 1.5."""
    x = x + each(x, -0.5, 0.5)
    if x.shape[1] > 1:
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * each(x, 0, 2)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * each(x, 0.5, 1.5)


def translated(x: Tensor) -> Tensor:
    """Moved by whole pixels, up to an eighth of a side each way; 0, the middle of the range, comes in."""
    down, right = (shift(x, size) for size in x.shape[2:])
    return down @ x @ right.mT


def shift(x: Tensor, size: int) -> Tensor:
    """(batch, 1, size, size): matrices that move each image's rows by a number of its own."""
    most = int(size * SHIFT + 0.5)
    by = torch.floor(each(x, -most, most + 1))
    at = torch.arange(size, device=x.device, dtype=by.dtype)
    return (at == at[:, None] - by).to(x.dtype)


def cut_out(x: Tensor) -> Tensor:
    """A hole of half the sides at a random place, which may reach beyond the edges, filled with 0."""
    inside = [hole(x, size) for size in x.shape[2:]]
    return x * ~(inside[0][:, :, :, None] & inside[1][:, :, None, :])


def hole(x: Tensor, size: int) -> Tensor:
    """(batch, 1, size) bool: where along a side the hole lies."""
    wide = int(size * HOLE + 0.5)
    start = torch.floor(each(x, 0, size + (1 - wide % 2)))[:, :, 0] - wide // 2
    at = torch.arange(size, device=x.device, dtype=start.dtype)
    return (at >= start) & (at < start + wide)
