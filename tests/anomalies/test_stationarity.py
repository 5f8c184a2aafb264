"""Tests of stationarity against values that R and SAS print, published tables, and regressions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import signal

from elboroom.anomalies.stationarity import dickey_fuller, kpss, long_run_variance, trend_and_season_strength
from elboroom.core.errors import InputError

# The annual flow of the Nile at Aswan, 1871-1970, in 10^8 m^3 (Cobb 1978, Biometrika 65).
NILE = np.array([
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
    831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
    781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
    744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
], dtype=float)  # fmt: skip


def test_dickey_fuller_on_the_nile_is_what_r_prints() -> None:
    found = dickey_fuller(NILE, lags=4, trend=True)  # tseries::adf.test(Nile)
    assert found.statistic == pytest.approx(-3.3657, abs=5e-5)
    assert found.p == pytest.approx(0.0642, abs=0.02)  # R interpolates another table
    assert dickey_fuller(np.diff(NILE), lags=4, trend=True).statistic == pytest.approx(-6.5924, abs=5e-5)
    found = dickey_fuller(NILE, lags=1)  # urca::ur.df(Nile, type = "drift", lags = 1)
    assert found.statistic == pytest.approx(-4.05, abs=5e-3) and found.lags == 1 and found.rows == 100
    assert found.p < 0.01 and found.critical[0.05] == pytest.approx(-2.89, abs=5e-3)


def test_kpss_on_the_nile_is_what_r_and_sas_print() -> None:
    found = kpss(NILE, lags=4)  # tseries::kpss.test(Nile)
    assert found.statistic == pytest.approx(0.96543, abs=5e-6) and found.p == 0.01
    assert kpss(NILE).lags == 5  # SAS 9.3, automatic bandwidth
    assert kpss(np.diff(NILE)).p == 0.1


def test_p_values_at_the_published_critical_values_are_the_levels() -> None:
    # the asymptotic critical values of Fuller 1976, table 8.5.2, and MacKinnon 2010
    from elboroom.anomalies.stationarity import _unit_root_p as p

    for level, without, with_trend in (
        (0.01, -3.43035, -3.95877),
        (0.05, -2.86154, -3.41049),
        (0.1, -2.56677, -3.12705),
    ):
        assert p(without, trend=False) == pytest.approx(level, rel=0.02)
        assert p(with_trend, trend=True) == pytest.approx(level, rel=0.02)
    for trend in (False, True):
        grid = np.linspace(-20, 4, 2000)
        found = np.array([p(float(x), trend) for x in grid])
        assert (np.diff(found) > -0.003).all() and found[0] == 0 and found[-1] == 1  # one polynomial meets the other


@pytest.mark.parametrize(
    ("rows", "without", "with_trend"),
    [
        (25, (-3.75, -3.00, -2.63), (-4.38, -3.60, -3.24)),
        (50, (-3.58, -2.93, -2.60), (-4.15, -3.50, -3.18)),
        (100, (-3.51, -2.89, -2.58), (-4.04, -3.45, -3.15)),
        (500, (-3.44, -2.87, -2.57), (-3.98, -3.42, -3.13)),
    ],
)
def test_critical_values_of_few_rows_are_those_of_fullers_table(
    rows: int, without: tuple[float, ...], with_trend: tuple[float, ...]
) -> None:
    walk = np.cumsum(np.random.default_rng(0).normal(size=rows + 1))
    for table, trend in ((without, False), (with_trend, True)):
        found = dickey_fuller(walk, lags=0, trend=trend).critical
        assert tuple(found) == (0.01, 0.05, 0.1)
        np.testing.assert_allclose(list(found.values()), table, atol=0.03)


@pytest.mark.parametrize("trend", [False, True])
def test_dickey_fuller_is_the_t_ratio_of_a_regression_written_out(trend: bool) -> None:
    x = np.cumsum(np.random.default_rng(1).normal(size=300)) * 1e-3 + 1e4
    best = (math.inf, -1)
    most = int(12 * 3**0.25)
    steps = np.diff(x)
    for lags in range(most + 1):
        for skip in {lags, most}:
            y = steps[skip:]
            rows = [
                [x[t] - 1e4, *(steps[t - k] for k in range(1, lags + 1)), 1.0, *([float(t)] if trend else [])]
                for t in range(skip, len(steps))
            ]
            design = np.array(rows)
            beta, _, _, _ = np.linalg.lstsq(design, y, rcond=None)
            left = float(((y - design @ beta) ** 2).sum())
            if skip == most:
                best = min(best, (len(y) * math.log(left / len(y)) + 2 * lags, lags))
            if skip == lags:
                error = left / (len(y) - design.shape[1]) * np.linalg.inv(design.T @ design)[0, 0]
                found = dickey_fuller(x, lags=lags, trend=trend)
                assert found.statistic == pytest.approx(beta[0] / math.sqrt(error), rel=1e-4)
    assert dickey_fuller(x, trend=trend).lags == best[1]


def test_the_tests_keep_their_levels_and_find_what_they_are_for() -> None:
    rng = np.random.default_rng(2)
    walks = rng.normal(size=(400, 250)).cumsum(axis=1)
    stays = signal.lfilter([1.0], [1.0, -0.5], rng.normal(size=(400, 300)), axis=1)[:, 50:]
    refused = np.mean([dickey_fuller(x, lags=1).p < 0.05 for x in walks])
    assert 0.025 < refused < 0.08
    assert np.mean([dickey_fuller(x, lags=1).p < 0.05 for x in stays]) > 0.99
    assert np.mean([kpss(x).p <= 0.05 for x in walks]) > 0.75
    assert 0.015 < np.mean([kpss(x).p <= 0.05 for x in stays]) < 0.1
    line = stays + 0.05 * np.arange(250)
    assert np.mean([kpss(x).p <= 0.05 for x in line]) > 0.95
    assert np.mean([kpss(x, trend=True).p <= 0.05 for x in line]) < 0.12


def test_kpss_is_its_formula_written_out() -> None:
    x = np.random.default_rng(3).normal(size=120).cumsum()
    for trend, lags in ((False, 0), (False, 7), (True, 3)):
        design = np.stack([np.ones(120), np.arange(120.0)], axis=1)[:, : 1 + trend]
        e = x - design @ np.linalg.lstsq(design, x, rcond=None)[0]
        long = (e @ e) / 120
        for k in range(1, lags + 1):
            long += 2 / 120 * (1 - k / (lags + 1)) * sum(e[t] * e[t - k] for t in range(k, 120))
        expected = sum(float(e[: t + 1].sum()) ** 2 for t in range(120)) / 120**2 / long
        assert kpss(x, lags=lags, trend=trend).statistic == pytest.approx(expected, rel=1e-9)
    found = kpss(x, lags=7)
    assert found.critical == {0.10: 0.347, 0.05: 0.463, 0.025: 0.574, 0.01: 0.739}
    assert kpss(x, trend=True).critical[0.05] == 0.146


def test_the_long_run_variance_of_an_autoregression_is_that_of_its_theory() -> None:
    x = signal.lfilter([1.0], [1.0, -0.6], np.random.default_rng(4).normal(size=200_000))
    assert long_run_variance(x, lags=100) == pytest.approx(1 / (1 - 0.6) ** 2, rel=0.05)
    assert long_run_variance(x) == pytest.approx(1 / (1 - 0.6) ** 2, rel=0.1)
    white = np.random.default_rng(5).normal(size=50_000)
    assert long_run_variance(white) == pytest.approx(1.0, rel=0.05)
    assert long_run_variance(white, lags=0) == pytest.approx(white.var())


@pytest.mark.parametrize("phi", [0.5, 0.8])
def test_the_automatic_bandwidth_of_an_autoregression_is_the_one_of_its_theory(phi: float) -> None:
    # Andrews 1991, equation 6.2 for Bartlett weights: 1.1447 (a n)^(1/3), a from the autocovariances up to n^(2/9)
    n = 100_000
    x = signal.lfilter([1.0], [1.0, -phi], np.random.default_rng(9).normal(size=n))
    lags = np.arange(1, int(n ** (2 / 9)) + 1)
    ratio = 2 * (lags * phi**lags).sum() / (1 + 2 * (phi**lags).sum())
    assert kpss(x).lags == pytest.approx(1.1447 * (ratio**2 * n) ** (1 / 3), rel=0.05)


def test_the_longest_stretch_without_holes_is_tested() -> None:
    x = NILE.copy()
    x[30] = np.nan
    assert dickey_fuller(x, lags=2).rows == 69
    assert kpss(x, lags=2).statistic == kpss(NILE[31:], lags=2).statistic


def test_strengths_are_shares_of_variance() -> None:
    rng = np.random.default_rng(6)
    t = np.arange(2400)
    for period in (24, 25):
        trend, season = 0.002 * t, np.sin(2 * math.pi * t / period)
        found = trend_and_season_strength(trend + season + rng.normal(0, 0.5, 2400), period)
        assert found.trend == pytest.approx(trend.var() / (trend.var() + 0.25), abs=0.03)
        assert found.season == pytest.approx(0.5 / (0.5 + 0.25), abs=0.03)
        exact = trend_and_season_strength(trend + season, period)
        assert exact.trend == pytest.approx(1.0, abs=1e-6) and exact.season == pytest.approx(1.0, abs=1e-6)
    noise = trend_and_season_strength(rng.normal(size=2400), 24)
    assert noise.season == pytest.approx(1 / 100, abs=0.01) and noise.trend < 0.1


def test_strengths_bear_holes_and_say_nothing_of_a_season_that_is_not_there() -> None:
    rng = np.random.default_rng(7)
    t = np.arange(1200)
    x = np.sin(2 * math.pi * t / 24) + rng.normal(0, 0.5, 1200)
    whole = trend_and_season_strength(x, 24)
    x[rng.random(1200) < 0.2] = np.nan
    assert trend_and_season_strength(x, 24).season == pytest.approx(whole.season, abs=0.05)
    assert math.isnan(trend_and_season_strength(x).season)
    assert math.isnan(trend_and_season_strength(x[:60], 24).season)
    assert trend_and_season_strength(t * 1.0).trend == pytest.approx(1.0)
    assert math.isnan(trend_and_season_strength(np.zeros(100), 10).trend)


def test_series_that_cannot_be_tested_are_refused() -> None:
    for test in (dickey_fuller, kpss):
        with pytest.raises(InputError, match="20"):
            test(np.arange(10.0))
        with pytest.raises(InputError, match="constant"):
            test(np.ones(50))
        holes = np.random.default_rng(8).normal(size=100)
        holes[::10] = np.nan
        with pytest.raises(InputError, match="without a gap"):
            test(holes)
    with pytest.raises(InputError, match="straight line"):
        dickey_fuller(np.arange(50.0))
    with pytest.raises(InputError, match="straight line"):
        kpss(np.arange(50.0), trend=True)
    with pytest.raises(InputError, match="more rows"):
        dickey_fuller(NILE, lags=60)
    with pytest.raises(InputError, match="fewer lags"):
        kpss(NILE, lags=100)
    with pytest.raises(InputError, match="a trend needs"):
        trend_and_season_strength(np.ones(10), 5)
