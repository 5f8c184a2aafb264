"""How close a decoded example is to the original: per-example sums over observed values, float64.

Sums and counts come back apart, so that means over cells are right when examples miss different cells.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["absolute_error", "binary_cross_entropy", "binary_entropy", "cells", "psnr_db", "squared_error"]

EPS = 1e-7  # Keras' own clip of probabilities in its binary cross-entropy; a logarithm of 0 is never taken


def cells(x: Tensor, observed: Tensor | None = None) -> Tensor:
    """(batch,): number of observed values of each example."""
    if observed is None:
        return torch.full((len(x),), math.prod(x.shape[1:]), dtype=torch.float64, device=x.device)
    return observed.reshape(len(x), -1).sum(1, dtype=torch.float64)


def _sum(terms: Tensor, observed: Tensor | None) -> Tensor:
    if observed is not None:
        terms = torch.where(observed, terms, torch.zeros_like(terms))
    return terms.reshape(len(terms), -1).sum(1, dtype=torch.float64)


def squared_error(x: Tensor, decoded: Tensor, observed: Tensor | None = None) -> Tensor:
    """(batch,): sum of squared differences."""
    return _sum((decoded - x).square(), observed)


def absolute_error(x: Tensor, decoded: Tensor, observed: Tensor | None = None) -> Tensor:
    """(batch,): sum of absolute differences."""
    return _sum((decoded - x).abs(), observed)


def binary_cross_entropy(x: Tensor, probability: Tensor, observed: Tensor | None = None) -> Tensor:
    """(batch,): sum of -(x log p + (1 - x) log(1 - p)) in nats, for x and p in [0, 1]."""
    p = probability.double().clamp(EPS, 1 - EPS)
    x = x.double()
    return _sum(-(x * p.log() + (1 - x) * torch.log1p(-p)), observed)


def binary_entropy(x: Tensor, observed: Tensor | None = None) -> Tensor:
    """(batch,): the cross-entropy of x with itself, the floor that no prediction can pass; 0 where x is 0 or 1."""
    x = x.double()
    return _sum(-(torch.xlogy(x, x) + torch.special.xlog1py(1 - x, -x)), observed)


def psnr_db(mean_squared_error: Tensor, width: float = 1.0) -> Tensor:
    """(batch,): 10 log10(width^2 / mean squared error) for values that span `width`; capped at 100 dB (equal)."""
    return (10 * torch.log10(width**2 / mean_squared_error.clamp_min(1e-30))).clamp_max(100.0)
