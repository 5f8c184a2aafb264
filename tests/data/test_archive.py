"""A file of the UCR anomaly archive is a series of one number a line, trained and labelled as its name says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elboroom.data.archive import Told, holds_numbers, told
from elboroom.data.reading import Reading
from elboroom.data.source import read

NAME = "007_UCR_Anomaly_Made_1_200_351_360.txt"


def written(path: Path, rows: int = 500) -> Path:
    x = np.sin(np.arange(rows) / 5) + np.random.default_rng(0).normal(size=rows) / 20
    path.write_text("".join(f"   {value:.7e}\n" for value in x))
    return path


def test_a_name_counts_rows_from_1_and_includes_both_ends() -> None:
    assert told(NAME) == told(Path("/somewhere") / NAME) == Told(train=200, begin=350, stop=360)


@pytest.mark.parametrize(
    "name", ["made.txt", "007_UCR_Anomaly_Made_200_351.txt", "007_UCR_Anomaly_Made_400_351_360.txt", 7, None]
)
def test_other_names_tell_nothing(name: object) -> None:
    assert told(name) is None


def test_a_file_of_the_archive_is_a_labelled_series_cut_where_its_name_says(tmp_path: Path) -> None:
    found = read(str(written(tmp_path / NAME)))
    assert found.reading.kind == "series"
    assert found.series is not None
    one = found.series.series[0]
    assert one.labels is not None
    assert np.flatnonzero(one.labels).tolist() == list(range(350, 360))
    assert max(stop for part, (_, stop) in found.series.stretches[0].items() if part != "test") <= 200
    assert found.series.stretches[0]["test"] == (200, 500)
    assert any("rows 350 to 359" in problem for problem in found.problems)


def test_who_says_where_training_ends_is_heard_before_the_name(tmp_path: Path) -> None:
    found = read(str(written(tmp_path / NAME)), Reading(train_until="300"))
    assert found.series is not None
    assert found.series.stretches[0]["test"][0] == 300


def test_a_name_that_does_not_fit_its_rows_tells_nothing(tmp_path: Path) -> None:
    found = read(str(written(tmp_path / NAME, rows=355)))
    assert found.series is not None
    assert found.series.series[0].labels is None


def test_a_text_file_of_numbers_alone_is_a_series_and_any_other_a_text(tmp_path: Path) -> None:
    numbers, words = written(tmp_path / "numbers.txt", rows=3000), tmp_path / "words.txt"
    words.write_text(numbers.read_text()[:4000] + "\nand a word\n" * 30)
    assert numbers.stat().st_size > 1 << 14  # its last line looked at is cut
    assert holds_numbers(numbers) and not holds_numbers(words) and not holds_numbers(tmp_path / "none.txt")
    assert read(str(numbers)).spec.kind == "series"
    assert read(str(words)).spec.kind == "text"
    assert read(str(numbers), Reading(kind="text")).spec.kind == "text"
