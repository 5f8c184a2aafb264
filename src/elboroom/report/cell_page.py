"""The page of `elboroom inspect` for recurrent cells: two steps of one unit, all units, the whole sequence.

With scripts off everything is there, and numbers say what they are when pointed at; with them a click on a step of the
sequence sets the drawing to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .cell_numbers import meanings
from .heat import page_rules
from .layout import Figure, Section, csv_uri
from .names import shown_name

if TYPE_CHECKING:
    from .cell import CellFlow

__all__ = ["cell_html"]

FOLDER = Path(__file__).parent
NARROW = 544.0


def cell_html(flow: CellFlow) -> str:
    """One file that loads nothing."""
    from .assembly import on_paper, page

    sections = [
        Section("steps", "Two steps", [_cells(flow)], full=True),
        Section("units", "All units", [_strips(flow)], full=True),
        Section("sequence", "The whole sequence", [_traces(flow)], full=True),
    ]
    for number, section in enumerate(sections, 1):
        section.figures[0].number = number
    style = page_rules() + (FOLDER / "cell.css").read_text(encoding="utf-8")
    return page(
        "cell.html",
        style + on_paper(flow.name, "inspect, run" if flow.name else "inspect"),
        further=(FOLDER / "cell.js").read_text(encoding="utf-8"),
        name=shown_name(flow.name),
        title=f"Inside a cell: {flow.full_name}",
        lead=f"Unit {flow.unit} and all others, step by step. {flow.said}".strip(),
        sections=sections,
    )


def _cells(flow: CellFlow) -> Figure:
    said = f"{flow.full_name} at two adjacent steps, with the numbers of {flow.which}"
    caption = (
        f"One unit at two adjacent steps: {flow.which}. {flow.equations} Each number says what it is, with all its "
    )
    caption += "digits, when it is pointed at; a click on a step of the whole sequence sets the drawing to it."
    wide, narrow = flow.cells(), flow.cells(narrow=True)
    return Figure(
        caption,
        wide=[d.inline(said, "cells-drawn") for d in wide],
        narrow=[d.inline(said, "cells-drawn") for d in narrow],
    )


def _strips(flow: CellFlow) -> Figure:
    said = f"gates and states of all units at steps {flow.step - 1} and {flow.step}"
    return Figure(
        flow.strip_words(),
        wide=[flow.strips().inline(said, "strips")],
        narrow=[flow.strips(narrow=True).inline(said, "strips")],
    )


def _traces(flow: CellFlow) -> Figure:
    count = len(flow.steps)
    numbers = [flow.numbers(step) for step in range(1, count + 1)]
    values = {name: [float(f"{n.values[name]:.9g}") for n in numbers] for name in numbers[0].values}
    held = {
        "step": flow.step,
        "unit": flow.unit,
        "steps": [shown_name(s) for s in flow.steps],
        "lines": [flow.lines(step) for step in range(1, count + 1)],
        "numbers": values,
        "said": meanings(numbers[0]),
    }
    said = "gates and states at every step"
    drawn = []
    for width, data in ((1032.0, {"flow": json.dumps(held, ensure_ascii=False)}), (NARROW, {})):
        drawn.append(flow.traces(width).inline(said, "traces", data | {"across": flow.across(width)}))
    head = ["step", "input", "unit", *flow.values]
    unit = flow.unit
    rows = [(k + 1, flow.steps[k], unit, *(float(x[k, unit - 1]) for x in flow.values.values())) for k in range(count)]
    return Figure(
        flow.trace_words(),
        wide=[drawn[0]],
        narrow=[drawn[1]],
        csv=csv_uri(head, rows),
        csv_name=f"cell-unit-{unit}.csv",
    )
