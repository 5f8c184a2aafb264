"""Differences of two models over the same items: against closed forms, and how often the intervals hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elboroom.metrics.interval import mean_interval, ratio_interval
from elboroom.metrics.paired import in_blocks, mean_difference, share_difference


def test_with_equal_weights_it_is_the_ratio_of_the_differences() -> None:
    rng = np.random.default_rng(0)
    a, b, w = rng.normal(size=200), rng.normal(size=200), rng.integers(1, 9, 200).astype(float)
    got, want = mean_difference(a, b, w, w), ratio_interval((a - b) * w, w)
    assert (got.value, got.low, got.high) == (want.value, want.low, want.high)


def test_with_other_weights_it_is_the_difference_of_the_two_weighed_means() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 300))
    w, v = rng.integers(1, 9, (2, 300)).astype(float)
    got = mean_difference(a, b, w, v)
    assert got.value == pytest.approx((a * w).sum() / w.sum() - (b * v).sum() / v.sum())
    assert got.low < got.value < got.high


def test_almost_equal_weights_give_almost_the_interval_of_equal_ones() -> None:
    rng = np.random.default_rng(2)
    shared, noise = rng.normal(3, 1, 400), rng.normal(0, 0.1, 400)
    w = rng.integers(90, 110, 400).astype(float)
    got, want = mean_difference(shared + noise, shared, w, w + 1e-9), mean_difference(shared + noise, shared, w, w)
    assert got.low == pytest.approx(want.low, abs=1e-4) and got.high == pytest.approx(want.high, abs=1e-4)
    assert got.high - got.low < 0.2 * (mean_interval(shared).high - mean_interval(shared).low)


@pytest.mark.parametrize("exp", [False, True])
def test_nineteen_of_twenty_intervals_hold_the_true_difference(exp: bool) -> None:
    rng, held, rounds = np.random.default_rng(3), 0, 400
    # a block's loss is its own difficulty and its number of tokens varies with it: E[w x] / E[w] = 1 + Cov(w, x) / 100
    true = (1.02, 0.92)
    for _ in range(rounds):
        hard, w = rng.normal(0, 0.2, 150), rng.normal(100, 10, 150)
        a = 1 + hard + 0.02 * (w - 100) + rng.normal(0, 0.1, 150)
        b = 0.9 + hard + 0.02 * (w - 100) + rng.normal(0, 0.1, 150)
        found = mean_difference(a, b, w, w + 1e-6 * hard, exp=exp)
        held += found.low <= (math.exp(true[0]) - math.exp(true[1]) if exp else 0.1) <= found.high
    assert 0.92 * rounds <= held <= 0.98 * rounds


def test_a_difference_of_perplexities_is_that_of_exp_of_the_means() -> None:
    a, b, w = np.array([1.0, 2.0, 3.0, 2.0]), np.array([1.0, 1.5, 2.0, 1.0]), np.array([1.0, 2.0, 1.0, 4.0])
    got = mean_difference(a, b, w, w, exp=True)
    assert got.value == pytest.approx(math.exp((a * w).sum() / 8) - math.exp((b * w).sum() / 8))
    assert mean_difference(a, a, w, w, exp=True).value == 0.0


def test_blocks_hold_the_weighed_means_of_what_is_there() -> None:
    x, w = np.array([1.0, 3.0, np.nan, 5.0, np.nan]), np.array([1.0, 3.0, 9.0, 2.0, 1.0])
    means, weights = in_blocks(x, w, 2)
    np.testing.assert_array_equal(means, [2.5, 5.0, np.nan])
    np.testing.assert_array_equal(weights, [4.0, 2.0, 0.0])


def test_blocks_make_the_interval_of_rows_that_err_together_honest() -> None:
    rng, rounds, n = np.random.default_rng(4), 200, 2000
    held = {1: 0, 50: 0}
    for _ in range(rounds):
        noise = rng.normal(size=n)
        x = np.convolve(noise, np.ones(8) / 8)[:n]  # a moving mean of 8: neighbours share seven eighths
        for block in held:
            means, weights = in_blocks(x, np.ones(n), block)
            found = mean_difference(means, np.zeros(len(means)), weights, weights)
            held[block] += found.low <= 0 <= found.high
    assert held[50] >= 0.9 * rounds
    assert held[1] <= 0.6 * rounds


def test_the_difference_of_two_shares_is_counted_from_where_they_disagree() -> None:
    a = np.array([1] * 30 + [1] * 12 + [0] * 5 + [0] * 53)
    b = np.array([1] * 30 + [0] * 12 + [1] * 5 + [0] * 53)
    found = share_difference(a, b)
    p, q = 13 / 102, 6 / 102
    reach = 1.959964 * math.sqrt((p + q - (p - q) ** 2) / 102)
    assert found.value == pytest.approx(0.07)
    assert (found.low, found.high) == pytest.approx((p - q - reach, p - q + reach), abs=1e-6)


def test_two_models_that_never_disagree_are_not_taken_to_be_equal_for_sure() -> None:
    found = share_difference(np.ones(40), np.ones(40))
    assert found.value == 0
    assert found.low < -0.02 and found.high > 0.02
    assert not share_difference([1, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0]).clear_of_zero


def test_shares_that_differ_are_covered_nineteen_times_of_twenty() -> None:
    rng, rounds, held = np.random.default_rng(5), 1000, 0
    for _ in range(rounds):
        kind = rng.choice(4, 60, p=(0.80, 0.08, 0.02, 0.10))  # both right, only a, only b, none
        found = share_difference(kind <= 1, (kind == 0) | (kind == 2))
        held += found.low <= 0.06 <= found.high
    assert 0.93 * rounds <= held


def test_of_nothing_there_is_no_difference() -> None:
    assert math.isnan(share_difference([], []).value)
    assert math.isnan(mean_difference([], [], [], []).value)
    assert math.isnan(mean_difference([], [], [], [], exp=True).value)
