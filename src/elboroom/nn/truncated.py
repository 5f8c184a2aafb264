"""Noise without its tails: N(0, 1) given that |z| <= limit, for samples that are better and more alike.

Brock, Donahue & Simonyan 2019 (BigGAN, 1809.11096), section 3.1, draw again what falls outside; the same law comes from
the inverse of its distribution function, which takes one draw a number and follows its seed whatever the limit: a
smaller limit moves every z towards 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["truncated_normal"]


def truncated_normal(n: int, width: int, limit: float, *, device: torch.device | str = "cpu") -> Tensor:
    """(n, width) float32 draws of the default generator; an infinite `limit` gives N(0, 1) itself."""
    if not limit > 0:
        raise ValueError(f"a truncation of {limit} leaves nothing to draw from; it is above 0")
    # P(|z| <= t) = erf(t / sqrt 2), so erf(z / sqrt 2) is uniform between minus and plus that
    reach = math.erf(limit / math.sqrt(2))
    uniform = 2 * torch.rand(n, width, dtype=torch.float64, device=device) - 1
    inside = (reach * uniform).clamp(-1 + 2**-53, 1 - 2**-53)  # a draw of exactly 0 would be infinitely far out
    return (math.sqrt(2) * torch.erfinv(inside)).clamp(-limit, limit).float()
