"""New data for an existing run: matched by name, mapped to the run's categories, labels where they are there."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.data import Reading, read, read_like, transform_from_json

HEAD = "name,age,city,weight,kind\n"
ROWS = [f"p{i},{20 + i}.5,{['Rome', 'Bonn'][i % 2]},{i * 1.5},{'xy'[i % 2]}" for i in range(40)]


def run_of(source, reading=None):
    """What a run folder keeps: run.json's "data" and the transform with its numbers."""
    data = read(source, reading)
    saved = json.loads(json.dumps(data.to_json(), allow_nan=False))
    transform = transform_from_json(saved["transform"])
    transform.load_state_dict(data.transform.state_dict())
    return data, saved, transform


def table(tmp_path, text, name="new.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


@pytest.fixture
def people(tmp_path):
    return run_of(table(tmp_path, HEAD + "\n".join(ROWS) + "\n", "people.csv"), Reading(label="kind"))


def all_rows(data):
    rows = data.parts["all"]
    return data.transform(rows.take(torch.arange(len(rows))))


def test_the_data_of_the_run_read_again_are_the_same(tmp_path, people):
    data, saved, transform = people
    again = read_like(tmp_path / "people.csv", saved, transform)
    assert again.fingerprint == data.fingerprint
    assert list(again.parts) == ["all"]
    assert again.parts["all"].index.tolist() == list(range(40))
    train = data.parts["train"]
    batch = data.transform(train.take(torch.arange(len(train))))
    assert torch.equal(all_rows(again).x[train.index], batch.x)
    assert torch.equal(all_rows(again).label[train.index], batch.label)
    assert again.identifiers["name"][3] == "p3"


def test_columns_are_matched_by_name_in_any_order_and_extra_ones_are_told(tmp_path, people):
    _, saved, transform = people
    new = read_like(table(tmp_path, "weight,extra,city,age\n3,9,Bonn,20.5\n1.5,9,Rome,21.5\n"), saved, transform)
    x = transform.undo(all_rows(new).x)
    assert x.numpy() == pytest.approx(np.array([[20.5, 0, 3], [21.5, 1, 1.5]]), abs=1e-4)
    assert any("'extra'" in p for p in new.problems)
    assert all_rows(new).label is None, "labels are optional"


def test_a_missing_column_is_refused_unless_masking_is_asked_for(tmp_path, people):
    _, saved, transform = people
    path = table(tmp_path, "age,city\n20.5,Rome\n30.5,Bonn\n")
    with pytest.raises(InputError, match="1 of the run's 3 columns are not here: 'weight'"):
        read_like(path, saved, transform)
    new = read_like(path, saved, transform, masking=True)
    assert all_rows(new).observed.tolist() == [[True, True, False]] * 2
    assert any("count as missing" in p for p in new.problems)


def test_unheard_of_categories_count_as_missing_and_unknown_labels_are_refused(tmp_path, people):
    _, saved, transform = people
    new = read_like(table(tmp_path, "age,city,weight\n20.5,Oslo,3\n30.5,Bonn,4\n"), saved, transform)
    assert all_rows(new).observed[:, 1].tolist() == [False, True]
    assert any("'Oslo'" in p for p in new.problems)
    with pytest.raises(InputError, match="row 0 has the label 'z'"):
        read_like(table(tmp_path, "age,city,weight,kind\n20.5,Bonn,3,z\n"), saved, transform)


def test_one_row_is_enough(tmp_path, people):
    _, saved, transform = people
    assert len(read_like(table(tmp_path, "age,city,weight\n20.5,Rome,3\n"), saved, transform).parts["all"]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n3,4\n", "none of the run's 3 columns"),
        ("age,city,weight\nold,Rome,3\nnew,Rome,4\n", "'old' is no number"),
        ("age,city,weight\n1e999,Rome,3\n", "infinite"),
    ],
)
def test_data_that_do_not_fit_the_run_are_refused(tmp_path, people, text, said):
    _, saved, transform = people
    with pytest.raises(InputError, match=said):
        read_like(table(tmp_path, text), saved, transform)


def test_tables_without_names_are_matched_by_position():
    x = np.random.default_rng(0).normal(size=(30, 4))
    _, saved, transform = run_of(x)
    assert read_like(x[:3], saved, transform).parts["all"].take(torch.arange(3))["x"].shape == (3, 4)
    with pytest.raises(InputError, match="has 3 columns and the run was trained on 4"):
        read_like(x[:, :3], saved, transform)
    with pytest.raises(InputError, match="holds images; the run needs table"):
        read_like("digits", saved, transform)


def test_images_of_another_shape_are_refused_and_another_range_is_brought_to_the_runs():
    from sklearn.datasets import load_digits

    data, saved, transform = run_of("digits")
    known = data.transform(data.parts["test"].take(torch.arange(20))).x
    index = data.parts["test"].index[:20]
    pictures = load_digits().images[index]
    for given in (pictures, pictures / 16, pictures.astype(np.uint8), pictures[:, None] / 16):
        assert torch.allclose(all_rows(read_like(given, saved, transform)).x, known, atol=1e-6)
    with pytest.raises(InputError, match=r"1 x 9 x 8 .*trained on 1 x 8 x 8"):
        read_like(np.zeros((3, 9, 8)), saved, transform)
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InputError, match="holds a table; the run needs images"):
        read_like(pandas.DataFrame({"a": [1.0]}), saved, transform)


def test_picture_files_are_brought_to_the_runs_size_and_classes(tmp_path):
    from PIL import Image

    for i in range(20):
        (tmp_path / "a" / "xyz"[i % 3]).mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), i * 10).save(tmp_path / "a" / "xyz"[i % 3] / f"{i}.png")
    _, saved, transform = run_of(tmp_path / "a")
    (tmp_path / "b" / "z").mkdir(parents=True)
    Image.new("RGB", (40, 40), (90, 90, 90)).save(tmp_path / "b" / "z" / "1.png")
    new = read_like(tmp_path / "b", saved, transform)
    assert all_rows(new).x.shape == (1, 1, 8, 8)
    assert new.parts["all"].label.tolist() == [2]
    (tmp_path / "b" / "z").rename(tmp_path / "b" / "other")
    again = read_like(tmp_path / "b", saved, transform)
    assert again.parts["all"].label is None
    assert any("not those of the run" in p for p in again.problems)


def test_sparse_new_data_stay_sparse_and_give_the_same_x():
    sparse = pytest.importorskip("scipy.sparse")
    x = np.random.default_rng(0).poisson(0.3, (40, 12))
    _, saved, transform = run_of(sparse.csr_array(x))
    new = read_like(sparse.csr_array(x), saved, transform)
    dense = read_like(x, saved, transform)
    assert torch.equal(all_rows(new).x, all_rows(dense).x)
