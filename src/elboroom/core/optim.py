"""Optimisers as pure rules on lists of tensors: plain operations, so that a step can be traced, compiled and mapped.

Adam: Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1; decoupled decay as in Loshchilov & Hutter 2019 (1711.05101).
RMSProp: Tieleman & Hinton 2012, lecture 6.5. Muon: Jordan et al. 2024 (kellerjordan.github.io/posts/muon). `Split`
gives each share of the parameters its own rule. Every rule takes `ok`, a 0-dim bool tensor: where it is False nothing
changes, not even the step count. So a non-finite gradient is kept out of the parameters without the device having to
tell the host first.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SGD", "Adam", "Muon", "Optimizer", "RMSProp", "Rule", "Slots", "Split", "clipped", "warmup_cosine"]

Slots = dict[str, list[Tensor]]


class Optimizer(ABC):
    """How parameters follow their gradients."""

    @abstractmethod
    def init(self, params: list[Tensor]) -> Slots:
        """Fresh state, on the device and in the dtype of the parameters."""

    @abstractmethod
    def update_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        """One step in place, in operations that have batching rules (no `lerp_`, `addcmul_`, `out=`)."""

    def fused_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        """The same step by a library kernel where there is one; equal to `update_` up to rounding."""
        self.update_(params, grads, slots, t, ok)


@dataclass(frozen=True, kw_only=True)
class Rule(Optimizer):
    """One rule for all parameters. `schedule(t)` is a factor on `lr` as a tensor expression of progress t in [0, 1)."""

    lr: float
    """Step size."""
    clip: float = 0.0
    """Largest global 2-norm of the gradient; 0 leaves it as it is."""
    schedule: Callable[[Tensor], Tensor] | None = None

    def rate(self, t: Tensor) -> Tensor | float:
        """The step size at progress t."""
        return self.lr if self.schedule is None else self.schedule(t) * self.lr

    def clipped(self, grads: list[Tensor]) -> list[Tensor]:
        """The gradients within the rule's own bound."""
        return clipped(grads, self.clip)


def clipped(grads: list[Tensor], bound: float) -> list[Tensor]:
    """The gradients, scaled down together where their global 2-norm is above `bound`; 0 is no bound."""
    if not bound:
        return grads
    norm = torch.stack([(g * g).sum() for g in grads]).sum().sqrt()
    factor = torch.clamp(bound / (norm + 1e-6), max=1.0)
    return [g * factor for g in grads]


def warmup_cosine(warmup: float, floor: float) -> Callable[[Tensor], Tensor]:
    """A schedule: linear from 0.01 over the share `warmup` of the run, then half a cosine from 1 down to `floor`."""

    def factor(t: Tensor) -> Tensor:
        fall = ((t - warmup) / max(1 - warmup, 1e-9)).clamp(0, 1)
        cosine = floor + (1 - floor) * 0.5 * (1 + torch.cos(math.pi * fall))
        return torch.where(t < warmup, 0.01 + 0.99 * t / max(warmup, 1e-9), cosine)

    return factor


@dataclass(frozen=True, kw_only=True)
class Adam(Rule):
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
        # Powers as exponentials: a compiler then makes each factor once, and not anew for every few elements.
        power1, power2 = (torch.exp(count * math.log(max(beta, 1e-38))) for beta in (self.beta1, self.beta2))
        bias1 = 1 - power1 + (1 - live)  # at count 0 the factors are 0 / 0; live = 0 cancels them
        scale, root = self.rate(t) * live / bias1, (1 - power2 + (1 - live)).rsqrt()
        shrink = self.weight_decay * bias1 * scale
        for p, g, m, v in zip(params, self.clipped(grads), slots["mean"], slots["square"], strict=True):
            g = torch.where(ok, g, torch.zeros_like(g))
            m.add_((g - m) * ((1 - self.beta1) * live))
            v.add_((g * g - v) * ((1 - self.beta2) * live))
            step = m * scale / (v.sqrt() * root + self.eps)
            if self.weight_decay:
                step = step + shrink * p
            p.sub_(step)

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
class SGD(Rule):
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


