"""A further model is one new file: listed, given flags, trained, through the contract suite, and nothing edited."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from elboroom.cli.main import main

FOREIGN = Path(__file__).parent / "foreign" / "duel.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with one model file."""
    (tmp_path / "mine").mkdir()
    shutil.copy(FOREIGN, tmp_path / "mine" / "duel.py")
    return tmp_path / "mine"


def elboroom(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "elboroom", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=240,
    )


def test_a_model_file_in_a_folder_is_listed_gets_flags_and_trains(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = elboroom("models", "--models", str(folder), cwd=tmp_path)
    assert "duel" in listed.stdout, listed.stderr
    described = elboroom("models", "duel", "--models", str(folder), cwd=tmp_path)
    assert "gradient penalty" in described.stdout
    fitted = elboroom(
        "fit",
        "duel",
        "digits",
        "--models",
        str(folder),
        "--run",
        "r",
        "--penalty",
        "3",
        "--steps",
        "20",
        "--json",
        cwd=tmp_path,
    )
    assert fitted.returncode == 0, fitted.stderr
    assert json.loads(fitted.stdout)["state"] == "done"
    assert json.loads((tmp_path / "r" / "run.json").read_text())["settings"]["penalty"] == 3.0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELBOROOM_MODELS", str(folder))
    assert main(["sample", "r", "-n", "4", "--out", "s.npy"]) == 0
    assert main(["encode", "r", "digits", "--out", "c.npz"]) == 3
    assert "duel cannot encode" in capsys.readouterr().err


def test_a_model_file_in_a_folder_passes_the_contract_suite(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suite read anew, as it is where the folder is named from the start; its cases of the new model are called."""
    monkeypatch.setenv("ELBOROOM_MODELS", str(folder))
    located = importlib.util.spec_from_file_location("contract_again", Path(__file__).parent / "test_contract.py")
    assert located is not None
    assert located.loader is not None
    suite = importlib.util.module_from_spec(located)
    located.loader.exec_module(suite)
    passed = 0
    for test in [each for name, each in vars(suite).items() if name.startswith("test_")]:
        (mark,) = test.pytestmark
        for case in mark.args[1]:
            name, *kind = (case,) if isinstance(case, str) else getattr(case, "values", case)
            if name == "duel":
                place = tmp_path / str(passed)
                place.mkdir()
                test(name, *kind, **({"tmp_path": place} if "tmp_path" in inspect.signature(test).parameters else {}))
                passed += 1
    assert passed == 12
