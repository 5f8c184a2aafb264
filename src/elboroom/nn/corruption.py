"""Noise that is put on examples: Gaussian, masking, salt and pepper, as in Vincent et al. 2010 (JMLR 11, section 3.3).

gaussian     x + level * width * N(0, 1): width is that of the scale (1 where it has no ends, as in standard deviations)
masking      a share `level` of the values becomes 0
salt_pepper  a share `level` of the values becomes the smallest or the largest that it can be or, where the scale has
             no ends, that the batch holds in this place

Values stay within the scale. Gaussian noise acts on counts as log(1 + x) and leaves names and yes-or-no columns alone;
a masked name is none of the names. What was not measured stays as it is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from elboroom.core.batch import Batch
from elboroom.core.spec import Spec

__all__ = ["Corruption", "Noise"]

Noise = Literal["gaussian", "masking", "salt_pepper"]
NAMELESS = -1.0
"""A category that equals none."""


class Corruption(nn.Module):
    """Fresh noise of one kind at every call; the input is never changed."""

    real: Tensor
    count: Tensor
    masked: Tensor

    def __init__(self, noise: Noise, spec: Spec) -> None:
        super().__init__()
        self.noise = noise
        self.low, self.high = spec.low, spec.high
        self.bounded = math.isfinite(spec.low) and math.isfinite(spec.high)
        kinds = [column.kind for column in spec.columns] or ["real"]
        buffers = {
            "real": torch.tensor([kind == "real" for kind in kinds]),
            "count": torch.tensor([kind == "count" for kind in kinds]),
            "masked": torch.tensor([NAMELESS if kind == "categorical" else 0.0 for kind in kinds]),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, batch: Batch, level: Tensor) -> Batch:
        """`level` (batch,): the strength for each example, in [0, 1] but for Gaussian noise."""
        x, seen = batch.x, batch.observed
        level = level.reshape(-1, *[1] * (x.ndim - 1))
        if self.noise == "gaussian":
            noisy = self._gaussian(x, level)
        else:
            hit = torch.rand_like(x) < level
            noisy = torch.where(hit, self.masked if self.noise == "masking" else self._ends(x, seen), x)
        return replace(batch, x=noisy if seen is None else torch.where(seen, noisy, x))

    def _gaussian(self, x: Tensor, level: Tensor) -> Tensor:
        moved = level * torch.randn_like(x)
        if self.bounded:
            return (x + (self.high - self.low) * moved).clamp(self.low, self.high)
        counted = torch.expm1((x.clamp_min(0).log1p() + moved).clamp(0, 15))
        return torch.where(self.real, x + moved, torch.where(self.count, counted, x))

    def _ends(self, x: Tensor, seen: Tensor | None) -> Tensor:
        salt = torch.rand_like(x) < 0.5
        if self.bounded:
            return torch.where(salt, self.high, self.low).to(x.dtype)
        highest = (x if seen is None else x.masked_fill(~seen, -math.inf)).amax(0)
        lowest = (x if seen is None else x.masked_fill(~seen, math.inf)).amin(0)
        return torch.where(salt, highest, lowest)
