"""The sections of image sheets: reconstructions, samples over time, the 2-D manifold."""

from __future__ import annotations

import re
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from .colors import tokens
from .contents import Contents
from .layout import Figure, Note, Section
from .names import shown_name
from .numbers import parts, written
from .pictures import Cells, Picture, opened, placed, taken_apart
from .players import has_players
from .plots import Canvas
from .words import plural

__all__ = ["last_sheet", "manifold", "reconstruction", "samples", "sheet_figure", "sheet_picture"]

SPACE, NARROW = 680, 358
GAP = 4
LABELS = 96
"""Room for the names of the rows beside a sheet."""
ROW_GAP = 4
"""Pixels between the rows of a reconstruction sheet."""
CHOSEN = re.compile(r"originals \(([^,()]+), ([^()]+)\)")
FACTOR_SENTENCE = re.compile(r"\s*Each pixel \d+x\.?\s*$")
BY = re.compile(r"(\d) x (\d)")
SEEN, SEEN_OF_A_GAME = 3, 6
"""Sheets of samples over training; what two players make goes back and forth, so more of it is shown."""
EPOCH = re.compile(r"^epoch-(\d+)\.png$")


def _cell(contents: Contents) -> tuple[int, int]:
    """Width and height of one picture of the data."""
    shape = contents.spec.get("shape")
    whole = isinstance(shape, list) and len(shape) == 3 and all(isinstance(v, int) and v > 0 for v in shape)
    return (shape[2], shape[1]) if whole and isinstance(shape, list) else (1, 1)


def _gap(contents: Contents) -> int:
    """Photographs are kept apart, and pictures too small to have a margin of their own; others are not."""
    shape = contents.spec.get("shape")
    return 1 if (isinstance(shape, list) and shape and shape[0] == 3) or min(_cell(contents)) < 16 else 0


def _is_images(contents: Contents) -> bool:
    return contents.spec.get("kind") == "images"


# -- reconstruction ----------------------------------------------------------------------------------------------------


def reconstruction(contents: Contents) -> Section | None:
    """Originals over decoded means over their difference, with a key."""
    if not _is_images(contents):
        return None
    section = Section("reconstruction", "Reconstruction")
    sheet, reason = opened(contents.folder / "media" / "reconstructions.png")
    if sheet is None and reason.startswith("there is no") and contents.lacks("Encodes", "encode"):
        return None
    if sheet is None:
        section.sentences.append(_instead("sheet of reconstructions", reason, contents))
        return section
    cells = taken_apart(sheet, _cell(contents), between=ROW_GAP)
    rows = ["original", "decoded mean", "difference"][: len(cells)] if len(cells) in (2, 3) else []
    one, shown = placed(
        cells, space=SPACE - LABELS, narrow=NARROW, alt="originals, decoded means, differences", gap=_gap(contents)
    )
    found = CHOSEN.search(sheet.info["said"])
    chosen = f"{found.group(2).strip()} of the {found.group(1)} part" if found else ""
    caption = f"{chosen[:1].upper()}{chosen[1:]}." if chosen else "Originals over their reconstructions."
    caption += _cut_text(cells, shown)
    key = _difference_key() if len(rows) == 3 else None
    figure = Figure(caption, pictures=[one], row_labels=rows, key=key)
    section.figures.append(figure)
    if chosen:
        section.notes.append(
            Note("Chosen how.", f"{caption.split('.')[0]}, in file order, so nothing was picked by hand.")
        )
    for measure, lead in (("reconstruction_mse", "Mean squared error"), ("reconstruction_bce", "Mean cross-entropy")):
        entry = contents.metrics.get(measure, {})
        if isinstance(entry.get("value"), int | float):
            text = str(parts(entry["value"], entry.get("low"), entry.get("high")))
            count = written(entry.get("n"), form="count")
            beside = "; ".join(
                f"{r['name']} {written(r['value'])}" for r in entry.get("references") or [] if r.get("value")
            )
            said = f"{text} a pixel, over {count} {entry.get('split', '')} images{f'; {beside}' if beside else ''}."
            section.notes.append(Note(lead, said))
    return section


