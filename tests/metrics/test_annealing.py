"""Annealed importance sampling against the exact likelihood of a linear Gaussian model, and its moves against f."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from elboroom.metrics.annealing import Annealed, Annealing, betas

B, D, X, NOISE = 12, 3, 8, 0.6


class Linear:
    """x = W z + noise: the posterior is a Gaussian with correlated axes, the likelihood is known."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self.w = torch.randn(X, D, generator=generator)
        self.z = torch.randn(B, D, generator=generator)
        self.x = self.z @ self.w.T + NOISE * torch.randn(B, X, generator=generator)

    def log_p(self, z: Tensor) -> Tensor:
        return Normal(z @ self.w.T, NOISE).log_prob(self.x).sum(-1)

    def exact(self) -> Tensor:
        w = self.w.double()
        return MultivariateNormal(torch.zeros(X).double(), w @ w.T + NOISE**2 * torch.eye(X)).log_prob(self.x.double())

    def posterior(self) -> MultivariateNormal:
        precision = self.w.T @ self.w / NOISE**2 + torch.eye(D)
        covariance = torch.linalg.inv(precision)
        return MultivariateNormal(self.x @ self.w @ covariance / NOISE**2, (covariance + covariance.T) / 2)


@pytest.fixture(scope="module")
def tuned() -> tuple[Linear, Annealing]:
    torch.manual_seed(0)
    model = Linear()
    annealing = Annealing(model.log_p, temperatures=150, leapfrog=5)
    annealing.tune(torch.randn(4, B, D))
    return model, annealing


def test_it_is_within_three_standard_errors_of_the_exact_log_likelihood(tuned) -> None:
    model, annealing = tuned
    torch.manual_seed(1)
    found = annealing.down(torch.randn(40, B, D))
    error = float(found.error.square().sum().sqrt()) / B
    assert error < 0.06
    assert abs(float(found.estimate.mean() - model.exact().mean())) < 3 * error
    assert 0.5 < float(found.accepted.mean()) < 0.9


def test_the_same_moves_backwards_from_an_exact_draw_give_an_upper_bound(tuned) -> None:
    model, annealing = tuned
    torch.manual_seed(2)
    below = annealing.down(torch.randn(10, B, D)).estimate
    above = -annealing.up(model.z.expand(10, B, D)).estimate
    slack = 0.15
    assert float(below.mean()) - slack < float(model.exact().mean()) < float(above.mean()) + slack
    assert 0 < float((above - below).mean()) < 0.6


def test_few_temperatures_leave_a_wide_gap_and_many_close_it() -> None:
    model, gaps = Linear(), []
    for temperatures in (3, 30, 150):
        torch.manual_seed(3)
        annealing = Annealing(model.log_p, temperatures=temperatures, leapfrog=5)
        annealing.tune(torch.randn(4, B, D))
        below = annealing.down(torch.randn(10, B, D)).estimate
        gaps.append(float((-annealing.up(model.z.expand(10, B, D)).estimate - below).mean()))
    assert gaps[0] > 2 > gaps[1] > gaps[2]


def test_a_move_at_the_last_temperature_leaves_the_posterior_as_it_is(tuned) -> None:
    model, annealing = tuned
    torch.manual_seed(4)
    posterior = model.posterior()
    state = annealing._at(posterior.sample((4000,)))
    for _ in range(5):
        state, _ = annealing._move(state, 1.0, annealing.steps[-1])
    mean, sd = state.z.mean(0), state.z.std(0)
    want = posterior.variance.sqrt()
    assert float(((mean - posterior.mean) / want).abs().max()) < 4 / math.sqrt(4000)
    torch.testing.assert_close(sd, want, rtol=0.05, atol=0)


def test_weights_without_tuning_are_refused() -> None:
    with pytest.raises(RuntimeError, match="call tune first"):
        Annealing(Linear().log_p, temperatures=5).down(torch.randn(2, B, D))


def test_temperatures_rise_from_0_to_1_and_are_denser_at_the_ends() -> None:
    found = betas(50)
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert (found[0], found[-1], len(found)) == (0, 1, 51)
    assert min(steps) > 0
    assert steps[0] == pytest.approx(steps[-1]) == pytest.approx(min(steps))


def test_the_stated_error_is_that_of_a_mean_of_weights() -> None:
    weights = torch.tensor([[1.0], [3.0], [2.0]], dtype=torch.float64)
    found = Annealed(weights.log() - 500, torch.ones(1))
    assert found.estimate.item() == pytest.approx(math.log(2) - 500)
    assert found.error.item() == pytest.approx(1 / math.sqrt(3) / 2)  # sd / sqrt(n) over the mean
