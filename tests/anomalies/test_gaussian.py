"""One normal law over channels: scikit-learn's shrinkage, scipy's densities, blame that finds a broken channel."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.covariance import ledoit_wolf

from elboroom.anomalies.gaussian import Gaussian
from elboroom.core.errors import InputError


def correlated(rows: int, channels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draws and their covariance; units from 0.1 to 10."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(channels, 2 * channels)) + rng.normal(size=2 * channels)
    covariance = mixing @ mixing.T
    units = 10.0 ** rng.uniform(-1, 1, size=channels) / np.sqrt(np.diag(covariance))
    covariance *= np.outer(units, units)
    return rng.multivariate_normal(np.arange(channels) * units, covariance, size=rows), covariance


@pytest.mark.parametrize(("rows", "channels"), [(12, 20), (60, 5), (5000, 8)])
def test_the_shrinkage_is_that_of_ledoit_and_wolf_in_the_scale_of_correlations(rows: int, channels: int) -> None:
    x, _ = correlated(rows, channels)
    law = Gaussian.fit(x)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    covariance, shrinkage = ledoit_wolf(z, assume_centered=True)
    assert law.shrinkage == pytest.approx(shrinkage, rel=1e-9)
    np.testing.assert_allclose(law.covariance, covariance * np.outer(x.std(axis=0), x.std(axis=0)), rtol=1e-9)
    np.testing.assert_allclose(law.mean, x.mean(axis=0))


def test_with_holes_the_law_is_near_the_true_one_and_can_always_be_inverted() -> None:
    x, covariance = correlated(20_000, 5)
    rng = np.random.default_rng(1)
    x[rng.random(x.shape) < 0.3] = np.nan
    law = Gaussian.fit(x)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(law.covariance / np.outer(sd, sd), covariance / np.outer(sd, sd), atol=0.05)
    # three channels, each pair seen on rows of its own, with correlations that no one law can have
    z = rng.normal(size=(3000, 1)) * np.ones((1, 3))
    z[:1000, 2], z[1000:2000, 0], z[2000:, 1] = np.nan, np.nan, np.nan
    z[2000:, 2] *= -1
    law = Gaussian.fit(z)
    assert np.linalg.eigvalsh(law.covariance).min() > 0
    assert np.isfinite(law.nll(rng.normal(size=(5, 3)))).all()


def test_negative_log_likelihoods_are_scipys_also_of_the_channels_that_are_there() -> None:
    x, _ = correlated(300, 4)
    law = Gaussian.fit(x)
    x[np.random.default_rng(2).random(x.shape) < 0.3] = np.nan
    x[0] = np.nan
    found = law.nll(x)
    for row, value in zip(x, found, strict=True):
        there = ~np.isnan(row)
        if there.any():
            part = stats.multivariate_normal(law.mean[there], law.covariance[np.ix_(there, there)])
            assert value == pytest.approx(-part.logpdf(row[there]), rel=1e-9, abs=1e-9)
        else:
            assert math.isnan(value)
    assert math.isnan(found[0])


def test_surprise_is_the_log_tail_of_chi_squared_and_has_mean_one_whatever_is_missing() -> None:
    x, _ = correlated(20_000, 6)
    law = Gaussian.fit(x)
    squared = stats.multivariate_normal(law.mean, law.covariance).logpdf(x)
    squared = -2 * (squared - stats.multivariate_normal(law.mean, law.covariance).logpdf(law.mean))
    np.testing.assert_allclose(law.surprise(x), -stats.chi2.logsf(squared, 6), rtol=1e-6)
    for missing in range(6):
        part = x.copy()
        part[:, :missing] = np.nan
        assert law.surprise(part).mean() == pytest.approx(1.0, abs=0.04)


def test_surprise_stays_exact_where_the_probability_is_below_the_least_float() -> None:
    far = np.array([[1.0], [30.0], [40.0], [100.0], [1e4]])
    for channels in (2, 4):
        law = Gaussian(np.zeros(channels), np.eye(channels), 0.0)
        r = np.zeros((len(far), channels))
        r[:, :1] = far
        half = far[:, 0] ** 2 / 2
        expected = half if channels == 2 else half - np.log1p(half)  # closed forms for an even number
        np.testing.assert_allclose(law.surprise(r), expected, rtol=1e-12)
    steps = np.linspace(3.7, 4.5, 201)[:, None] * np.ones(101)  # 1e-220 to below any float
    found = Gaussian(np.zeros(101), np.eye(101), 0.0).surprise(steps)
    assert found[0] < 600 < 750 < found[-1] and np.abs(np.diff(found, 3)).max() < 1e-6  # no step where the ways meet


def test_blame_is_what_of_the_distance_goes_with_a_channel() -> None:
    x, _ = correlated(200, 5)
    law = Gaussian.fit(x)
    x[np.random.default_rng(3).random(x.shape) < 0.2] = np.nan
    found = law.shares(x)

    def distance(row: np.ndarray, there: np.ndarray) -> float:
        d = row[there] - law.mean[there]
        return float(d @ np.linalg.solve(law.covariance[np.ix_(there, there)], d)) if there.any() else 0.0

    for row, share in zip(x, found, strict=True):
        there = ~np.isnan(row)
        drops = np.zeros(5)
        for channel in np.flatnonzero(there):
            without = there.copy()
            without[channel] = False
            drops[channel] = distance(row, there) - distance(row, without)
        np.testing.assert_allclose(share, drops / drops.sum(), rtol=1e-6, atol=1e-9)
        assert share.min() >= 0 and share.sum() == pytest.approx(1.0) and not share[~there].any()


def test_a_fault_of_one_channel_alone_always_has_the_largest_share() -> None:
    rng = np.random.default_rng(4)
    for seed in range(10):
        x, covariance = correlated(2000, 20, seed)
        law = Gaussian.fit(x)
        channels = rng.integers(0, 20, size=200)
        faults = x[:200] * 0 + law.mean
        faults[np.arange(200), channels] += rng.choice([-1, 1], 200) * np.sqrt(np.diag(covariance))[channels] * 3
        np.testing.assert_array_equal(law.shares(faults).argmax(axis=1), channels)
        noisy = faults + x[200:400] - law.mean
        noisy[np.arange(200), channels] += 5 * (faults - law.mean)[np.arange(200), channels]
        assert (law.shares(noisy).argmax(axis=1) == channels).mean() >= 0.95


def test_a_row_on_the_mean_is_nobodys_fault_and_an_empty_row_has_no_share() -> None:
    law = Gaussian(np.zeros(4), np.eye(4), 0.0)
    found = law.shares(np.array([[0.0, 0.0, 0.0, 0.0], [0.0, np.nan, 0.0, np.nan], [np.nan] * 4]))
    np.testing.assert_array_equal(found, [[0.25] * 4, [0.5, 0.0, 0.5, 0.0], [np.nan] * 4])


def test_rows_one_by_one_from_a_saved_law_equal_the_whole() -> None:
    x, _ = correlated(200, 4)
    law = Gaussian.fit(x)
    again = Gaussian.from_json(json.loads(json.dumps(law.to_json(), allow_nan=False)))
    np.testing.assert_array_equal(again.covariance, law.covariance)
    x[np.random.default_rng(5).random(x.shape) < 0.3] = np.nan
    for name in ("nll", "surprise", "shares"):
        rows = [getattr(again, name)(x[t : t + 1])[0] for t in range(len(x))]
        np.testing.assert_allclose(rows, getattr(law, name)(x), rtol=1e-9, atol=1e-9)


def test_residuals_without_scale_or_of_other_shapes_are_refused() -> None:
    x, _ = correlated(50, 3)
    x[:, 1] = 0.1
    with pytest.raises(InputError, match="channel 1"):
        Gaussian.fit(x)
    x[:, 1] = np.nan
    with pytest.raises(InputError, match="channel 1"):
        Gaussian.fit(x)
    with pytest.raises(InputError, match="shape"):
        Gaussian.fit(np.ones(5))
    with pytest.raises(InputError, match="3 channels"):
        Gaussian(np.zeros(3), np.eye(3), 0.0).nll(np.ones((4, 2)))