def _cut_text(cells: Cells, shown: tuple[int, int]) -> str:
    """What of a sheet is shown, where it is not all."""
    rows, columns = cells.shape[:2]
    if shown == (columns, rows):
        return ""
    return f" Shown: the first {plural(shown[0], 'column')} and {plural(shown[1], 'row')} of {columns} × {rows}."


def _difference_key() -> Markup:
    """The diverging map between its two ends, in the light colours that the sheet has in both themes."""
    colors = tokens()["light"]["div"]
    canvas = Canvas(9.0 * len(colors) + 2, 11)
    for i, color in enumerate(colors):
        canvas.parts.append(f'<rect x="{1 + 9 * i}" y="1" width="9" height="9" fill="{color}"/>')
    drawn = canvas.svg("from −1, through 0 in the middle, to +1", "key")
    return Markup("Difference: decoded minus original, as a share of the range, linear, −1 {} +1.").format(drawn)


# -- samples -----------------------------------------------------------------------------------------------------------


def samples(contents: Contents) -> Section | None:
    """The same draws decoded at the first, the last and some epochs between."""
    if not _is_images(contents):
        return None
    section = Section("samples", "Samples")
    sheets = _sheets(contents.folder / "media" / "samples")
    lacks = contents.lacks("Samples", "sample")
    if not sheets and lacks:
        section.sentences.append(f"There is no sheet of samples: {lacks}.")
        return section
    if not sheets:
        section.sentences.append(_instead("sheet of samples", "there is no media/samples in the run folder", contents))
        return section
    chosen = _chosen(sheets, SEEN_OF_A_GAME if has_players(contents) else SEEN)
    cell, apart = _cell(contents), 3 * GAP if _gap(contents) else GAP
    room = (SPACE - 2 * apart) // 3
    shown, cut, draws = [], "", 0
    for epoch, path in chosen:
        sheet, reason = opened(path)
        if sheet is None:
            section.sentences.append(f"The sheet of epoch {epoch} cannot be shown: {reason}.")
            continue
        cells = taken_apart(sheet, cell)
        one, size = placed(
            cells,
            space=room,
            narrow=NARROW,
            alt=f"samples at epoch {epoch}",
            label=f"epoch {epoch}",
            gap=_gap(contents),
        )
        shown.append(one)
        cut, draws = _cut_text(cells, size), size[0] * size[1]
    if not shown:
        return section
    times = plural(len(shown), "epoch")
    decoded = "" if has_players(contents) else " decoded"
    caption = f"The same {plural(draws, 'draw')} of z{decoded} at {times}, none selected.{cut}"
    section.figures.append(Figure(caption, pictures=shown, apart=bool(_gap(contents))))
    section.notes = _sample_notes(contents, len(sheets), sheet)
    return section


