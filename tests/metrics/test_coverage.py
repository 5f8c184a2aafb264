"""Modes, classes and bins: each count on samples whose coverage is known."""

from __future__ import annotations

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.metrics.coverage import REACH, class_shares, divergence, lloyd, mixture_modes, ndb

RING = np.column_stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)])
GRID = np.array([(x, y) for x in (-4.0, -2, 0, 2, 4) for y in (-4.0, -2, 0, 2, 4)])


def drawn(centres: np.ndarray, sd: float, n: int, seed: int = 0, shares: np.ndarray | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return centres[rng.choice(len(centres), n, p=shares)] + sd * rng.standard_normal((n, centres.shape[1]))


@pytest.mark.parametrize(("centres", "sd"), [(RING, 0.01), (GRID, 0.05)])
def test_one_point_made_again_and_again_is_one_mode_at_log_k(centres: np.ndarray, sd: float) -> None:
    found = mixture_modes(np.repeat(centres[3:4], 2500, 0), centres, sd)
    assert (found.found, found.held, found.known) == (1, 1, len(centres))
    assert found.high_quality_share.value == 1
    assert found.kl.value == pytest.approx(np.log(len(centres)))
    assert found.counts.tolist() == [2500 * (k == 3) for k in range(len(centres))]
    assert (found.nearest == 3).all() and found.high_quality.all()


@pytest.mark.parametrize(("centres", "sd"), [(RING, 0.01), (GRID, 0.05)])
def test_the_mixture_itself_has_all_modes_and_the_share_within_three_sd(centres: np.ndarray, sd: float) -> None:
    found = mixture_modes(drawn(centres, sd, 20_000), centres, sd)
    assert found.found == found.held == len(centres)
    share = found.high_quality_share
    assert share.low < 1 - np.exp(-(REACH**2) / 2) < share.high, "the radius of a plane Gaussian is Rayleigh's"
    assert found.kl.low == 0 < found.kl.value < found.kl.high + 1e-12


def test_noise_is_of_high_quality_as_often_as_the_discs_take_of_the_plane() -> None:
    rng = np.random.default_rng(1)
    found = mixture_modes(rng.uniform(-5, 5, (40_000, 2)), GRID, 0.05)
    area = 25 * np.pi * (REACH * 0.05) ** 2 / 100
    assert found.high_quality_share.low < area < found.high_quality_share.high
    assert found.found == 25 and found.kl.low == 0


def test_high_quality_ends_at_three_standard_deviations() -> None:
    just = np.array([[0.1499, 0], [0, -0.1501], [0.15 / np.sqrt(2), 0.1499 / np.sqrt(2)]])
    assert mixture_modes(just, GRID, 0.05).high_quality.tolist() == [True, False, True]


def test_a_mode_with_few_samples_is_found_and_not_held() -> None:
    samples = np.concatenate([np.repeat(RING[:1], 100, 0), np.repeat(RING[1:2], 20, 0), np.repeat(RING[2:3], 19, 0)])
    found = mixture_modes(samples, RING, 0.01)
    assert (found.found, found.held) == (3, 2)


def test_samples_that_are_not_finite_are_of_no_mode() -> None:
    samples = np.concatenate([RING, [[np.nan, 0], [np.inf, 1], [1e200, 0]]])
    found = mixture_modes(samples, RING, 0.01)
    assert found.nearest.tolist() == [*range(8), -1, -1, -1]
    assert found.high_quality_share.value == pytest.approx(8 / 11)


def test_without_a_sample_of_high_quality_there_is_no_divergence() -> None:
    found = mixture_modes(np.full((50, 2), 9.0), RING, 0.01)
    assert found.found == 0 and found.high_quality_share.value == 0
    assert np.isnan(found.kl.value)


def test_centres_far_from_the_origin_are_told_apart_to_the_last_digit() -> None:
    far = 1e7 + RING
    np.testing.assert_array_equal(
        mixture_modes(drawn(far, 0.01, 2000), far, 0.01).counts,
        mixture_modes(drawn(RING, 0.01, 2000), RING, 0.01).counts,
    )


def test_classes_by_hand() -> None:
    found = class_shares([0, 0, 0, 1], 4, [0.5, 0.25, 0.25, 0])
    assert (found.found, found.known, found.absent) == (2, 3, [2])
    assert found.kl.value == pytest.approx(0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.25))
    np.testing.assert_array_equal(found.shares, [0.75, 0.25, 0, 0])
    np.testing.assert_array_equal(found.counts, [3, 1, 0, 0])


def test_a_class_that_the_data_lack_makes_the_divergence_infinite() -> None:
    found = class_shares([0, 1, 2], 3, [0.5, 0.5, 0])
    assert found.kl.value == np.inf and (found.found, found.known) == (2, 2)


def test_shares_are_taken_of_their_sum() -> None:
    assert class_shares([0, 0, 1], 2, [30, 10]).kl == class_shares([0, 0, 1], 2, [0.75, 0.25]).kl


