"""The section of a report on memory: how far back a gradient reaches, made from what details.json holds of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .contents import Contents, entries
from .layout import Figure, Note, Section, csv_uri, data_table
from .numbers import column, written
from .panels import Level, Panel, Series, drawn

__all__ = ["memory"]

WIDE, NARROW, HEIGHT = 680.0, 358.0, 226.0
PARTS = {"valid": "validation", "test": "test"}
SHOWN = 1e-8
"""Shares of the norm at lag 1 below this are not drawn: the axis would hold little else."""


def memory(contents: Contents) -> Section | None:
    """Norm by lag on a log axis with the effective horizon; None where nothing was measured."""
    found = contents.detail("memory")
    points = _points(found)
    shown = [(lag, norm) for lag, norm in points if lag >= 1 and norm >= SHOWN]
    horizon, span, floor, rows = (_number(found.get(key)) for key in ("horizon", "span", "floor", "rows"))
    if len(shown) < 2 or span < 2 or floor <= 0:
        return None
    x, y = (np.array(values, dtype=np.float64) for values in zip(*shown, strict=True))
    line = Series("gradient", "c1", x, y)
    panel = Panel(
        "Norm of the gradient in respect of what was read, lag 1 = 1",
        "log axis",
        [line],
        [Level("counts from", floor)],
        (1.0, span),
        log=True,
        x_name="steps back",
    )
    summary = f"The gradient falls below {written(floor)} of that at lag 1 after {horizon:g} of {span:g} steps."
    if horizon >= span:
        summary = f"The gradient stays above {written(floor)} of that at lag 1 over all {span:g} steps."
    lags, norms = zip(*points, strict=True)
    table = [[float(lag), norm] for lag, norm in points]
    texts = [list(row) for row in zip([f"{lag:g}" for lag in lags], column(norms), strict=True)]
    head = ["steps back", "norm, lag 1 = 1"]
    figure = Figure(
        caption=f"How far back a gradient reaches: means of logarithms over {written(rows, form='count')} "
        f"{PARTS.get(str(found.get('part')), 'training')} rows. {summary}",
        summary=summary,
        wide=[drawn(panel, WIDE, HEIGHT, summary)],
        narrow=[drawn(panel, NARROW, HEIGHT, summary)],
        table=data_table("Norm by lag", head, table, texts),
        csv=csv_uri(head, table),
        csv_name="memory.csv",
    )
    section = Section("memory", "Memory", [figure])
    section.notes = [
        Note("Read it as.", _reading(horizon, span)),
        Note("Not what it uses.", "A gradient says what could be learnt from a step, not how much was."),
    ]
    return section


def _number(value: Any) -> float:
    """0 for what a damaged file may hold in place of a number."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _points(found: dict[str, Any]) -> list[tuple[int, float]]:
    """(lag, norm) pairs that are numbers."""
    pairs = zip(entries(found.get("lags")), entries(found.get("norm")), strict=False)
    return [
        (lag, float(norm))
        for lag, norm in pairs
        if isinstance(lag, int) and isinstance(norm, int | float) and math.isfinite(norm)
    ]


def _reading(horizon: float, span: float) -> str:
    if horizon >= span:
        return "What was read anywhere in the window can still change what is learnt at its end."
    return f"What lies more than {horizon:g} steps back hardly changes what is learnt; a window holds {span:g}."
