"""The section on the law of the codes: all codes together beside the prior, as numbers and, in the plane, as points."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from typing import Any

import numpy as np

from .contents import Contents, entries
from .figures import Dot, code_map
from .galleries import sheet_figure
from .layout import Cell, Figure, Note, Section, Table, csv_uri, measured
from .names import shown_name
from .numbers import number, written
from .plots import Array
from .quality import dot
from .words import plural

__all__ = ["code_law"]

WIDE, NARROW = 560.0, 358.0
SHEETS = (
    ("normal.png", "decoded means of draws of N(0, I)", "What draws of N(0, I) decode to."),
    ("walks.png", "walks between the codes of two examples", "From the code of one example to that of another."),
)


def code_law(contents: Contents) -> Section | None:
    """None where codes were not compared with a law and there are no pictures of the code space."""
    section = Section("code-law", "Codes and their law")
    found = contents.detail("matching")
    if dot(found.get("mmd")) is not None:
        section.tables.append(_table(contents, found))
        section.notes = _notes(found)
        figure = _points(contents, shown_name(found.get("law")))
        section.figures += [] if figure is None else [figure]
    samples = not contents.lacks("Samples", "sample")
    for file, alt, default in SHEETS:
        if samples and file == "normal.png":  # its samples are shown already
            continue
        sheet, reason = sheet_figure(contents, file, alt, default, [])
        if sheet is not None:
            section.figures.append(sheet)
        elif not reason.startswith("there is no"):
            section.sentences.append(f"A sheet cannot be shown: {reason}.")
    return section if section.tables or section.figures or section.sentences else None


def _table(contents: Contents, found: dict[str, Any]) -> Table:
    law, axes = shown_name(found.get("law")), entries(found.get("axes"))
    rows = [_row("mmd", "MMD²", "about 0 where the laws are equal", dot(found.get("mmd")), found.get("mmd"))]
    gap = found.get("ks")
    if isinstance(gap, dict):
        where = f"axis {gap['axis'] + 1} of {len(axes)}, the worst" if isinstance(gap.get("axis"), int) else ""
        rows.append(_row("ks", "Largest gap on an axis", where, dot(gap), gap))
    rows.append(_row("auc", "Told apart (AUC)", "by a fitted rule: 0.5 cannot, 1 always can", dot(found.get("auc"))))
    noise = contents.detail("matching").get("noise")
    if isinstance(noise, dict):
        share = dot(noise.get("share"))
        rows.append(_row("noise", "Noise in the code", "share of Var z that x does not decide", share))
    off = [j for j, axis in enumerate(axes) if isinstance(axis, dict) and number(axis.get("p")) < 0.05]
    told = f"{len(off)} of {plural(len(axes), 'axis', 'axes')} differ at the 5 % level, all axes counted."
    head = [Cell(f"Draws of q(z) beside {law}"), Cell("value", "num"), Cell("p of equal laws", "num")]
    n = number(found.get("n"))
    count = f"{int(n):,} draws of each. " if math.isfinite(n) else ""
    return Table("Codes beside the law", head, rows, "plain", f"{count}{told} ±: 95 % interval.")


def _row(key: str, label: str, second: str, value: Dot | None, entry: Any = None) -> list[Cell]:
    p = number(entry.get("p")) if isinstance(entry, dict) else math.nan
    if value is None:
        return [Cell(label, second=second), Cell("none", "num muted"), Cell("")]
    values = {"value": value.value, "low": value.low, "high": value.high}
    text = written(value.value, value.low, value.high, form="share") if key == "noise" else written(*values.values())
    shown = Cell(text, "num", title=repr(value.value), data=measured(f"matching/{key}", values))
    return [Cell(label, second=second), shown, Cell(written(p) if math.isfinite(p) else "", "num")]


def _notes(found: dict[str, Any]) -> list[Note]:
    notes = [] if found.get("asked") else [Note("Not asked for.", "This model assumes no law of its codes; N(0, I) "
        "stands here to show what drawing from it would do.")]  # fmt: skip
    notes.append(Note("Read it as.", "A p value near 0 says that the laws differ, however little; MMD² and the "
        "AUC say how much. No axis alone shows how axes depend on each other."))  # fmt: skip
    return notes


def _points(contents: Contents, law: str) -> Figure | None:
    """Codes of two numbers over as many draws of the law; None for other codes and damaged files."""
    drawn, prior = (_arrays(contents).get(name) for name in ("drawn", "prior"))
    if drawn is None or prior is None:
        return None
    groups: list[tuple[str, Array]] = [("", np.ones(len(drawn), dtype=bool))]
    summary = f"{len(drawn):,} draws of q(z) over {len(prior):,} draws of {law}."
    maps = [code_map(drawn, groups, ("z1", "z2"), width, summary, 0.0, under=prior) for width in (WIDE, NARROW)]
    head = ["law", "z1", "z2"]
    rows = [[name, float(x), float(y)] for name, z in (("q(z)", drawn), (law, prior)) for x, y in z.tolist()]
    return Figure(
        f"Coloured: one draw of q(z given x) for each of {len(drawn):,} held-out examples. Grey: as many of {law}.",
        summary=summary,
        wide=maps[:1],
        narrow=maps[1:],
        csv=csv_uri(head, rows),
        csv_name="code-law.csv",
    )


def _arrays(contents: Contents) -> dict[str, Array]:
    try:
        with np.load(io.BytesIO((contents.folder / "media/matching.npz").read_bytes()), allow_pickle=False) as file:
            found = {name: file[name].astype(np.float64) for name in ("drawn", "prior") if name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return {}
    return {k: v for k, v in found.items() if v.ndim == 2 and v.shape[1] == 2 and len(v) and np.isfinite(v).all()}
