"""Batch normalisation (Ioffe & Szegedy 2015, 1502.03167), with averages that several processes can join.

In training each channel is brought to mean 0 and variance 1 over batch and pixels; otherwise by running averages of
the mean and of the mean square. Both are linear in what a batch gives, as a running variance is not: so the mean over
processes is the average of all of them. In several processes each normalises by its own rows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BatchNorm"]


class BatchNorm(nn.Module):
    """(batch, channels, ...) to the same; `affine` has a gain and a bias a channel, which begin at 1 and 0."""

    mean: Tensor
    square: Tensor

    def __init__(self, channels: int, *, affine: bool = True, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("square", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            variance = (self.square - self.mean * self.mean).clamp_min(0)
            return F.batch_norm(x, self.mean, variance, self.weight, self.bias, False, 0.0, self.eps)
        out, mean, inverse = torch.native_batch_norm(x, self.weight, self.bias, None, None, True, 0.0, self.eps)
        with torch.no_grad():
            mean, inverse = mean.detach(), inverse.detach()
            square = 1 / (inverse * inverse) - self.eps + mean * mean
            self.mean.add_((mean - self.mean) * self.momentum)
            self.square.add_((square - self.square) * self.momentum)
        normalised: Tensor = out
        return normalised
