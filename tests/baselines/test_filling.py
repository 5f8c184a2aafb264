"""What fills in missing cells beside a model: against closed forms, scikit-learn, and cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.impute import KNNImputer
from sklearn.linear_model import Ridge

from elboroom.baselines.filling import ColumnMeans, NearestRows, RidgeFilling, fitted

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(3, 6))


def table(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) @ MIX + 0.3 * rng.normal(size=(n, 6)) + 5


def lacking(x: np.ndarray, share: float, seed: int) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(x.shape) < share, np.nan, x)


def test_ridge_filling_of_one_pattern_is_ridge_regression_of_each_column() -> None:
    train, new = table(200, 1), table(30, 2)
    shown = np.where(np.arange(6) < 3, new, np.nan)
    ours = RidgeFilling(np.arange(6) < 3)
    ours.fit(train)
    strength = 0.1
    theirs = Ridge(alpha=strength * ours.scale * len(train)).fit(train[:, :3], train[:, 3:])
    np.testing.assert_allclose(ours.fill(shown, strength)[:, 3:], theirs.predict(new[:, :3]), rtol=1e-9)


def test_ridge_filling_follows_the_pattern_of_each_row() -> None:
    train, new = table(200, 1), lacking(table(20, 2), 0.3, 3)
    ours = RidgeFilling(np.ones(6, bool))
    ours.fit(train)
    together = ours.fill(new, 0.01)
    for i, row in enumerate(new):
        np.testing.assert_allclose(ours.fill(row[None], 0.01)[0], together[i], rtol=1e-9)
        there = np.isfinite(row)
        if there.any() and not there.all():
            alone = RidgeFilling(there)
            alone.fit(train)
            alone.scale = ours.scale
            np.testing.assert_allclose(alone.fill(row[None], 0.01)[0], together[i], rtol=1e-9)


def test_a_row_without_any_measured_cell_is_told_as_the_means() -> None:
    train, empty = table(50, 1), np.full((1, 6), np.nan)
    for filler in (ColumnMeans(), RidgeFilling(np.ones(6, bool))):
        filler.fit(train)
        np.testing.assert_allclose(filler.fill(empty, 0.1)[0], train.mean(0))


@pytest.mark.parametrize("k", [1, 5])
def test_nearest_rows_are_scikit_learns_where_training_rows_are_complete(k: int) -> None:
    train, new = table(80, 1), lacking(table(25, 2), 0.3, 6)
    ours = NearestRows()
    ours.fit(train)
    theirs = KNNImputer(n_neighbors=k).fit(train).transform(new)
    missing = ~np.isfinite(new)
    np.testing.assert_allclose(ours.fill(new, k)[missing], theirs[missing], rtol=1e-4)


def test_a_cell_that_no_neighbour_has_falls_back_on_the_mean() -> None:
    train = np.array([[0.0, np.nan], [10.0, 4.0], [11.0, 6.0]])
    filler = NearestRows()
    filler.fit(train)
    assert filler.fill(np.array([[0.1, np.nan]]), 1)[0].tolist() == [0.0, 5.0]
    assert filler.fill(np.array([[10.1, np.nan]]), 2)[0].tolist() == [10.5, 5.0]


def test_settings_are_those_with_the_least_error_on_rows_not_fitted_on() -> None:
    train, aside = table(200, 1), table(60, 2)
    hidden = np.where(np.arange(6) < 3, np.nan, aside)
    question = np.where(np.arange(6) < 3, aside, np.nan)
    for filler in fitted(train, question, hidden, question):
        errors = [np.nansum(np.square(filler.fill(question, c) - hidden)) for c in filler.choices]
        assert filler.chosen == filler.choices[int(np.argmin(errors))]


def test_ridge_is_left_out_where_it_would_have_to_be_solved_for_every_row_of_a_wide_table() -> None:
    wide = np.random.default_rng(0).normal(size=(300, 500)).astype(np.float32)
    asked = lacking(wide, 0.2, 1)
    names = [f.name for f in fitted(wide, asked[:20], np.where(np.isfinite(asked[:20]), np.nan, wide[:20]), asked)]
    assert names == ["mean of each column", "nearest rows"]
