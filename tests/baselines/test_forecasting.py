"""The last value and the last season as forecasts: closed forms, coverage of the intervals, missing cells."""

from __future__ import annotations

import numpy as np
import pytest

from elboroom.baselines.forecasting import last_value_forecast, seasonal_naive_forecast
from elboroom.core.errors import InputError


def test_the_last_season_comes_again_and_again() -> None:
    x = np.arange(20.0)[:, None]
    found = seasonal_naive_forecast(x, 7, 3)
    np.testing.assert_array_equal(found.expected[:, 0], [17, 18, 19, 17, 18, 19, 17])
    # a straight line of slope 1 is missed by the lag: 3 rows, 6 rows, 9 rows
    assert np.isnan(found.low).all(), "fewer than 20 differences"
    long = seasonal_naive_forecast(np.arange(60.0)[:, None], 7, 3)
    np.testing.assert_allclose(long.low[:, 0] - long.expected[:, 0], [3, 3, 3, 6, 6, 6, 9])
    np.testing.assert_allclose(long.high, long.low)


def test_a_periodic_series_is_forecast_exactly_for_ever() -> None:
    phase = np.arange(240) % 12
    x = np.stack([np.sin(phase), phase.astype(float)], 1)
    found = seasonal_naive_forecast(x[:200], 40, 12)
    np.testing.assert_allclose(found.expected, x[200:], atol=1e-12)
    np.testing.assert_allclose(found.low, found.high)


def test_the_last_value_stands_and_its_interval_widens_as_the_root_of_the_distance() -> None:
    x = np.random.default_rng(0).normal(size=(20_000, 1)).cumsum(0)
    found = last_value_forecast(x, 25)
    assert (found.expected == x[-1]).all()
    width = (found.high - found.low)[:, 0]
    assert width[0] == pytest.approx(2 * 1.6449, rel=0.03)
    assert width[24] / width[0] == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_hold_their_share_of_outcomes(level: float) -> None:
    rng, inside = np.random.default_rng(1), []
    for _ in range(200):
        x = rng.standard_t(4, size=(410, 1)).cumsum(0)
        found = last_value_forecast(x[:400], 10, level=level)
        inside.append((found.low <= x[400:]) & (x[400:] <= found.high))
    assert np.mean(inside) == pytest.approx(level, abs=0.05)


def test_intervals_are_the_quantiles_of_what_was_missed_at_that_distance() -> None:
    x = np.random.default_rng(2).gamma(2, size=(300, 2))
    found = seasonal_naive_forecast(x, 15, 10, level=0.8)
    for step, lag in ((0, 10), (9, 10), (10, 20)):
        ends = np.quantile(x[lag:] - x[:-lag], [0.1, 0.9], axis=0)
        np.testing.assert_allclose(found.low[step], found.expected[step] + ends[0])
        np.testing.assert_allclose(found.high[step], found.expected[step] + ends[1])


def test_a_missing_cell_is_passed_over_and_makes_the_distance_longer() -> None:
    x = np.random.default_rng(3).normal(size=(300, 2)).cumsum(0)
    x[298:, 1] = np.nan
    found = last_value_forecast(x, 2)
    assert found.expected[0, 1] == x[297, 1]
    missed = x[3:, 1] - x[:-3, 1]
    assert found.low[0, 1] == pytest.approx(x[297, 1] + np.nanquantile(missed, 0.05))
    season = seasonal_naive_forecast(x, 3, 5)
    assert season.expected[2, 1] == x[297, 1]  # row 302 as it was at 297
    x[297, 1] = np.nan
    assert seasonal_naive_forecast(x, 3, 5).expected[2, 1] == x[292, 1]


def test_what_was_never_there_is_not_forecast() -> None:
    x = np.full((50, 2), np.nan)
    x[:, 0] = 1.0
    for found in (last_value_forecast(x, 3), seasonal_naive_forecast(x, 3, 7)):
        np.testing.assert_array_equal(found.expected, [[1, np.nan]] * 3)
    assert np.isnan(seasonal_naive_forecast(np.ones((5, 1)), 7, 7).expected[:2]).all(), "less than one period is known"


def test_a_wrong_call_is_told_what_to_do() -> None:
    x = np.zeros((50, 1))
    with pytest.raises(InputError, match="1 row or more"):
        last_value_forecast(x, 0)
    with pytest.raises(InputError, match=r"level inside \(0, 1\)"):
        seasonal_naive_forecast(x, 5, 7, level=1.0)
    with pytest.raises(InputError, match="shape"):
        last_value_forecast(np.zeros(50), 5)
