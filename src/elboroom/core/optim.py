"""Optimisers as pure rules on lists of tensors: plain operations, so that a step can be traced, compiled and mapped.

Adam: Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1; decoupled decay as in Loshchilov & Hutter 2019 (1711.05101).
Every rule takes `ok`, a 0-dim bool tensor: where it is False nothing changes, not even the step count. So a
non-finite gradient is kept out of the parameters without the device having to tell the host first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SGD", "Adam", "Optimizer", "Slots"]

Slots = dict[str, list[Tensor]]


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """A rule. `schedule(t)` is a factor on `lr` as a tensor expression of progress t in [0, 1)."""

    lr: float
    """Step size."""
    clip: float = 0.0
    """Largest global 2-norm of the gradient; 0 leaves it as it is."""
    schedule: Callable[[Tensor], Tensor] | None = None

    @abstractmethod
    def init(self, params: list[Tensor]) -> Slots:
        """Fresh state, on the device and in the dtype of the parameters."""

    @abstractmethod
    def update_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        """One step in place, in operations that have batching rules (no `lerp_`, `addcmul_`, `out=`)."""

    def fused_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        """The same step by a library kernel where there is one; equal to `update_` up to rounding."""
        self.update_(params, grads, slots, t, ok)

    def rate(self, t: Tensor) -> Tensor | float:
        """The step size at progress t."""
        return self.lr if self.schedule is None else self.schedule(t) * self.lr

    def clipped(self, grads: list[Tensor]) -> list[Tensor]:
        """The gradients, scaled down together where their global norm is above `clip`."""
        if not self.clip:
            return grads
        norm = torch.stack([(g * g).sum() for g in grads]).sum().sqrt()
        factor = torch.clamp(self.clip / (norm + 1e-6), max=1.0)
        return [g * factor for g in grads]


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam; with `weight_decay` it is AdamW."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    """Decoupled: each step also shrinks a parameter by lr * weight_decay of itself."""

    def init(self, params: list[Tensor]) -> Slots:
        count = torch.zeros((), dtype=torch.float32, device=params[0].device)
        return {
            "mean": [torch.zeros_like(p) for p in params],
            "square": [torch.zeros_like(p) for p in params],
            "count": [count],
        }

    def update_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        live = ok.to(params[0].dtype)
        count = slots["count"][0].add_(ok.to(slots["count"][0].dtype)).to(params[0].dtype)
        lr = self.rate(t) * live
        bias1 = 1 - self.beta1**count + (1 - live)  # at count 0 the factors are 0 / 0; live = 0 cancels them
        bias2 = 1 - self.beta2**count + (1 - live)
        for p, g, m, v in zip(params, self.clipped(grads), slots["mean"], slots["square"], strict=True):
            g = torch.where(ok, g, torch.zeros_like(g))
            m.add_((g - m) * ((1 - self.beta1) * live))
            v.add_((g * g - v) * ((1 - self.beta2) * live))
            step = (m / bias1) / ((v / bias2).sqrt() + self.eps)
            if self.weight_decay:
                step = step + self.weight_decay * p
            p.sub_(step * lr)

    def fused_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        if params[0].dtype != torch.float32 or (self.schedule is not None and t.device.type == "cpu"):
            lr: Tensor | float = float(self.rate(t))
        else:
            lr = self.rate(t)
        bad = torch.logical_not(ok).to(torch.float32)
        count = slots["count"][0]
        count.add_(1)
        kernel = torch._fused_adamw_ if self.weight_decay else torch._fused_adam_
        kernel(
            params,
            self.clipped(grads),
            slots["mean"],
            slots["square"],
            [],
            [count] * len(params),
            lr=lr,
            beta1=self.beta1,
            beta2=self.beta2,
            weight_decay=self.weight_decay,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
            grad_scale=None,
            found_inf=bad,
        )
        count.sub_(bad)


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with heavy-ball momentum."""

    momentum: float = 0.0

    def init(self, params: list[Tensor]) -> Slots:
        return {"mean": [torch.zeros_like(p) for p in params] if self.momentum else []}

    def update_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        live = ok.to(params[0].dtype)
        lr = self.rate(t) * live
        for i, (p, g) in enumerate(zip(params, self.clipped(grads), strict=True)):
            g = torch.where(ok, g, torch.zeros_like(g))
            if self.momentum:
                m = slots["mean"][i]
                m.add_((m * (self.momentum - 1) + g) * live)
                g = m
            p.sub_(g * lr)
