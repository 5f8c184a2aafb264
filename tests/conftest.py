"""What all tests share: where real data lie, and a loud count of the tests left out without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real_data)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    left_out = sum(NO_DATA in str(report.longrepr) for report in skipped)
    if left_out:
        terminalreporter.write_line(f"{left_out} tests were left out: {NO_DATA}", yellow=True, bold=True)
