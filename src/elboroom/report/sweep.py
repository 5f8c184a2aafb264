"""The page of a sweep: distortion over rate, each measure over each setting, settings and members as tables.

Made of sweep.json alone. Means over seeds carry Student's 95 % interval; one seed has none and is drawn hollow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup, escape

from elboroom.artifacts.files import read_json
from elboroom.sweeping_table import settings_table

from .assembly import on_paper, page
from .figures import Dot
from .layout import Cell, Figure, Section, Table, csv_uri, measured
from .names import shown_name, shown_text
from .numbers import written
from .record import value_text
from .sweep_charts import COLORS, Line, Place, over_setting, rate_distortion
from .words import MEASURES, measure, plural

__all__ = ["sweep_html"]

WIDE, NARROW = 330.0, 320.0
IN_MEMBERS = 6
"""Measures shown beside each member; the csv has all."""


def sweep_html(folder: Path) -> str:
    """The page of the sweep in a folder."""
    meta = read_json(folder / "sweep.json")
    members: list[dict[str, Any]] = meta["members"]
    rows = [row for row in settings_table(members) if row["measures"]]
    keys = _keys(rows)
    sections = [s for s in (_bound(rows, meta), *_charts(rows, keys, meta), _settings(rows, keys)) if s is not None]
    number = 0
    for section in sections:
        for figure in section.figures:
            number += 1
            figure.number = number
    done = sum(member["state"] == "done" for member in members)
    title = f"Sweep of {shown_name(meta['model'])} on {shown_name(Path(str(meta['data'])).name)}"
    return page(
        "sweep.html",
        on_paper(str(meta["name"]), "sweep"),
        name=shown_name(meta["name"]),
        title=title,
        lead=_lead(meta, done),
        sections=sections,
        members=_members(members, keys),
        csv=_csv(members),
        command=shown_text(meta.get("command") or ""),
    )


def _keys(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Measures that some setting has, in the order of the tables."""
    found = dict.fromkeys(k for row in rows for k, m in row["measures"].items() if m["value"] is not None)
    known = [key for key in MEASURES if key in found]
    return known + [key for key in found if key not in MEASURES]


def _lead(meta: dict[str, Any], done: int) -> str:
    fields = [f"{name} {', '.join(value_text(v) for v in values)}" for name, values in meta["over"].items()]
    seeds = plural(len(meta["seeds"]), "seed")
    parts = [*fields, seeds, f"{done} of {plural(len(meta['members']), 'member')} done"]
    stacked = sum(len(names) for names in meta.get("stacks") or [])
    if stacked:
        parts.append(f"{stacked} trained together in {plural(len(meta['stacks']), 'pass', 'passes')}")
    why = f" {shown_text(meta['why'])}" if meta.get("why") else ""
    return "; ".join(parts) + "." + why


