from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from elboroom.metrics.interval import (
    Measure,
    Reference,
    bootstrap_interval,
    difference_interval,
    mean_interval,
    ratio_interval,
    share_interval,
)
from elboroom.metrics.paired import mean_difference


def test_the_mean_of_many_gets_the_normal_interval():
    x = np.random.default_rng(0).normal(3, 2, size=400)
    got = mean_interval(x)
    reach = stats.norm.ppf(0.975) * x.std(ddof=1) / 20
    assert got.value == pytest.approx(x.mean())
    assert (got.low, got.high) == pytest.approx((x.mean() - reach, x.mean() + reach))
    assert got.how == ""


def test_few_values_get_students_t():
    x = np.array([-1.0, 2.0, 4.0, 7.0])
    got = mean_interval(x)
    low, high = stats.t.interval(0.95, 3, loc=x.mean(), scale=stats.sem(x))
    assert (got.low, got.high) == pytest.approx((low, high))


def test_one_value_has_no_interval_and_says_why():
    got = mean_interval([5.0])
    assert got.value == 5.0
    assert math.isnan(got.low)
    assert got.how == "one example, no interval"


def test_a_value_that_is_not_finite_gives_no_interval():
    assert math.isnan(mean_interval([1.0, math.nan, 2.0]).low)


def test_equal_values_have_an_interval_of_no_width():
    got = mean_interval(np.full(50, 4.0))
    assert (got.value, got.low, got.high) == (4.0, 4.0, 4.0)


def test_the_bootstrap_is_repeatable_and_depends_on_its_seed_alone():
    x = np.random.default_rng(1).lognormal(0, 1.5, size=60)
    assert mean_interval(x, seed=3) == mean_interval(x, seed=3)
    assert mean_interval(x, seed=3).low != mean_interval(x, seed=4).low


def test_skewed_means_are_covered_more_often_than_by_the_normal_interval():
    rng = np.random.default_rng(7)
    truth, ours, normal = 1.0, 0, 0
    for i in range(300):
        x = rng.exponential(size=20)
        got = mean_interval(x, seed=i)
        ours += got.low <= truth <= got.high
        reach = 1.96 * x.std(ddof=1) / math.sqrt(20)
        normal += abs(x.mean() - truth) <= reach
    assert ours / 300 >= 0.92  # nominal .95
    assert normal / 300 < ours / 300


def test_normal_intervals_cover_nineteen_of_twenty():
    rng = np.random.default_rng(5)
    hits = sum(abs(g.value) <= (g.high - g.low) / 2 for g in (mean_interval(rng.normal(size=120)) for _ in range(1000)))
    assert hits / 1000 == pytest.approx(0.95, abs=0.02)


def test_a_ratio_weighs_examples_by_their_cells():
    got = ratio_interval([2.0, 30.0, 1.0], [1.0, 10.0, 1.0])
    assert got.value == pytest.approx(33 / 12)


def test_a_ratio_of_equal_counts_is_the_mean():
    x = np.random.default_rng(2).normal(size=200)
    a, b = ratio_interval(x * 7, np.full(200, 7.0)), mean_interval(x)
    assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high))


def test_a_mean_of_squares_has_no_interval_below_zero():
    got = mean_interval([0.0, 0.1, 90.0])
    assert got.low == 0.0 < got.value < got.high
    assert mean_interval([-1.0, 0.1, 90.0]).low < -1


def test_paired_differences_are_tighter_than_unpaired_ones():
    rng = np.random.default_rng(3)
    hard = rng.normal(0, 10, size=500)
    a, b = hard + rng.normal(0, 0.1, 500), hard + 0.05 + rng.normal(0, 0.1, 500)
    paired = difference_interval(a, b)
    assert paired.high < 0  # 0.05 is seen although each mean is known to 0.9 only
    assert paired.high - paired.low < (mean_interval(a).high - mean_interval(a).low) / 50


def test_differences_that_all_point_one_way_may_still_lie_around_zero():
    got = difference_interval([3.0, 0.1, 0.2], [0.0, 0.0, 0.0])
    reach = stats.t.ppf(0.975, 2) * np.std([3.0, 0.1, 0.2], ddof=1) / np.sqrt(3)
    assert (got.low, got.high) == pytest.approx((1.1 - reach, 1.1 + reach), abs=1e-12)
    assert got.low < 0
    weighed = mean_difference([3.0, 0.1, 0.2], [0.0, 0.0, 0.0], np.ones(3), np.ones(3))
    assert weighed.low == pytest.approx(got.low, abs=1e-12)


def test_shares_use_wilsons_interval():
    hits = np.array([True] * 17 + [False] * 3)
    low, high = stats.binomtest(17, 20).proportion_ci(method="wilson")
    got = share_interval(hits)
    assert (got.value, got.low, got.high) == pytest.approx((0.85, low, high), abs=1e-12)
    assert share_interval(np.ones(10)).high == 1.0
    assert share_interval(np.ones(10)).low < 1.0


def test_the_bootstrap_of_any_statistic_holds_it():
    x = np.random.default_rng(4).normal(size=100)
    got = bootstrap_interval(lambda index: float(np.median(x[index])), 100, seed=1, draws=200)
    assert got.low < np.median(x) < got.high
    assert got.value == np.median(x)


def test_a_measure_becomes_plain_json_with_none_where_there_is_no_number():
    measure = Measure.of(
        mean_interval([5.0]), unit="nats", n=1, split="test", how="so", references=(Reference(name="a", value=1.0),)
    )
    assert measure.to_json() == {
        "value": 5.0,
        "low": None,
        "high": None,
        "unit": "nats",
        "n": 1,
        "split": "test",
        "how": "so; one example, no interval",
        "references": [{"name": "a", "value": 1.0, "low": None, "high": None}],
    }
