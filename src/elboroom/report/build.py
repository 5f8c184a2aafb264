"""The door of the report: a run folder in, one HTML file out. What draws is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["build", "compare_html", "sweep_html", "write"]


def build(run: Path | str) -> str:
    """The report of a run folder as HTML. Raises InputError where the folder is no run."""
    from .assembly import report_html

    return report_html(Path(run))


def write(run: Path | str, out: Path | str | None = None) -> Path:
    """Write the report, whole or not at all, to RUN/report.html or `out`, and say where."""
    from elboroom.artifacts.files import write_text

    place = Path(run) / "report.html" if out is None else Path(out)
    write_text(place, build(run))
    return place


def compare_html(table: dict[str, Any]) -> str:
    """The page of `compare`: one row a measure, the marks of all runs on one axis, what can be said in words."""
    from .comparison import comparison_html

    return comparison_html(table)


def sweep_html(folder: Path | str) -> str:
    """The page of a sweep: measures over each setting with intervals over seeds, and all members."""
    from .sweep import sweep_html as html

    return html(Path(folder))