@pytest.mark.parametrize(("predicted", "real"), [([0, 3], [1, 1, 1]), ([0, 1], [1, 1])])
def test_classes_outside_the_known_ones_are_refused(predicted: list[int], real: list[float]) -> None:
    with pytest.raises(InputError, match="3 classes"):
        class_shares(predicted, 3, real)


def test_equal_shares_of_a_thousand_classes_measure_as_chance_alone() -> None:
    """26,000 perfect samples measure .019 nats, of the size of published figures; the interval starts at 0."""
    rng = np.random.default_rng(0)
    found = [class_shares(rng.integers(0, 1000, 26_000), 1000, np.ones(1000)).kl for _ in range(20)]
    assert np.mean([one.value for one in found]) == pytest.approx(999 / 52_000, rel=0.03)
    assert all(one.low == 0 for one in found)


def kl_of(q: np.ndarray, p: np.ndarray) -> float:
    return float((q[q > 0] * np.log(q[q > 0] / p[q > 0])).sum())


@pytest.mark.parametrize(
    ("classes", "n", "spread"),
    [(8, 2500, 0.5), (25, 2500, 0.7), (25, 1000, 0.2), (1000, 26_000, 0.7), (1000, 1000, 0.1)],
)
def test_the_interval_of_the_divergence_holds_the_true_one(classes: int, n: int, spread: float) -> None:
    """In 300 draws at least 91 % of the time: 95 % less three standard errors."""
    rng = np.random.default_rng(5)
    p = np.full(classes, 1 / classes)
    q = np.exp(rng.normal(0, spread, classes))
    q /= q.sum()
    ends = [divergence(rng.multinomial(n, q), p) for _ in range(300)]
    assert np.mean([one.low <= kl_of(q, p) <= one.high for one in ends]) > 0.91
    assert np.mean([one.low for one in ends]) < np.mean([one.value for one in ends])


def test_bins_of_the_same_distribution_differ_about_one_in_twenty() -> None:
    rng = np.random.default_rng(0)
    found = [ndb(rng.normal(size=(3000, 3)), rng.normal(size=(2000, 3)), 50, seed) for seed in range(10)]
    assert found[0].expected == 2.5
    assert 1.5 < np.mean([one.different for one in found]) < 5
    assert max(one.jsd for one in found) < 0.02


def test_a_dropped_cluster_shows_in_its_bins_and_in_no_worse_place() -> None:
    keep = np.where(np.arange(8) == 5, 0, 1 / 7)
    real, made = drawn(RING, 0.01, 4000), drawn(RING, 0.01, 4000, seed=1, shares=keep)
    found = ndb(real, made, 8)
    centres = lloyd(real, 8)
    lost = int(((centres - RING[5]) ** 2).sum(1).argmin())
    assert found.z.argmin() == lost and found.made[lost] == 0
    assert found.real.sum() == pytest.approx(1) and found.made.sum() == pytest.approx(1)
    assert found.different > found.expected


def test_the_jensen_shannon_divergence_of_the_bins_by_hand() -> None:
    """Shares (1/2, 1/2) and (0, 1), in the middle (1/4, 3/4); and equal ones."""
    real = np.repeat([[0.0], [1.0]], 100, axis=0)
    expected = (0.5 * np.log(2) + 0.5 * np.log(2 / 3) + np.log(4 / 3)) / 2
    assert ndb(real, np.full((50, 1), 9.0), 2).jsd == pytest.approx(expected)
    assert ndb(real, real, 2).jsd == 0 and ndb(real, real, 2).different == 0


def test_the_two_proportion_test_by_hand() -> None:
    """30 of 100 against 50 of 100: z = .2 / sqrt(.4 * .6 * .02) = 2.887."""
    real, made = (np.repeat([[0.0], [1.0]], [100 - k, k], axis=0) for k in (30, 50))
    assert sorted(ndb(real, made, 2).z) == pytest.approx([-2.8868, 2.8868], abs=1e-4)


def test_k_means_finds_separate_clusters_and_no_more_than_there_are_rows() -> None:
    centres = lloyd(drawn(GRID, 0.05, 5000), 25, seed=3)
    assert np.sqrt(((GRID[:, None] - centres) ** 2).sum(2).min(1)).max() < 0.02
    np.testing.assert_array_equal(lloyd(drawn(GRID, 0.05, 500), 9, 1), lloyd(drawn(GRID, 0.05, 500), 9, 1))
    assert len(lloyd(np.repeat(RING, 5, 0), 20)) == 8


def test_k_means_ends_where_each_centre_is_the_mean_of_its_rows() -> None:
    x = np.random.default_rng(2).normal(size=(400, 2))
    centres = lloyd(x, 4)
    member = ((x[:, None] - centres) ** 2).sum(2).argmin(1)
    means = np.stack([x[member == k].mean(0) for k in range(4)])
    np.testing.assert_allclose(centres, means, atol=0.05)


def test_features_that_are_not_finite_or_no_rows_are_refused() -> None:
    x = np.zeros((10, 2))
    with pytest.raises(InputError, match="row 3 is not finite"):
        ndb(x, np.where(np.arange(10)[:, None] == 3, np.nan, x))
    with pytest.raises(InputError, match=r"shape \(10,\)"):
        lloyd(x[:, 0], 2)
