"""The best diagonal Gaussian of a Gaussian posterior: it has its mean and the diagonal of its precision."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from elboroom.metrics.local import best_gaussian, elbo

W = torch.tensor([[1.0, 0.8], [0.2, 1.0], [-0.5, 0.7], [0.9, 0.9]])
NOISE = 0.5
PRECISION = W.T @ W / NOISE**2 + torch.eye(2)


def given() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, generator=generator) @ W.T + NOISE * torch.randn(6, 4, generator=generator)
    return x, x @ W @ torch.linalg.inv(PRECISION) / NOISE**2


def test_it_finds_the_posteriors_mean_and_the_diagonal_of_its_precision() -> None:
    x, mean = given()
    torch.manual_seed(0)
    found, log_sd = best_gaussian(
        lambda z: Normal(z @ W.T, NOISE).log_prob(x).sum(-1), torch.zeros(6, 2), torch.zeros(6, 2)
    )
    torch.testing.assert_close(found, mean, atol=0.06, rtol=0)
    torch.testing.assert_close(log_sd.exp(), PRECISION.diagonal().rsqrt().expand(6, 2), atol=0, rtol=0.08)


def test_what_it_leaves_is_the_closed_form_of_the_approximation_gap() -> None:
    x, mean = given()
    torch.manual_seed(1)
    exact = MultivariateNormal(torch.zeros(4), W @ W.T + NOISE**2 * torch.eye(4)).log_prob(x)
    diagonal = PRECISION.diagonal()
    best = elbo(
        lambda z: Normal(z @ W.T, NOISE).log_prob(x).sum(-1), mean, (-0.5 * diagonal.log()).expand(6, 2), 20_000
    )
    # KL from N(m, diag(L)^-1) to N(m, L^-1): half of sum log diag(L) - log det L
    gap = 0.5 * float(diagonal.log().sum() - torch.logdet(PRECISION))
    assert gap > 0.1
    assert math.isclose(float((exact - best).mean()), gap, abs_tol=0.02)
