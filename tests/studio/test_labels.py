"""Marks "not an event": kept beside the runs, taken back, and never lost to a file that cannot be read."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from elboroom.core.errors import InputError
from elboroom.studio.forms import Marked
from elboroom.studio.labels import HEAD, Labels


def said(start: int, stop: int, *, none: bool = True, **more: Any) -> Marked:
    return Marked(**{"data": "pump", "fingerprint": "ab", "start": start, "stop": stop, "none": none, **more})


def test_marks_are_kept_and_taken_back(tmp_path: Path) -> None:
    labels = Labels(tmp_path / "labels")
    assert labels.of("a1") == []
    assert labels.table("a1") == ",".join(HEAD) + "\n"
    labels.mark("a1", said(10, 20))
    labels.mark("a1", said(50, 60, first="2026-01-01T08:20:00"))
    again = Labels(tmp_path / "labels")
    assert [(one["start"], one["stop"], one["label"]) for one in again.of("a1")] == [
        (10, 20, "not an event"), (50, 60, "not an event")
    ]  # fmt: skip
    assert again.of("b2") == []
    kept = again.mark("a1", said(15, 18, none=False))
    assert [one["start"] for one in kept] == [50]
    assert next(csv.DictReader(io.StringIO(again.table("a1"))))["first"] == "2026-01-01T08:20:00"


def test_a_mark_takes_the_place_of_those_it_overlaps_in_the_same_data_alone(tmp_path: Path) -> None:
    labels = Labels(tmp_path)
    labels.mark("a1", said(10, 20))
    labels.mark("a1", said(10, 20, fingerprint="cd"))
    labels.mark("a1", said(10, 20, series="north"))
    labels.mark("a1", said(20, 25))
    kept = labels.mark("a1", said(18, 22))
    assert [(one["fingerprint"], one["series"], one["start"]) for one in kept] == [
        ("cd", "", 10), ("ab", "north", 10), ("ab", "", 18)
    ]  # fmt: skip


def test_names_with_commas_quotes_and_lines_come_back_whole(tmp_path: Path) -> None:
    name = 'a, "b"\nc'
    Labels(tmp_path).mark("a1", said(1, 2, series=name))
    assert Labels(tmp_path).of("a1")[0]["series"] == name


def test_a_name_that_a_spreadsheet_would_run_stands_behind_a_quote_and_comes_back_whole(tmp_path: Path) -> None:
    labels, names = Labels(tmp_path), ["=1+1", "@now", "'=1+1", "'tis", "-3", "+cmd|x"]
    for i, name in enumerate(names):
        labels.mark("a1", said(10 * i, 10 * i + 5, series=name, data="=file.csv"))
    cells = [(row["data"], row["series"]) for row in csv.DictReader(io.StringIO(labels.table("a1")))]
    assert cells == [("'=file.csv", shown) for shown in ("'=1+1", "'@now", "''=1+1", "''tis", "-3", "'+cmd|x")]
    assert [(one["data"], one["series"]) for one in labels.of("a1")] == [("=file.csv", name) for name in names]
    assert len(labels.mark("a1", said(0, 5, series="=1+1", none=False))) == len(names) - 1


def test_rows_that_are_none_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    labels = Labels(tmp_path)
    with pytest.raises(InputError, match="hold no row"):
        labels.mark("a1", said(5, 5))
    labels.path("a1").write_text("start,stop\nx,1\n", encoding="utf-8")
    for work in (lambda: labels.of("a1"), lambda: labels.mark("a1", said(1, 2))):
        with pytest.raises(InputError, match=r"a1\.csv: is no list of marks"):
            work()
    assert labels.path("a1").read_text(encoding="utf-8") == "start,stop\nx,1\n"
