"""The marks of compared runs: each run has a slot, a colour and a shape, wherever it stands on the page.

On a page that can open runs, a mark and a run's name carry the run's id; what is done with it is for who shows the
page (comparison.js).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from .figures import SHAPES
from .names import shown_name
from .numbers import written
from .plots import Axis, Canvas

__all__ = ["AS_MARKS", "RULES", "Slot", "interval_marks", "key", "slots"]

FORMS = (*SHAPES, "star", "glass")
AS_MARKS = len(FORMS)
"""Runs with a shape of their own; more are shown as a table only."""
STEP, REACH = 13.0, 6.5
RULES = "".join(
    [f"svg .c{i}.fill,svg .c{i}.interval{{fill:var(--c{i})}}" for i in (7, 8)]
    + [f"svg .c{i}-text,.reading .c{i}-text{{fill:var(--c{i});color:var(--c{i})}}" for i in (3, 4)]
    + [".hit{fill:transparent;stroke:none}[data-open]{cursor:pointer}", "button.csv[data-open]{font:inherit}"]
)
"""Style of what only this page has; labels in colour are those that contrast enough with the page."""


@dataclass(frozen=True)
class Slot:
    """Where a run stands: its number from 1, 0 for none, and the id by which it can be opened."""

    number: int
    name: str
    opens: str = ""

    @property
    def css(self) -> str:
        return f"c{self.number}" if self.number else "ink"


def slots(runs: list[dict[str, Any]]) -> list[Slot]:
    """Of each run the slot that it brings ("slot"), else the first that is free; none where there are too many."""
    wanted = [run.get("slot") for run in runs]
    held = [n if isinstance(n, int) and 1 <= n <= AS_MARKS else 0 for n in wanted]
    numbers = [n if n and n not in held[:i] else 0 for i, n in enumerate(held)]
    free = iter([n for n in range(1, AS_MARKS + 1) if n not in numbers])
    if len(runs) > AS_MARKS:
        numbers = [0] * len(runs)
    else:
        numbers = [n or next(free) for n in numbers]
    return [Slot(n, str(run["name"]), str(run.get("id") or "")) for n, run in zip(numbers, runs, strict=True)]


def key(slot: Slot) -> Markup:
    """The run's shape by itself."""
    canvas = Canvas(12, 12)
    if slot.number:
        _shape(canvas, 6, 6, slot, "fill")
    return canvas.svg("", "slot")


def interval_marks(cells: list[dict[str, Any]], references: list[float], axis: Axis | None, at: list[Slot]) -> Markup:
    """One line a run, with its interval and its shape; a run without the measure says why on its line."""
    if axis is None or not all(slot.number for slot in at):
        return Markup("")
    width = axis.end + axis.start
    height = max(18.0, STEP * len(cells) + 5)
    canvas = Canvas(width, height)
    for reference in references:
        if axis.holds(reference):
            canvas.line(axis(reference), 2, axis(reference), height - 2, "ref")
    for i, (cell, slot) in enumerate(zip(cells, at, strict=True)):
        y = 2.5 + STEP * (i + 0.5)
        value, low, high = (_number(cell.get(name)) for name in ("value", "low", "high"))
        if value is None or cell.get("apart"):
            said = "not comparable" if cell.get("apart") else str(cell.get("lacks") or cell.get("why") or "")
            canvas.text(4, y + 4, said, "chart-note")
            continue
        canvas.line(0, y, width, y, "hair")
        if low is not None and high is not None:
            start, end = axis(max(low, axis.low)), axis(min(high, axis.high))
            canvas.rect(min(start, axis(value) - 1), y - 3, max(end - start, 2), 6, f"{slot.css} interval")
        _shape(canvas, axis(value), y, slot, "ring" if low is None or high is None else "fill")
        if slot.opens:
            told = escape(f"{shown_name(slot.name)}, {written(value, low, high)}")
            canvas.parts.append(
                f'<circle class="hit" cx="{axis(value):.1f}" cy="{y:.1f}" r="{REACH:g}" '
                f'data-open="{escape(slot.opens)}"><title>{told}</title></circle>'
            )
    return canvas.svg("", "mark")


def _shape(canvas: Canvas, x: float, y: float, slot: Slot, style: str) -> None:
    form, css = FORMS[slot.number - 1], f"{slot.css} {style}"
    if form == "star":
        points = [(r * math.sin(a), -r * math.cos(a)) for r, a in ((5.4 if i % 2 == 0 else 2.3, i * math.pi / 5)
                                                                   for i in range(10))]  # fmt: skip
    elif form == "glass":
        points = [(-4.4, -4.6), (4.4, -4.6), (0.9, 0.0), (4.4, 4.6), (-4.4, 4.6), (-0.9, 0.0)]
    else:
        canvas.shape(x, y, form, css)
        return
    path = "L".join(f"{x + a:.1f} {y + b:.1f}" for a, b in points)
    canvas.parts.append(f'<path class="{css}" d="M{path}Z"/>')


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
