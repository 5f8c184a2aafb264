"""What a dropped table looks like before anything reads it: columns with range, missing cells and a small curve.

Only what can be seen in one pass over the text; how elboroom itself reads the file is said by `elboroom data`.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from elboroom.report.numbers import written

__all__ = ["columns"]

MOST_COLUMNS, MOST_ROWS, POINTS = 40, 200_000, 60
"""Columns past the first are named alone."""
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")


def columns(path: Path) -> list[dict[str, Any]] | None:
    """One entry a column of a CSV or TSV file with a head line; None for other files.

    "rows": how many were looked at where there are more.
    """
    ending = path.suffix.lower()
    if ending not in (".csv", ".tsv") or not path.is_file():
        return None
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        first = file.readline()
        file.seek(0)
        mark = "\t" if ending == ".tsv" else max(",;\t", key=first.count)
        reader = csv.reader(file, delimiter=mark)
        try:
            names = next(reader, [])
            found = [_Column(name) for name in names[:MOST_COLUMNS]]
            cut = 0
            for number, row in enumerate(reader):
                if number >= MOST_ROWS:
                    cut = number
                    break
                for column, cell in zip(found, row, strict=False):
                    column.add(cell)
        except csv.Error:
            return None
    rest: list[dict[str, Any]] = [
        {"name": name, "range": "", "missing": None, "curve": []} for name in names[MOST_COLUMNS:]
    ]
    return [*({**column.shown(), "rows": cut} for column in found), *rest]


class _Column:
    def __init__(self, name: str) -> None:
        self.name = name
        self.missing = 0
        self.texts = 0
        self.values: list[float] = []
        self.distinct: set[str] = set()

    def add(self, cell: str) -> None:
        text = cell.strip()
        if text.lower() in MISSING:
            self.missing += 1
            self.values.append(math.nan)
            return
        if len(self.distinct) < 1000:
            self.distinct.add(text)
        try:
            self.values.append(float(text))
        except ValueError:
            self.texts += 1
            self.values.append(math.nan)

    def shown(self) -> dict[str, Any]:
        finite = [v for v in self.values if math.isfinite(v)]
        numbers = bool(finite) and not self.texts
        range_ = f"{written(min(finite))} to {written(max(finite))}" if numbers else self._texts()
        return {
            "name": self.name,
            "range": range_,
            "missing": self.missing,
            "curve": _curve(self.values) if numbers else [],
        }

    def _texts(self) -> str:
        count = len(self.distinct)
        few = f": {', '.join(sorted(self.distinct))}" if 0 < count <= 4 else ""
        return f"{count:,}{' or more' if count >= 1000 else ''} distinct{few[:80]}"


def _curve(values: list[float]) -> list[float | None]:
    """Lowest and highest of each of 30 stretches, in their order."""
    if len(values) <= POINTS:
        return [v if math.isfinite(v) else None for v in values]
    out: list[float | None] = []
    for i in range(POINTS // 2):
        piece = values[i * len(values) * 2 // POINTS : (i + 1) * len(values) * 2 // POINTS]
        finite = [(v, k) for k, v in enumerate(piece) if math.isfinite(v)]
        if finite:
            out += [v for v, _ in sorted((min(finite), max(finite)), key=lambda pair: pair[1])]
        else:
            out += [None, None]
    return out
