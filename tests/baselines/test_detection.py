"""Scores of anomaly without a network: definitions row by row, what they may look at, what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elboroom.baselines import subsequence
from elboroom.baselines.channels import Array, combined
from elboroom.baselines.detection import (
    BASELINES,
    Baseline,
    ewma,
    moving_variance,
    moving_variance_centred,
    moving_z,
    random_scores,
    seasonal_naive,
)
from elboroom.core.errors import InputError

PERIOD, TRAIN = 12, 150


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subsequence, "TREES", 10)


CAUSAL = [b for b in BASELINES if b.causal]
OTHER = [b for b in BASELINES if not b.causal]
WINDOWED = [b for b in BASELINES if b.name.startswith(("sub_pca", "isolation", "matrix", "moving_variance"))]
LOOKING = [b for b in BASELINES if b.name not in ("random", "constant")]


def waves(rows: int = 400, channels: int = 1, seed: int = 0, missing: float = 0.0) -> Array:
    """Noisy sine waves of period 12, with a stretch of noise from row 300 on."""
    rng = np.random.default_rng(seed)
    x = np.sin(2 * np.pi * np.arange(rows) / PERIOD)[:, None] * (1 + np.arange(channels)) + 5 * np.arange(channels)
    x = x + 0.1 * rng.normal(size=x.shape)
    x[300:330] += (rng.normal(size=(30, channels)) * (1 + np.arange(channels)))[: max(0, rows - 300)]
    x[rng.random(x.shape) < missing] = np.nan
    return np.asarray(x)


def name(baseline: Baseline) -> str:
    return baseline.name


# -- what each may look at ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [0.0, 0.01])
@pytest.mark.parametrize("baseline", CAUSAL, ids=name)
def test_a_causal_score_does_not_change_with_the_future(baseline: Baseline, missing: float) -> None:
    x, now = waves(channels=2, missing=missing), 310
    shuffled = x.copy()
    shuffled[now + 1 :] = 10 * np.random.default_rng(1).permutation(x[now + 1 :])
    before = baseline.score(x, TRAIN, period=PERIOD, seed=3)
    after = baseline.score(shuffled, TRAIN, period=PERIOD, seed=3)
    cut = baseline.score(x[: now + 1], TRAIN, period=PERIOD, seed=3)
    np.testing.assert_array_equal(before[: now + 1], after[: now + 1])
    np.testing.assert_allclose(cut, before[: now + 1], rtol=1e-9, atol=1e-9)
    assert np.isfinite(before[TRAIN:]).sum() > 100
    if baseline in LOOKING:
        assert not np.array_equal(before[now + 1 :], after[now + 1 :], equal_nan=True)


@pytest.mark.parametrize("baseline", OTHER, ids=name)
def test_a_score_that_is_not_causal_says_so_rightly(baseline: Baseline) -> None:
    x, now = waves(), 310
    shuffled = x.copy()
    shuffled[now + 1 :] = 10 * np.random.default_rng(1).permutation(x[now + 1 :])
    before = baseline.score(x, TRAIN, period=PERIOD)
    after = baseline.score(shuffled, TRAIN, period=PERIOD)
    assert not np.array_equal(before[: now + 1], after[: now + 1], equal_nan=True)


@pytest.mark.parametrize("baseline", BASELINES, ids=name)
def test_only_a_transductive_score_is_fitted_on_what_it_scores(baseline: Baseline) -> None:
    x = waves()
    other = x.copy()
    other[TRAIN + PERIOD :] = np.random.default_rng(2).normal(size=(400 - TRAIN - PERIOD, 1))
    early = slice(0, TRAIN)
    before = baseline.score(x, TRAIN, period=PERIOD)[early]
    after = baseline.score(other, TRAIN, period=PERIOD)[early]
    assert np.array_equal(before, after, equal_nan=True) is not baseline.transductive


@pytest.mark.parametrize("baseline", WINDOWED, ids=name)
def test_noise_in_place_of_waves_stands_out_from_the_training_stretch(baseline: Baseline) -> None:
    scores = baseline.score(waves(channels=3), TRAIN, period=PERIOD)
    fault, normal = scores[305:330], scores[TRAIN + PERIOD : 290]
    assert np.nanmean(fault) > np.nanmean(normal) + 2 * np.nanstd(normal)


@pytest.mark.parametrize("score", [moving_z, ewma, seasonal_naive])
def test_a_spike_has_the_largest_score_at_its_row(score) -> None:  # type: ignore[no-untyped-def]
    x = waves(230, channels=2)  # it ends before the echo one period later
    x[222] += 8
    assert np.nanargmax(score(x, TRAIN, period=PERIOD)) == 222


# -- what is missing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", WINDOWED, ids=name)
def test_exactly_the_windows_with_a_missing_cell_have_no_score(baseline: Baseline) -> None:
    x = waves()
    x[200] = np.nan
    found = np.isnan(baseline.score(x, TRAIN, period=PERIOD))
    if baseline.causal:
        wanted = np.arange(200, 200 + PERIOD)  # the windows that end there
    else:
        wanted = np.arange(200 - PERIOD // 2 + 1, 200 + PERIOD // 2 + 1)  # those with 200 inside, at their middle
    np.testing.assert_array_equal(np.flatnonzero(found[50:380]) + 50, wanted)


@pytest.mark.parametrize("baseline", BASELINES, ids=name)
def test_a_row_without_any_value_has_no_score(baseline: Baseline) -> None:
    x = waves(channels=2)
    x[200] = np.nan
    scores = baseline.score(x, TRAIN, period=PERIOD)
    assert scores.shape == (400,)
    assert np.isnan(scores[200])
    assert np.isfinite(scores[220:380]).all()


@pytest.mark.parametrize("baseline", LOOKING, ids=name)
def test_a_channel_with_a_gap_leaves_the_score_to_the_others(baseline: Baseline) -> None:
    x = waves(channels=3)
    x[200:260, 1] = np.nan
    scores = baseline.score(x, TRAIN, period=PERIOD)
    assert np.isfinite(scores[200:380]).all()


@pytest.mark.parametrize("baseline", LOOKING, ids=name)
def test_a_series_shorter_than_what_is_needed_has_no_scores(baseline: Baseline) -> None:
    assert np.isnan(baseline.score(waves(5), 3, period=PERIOD)).all()


@pytest.mark.parametrize("baseline", LOOKING, ids=name)
def test_a_channel_that_stands_still_or_is_never_there_does_no_harm(baseline: Baseline) -> None:
    x = waves(channels=4)
    x[:, 1], x[:, 2] = 7.3, np.nan
    scores = baseline.score(x, TRAIN, period=PERIOD)
    alone = baseline.score(x[:, [0, 3]], TRAIN, period=PERIOD)
    assert np.isfinite(scores[PERIOD + 1 : 380]).sum() >= 350
    if baseline.name != "isolation_forest":  # its seed is another in another place
        assert np.corrcoef(scores[30:380], alone[30:380])[0, 1] > 0.999
    still = baseline.score(np.full((300, 1), 7.3), TRAIN, period=PERIOD)
    assert np.nanmax(still) - np.nanmin(still) < 1e-6


# -- definitions -------------------------------------------------------------------------------------------------------


def test_moving_z_equals_its_definition_row_by_row() -> None:
    x = waves(missing=0.05)
    floor = 0.01 * np.nanstd(x[:TRAIN])
    wanted = np.full(len(x), np.nan)
    for t in range(len(x)):
        before = x[max(0, t - PERIOD) : t, 0]
        before = before[~np.isnan(before)]
        if len(before) >= PERIOD / 2:
            wanted[t] = abs(x[t, 0] - before.mean()) / max(before.std(), floor)
    np.testing.assert_allclose(moving_z(x, TRAIN, period=PERIOD), wanted, rtol=1e-9)
    assert np.isnan(wanted).sum() < 60


def test_a_flat_stretch_gives_a_large_score_and_no_infinite_one() -> None:
    x = waves()
    x[200:240] = 0.5
    x[240] = 0.6
    scores = moving_z(x, TRAIN, period=PERIOD)
    assert scores[240] == pytest.approx(0.1 / (0.01 * x[:TRAIN].std()))
    assert scores[230] == pytest.approx(0, abs=1e-6)


def test_ewma_equals_its_recurrence_and_passes_over_missing_rows() -> None:
    x = waves(missing=0.05)
    a, floor = 2 / (PERIOD + 1), 0.01 * np.nanstd(x[:TRAIN])
    wanted, mean, variance, seen = np.full(len(x), np.nan), 0.0, 0.0, 0
    for t, value in enumerate(x[:, 0]):
        if math.isnan(value):
            continue
        if seen == 0:
            mean = value
        off = value - mean
        if seen >= PERIOD:
            wanted[t] = abs(off) / max(math.sqrt(variance), floor)
        mean, variance = mean + a * off, (1 - a) * (variance + a * off**2)
        seen += 1
    np.testing.assert_allclose(ewma(x, TRAIN, period=PERIOD), wanted, rtol=1e-9)


def test_moving_variance_is_the_variance_of_each_window() -> None:
    x = waves(missing=0.01) + 1e5
    windows = np.lib.stride_tricks.sliding_window_view(x[:, 0], PERIOD)
    wanted = windows.var(1)
    np.testing.assert_allclose(moving_variance(x, TRAIN, period=PERIOD)[PERIOD - 1 :], wanted, rtol=1e-7)
    centred = moving_variance_centred(x, TRAIN, period=PERIOD)
    np.testing.assert_allclose(centred[PERIOD // 2 : PERIOD // 2 + len(wanted)], wanted, rtol=1e-7)
    assert np.isnan(centred[: PERIOD // 2]).all()
    assert 0 < np.isnan(wanted).sum() < 200


def test_seasonal_naive_is_the_difference_from_a_period_earlier() -> None:
    x = waves()
    difference = x[PERIOD:, 0] - x[:-PERIOD, 0]
    scores = seasonal_naive(x, TRAIN, period=PERIOD)
    np.testing.assert_allclose(scores[PERIOD:], abs(difference) / difference[: TRAIN - PERIOD].std())
    assert np.isnan(scores[:PERIOD]).all()


def test_chance_depends_on_the_seed_alone() -> None:
    x = waves()
    np.testing.assert_array_equal(
        random_scores(x, TRAIN, period=PERIOD, seed=4), random_scores(2 * x, TRAIN, period=9, seed=4)
    )
    assert not np.array_equal(
        random_scores(x, TRAIN, period=PERIOD, seed=4), random_scores(x, TRAIN, period=PERIOD, seed=5)
    )


@pytest.mark.parametrize("baseline", BASELINES, ids=name)
def test_the_order_of_scores_does_not_depend_on_the_unit_of_the_series(baseline: Baseline) -> None:
    x = waves(missing=0.01)
    a = baseline.score(x, TRAIN, period=PERIOD, seed=1)
    b = baseline.score(1000 * x - 300, TRAIN, period=PERIOD, seed=1)
    scale = np.nanstd(b) / np.nanstd(a) if np.nanstd(a) else 1.0
    np.testing.assert_allclose(b, scale * a, rtol=1e-6, atol=1e-6 * scale)


# -- several channels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [moving_z, ewma, seasonal_naive, moving_variance])
def test_several_channels_are_the_mean_of_scores_standardised_on_the_training_stretch(score) -> None:  # type: ignore[no-untyped-def]
    x = waves(channels=3, missing=0.002)
    alone = np.stack([score(x[:, [c]], TRAIN, period=PERIOD) for c in range(3)], 1)
    known = alone[:TRAIN]
    standard = np.ma.masked_invalid((alone - np.nanmean(known, 0)) / np.nanstd(known, 0))
    wanted = standard.mean(1).filled(np.nan)
    np.testing.assert_allclose(score(x, TRAIN, period=PERIOD), wanted, rtol=1e-9)


def test_channels_without_a_training_score_take_no_part() -> None:
    scores = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 9.0], [np.nan, 9.0]])
    np.testing.assert_allclose(combined(scores, 2, [True, True]), [-1, 1, 3, np.nan])
    np.testing.assert_allclose(combined(scores[:, ::-1], 4, [False, False])[:2], [-2, 0])


# -- calls -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "train", "period", "words"),
    [
        (np.zeros(10), 5, 3, r"not \(10,\); give one channel as x\[:, None\]"),
        (np.zeros((0, 2)), 0, 3, r"shape"),
        (np.array([[0.0], [np.inf]]), 1, 2, "row 1, channel 0 holds inf"),
        (np.zeros((10, 1)), 11, 3, "11 rows in a series of 10"),
        (np.zeros((10, 1)), 0, 3, "0 rows"),
        (np.zeros((10, 1)), 5, 1, "period of 1"),
    ],
)
def test_a_wrong_call_is_told_what_to_do(x: Array, train: int, period: int, words: str) -> None:
    for baseline in BASELINES:
        with pytest.raises(InputError, match=words):
            baseline.score(x, train, period=period)


def test_every_baseline_has_a_name_of_its_own_and_says_what_it_does() -> None:
    assert len({b.name for b in BASELINES}) == len({b.title for b in BASELINES}) == len(BASELINES)
    assert all(b.how and not b.how.endswith(".") for b in BASELINES)
    assert {b.name for b in BASELINES} >= {"random", "constant", "moving_z", "sub_pca", "matrix_profile_left"}
