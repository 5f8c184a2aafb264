"""The diagonal Gaussian against closed forms, and the gradient that it lets through."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from elboroom.nn.posterior import DiagonalGaussian, Point, standard_log_prob

MEAN = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
LOG_STDDEV = torch.tensor([-0.5, 0.4, 0.0], dtype=torch.float64)
DRAWS = 20_000


def test_kl_and_log_prob_equal_the_closed_forms_of_torch() -> None:
    q = DiagonalGaussian(MEAN, LOG_STDDEV)
    known = Normal(MEAN, LOG_STDDEV.exp(), validate_args=False)
    standard = Normal(torch.zeros(3).double(), torch.ones(3).double(), validate_args=False)
    z = torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(q.kl_by_dimension(), kl_divergence(known, standard))
    torch.testing.assert_close(q.kl_to_standard(), kl_divergence(known, standard).sum())
    torch.testing.assert_close(q.log_prob(z), known.log_prob(z).sum(-1))
    torch.testing.assert_close(standard_log_prob(z), standard.log_prob(z).sum(-1))


def test_kl_is_the_mean_log_ratio_of_draws() -> None:
    torch.manual_seed(0)
    q = DiagonalGaussian(MEAN, LOG_STDDEV)
    z = q.rsample((DRAWS,))
    ratio = q.log_prob(z) - standard_log_prob(z)
    standard_error = ratio.std() / DRAWS**0.5
    assert (ratio.mean() - q.kl_to_standard()).abs() < 3 * standard_error


def gradients(estimator: str) -> Tensor:
    """(draws, 2, 3): one estimate a draw of the gradient of E_q[f] by mean and log stddev; f(z) = sum (z - 1)^2."""
    torch.manual_seed(1)
    mean = MEAN.expand(DRAWS, 3).clone().requires_grad_()
    log_stddev = LOG_STDDEV.expand(DRAWS, 3).clone().requires_grad_()
    q = DiagonalGaussian(mean, log_stddev)
    z = q.rsample()
    if estimator == "score":  # f(z) grad log q(z): Williams 1992
        z = z.detach()
        surrogate = ((z - 1) ** 2).sum(-1) * q.log_prob(z)
    else:
        surrogate = ((z - 1) ** 2).sum(-1)
    return torch.stack(torch.autograd.grad(surrogate.sum(), [mean, log_stddev]), 1)


# E (z - 1)^2 = (mean - 1)^2 + stddev^2
CLOSED = torch.stack([2 * (MEAN - 1), 2 * (2 * LOG_STDDEV).exp()])


def test_the_reparameterised_gradient_is_the_closed_form_within_three_standard_errors() -> None:
    each = gradients("reparameterised")
    standard_error = each.std(0) / DRAWS**0.5
    assert ((each.mean(0) - CLOSED).abs() <= 3 * standard_error + 1e-12).all()


def test_the_score_function_gradient_agrees_with_many_times_the_variance() -> None:
    score, reparameterised = gradients("score"), gradients("reparameterised")
    standard_error = score.std(0) / DRAWS**0.5
    assert ((score.mean(0) - CLOSED).abs() <= 3 * standard_error).all()
    ratio = score.var(0) / reparameterised.var(0).clamp_min(1e-12)
    assert (ratio > 3).all(), ratio


def test_features_far_out_give_finite_codes() -> None:
    q = DiagonalGaussian.of(torch.full((1, 4), 1e4))
    assert q.rsample().isfinite().all()
    assert q.kl_to_standard().isfinite().all()
    q = DiagonalGaussian.of(torch.full((1, 4), -1e4))
    assert q.log_prob(q.rsample()).isfinite().all()


def test_bfloat16_features_become_a_float32_code() -> None:
    assert DiagonalGaussian.of(torch.randn(2, 6).bfloat16()).rsample().dtype == torch.float32


def test_a_point_has_no_spread() -> None:
    code = Point(torch.randn(4, 2))
    assert code.rsample() is code.mean
    assert not code.stddev.any()
