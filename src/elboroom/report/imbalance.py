"""The page of `diagnose imbalance`: what can be said, shares with intervals, a map, the middle of each group, and what
simpler recipes say.

Made of the document and plain arrays; what was not found is said where it would stand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .assembly import on_paper, on_phones, page
from .figures import bar_chart, code_map
from .galleries import LABELS, NARROW, SPACE
from .latent import MOST_POINTS, principal_axes
from .layout import Cell, Figure, Section, Table, csv_uri, measured, named
from .names import shown_name, shown_text
from .numbers import written
from .pictures import Cells, placed
from .plots import Array
from .words import plural

__all__ = ["Seen", "imbalance_html", "value_text"]

WIDE, MAP = 680.0, 560.0
MEASURES = (
    ("index", "Imbalance index", "0: all groups alike; towards 1: one has nearly all"),
    ("effective_groups", "Effective groups", "as many equal groups would be as diverse"),
    ("ratio", "Largest over smallest share", ""),
)


@dataclass(frozen=True)
class Seen:
    """What is drawn beside the numbers; rows are those of the map."""

    places: Array
    """(N, D)"""
    label: np.ndarray[Any, Any]
    """(N,) group of each row, 0 the largest; empty where nothing was found."""
    pictures: Cells | None
    """(groups, middle rows, height, width, channels), of images."""
    cells: Array | None
    """(groups, columns): the middle row of each group, of tables, in the model's scale."""
    columns: tuple[str, ...] = ()


def imbalance_html(document: dict[str, Any], seen: Seen) -> str:
    """The page as HTML."""
    sections = [s for s in (_balance(document), _map(document, seen), _middles(document, seen), _beside(document)) if s]
    for number, figure in enumerate((f for s in sections for f in s.figures), 1):
        figure.number = number
    pictures = [picture for section in sections for figure in section.figures for picture in figure.pictures]
    name = shown_name(document["data"])
    return page(
        "imbalance.html",
        on_phones(pictures) + on_paper(str(document["data"]), "imbalance"),
        name=name,
        title=f"Balance of {name}",
        lead=_lead(document),
        sections=sections,
    )


