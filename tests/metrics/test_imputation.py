"""Information recovered and the factors of calibration, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from elboroom.metrics.imputation import NORMAL_90, column_correlations, factors_of, information_recovered

RNG = np.random.default_rng(0)


def test_correlations_are_numpys_over_the_cells_that_both_have() -> None:
    a, b = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 3))
    a[3, 0] = b[7, 0] = np.nan
    kept = np.isfinite(a[:, 0] + b[:, 0])
    found = column_correlations(a, b)
    assert found[0] == pytest.approx(np.corrcoef(a[kept, 0], b[kept, 0])[0, 1])
    assert found[2] == pytest.approx(np.corrcoef(a[:, 2], b[:, 2])[0, 1])
    assert np.isnan(column_correlations(np.full((40, 3), 0.1), b)).all()


def test_exact_telling_recovers_all_a_constant_none_and_noise_about_a_twentieth() -> None:
    x = RNG.normal(size=(60, 400))
    asked = np.ones(x.shape, bool)
    assert information_recovered(x, x, asked).share.value == 1
    assert information_recovered(np.ones_like(x), x, asked).share.value == 0
    chance = information_recovered(RNG.normal(size=x.shape), x, asked)
    assert chance.columns == 400
    assert chance.share.low < 0.05 < chance.share.high


def test_the_bar_is_the_95th_percentile_of_the_columns_own_correlations_with_the_others() -> None:
    x = RNG.normal(size=(30, 50))
    found = information_recovered(x, x, np.ones(x.shape, bool))
    others = np.delete(np.corrcoef(x.T)[7], 7)
    assert found.bar[7] == pytest.approx(np.quantile(others, 0.95), abs=1e-5)
    x[:, 3] = 2.0
    assert np.isnan(information_recovered(x, x, np.ones(x.shape, bool)).bar[3])
    assert information_recovered(x, x, np.ones(x.shape, bool)).columns == 49


def test_missing_cells_leave_correlations_pairwise_and_unasked_columns_out() -> None:
    x = RNG.normal(size=(400, 12)) + RNG.normal(size=(400, 1))
    lost = np.where(RNG.random(x.shape) < 0.1, np.nan, x)
    asked = np.zeros(x.shape, bool)
    asked[:, 5:] = True
    found = information_recovered(x, lost, asked)
    assert found.columns == 7 and np.isnan(found.bar[:5]).all()
    whole = information_recovered(x, x, asked)
    np.testing.assert_allclose(found.bar[5:], whole.bar[5:], atol=0.08)


def test_factors_make_nine_of_ten_lie_inside_by_column_or_for_all_together() -> None:
    x = RNG.normal(size=(500, 3)) * [0.5, 1.0, 4.0]
    told, sd = np.zeros_like(x), np.ones_like(x)
    factors = factors_of(told, sd, x)
    assert factors == pytest.approx([0.5, 1.0, 4.0], rel=0.15)
    assert (np.abs(x) <= NORMAL_90 * factors).mean(0) == pytest.approx(0.9, abs=0.003)
    few = factors_of(told[:40], sd[:40], x[:40])
    assert len(set(few.tolist())) == 1
    assert (np.abs(x[:40]) <= NORMAL_90 * few).mean() == pytest.approx(0.9, abs=0.01)
    assert factors_of(np.full((5, 2), np.nan), sd[:5, :2], x[:5, :2]).tolist() == [1, 1]
