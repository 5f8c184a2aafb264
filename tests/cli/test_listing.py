"""`elboroom data`: the sets of the archive that lie in the data folder, and what one would be read as."""

from __future__ import annotations

from pathlib import Path

import pytest

from elboroom.cli.main import main
from elboroom.data.sequences_files import archive_sets

HEAD = (
    "#A made-up set\n@problemName {name}\n@univariate false\n@dimensions 2\n{length}@classLabel true calm wild\n@data\n"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sets, one with sequences of equal length, a folder that is none, and a file."""
    for name, length in (("Wind", "@seriesLength 3\n"), ("Rain", "")):
        folder = tmp_path / "sequences" / name
        folder.mkdir(parents=True)
        lines = "1,2,3:4,5,6:calm\n" * 6 + ("1,0:4,9:wild\n" if not length else "3,2,1:0,0,1:wild\n") * 6
        (folder / f"{name}_TRAIN.ts").write_text(HEAD.format(name=name, length=length) + lines)
    (tmp_path / "sequences" / "Wind" / "Wind_TEST.ts").write_text(
        HEAD.format(name="Wind", length="") + "1,2,3:4,5,6:calm\n"
    )
    (tmp_path / "sequences" / "Empty").mkdir()
    (tmp_path / "sequences" / "notes.txt").write_text("nothing")
    monkeypatch.setenv("ELBOROOM_DATA", str(tmp_path))
    return tmp_path


def test_sets_that_lie_in_the_data_folder_are_listed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert "3 steps x 2 channels" in said["Wind"] and "2 classes: calm, wild; a test part of its own" in said["Wind"]
    assert "2 channels" in said["Rain"] and "steps" not in said["Rain"] and "test part" not in said["Rain"]
    assert "Empty" not in said and "notes.txt" not in said and "digits" in said


def test_what_the_list_says_is_what_the_files_hold(root: Path) -> None:
    found = {one.name: one for one in archive_sets(str(root))}
    assert list(found) == ["Rain", "Wind"]
    assert (found["Wind"].steps, found["Wind"].channels, found["Wind"].classes) == (3, 2, ("calm", "wild"))
    assert archive_sets("") == [] and archive_sets(str(root / "absent")) == []


def test_a_named_set_says_how_long_its_sequences_are_and_what_has_a_label(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "Rain"]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["steps"] == "2 to 3" and said["of"] == "2 channels" and said["label"] == "one a sequence"
    assert said["classes"] == "2: calm, wild" and "column" not in said
    assert main(["data", "future"]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["steps"] == "20 to 40" and said["label"] == "one a step"
