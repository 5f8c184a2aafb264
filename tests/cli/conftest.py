"""Small runs that the tests of the verbs share, made once through the command line itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.cli.main import main

Called = tuple[int, str, str]
QUICK = ["--threads", "1", "--device", "cpu", "--compile", "off", "--precision", "fp32"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    """Run one call in this process: (exit code, stdout, stderr)."""

    def run(*words: object) -> Called:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def answer(call: Callable[..., Called]) -> Callable[..., Any]:
    """Run one call with --json that must succeed: its document."""

    def run(*words: object) -> Any:
        code, out, err = call(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


@pytest.fixture(scope="session")
def pictures_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of two dimensions on digits, a few steps old."""
    folder = tmp_path_factory.mktemp("runs") / "vae-digits"
    words = ["fit", "vae", "digits", "--steps", "4", "--latent", "2", "--hidden", "16", "--run", str(folder), *QUICK]
    assert main(words) == 0
    return folder


@pytest.fixture(scope="session")
def points_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder on digits: it encodes and decodes, but cannot sample."""
    folder = tmp_path_factory.mktemp("runs") / "ae-digits"
    words = ["fit", "autoencoder", "digits", "--steps", "3", "--latent", "3", "--run", str(folder), *QUICK]
    assert main(words) == 0
    return folder


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 60 named rows: two numbers, one of them with missing cells, one category, one label."""
    rng = np.random.default_rng(0)
    lines = ["sample,height,=width,colour,kind"]
    for i in range(60):
        width = "" if i % 9 == 4 else f"{rng.normal(3, 2):.3f}"
        lines.append(f"row{i},{rng.normal(170, 10):.2f},{width},{('red', 'green', 'blue')[i % 3]},{'ab'[i % 2]}")
    path = tmp_path_factory.mktemp("data") / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def table_run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE on that table."""
    folder = tmp_path_factory.mktemp("runs") / "vae-table"
    words = ["fit", "vae", str(table), "--label", "kind", "--steps", "3", "--latent", "2", "--hidden", "8"]
    assert main([*words, "--run", str(folder), *QUICK]) == 0
    return folder
