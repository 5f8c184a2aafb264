from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError, Unable
from elboroom.data.reading import Reading
from elboroom.data.source import read
from elboroom.extractors.choosing import choose
from elboroom.extractors.extractor import features_of
from elboroom.extractors.inputs import examples

MADE = ("classifier", "selfsup", "random", "pca", "pixels")


@pytest.mark.parametrize("kind", ["digits", "table"])
@pytest.mark.parametrize("name", MADE)
def test_features_are_finite_float32_rows_of_the_stated_width(name, kind, request, few):
    dataset = request.getfixturevalue(kind)
    extractor = choose(name, dataset, 0)
    x = torch.cat(list(examples(dataset, "test")))
    found = extractor.features(x)
    assert found.shape == (len(x), extractor.width) and found.dtype == torch.float32 and found.isfinite().all()
    assert extractor.name == name and len(extractor.hash) == 12 and extractor.how
    assert (found.std(0) > 0).sum() >= 2, "nearly nothing varies"


@pytest.mark.parametrize("name", MADE)
def test_features_of_an_example_do_not_depend_on_its_neighbours(name, digits, few):
    extractor = choose(name, digits, 0)
    x = torch.cat(list(examples(digits, "test", most=50)))
    together = extractor.features(x)
    alone = torch.cat([extractor.features(one) for one in x.split(1)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MADE)
def test_large_sets_pass_in_parts_with_the_same_result(name, table, few):
    extractor = choose(name, table, 0)
    whole = extractor.features(torch.cat(list(examples(table, "train"))))
    parts = features_of(extractor, examples(table, "train", batch=37))
    torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features_of(extractor, torch.cat(list(examples(table, "train"))), 50), whole)


def test_no_examples_have_no_features(digits):
    extractor = choose("random", digits)
    assert features_of(extractor, []).shape == (0, extractor.width)
    assert extractor.features(torch.zeros(0, 1, 8, 8)).shape == (0, extractor.width)


@pytest.mark.parametrize("name", MADE)
def test_the_scale_of_a_run_changes_neither_the_extractor_nor_its_features(name, few):
    unit, symmetric = (read("digits", Reading(scale=scale)) for scale in ("unit", "symmetric"))
    a, b = choose(name, unit), choose(name, symmetric)
    x, y = (next(examples(d, "test")) for d in (unit, symmetric))
    assert a.hash == b.hash and torch.equal(x, y) and float(x.min()) == 0 and float(x.max()) == 1
    assert torch.equal(a.features(x), b.features(y))


def test_auto_is_the_labels_network_then_random_for_images_and_pca_for_tables(digits, table, few):
    assert [choose("auto", d).name for d in (digits, table)] == ["classifier", "classifier"]
    images = read(np.random.default_rng(0).random((30, 1, 8, 8)).astype(np.float32))
    assert choose("auto", images).name == "random"
    assert choose("auto", read(np.random.default_rng(0).normal(size=(30, 4)))).name == "pca"


def test_missing_cells_count_as_the_mean(table):
    extractor = choose("pca", table)
    x = torch.cat(list(examples(table, "train")))
    assert x.isnan().any()
    column = x[:, 3]
    filled = x.clone()
    filled[:, 3] = torch.where(column.isnan(), column.nanmean(), column)
    torch.testing.assert_close(extractor.features(x), extractor.features(filled), atol=1e-4, rtol=1e-3)


def test_principal_axes_of_a_table_do_not_depend_on_its_units(table):
    """Column c is 1e9 + 1e4 times a number of order 1: its unit changed, the features stay."""
    x = torch.cat(list(examples(table, "train"))).double()
    moved = torch.where(x.isnan(), x.nanmean(0), x)
    one, two = read(moved.numpy()), read((moved * 1000).numpy())
    a, b = (choose("pca", d).features(torch.cat(list(examples(d, "train")))) for d in (one, two))
    torch.testing.assert_close(a.abs(), b.abs(), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close((a.square().sum(1)).mean(), torch.tensor(5.0), atol=0.02, rtol=0)


def test_random_spaces_are_equal_for_all_data_of_one_shape(digits):
    other = read(np.random.default_rng(0).random((30, 1, 8, 8)).astype(np.float32))
    assert choose("random", digits, 0).hash == choose("random", other, 7).hash
    larger = read(np.random.default_rng(0).random((30, 3, 16, 20)).astype(np.float32))
    assert choose("random", digits).hash != choose("random", larger).hash
    assert choose("random", larger).width <= 256


def test_examples_of_another_shape_are_refused(digits):
    for name in ("random", "pixels"):
        with pytest.raises(InputError, match=r"1x8x8.*3x8x8"):
            choose(name, digits).features(torch.zeros(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("randon", "did you mean 'random'"),
        ("", "extractors: auto, "),
        ("pca:", "there is no extractor 'pca:'"),
        ("module:", "there is no extractor"),
        ("module:nowhere.py:Net", "no such file"),
        ("nowhere.at.all:Net", "cannot be imported"),
        ("inception:nowhere.pt", "no such file"),
        ("inception", "needs its weights on disk"),
    ],
)
def test_a_wrong_name_is_refused_in_words(name, said, digits, monkeypatch):
    monkeypatch.delenv("ELBOROOM_INCEPTION", raising=False)
    with pytest.raises(InputError, match=said):
        choose(name, digits)


def test_data_without_labels_have_no_network_of_labels():
    with pytest.raises(Unable, match="selfsup, random or pca"):
        choose("classifier", read(np.random.default_rng(0).normal(size=(30, 4))))


def test_data_that_are_no_images_and_no_table_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("abc def " * 400, encoding="utf-8")
    with pytest.raises(Unable, match="images and tables"):
        choose("auto", read(tmp_path / "a.txt"))


def test_data_without_a_training_part_are_refused(digits):
    held = dataclasses.replace(digits, parts={"all": digits.parts["test"]})
    with pytest.raises(InputError, match="no training part"):
        choose("auto", held)
