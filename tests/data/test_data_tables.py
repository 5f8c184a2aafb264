"""CSV and its kin: what each column becomes, what is missing, what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.data import Reading, read, tables, transform_from_json

CITY = ["Rome", "Bonn", "Oslo"]
PEOPLE = "name,age,city,smoker,visits,weight\n" + "".join(
    f"p{i},{20 + i % 50},{CITY[i % 3] if i % 7 else 'NA'},{i % 2},{i % 5},{i * 1.5 if i % 11 else ''}\n"
    for i in range(200)
)
ALL = Reading(split=(1, 0, 0))


def write(folder: Path, text: str, name: str = "t.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def values(data, part="train"):
    rows = data.parts[part]
    raw = rows.take(torch.arange(len(rows)))
    return raw, data.transform(raw)


def test_each_column_is_what_its_cells_say(tmp_path):
    data = read(write(tmp_path, PEOPLE), ALL)
    kinds = {c.name: c.kind for c in data.spec.columns}
    assert kinds == {"age": "real", "city": "categorical", "smoker": "binary", "visits": "count", "weight": "real"}
    assert data.spec.columns[1].categories == ("Bonn", "Oslo", "Rome")
    assert list(data.identifiers["name"][:2]) == ["p0", "p1"]
    assert data.spec.scale == "standard"
    assert data.spec.masked
    raw, batch = values(data)
    assert batch.x[2, 1] == 1  # the first row of all with a city in Oslo
    assert batch.x[1:5, 3].tolist() == [1, 2, 3, 4], "counts in a mixed table stay counts"


def test_missing_cells_are_masked_counted_and_hold_zero(tmp_path):
    data = read(write(tmp_path, PEOPLE), ALL)
    _, batch = values(data)
    lost = ~batch.observed
    assert int(lost.sum()) == 29 + 19
    assert bool((batch.x[lost] == 0).all())
    assert any("missing cells: 48" in p and "column 'city'" in p for p in data.problems)
    with pytest.raises(InputError, match="--strict refuses"):
        read(write(tmp_path, PEOPLE), Reading(strict=True))


def test_scaling_is_fitted_on_the_training_part_only_and_undone(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(5, 3, (300, 2))
    rows = "a,b\n" + "".join(f"{a!r},{b!r}\n" for a, b in x.tolist())
    data = read(write(tmp_path, rows))
    train = data.parts["train"].index
    assert data.transform.center.numpy() == pytest.approx(x[train].mean(axis=0), rel=1e-5)
    assert data.transform.spread.numpy() == pytest.approx(x[train].std(axis=0), rel=1e-5)
    _, batch = values(data, "test")
    assert data.transform.undo(batch.x).numpy() == pytest.approx(x[data.parts["test"].index], rel=1e-5)


@pytest.mark.parametrize("scale", ["standard", "robust", "log1p", "none"])
def test_every_table_scale_is_undone(tmp_path, scale):
    rng = np.random.default_rng(1)
    x = np.exp(rng.normal(0, 1, (50, 3)))
    rows = "a,b,c\n" + "".join(",".join(map(repr, row)) + "\n" for row in x.tolist())
    data = read(write(tmp_path, rows), Reading(scale=scale, split=(1, 0, 0)))
    _, batch = values(data)
    assert data.transform.undo(batch.x).numpy() == pytest.approx(x, rel=1e-5)
    saved = json.loads(json.dumps(data.transform.to_json()))
    again = transform_from_json(saved)
    again.load_state_dict(data.transform.state_dict())
    assert torch.equal(again(values(data)[0]).x, batch.x)


def test_robust_scale_is_median_and_quartiles(tmp_path):
    data = read(write(tmp_path, "a\n1.5\n2.5\n3.5\n4.5\n100.5\n"), Reading(scale="robust", split=(1, 0, 0)))
    assert float(data.transform.center) == 3.5
    assert float(data.transform.spread) == 2.0


def test_a_column_far_from_zero_keeps_its_small_differences(tmp_path):
    rows = "t,v\n" + "".join(f"{1.7e9 + i * 0.25!r},{i * 0.1}\n" for i in range(100))
    data = read(write(tmp_path, rows), ALL)
    _, batch = values(data)
    assert float(batch.x[:, 0].std(unbiased=False)) == pytest.approx(1, abs=1e-4)
    assert len(batch.x[:, 0].unique()) == 100
    assert data.transform.undo(batch.x)[7, 0] == pytest.approx(1.7e9 + 1.75, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        ("\ufeffa,b\n1.5,2\n3,4\n5,6\n", "utf-8", ""),
        ("a,b\r\n1.5,2\r\n3,4\r\n5,6\r\n", "utf-8", ""),
        ("a,b\n1.5,2\n3,4\n5,6\n", "utf-16", ""),
        ("a;b\n1,5;2\n3;4\n5;6\n", "utf-8", "decimal comma"),
        ("a|b\n1.5|2\n3|4\n5|6\n", "utf-8", "separated by '|'"),
        ("a,b\n\n1.5,2\n3,4\n5,6\n\n", "utf-8", ""),
    ],
)
def test_the_same_table_however_it_is_written(tmp_path, text, encoding, told):
    data = read(write(tmp_path, text, encoding=encoding), ALL)
    raw, _ = values(data)
    assert raw["x"].tolist() == [[1.5, 2], [3, 4], [5, 6]]
    assert [c.name for c in data.spec.columns] == ["a", "b"]
    assert told in " ".join(data.problems)


def test_latin_1_and_gzip_and_tsv_are_read(tmp_path):
    path = write(tmp_path, "größe\tb\n1\t2.5\n3\t4\n", "t.tsv", "latin-1")
    data = read(path, ALL)
    assert data.spec.columns[0].name == "größe"
    assert "Latin-1" in data.problems[0]
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(PEOPLE.encode()))
    assert read(packed).fingerprint == read(write(tmp_path, PEOPLE)).fingerprint


def test_a_file_of_numbers_alone_has_no_header(tmp_path):
    data = read(write(tmp_path, "1.5,2\n3,4\n5,6\n"), ALL)
    assert len(data.parts["train"]) == 3
    assert "without a header" in data.problems[0]
    assert not data.named


def test_a_table_of_counts_is_read_as_counts(tmp_path):
    rows = "g1,g2,g3\n" + "".join(f"{i % 7},{i % 3},0\n" for i in range(30))
    data = read(write(tmp_path, rows), ALL)
    assert data.spec.scale == "counts"
    assert {c.kind for c in data.spec.columns} == {"count"}
    raw, batch = values(data)
    assert raw["x"].dtype == torch.uint8, "kept in the smallest type"
    assert torch.equal(batch.x, raw["x"].float())
    assert any("never vary" in p and "g3" in p for p in data.problems)
    scaled = read(write(tmp_path, rows), Reading(scale="standard", split=(1, 0, 0)))
    assert {c.kind for c in scaled.spec.columns} == {"real"}, "asked to scale counts, they are real"


def test_fewer_groups_than_parts_are_refused_with_a_way_out_that_works(tmp_path):
    table = write(tmp_path, "a,who\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    with pytest.raises(InputError, match=r"2 groups cannot fill 3 parts; .* --split \.8,0,\.2"):
        read(table, Reading(group_by="who"))
    data = read(table, Reading(group_by="who", split=(0.8, 0.0, 0.2)))
    assert {name: len(rows) for name, rows in data.parts.items()} == {"train": 20, "test": 20}


def test_label_and_group_columns_leave_x_and_groups_stay_whole(tmp_path):
    rows = "who,kind,v\n" + "".join(f"p{i // 10},{'ab'[i % 2]},{i / 7}\n" for i in range(200))
    data = read(write(tmp_path, rows), Reading(label="kind", group_by="who"))
    assert data.spec.classes == ("a", "b")
    assert [c.name for c in data.spec.columns] == ["v"]
    groups = [set(rows.index // 10) for rows in data.parts.values()]
    assert sum(len(g) for g in groups) == 20
    assert {k: len(v) for k, v in data.parts.items()} == {"train": 160, "valid": 20, "test": 20}


def test_columns_are_chosen_and_ordered_by_the_flag(tmp_path):
    data = read(write(tmp_path, PEOPLE), Reading(columns=("weight", "age")))
    assert [c.name for c in data.spec.columns] == ["weight", "age"]


def test_repeated_and_empty_names_are_told_apart(tmp_path):
    data = read(write(tmp_path, "a,a,,b\n1.5,2.5,3.5,4.5\n2.5,3,4,5\n"), ALL)
    assert [c.name for c in data.spec.columns] == ["a", "a.2", "column_3", "b"]
    assert any("more than once" in p for p in data.problems)


def test_equal_held_out_rows_are_counted(tmp_path):
    rows = "a,b\n" + "1.5,2.5\n" * 50 + "".join(f"{i}.5,1\n" for i in range(50))
    assert any("held-out rows are equal to a training row" in p for p in read(write(tmp_path, rows)).problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("\n\n", "only blank lines"),
        ("a,b\n", "header but no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells and the header 2"),
        ("a,b\n1,2\n" + "x" * 100 + ',"open\n', "line|damaged|NUL"),
        ('a,b\n1,"2\n3,4\n', "damaged|cells"),
        ("a,b\n1,2\0\n3,4\n", "NUL"),
        ("a,b\n1,2\n3,1e999\n", "infinite"),
        ("a,b\n1,2\n3,inf\n", "row 1, column 'b'"),
        ("a,b\n,\nNA,nan\n", "every one of the 4 cells is missing"),
        ("a\n" + "".join(f"{i}.25\n" for i in range(100)) + "oops\n", "line 102, column 'a': 'oops' is no number"),
        ("a,b\n1.5,1e36\n2,3\n", "too large for single precision"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(tmp_path, text, said):
    with pytest.raises(InputError, match=said) as caught:
        read(write(tmp_path, text), ALL)
    assert "t.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Reading(label="cty"), "did you mean 'city'"),
        (Reading(label="weight"), "rows have no label"),
        (Reading(columns=("agee",)), "did you mean 'age'"),
        (Reading(scale="normal"), "standard"),
        (Reading(scale="counts"), "is no count|holds categories"),
        (Reading(size=(8, 8)), "--size means nothing for table"),
        (Reading(kind="table", time="t"), "--time means nothing for table"),
        (Reading(split=(0.5, 0.6, 0.1)), "more than 1"),
        (Reading(split=(300, 10, 10)), "asks for 320 rows and the data have 200"),
        (Reading(split=(0, 0.5, 0.5)), "training part is empty"),
        (Reading(split=(150, 0.2, 0.1)), "mixes shares and counts"),
    ],
)
def test_a_reading_that_does_not_fit_is_refused(tmp_path, reading, said):
    with pytest.raises(InputError, match=said):
        read(write(tmp_path, PEOPLE), reading)


def test_log1p_refuses_what_lies_below_zero_and_counts_what_is_no_count(tmp_path):
    path = write(tmp_path, "a,b\n1.5,2\n-3,4\n5,6\n")
    with pytest.raises(InputError, match="row 1, column 'a': -3 is below 0"):
        read(path, Reading(scale="log1p", split=(1, 0, 0)))
    with pytest.raises(InputError, match=r"row 0, column 'a': 1.5 is no count"):
        read(path, Reading(scale="counts", split=(1, 0, 0)))


def test_constant_columns_work_and_are_told(tmp_path):
    data = read(write(tmp_path, "a,b\n" + "".join(f"7.5,{i}.5\n" for i in range(20))), ALL)
    _, batch = values(data)
    assert bool((batch.x[:, 0] == 0).all())
    assert bool(torch.isfinite(batch.x).all())
    assert any("never vary" in p for p in data.problems)


def test_a_long_column_of_text_holds_no_number_in_any_part_of_the_file(tmp_path, monkeypatch):
    # a table is read in parts: a column seen to be text is not parsed in those that follow
    monkeypatch.setattr(tables, "CHUNK_CELLS", 600)
    rows = 10_000
    path = tmp_path / "long.csv"
    path.write_text("note,v\n" + "".join(f"word {i % 7},{i}\n" for i in range(rows)), encoding="utf-8")
    raw = tables.read_delimited(path)
    assert np.isnan(raw.numbers[:, 0]).all()
    np.testing.assert_array_equal(raw.numbers[:, 1], np.arange(rows))
    assert len(raw.text[0]) == rows


def test_underscores_do_not_make_a_number(tmp_path):
    data = read(write(tmp_path, "a,b\n1_0,1\n2_0,2.5\n1_0,3\n"), ALL)
    assert data.spec.columns[0].kind == "categorical"


def test_parquet_equals_csv_to_the_fingerprint(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    cells = [line.split(",") for line in PEOPLE.splitlines()[1:]]
    columns = list(zip(*cells, strict=True))
    table = arrow.table(
        {
            "name": list(columns[0]),
            "age": [int(v) for v in columns[1]],
            "city": [None if v == "NA" else v for v in columns[2]],
            "smoker": [v == "1" for v in columns[3]],
            "visits": [int(v) for v in columns[4]],
            "weight": [None if not v else float(v) for v in columns[5]],
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    shards = tmp_path / "shards"
    shards.mkdir()
    for i in range(4):
        parquet.write_table(table.slice(i * 50, 50), shards / f"part-{i}.parquet")
    known = read(write(tmp_path, PEOPLE))
    for source in (tmp_path / "t.parquet", shards):
        data = read(source)
        assert data.fingerprint == known.fingerprint
        assert data.spec == known.spec
