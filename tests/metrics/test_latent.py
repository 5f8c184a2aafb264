from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from elboroom.metrics import latent


def test_trustworthiness_equals_scikit_learns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 10))
    z = x[:, :2] + 0.3 * rng.normal(size=(80, 2))
    for k in (1, 5, 12):
        assert latent.trust(x, z, neighbours=k).mean() == pytest.approx(trustworthiness(x, z, n_neighbors=k))


def test_a_turned_code_is_wholly_trusted():
    x = np.random.default_rng(1).normal(size=(60, 3))
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    assert latent.trust(x, x @ turn, neighbours=7).min() == 1.0


def test_a_random_code_is_trusted_like_chance():
    rng = np.random.default_rng(3)
    assert latent.trust(rng.normal(size=(300, 5)), rng.normal(size=(300, 2)), neighbours=5).mean() == pytest.approx(
        0.5, abs=0.03
    )


def test_neighbour_accuracy_equals_leaving_one_out():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 3, size=90)
    z = rng.normal(size=(90, 4)) + y[:, None]
    want = cross_val_score(KNeighborsClassifier(1), z, y, cv=LeaveOneOut())
    np.testing.assert_array_equal(latent.neighbour_hits(z, y), want == 1)


def test_active_units_are_counted_by_rate_with_those_that_may_be_above():
    n = 400
    rng = np.random.default_rng(5)
    rate = np.stack([np.full(n, 2.0), np.full(n, 0.001), 0.0101 + 0.02 * rng.random(n) - 0.01], axis=1)
    got = latent.active_by_rate(rate)
    assert (got.low, got.high) == (1, 2)
    assert got.value in (1, 2)


def test_active_units_by_variance_leave_out_constant_dimensions():
    rng = np.random.default_rng(6)
    z = np.stack([rng.normal(size=200), np.full(200, 3.0), 0.05 * rng.normal(size=200)], axis=1)
    got = latent.active_by_variance(z)
    assert (got.value, got.low, got.high) == (1, 1, 1)
