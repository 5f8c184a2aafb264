"""What all tests share: where real data lie, and a loud count of the tests left out without them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from elboroom.run import Run

ROOT = Path(__file__).resolve().parent.parent
NO_DATA = "no real data: set ELBOROOM_DATA to the folder that holds them"


def data_folder() -> Path | None:
    """$ELBOROOM_DATA, else ../shared/data beside the checkout, where it exists."""
    named = os.environ.get("ELBOROOM_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder.resolve() if folder.is_dir() else None


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real data; a test that asks for it is skipped where there is none."""
    folder = data_folder()
    if folder is None:
        pytest.skip(NO_DATA)
    monkeypatch.setenv("ELBOROOM_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small finished run on images; tests read it and write elsewhere."""
    from elboroom.fitting import fit

    folder = tmp_path_factory.mktemp("digits") / "run"
    return fit("vae", "digits", run=folder, settings={"latent": 3, "hidden": [24]}, steps=30, seed=1)


@pytest.fixture(scope="session")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small finished run on a table of numbers, counts and categories, cells missing; `table.csv` lies beside it."""
    from elboroom.fitting import fit

    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("table")
    rows = ["age,visits,ward"]
    for _ in range(200):
        age = "" if rng.random() < 0.1 else f"{rng.normal(50, 12):.2f}"
        rows.append(f"{age},{rng.poisson(12)},{rng.choice(['north', 'south', 'east'])}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return fit("vae", str(folder / "table.csv"), run=folder / "run", settings={"latent": 2, "hidden": [16]}, steps=30)


def pytest_configure() -> None:
    """With several workers each gets its share of the processors: `auto` would take all of them in every worker."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if worker and hasattr(os, "sched_setaffinity"):
        mine = sorted(os.sched_getaffinity(0))[int(worker.removeprefix("gw")) :: count]
        if mine:
            os.sched_setaffinity(0, mine)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real_data)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    left_out = sum(NO_DATA in str(report.longrepr) for report in skipped)
    if left_out:
        terminalreporter.write_line(f"{left_out} tests were left out: {NO_DATA}", yellow=True, bold=True)
