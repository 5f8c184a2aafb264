"""The affine map x W^T + b, and its quick way for a few rows on a processor.

To write one token after another is to read every weight once for a row or two, so the product is as quick as memory can
be read. There MKL, which torch asks for float32, reads wide matrices at half the rate of a plain loop (decode.py).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from . import decode

__all__ = ["Linear", "linear"]

WEIGHTS = 1 << 14
"""Numbers of a matrix from which the quick way is taken; below, its call costs more than it brings."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., K), weight (N, K), bias (N,) -> (..., N). Under `torch.inference_mode` few rows go the quick way."""
    if weight.numel() >= WEIGHTS and weight.is_contiguous():
        kernels = decode.usable(x, weight, x.numel() // x.shape[-1])
        if kernels is not None:
            return decode.affine(kernels, x, weight, bias)
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """torch's, with the quick way."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
