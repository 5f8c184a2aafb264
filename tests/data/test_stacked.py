"""stacked_mnist: pictures are made of the digits that their class names, and no digit stands in two parts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from elboroom.cli.main import main
from elboroom.core.errors import InputError
from elboroom.data import Dataset, Reading, read, read_like
from elboroom.data.content import Content
from elboroom.data.stacked import read_stacked


@pytest.fixture(scope="module")
def digits() -> Content:
    """300 digits of 6 x 5 pixels for training and 90 for the test: pixel (0, 0) is the class, (0, 1) and (0, 2) say
    which one it is."""
    number = np.arange(390)
    label = number * 7 % 10
    x = np.zeros((390, 1, 6, 5), np.uint8)
    x[:, 0, 0, 0], x[:, 0, 0, 1], x[:, 0, 0, 2] = label, number // 256, number % 256
    own = np.repeat(np.array([0, 2], np.int8), [300, 90])
    return Content("images", x, label=label.astype(np.int64), classes=tuple("0123456789"), own=own)


@pytest.fixture(scope="module")
def made(digits: Content) -> Content:
    return read_stacked("n=2000", None, digits)


def source(x: np.ndarray) -> np.ndarray:
    """(n, 3) which digits the pictures (n, 3, 6, 5) are made of."""
    return x[:, :, 0, 1].astype(int) * 256 + x[:, :, 0, 2]


def test_the_label_is_the_number_that_the_three_digits_make(made: Content) -> None:
    assert made.label is not None
    seen = np.asarray(made.x)[:, :, 0, 0].astype(np.int64)
    np.testing.assert_array_equal(made.beside["factors"], seen)
    np.testing.assert_array_equal(made.label, 100 * seen[:, 0] + 10 * seen[:, 1] + seen[:, 2])
    assert made.factors == (("channel_1", 10), ("channel_2", 10), ("channel_3", 10)) and made.channelwise
    assert (made.classes[0], made.classes[7], made.classes[305], len(made.classes)) == ("000", "007", "305", 1000)


def test_each_channel_is_a_whole_digit_and_drawn_on_its_own(made: Content, digits: Content) -> None:
    x, which = np.asarray(made.x), source(np.asarray(made.x))
    np.testing.assert_array_equal(x, np.asarray(digits.x)[which, 0])
    assert x.dtype == np.uint8
    train = which[made.own == 0]
    assert np.abs(np.corrcoef(train.T)[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(len(train))


def test_no_digit_stands_in_two_parts_and_all_are_used(made: Content) -> None:
    assert made.own is not None
    assert np.bincount(made.own).tolist() == [2000, 200, 400]
    which = source(np.asarray(made.x))
    train, valid, test = (set(which[made.own == part].ravel().tolist()) for part in range(3))
    assert len(train) == 270 and len(valid) == 30 and len(test) == 90
    assert not train & valid and train | valid == set(range(300)) and test == set(range(300, 390))


def test_digits_are_brought_to_the_size_asked_for(digits: Content) -> None:
    made = read_stacked("n=1000", (4, 4), digits)
    assert made.x.shape == (1300, 3, 4, 4)
    assert "brought from 1 x 6 x 5 to 1 x 4 x 4" in made.problems[0]


@pytest.mark.parametrize("options", ["n=999", "n=1000.5", "n=2000000"])
def test_a_number_of_pictures_that_cannot_be_is_refused(options: str, digits: Content) -> None:
    with pytest.raises(InputError, match="whole number from 1,000 to 1,000,000"):
        read_stacked(options, None, digits)


@pytest.fixture
def stacked(real_data) -> Dataset:
    return read("stacked_mnist:n=3000", Reading(size=(14, 14)))


def test_the_digits_are_those_of_mnist(stacked: Dataset) -> None:
    mnist = read("mnist", Reading(split=(1, 0, 1)))
    held, whole = stacked.parts["test"], mnist.parts["test"]
    assert stacked.spec.shape == (3, 14, 14) and stacked.channelwise and not mnist.channelwise
    full = read("stacked_mnist:n=1000").parts["test"].take(torch.arange(10))
    test = whole.take(torch.arange(len(whole)))
    for image, label in zip(full["x"], full["label"].tolist(), strict=True):
        for channel, digit in zip(image, f"{label:03d}", strict=True):
            same = (test["x"][:, 0] == channel).all(2).all(1)
            assert same.any() and set(test["label"][same].tolist()) == {int(digit)}
    assert torch.equal(held.label, held.beside["factors"] @ torch.tensor([100, 10, 1]))


def test_it_is_the_same_each_time_whatever_the_seed_of_the_split(stacked: Dataset) -> None:
    again = read("stacked_mnist:n=3000", Reading(size=(14, 14)), seed=3)
    assert stacked.fingerprint == again.fingerprint
    assert {part: len(held) for part, held in stacked.parts.items()} == {"train": 3000, "valid": 300, "test": 600}
    np.testing.assert_array_equal(stacked.parts["train"].index, again.parts["train"].index)


def test_new_pictures_of_a_run_keep_their_channels_labels(stacked: Dataset) -> None:
    like = read_like("stacked_mnist:n=1000", stacked.to_json(), stacked.transform)
    rows = like.parts["all"]
    assert like.channelwise and len(rows) == 1300 and like.spec.shape == (3, 14, 14)
    assert torch.equal(rows.label, rows.beside["factors"] @ torch.tensor([100, 10, 1]))


def test_the_verb_says_what_the_label_is_made_of(real_data, capsys) -> None:
    assert main(["data", "stacked_mnist:n=1000", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["channelwise"] and len(told["spec"]["classes"]) == 1000
    assert main(["data", "stacked_mnist:n=1000"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "made of one label a channel, the first counting most: channel_1 (10), channel_2 (10)" in out
    assert "1000: 000, 001" in out and "classes have no row in the training part" in out