def value_text(key: str, found: dict[str, Any]) -> str:
    """A measure with its interval; each end of a ratio at its own scale, since they may lie a hundredfold apart."""
    if key != "ratio":
        return written(found["value"], found["low"], found["high"])
    value, low, high = ("endless" if found[n] is None else f"{found[n]:.3g}" for n in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _group(g: int) -> str:
    return f"group {g + 1}"


def _lead(document: dict[str, Any]) -> str:
    if not document["identifiable"]:
        return shown_text(f"No answer: {document['why']}.")
    index, groups = document["index"], document["groups"]
    sure = "balance is within its interval" if not index["low"] else "the groups are not alike"
    value = written(index["value"], index["low"], index["high"])
    return f"{plural(groups, 'group')} in {document['rows']:,} rows; imbalance index {value}: {sure}."


def _balance(document: dict[str, Any]) -> Section:
    section = Section("balance", "Balance")
    section.sentences = [
        "Labels were not looked at. Groups are what can be told apart in the codes and decoded means of a model.",
        "They need not be classes, and a group of fewer than twenty rows is not seen.",
    ]
    if not document["shares"]:
        section.sentences.append(shown_text(f"{document['why'][:1].upper()}{document['why'][1:]}."))
        return section
    if not document["identifiable"]:
        section.sentences.append(shown_text(f"Not to be relied on: {document['why']}."))
    values = np.array(document["shares"])
    ends = [[v[n] if v[n] is not None else math.nan for v in document["share_intervals"]] for n in ("low", "high")]
    lows, highs = np.array(ends[0]), np.array(ends[1])
    title = "Share of each group"
    summary = "Shares: " + "; ".join(f"{_group(g)} {written(v)}" for g, v in enumerate(values))
    rows = [[_group(g), *row] for g, row in enumerate(zip(values.tolist(), lows.tolist(), highs.tolist(), strict=True))]
    section.figures.append(
        Figure(
            "Share of each group, largest first; upright bars: 95 % over draws of rows and models of other seeds.",
            summary,
            wide=[bar_chart(values, lows, highs, 0, WIDE, summary, title)],
            narrow=[bar_chart(values, lows, highs, 0, float(NARROW), summary, title)],
            csv=csv_uri(["group", "share", "low", "high"], rows),
            csv_name="shares.csv",
        )
    )
    section.tables.append(_measures(document))
    return section


def _measures(document: dict[str, Any]) -> Table:
    rows = []
    for key, label, second in MEASURES:
        found = document[key]
        text = value_text(key, found)
        rows.append(
            [Cell(label, second=second), Cell(text, "num", title=repr(found["value"]), data=measured(key, found))]
        )
    for limit, share in document["ratio_above"].items():
        rows.append([Cell(f"Draws in which that ratio is above {limit}"), Cell(written(share, form="share"), "num")])
    rows.append([Cell("Stability (adjusted Rand index)"), Cell(written(document["stability"]), "num")])
    return Table("How unequal the groups are", [Cell("Measure"), Cell("Value and 95 % interval", "num")], rows, "plain")


def _map(document: dict[str, Any], seen: Seen) -> Section | None:
    if seen.places.ndim != 2 or seen.places.shape[1] < 2:
        return None
    n = len(seen.places)
    chosen = np.sort(np.random.default_rng(0).permutation(n)[:MOST_POINTS])
    points, shares = principal_axes(seen.places[chosen])
    label = seen.label[chosen] if len(seen.label) else np.zeros(len(chosen), np.int64)
    groups = [(str(g + 1) if len(seen.label) else "", label == g) for g in range(int(label.max()) + 1)]
    groups = [(name, mask) for name, mask in groups if mask.any()]
    axes = [f"principal axis {i + 1} ({written(float(s), form='share', decimals=0)})" for i, s in enumerate(shares)]
    names = (axes[0], axes[1])
    shown = f"all {n:,}" if len(chosen) == n else f"{len(chosen):,} of {n:,}, random"
    summary = f"{len(chosen):,} rows in {plural(len(groups), 'group')} on two axes"
    figure = Figure(
        f"One point a row, {shown}: codes and decoded means on their two widest axes; numbers stand in the middle "
        "of each group. Groups that lie over each other here may be apart along the other axes.",
        summary,
        wide=[code_map(points, groups, names, MAP, summary, 0.0)],
        narrow=[code_map(points, groups, names, float(NARROW), summary, 0.0)],
    )
    return Section("map", "Map", [figure])


def _middles(document: dict[str, Any], seen: Seen) -> Section | None:
    """The rows in the middle of each group: a reader names the groups by them."""
    section = Section("middles", "The middle of each group")
    if seen.pictures is not None and len(seen.pictures):
        cells = seen.pictures
        gap = 1 if cells.shape[4] == 3 or min(cells.shape[2:4]) < 16 else 0
        one, shown = placed(cells, space=SPACE - LABELS, narrow=NARROW, alt="the middle rows of each group", gap=gap)
        labels = [f"{g + 1}: {written(s, form='share', decimals=1)}" for g, s in enumerate(document["shares"])]
        caption = "The rows nearest to the middle of each group, nearest first, with the group's share."
        section.figures.append(Figure(caption, pictures=[one], row_labels=labels if shown[1] == len(cells) else []))
        return section
    if seen.cells is None or not len(seen.cells):
        return None
    few = seen.columns[:8]
    head = [Cell("Group"), Cell("Share", "num"), *(named(name, "num") for name in few)]
    rows = [
        [
            Cell(str(g + 1)),
            Cell(written(share, form="share"), "num"),
            *(Cell(written(float(v)), "num") for v in row[: len(few)]),
        ]
        for g, (share, row) in enumerate(zip(document["shares"], seen.cells, strict=True))
    ]
    note = f"The first {len(few)} of {len(seen.columns)} columns." if len(few) < len(seen.columns) else ""
    section.tables.append(
        Table("The row nearest to the middle of each group, in the model's scale", head, rows, "plain", note)
    )
    return section


def _beside(document: dict[str, Any]) -> Section:
    """What simpler recipes say of the same index."""
    head = [Cell("Recipe"), Cell("Index", "num"), Cell("Groups", "num"), Cell("What it is")]
    ours = document["index"]
    said = written(ours["value"], ours["low"], ours["high"]) if document["identifiable"] else "no answer"
    rows = [[Cell("this page"), Cell(said, "num"), Cell(str(document["groups"]), "num"), Cell("masses of groups")]]
    for entry in document["baselines"]:
        index = "none" if entry["index"] is None else written(entry["index"])
        groups = "" if entry["groups"] is None else str(entry["groups"])
        rows.append([Cell(entry["name"]), Cell(index, "num"), Cell(groups, "num"), Cell(entry["how"])])
    return Section(
        "beside", "Simpler recipes", tables=[Table("The same index by simpler recipes", head, rows, "plain")]
    )
