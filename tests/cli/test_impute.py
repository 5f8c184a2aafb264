"""`elboroom impute`: what it writes in each form, what it refuses, and how its landmarks are said."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from elboroom.cli.main import main

NAMES = ["mass", "girth", "reach", "age"]


def write(path: Path, rows: np.ndarray, names: list[str] = NAMES) -> Path:
    cells = [["" if np.isnan(v) else f"{v:.4f}" for v in row] for row in rows]
    head = ["name", *names]
    lines = [head, *([f"a{i}", *row] for i, row in enumerate(cells))]
    path.write_text("\n".join(",".join(line) for line in lines) + "\n", encoding="utf-8")
    return path


def animals(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = rng.normal(size=(n, 1))
    return np.hstack([10 + size, 5 - 2 * size, 3 * size, rng.normal(size=(n, 1))]) + 0.1 * rng.normal(size=(n, 4))


def call(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("impute")
    table = write(folder / "animals.csv", animals(300, 0))
    words = ("--observed", "mass", "--hidden", 16, "--lr", 0.01, "--epochs", 15, "--threads", 1)
    assert call("fit", "imputer", table, *words, "--run", folder / "run") == 0
    return folder / "run"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_comes_back_in_its_order_with_its_names_and_a_spread_for_each_column(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = animals(12, 1)
    given = x.copy()
    given[::2, 1] = np.nan
    given[3, 2] = np.nan
    new = write(tmp_path / "new.csv", given)
    assert call("impute", run, new, "--out", tmp_path / "full.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["filled"] == 7
    rows = read(tmp_path / "full.csv")
    assert list(rows[0]) == ["name", *NAMES, *(f"{name}_sd" for name in NAMES)]
    assert [row["name"] for row in rows] == [f"a{i}" for i in range(12)]
    for i, row in enumerate(rows):
        for j, name in enumerate(NAMES):
            missing = bool(np.isnan(given[i, j]))
            assert (float(row[f"{name}_sd"]) > 0) == missing
            wanted = x[i, j] if missing else round(given[i, j], 4)
            assert float(row[name]) == pytest.approx(wanted, abs=1.0 if missing else 1e-5)


def test_columns_that_are_not_there_are_filled_in_whole(run: Path, tmp_path: Path) -> None:
    x = animals(20, 2)
    new = write(tmp_path / "new.csv", x[:, :1], NAMES[:1])
    assert call("impute", run, new, "--out", tmp_path / "full.npz") == 0
    with np.load(tmp_path / "full.npz", allow_pickle=False) as made:
        assert made["x"].shape == made["x_sd"].shape == (20, 4)
        assert np.square(made["x"] - x)[:, 1].mean() < 0.2 * x[:, 1].var()
        assert (made["x_sd"][:, 0] == 0).all() and (made["x_sd"][:, 1:] > 0).all()
        assert made["index"].tolist() == list(range(20))


def test_observed_says_which_columns_of_a_full_table_count(run: Path, tmp_path: Path) -> None:
    new = write(tmp_path / "new.csv", animals(20, 2))
    (tmp_path / "landmarks.txt").write_text("mass\n", encoding="utf-8")
    assert call("impute", run, new, "--observed", tmp_path / "landmarks.txt", "--out", tmp_path / "full.csv") == 0
    rows = read(tmp_path / "full.csv")
    assert all(float(row["girth_sd"]) > 0 and float(row["mass_sd"]) == 0 for row in rows)


def test_an_h5ad_holds_filled_cells_and_spreads_in_layers(run: Path, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    new = write(tmp_path / "new.csv", animals(5, 2)[:, :1], NAMES[:1])
    assert call("impute", run, new, "--out", tmp_path / "full.h5ad") == 0
    made = anndata.read_h5ad(tmp_path / "full.h5ad")
    assert made.layers["elboroom"].shape == made.layers["elboroom_sd"].shape == (5, 4)
    assert list(made.var_names) == NAMES


def test_what_cannot_be_done_is_said_with_what_can(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write(tmp_path / "new.csv", animals(5, 2))
    assert call("impute", run, new, "--out", tmp_path / "a.csv") == 0
    assert "nothing is missing" in capsys.readouterr().err
    assert call("impute", run, new, "--out", tmp_path / "b.csv", "--observed", "mas") == 2
    assert "the run knows no such column" in capsys.readouterr().err
    assert call("impute", run, new, "--out", tmp_path / "b.png") == 2
    capsys.readouterr()
    other = tmp_path / "other"
    assert call("fit", "autoencoder", new, "--steps", 1, "--split", "1,0,0", "--run", other) == 0
    assert call("impute", other, new, "--out", tmp_path / "b.csv") == 3
    assert "imputer" in capsys.readouterr().err
    pictures = tmp_path / "pictures"
    assert call("fit", "vae", "digits", "--steps", 1, "--hidden", 4, "--run", pictures) == 0
    assert call("impute", pictures, "digits", "--out", tmp_path / "b.csv") == 3
    assert "imputed in tables" in capsys.readouterr().err
    assert not (tmp_path / "b.csv").exists()
