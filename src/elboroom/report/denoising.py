"""The section on a run that takes noise off: error over the strength of the noise, beside what needs no network.

Made from what details.json holds under "denoising"; see `elboroom.evaluate_denoising`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .contents import Contents, entries
from .layout import Figure, Note, Section, csv_uri, data_table
from .names import shown_name
from .numbers import column, number
from .panels import Panel, Series, drawn
from .words import measure

__all__ = ["denoising"]

WIDE, NARROW, HEIGHT = 560.0, 358.0, 248.0
LINES = (
    ("model", "this run", "c1"),
    ("pca", "PCA", "c2"),
    ("filter", "Gaussian filter", "c3"),
    ("noisy", "noisy", "c4"),
)


def denoising(contents: Contents) -> Section | None:
    """None where the run keeps no such curve."""
    found = contents.detail("denoising")
    points = [
        one for one in entries(found.get("points")) if isinstance(one, dict) and np.isfinite(number(one.get("level")))
    ]
    x = np.array([number(one["level"]) for one in points])
    lines = [Series(label, css, x, y) for key, label, css in LINES if len(y := _values(points, key))]
    if len(points) < 2 or not lines:
        return None
    word, kind = measure(str(found.get("measure"))), shown_name(found.get("noise"))
    title = f"{word.label}, {shown_name(found.get('unit'))}"
    panel = Panel(title, f"{word.better} is better", lines, x_name="strength of the noise")
    summary = f"{title}, over the strength of {kind} noise: " + "; ".join(
        f"{line.name} {line.y[0]:.3g} to {line.y[-1]:.3g}" for line in lines
    )
    head = ["strength", *(line.name for line in lines)]
    rows = [[float(v) for v in row] for row in zip(x, *(line.y for line in lines), strict=True)]
    written = [list(row) for row in zip(*(column(list(values)) for values in zip(*rows, strict=True)), strict=True)]
    figure = Figure(
        f"Held-out examples under {kind} noise, cleaned. Trained at strength {number(found.get('level')):g}.",
        summary=f"{summary}.",
        wide=[drawn(panel, WIDE, HEIGHT, summary)],
        narrow=[drawn(panel, NARROW, HEIGHT, summary)],
        table=data_table(title, head, rows, written),
        csv=csv_uri(head, rows),
        csv_name="denoising.csv",
    )
    section = Section("denoising", "Denoising", figures=[figure])
    section.notes = [Note("Beside it.", "PCA has the code's width and knows clean training rows; the filter's width is "
        "chosen for each strength on validation images.")]  # fmt: skip
    return section


def _values(points: list[dict[str, Any]], key: str) -> np.ndarray[Any, Any]:
    """The measure of one method at every strength; empty where no point has it."""
    parts = [found if isinstance(found := one.get(key), dict) else {} for one in points]
    values = np.array([number(part.get("value")) for part in parts])
    return values if np.isfinite(values).any() else values[:0]