def _said(over: dict[str, Any]) -> str:
    """A setting in short: "beta 4, latent 8"."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in over.items()) or "all settings"


def _dot(found: dict[str, Any]) -> Dot:
    return Dot(float(found["value"]), found["low"], found["high"])


def _bound(rows: Sequence[dict[str, Any]], meta: dict[str, Any]) -> Section | None:
    """Rate against distortion, where the runs have both."""
    points, table = [], []
    for row in rows:
        rate, distortion = (row["measures"].get(k) for k in ("rate_nats", "distortion_nats"))
        if rate and distortion and rate["n"] and rate["n"] == distortion["n"]:
            points.append((_said(row["over"]), np.array([rate["values"], distortion["values"]]).T))
            for seed, x, y in zip(row["seeds"], rate["values"], distortion["values"], strict=False):
                table.append([_said(row["over"]), seed, x, y])
    if len(points) < 2:
        return None
    summary = "; ".join(
        f"{n}: rate {written(xy[:, 0].mean())}, distortion {written(xy[:, 1].mean())}" for n, xy in points
    )
    caption = (
        "What the code carries (rate) against what it leaves open (distortion), on held-out data. The bound is the "
        "same along each grey line and better towards the lower left."
    )
    joined = len(meta["over"]) == 1
    figure = Figure(
        caption,
        summary,
        wide=[rate_distortion(points, 2 * WIDE, summary, joined=joined)],
        narrow=[rate_distortion(points, NARROW, summary, joined=joined)],
        csv=csv_uri(["setting", "seed", "rate_nats", "distortion_nats"], table),
        csv_name="rate-distortion.csv",
    )
    return Section("rate-distortion", "Rate and distortion", [figure])


def _charts(rows: Sequence[dict[str, Any]], keys: Sequence[str], meta: dict[str, Any]) -> list[Section]:
    """A section a swept setting: every measure over it."""
    sections = []
    for name, values in meta["over"].items():
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        names = [] if numeric else [value_text(v) for v in values]
        wide: list[Markup] = []
        narrow: list[Markup] = []
        table: list[list[Any]] = []
        left_out = False
        for key in keys:
            lines = _lines(rows, key, name, values, numeric)
            left_out = left_out or len(lines) > COLORS
            lines = lines[:COLORS]
            if not any(len(line.places) > 1 for line in lines):
                continue
            word = measure(key)
            better = f" ({word.better} is better)" if word.better else ""
            summary = f"{word.label} over {name}: " + "; ".join(
                f"{line.name} {', '.join(written(p.dot.value) for p in line.places)}" for line in lines
            )
            for width, drawn in ((WIDE, wide), (NARROW, narrow)):
                drawn.append(over_setting(lines, width, word.label + better, name, names, summary))
            table += [
                [key, line.name, value_text(values[int(p.at)]) if names else p.at, p.dot.value, p.dot.low, p.dot.high]
                for line in lines
                for p in line.places
            ]
        if wide:
            more = f" The first {COLORS} of the other settings are drawn." if left_out else ""
            caption = f"Every measure over {name}: means over seeds with 95 % intervals, thin dots the runs.{more}"
            head = ["measure", "other settings", name, "value", "low", "high"]
            figure = Figure(caption, wide=wide, narrow=narrow, csv=csv_uri(head, table), csv_name=f"over-{name}.csv")
            sections.append(Section(f"over-{quote(name)}", f"Over {name}", [figure]))
    return sections


def _lines(rows: Sequence[dict[str, Any]], key: str, name: str, values: list[Any], numeric: bool) -> list[Line]:
    """One line for each combination of the other settings."""
    lines: dict[str, Line] = {}
    for row in rows:
        found = row["measures"].get(key)
        if not found or found["value"] is None or not math.isfinite(found["value"]):
            continue
        others = {k: v for k, v in row["over"].items() if k != name}
        line = lines.setdefault(json.dumps(others, sort_keys=True), Line(_said(others) if others else "", []))
        at = float(row["over"][name]) if numeric else float(values.index(row["over"][name]))
        line.places.append(Place(at, _dot(found), found["values"]))
    for line in lines.values():
        line.places.sort(key=lambda place: place.at)
    return list(lines.values())


def _settings(rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> Section | None:
    """The means of all measures: one row a measure, one column a setting."""
    if not rows or not keys:
        return None
    head = [Cell("Measure"), *(Cell(_said(row["over"]), "num", is_name=True) for row in rows)]
    body = []
    for key in keys:
        word = measure(key)
        cells = [Cell(word.label, second=f"{word.better} is better" if word.better else word.meaning)]
        for row in rows:
            found = row["measures"].get(key)
            if not found or found["value"] is None:
                cells.append(Cell("none", "num muted"))
                continue
            text = written(found["value"], found["low"], found["high"])
            cells.append(Cell(text, "num", repr(found["value"]), data=measured(key, found)))
        body.append(cells)
    counts = sorted({len(row["seeds"]) for row in rows})
    over = " or ".join(map(str, counts)) + (" seeds" if counts != [1] else " seed; one seed has no interval")
    table = Table(f"Means over {over}", head, body, "plain")
    return Section("settings", "Settings side by side", tables=[table])


def _members(members: Sequence[dict[str, Any]], keys: Sequence[str]) -> Table:
    """One row a member, its name a link to its own report."""
    shown = list(keys[:IN_MEMBERS])
    head = [Cell("Member"), Cell("State"), *(Cell(measure(key).label, "num") for key in shown)]
    rows = []
    for member in members:
        name, state = str(member["name"]), str(member["state"])
        link = Markup('<a href="{}/report.html">{}</a>').format(quote(name), shown_name(name))
        first = Cell(shown_name(name), markup=link if state == "done" else escape(shown_name(name)))
        cells = [first, Cell(state, second=shown_text(member.get("why") or ""))]
        for key in shown:
            found = member["metrics"].get(key)
            if not found or not isinstance(found["value"], int | float):
                cells.append(Cell("none", "num muted"))
            else:
                text = written(found["value"], found["low"], found["high"])
                cells.append(Cell(text, "num", repr(found["value"]), data=measured(key, found)))
        rows.append(cells)
    return Table("Members of the sweep", head, rows, "plain")


def _csv(members: Sequence[dict[str, Any]]) -> str:
    rows = [
        [m["name"], json.dumps(m["over"]), m["seed"], m["state"], key, *(found[n] for n in ("value", "low", "high"))]
        for m in members
        for key, found in (m["metrics"] or {"": {"value": "", "low": "", "high": ""}}).items()
    ]
    return csv_uri(["member", "over", "seed", "state", "measure", "value", "low", "high"], rows)
