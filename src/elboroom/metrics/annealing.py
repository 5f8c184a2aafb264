"""log p(x) by annealed importance sampling: chains that walk from the prior to the posterior, each with a weight.

Neal 2001 (Statistics and Computing 11) between N(0, I) and p(z given x), along f_t(z) = p(z) p(x given z)^beta_t:

    log w = sum_t (beta_t - beta_t-1) log p(x given z_t-1),    z_0 ~ p(z),    z_t by a move that leaves f_t invariant.

E[w] = p(x), so log mean w lies below log p(x) in expectation. Where an exact draw of the posterior is known, as it is
for x simulated from the model, the same moves walked backwards give weights of expectation 1 / p(x), hence an upper
bound: the bidirectional gap (Grosse et al. 2015, arXiv 1511.02543; decoders: Wu et al. 2017, arXiv 1611.04273).

A move is Hamiltonian Monte Carlo (Neal 2011, arXiv 1206.1901): a few leapfrog steps with an accept-or-reject at the
end. Step sizes are learnt by chains of their own and stand still while weights are taken, for a move that adapts to its
past leaves nothing invariant; they follow the curvature of each axis, E[(d log f / dz)^2] = -E[d^2 log f / dz^2]. No
encoder takes part: what it misses does not hide here.

Letters: C chains, B examples, D latent dimensions, T temperatures. Draws come from the default generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Annealed", "Annealing", "betas"]

DELTA = 4.0
"""How far into its flat ends the sigmoid of temperatures reaches (Grosse et al. 2015)."""
AIM = 0.65
"""Share of proposals to accept (Neal 2011, section 4.4)."""
FIRST, SMALLEST, LARGEST = 0.3, 1e-3, 1.5
"""Step sizes in units of an axis' scale: the first, and between which they stay."""
PACE = 0.05
"""How far a step size moves for a proposal that is surely accepted, or surely not, as a logarithm."""
MEMORY = 0.9
"""Weight of what was known of an axis' curvature against what the chains of one temperature say of it."""


@dataclass(frozen=True)
class Annealed:
    """log_weights (C, B) float64, of log p(x) on the way down and of -log p(x) on the way up; accepted (B,): the mean
    probability of acceptance, of all moves."""

    log_weights: Tensor
    accepted: Tensor

    @property
    def estimate(self) -> Tensor:
        """(B,): log of the mean weight; an upper bound's sign is the caller's to turn."""
        return torch.logsumexp(self.log_weights, 0) - math.log(len(self.log_weights))

    @property
    def error(self) -> Tensor:
        """(B,): Monte Carlo standard error of `estimate` by the delta method."""
        n = len(self.log_weights)
        v = (self.log_weights - self.log_weights.amax(0)).exp()
        return (v.square().sum(0) / v.sum(0).square() - 1 / n).clamp_min(0).mul(n / max(n - 1, 1)).sqrt()


@dataclass
class _State:
    """Chains at a place: z (C, B, D), log p(x given z) (C, B), and its gradient (C, B, D)."""

    z: Tensor
    log_p: Tensor
    gradient: Tensor


