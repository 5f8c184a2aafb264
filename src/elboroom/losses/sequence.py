"""The loss of a language model: -log p(next token), in nats per token.

A vocabulary of 50,000 makes the logits of a batch larger than all else together. So the head and its loss run over some
tokens at a time, and for each chunk the gradient is written down in closed form, (softmax - one-hot) h, while its
logits are there; they are then forgotten. What is returned has that gradient: the usual loss, in a chunk's memory.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["LOGITS_AT_ONCE", "next_token_loss"]

LOGITS_AT_ONCE = 1 << 23
"""Numbers of logits (32 MiB in float32) up to which there is one chunk and autograd does the rest."""


def next_token_loss(h: Tensor, weight: Tensor, targets: Tensor, *, at_once: int = LOGITS_AT_ONCE) -> Tensor:
    """0-dim: mean over tokens of -log softmax(h weight^T)[target].

    h (..., width); weight (vocabulary, width); targets (...,) int64. Above `at_once` logits the gradient is exact to
    first order only: the chunked form cannot be differentiated twice.
    """
    h, targets = h.reshape(-1, h.shape[-1]), targets.reshape(-1)
    if len(h) * len(weight) <= at_once:
        return _surprisal(h, weight, targets).mean()
    chunk = max(1, at_once // len(weight))
    if not torch.is_grad_enabled():
        parts = [_surprisal(a, weight, b).sum() for a, b in zip(h.split(chunk), targets.split(chunk), strict=True)]
        return torch.stack(parts).sum() / len(h)
    total = h.new_zeros((), dtype=torch.promote_types(h.dtype, torch.float32))
    toward: list[Tensor] = []
    toward_weight = torch.zeros_like(weight)
    with torch.no_grad():
        for some, wanted in zip(h.split(chunk), targets.split(chunk), strict=True):
            logits = _upcast(F.linear(some, weight))
            total = total - logits.log_softmax(-1).gather(1, wanted[:, None]).sum()
            excess = logits.softmax(-1).scatter_add(
                1, wanted[:, None], -torch.ones_like(wanted[:, None], dtype=logits.dtype)
            )
            excess = (excess / len(h)).to(some.dtype)
            toward.append(excess @ weight.to(some.dtype))
            toward_weight = toward_weight + (excess.mT @ some).to(weight.dtype)
    slope = (h * torch.cat(toward)).sum() + (weight * toward_weight).sum()
    return (total / len(h)).detach() + (slope - slope.detach()).to(total.dtype)


def _surprisal(h: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(_upcast(F.linear(h, weight)), targets, reduction="none")


def _upcast(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
