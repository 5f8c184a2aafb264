"""Scaled dot-product attention of one head, every step kept: softmax(q k^T scale + mask) v.

Vaswani et al. 2017 (arXiv 1706.03762), equation 1, in float64 and for looking at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from elboroom.core.errors import InputError

from .plots import Array

__all__ = ["Stages", "stages"]


@dataclass(frozen=True)
class Stages:
    """What one head computes, (queries, keys) each but the inputs and `output`."""

    q: Array
    k: Array
    v: Array
    scale: float
    scores: Array
    """Q times K transposed."""
    scaled: Array
    masked: Array | None
    """Minus infinity where attention is not allowed; None without a mask."""
    weights: Array
    output: Array


def stages(q: Any, k: Any, v: Any, mask: Any = None, scale: float | None = None, *, causal: bool = False) -> Stages:
    """Every step of one head in float64. A boolean mask is True where attention is allowed, another is added.

    q (queries, width), k (keys, width), v (keys, width of values); 1-D is one number a token. With `causal` the last
    query may look at every key, the one before at every key but the last. A row that may look nowhere gets zeros.
    """
    q, k, v = (_matrix(name, x) for name, x in (("q", q), ("k", k), ("v", v)))
    if q.shape[1] != k.shape[1] or len(k) != len(v):
        raise InputError(
            f"q {q.shape}, k {k.shape} and v {v.shape} do not fit: q and k share their width, k and v their tokens"
        )
    scale = 1 / math.sqrt(q.shape[1]) if scale is None else float(scale)
    scores = q @ k.T
    scaled = scores * scale
    masked = None
    if mask is not None:
        try:
            given = np.broadcast_to(np.asarray(mask), scores.shape)
        except ValueError:
            raise InputError(f"a mask of {np.shape(mask)} does not fit scores of {scores.shape}") from None
        masked = np.where(given, scaled, -np.inf) if given.dtype == bool else scaled + given
    if causal:
        past = np.tril(np.ones(scores.shape, bool), len(k) - len(q))
        masked = np.where(past, scaled if masked is None else masked, -np.inf)
    logits = scaled if masked is None else masked
    top = logits.max(axis=1, keepdims=True)
    powers = np.exp(logits - np.where(np.isfinite(top), top, 0.0))
    total = powers.sum(axis=1, keepdims=True)
    weights = np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)
    return Stages(q, k, v, scale, scores, scaled, masked, weights, weights @ v)


def _matrix(name: str, given: Any) -> Array:
    x = np.asarray(given, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not x.size:
        raise InputError(
            f"the drawing is of one head: {name} is (tokens, width), not {x.shape}; pick one, as in q[0, 0]"
        )
    if not np.isfinite(x).all():
        raise InputError(f"{name} holds values that are not finite")
    return x
