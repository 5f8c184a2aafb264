from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from elboroom import sheets
from elboroom.core.spec import Column, Spec
from elboroom.data.rows import Resident
from elboroom.data.source import read
from elboroom.models.autoencoder import Autoencoder
from elboroom.models.vae import VAE

TOKENS = Path(sheets.__file__).parent / "report" / "tokens.json"
GREY = Spec(kind="images", shape=(1, 8, 8), scale="unit", low=0, high=1)


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


@pytest.fixture(scope="module")
def digits():
    return read("digits", seed=0)


@pytest.fixture(scope="module")
def vae(digits):
    torch.manual_seed(0)
    return VAE(VAE.Config(latent=2, hidden=(16,)), digits.spec)


def test_the_diverging_colours_are_those_of_the_look():
    assert list(sheets.DIVERGING) == json.loads(TOKENS.read_text())["light"]["div"]


def test_the_diverging_map_meets_its_stops_and_is_neutral_at_zero():
    at = np.linspace(-1, 1, 11)
    want = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in sheets.DIVERGING]
    np.testing.assert_array_equal(sheets.diverging(at), want)
    np.testing.assert_array_equal(sheets.diverging([-7, 7]), [want[0], want[-1]])


def test_a_grid_keeps_order_scale_and_gaps():
    pictures = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1).repeat(2, 1).repeat(2, 2).repeat(3, 3) * 100
    got = sheets.grid(pictures, 2, gap=1, factor=3)
    assert got.shape == (2 * 6 + 1, 2 * 6 + 1, 3)
    assert (got[:6, :6] == 0).all()
    assert (got[:6, 7:] == 100).all()
    assert (got[7:, :6] == 200).all()
    assert (got[7:, 7:] == sheets.PAPER).all()  # the place that no picture fills
    assert (got[6] == sheets.PAPER).all()


@pytest.mark.parametrize(("side", "factor"), [(4, 12), (8, 7), (28, 2), (64, 1), (300, 1)])
def test_pictures_are_magnified_by_whole_numbers_from_1_to_12(side, factor):
    assert sheets.zoom(side, side) == factor


def test_each_scale_is_shown_in_its_own_range():
    def grey(spec: Spec, values: list[float]) -> list[int]:
        return sheets.shown(torch.tensor(values).reshape(1, 1, 1, -1), spec).ravel().tolist()

    assert grey(GREY, [0.0, 0.5, 1.0, 2.0]) == [0, 128, 255, 255]
    symmetric = Spec(kind="images", shape=(1, 1, 3), scale="symmetric", low=-1, high=1)
    assert grey(symmetric, [-1.0, 0.0, 1.0]) == [0, 128, 255]
    levels = Spec(kind="images", shape=(1, 1, 3), scale="levels:16", levels=16, low=0, high=15)
    assert grey(levels, [0.0, 3.0, 15.0]) == [0, 51, 255]
    assert grey(GREY, [float("nan")]) == [0]


def test_a_file_carries_its_caption_and_the_same_bytes_each_time():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    one, two = (sheets.png(pixels, "ten by twelve, seed 0 · µ") for _ in range(2))
    assert one == two
    assert opened(one).info["Description"] == "ten by twelve, seed 0 · µ"
    np.testing.assert_array_equal(np.asarray(opened(one)), pixels)


def test_grey_sheets_are_stored_grey():
    assert opened(sheets.png(np.full((4, 4, 3), 7, dtype=np.uint8), "")).mode == "L"


def test_samples_are_a_sheet_of_eight_by_eight_with_the_same_draws_at_every_epoch(digits, vae):
    torch.manual_seed(1)
    one = sheets.sample_sheet(vae, digits.spec, seed=7, epoch=0, discrete=False)
    torch.manual_seed(2)
    two = sheets.sample_sheet(vae, digits.spec, seed=7, epoch=10, discrete=False)
    other = sheets.sample_sheet(vae, digits.spec, seed=8, epoch=0, discrete=False)
    assert one is not None
    assert two is not None
    assert other is not None
    assert one.pixels.shape == (8 * 56, 8 * 56, 3)
    np.testing.assert_array_equal(one.pixels, two.pixels)
    assert (one.pixels != other.pixels).any()
    assert "epoch 10, seed 7" in two.caption
    assert "7x" in two.caption


def test_drawing_a_sheet_leaves_the_default_generator_alone(digits, vae):
    torch.manual_seed(5)
    want = torch.rand(4)
    torch.manual_seed(5)
    sheets.sample_sheet(vae, digits.spec, seed=0, epoch=0, discrete=True)
    sheets.reconstruction_sheet(vae, digits.transform, digits.spec, digits.parts["test"], seed=0, split="test")
    assert torch.equal(torch.rand(4), want)


def test_originals_stand_over_reconstructions_over_their_difference(digits, vae):
    got = sheets.reconstruction_sheet(vae, digits.transform, digits.spec, digits.parts["test"], seed=0, split="test")
    assert got is not None
    assert got.pixels.shape == (3 * 56 + 2 * 4, 10 * 56, 3)
    which, _ = sheets.first_of_each(digits.parts["test"])
    assert digits.parts["test"].label[which].tolist() == list(range(10))
    x = digits.transform(digits.parts["test"].take(which)).x
    first = np.rint(x[0, 0].numpy() * 255).astype(np.uint8)
    np.testing.assert_array_equal(got.pixels[:56:7, :56:7, 0], first)
    made = vae.decode(vae.encode(digits.transform(digits.parts["test"].take(which))).mean).mean
    second = np.rint(made[0, 0].detach().numpy() * 255).astype(np.uint8)
    np.testing.assert_array_equal(got.pixels[60:116:7, :56:7, 0], second)
    difference = sheets.diverging((second.astype(float) - first) / 255)
    np.testing.assert_array_equal(got.pixels[120::7, :56:7], difference)
    assert "first of each class" in got.caption


def test_without_labels_the_first_ten_are_shown(digits):
    rows = Resident(digits.parts["test"].data, digits.parts["test"].index)
    which, said = sheets.first_of_each(rows)
    assert which.tolist() == list(range(10))
    assert said == "the first 10"


def test_what_gives_no_picture_gives_none(digits):
    table = Spec(kind="table", shape=(2,), scale="standard", columns=(Column(name="a"), Column(name="b")))
    model = VAE(VAE.Config(latent=2, hidden=(4,)), table)
    assert sheets.sample_sheet(model, table, seed=0, epoch=0, discrete=False) is None
    plain = Autoencoder(Autoencoder.Config(latent=2), digits.spec)
    assert sheets.sample_sheet(plain, digits.spec, seed=0, epoch=0, discrete=False) is None


def test_colour_pictures_stay_colour_and_are_kept_apart():
    spec = Spec(kind="images", shape=(3, 16, 16), scale="unit", low=0, high=1)
    torch.manual_seed(0)
    model = VAE(VAE.Config(latent=2, hidden=(8,), backbone="mlp"), spec)
    got = sheets.sample_sheet(model, spec, seed=0, epoch=0, discrete=False)
    assert got is not None
    assert got.pixels.shape[1] == 8 * 48 + 7 * 2
    assert (got.pixels[:, 48:50] == sheets.PAPER).all()
    assert opened(got.png()).mode == "RGB"
