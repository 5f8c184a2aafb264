"""What a page is made of: sections of figures and tables with notes in the margin. The template knows only these.

Text in these fields is plain; the template escapes it. Only `Markup`, made by the drawing functions, is not escaped.
"""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from .names import shown_name
from .pictures import Picture

__all__ = [
    "Cell",
    "Figure",
    "Note",
    "Run",
    "Section",
    "Table",
    "Writing",
    "csv_uri",
    "data_table",
    "measured",
    "named",
]

TABLE_ROWS = 25
CSV_ROWS = 2000


@dataclass
class Cell:
    """One cell of a table."""

    text: str = ""
    css: str = ""
    title: str = ""
    """The whole of what was cut, or the full precision."""
    is_name: bool = False
    """It comes from data: set apart, never translated."""
    markup: Markup | None = None
    second: str = ""
    """A second line, smaller."""
    data: dict[str, str] = field(default_factory=dict)
    """data-* attributes: the full value."""


@dataclass
class Table:
    """A table of the page. The first cell of a row is its head."""

    caption: str
    head: list[Cell]
    rows: list[list[Cell]]
    css: str = ""
    note: str = ""


@dataclass
class Note:
    """A margin note: a bold lead and a sentence."""

    lead: str
    text: str
    is_name: bool = False


@dataclass
class Run:
    """Some characters of a text, shown alike."""

    text: str
    css: str = ""


@dataclass
class Writing:
    """A text from data, set as it is."""

    label: str
    runs: list[Run]


@dataclass
class Figure:
    """One numbered figure: drawings, pictures or texts side by side, caption, and its numbers."""

    caption: str
    summary: str = ""
    wide: list[Markup] = field(default_factory=list)
    narrow: list[Markup] = field(default_factory=list)
    """The same drawings for a phone; the wide ones serve where this is empty."""
    pictures: list[Picture] = field(default_factory=list)
    row_labels: list[str] = field(default_factory=list)
    """Names of the rows of the one picture, evenly spaced beside it."""
    apart: bool = False
    """Sheets whose own pictures have gaps lie further from each other."""
    texts: list[Writing] = field(default_factory=list)
    side_by_side: bool = False
    """Texts in two columns."""
    key: Markup | None = None
    table: Table | None = None
    csv: str = ""
    csv_name: str = ""
    reading: str = ""
    """Values for the pointer, as JSON."""
    number: int = 0
    """Given when the page is put together."""


@dataclass
class Section:
    """A heading and what stands under it."""

    id: str
    heading: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    """Plain sentences; also the reason where a figure could not be made."""
    full: bool = False
    """Tables as wide as the page, without a margin."""
    rules: str = ""
    """Style rules that only this section needs."""
    script: str = ""
    """Script that only this section needs; the section is complete without it."""


def named(text: object, css: str = "") -> Cell:
    """A cell that holds a name from data."""
    short = shown_name(text)
    return Cell(short, css, title=str(text) if short != str(text) else "", is_name=True)


def measured(key: str, measure: dict[str, Any]) -> dict[str, str]:
    """The full value a figure carries, as data-* attributes that parse back to metrics.json."""
    found = {"key": key}
    for name in ("value", "low", "high"):
        number = measure.get(name)
        if isinstance(number, int | float) and math.isfinite(number):
            found[name] = repr(number)
    return found


def csv_uri(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in full precision inside an address, for a link that saves it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_plain(v) for v in row] for row in rows)
    return "data:text/csv;base64," + base64.b64encode(out.getvalue().encode()).decode("ascii")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value  # a spreadsheet would take it for a formula
    return value


def data_table(caption: str, head: list[str], rows: list[list[Any]], written: list[list[str]]) -> Table:
    """At most 25 rows of a figure's numbers, evenly chosen, the last always among them."""
    chosen = list(range(len(rows)))
    note = ""
    if len(rows) > TABLE_ROWS:
        chosen = sorted({round(i * (len(rows) - 1) / (TABLE_ROWS - 1)) for i in range(TABLE_ROWS)})
        note = f"{len(chosen)} of {len(rows):,} rows, evenly spaced."
    body = []
    for i in chosen:
        cells = [Cell(text, "num", title=_full(value)) for text, value in zip(written[i], rows[i], strict=True)]
        body.append(cells)
    return Table(caption, [Cell(h, "num") for h in head], body, "data", note)


def _full(value: Any) -> str:
    return repr(value) if isinstance(value, float) and math.isfinite(value) else ""
