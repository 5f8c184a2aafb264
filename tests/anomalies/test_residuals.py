"""Scores from forecasts: against loops and scipy, with holes in the data, whole and row by row."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from elboroom.anomalies.residuals import (
    DynamicGaussian,
    dynamic_gaussian,
    multi_step,
    one_step,
    pooled,
    robust_scale,
    shares,
    standardised,
)
from elboroom.core.errors import InputError


def forecasts(rows: int = 60, ahead: int = 4, channels: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, channels))
    mean, sd = rng.normal(size=(rows, ahead, channels)), rng.uniform(0.5, 2, size=(rows, ahead, channels))
    for h in range(ahead):
        mean[: h + 1, h] = np.nan  # no forecast can have been made before the first row
    x[rng.random(x.shape) < 0.1] = np.nan
    sd[rng.random(sd.shape) < 0.05] = np.nan
    return x, mean, sd


def test_scores_of_steps_are_squares_and_their_mean_over_the_forecasts_there_are() -> None:
    x, mean, sd = forecasts()
    z = standardised(x, mean, sd)
    one, several = one_step(z), multi_step(z)
    for row in range(len(x)):
        for channel in range(x.shape[1]):
            there = []
            for h in range(mean.shape[1]):
                value = (x[row, channel] - mean[row, h, channel]) / sd[row, h, channel]
                np.testing.assert_array_equal(z[row, h, channel], value)
                there += [] if math.isnan(value) else [value**2]
            expected = sum(there) / len(there) if there else math.nan
            np.testing.assert_allclose(several[row, channel], expected, rtol=1e-12)
            np.testing.assert_array_equal(one[row, channel], z[row, 0, channel] ** 2)
    assert np.isnan(several[0]).all() and np.isnan(several[np.isnan(x)]).all()
    assert np.isfinite(several[5:][~np.isnan(x[5:])]).mean() > 0.98


def test_a_row_by_itself_has_the_scores_it_has_among_others() -> None:
    x, mean, sd = forecasts()
    whole = multi_step(standardised(x, mean, sd))
    rows = [multi_step(standardised(x[t : t + 1], mean[t : t + 1], sd[t : t + 1]))[0] for t in range(len(x))]
    np.testing.assert_allclose(rows, whole, rtol=1e-12)


def test_forecasts_of_other_shapes_or_without_spread_are_refused_with_the_place() -> None:
    x, mean, sd = forecasts()
    with pytest.raises(InputError, match="shape"):
        standardised(x[1:], mean, sd)
    with pytest.raises(InputError, match="shape"):
        standardised(x, mean[:, 0], sd[:, 0])
    sd[7, 2, 1] = 0.0
    with pytest.raises(InputError, match="row 7, 3 steps ahead, channel 1 is 0"):
        standardised(x, mean, sd)
    with pytest.raises(InputError, match="steps ahead"):
        multi_step(np.zeros((4, 3)))


def test_a_missing_channel_neither_lowers_nor_raises_the_rows_score() -> None:
    score = np.array([[4.0, 2.0, 6.0], [4.0, np.nan, 6.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(pooled(score), [4.0, 5.0, np.nan])


def test_shares_sum_to_one_leave_out_missing_channels_and_split_nothing_equally() -> None:
    score = np.array([[1.0, 3.0, 0.0], [np.nan, 2.0, 2.0], [0.0, 0.0, np.nan], [np.nan, np.nan, np.nan]])
    expected = [[0.25, 0.75, 0.0], [0.0, 0.5, 0.5], [0.5, 0.5, 0.0], [np.nan] * 3]
    np.testing.assert_array_equal(shares(score), expected)
    with pytest.raises(InputError, match="row 1, channel 0 is below 0"):
        shares(np.array([[1.0, 2.0], [-1.0, 2.0]]))


def test_the_robust_scale_is_scipys_and_does_not_follow_a_quarter_of_outliers() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(3.0, 2.0, size=(4000, 2))
    centre, scale = robust_scale(x)
    np.testing.assert_allclose(scale, stats.median_abs_deviation(x, scale="normal"), rtol=1e-12)
    np.testing.assert_allclose(centre, np.median(x, axis=0))
    np.testing.assert_allclose(scale, 2.0, rtol=0.05)
    x[:1000] = 1e6
    assert abs(robust_scale(x)[1] - 2.0).max() < 1.5 < x.std()


def test_a_channel_that_is_mostly_one_value_has_its_deviation_and_a_constant_one_no_scale() -> None:
    x = np.zeros((10, 4))
    x[0, 0] = 5.0
    x[:, 1] = 7.0
    x[:, 2] = np.nan
    x[:, 3] = [1, 2, 3, 4, 5, 6, 7, 8, 9, np.nan]
    centre, scale = robust_scale(x)
    np.testing.assert_array_equal(centre, [0.0, 7.0, np.nan, 5.0])
    np.testing.assert_allclose(scale, [x[:, 0].std(), np.nan, np.nan, 1.482602218505602 * 2])


def errors(rows: int = 700) -> np.ndarray:
    rng = np.random.default_rng(2)
    e = rng.exponential(size=(rows, 2)) + np.array([3.0, 0.0])
    e[400:420, 0] += 6.0
    e[rng.random(e.shape) < 0.1] = np.nan
    return e


def test_dynamic_gaussian_scores_are_log_survivals_of_windows_counted_by_hand() -> None:
    e = errors()
    found = dynamic_gaussian(e, long=200, short=5, least=50)
    for row in [10, 60, 199, 200, 350, 402, 410, 425, 699]:
        for channel in range(2):
            many, few = e[max(0, row - 199) : row + 1, channel], e[max(0, row - 4) : row + 1, channel]
            many, few = many[~np.isnan(many)], few[~np.isnan(few)]
            if math.isnan(e[row, channel]) or len(many) < 50:
                assert math.isnan(found[row, channel])
            else:
                expected = -stats.norm.logsf(few.mean(), many.mean(), many.std(ddof=1))
                assert found[row, channel] == pytest.approx(expected, rel=1e-9)
    assert np.nanmax(found[:, 0]) == np.nanmax(found[400:425, 0])
    assert np.nanmedian(found[:, 1]) == pytest.approx(math.log(2), abs=0.15)


def test_a_stream_of_dynamic_gaussian_scores_equals_the_array_and_survives_being_saved() -> None:
    e = errors()
    stream, found = DynamicGaussian(2, long=64, short=6, least=30), []
    for row, values in enumerate(e):
        if row % 101 == 0:
            stream = DynamicGaussian.from_json(json.loads(json.dumps(stream.to_json(), allow_nan=False)))
        found.append(stream.update(values))
    np.testing.assert_allclose(found, dynamic_gaussian(e, long=64, short=6, least=30), rtol=1e-9, atol=1e-9)


def test_a_surprise_beyond_floats_has_a_finite_score_and_no_spread_has_none() -> None:
    rng = np.random.default_rng(3)
    e = np.concatenate([rng.normal(size=(5000, 1)) * 1e-4, np.full((1, 1), 10.0)])
    found = dynamic_gaussian(e, long=5001, short=1)
    assert 1000 < found[-1, 0] < math.inf
    assert np.isnan(dynamic_gaussian(np.full((300, 1), 0.1), long=200, short=5)).all()


def test_windows_that_make_no_sense_are_refused() -> None:
    for windows in ({"long": 5, "short": 5}, {"short": 0}, {"least": 1}):
        with pytest.raises(InputError, match="window"):
            dynamic_gaussian(np.ones((9, 1)), **windows)
        with pytest.raises(InputError, match="window"):
            DynamicGaussian(1, **windows)
    with pytest.raises(InputError, match="shape"):
        dynamic_gaussian(np.ones(9))
