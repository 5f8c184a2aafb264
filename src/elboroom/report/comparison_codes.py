"""The code spaces of compared runs on their page: maps, what N(0, I) decodes to, walks, what was minimised.

Pictures come from the run folders and show each run's own held-out part; the numbers beside them are of the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .contents import Contents
from .figures import code_map
from .galleries import sheet_picture
from .latent import PRIOR_RADIUS, class_groups, principal_axes
from .layout import Cell, Figure, Table
from .names import shown_name, shown_text
from .numbers import written
from .pictures import Picture

__all__ = ["Sheets", "code_maps", "code_sheets", "objectives"]

MOST_MAPS, MOST_POINTS = 6, 3000
WIDE, NARROW = 330.0, 358.0
SHEETS = (
    ("reconstructions.png", "Reconstructions", "Originals over decoded means over their difference."),
    ("normal.png", "Draws of N(0, I), decoded", "The same draws for codes of one width, none selected."),
    ("walks.png", "Between two examples", "Each row: decoded means on the straight line between the codes of two."),
)


@dataclass
class Sheets:
    """One kind of sheet of all runs that have it."""

    heading: str
    caption: str
    pictures: list[Picture] = field(default_factory=list)


def code_maps(read: dict[str, Contents]) -> list[Figure]:
    """One map a run, classes in the same colours; the dashed circle holds 95 % of N(0, I) in the plane."""
    found = [(name, contents) for name, contents in read.items() if contents.codes]
    return [_map(name, contents) for name, contents in found[:MOST_MAPS]]


def code_sheets(read: dict[str, Contents]) -> list[Sheets]:
    """Kinds of sheets that two runs or more have; each picture is labelled with its run."""
    out = []
    for file, heading, caption in SHEETS:
        sheets = Sheets(heading, caption)
        for name, contents in read.items():
            one = sheet_picture(contents, file, f"{heading}, {name}")
            if one is not None:
                one.label = name
                sheets.pictures.append(one)
        if len(sheets.pictures) > 1:
            out.append(sheets)
    return out


def objectives(table: dict[str, Any]) -> Table | None:
    """What each run minimises, in the model's words, and its terms as last measured; None where nothing is said."""
    listed = [row for row in table.get("objectives") or [] if row.get("terms")]
    if not listed:
        return None
    rows = []
    for row in listed:
        name = Cell(shown_name(row["run"]), is_name=True, second=f"phase {shown_name(row['phase'])}")
        terms = "; ".join(f"{_spoken(t['name'])} {written(t['value'])}" for t in row["terms"])
        parts = sorted({str(t["part"]) for t in row["terms"]})
        rows.append([name, Cell(shown_text(row["says"])), Cell(terms, second=" and ".join(parts))])
    head = [Cell("Run"), Cell("Minimises"), Cell("Terms, last measured")]
    return Table("Objectives and their measured terms", head, rows, "plain")


def _spoken(name: str) -> str:
    """A weighted sum need not be in nats, whatever its terms are."""
    return "loss" if name == "loss_nats" else shown_name(name.replace("_", " "))


def _map(name: str, contents: Contents) -> Figure:
    z = contents.codes["z"]
    chosen = np.sort(np.random.default_rng(0).permutation(len(z))[:MOST_POINTS])
    labels = contents.codes["label"][chosen] if "label" in contents.codes else None
    whole, z = len(z), z[chosen]
    plane, shares = (z, None) if z.shape[1] == 2 else principal_axes(z) if z.shape[1] > 2 else (_upright(z), None)
    names = ("z1", "z2") if shares is None else ("principal axis 1", "principal axis 2")
    groups, _ = class_groups(contents, labels, len(z))
    summary = f"{len(z):,} of {whole:,} mean codes of {shown_name(name)}."
    circle = PRIOR_RADIUS if z.shape[1] == 2 else 0.0
    wide, narrow = (code_map(plane, groups, names, width, summary, circle) for width in (WIDE, NARROW))
    how = "as they are; dashed: 95 % of N(0, I)" if circle else "on their first two principal axes"
    if shares is not None:
        how += f", which hold {written(float(shares.sum()), form='share', decimals=0)} of the variance"
    return Figure(f"{shown_name(name)}: {len(z):,} mean codes {how}.", summary, wide=[wide], narrow=[narrow])


def _upright(z: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One number across, its rank upwards."""
    rank = np.argsort(np.argsort(z[:, 0], kind="stable"), kind="stable") / max(1, len(z) - 1)
    return np.stack([z[:, 0], rank * (float(np.ptp(z[:, 0])) or 1.0)], 1)
