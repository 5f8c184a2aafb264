"""The best diagonal Gaussian for each example by itself: what splits the gap between ELBO and likelihood in two.

    log p(x) - ELBO(q(z given x)) = [log p(x) - ELBO(q*)] + [ELBO(q*) - ELBO(q(z given x))]
                                     approximation gap        amortisation gap

(Cremer, Li & Duvenaud 2018, arXiv 1801.03558, equation 6.) q* maximises the ELBO of its one example: what it leaves is
the family's fault, what it gains over the encoder is the encoder's. q* is found by Adam from the encoder's own q, so
the first term is, if anything, too large.

Letters: B examples, D latent dimensions. Draws come from the default generator.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["best_gaussian", "elbo"]

LogP = Callable[[Tensor], Tensor]
"""From z (K, B, D) to log p(x given z) in nats, (K, B)."""
STEPS, DRAWS, LR = 300, 16, 0.05
BETA1, BETA2, TINY = 0.9, 0.99, 1e-8


def elbo(log_p: LogP, mean: Tensor, log_sd: Tensor, draws: int) -> Tensor:
    """(B,): E log p(x given z) under N(mean, sd^2) by `draws` draws, less the divergence from N(0, I) as it is."""
    noise = torch.randn(draws, *mean.shape, dtype=mean.dtype, device=mean.device)
    rate = (0.5 * (mean.square() + (2 * log_sd).exp() - 1) - log_sd).sum(-1)
    return log_p(mean + log_sd.exp() * noise).mean(0) - rate


def best_gaussian(log_p: LogP, mean: Tensor, log_sd: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log standard deviation (B, D) that maximise each example's ELBO, from those given.

    Adam with a step size that falls to 0 along a line, so that the noise of the draws dies out.
    """
    place = torch.stack([mean, log_sd]).detach()
    first, second = torch.zeros_like(place), torch.zeros_like(place)
    for step in range(1, STEPS + 1):
        with torch.enable_grad():
            leaf = place.clone().requires_grad_()
            (slope,) = torch.autograd.grad(elbo(log_p, leaf[0], leaf[1], DRAWS).sum(), leaf)
        first, second = first.lerp(slope, 1 - BETA1), second.lerp(slope.square(), 1 - BETA2)
        move = first / (1 - BETA1**step) / ((second / (1 - BETA2**step)).sqrt() + TINY)
        place = place + LR * (1 - (step - 1) / STEPS) * move
    return place[0], place[1]
