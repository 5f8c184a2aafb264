from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from scipy import stats

from elboroom.core.errors import Unable
from elboroom.core.spec import Column, Spec
from elboroom.inspect import manifold, normal_quantiles, traversals
from elboroom.models.autoencoder import Autoencoder
from elboroom.models.vae import VAE

GREY = Spec(kind="images", shape=(1, 8, 8), scale="unit", low=0, high=1)


def vae(latent: int, spec: Spec = GREY) -> VAE:
    torch.manual_seed(0)
    return VAE(VAE.Config(latent=latent, hidden=(16,)), spec)


def test_the_grid_stands_at_equal_shares_of_the_normal():
    got = normal_quantiles(20)
    np.testing.assert_allclose(got, stats.norm.ppf((np.arange(20) + 0.5) / 20))
    np.testing.assert_allclose(got, -got[::-1])


def test_each_cell_of_the_manifold_is_the_decoded_mean_of_its_z():
    model = vae(2)
    found = manifold(model, GREY)
    assert found.x.shape == (20, 20, 1, 8, 8)
    assert found.z[0, 0].tolist() == pytest.approx([-1.96, 1.96], abs=1e-3)  # left, top
    assert found.z[19, 19].tolist() == pytest.approx([1.96, -1.96], abs=1e-3)
    with torch.no_grad():
        want = model.decode(torch.from_numpy(found.z[3, 17][None])).mean[0]
    np.testing.assert_allclose(found.x[3, 17], want, atol=1e-6)


def test_the_picture_and_the_drawing_are_the_same_each_time_and_whole():
    found = manifold(vae(2), GREY, n=5)
    assert found.png() == manifold(vae(2), GREY, n=5).png()
    root = ET.fromstring(found.svg())
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"-1.28", "0.00", "1.28"} <= set(texts)
    assert sum(1 for _ in root.iter("{http://www.w3.org/2000/svg}image")) == 1


def test_codes_without_a_law_are_spread_over_their_own_quantiles():
    model = Autoencoder(Autoencoder.Config(latent=2), GREY)
    codes = np.random.default_rng(0).exponential(size=(500, 2))
    found = manifold(model, GREY, codes=codes, n=4)
    np.testing.assert_allclose(found.z[0, :, 0], np.quantile(codes[:, 0], [0.125, 0.375, 0.625, 0.875]), rtol=1e-6)
    with pytest.raises(Unable, match="follow no law"):
        manifold(model, GREY)


def test_wider_codes_move_one_dimension_a_row_the_most_used_first():
    codes = np.random.default_rng(0).normal(1.0, 1.0, size=(100, 5)).astype(np.float32)
    found = traversals(vae(5), GREY, codes, np.array([0.1, 3.0, 0.0, 1.0, 2.0]), most=3)
    assert found.z.shape == (3, 11, 5)
    assert "z2, z5, z4" in found.caption
    for row, dimension in enumerate((1, 4, 3)):
        np.testing.assert_allclose(found.z[row, :, dimension], normal_quantiles(11), atol=1e-6)
        others = np.delete(found.z[row], dimension, axis=1)
        np.testing.assert_allclose(others, np.delete(codes.mean(0), dimension)[None].repeat(11, 0), atol=1e-6)
    names = [t.text for t in ET.fromstring(found.svg()).iter("{http://www.w3.org/2000/svg}text")]
    assert {"z2", "z5", "z4"} <= set(names)


def test_a_table_gives_numbers_and_refuses_a_picture():
    spec = Spec(kind="table", shape=(2,), scale="none", columns=(Column(name="a"), Column(name="b")))
    found = manifold(vae(2, spec), spec, n=3)
    assert found.arrays()["x"].shape == (9, 2)
    with pytest.raises(Unable, match=r"\.npz"):
        found.png()
