"""The confusion matrix as a drawing: a row for each true class, a column for each class named, counts on shades.

The shade is the share of the row on the square-root scale of `heat`, so that a few mistakes among many can be seen.
"""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from .heat import sequential
from .names import shown_name
from .numbers import written
from .plots import Array, Canvas, text_width

__all__ = ["LARGEST", "confusion_matrix", "row_shares", "short"]

LARGEST = 60
"""Classes; a larger matrix would be a cloud of dots."""
CELL, TALL, TOP = 64.0, 44.0, 52.0
SHARED, COUNTED = 46.0, 22.0
"""From so many pixels on a cell has room for count and share, or for the count."""


def row_shares(counts: Array) -> Array:
    """Each count as a share of its row; 0 where the row is empty."""
    out: Array = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return out


def short(name: object, most: int) -> str:
    """A name cut at so many characters."""
    text = shown_name(name)
    return text if len(text) <= most else text[: most - 1] + "…"


def confusion_matrix(counts: Array, classes: list[str], width: float, summary: str) -> Markup:
    """Counts (K, K) as floats; whole numbers are written."""
    many = len(classes)
    total = [written(float(n), form="count") for n in counts.sum(1)]
    rows = [short(name, 18 if width > 400 else 9) for name in classes]
    right = max(text_width(t, 11) for t in [*total, "of all"]) + 8
    left = max(text_width(name, 12) for name in rows) + 10
    wide = min(CELL, (width - left - right) / many)
    above = max(text_width(name, 11) for name in rows) + 2 <= wide
    if not above:  # columns carry numbers, and rows their number beside the name
        rows = [f"{name}  {k + 1}" for k, name in enumerate(rows)]
        left = max(text_width(name, 12) for name in rows) + 10
        wide = min(CELL, (width - left - right) / many)
    tall = min(TALL, max(wide, 14.0))
    canvas = Canvas(width, TOP + tall * many + 2)
    canvas.text(0, 12, "Rows: the true class; columns: the class named", "chart-title")
    canvas.text(left + wide * many + 6, TOP - 8, "of all", "tick")
    every = max(1, int(np.ceil(text_width(str(many), 11) / wide)))
    for k in range(0, many, every):
        canvas.text(left + (k + 0.5) * wide, TOP - 8, rows[k] if above else str(k + 1), "tick", "middle")
    _cells(canvas, counts, left, wide, tall)
    line = max(1, int(np.ceil(14 / tall)))
    for k in range(0, many, line):
        middle = TOP + (k + 0.5) * tall + 4
        canvas.text(left - 8, middle, rows[k], "label", "end")
        canvas.text(left + wide * many + 6, middle, total[k], "tick")
    canvas.rect(left, TOP, wide * many, tall * many, "frame")
    return canvas.svg(summary, "panel")


def _cells(canvas: Canvas, counts: Array, left: float, wide: float, tall: float) -> None:
    shares = row_shares(counts)
    steps = sequential(shares)
    for i, j in np.argwhere(counts > 0).tolist():
        x, y, step = left + j * wide, TOP + i * tall, int(steps[i, j])
        canvas.rect(x, y, wide, tall, f"f-q{step}")
        text, middle = written(float(counts[i, j]), form="count"), x + wide / 2
        if wide < max(COUNTED, text_width(text, 11) + 2):
            continue
        both = wide >= SHARED and tall >= 38
        canvas.text(middle, y + tall / 2 + (-2 if both else 4), text, f"on-q{step} small", "middle")
        if both:
            share = written(float(shares[i, j]), form="share", decimals=0 if shares[i, j] >= 0.1 else 1)
            canvas.text(middle, y + tall / 2 + 13, share, f"on-q{step} small", "middle")
