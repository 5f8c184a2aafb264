"""Bounds against closed forms: hand values, and a linear Gaussian model whose exact log-likelihood is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from elboroom.metrics.likelihood import BoundStream, bits_per_dim, gaussian_rate, importance_bounds, sample_grid


def test_bounds_equal_log_mean_exp_of_the_first_k_draws():
    w = torch.from_numpy(np.random.default_rng(0).normal(-300, 6, size=(50, 7)))
    stream = BoundStream([1, 2, 5, 10, 20, 50])
    stream.add(w)
    got = stream.result()
    for k in (2, 5, 10, 20, 50):
        want = logsumexp(w[:k].numpy(), axis=0) - math.log(k)
        np.testing.assert_allclose(got.by_samples[k].numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(got.elbo.numpy(), w.mean(0).numpy())
    np.testing.assert_array_equal(got.by_samples[1].numpy(), got.elbo.numpy())


@pytest.mark.parametrize("chunk", [1, 3, 7, 50, 64])
def test_the_size_of_the_chunks_changes_nothing(chunk):
    w = torch.from_numpy(np.random.default_rng(1).normal(-100, 5, size=(50, 4)))
    whole, cut = BoundStream([10, 50]), BoundStream([10, 50])
    whole.add(w)
    for part in w.split(chunk):
        cut.add(part)
    for k in (10, 50):
        torch.testing.assert_close(whole.result().by_samples[k], cut.result().by_samples[k], rtol=1e-13, atol=0)
    torch.testing.assert_close(whole.result().ess, cut.result().ess, rtol=1e-12, atol=0)


def test_each_k_has_its_own_error_and_that_of_the_elbo_is_the_spread_of_all_weights():
    w = torch.from_numpy(np.random.default_rng(2).normal(-900, 3, size=(50, 4)))
    stream = BoundStream([1, 10, 50])
    for part in w.split(7):
        stream.add(part)
    got = stream.result()
    np.testing.assert_allclose(got.error_by_samples[1].numpy(), w.std(0).numpy() / math.sqrt(50), rtol=1e-12)
    v = (w[:10] - w[:10].amax(0)).exp()
    want = (v.std(0, correction=0) / v.mean(0) / math.sqrt(10)).numpy()
    np.testing.assert_allclose(got.error_by_samples[10].numpy(), want, rtol=1e-10)
    assert torch.equal(got.error, got.error_by_samples[50])


def test_exactly_k_draws_are_asked_for_and_used():
    for k, chunk in ((1, 8), (50, 100), (250, 64), (5000, 333)):
        asked: list[int] = []

        def draw(n, asked=asked):
            asked.append(n)
            return torch.zeros(n, 3)

        got = importance_bounds(draw, k, chunk=chunk)
        assert sum(asked) == k == got.samples
        assert max(asked) <= chunk
        torch.testing.assert_close(got.log_likelihood, torch.zeros(3, dtype=torch.float64))


def test_the_last_draw_counts():
    w = torch.full((50, 1), -10.0)
    w[49] = 100.0
    at = iter(range(50))
    got = importance_bounds(lambda n: torch.stack([w[next(at)] for _ in range(n)]), 50, chunk=7)
    assert got.log_likelihood.item() == pytest.approx(100 - math.log(50))
    assert got.by_samples[20].item() == pytest.approx(-10.0)


def test_effective_sample_size_is_k_for_equal_weights_and_1_for_one_heavy_weight():
    equal = importance_bounds(lambda n: torch.zeros(n, 1), 40, chunk=40)
    assert equal.ess.item() == pytest.approx(40)
    assert equal.error.item() == pytest.approx(0, abs=1e-9)
    w = torch.zeros(40, 1)
    w[3] = 60.0
    heavy = importance_bounds(lambda n: w, 40, chunk=40)
    assert heavy.ess.item() == pytest.approx(1)


def test_weights_of_zero_are_no_trouble():
    w = torch.full((6, 2), -math.inf)
    w[4:, 0] = -200.0
    stream = BoundStream([2, 6])
    for part in w.split(2):
        stream.add(part)
    got = stream.result().by_samples
    assert got[2].tolist() == [-math.inf, -math.inf]
    assert got[6][0].item() == pytest.approx(-200 + math.log(2 / 6))
    assert got[6][1].item() == -math.inf


def test_the_grid_ends_with_what_was_asked():
    assert sample_grid(1) == [1]
    assert sample_grid(7) == [1, 2, 5, 7]
    assert sample_grid(5000)[-3:] == [1000, 2000, 5000]


def test_bits_per_dim_of_fair_levels_are_their_logarithm():
    assert bits_per_dim(torch.tensor(-784 * math.log(16)), 784).item() == pytest.approx(4.0)


def test_the_rate_of_a_gaussian_equals_torchs_divergence():
    mean, stddev = torch.randn(20, 5), torch.rand(20, 5) + 0.1
    want = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean.double(), stddev.double()), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(gaussian_rate(mean, stddev), want.double())


class Linear:
    """x = W z + noise, z ~ N(0, I): probabilistic PCA (Tipping & Bishop 1999); its proposal is off on purpose."""

    def __init__(self) -> None:
        rng = np.random.default_rng(11)
        q, _ = np.linalg.qr(rng.normal(size=(6, 2)))
        self.w = q * np.array([1.5, 0.8])  # orthogonal columns: the exact posterior is a diagonal Gaussian
        self.noise = 0.5
        self.x = rng.normal(size=(30, 2)) @ self.w.T + self.noise * rng.normal(size=(30, 6))
        precision = np.diag(self.w.T @ self.w) / self.noise**2 + 1
        self.mean = self.x @ self.w / self.noise**2 / precision + 0.1
        self.stddev = 1.2 / np.sqrt(precision)

    def exact(self) -> np.ndarray:
        covariance = self.w @ self.w.T + self.noise**2 * np.eye(6)
        return stats.multivariate_normal(np.zeros(6), covariance).logpdf(self.x)

    def log_weights(self, n: int, rng: np.random.Generator) -> torch.Tensor:
        z = self.mean + self.stddev * rng.normal(size=(n, 30, 2))
        log_x = stats.norm.logpdf(self.x, z @ self.w.T, self.noise).sum(-1)
        log_z = stats.norm.logpdf(z).sum(-1)
        log_q = stats.norm.logpdf(z, self.mean, self.stddev).sum(-1)
        return torch.from_numpy(log_x + log_z - log_q)


def test_the_bound_at_5000_is_within_three_standard_errors_of_the_exact_log_likelihood():
    model = Linear()
    rng = np.random.default_rng(0)
    got = importance_bounds(lambda n: model.log_weights(n, rng), 5000, chunk=700)
    error = float(got.error.square().sum().sqrt())
    assert error < 0.2
    assert abs(float(got.log_likelihood.sum()) - model.exact().sum()) < 3 * error
    assert float(got.elbo.sum()) < model.exact().sum() - 1  # the proposal really is off


def test_the_stated_error_of_the_bound_is_its_spread_over_repeats():
    model = Linear()
    rng = np.random.default_rng(1)
    runs = [importance_bounds(lambda n: model.log_weights(n, rng), 300, chunk=300) for _ in range(100)]
    spread = np.stack([run.log_likelihood.numpy() for run in runs]).std(0, ddof=1)
    stated = np.stack([run.error.numpy() for run in runs]).mean(0)
    assert np.median(stated / spread) == pytest.approx(1, abs=0.15)


def test_the_mean_curve_over_200_repeats_never_falls_by_more_than_two_standard_errors():
    model = Linear()
    rng = np.random.default_rng(2)
    grid = sample_grid(200)
    curves = []
    for _ in range(200):
        got = importance_bounds(lambda n: model.log_weights(n, rng), 200, chunk=200)
        curves.append([float(got.by_samples[k].mean()) for k in grid])
    steps = np.diff(np.array(curves), axis=1)
    error = steps.std(0, ddof=1) / math.sqrt(200)
    assert (steps.mean(0) > -2 * error).all()
    assert steps.mean(0)[0] > 2 * error[0]