@dataclass(frozen=True, kw_only=True)
class RMSProp(Rule):
    """The gradient over the root of a running mean of its square, which begins at 0 and is not corrected for that."""

    decay: float = 0.99
    eps: float = 1e-8

    def init(self, params: list[Tensor]) -> Slots:
        return {"square": [torch.zeros_like(p) for p in params]}

    def update_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        live = ok.to(params[0].dtype)
        lr = self.rate(t) * live
        for p, g, v in zip(params, self.clipped(grads), slots["square"], strict=True):
            g = torch.where(ok, g, torch.zeros_like(g))
            v.add_((g * g - v) * ((1 - self.decay) * live))
            p.sub_(g * lr / (v.sqrt() + self.eps))


@dataclass(frozen=True, kw_only=True)
class Muon(Rule):
    """Momentum whose update is brought near the closest orthogonal matrix; for matrices only, each (rows, columns).

    Five Newton-Schulz steps with a quintic whose slope at 0 is large: singular values end between about 0.7 and 1.2.
    Matrices of one shape go through it as one batch. `update` scales by sqrt(max(1, rows / columns)).
    """

    momentum: float = 0.95
    weight_decay: float = 0.0
    """Decoupled: each step also shrinks a parameter by lr * weight_decay of itself."""

    def init(self, params: list[Tensor]) -> Slots:
        if any(p.ndim != 2 for p in params):
            raise ValueError("Muon is for matrices: give vectors and scalars to another rule of a Split")
        return {"mean": [torch.zeros_like(p) for p in params]}

    def update_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        live = ok.to(params[0].dtype)
        lr = self.rate(t) * live
        ahead = []
        for g, m in zip(self.clipped(grads), slots["mean"], strict=True):
            g = torch.where(ok, g, torch.zeros_like(g))
            m.add_((g - m) * ((1 - self.momentum) * live))
            ahead.append(g + self.momentum * (m - g))  # Nesterov's: the gradient, and the momentum it leads to
        for shape in dict.fromkeys(p.shape for p in params):
            at = [i for i, p in enumerate(params) if p.shape == shape]
            scale = math.sqrt(max(1.0, shape[0] / shape[1]))
            for i, step in zip(at, orthogonalised(torch.stack([ahead[i] for i in at])).unbind(0), strict=True):
                if self.weight_decay:
                    step = step + (self.weight_decay / scale) * params[i]
                params[i].sub_(step * (lr * scale))


def orthogonalised(x: Tensor) -> Tensor:
    """(batch, rows, columns): about U V^T of each matrix's singular value decomposition U S V^T."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / ((x * x).sum((-2, -1), keepdim=True).sqrt() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x


@dataclass(frozen=True, kw_only=True)
class Split(Optimizer):
    """Rules side by side: the first `counts[0]` parameters of the phase go by rules[0], the next by rules[1] ..."""

    rules: tuple[Optimizer, ...]
    counts: tuple[int, ...]
    clip: float = 0.0
    """Largest 2-norm of the gradient of all parameters together; 0 leaves it as it is."""

    def init(self, params: list[Tensor]) -> Slots:
        if sum(self.counts) != len(params):
            raise ValueError(f"the rules are for {sum(self.counts)} parameters, the phase has {len(params)}")
        parts = [(i, rule.init(params[cut])) for i, rule, cut in self._cuts()]
        return {f"{i}.{slot}": tensors for i, slots in parts for slot, tensors in slots.items()}

    def update_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        grads = clipped(grads, self.clip)
        for i, rule, cut in self._cuts():
            rule.update_(params[cut], grads[cut], _own(slots, i), t, ok)

    def fused_(self, params: list[Tensor], grads: list[Tensor], slots: Slots, t: Tensor, ok: Tensor) -> None:
        grads = clipped(grads, self.clip)
        for i, rule, cut in self._cuts():
            rule.fused_(params[cut], grads[cut], _own(slots, i), t, ok)

    def _cuts(self) -> Iterator[tuple[int, Optimizer, slice]]:
        start = 0
        for i, (rule, count) in enumerate(zip(self.rules, self.counts, strict=True)):
            if count:
                yield i, rule, slice(start, start + count)
            start += count


def _own(slots: Slots, rule: int) -> Slots:
    prefix = f"{rule}."
    return {name.removeprefix(prefix): tensors for name, tensors in slots.items() if name.startswith(prefix)}