class Annealing:
    """The moves for B examples; `log_p` gives (C, B) log p(x given z) in nats for z (C, B, D), one x for each place."""

    def __init__(self, log_p: Callable[[Tensor], Tensor], *, temperatures: int = 500, leapfrog: int = 10) -> None:
        self.log_p = log_p
        self.betas = betas(temperatures)
        self.leapfrog = leapfrog
        self.steps: list[Tensor] = []
        """Of each temperature (B, D): the leapfrog step of each example along each axis."""

    def tune(self, z: Tensor) -> None:
        """Learn step sizes with chains from draws z (C, B, D) of the prior, which are thrown away after."""
        state = self._at(z)
        log_step = torch.full(z.shape[1:2], math.log(FIRST), dtype=torch.float64, device=z.device)
        curvature = torch.ones_like(z[0])
        self.steps = []
        for beta in self.betas[1:]:
            curvature = MEMORY * curvature + (1 - MEMORY) * _slope(state, beta).square().mean(0)
            step = log_step.exp()[:, None].to(z.dtype) / curvature.clamp_min(1).sqrt()
            self.steps.append(step)
            state, chance = self._move(state, beta, step)
            pull = (chance.mean(0) - AIM) / torch.where(chance.mean(0) > AIM, 1 - AIM, AIM)
            log_step = (log_step + PACE * pull).clamp(math.log(SMALLEST), math.log(LARGEST))

    def down(self, z: Tensor) -> Annealed:
        """From draws z (C, B, D) of the prior: weights of expectation p(x)."""
        state, total, accepted = self._at(z), z.new_zeros(z.shape[:2], dtype=torch.float64), []
        for before, beta, step in zip(self.betas, self.betas[1:], self._ready(), strict=False):
            total = total + (beta - before) * state.log_p
            state, chance = self._move(state, beta, step)
            accepted.append(chance.mean(0))
        return Annealed(total, torch.stack(accepted).mean(0))

    def up(self, z: Tensor) -> Annealed:
        """From exact draws z (C, B, D) of p(z given x), the same moves backwards: weights of expectation 1 / p(x)."""
        state, total, accepted = self._at(z), z.new_zeros(z.shape[:2], dtype=torch.float64), []
        path = list(zip(self.betas, self.betas[1:], self._ready(), strict=False))
        for before, beta, step in reversed(path):
            state, chance = self._move(state, beta, step)
            accepted.append(chance.mean(0))
            total = total - (beta - before) * state.log_p
        return Annealed(total, torch.stack(accepted).mean(0))

    def _ready(self) -> list[Tensor]:
        if len(self.steps) != len(self.betas) - 1:
            raise RuntimeError("the step sizes are not known; call tune first")
        return self.steps

    def _at(self, z: Tensor) -> _State:
        """The gradient is taken of z alone; the model's parameters are constants here."""
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            value = self.log_p(leaf)
            (gradient,) = torch.autograd.grad(value.sum(), leaf)
        return _State(z.detach(), value.detach().double(), gradient)

    def _move(self, old: _State, beta: float, step: Tensor) -> tuple[_State, Tensor]:
        """One proposal for every chain by steps (B, D); the new state, and the chance of acceptance (C, B)."""
        momentum = torch.randn_like(old.z)
        new, p = old, momentum + 0.5 * step * _slope(old, beta)
        for i in range(self.leapfrog):
            new = self._at(new.z + step * p)
            p = p + (step if i + 1 < self.leapfrog else 0.5 * step) * _slope(new, beta)
        chance = (_energy(old, beta, momentum) - _energy(new, beta, p)).clamp_max(0).exp().nan_to_num(0.0)
        taken = torch.rand_like(chance) < chance
        kept = taken[..., None]
        moved = _State(
            torch.where(kept, new.z, old.z),
            torch.where(taken, new.log_p, old.log_p),
            torch.where(kept, new.gradient, old.gradient),
        )
        return moved, chance


def betas(temperatures: int) -> list[float]:
    """0 = beta_0 < ... < beta_T = 1, dense at both ends: a sigmoid brought to [0, 1]."""
    raw = [1 / (1 + math.exp(-DELTA * (2 * t / temperatures - 1))) for t in range(temperatures + 1)]
    return [(value - raw[0]) / (raw[-1] - raw[0]) for value in raw]


def _slope(at: _State, beta: float) -> Tensor:
    """The gradient of log f: of -|z|^2 / 2 + beta log p(x given z)."""
    return beta * at.gradient - at.z


def _energy(at: _State, beta: float, momentum: Tensor) -> Tensor:
    """(C, B) float64: -log f plus that of the momentum."""
    length = at.z.double().square().sum(-1) + momentum.double().square().sum(-1)
    return 0.5 * length - beta * at.log_p
