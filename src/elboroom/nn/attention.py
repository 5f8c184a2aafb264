"""Scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762, equation 1): softmax(q k^T / sqrt(D)) v.

Two ways of computing the same thing: `plain` holds all scores and can give the weights; `fused` is torch's kernel,
which never holds them. What may not be seen has the score -inf, so its weight is exactly 0 whatever the other scores
are; a query that sees nothing gives zeros.

Letters: T queries, S keys, D width; what stands before them (texts, heads) is carried along and may broadcast.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["attend", "causal_mask", "fused", "hiding", "plain", "scores", "suits_plain"]

LOW = (torch.bfloat16, torch.float16)
SHORT = 64
"""Keys up to which a processor trains quicker with plain products: a quarter quicker compiled, even when eager."""
SHORT_LOW = 256
"""The same in 16 bits, where the backward pass of the fused kernel takes several times longer than that of float32."""


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    weights: bool = False,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor | None]:
    """(..., T, D), (..., S, D), (..., S, E) -> (output (..., T, E), weights (..., T, S) where they are asked for).

    A boolean mask is True where attention is allowed, any other is added to the scaled scores; `causal` lets the last
    query see every key, the one before it every key but the last, and so on, so it holds with fewer queries than keys.
    `scale` is 1/sqrt(D) where not given. `dropout` is the share of weights set to zero, and the rest grow to match.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    keys, grad = k.shape[-2], needs_gradient(q, k, v)
    if weights or dropout > 0 or keys == 0 or suits_plain(keys, q.device, q.dtype, grad):
        output, found = plain(q, k, v, mask=mask, causal=causal, scale=scale, dropout=dropout)
        return output, found if weights else None
    return fused(q, k, v, mask=mask, causal=causal, scale=scale), None


def suits_plain(keys: int, device: torch.device, dtype: torch.dtype, grad: bool) -> bool:
    """Whether so few keys are trained on quicker by plain products than by the fused kernel."""
    return grad and device.type == "cpu" and keys <= (SHORT_LOW if dtype in LOW else SHORT)


def needs_gradient(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(x.requires_grad for x in tensors)


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """(T, S) boolean, aligned at the lower right corner: the last query is the newest token."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


# -- plain: all scores at once -----------------------------------------------------------------------------------------


def plain(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Output and weights by two products and a softmax of at least float32; T x S numbers are held."""
    bias, blind = bias_of(mask, causal, q, k)
    weights = torch.softmax(scores(q, k, bias, scale), -1)
    if blind is not None:
        weights = weights.masked_fill(blind, 0.0)
    if dropout > 0:
        weights = weights * (torch.rand_like(weights) >= dropout).to(weights.dtype) / (1 - dropout)
    return torch.matmul(weights.to(v.dtype), v), weights


def scores(q: Tensor, k: Tensor, bias: Tensor | None, scale: float | None = None) -> Tensor:
    """scale q k^T + bias, (..., T, S), in at least float32."""
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    lead = q.shape[:-2]
    if bias is not None and bias.ndim == 2 and bias.dtype == q.dtype and k.shape[:-2] == lead and q.ndim > 2:
        # Scaled and masked within the product, which saves two passes over the scores.
        q, k = q.flatten(0, -3), k.flatten(0, -3)
        out: Tensor = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale).unflatten(0, lead)
        return out.to(torch.promote_types(out.dtype, torch.float32))
    out = torch.matmul(q * scale, k.transpose(-2, -1))
    out = out.to(torch.promote_types(out.dtype, torch.float32))
    return out if bias is None else out + bias


def hiding(seen: Tensor, like: Tensor) -> Tensor:
    """A bias of 0 where `seen` is True, else -inf, in the dtype of `like`."""
    return torch.where(seen, like.new_zeros(()), -torch.inf)


def bias_of(mask: Tensor | None, causal: bool, q: Tensor, k: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """What is added to the scores, and which queries see nothing (None where there can be none).

    The bias of a blind query is 0 throughout: a softmax of nothing but -inf would be NaN, in its gradient too. Where it
    is made of 0 and -inf alone it has the dtype of q, for no precision is lost.
    """
    queries, keys = q.shape[-2], k.shape[-2]
    causal = causal and queries > 1
    if mask is None:
        if not causal:
            return None, None
        # -inf above the diagonal that ends in the lower right corner, 0 elsewhere
        bias = q.new_full((queries, keys), -torch.inf).triu(1 + keys - queries)
        if queries <= keys:
            return bias, None
    else:
        below = causal_mask(queries, keys, q.device) if causal else None
        if mask.dtype == torch.bool:
            bias = hiding(mask if below is None else mask & below, q)
        else:
            bias = mask.to(torch.promote_types(q.dtype, torch.float32))
            bias = bias if below is None else bias.masked_fill(~below, -torch.inf)
    blind = torch.isneginf(bias).all(-1, keepdim=True)
    return bias.masked_fill(blind, 0.0), blind


# -- fused: torch's kernel ---------------------------------------------------------------------------------------------


def fused(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """The output alone, by torch's scaled_dot_product_attention without its dropout (which would hold all scores)."""
    queries, keys = q.shape[-2], k.shape[-2]
    square = mask is None and queries == keys
    if causal and not square and queries > 1:
        below = causal_mask(queries, keys, q.device)
        if mask is None or mask.dtype == torch.bool:
            mask = below if mask is None else mask & below
        else:
            mask = mask.masked_fill(~below, -torch.inf)
    blind = None
    if mask is not None:
        # torch's kernels for a processor give zeros where nothing is seen; the others are not trusted to.
        if q.device.type != "cpu":
            mask, blind = sighted(mask)
        mask = mask if mask.dtype == torch.bool else mask.to(q.dtype)
    q, k, v, mask, shape = four_axes(q, k, v, mask)
    dtype, causal = q.dtype, causal and square and queries > 1
    # On a processor the kernel's backward pass in 16 bits takes five times as long as in float32.
    wide = q.device.type == "cpu" and dtype in LOW and needs_gradient(q, k, v)
    if wide:
        q, k, v = q.float(), k.float(), v.float()
        mask = mask if mask is None or mask.dtype == torch.bool else mask.float()
    with torch.autocast("cpu", enabled=False) if wide else nullcontext():
        out = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=scale)
    out = out.to(dtype).reshape(shape) if shape is not None else out.to(dtype)
    return out if blind is None else out.masked_fill(blind, 0.0)


def sighted(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The mask with blind queries allowed everything, and which they are."""
    if mask.dtype == torch.bool:
        blind = ~mask.any(-1, keepdim=True)
        return mask | blind, blind
    blind = torch.isneginf(mask).all(-1, keepdim=True)
    return mask.masked_fill(blind, 0.0), blind


def four_axes(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, tuple[int, ...] | None]:
    """Everything with the four axes that the kernel takes, and the shape of the output (None: as the kernel gives it).

    With any other number of axes torch falls back to holding all scores, without a word.
    """
    lead = q.shape[:-2]
    if len(lead) == 2 and k.shape[:-2] == lead and v.shape[:-2] == lead:
        return q, k, v, mask[None] if mask is not None and mask.ndim == 3 else mask, None
    extra = () if mask is None else mask.shape[:-2]
    lead = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2], extra)
    q, k, v = (x.expand(*lead, *x.shape[-2:]).reshape(1, -1, *x.shape[-2:]) for x in (q, k, v))
    if mask is not None and mask.ndim > 2:
        mask = mask.expand(*lead, *mask.shape[-2:]).reshape(1, -1, *mask.shape[-2:])
    return q, k, v, mask, (*lead, q.shape[-2], v.shape[-1])
