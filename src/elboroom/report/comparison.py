"""The page of `compare`: one row a measure, the marks of all runs on one axis, what can be said in words (picture i).

Runs keep their slot (colour and shape) over the whole page. Bold is a run that is better than every other with the
interval of the difference clear of 0, nothing less.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from elboroom.core.errors import InputError

from .assembly import FOLDER, on_paper, on_phones, page
from .comparison_codes import code_maps, code_sheets, objectives
from .comparison_curves import curves
from .comparison_marks import AS_MARKS, RULES, Slot, interval_marks, key, slots
from .contents import Contents, read_run
from .figures import mark_axis
from .galleries import last_sheet
from .layout import Cell, Table, csv_uri, measured, named
from .names import shown_name, shown_text
from .numbers import Form, written
from .pictures import Picture
from .record import value_text as setting_text
from .words import Word, clean, measure, plural

__all__ = ["comparison_html"]

MARK_WIDTH = 320.0
GROUPS = (
    ("How well it knows the data", ("bits_per_dim", "elbo_nats", "log_likelihood_nats", "rate_nats", "distortion_nats",
                                    "bits_per_byte", "loss_nats_per_token", "perplexity", "token_accuracy")),
    ("How well it names classes", ("accuracy", "balanced_accuracy", "macro_f1", "log_loss_nats", "calibration_error")),
    ("How well it rebuilds", ("reconstruction_bce", "reconstruction_mse", "psnr_db", "mae", "r2")),
    ("How good its samples are", ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage",
                                  "modes_found", "memorised_share")),
    ("How its codes lie", ("code_mmd", "code_gap", "code_auc")),
    ("How useful its code is", ("active_units", "trustworthiness", "neighbour_accuracy", "ari", "nmi", "mig")),
)  # fmt: skip
OTHERS = "What else was measured"
COSTS = "What it costs"
FORMS: dict[str, Form] = {"s": "time", "bytes": "size"}
FORECASTS = ("How well it forecasts", ("mae", "mae_horizon", "coverage_90"))
"""Where rows are forecast, the absolute error is one of a forecast, not of a reconstruction."""


@dataclass
class Row:
    """One measure over all runs."""

    label: str
    second: str
    marks: Markup
    cells: list[Cell]
    said: str


@dataclass
class Group:
    """Rows under one heading."""

    heading: str
    rows: list[Row] = field(default_factory=list)


def comparison_html(table: dict[str, Any]) -> str:
    """The page made of what `compare` returns."""
    runs = table["runs"]
    names = [str(run["name"]) for run in runs]
    at = slots(runs)
    read = _read(runs)
    pictures, sheets = _samples(read), code_sheets(read)
    title = f"Compare {plural(len(runs), 'run')}"
    differing = _settings(table, names, only_differing=True)
    notes = [shown_text(note) for note in [*(table.get("notes") or []), *(table.get("foot") or [])]]
    if len(runs) > AS_MARKS:
        notes.append(f"{len(runs)} runs: a table without marks and curves, which up to {AS_MARKS} have.")
    return page(
        "comparison.html",
        on_phones([*pictures, *(one for kind in sheets for one in kind.pictures)])
        + on_paper(title, "compared")
        + RULES,
        (FOLDER / "comparison.js").read_text(encoding="utf-8") if any(slot.opens for slot in at) else "",
        title=title,
        notes=notes,
        runs=[_head(run, slot) for run, slot in zip(runs, at, strict=True)],
        marked=len(runs) <= AS_MARKS,
        groups=_groups(table, at),
        curves=curves(read, at),
        samples=pictures,
        maps=code_maps(read),
        sheets=sheets,
        objectives=objectives(table),
        differing=differing,
        settings=_settings(table, names, only_differing=False),
        csv=_csv(table, names),
        commands=[shown_text(run["command"]) for run in runs if run.get("command")],
    )


def _head(run: dict[str, Any], slot: Slot) -> dict[str, Any]:
    """A run at the head of its column."""
    favoured = "trained on these data" if run.get("favoured") else ""
    return {
        "name": shown_name(run["name"]),
        "model": shown_name(run["model"]),
        "key": key(slot),
        "opens": slot.opens,
        "favoured": favoured,
    }


def _groups(table: dict[str, Any], at: list[Slot]) -> list[Group]:
    found = {str(entry["key"]): entry for entry in table.get("measures") or []}
    groups = (FORECASTS, *GROUPS) if "mae_horizon" in found else GROUPS
    placed = [Group(heading, [_row(found.pop(k), at) for k in keys if k in found]) for heading, keys in groups]
    placed.append(Group(OTHERS, [_row(entry, at) for entry in found.values()]))
    placed.append(Group(COSTS, [_cost(entry, at) for entry in table.get("costs") or []]))
    return [group for group in placed if group.rows]


def _row(entry: dict[str, Any], at: list[Slot]) -> Row:
    key, cells = str(entry["key"]), entry["cells"]
    word = measure(key)
    references = [(str(r["name"]), float(r["value"])) for r in entry.get("references") or [] if _finite(r.get("value"))]
    marked = [c for c in cells if not c.get("apart")]
    values = [float(c[n]) for c in marked for n in ("value", "low", "high") if _finite(c.get(n))]
    widest = max(
        [float(c["high"]) - float(c["low"]) for c in marked if _finite(c.get("high")) and _finite(c.get("low"))],
        default=0.0,
    )
    axis = mark_axis(values + [v for _, v in references], MARK_WIDTH, widest)
    beside = ", ".join(f"{shown_name(name)} {written(value)}" for name, value in references)
    unit = "" if key == "bits_per_dim" else str(entry.get("unit") or "")
    second = "; ".join(
        p
        for p in (
            unit,
            _better(word, entry),
            f"grey: {beside}" if beside else "",
            "log axis" if axis and axis.log else "",
        )
        if p
    )
    return Row(
        label=word.label,
        second=second,
        marks=interval_marks(cells, [v for _, v in references], axis, at),
        cells=[_cell(key, cell, cell.get("run") == entry.get("best")) for cell in cells],
        said=_said(entry),
    )


def _better(word: Word, entry: dict[str, Any]) -> str:
    better = word.better or str(entry.get("better") or "")
    return f"{better} is better" if better else word.meaning


def _cell(key: str, cell: dict[str, Any], best: bool) -> Cell:
    if not _finite(cell.get("value")):
        return Cell(
            str(cell.get("lacks") or "none"),
            "num muted",
            title=str(cell.get("why") or ""),
            data={"key": key, "run": str(cell.get("run") or "")},
        )
    text = written(cell["value"], cell.get("low"), cell.get("high"))
    name = str(cell.get("run") or "")
    seconds = [f"p of equal laws {written(cell['p'])}"] if _finite(cell.get("p")) else []
    seconds += ["not comparable"] if cell.get("apart") else []
    css = "num best" if best else "num muted" if cell.get("apart") else "num"
    title = f"{cell['value']!r}; {cell['why']}" if cell.get("apart") else repr(cell["value"])
    return Cell(text, css, title=title, data={**measured(key, cell), "run": name}, second="; ".join(seconds))


def _said(entry: dict[str, Any]) -> str:
    """What can be said; for two runs with the difference and its interval."""
    differences = entry.get("differences") or []
    if any(cell.get("apart") for cell in entry["cells"]):
        return shown_text(str(entry.get("said") or ""))
    if len(differences) == 1 and all(_finite(differences[0].get(n)) for n in ("value", "low", "high")):
        one = differences[0]
        if one.get("verdict") == "no difference":
            return "cannot be told apart"
        ends = sorted(abs(float(one[n])) for n in ("low", "high"))
        return shown_text(f"{one['verdict']} by {written(abs(one['value']), *ends)}")
    text = str(entry.get("said") or "")
    return shown_text("cannot be told apart" if text == "no difference" else text)


def _cost(entry: dict[str, Any], at: list[Slot]) -> Row:
    cells = entry["cells"]
    values = [float(c["value"]) for c in cells if _finite(c.get("value"))]
    axis = mark_axis(values, MARK_WIDTH)
    form: Form = FORMS.get(str(entry.get("unit")), "count")
    texts = [
        Cell(
            written(c["value"], form=form),
            "num",
            title=str(c.get("why") or "") if c["value"] is None else repr(c["value"]),
            data={**measured(str(entry["key"]), c), "run": str(c.get("run") or "")},
            second=f"{c['together']} runs in one pass" if c.get("together") else "",
        )
        for c in cells
    ]
    second = "one run each, no interval" + ("; log axis" if axis and axis.log else "")
    label = str(entry.get("label") or clean(str(entry["key"])))
    return Row(label[:1].upper() + label[1:], second, interval_marks(cells, [], axis, at), texts, "")


def _read(runs: list[dict[str, Any]]) -> dict[str, Contents]:
    """By name the folders that are still there and can be read."""
    found = {}
    for run in runs:
        place = Path(str(run.get("path") or ""))
        if (place / "run.json").is_file():
            with suppress(InputError):
                found[str(run["name"])] = read_run(place)
    return found


def _samples(read: dict[str, Contents]) -> list[Picture]:
    """The last sheet of samples of each run that has one, all at one factor."""
    sheets = [last_sheet(contents, name) for name, contents in read.items()]
    return [sheet for sheet in sheets if sheet is not None]


def _settings(table: dict[str, Any], names: list[str], *, only_differing: bool) -> Table | None:
    listed = [row for row in table.get("settings") or [] if row.get("differs") or not only_differing]
    if not listed:
        return None
    head = [Cell("Setting"), *(Cell(shown_name(name), "num") for name in names)]
    rows = [
        [named(row["name"], "code"), *(Cell(setting_text(v), "num", is_name=True) for v in row["values"])]
        for row in listed
    ]
    return Table("Settings that differ" if only_differing else "All settings", head, rows, "plain")


def _csv(table: dict[str, Any], names: list[str]) -> str:
    head = ["measure", "unit", "run", "value", "low", "high", "why"]
    rows = [
        [
            entry["key"],
            entry.get("unit") or "",
            name,
            *(c.get(n) if c.get(n) is not None else "" for n in ("value", "low", "high", "why")),
        ]
        for entry in [*(table.get("measures") or []), *(table.get("costs") or [])]
        for name, c in zip(names, entry["cells"], strict=True)
    ]
    return csv_uri(head, rows)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
