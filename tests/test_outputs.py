"""What verbs write: every form holds what was given, and a file appears whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from elboroom import outputs
from elboroom.cli.codefiles import read_codes
from elboroom.core.errors import InputError, Stopped
from elboroom.core.spec import Column

TABLE = outputs.Result(
    name="x",
    values=np.array([[1.5, 0.0, 3.0], [np.nan, 1.0, 4.0], [-2.25, 2.0, 5.0]], dtype=np.float32),
    columns=(
        Column(name="height"),
        Column(name="=colour", kind="categorical", categories=("red", "-blue", "+1")),
        Column(name="count", kind="count"),
    ),
    names={"cell": ["a", "@b", "c"]},
    beside={"index": np.array([4, 5, 6])},
)
CODES = outputs.Result(
    name="z",
    values=np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32),
    beside={
        "z_sd": np.full((5, 2), 0.1, np.float32),
        "label": np.array([0, 1, 0, 1, 1]),
        "index": np.array([3, 1, 4, 1, 5]),
    },
    classes=("cat", "dog"),
)
PICTURES = outputs.Result(
    name="x", values=np.random.default_rng(1).random((12, 1, 6, 4), dtype=np.float32), beside={"index": np.arange(12)}
)


def _rows(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter))


def test_npy_holds_the_one_array_and_npz_all_of_them(tmp_path: Path) -> None:
    outputs.write(tmp_path / "z.npy", CODES)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), CODES.values)
    outputs.write(tmp_path / "z.npz", CODES)
    with np.load(tmp_path / "z.npz", allow_pickle=False) as held:
        assert sorted(held.files) == ["index", "label", "z", "z_sd"]
        np.testing.assert_array_equal(held["z_sd"], CODES.beside["z_sd"])


def test_equal_results_give_equal_files(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        outputs.write(tmp_path / name, CODES)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(("ending", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_a_table_keeps_the_names_and_the_order_of_the_input(tmp_path: Path, ending: str, delimiter: str) -> None:
    outputs.write(tmp_path / f"x{ending}", TABLE)
    assert _rows(tmp_path / f"x{ending}", delimiter) == [
        ["cell", "height", "'=colour", "count"],
        ["a", "1.5", "red", "3"],
        ["'@b", "", "'-blue", "4"],
        ["c", "-2.25", "+1", "5"],
    ]


def test_cells_that_a_spreadsheet_would_run_are_quoted_and_numbers_are_not(tmp_path: Path) -> None:
    texts = ["=1+2", "+cmd", "-cmd", "@x", "\tx", "-3.5", "+7", "plain", 'a,b\n"c"']
    held = outputs.Result(name="x", values=-np.ones((len(texts), 1)), columns=(Column(name="v"),), names={"n": texts})
    outputs.write(tmp_path / "x.csv", held)
    cells = _rows(tmp_path / "x.csv")[1:]
    assert [c[0] for c in cells] == ["'=1+2", "'+cmd", "'-cmd", "'@x", "'\tx", "-3.5", "+7", "plain", 'a,b\n"c"']
    assert {c[1] for c in cells} == {"-1"}


def test_numbers_in_a_table_give_the_same_float_back(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=(50, 1)).astype(np.float32) * 10.0 ** np.arange(-25, 25)[:, None]
    values = values.astype(np.float32)
    outputs.write(tmp_path / "x.csv", outputs.Result(name="x", values=values, columns=(Column(name="v"),)))
    back = np.array([row[0] for row in _rows(tmp_path / "x.csv")[1:]], dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(back, values[:, 0])


def test_codes_as_a_table_carry_class_names(tmp_path: Path) -> None:
    outputs.write(tmp_path / "z.csv", CODES)
    rows = _rows(tmp_path / "z.csv")
    assert rows[0] == ["index", "z0", "z1", "z0_sd", "z1_sd", "label"]
    assert [row[-1] for row in rows[1:]] == ["cat", "dog", "cat", "dog", "dog"]
    assert [row[0] for row in rows[1:]] == ["3", "1", "4", "1", "5"]


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".tsv", ".jsonl", ".parquet", ".h5ad"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_codes_written_in_any_form_are_read_back_equal(tmp_path: Path, ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    if ending == ".h5ad":
        pytest.importorskip("anndata")
    outputs.write(tmp_path / f"z{ending}", CODES)
    np.testing.assert_array_equal(read_codes(tmp_path / f"z{ending}"), CODES.values)


def test_jsonl_has_one_object_a_row_and_null_for_a_missing_cell(tmp_path: Path) -> None:
    outputs.write(tmp_path / "x.jsonl", TABLE)
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[1] == {"cell": "@b", "height": None, "=colour": "-blue", "count": 4.0}


def test_a_sheet_is_in_rows_of_eight_and_magnified_by_a_whole_number(tmp_path: Path) -> None:
    from PIL import Image

    outputs.write(tmp_path / "x.png", PICTURES)
    with Image.open(tmp_path / "x.png") as sheet:
        factor = sheet.size[0] // (8 * 4)
        assert sheet.size == (8 * 4 * factor, 2 * 6 * factor)
        first = np.asarray(sheet)[: 6 * factor : factor, : 4 * factor : factor]
    np.testing.assert_array_equal(first, np.rint(PICTURES.values[0, 0] * 255))


def test_a_reconstruction_sheet_is_ten_originals_over_their_reconstructions(tmp_path: Path) -> None:
    from PIL import Image

    both = outputs.Result(name="x", values=16 * PICTURES.values, original=16 - 16 * PICTURES.values, white=16)
    outputs.write(tmp_path / "r.png", both)
    with Image.open(tmp_path / "r.png") as sheet:
        pixels = np.asarray(sheet)
    factor = pixels.shape[1] // (10 * 4)
    top, bottom = pixels[: 6 * factor : factor, ::factor], pixels[-6 * factor :: factor, ::factor]
    for i in range(10):
        one = np.rint(PICTURES.values[i, 0] * 255)
        np.testing.assert_array_equal(bottom[:, 4 * i : 4 * i + 4], one)
        np.testing.assert_allclose(top[:, 4 * i : 4 * i + 4], 255 - one, atol=1)


def test_a_folder_holds_one_picture_a_row(tmp_path: Path) -> None:
    colours = outputs.Result(name="x", values=np.random.default_rng(3).random((3, 3, 5, 5)))
    outputs.write(tmp_path / "many", colours)
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == ["00000.png", "00001.png", "00002.png"]


def test_an_svg_is_one_file_that_needs_no_other(tmp_path: Path) -> None:
    outputs.write(tmp_path / "x.svg", PICTURES)
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert (
        text.startswith("<svg")
        and "data:image/png;base64," in text
        and "http" not in text.replace("www.w3.org", "")[30:]
    )


@pytest.mark.parametrize("name", ["x.pt", "x.xlsx", "x.cvs", "x.npy.gz"])
def test_an_ending_without_a_form_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="there is no form"):
        outputs.write(tmp_path / name, TABLE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.png", "x.svg", "folder"])
def test_a_table_is_refused_as_a_picture(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no pictures"):
        outputs.write(tmp_path / name, TABLE)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    place = tmp_path / "x.csv"
    place.write_text("mine")
    with pytest.raises(InputError, match="--force"):
        outputs.write(place, TABLE)
    assert place.read_text() == "mine"
    outputs.write(place, TABLE, force=True)
    assert len(_rows(place)) == 4


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".jsonl", ".parquet", ".h5ad", ".png", ""])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, ending: str) -> None:
    for module in {".parquet": ["pyarrow"], ".h5ad": ["anndata"]}.get(ending, []):
        pytest.importorskip(module)
    noise = np.random.default_rng(0).random((1000, 100), dtype=np.float32)
    large = outputs.Result(name="z", values=noise)
    if ending in (".png", ""):
        large = outputs.Result(name="x", values=noise.ravel()[: 60 * 40 * 40].reshape(60, 1, 40, 40))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
        with pytest.raises(Stopped):
            outputs.write(tmp_path / f"z{ending}", large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("z.csv", "a,b\n1,2\n", "expected columns z0"),
        ("z.csv", "z0,z1\n1,2\n3\n", "line 3 has 1 cells"),
        ("z.csv", "z0,z1\n1,x\n", "line 2, column 'z1'"),
        ("z.csv", "z0,z1\n1,nan\n", "row 0, z1"),
        ("z.csv", "", "is empty"),
        ("z.csv", "z0,z1\n", "expected numbers"),
        ("z.npy", "not an array", "cannot be read as codes"),
        ("z.npz", "not a zip", "cannot be read as codes"),
        ("z.jsonl", "[1, 2]\n", "line 1 is no object"),
        ("z.jsonl", "{\n", "cannot be read as codes"),
        ("z.txt", "1 2", "codes are read from"),
    ],
)
def test_codes_that_do_not_fit_are_refused_with_their_place(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said):
        read_codes(tmp_path / name)


def test_a_pickle_inside_an_array_file_is_never_run(tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as codes"):
        read_codes(tmp_path / "z.npy")


def test_a_table_of_numbers_without_a_head_is_read_as_codes(tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_text("1,2\n3,4\n")
    np.testing.assert_array_equal(read_codes(tmp_path / "z.csv"), [[1, 2], [3, 4]])
