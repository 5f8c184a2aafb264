"""Windows as points: the published Sub-PCA score from scikit-learn's parts, the forest, what each is fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

from elboroom.baselines import subsequence
from elboroom.baselines.channels import Array
from elboroom.baselines.subsequence import (
    Subspace,
    isolation_forest,
    sub_pca,
    sub_pca_centred,
    sub_pca_transductive,
)

M, TRAIN = 10, 250


@pytest.fixture
def walk() -> Array:
    rng = np.random.default_rng(3)
    drift, noise = 0.02 * rng.normal(size=600).cumsum(), 0.3 * rng.normal(size=600)
    return np.asarray(100 + np.sin(np.arange(600) / 3) + drift + noise)


def windows(x: Array) -> Array:
    return np.lib.stride_tricks.sliding_window_view(x, M)


def shyu(fitted: Array, scored: Array) -> Array:
    """The sum of weighted distances of PyOD's PCA, put together from scikit-learn and scipy."""
    scaler = StandardScaler().fit(fitted)
    pca = PCA(svd_solver="full").fit(scaler.transform(fitted))
    weights = 1 / pca.explained_variance_ratio_
    return np.asarray(cdist(scaler.transform(scored), pca.components_) @ weights / weights.sum())


def test_sub_pca_is_the_published_sum_of_weighted_distances(walk: Array) -> None:
    found = sub_pca_transductive(walk[:, None], TRAIN, period=M)
    wanted = shyu(windows(walk), windows(walk))
    np.testing.assert_allclose(found[M // 2 : M // 2 + len(wanted)], wanted, rtol=1e-8)
    assert np.isnan(found[: M // 2]).all() and np.isnan(found[M // 2 + len(wanted) :]).all()


def test_the_two_forms_without_leak_know_the_training_windows_only(walk: Array) -> None:
    wanted = shyu(windows(walk[:TRAIN]), windows(walk))
    np.testing.assert_allclose(sub_pca(walk[:, None], TRAIN, period=M)[M - 1 :], wanted, rtol=1e-8)
    centred = sub_pca_centred(walk[:, None], TRAIN, period=M)
    np.testing.assert_allclose(centred[M // 2 : M // 2 + len(wanted)], wanted, rtol=1e-8)


def test_the_chunks_in_which_windows_are_read_change_nothing(walk: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sub_pca(walk[:, None], TRAIN, period=M)
    monkeypatch.setattr(subsequence, "CHUNK", 7)
    np.testing.assert_allclose(sub_pca(walk[:, None], TRAIN, period=M), whole, rtol=1e-9)


def test_a_subspace_has_orthonormal_directions_and_shares_that_sum_to_one(walk: Array) -> None:
    space = Subspace.fit(walk, np.arange(len(walk) - M + 1), M)
    np.testing.assert_allclose(space.directions.T @ space.directions, np.eye(M), atol=1e-12)
    assert space.shares.sum() == pytest.approx(1)
    assert (np.diff(space.shares) <= 0).all()
    z = (windows(walk) - space.mean) / space.scale
    np.testing.assert_allclose(((z @ space.directions) ** 2).mean(0) / M, space.shares, rtol=1e-8)


def test_the_score_is_nearly_the_length_of_the_standardised_window(walk: Array) -> None:
    z = StandardScaler().fit_transform(windows(walk))
    found = Subspace.fit(walk, np.arange(len(walk) - M + 1), M).score(walk)
    assert np.corrcoef(found, np.linalg.norm(z, axis=1))[0, 1] > 0.99


def test_fewer_windows_than_places_leave_fewer_components(walk: Array) -> None:
    space = Subspace.fit(walk, np.arange(4), M)
    assert len(space.shares) == 3
    assert np.isfinite(space.score(walk)).all()


def test_a_series_that_stood_still_in_training_is_scored_by_how_far_it_moves() -> None:
    x = np.full((60, 1), 5.0)
    x[40:] += 0.5
    scores = sub_pca(x, 30, period=4)
    np.testing.assert_allclose(scores[3:40], 0, atol=1e-12)
    np.testing.assert_allclose(scores[43:], 1.0)  # four places of one half


def test_the_forest_is_scikit_learns_on_training_windows(walk: Array) -> None:
    x = (walk - walk[:TRAIN].mean()) / walk[:TRAIN].std()
    forest = IsolationForest(random_state=5).fit(windows(x[:TRAIN]))
    found = isolation_forest(walk[:, None], TRAIN, period=M, seed=5)
    np.testing.assert_allclose(found[M - 1 :], -forest.score_samples(windows(x)), rtol=1e-6)
    assert not np.array_equal(found, isolation_forest(walk[:, None], TRAIN, period=M, seed=6), equal_nan=True)


@pytest.mark.parametrize("score", [sub_pca, sub_pca_centred, isolation_forest])
def test_a_training_stretch_without_a_whole_window_gives_no_scores(score, walk: Array) -> None:  # type: ignore[no-untyped-def]
    walk[np.arange(5, TRAIN, 8)] = np.nan
    scores = score(walk[:, None], TRAIN, period=M)
    assert scores.shape == (600,)
    assert np.isnan(scores).all()
