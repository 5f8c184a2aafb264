"""A linear VAE is probabilistic PCA, whose likelihood is known exactly: every estimate has a truth to meet.

x = W z + b + scale * noise with z ~ N(0, I), so x ~ N(b, W W' + diag(scale^2)) (Tipping & Bishop 1999, equation 5)
and z given x ~ N(M^-1 W' S^-1 (x - b), M^-1) with S = diag(scale^2), M = I + W' S^-1 W.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor
from torch.distributions import MultivariateNormal

from elboroom.core.batch import Batch
from elboroom.core.spec import Column, Spec
from elboroom.losses.elbo import importance_bound
from elboroom.models.vae import VAE

D, LATENT, SAMPLES = 6, 2, 5000
SPEC = Spec(kind="table", shape=(D,), scale="standard", columns=tuple(Column(name=f"c{i}") for i in range(D)))


def linear_vae(diagonal: bool = False) -> tuple[VAE, MultivariateNormal, Tensor]:
    """The model, its exact law of x, and the exact (2 latent, D + 1) map to mean and log stddev of z given x.

    With `diagonal` the columns of W are orthogonal under 1 / scale^2, so the exact posterior is of the encoder's kind.
    """
    torch.manual_seed(0)
    model = VAE(VAE.Config(latent=LATENT, hidden=(), likelihood="gaussian"), SPEC).double()
    with torch.no_grad():
        model.head.log_scale.normal_(-0.06, 0.03)
        scale = model.head.stddev.detach().clone()
        weight = torch.randn(D, LATENT, dtype=torch.float64)
        if diagonal:
            weight = scale[:, None] * torch.linalg.qr(weight / scale[:, None]).Q * torch.tensor([2.0, 0.7]).double()
        model.decoder.last.weight.copy_(weight)
    bias = model.decoder.last.bias.detach()
    law = MultivariateNormal(bias, weight @ weight.T + torch.diag(scale**2), validate_args=False)
    precision = torch.eye(LATENT).double() + weight.T @ (weight / scale[:, None] ** 2)
    to_mean = torch.linalg.solve(precision, (weight / scale[:, None] ** 2).T)
    log_stddev = -0.5 * precision.diagonal().log()
    encoder = torch.zeros(2 * LATENT, D + 1, dtype=torch.float64)
    encoder[:LATENT, :D], encoder[:LATENT, D], encoder[LATENT:, D] = to_mean, -to_mean @ bias, log_stddev
    return model, law, encoder


def set_encoder(model: VAE, encoder: Tensor) -> None:
    with torch.no_grad():
        model.encoder.last.weight.copy_(encoder[:, :D])
        model.encoder.last.bias.copy_(encoder[:, D])


def test_the_settings_of_a_vae_express_a_linear_one() -> None:
    model, _, _ = linear_vae()
    assert sum(p.numel() for p in model.parameters()) == (D + 1) * 2 * LATENT + (LATENT + 1) * D + D


def test_under_the_exact_posterior_every_single_weight_is_the_exact_likelihood() -> None:
    model, law, encoder = linear_vae(diagonal=True)
    set_encoder(model, encoder)
    x = law.sample((7,))
    log_w = model.log_weights(Batch(x), 3)
    torch.testing.assert_close(log_w, law.log_prob(x).expand(3, 7))


@pytest.mark.parametrize("wider", [0.2, 0.5])
def test_the_importance_weighted_bound_meets_the_exact_likelihood_within_three_standard_errors(wider: float) -> None:
    model, law, encoder = linear_vae()
    encoder[LATENT:, D] += wider  # than the truth, so that the weights have a finite variance
    set_encoder(model, encoder)
    torch.manual_seed(1)
    x = law.sample((20,))
    with torch.no_grad():
        log_w = model.log_weights(Batch(x), SAMPLES)
    bound = importance_bound(log_w)
    weights = (log_w - bound).exp()
    standard_error = weights.std(0) / math.sqrt(SAMPLES)  # of log mean w, by the delta method
    assert standard_error.max() < 0.05
    away = (bound - law.log_prob(x)) / standard_error
    assert (bound - law.log_prob(x)).sum().abs() < 3 * standard_error.square().sum().sqrt()
    assert away.square().sum().item() < chi2.ppf(0.9973, 20)  # as likely as 3 standard errors of one number


def test_the_elbo_lies_below_the_likelihood_by_the_kl_to_the_exact_posterior() -> None:
    model, law, encoder = linear_vae(diagonal=True)
    encoder[:LATENT, D] += 0.5
    set_encoder(model, encoder)
    torch.manual_seed(2)
    x = law.sample((50,))
    precision = (-2 * encoder[LATENT:, D]).exp()
    gap = 0.5 * (0.5**2 * precision).sum()  # equal variances, means 0.5 apart
    with torch.no_grad():
        elbos = model.log_weights(Batch(x), 2000)
    difference = law.log_prob(x) - elbos
    standard_error = difference.mean(1).std() / math.sqrt(2000)
    assert (difference.mean() - gap).abs() < 3 * standard_error


def test_missing_cells_leave_the_likelihood_of_the_measured_ones() -> None:
    model, law, encoder = linear_vae()
    set_encoder(model, encoder)
    keep = torch.tensor([True, False, True, True, False, True])
    marginal = MultivariateNormal(law.mean[keep], law.covariance_matrix[keep][:, keep], validate_args=False)
    weight, scale = model.decoder.last.weight.detach()[keep], model.head.stddev.detach()[keep]
    precision = torch.eye(LATENT).double() + weight.T @ (weight / scale[:, None] ** 2)
    to_mean = torch.linalg.solve(precision, (weight / scale[:, None] ** 2).T)
    encoder = torch.zeros_like(encoder)
    encoder[:LATENT, :D][:, keep] = to_mean
    encoder[:LATENT, D] = -to_mean @ law.mean[keep]
    encoder[LATENT:, D] = 0.3 - 0.5 * precision.diagonal().log()
    set_encoder(model, encoder)
    torch.manual_seed(3)
    x = torch.where(keep, law.sample((20,)), 0.0)
    with torch.no_grad():
        log_w = model.log_weights(Batch(x, observed=keep.expand(20, D)), SAMPLES)
    bound = importance_bound(log_w)
    standard_error = (log_w - bound).exp().std(0) / math.sqrt(SAMPLES)
    away = (bound - marginal.log_prob(x[:, keep])) / standard_error
    assert away.square().sum().item() < chi2.ppf(0.9973, 20)


def weighted(model: VAE, draws: int) -> VAE:
    """The same parameters, fitted by the bound of so many draws."""
    other = VAE(VAE.Config(latent=LATENT, hidden=(), likelihood="gaussian", train_samples=draws), SPEC).double()
    other.load_state_dict(model.state_dict())
    return other


@pytest.mark.parametrize("draws", [2, 7])
def test_under_the_exact_posterior_the_importance_weighted_loss_is_the_exact_likelihood(draws: int) -> None:
    model, law, encoder = linear_vae(diagonal=True)
    set_encoder(model, encoder)
    x = law.sample((9,))
    loss, logs = weighted(model, draws).loss(Batch(x), torch.tensor(0.0))
    torch.testing.assert_close(loss, -law.log_prob(x).mean())
    assert {"elbo_nats", "rate_nats", "distortion_nats"} <= logs.keys()


def test_the_gradient_of_the_importance_weighted_loss_weighs_each_draw_by_its_share() -> None:
    """Burda et al. 2016, equation 14: sum_k w_k / (w_1 + .. + w_K) grad log w_k."""
    model, law, encoder = linear_vae()
    encoder[LATENT:, D] += 0.5
    set_encoder(model, encoder)
    model, x = weighted(model, 5), law.sample((3,))
    torch.manual_seed(4)
    loss, _ = model.loss(Batch(x), torch.tensor(0.0))
    found = torch.autograd.grad(loss, list(model.parameters()))
    torch.manual_seed(4)
    log_w = model.log_weights(Batch(x), 5)
    share = torch.softmax(log_w.detach(), 0)
    expected = torch.autograd.grad(-(share * log_w).sum(0).mean(), list(model.parameters()))
    torch.testing.assert_close(found, expected)


def test_with_many_draws_the_gradient_is_that_of_the_exact_likelihood() -> None:
    model, law, encoder = linear_vae()
    encoder[LATENT:, D] += 0.3
    set_encoder(model, encoder)
    model, x = weighted(model, 400), law.sample((4,))
    bias = model.decoder.last.bias
    exact = -torch.linalg.solve(law.covariance_matrix, (x - law.mean).T).mean(1)  # of -log N(x; b, C) by b
    torch.manual_seed(5)
    draws = [torch.autograd.grad(model.loss(Batch(x), torch.tensor(0.0))[0], bias)[0] for _ in range(100)]
    found = torch.stack(draws)
    away = (found.mean(0) - exact) / (found.std(0) / 10)
    assert away.abs().max() < 3.5  # the largest of six
    assert found.std(0).max() < 0.2 * exact.abs().max()


def test_the_bound_does_not_fall_with_the_number_of_draws() -> None:
    model, law, encoder = linear_vae()
    encoder[LATENT:, D] += 0.7
    set_encoder(model, encoder)
    x, t = law.sample((10,)), torch.tensor(0.0)
    torch.manual_seed(6)
    with torch.no_grad():
        bounds = [
            -torch.stack([one.loss(Batch(x), t)[0] for _ in range(200)])
            for one in (weighted(model, k) for k in (1, 2, 5, 20))
        ]
    for fewer, more in itertools.pairwise(bounds):
        error = (fewer.var() / 200 + more.var() / 200).sqrt()
        assert more.mean() - fewer.mean() > -2 * error
    assert bounds[-1].mean() > bounds[0].mean() + 0.1  # and here it rises
    assert bounds[-1].mean() < law.log_prob(x).mean() + 3 * bounds[-1].std() / math.sqrt(200)
