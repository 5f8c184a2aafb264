from __future__ import annotations

import math

import numpy as np
import pytest

from elboroom.metrics.imbalance import effective_groups, imbalance_index, ratio_of_shares, spread_interval


def test_equal_shares_have_index_0_and_as_many_effective_groups():
    for k in (2, 5, 10):
        assert imbalance_index(np.ones(k)) == pytest.approx(0, abs=1e-12)
        assert effective_groups(np.ones(k)) == pytest.approx(k)
        assert effective_groups(np.ones(k), order=2) == pytest.approx(k)
        assert ratio_of_shares(np.ones(k)) == 1


def test_three_to_one_by_hand():
    entropy = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    assert imbalance_index([3, 1]) == pytest.approx(1 - entropy / math.log(2))
    assert effective_groups([3, 1]) == pytest.approx(math.exp(entropy))
    assert effective_groups([3, 1], order=2) == pytest.approx(1 / (0.75**2 + 0.25**2))
    assert ratio_of_shares([3, 1]) == 3


def test_one_group_with_all_has_index_1_and_an_empty_one_an_infinite_ratio():
    assert imbalance_index([1, 0]) == 1
    assert ratio_of_shares([1, 0]) == math.inf
    assert math.isnan(imbalance_index([1]))


def test_the_index_does_not_depend_on_the_order_or_the_scale():
    assert imbalance_index([5, 1, 2]) == pytest.approx(imbalance_index([0.2, 0.4, 1.0]))


@pytest.mark.parametrize("shares", [[], [-1, 2], [0, 0]])
def test_what_is_no_list_of_shares_is_refused(shares: list[float]):
    with pytest.raises(ValueError, match="shares"):
        imbalance_index(shares)


def test_an_interval_holds_its_value_and_the_middle_of_the_draws():
    drawn = np.linspace(0, 1, 201)
    found = spread_interval(0.4, drawn)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
    assert spread_interval(2.0, drawn).high == 2.0


def test_wider_moves_both_ends_by_so_much_on_the_scale():
    found = spread_interval(4.0, [4.0, 4.0], wider=0.5)
    assert (found.low, found.high) == pytest.approx((4 * math.exp(-0.5), 4 * math.exp(0.5)))
    root = spread_interval(0.25, [0.25, 0.25], wider=0.1, root=True)
    assert (root.low, root.high) == pytest.approx((0.4**2, 0.6**2))


def test_a_balanced_set_of_any_size_keeps_0_inside():
    """Drawn shares of a balanced set are never exactly equal, so every draw of its index is above 0."""
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(200):
        seen = rng.multinomial(300, [0.25] * 4) / 300
        drawn = [imbalance_index(rng.multinomial(300, seen)) for _ in range(40)]
        missed += spread_interval(imbalance_index(seen), drawn, root=True).low > 0
    assert missed <= 10


def test_draws_without_end_are_the_upper_end():
    assert spread_interval(3.0, [3.0, math.inf, math.inf], wider=0.1).high == math.inf
