"""The bound's arithmetic against hand values."""

from __future__ import annotations

import math

import pytest
import torch

from elboroom.losses.elbo import bits_per_dim, elbo_logs, importance_bound, values_per_example


def test_the_bound_is_minus_distortion_minus_rate() -> None:
    logs = elbo_logs(torch.tensor(80.0), torch.tensor(20.0))
    assert {name: v.item() for name, v in logs.items()} == {
        "elbo_nats": -100,
        "rate_nats": 20,
        "distortion_nats": 80,
    }


def test_a_uniform_law_over_sixteen_levels_costs_four_bits_a_pixel() -> None:
    nats = torch.tensor(784 * math.log(16))
    assert bits_per_dim(nats, 784).item() == pytest.approx(4)


def test_only_measured_values_are_counted() -> None:
    assert values_per_example(None, 5) == 5
    observed = torch.tensor([[True, True, False], [True, True, True]])
    assert values_per_example(observed, 3) == torch.tensor(2.5)


def test_the_importance_bound_is_the_log_of_the_mean_weight() -> None:
    weights = torch.tensor([[1.0, 4.0], [3.0, 2.0]])
    torch.testing.assert_close(importance_bound(weights.log()), torch.tensor([2.0, 3.0]).log())
    far = torch.tensor([[-1000.0], [-1001.0]])
    expected = -1000 + math.log((1 + math.exp(-1)) / 2)
    assert importance_bound(far).item() == pytest.approx(expected)


def test_one_draw_gives_the_elbo_and_more_draws_never_less_on_average() -> None:
    torch.manual_seed(0)
    log_weights = torch.randn(64, 5000, dtype=torch.float64)
    means = [importance_bound(log_weights[:k]).mean().item() for k in (1, 2, 8, 64)]
    assert means == sorted(means)
    torch.testing.assert_close(importance_bound(log_weights[:1]), log_weights[0])
