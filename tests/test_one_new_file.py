"""A further model is one new file: listed, given flags, trained, through the contract suite, and nothing edited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOREIGN = Path(__file__).parent / "foreign" / "duel.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with one model file."""
    (tmp_path / "mine").mkdir()
    shutil.copy(FOREIGN, tmp_path / "mine" / "duel.py")
    return tmp_path / "mine"


def elboroom(*words: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **extra}
    return subprocess.run(
        [sys.executable, "-m", "elboroom", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=240,
    )


def test_a_model_file_in_a_folder_is_listed_gets_flags_and_trains(folder: Path, tmp_path: Path) -> None:
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
    sampled = elboroom("sample", "r", "-n", "4", "--out", "s.npy", cwd=tmp_path, ELBOROOM_MODELS=str(folder))
    assert sampled.returncode == 0, sampled.stderr
    refused = elboroom("encode", "r", "digits", "--out", "c.npz", cwd=tmp_path, ELBOROOM_MODELS=str(folder))
    assert refused.returncode == 3 and "duel cannot encode" in refused.stderr


def test_a_model_file_in_a_folder_passes_the_contract_suite(folder: Path, tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "tests/test_contract.py",
            "-q",
            "-k",
            "duel",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
        ],
        cwd=root,
        env={**os.environ, "ELBOROOM_MODELS": str(folder), "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "12 passed" in done.stdout, done.stdout[-300:]
