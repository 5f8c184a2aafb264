"""Named sets: digits, mnist, shapes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError, Unable
from elboroom.data import Reading, catalog, read


def all_x(data):
    rows = data.parts["train"]
    return rows.take(torch.arange(len(rows)))["x"]


def test_digits_are_those_of_scikit_learn():
    data = read("digits")
    assert data.spec.shape == (1, 8, 8)
    assert {k: len(v) for k, v in data.parts.items()} == {"train": 1437, "valid": 180, "test": 180}
    assert float(data.transform({"x": all_x(data)}).x.max()) == 1, "16 is white"
    assert data.fingerprint.startswith(DIGITS)


DIGITS = "e951cf9a"


def test_mnist_is_the_published_one_with_its_own_test_part(real_data):
    data = read("mnist")
    assert {k: len(v) for k, v in data.parts.items()} == {"train": 54000, "valid": 6000, "test": 10000}
    whole = read("mnist", Reading(split=(1, 0, 1)))
    assert {k: len(v) for k, v in whole.parts.items()} == {"train": 60000, "test": 10000}
    assert whole.parts["train"].data.dtype == torch.uint8
    assert whole.fingerprint == data.fingerprint
    test = whole.parts["test"]
    assert test.label[:5].tolist() == [7, 2, 1, 0, 4]
    # entropy floor of the column norm on the test images: 0.1012 nats a pixel
    column = read("mnist", Reading(scale="column"))
    x = column.transform(column.parts["test"].take(torch.arange(10000))).x.double()
    entropy = -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).mean()
    assert float(entropy) == pytest.approx(0.1012, abs=5e-5)


def test_a_changed_file_of_a_named_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ELBOROOM_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    for name in catalog.CATALOG["mnist"].files:
        (tmp_path / "mnist" / name).write_bytes(b"something else")
    with pytest.raises(InputError, match="SHA-256 differs"):
        read("mnist")


def test_without_file_and_network_the_message_says_what_to_put_where(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setenv("ELBOROOM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"put train-images-idx3-ubyte\.gz, .* into .*mnist"):
        read("mnist")
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_shapes_are_every_combination_of_their_factors_once():
    data = read("shapes:3x2x4x5x6", Reading(split=(1, 0, 0)))
    factors = data.parts["train"].beside["factors"]
    assert data.factors == (("shape", 3), ("scale", 2), ("rotation", 4), ("x", 5), ("y", 6))
    assert len(torch.unique(factors, dim=0)) == len(factors) == 3 * 2 * 4 * 5 * 6
    assert data.spec.classes == ("heart", "angle", "drop")
    assert torch.equal(data.parts["train"].label, factors[:, 0])


def test_no_two_shapes_are_the_same_picture():
    x = all_x(read("shapes:shape=5,scale=3,rotation=12,x=4,y=4,size=32", Reading(split=(1, 0, 0))))
    assert len(np.unique(x.reshape(len(x), -1).numpy(), axis=0)) == 5 * 3 * 12 * 4 * 4


def test_shapes_move_and_grow_as_their_factors_say():
    data = read("shapes:2x3x4x5x6", Reading(split=(1, 0, 0)))
    x = all_x(data).double()[:, 0]
    factors = data.parts["train"].beside["factors"]
    mass = x.sum((1, 2))
    right = (x.sum(1) * torch.arange(32)).sum(1) / mass
    down = (x.sum(2) * torch.arange(32)).sum(1) / mass
    for axis, place in ((3, right), (4, down)):
        means = [place[factors[:, axis] == k].mean() for k in range(data.factors[axis][1])]
        assert all(a < b for a, b in pairwise(means))
    sizes = [mass[factors[:, 1] == k].mean() for k in range(3)]
    assert sizes[0] < sizes[1] < sizes[2]
    edge = torch.cat([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]])
    assert bool((edge == 0).all()), "no shape is cut"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shapes:3x4", "give five numbers"),
        ("shapes:shape=9", "there are 5"),
        ("shapes:colour=3", "no factor 'colour'"),
        ("shapes:x=0", "whole number from 1"),
        ("shapes:x=40", "have room for 17"),
        ("shapes:size=9999", "16 to 512"),
        ("digits:3", "takes no options"),
        ("digit", "did you mean 'digits'"),
        ("no/such/file.csv", "no such file"),
    ],
)
def test_a_wrong_name_is_refused_with_what_is_known(name, said):
    with pytest.raises(InputError, match=said):
        read(name)


def test_flags_that_a_named_set_cannot_obey_are_refused():
    with pytest.raises(InputError, match="carries its own labels"):
        read("digits", Reading(label="y"))
    with pytest.raises(InputError, match="--columns means nothing for images"):
        read("digits", Reading(columns=("a",)))
    with pytest.raises(Unable, match="--kind series"):
        read("digits", Reading(kind="series"))


def test_every_entry_says_where_it_comes_from_and_under_which_terms():
    assert set(catalog.names()) >= {"digits", "mnist", "shapes"}
    for entry in catalog.CATALOG.values():
        assert entry.summary
        assert entry.origin
        assert entry.licence
        assert not entry.files or (entry.folder and entry.mirror)


def test_a_named_set_is_brought_to_the_size_that_was_asked_for():
    data = read("digits", Reading(size=(16, 16)))
    assert data.spec.shape == (1, 16, 16)
    assert any("brought from 1 x 8 x 8 to 1 x 16 x 16" in problem for problem in data.problems)
