"""The affine map x W^T + b, and its quick way for a few rows on a processor.

To write one token after another is to read every weight once for a row or two, so the product is as quick as memory can
be read. There MKL, which torch asks for float32, reads wide matrices at half the rate of oneDNN; both are exact.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Linear", "linear"]

ROWS = 16
"""Rows up to which oneDNN is asked for (two cores, AVX2; 8.9 against 4.5 GB/s with one row of 384 to 1,536)."""
WEIGHTS = 1 << 17
"""Numbers of a matrix from which it is; below, its call costs more than it brings."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., K), weight (N, K), bias (N,) -> (..., N). Under `torch.inference_mode` few rows go the quick way."""
    if (
        torch.is_inference_mode_enabled()
        and weight.numel() >= WEIGHTS
        and x.numel() <= ROWS * x.shape[-1]
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
    ):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """torch's, with the quick way."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
