"""Two sets of draws: equal laws are not told apart, others are, and each number equals its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from elboroom.metrics.interval import Interval
from elboroom.metrics.matching import MMD, Matching, _auc, axes, matching, mmd, noise_shares, two_sample_auc


def normal(seed: int, n: int = 300, d: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def test_mmd_is_the_unbiased_double_sum_over_pairs():
    x, y = normal(0, 7, 2), normal(1, 7, 2) + 0.5
    both = np.concatenate([x, y])
    squares = np.array([[((a - b) ** 2).sum() for b in both] for a in both])
    c = np.median(squares[np.triu_indices(14, 1)])
    k = c / (c + squares)
    within = sum(k[i, j] + k[7 + i, 7 + j] for i in range(7) for j in range(7) if i != j) / (7 * 6)
    assert mmd(x, y).square.value == pytest.approx(within - 2 * k[:7, 7:].mean())


def test_of_equal_laws_p_is_uniform_and_mmd_is_zero_on_average():
    found = [mmd(normal(2 * i, 60), normal(2 * i + 1, 60), exchanges=99, seed=i) for i in range(200)]
    assert stats.kstest([m.p for m in found], "uniform").pvalue > 0.01
    values = np.array([m.square.value for m in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))


def test_the_interval_of_mmd_covers_its_value_where_the_laws_differ():
    true = np.mean([mmd(normal(i, 80) + 1.0, normal(9000 + i, 80), exchanges=1).square.value for i in range(600)])
    found = [mmd(normal(20_000 + i, 80) + 1.0, normal(30_000 + i, 80), exchanges=1).square for i in range(200)]
    assert 0.9 <= np.mean([m.low <= true <= m.high for m in found]) <= 0.99


def test_a_law_that_is_shifted_or_wider_or_of_another_shape_is_detected_by_all():
    z = normal(0, 500)
    angle = np.random.default_rng(2).uniform(0, 2 * np.pi, 500)
    ring = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle), normal(3, 500, 1)[:, 0] / np.sqrt(2)], 1)
    for other in (z + 0.4, 1.5 * z, ring):
        found = matching(other, normal(1, 500))
        assert found.mmd.p < 0.01
        assert found.axes[found.worst].p < 0.01
        assert found.auc.low > 0.5


def test_a_dependence_that_no_axis_shows_is_seen_by_the_classifier_and_by_mmd():
    a, b = normal(4, 500, 2).T
    twisted = np.stack([a, np.abs(b) * np.sign(a)], 1)
    found = matching(twisted, normal(5, 500, 2))
    assert min(axis.p for axis in found.axes) > 0.05
    assert found.auc.low > 0.6
    assert found.mmd.p < 0.01


def test_gaps_and_their_p_values_are_scipys_times_the_number_of_axes():
    x, y = normal(6, 400) * [1, 1.1, 1], normal(7, 400) + np.array([0.15, 0, 0])
    found = axes(x, y)
    peer = [stats.ks_2samp(x[:, j], y[:, j], method="asymp") for j in range(3)]
    assert [a.statistic for a in found] == pytest.approx([one.statistic for one in peer])
    smallest = int(np.argmin([one.pvalue for one in peer]))
    assert found[smallest].p == pytest.approx(3 * peer[smallest].pvalue, rel=0.1)
    assert all(a.p >= one.pvalue * 0.9 for a, one in zip(found, peer, strict=True))


def test_of_equal_laws_the_classifiers_interval_holds_one_half_as_often_as_it_says():
    found = [two_sample_auc(normal(2 * i, 150), normal(2 * i + 1, 150), seed=i) for i in range(100)]
    assert np.mean([auc.low <= 0.5 <= auc.high for auc in found]) >= 0.94
    assert np.mean([auc.value for auc in found]) == pytest.approx(0.5, abs=0.01)


def test_the_area_is_scikit_learns_with_ties_by_half():
    rng = np.random.default_rng(8)
    high, low = rng.integers(0, 9, 40) + 1.0, rng.integers(0, 9, 50) + 0.0
    label = np.repeat([1, 0], [40, 50])
    assert _auc(high, low)[0] == pytest.approx(roc_auc_score(label, np.concatenate([high, low])))


def test_codes_that_are_all_one_point_are_told_from_any_law():
    found = matching(np.zeros((100, 2)), normal(9, 100, 2))
    assert found.mmd.p < 0.01
    assert found.auc.value > 0.9
    assert np.isfinite(found.mmd.square.value)


def test_noise_has_the_share_of_variance_that_the_mean_has_not():
    rng = np.random.default_rng(10)
    mean = rng.normal(size=(20_000, 3)) * [1.0, 2.0, 0.0]
    sd = np.full((20_000, 3), [1.0, 0.0, 0.0])
    assert noise_shares(mean, sd) == pytest.approx([0.5, 0.0, 0.0], abs=0.01)


def test_sets_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        matching(normal(0, 30), normal(1, 40))


def test_the_largest_gaps_interval_holds_the_true_one_as_often_as_it_says_or_more():
    # N(0.5, 1) and N(0, 1) are furthest apart half way between: 2 Phi(0.25) - 1
    true = 2 * stats.norm.cdf(0.25) - 1
    found = []
    for i in range(60):
        shifted = normal(2 * i, 100) + np.array([0.5, 0.0, 0.0])
        square, auc = MMD(Interval(0, 0, 0), 1.0), Interval(0.5, 0.5, 0.5)
        matched = Matching(100, square, axes(shifted, normal(2 * i + 1, 100)), auc)
        found.append(matched.gap)
    assert np.mean([gap.low <= true <= gap.high for gap in found]) >= 0.95
    assert found[0].high - found[0].low < 0.5
