"""Losses of two players, and penalties on the gradient of the one who judges.

A critic D gives each example one number, its score; s = D(x) for real examples, r = D(G(z)) for made ones. Each player
minimises the mean over examples of

                     critic                                  generator
    minimax          softplus(-s) + softplus(r)              -softplus(r)      Goodfellow et al. 2014 (1406.2661), eq. 1
    non_saturating   the same                                softplus(-r)      there, section 3
    least_squares    ((s - 1)^2 + r^2) / 2                   (r - 1)^2 / 2     Mao et al. 2017 (1611.04076), eq. 9
    hinge            relu(1 - s) + relu(1 + r)               -r                Lim & Ye 2017 (1705.02894)
    wasserstein      r - s                                   -r                Arjovsky et al. 2017 (1701.07875)
    relativistic     softplus(r - s)                         softplus(s - r)   Jolicoeur-Martineau 2019 (1807.00734)

where softplus(-s) = -log sigmoid(s): the first two are in nats. The last one compares each made example with one real.

Penalties take the gradient of each example's own score at that example, so the critic must not mix examples: no batch
norms in it. `torch.func.grad` gives it as plain operations, which can be compiled; autograd's second backward cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .norms import euclidean

__all__ = [
    "Game",
    "between",
    "hinge",
    "least_squares",
    "lipschitz_penalty",
    "minimax",
    "non_saturating",
    "relativistic",
    "scores_and_gradients",
    "wasserstein",
    "zero_centred_penalty",
]


@dataclass(frozen=True)
class Game:
    """What the two players minimise, from scores (B,) of real and of made examples."""

    critic: Callable[[Tensor, Tensor], Tensor]
    """(s, r) -> 0-dim loss."""
    generator: Callable[[Tensor, Tensor], Tensor]
    """(s, r) -> 0-dim loss; only the relativistic one looks at s."""


def logistic(real: Tensor, made: Tensor) -> Tensor:
    """-E log sigmoid(s) - E log(1 - sigmoid(r)), nats."""
    return F.softplus(-real).mean() + F.softplus(made).mean()


minimax = Game(logistic, lambda real, made: -F.softplus(made).mean())
non_saturating = Game(logistic, lambda real, made: F.softplus(-made).mean())
least_squares = Game(
    lambda real, made: ((real - 1).square().mean() + made.square().mean()) / 2,
    lambda real, made: (made - 1).square().mean() / 2,
)
hinge = Game(lambda real, made: F.relu(1 - real).mean() + F.relu(1 + made).mean(), lambda real, made: -made.mean())
wasserstein = Game(lambda real, made: made.mean() - real.mean(), lambda real, made: -made.mean())
relativistic = Game(
    lambda real, made: F.softplus(made - real).mean(), lambda real, made: F.softplus(real - made).mean()
)


def scores_and_gradients(critic: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (B,) of x (B, ...), and the gradient of each at its own example, of the shape of x."""

    def total(x: Tensor) -> tuple[Tensor, Tensor]:
        scores = critic(x)
        return scores.sum(), scores

    gradient, scores = torch.func.grad(total, has_aux=True)(x)
    return scores, gradient


def zero_centred_penalty(gradient: Tensor) -> Tensor:
    """E |g|^2 of gradients (B, ...): R1 at real examples, R2 at made ones, each weighed by gamma / 2.

    Mescheder et al. 2018 (1801.04406), section 4.1.
    """
    return gradient.flatten(1).square().sum(1).mean()


def lipschitz_penalty(
    gradient: Tensor, *, bound: float = 1.0, length: Callable[[Tensor], Tensor] = euclidean
) -> Tensor:
    """E (|g| - bound)^2 of gradients (B, ...), the length (B,) taken of each example, never of the batch.

    Gulrajani et al. 2017 (1704.00028), equation 3, weighed by 10 there, at points `between` real and made ones;
    lengths other than the Euclidean one are in `losses/norms.py`.
    """
    return (length(gradient) - bound).square().mean()


def between(real: Tensor, made: Tensor) -> Tensor:
    """One point on the line from each real example to a made one, at a place of its own, uniform."""
    place = torch.rand_like(real[:, :1].flatten(1)[:, 0]).reshape(-1, *[1] * (real.ndim - 1))
    return torch.lerp(made, real, place)
