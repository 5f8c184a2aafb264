from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as Reference

from elboroom.baselines.pca import PCA, rows_for_pca
from elboroom.core.batch import Batch


def test_reconstructions_equal_scikit_learns():
    x = torch.randn(100, 1, 4, 5) @ torch.randn(5, 5)
    ours = PCA(3).fit(Batch(part) for part in x.split(30))
    flat = x.reshape(100, -1).numpy()
    theirs = Reference(3, svd_solver="full").fit(flat)
    want = theirs.inverse_transform(theirs.transform(flat)).reshape(x.shape)
    np.testing.assert_allclose(ours.reconstruct(x), want, atol=1e-4)
    assert ours.rows == 100


def test_full_width_gives_the_data_back():
    x = torch.randn(20, 6)
    torch.testing.assert_close(PCA(6).fit([Batch(x)]).reconstruct(x), x, atol=1e-5, rtol=1e-4)


def test_wide_counts_are_fitted_repeatably():
    x = torch.poisson(torch.rand(60, 3000))
    one, two = (PCA(5, seed=4).fit([Batch(x)]) for _ in range(2))
    assert torch.equal(one.directions, two.directions)
    assert one.reconstruct(x).shape == x.shape


def test_a_width_above_the_number_of_rows_is_cut():
    assert PCA(50).fit([Batch(torch.randn(8, 30))]).width == 8


def test_data_that_never_vary_are_their_mean():
    x = torch.full((9, 4), 2.5)
    assert torch.equal(PCA(2).fit([Batch(x)]).reconstruct(x), x)


@pytest.mark.parametrize(("size", "rows"), [(784, 20_000), (20_670, 1623)])
def test_wide_data_are_fitted_on_fewer_rows(size, rows):
    assert rows_for_pca(size) == rows