def _chosen(sheets: list[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """The first, the last, and others evenly between."""
    apart = max(1, min(most, len(sheets)) - 1)
    return [sheets[i] for i in sorted({(k * (len(sheets) - 1) + apart // 2) // apart for k in range(apart + 1)})]


def last_sheet(contents: Contents, label: str) -> Picture | None:
    """The newest sheet of samples at 1x or more, for pages that set runs side by side; None where there is none."""
    sheets = _sheets(contents.folder / "media" / "samples") if _is_images(contents) else []
    sheet = opened(sheets[-1][1])[0] if sheets else None
    if sheet is None:
        return None
    one, _ = placed(
        taken_apart(sheet, _cell(contents)), space=236, narrow=NARROW, alt=f"samples of {label}", gap=_gap(contents)
    )
    one.label = f"{label}, epoch {sheets[-1][0]}"
    return one


def _sheets(folder: Path) -> list[tuple[int, Path]]:
    found = [(EPOCH.match(p.name), p) for p in folder.glob("epoch-*.png")] if folder.is_dir() else []
    return sorted((int(m.group(1)), p) for m, p in found if m)


def _sample_notes(contents: Contents, kept: int, sheet: Image.Image | None) -> list[Note]:
    said = sheet.info["said"] if sheet is not None else ""
    seed = contents.part("runtime").get("seed")
    means = "decoded means" in said
    law = "its mean is shown, for noise on grey values says nothing" if means else "x is drawn from it"
    prior = shown_name(contents.detail("matching").get("law") or "N(0, I)")
    notes = [Note("Three steps.", f"z from {prior}; the decoder gives the law of every pixel; {law}.")] if said else []
    if has_players(contents):
        notes = [Note("Two steps.", "z from N(0, I); the generator makes x of it and adds no noise.")]
    if isinstance(seed, int):
        notes.append(Note("Seed", f"{seed}, not selected."))
    notes.append(Note("Kept", f"{plural(kept, 'sheet')} in media/samples."))
    return notes


# -- manifold ----------------------------------------------------------------------------------------------------------


def manifold(contents: Contents) -> Section | None:
    """Decoder means over the percentile grid of a code of two dimensions; None for other codes."""
    path = contents.folder / "media" / "manifold.png"
    if not path.exists():
        two = contents.part("settings").get("latent") == 2 and _is_images(contents)
        reason = "there is no media/manifold.png in the run folder"
        if not two or contents.state == "running":
            return None
        return Section("manifold", "Manifold", sentences=[_instead("picture of the manifold", reason, contents)])
    section = Section("manifold", "Manifold")
    sheet, reason = opened(path)
    if sheet is None:
        section.sentences.append(_instead("picture of the manifold", reason, contents))
        return section
    cells = taken_apart(sheet, _cell(contents))
    down, across = cells.shape[:2]
    every = max(1, -(-across * cells.shape[3] // SPACE))
    cells = cells[every // 2 :: every, every // 2 :: every]
    one, _ = placed(cells, space=SPACE, narrow=NARROW, alt="decoded means over the two dimensions of the code")
    said = sheet.info["said"] or f"Decoded means over the plane of the code, {across} × {down} steps"
    caption = BY.sub(r"\1 × \2", FACTOR_SENTENCE.sub("", said)).rstrip(". ") + "."
    if every > 1:
        caption += f" Every {every}{'nd' if every == 2 else 'rd' if every == 3 else 'th'} step is shown."
    section.figures.append(Figure(caption, pictures=[one]))
    text = "Left to right the first dimension grows, bottom to top the second; each step is an equal share of codes."
    section.notes.append(Note("Read it as.", text))
    return section


# -- sheets of what can be asked for -----------------------------------------------------------------------------------


def sheet_figure(contents: Contents, file: str, alt: str, default: str, names: list[str]) -> tuple[Figure | None, str]:
    """(figure, "") of one sheet of media/ with its own caption, or (None, reason); `names` of its rows or more."""
    if not _is_images(contents):
        return None, "there is no picture of these data"
    sheet, reason = opened(contents.folder / "media" / file)
    if sheet is None:
        return None, reason
    cells = taken_apart(sheet, _cell(contents))
    if cells.shape[:2] == (1, 1):
        cells = taken_apart(sheet, _cell(contents), between=ROW_GAP)
    labels = [shown_name(name) for name in names[: len(cells)]] if 1 < len(cells) <= len(names) else []
    space = SPACE - LABELS if labels else SPACE
    one, shown = placed(cells, space=space, narrow=NARROW, alt=alt, gap=_gap(contents))
    said = FACTOR_SENTENCE.sub("", sheet.info["said"]).rstrip(". ")
    caption = (f"{said}." if said else default) + _cut_text(cells, shown)
    return Figure(caption, pictures=[one], row_labels=labels if shown[1] == len(cells) else []), ""


def sheet_picture(contents: Contents, file: str, alt: str, space: int = 330) -> Picture | None:
    """One sheet of media/ alone, for pages that set runs side by side; None where it cannot be shown."""
    sheet = opened(contents.folder / "media" / file)[0] if _is_images(contents) else None
    if sheet is None:
        return None
    cells = taken_apart(sheet, _cell(contents))
    if cells.shape[:2] == (1, 1):
        cells = taken_apart(sheet, _cell(contents), between=ROW_GAP)
    return placed(cells, space=space, narrow=NARROW, alt=alt, gap=_gap(contents))[0]


def _instead(what: str, reason: str, contents: Contents) -> str:
    ends = {"running": "the run is not at its end", "stopped": "the run was stopped before its end"}
    ends["failed"] = "the run failed before its end"
    why = ends.get(contents.state, reason) if reason.startswith("there is no") else reason
    return f"There is no {what}: {why}."
