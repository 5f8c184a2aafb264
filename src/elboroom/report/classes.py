"""The sections on a run that names classes: which are taken for which, how often each is right, the worst mistakes.

Made from what details.json holds under "confusion", "by_class" and "mistakes".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from markupsafe import Markup

from .attention_map import key
from .confusion import LARGEST, confusion_matrix, row_shares
from .contents import Contents, entries
from .figures import Dot, mark, mark_axis
from .heat import page_rules
from .layout import Cell, Figure, Note, Section, Table, csv_uri, named
from .mistakes import mistakes_figure
from .numbers import number, written
from .plots import Array, Axis
from .words import plural

__all__ = ["class_by_class", "classes", "mistakes"]

WIDE, NARROW, MARK = 680.0, 358.0, 128.0
ROWS, PAIRS = 40, 25
RULES = (
    "svg .frame{fill:none;stroke:var(--edge)}svg .small{font-size:11px}"
    ".classes td.how{min-width:160px}.classes th.strong{white-space:nowrap}"
)


def classes(contents: Contents) -> Section | None:
    """The confusion matrix; None without classes."""
    found = contents.detail("confusion")
    names, counts = [str(name) for name in entries(found.get("classes"))], _matrix(found.get("counts"))
    if counts is None or len(names) != len(counts):
        return None
    section = Section("classes", "Classes", rules=RULES + page_rules())
    section.figures.append(_matrix_figure(contents, counts, names))
    section.notes = [
        Note("Read the matrix.", "On the diagonal is what was named right. A shaded cell beside it is a confusion."),
    ]
    if contents.spec.get("per_step"):
        told = "Steps are counted; whole sequences are drawn for the intervals, as their steps err together."
        section.notes.append(Note("The sample.", told))
    return section


def class_by_class(contents: Contents) -> Section | None:
    """How often each class is named right, beside what is simpler; None without classes."""
    table = _by_class(contents)
    return None if table is None else Section("by-class", "Class by class", tables=[table], full=True)


def mistakes(contents: Contents) -> Section | None:
    """The worst mistakes; None where none is kept."""
    figure = mistakes_figure(contents, (WIDE, NARROW))
    if figure is None:
        return None
    section = Section("mistakes", "Worst mistakes", [figure])
    section.notes = [
        Note("Chosen.", "Held-out sequences that were named wrong, those with the largest log loss first."),
        Note("Ask.", "Is the label right? A model that is sure of another class sometimes finds wrong labels."),
    ]
    return section


def _matrix(counts: Any) -> Array | None:
    """A square of whole numbers, as floats; None for anything else."""
    try:
        out = np.array(counts, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    square = out.ndim == 2 and len(out) == out.shape[1] > 0
    return out if square and bool(np.isfinite(out).all()) and bool((out >= 0).all()) else None


def _matrix_figure(contents: Contents, counts: Array, names: list[str]) -> Figure:
    unit = "step" if contents.spec.get("per_step") else "sequence"
    pairs = _pairs(counts)
    right, total = int(np.trace(counts)), int(counts.sum())
    summary = f"{right:,} of {plural(total, f'held-out {unit}')} named right."
    if pairs:
        i, j = pairs[0]
        share = written(float(row_shares(counts)[i, j]), form="share", decimals=1)
        summary += f" Most often taken for another: {names[i]} for {names[j]}, {int(counts[i, j]):,} times ({share})."
    shares = row_shares(counts)
    body = [
        [
            named(names[i]),
            named(names[j]),
            Cell(f"{int(counts[i, j]):,}", "num"),
            Cell(written(float(shares[i, j]), form="share", decimals=1), "num"),
        ]
        for i, j in pairs[:PAIRS]
    ]
    head = [Cell("True class"), Cell("Named"), Cell(f"{unit}s".capitalize(), "num"), Cell("Of that class", "num")]
    note = f"The {PAIRS} most frequent of {len(pairs):,} confusions." if len(pairs) > PAIRS else ""
    whole = counts.astype(int).tolist()
    figure = Figure(
        caption=f"Confusion matrix. {summary}",
        summary=summary,
        table=Table("Which class is taken for which", head, body, "data", note) if body else None,
        csv=csv_uri(["true", *names], [[name, *row] for name, row in zip(names, whole, strict=True)]),
        csv_name="confusion.csv",
    )
    if len(names) <= LARGEST:
        figure.wide = [confusion_matrix(counts, names, WIDE, summary)]
        figure.narrow = [confusion_matrix(counts, names, NARROW, summary)]
        ramp = key().inline("from 0 to 1", "key")
        figure.key = Markup("Shade: share of the true class, square-root scale, {}").format(ramp)
    return figure


def _pairs(counts: Array) -> list[tuple[int, int]]:
    """(true, named) of every confusion that was met, the most frequent first."""
    wrong = counts * (1 - np.eye(len(counts)))
    order = np.argsort(-wrong, axis=None, kind="stable")
    return [(int(k // len(counts)), int(k % len(counts))) for k in order if wrong.flat[k] > 0]


# -- class by class ----------------------------------------------------------------------------------------------------


def _by_class(contents: Contents) -> Table | None:
    listed = [one for one in entries(contents.details.get("by_class")) if isinstance(one, dict)]
    if not listed:
        return None
    note = "Dot and band: share named right, 95 % interval; grey ticks: the simpler ways under beside it."
    if len(listed) > ROWS:
        note = f"The {ROWS} classes named right least often, of {len(listed):,}. {note}"
        listed = sorted(listed, key=lambda one: _or(number(one.get("recall")), 2.0))[:ROWS]
    shown = [_whole(contents), *listed] if contents.metrics.get("accuracy") else listed
    values = [v for one in shown for v in (one.get("recall"), one.get("low"), one.get("high"))]
    values += [r.get("value") for one in shown for r in _beside(one)]
    axis = mark_axis([v for v in map(number, values) if math.isfinite(v)], MARK)
    head = [Cell("Class"), Cell("Named right, 95 % interval", "num"), Cell("Interval and what is simpler", "mark-cell")]
    head += [Cell("N", "num"), Cell("Right where named", "num"), Cell("Beside it")]
    return Table(
        "How often each class is named right", head, [_row(one, axis) for one in shown], "measures classes", note
    )


def _whole(contents: Contents) -> dict[str, Any]:
    """All classes together, in the form of one of them."""
    found = contents.metrics["accuracy"]
    whole = {key: found.get(key) for key in ("n", "low", "high")}
    return {"class": None, "recall": found.get("value"), "beside": found.get("references"), **whole}


def _row(one: dict[str, Any], axis: Axis | None) -> list[Cell]:
    name = Cell("All classes", "name strong") if one.get("class") is None else named(one.get("class"), "name")
    precision, count, dot = number(one.get("precision")), number(one.get("n")), _dot(one, "recall")
    if dot is None:
        return [name, Cell("not in this part", "muted"), Cell("", "mark-cell"), Cell("0", "num muted"), Cell(), Cell()]
    others = [(str(r.get("name")), _dot(r, "value")) for r in _beside(one)]
    known = [(title, other) for title, other in others if other is not None]
    drawn = mark([dot], [other.value for _, other in known], axis, MARK)
    return [
        name,
        Cell(_said(dot), "num", title=repr(dot.value)),
        Cell("", "mark-cell", markup=drawn),
        Cell(written(count, form="count") if math.isfinite(count) else "", "num muted"),
        Cell(written(precision, form="share", decimals=1) if math.isfinite(precision) else "", "num split"),
        Cell("; ".join(f"{title} {_said(other)}" for title, other in known), "how"),
    ]


def _dot(one: dict[str, Any], key: str) -> Dot | None:
    """A value with its ends, where they are there; None without a value."""
    value, low, high = (number(one.get(k)) for k in (key, "low", "high"))
    if not math.isfinite(value):
        return None
    return Dot(value, low, high) if math.isfinite(low) and math.isfinite(high) else Dot(value)


def _said(dot: Dot) -> str:
    return written(dot.value, dot.low, dot.high, decimals=3 if dot.low is None else None)


def _beside(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [r for r in entries(one.get("beside")) if isinstance(r, dict)]


def _or(value: float, other: float) -> float:
    return value if math.isfinite(value) else other
