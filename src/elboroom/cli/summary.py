"""A run folder in a few lines for the terminal, read from its JSON files and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elboroom.cli import console
from elboroom.core.errors import InputError
from elboroom.report.numbers import written

__all__ = ["Meta", "command", "findings_table", "metrics_table", "read"]


@dataclass(frozen=True)
class Meta:
    """What run.json and metrics.json say."""

    state: str
    metrics: dict[str, Any]


def read(folder: Path) -> Meta:
    """The state and metrics of a run."""
    from elboroom.artifacts.files import read_json

    found = folder / "metrics.json"
    return Meta(
        state=str(read_json(folder / "run.json").get("state", "")),
        metrics=read_json(found) if found.is_file() else {},
    )


def command(folder: Path) -> str:
    """The call that began a run; "" where that cannot be read."""
    from elboroom.artifacts.files import read_json

    try:
        return str(read_json(folder / "run.json").get("command", ""))
    except (InputError, AttributeError):
        return ""


def metrics_table(metrics: dict[str, Any]) -> str:
    """One measure a line: name, value with interval, part of the data, what stands beside it."""
    rows = []
    for name, measure in metrics.items():
        value = written(measure.get("value"), measure.get("low"), measure.get("high"), unit=measure.get("unit") or "")
        beside = [f"{r['name']} {written(r['value'])}" for r in measure.get("references", [])]
        rows.append((name, value, str(measure.get("split", "")), "; ".join(beside)))
    return console.table(rows) if rows else "no measures yet; `elboroom evaluate RUN` writes them"


def findings_table(findings: list[dict[str, Any]]) -> str:
    """One finding a line; what to try under those that are not ok."""
    rows = []
    for found in findings:
        rows.append((str(found["level"]), str(found["name"]), str(found["why"])))
        if found["level"] != "ok" and found.get("try"):
            rows.append(("", "", f"try: {found['try']}"))
    return console.table(rows)
