"""Thresholds: moments by hand, laws of scipy, and the rate of alarms that was asked for, on rows not seen before."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal, stats

from elboroom.anomalies.events import find_events
from elboroom.anomalies.smoothing import causal_mean
from elboroom.anomalies.tail import Tail, alarm_peaks, fit_tail, pareto_fit
from elboroom.core.errors import InputError

DAY = 1440


def test_weighted_moments_of_three_excesses_are_those_of_a_hand_computation() -> None:
    # mean 11/3; weighted (1 * .78333 + 2 * .45 + 8 * .11667) / 3 = .87222; shape 2 - 3.66667 / 1.92222
    assert pareto_fit([8.0, 1.0, 2.0]) == pytest.approx((0.0924855, 3.3275530), rel=1e-6)
    assert pareto_fit([4.0, 1.0, 2.0]) == pytest.approx((-0.5, 3.5))  # -.593, brought to the end, the mean kept


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2, 0.4])
def test_the_quantiles_of_a_pareto_law_give_back_its_shape_and_scale(shape: float) -> None:
    n = 200_000
    excess = stats.genpareto.ppf((np.arange(1, n + 1) - 0.35) / n, shape, scale=3.0)
    assert pareto_fit(excess) == pytest.approx((shape, 3.0), abs=0.02)


@pytest.mark.parametrize("shape", [-0.4, 0.0, 0.3])
def test_rates_follow_the_law_and_levels_are_their_inverse(shape: float) -> None:
    tail = Tail(threshold=9, initial=2, shape=shape, scale=1.5, peaks=200, rows=10_000, rate=1e-4, how="")
    scores = np.array([1.0, 2.0, 3.0, 4.5])
    np.testing.assert_allclose(
        tail.rate_at(scores), 0.02 * stats.genpareto.sf(np.maximum(scores - 2, 0), shape, scale=1.5), rtol=1e-9
    )
    for rate in (0.02, 1e-3, 1e-6):
        assert float(tail.rate_at(tail.return_level(rate))) == pytest.approx(rate, rel=1e-9)
    assert float(tail.rate_at(1e9)) == 0.0 or shape > 0
    assert math.isnan(float(tail.rate_at(math.nan)))
    with pytest.raises(InputError, match=r"up to 0\.02"):
        tail.return_level(0.03)


def test_peaks_are_the_highest_scores_of_events() -> None:
    rng = np.random.default_rng(0)
    for merge in (1, 2, 5):
        x = rng.exponential(size=2000)
        x[rng.random(2000) < 0.02] = np.nan
        events = find_events(np.where(np.isnan(x), 0.0, x), 2.0, merge=merge)
        np.testing.assert_array_equal(alarm_peaks(x, 2.0, merge), [event.peak_score for event in events])
    assert len(alarm_peaks(np.zeros(5), 1.0)) == 0


def exponential(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.exponential(size=rows)


def normal(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.normal(size=rows)


def pareto(rng: np.random.Generator, rows: int) -> np.ndarray:
    return stats.genpareto.rvs(0.2, size=rows, random_state=rng)


def autoregressive(rng: np.random.Generator, rows: int) -> np.ndarray:
    return np.abs(signal.lfilter([1.0], [1.0, -0.9], rng.normal(size=rows + 200))[200:])


def smoothed(rng: np.random.Generator, rows: int) -> np.ndarray:
    return causal_mean(rng.normal(size=rows) ** 2, 30)


@pytest.mark.parametrize(
    ("draw", "merge"),
    [(exponential, 1), (normal, 1), (pareto, 1), (autoregressive, 1), (autoregressive, 20), (smoothed, 30)],
)
def test_one_alarm_a_day_is_one_alarm_a_day(draw: Callable[[np.random.Generator, int], np.ndarray], merge: int) -> None:
    observed = []
    for seed in range(20):
        x = draw(np.random.default_rng(seed), 37 * DAY)
        tail = fit_tail(x[: 7 * DAY], 1 / DAY, merge=merge)
        assert tail.how.startswith("generalised Pareto")
        observed.append(len(find_events(x[7 * DAY :], tail.threshold, merge=merge)) / 30)
    assert 0.5 < np.mean(observed) < 2.0


def test_few_alarms_fall_back_on_the_empirical_quantile_and_say_so() -> None:
    x = causal_mean(np.random.default_rng(1).normal(size=7 * DAY) ** 2, DAY)
    tail = fit_tail(x, 1 / DAY, merge=DAY)
    assert tail.how.startswith("empirical quantile: only") and tail.peaks < 30 and tail.shape == 0
    assert len(alarm_peaks(x, tail.threshold, DAY)) <= 7
    assert float(tail.rate_at(tail.initial)) == tail.peaks / tail.rows
    assert tail.threshold >= np.quantile(x[~np.isnan(x)], 0.8)
    short = fit_tail(x[:500], 1 / DAY, merge=DAY)
    assert short.threshold == x[:500].max() and "cannot show one alarm in 1440" in short.how


@pytest.mark.parametrize("merge", [1, 4])
def test_a_rate_met_inside_the_scores_takes_the_lowest_level_with_as_few_alarms(merge: int) -> None:
    rng = np.random.default_rng(2)
    x = rng.exponential(size=1000)
    x[rng.random(1000) < 0.1] = np.nan
    rows = int((~np.isnan(x)).sum())
    tail = fit_tail(x, 0.08, merge=merge)
    assert "no smaller than that of the initial threshold" in tail.how
    counts = {level: len(alarm_peaks(x, level, merge)) for level in np.sort(x[~np.isnan(x)])[::-1]}
    allowed = int(0.08 * rows)
    first_too_many = next(level for level, count in counts.items() if count > allowed)
    guilty = min(level for level in counts if level > first_too_many)
    spared = min(level for level in counts if level > guilty)
    assert guilty <= tail.threshold <= spared  # the next row to be let in is one alarm too many
    assert len(alarm_peaks(x, tail.threshold, merge)) <= allowed


def test_alarms_that_run_into_each_other_keep_a_threshold_above_ordinary_scores() -> None:
    x = causal_mean(np.random.default_rng(5).normal(size=70 * DAY) ** 2, DAY)
    tail = fit_tail(x, 1 / DAY, merge=DAY)
    counts = [len(alarm_peaks(x, level, DAY)) for level in np.quantile(x[~np.isnan(x)], np.linspace(0.8, 1, 400))]
    assert max(counts) < 70 and "run into each other" in tail.how and f"most of them, {max(counts)}" in tail.how
    assert (x[~np.isnan(x)] > tail.threshold).mean() <= 0.2
    assert len(alarm_peaks(x, tail.threshold, DAY)) == max(counts)


def test_scores_with_many_ties_have_a_threshold_that_keeps_the_rate() -> None:
    x = np.random.default_rng(3).integers(0, 6, size=5000).astype(float)
    tail = fit_tail(x, 0.001)
    assert len(alarm_peaks(x, tail.threshold)) <= 5
    assert fit_tail(np.zeros(100), 0.01).threshold == 0.0


def test_missing_rows_are_no_rows() -> None:
    rng = np.random.default_rng(4)
    x = rng.exponential(size=20_000)
    holes = x.copy()
    holes[10_000:] = np.nan
    found, expected = fit_tail(holes, 1e-4), fit_tail(x[:10_000], 1e-4)
    assert found == expected and found.rows == 10_000


def test_a_tail_comes_back_from_json_as_it_was() -> None:
    tail = fit_tail(np.random.default_rng(5).normal(size=5000), 1e-4)
    assert Tail.from_json(json.loads(json.dumps(tail.to_json(), allow_nan=False))) == tail
    flat = fit_tail(np.zeros(50), 0.1)
    again = Tail.from_json(json.loads(json.dumps(flat.to_json(), allow_nan=False)))
    assert math.isnan(again.scale) and again.threshold == flat.threshold


def test_scores_and_rates_that_make_no_threshold_are_refused() -> None:
    for wrong in (np.full(5, np.nan), np.zeros(0), np.ones((5, 2)), np.array([1.0, math.inf])):
        with pytest.raises(InputError, match="finite score"):
            fit_tail(wrong, 0.01)
    for rate in (0.0, 1.0, -1.0):
        with pytest.raises(InputError, match="between 0 and 1"):
            fit_tail(np.ones(5), rate)
    with pytest.raises(InputError, match="1 or more"):
        fit_tail(np.ones(5), 0.1, merge=0)
    with pytest.raises(InputError, match="two or more"):
        pareto_fit([1.0])
