"""The curves of compared runs on one x: a term that all of them log, each run in the colour of its slot."""

from __future__ import annotations

import json
import math
from typing import Any

from .comparison_marks import Slot
from .contents import Contents
from .curves import PREFERRED, Shown
from .layout import Figure, csv_uri, data_table
from .names import shown_name
from .numbers import column, written
from .panels import LOG_FACTOR, Panel, Series, drawn, fall
from .words import measure

__all__ = ["curves"]

PARTS = (("valid", "validation"), ("test", "test"), ("train", "training"))
WIDE, NARROW, HEIGHT = 1032.0, 358.0, 260.0
LABEL, NARROW_LABEL = 28, 12
"""Characters of a run's name at the end of its line."""
ROWS = 400
"""Places along x at which the pointer reads."""


def curves(read: dict[str, Contents], at: list[Slot]) -> Figure | None:
    """The term that the most runs log, by the preference of a report; None where no two log one."""
    found = [(slot, read[slot.name]) for slot in at if slot.number and slot.name in read]
    term = _term([contents for _, contents in found])
    kept = [(slot, contents) for slot, contents in found if _part(contents, term)[0]]
    if len(kept) < 2:
        return None
    shown = [Shown.of(contents, term) for _, contents in kept]
    if len({one.title for one in shown}) > 1:  # a text without its bytes beside others that have them
        return None
    x_name = "step" if any(one.x_name == "step" for one in shown) else "epoch"
    lines, parts = [], set()
    for (slot, contents), one in zip(kept, shown, strict=True):
        part, word = _part(contents, term)
        history, name = contents.history, f"{part}/{term}"
        x = (history.steps if x_name == "step" else history.epochs)[name]
        if len(x):
            lines.append(Series(slot.name, slot.css, x, history.values[name] * one.factor))
            parts.add(word)
    return _figure(lines, shown[0], x_name, sorted(parts), len(at)) if len(lines) > 1 else None


def _part(contents: Contents, term: str) -> tuple[str, str]:
    """The part of the data on which a run logs the term, a held-out one first; empty where it does not."""
    return next(((p, word) for p, word in PARTS if f"{p}/{term}" in contents.history.values), ("", ""))


def _term(listed: list[Contents]) -> str:
    names = list(dict.fromkeys(term for contents in listed for term in contents.history.terms()))
    order = {term: place for place, term in enumerate(dict.fromkeys((*PREFERRED, *names)))}
    count = {term: sum(bool(_part(contents, term)[0]) for contents in listed) for term in names}
    return min(names, key=lambda term: (-count[term], order[term]), default="")


def _figure(lines: list[Series], shown: Shown, x_name: str, parts: list[str], runs: int) -> Figure:
    word, end = measure(shown.measure), max(float(line.x[-1]) for line in lines)
    summary = "; ".join(fall(line, x_name) for line in lines) + "."
    panel = Panel(shown.title, "", lines, x_range=(min(0.0, *(float(s.x[0]) for s in lines)), end), x_name=x_name)
    low, high = panel.y_range()
    panel.log = low > 0 and high / low > LOG_FACTOR
    better = f"{word.better} is better" if word.better else ""
    panel.note = ", ".join(p for p in ("log axis" if panel.log else "linear axis", better) if p)
    drawings = []
    for width, most in ((WIDE, LABEL), (NARROW, NARROW_LABEL)):
        panel.series = [Series(_cut(s.name, most), s.css, s.x, s.y) for s in lines]
        drawings.append(drawn(panel, width, HEIGHT, summary))
    said = f"{measure(shown.measure).label} of each run on its own {' or '.join(parts)} part, as it was logged."
    if len(lines) < runs:
        said += f" {runs - len(lines)} of {runs} runs log no such term."
    return Figure(said, summary, wide=drawings[:1], narrow=drawings[1:], number=1, **_numbers(lines, shown, x_name))


def _cut(name: str, most: int) -> str:
    text = shown_name(name)
    return text if len(text) <= most else text[: most - 1] + "…"


def _numbers(lines: list[Series], shown: Shown, x_name: str) -> dict[str, Any]:
    """A table to read, a CSV of every value, and JSON for the pointer."""
    places: dict[float, list[float]] = {}
    for i, line in enumerate(lines):
        for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True):
            places.setdefault(x, [math.nan] * len(lines))[i] = y
    rows = [[x, *ys] for x, ys in sorted(places.items())]
    head = [x_name, *(shown_name(line.name) for line in lines)]
    at, *values = zip(*rows, strict=True)
    texts = [list(row) for row in zip([written(round(x, 2)) for x in at], *map(column, values), strict=True)]
    few = rows[:: max(1, math.ceil(len(rows) / ROWS))]
    series = [
        {"name": shown_name(s.name), "css": s.css, "y": [r[i + 1] if math.isfinite(r[i + 1]) else None for r in few]}
        for i, s in enumerate(lines)
    ]
    return {
        "table": data_table(shown.title, head, rows, texts),
        "csv": csv_uri(["run", x_name, shown.term], _saved(lines)),
        "csv_name": f"{shown.term}.csv",
        "reading": json.dumps({"name": x_name, "x": [r[0] for r in few], "series": series}, separators=(",", ":")),
    }


def _saved(lines: list[Series]) -> list[list[Any]]:
    return [[s.name, x, y] for s in lines for x, y in zip(s.x.tolist(), s.y.tolist(), strict=True)]
