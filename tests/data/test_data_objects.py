"""Data given from memory: the same values are the same data, whatever holds them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.data import Reading, Sparse, read

ALL = Reading(split=(1, 0, 0))
X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


def all_x(data):
    rows = data.parts["train"]
    return rows.take(torch.arange(len(rows)))["x"].numpy()


@pytest.mark.parametrize(
    "given",
    [
        X,
        X.astype(np.float64),
        X.astype(">f4"),
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        X[::-1][::-1],
        X.tolist(),
        torch.from_numpy(X),
        torch.from_numpy(X).double().requires_grad_(),
        torch.utils.data.TensorDataset(torch.from_numpy(X)),
    ],
    ids=["f32", "f64", "big-endian", "fortran", "strided", "negative", "list", "torch", "grad", "dataset"],
)
def test_the_same_numbers_give_the_same_fingerprint(given):
    assert read(given, ALL).fingerprint == read(X, ALL).fingerprint


def test_read_only_input_is_read_and_no_input_is_changed():
    x = X.copy()
    x[3, 1] = np.nan
    before = x.copy()
    x.setflags(write=False)
    data = read(x)
    data.transform(data.parts["train"].take(torch.arange(5)))
    assert np.array_equal(x, before, equal_nan=True)
    assert data.spec.masked


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, np.uint64, np.float16, bool])
def test_every_type_of_number_is_kept_exactly(dtype):
    x = np.random.default_rng(0).integers(0, 2 if dtype is bool else 100, (20, 3)).astype(dtype)
    assert all_x(read(x, ALL)).astype(np.float64).tolist() == x.astype(np.float64).tolist()


def test_numbers_too_long_for_float32_keep_their_differences():
    x = np.arange(20, dtype=np.int64)[:, None] + 2**40
    assert len(np.unique(all_x(read(x, ALL)))) == 20


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.array([["a", "b"]] * 5), "numbers are needed"),
        (np.array([[1, "x"]] * 5, dtype=object), "not every cell is a number"),
        (np.ones((5, 3), complex), "numbers are needed"),
        (np.ones((0, 3)), "no values"),
        (np.ones((5, 0)), "no values"),
        ([[1, 2], [3]], "not all of one shape"),
        (object(), "cannot be read"),
        (42, "cannot be read"),
        (None, "cannot be read"),
        ((X, X, X), "a pair"),
        ((X, np.arange(5)), "one label a row"),
        ((X, np.linspace(0, 1, 30)), "whole numbers or text"),
        (np.full((9, 3), np.nan), "missing"),
        (np.full((9, 3), np.inf), "infinite"),
        (np.array(["2020-01-01"] * 6, dtype="datetime64[D]").reshape(3, 2), "numbers are needed"),
    ],
)
def test_what_is_no_data_is_refused_in_one_sentence(given, said):
    with pytest.raises(InputError, match=said) as caught:
        read(given, ALL)
    assert "\n" not in str(caught.value)


def test_labels_come_as_a_pair_or_in_a_dataset():
    y = np.array(["b", "a", "c"] * 10)
    pair = read((X, y), ALL)
    assert pair.spec.classes == ("a", "b", "c")
    codes = torch.from_numpy(np.unique(y, return_inverse=True)[1])
    held = read(torch.utils.data.TensorDataset(torch.from_numpy(X), codes), ALL)
    assert torch.equal(held.parts["train"].label, pair.parts["train"].label)


def test_a_torch_dataset_is_read_item_by_item():
    class Pictures(torch.utils.data.Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, i):
            return torch.full((1, 4, 4), i / 12), i % 3

    data = read(Pictures(), ALL)
    assert data.spec.shape == (1, 4, 4)
    assert data.spec.classes == ("0", "1", "2")


def test_scipy_sparse_stays_sparse():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.random_array((50, 20), density=0.1, rng=np.random.default_rng(0), format="csc")
    data = read(x, ALL)
    assert isinstance(data.parts["train"], Sparse)
    assert all_x(data) == pytest.approx(x.toarray())
    assert data.spec.scale == "standard"
    bad = sparse.csr_array(([np.nan], ([3], [4])), shape=(9, 9))
    with pytest.raises(InputError, match="row 3, column"):
        read(bad)


def frame_columns():
    return {
        "age": [20, 31, None, 40, 55, 61],
        "city": ["Rome", None, "Bonn", "Rome", "Bonn", "Rome"],
        "smoker": [True, False, True, False, True, True],
        "weight": [60.5, 70.25, 80.0, 65.5, 90.0, 55.0],
    }


def test_pandas_and_polars_frames_give_the_same_data():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    columns = frame_columns()
    one = pandas.DataFrame(columns)
    nullable = one.astype({"age": "Int64", "city": "category", "smoker": "boolean", "weight": "Float64"})
    known = read(one, ALL)
    assert [c.kind for c in known.spec.columns] == ["real", "categorical", "binary", "real"]
    assert known.spec.columns[1].categories == ("Bonn", "Rome")
    for other in (nullable, polars.DataFrame(columns)):
        data = read(other, ALL)
        assert data.fingerprint == known.fingerprint
        assert data.spec == known.spec


def test_a_frame_keeps_its_index_as_row_names_and_tells_repeated_columns_apart():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "a", "b", "c"], index=[f"r{i}" for i in range(30)])
    data = read(frame, ALL)
    assert data.identifiers["index"][2] == "r2"
    assert [c.name for c in data.spec.columns] == ["a", "a.2", "b", "c"]


def test_text_among_numbers_is_refused_with_its_place():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.5, 2.5, "oops", 4.5], "b": [1, 2, 3, 4]})
    with pytest.raises(InputError, match="row 2, column 'a': 'oops'"):
        read(frame, ALL)
    with pytest.raises(InputError, match="one column"):
        read(frame["b"])
    with pytest.raises(InputError, match="0 rows"):
        read(frame.iloc[:0])
