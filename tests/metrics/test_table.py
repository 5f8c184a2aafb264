from __future__ import annotations

import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score

from elboroom.core.spec import Column
from elboroom.metrics.table import ColumnSums, numeric_columns, r_squared

COLUMNS = (
    Column(name="age"),
    Column(name="town", kind="categorical", categories=("a", "b", "c")),
    Column(name="n", kind="count"),
)


def test_each_column_has_the_error_scikit_learn_gives_over_its_measured_cells():
    torch.manual_seed(0)
    x = torch.randn(50, 3).double()
    x[:, 1] = torch.randint(0, 3, (50,)).double()
    guess = x + 0.3 * torch.randn(50, 3)
    guess[:, 1] = x[:, 1]
    guess[:5, 1] = (x[:5, 1] + 1) % 3
    seen = torch.rand(50, 3) < 0.8
    mean = ((x * seen).sum(0) / seen.sum(0)).expand_as(x)
    sums = ColumnSums(COLUMNS)
    for part in (slice(0, 20), slice(20, 50)):
        sums.add(x[part], {"model": guess[part], "mean": mean[part]}, seen[part])
    age, town, n = sums.table()
    for entry, c in ((age, 0), (n, 2)):
        keep = seen[:, c]
        assert entry["mae_model"] == pytest.approx(mean_absolute_error(x[keep, c], guess[keep, c]))
        assert entry["r2_model"] == pytest.approx(r2_score(x[keep, c], guess[keep, c]))
        assert entry["r2_mean"] == pytest.approx(0)
        assert entry["n"] == int(keep.sum())
    wrong = int(seen[:5, 1].sum())
    assert town["accuracy_model"] == pytest.approx(1 - wrong / int(seen[:, 1].sum()))
    assert "mae_model" not in town


def test_a_column_without_a_measured_cell_has_no_error():
    sums = ColumnSums(COLUMNS[:1])
    sums.add(torch.zeros(4, 1), {"model": torch.ones(4, 1)}, torch.zeros(4, 1, dtype=torch.bool))
    assert sums.table() == [{"name": "age", "kind": "real", "n": 0, "mae_model": None}]


def test_names_are_no_numbers():
    assert numeric_columns(COLUMNS).tolist() == [True, False, True]


def test_nothing_to_explain_is_not_a_share():
    assert r_squared(1.0, 4.0) == 0.75
    assert r_squared(0.0, 0.0) != r_squared(0.0, 0.0)  # nan
