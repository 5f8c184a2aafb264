"""Rows and streams: three places to lie, one order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.data.content import Content, Csr
from elboroom.data.rows import Mapped, Resident, Sparse, rows_of
from elboroom.data.stream import Stream, in_order


def csr(x):
    rows, columns = np.nonzero(x)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(x)))])
    return Csr(x[rows, columns], columns.astype(np.int32), indptr, x.shape)


def three(x, index, label=None):
    """The same rows as Resident, Sparse and Mapped."""
    resident = rows_of(Content("table", x, label=label), index, masked=False)
    sparse = rows_of(Content("table", csr(x), label=label), index, masked=False)
    mapped = Mapped(x, index, None if label is None else torch.from_numpy(label[index]))
    assert isinstance(resident, Resident)
    assert isinstance(sparse, Sparse)
    return resident, sparse, mapped


def test_resident_sparse_and_mapped_rows_give_equal_batches():
    rng = np.random.default_rng(0)
    x = (rng.random((40, 9)) < 0.3).astype(np.int16) * rng.integers(1, 300, (40, 9)).astype(np.int16)
    x[7] = 0  # a row without a stored value
    index = np.array([3, 7, 7, 39, 0, 12])
    label = np.arange(40, dtype=np.int64)
    where = torch.tensor([5, 1, 1, 0, 3])
    for rows in three(x, index, label):
        batch = rows.take(where)
        assert batch["x"].numpy().tolist() == x[index[where]].tolist()
        assert batch["label"].tolist() == index[where].tolist()
        assert rows.fields == ("x", "label")
        assert batch["x"].dtype == torch.int16


def test_missing_cells_are_told_with_every_batch():
    x = np.array([[1, np.nan], [2, 3]], np.float32)
    rows = rows_of(Content("table", x, masked=True), np.arange(2), masked=True)
    assert rows.take(torch.tensor([1, 0]))["observed"].tolist() == [[True, True], [True, False]]


def test_an_epoch_meets_every_row_once_and_drops_a_short_batch():
    rows = rows_of(Content("table", np.arange(103)[:, None]), np.arange(103), masked=False)
    stream = Stream(rows, 10, seed=4)
    assert (stream.steps_per_epoch, stream.examples, stream.batch_size) == (10, 100, 10)
    epochs = [torch.cat([stream.rows(e * 10 + s)["x"] for s in range(10)])[:, 0].tolist() for e in range(3)]
    assert all(len(set(epoch)) == 100 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    rows = rows_of(Content("table", np.arange(50)[:, None]), np.arange(50), masked=False)
    torch.manual_seed(0)
    whole = [Stream(rows, 8, seed=9).rows(step)["x"].tolist() for step in (0, 5, 6, 17, 3)]
    torch.manual_seed(1)
    one = Stream(rows, 8, seed=9)
    assert [one.rows(step)["x"].tolist() for step in (0, 5, 6, 17, 3)] == whole
    assert Stream(rows, 8, seed=10).rows(0)["x"].tolist() != whole[0]


def test_ranks_together_give_the_global_batch():
    rows = rows_of(Content("table", np.arange(64)[:, None]), np.arange(64), masked=False)
    alone = Stream(rows, 16, seed=2)
    ranks = [Stream(rows, 16, seed=2, rank=r, world=4) for r in range(4)]
    for step in (0, 3, 9):
        together = torch.cat([r.rows(step)["x"] for r in ranks])
        assert torch.equal(together, alone.rows(step)["x"])
    with pytest.raises(InputError, match="cannot be shared by 3 processes"):
        Stream(rows, 16, seed=2, rank=0, world=3)


def test_a_batch_larger_than_the_data_is_the_data():
    rows = rows_of(Content("table", np.arange(5)[:, None]), np.arange(5), masked=False)
    stream = Stream(rows, 64, seed=0)
    assert stream.batch_size == 5
    assert sorted(stream.rows(7)["x"][:, 0].tolist()) == [0, 1, 2, 3, 4]


def test_in_order_keeps_the_short_last_batch():
    rows = rows_of(Content("table", np.arange(25)[:, None]), np.arange(25), masked=False)
    batches = [b["x"][:, 0].tolist() for b in in_order(rows, 10)]
    assert [len(b) for b in batches] == [10, 10, 5]
    assert [row for batch in batches for row in batch] == list(range(25))


def test_streams_of_all_three_kinds_meet_the_same_rows():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (60, 4)).astype(np.int16)
    batches = [Stream(rows, 7, seed=1).rows(11)["x"] for rows in three(x, np.arange(10, 60))]
    assert torch.equal(batches[0], batches[1])
    assert torch.equal(batches[0], batches[2])
