"""The section on what samples cover: the modes of a known mixture, or the classes that the data have.

Made from what details.json holds under "quality", and from media/points.npz for data of two columns.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from typing import Any

import numpy as np

from elboroom.metrics.coverage import REGISTERED
from elboroom.metrics.interval import share_interval

from .contents import Contents, entries
from .figures import Dot
from .layout import Figure, Note, Section, csv_uri, data_table
from .mode_charts import count_bars, count_histogram, mode_map, share_bars
from .names import shown_name
from .numbers import number, written
from .plots import Array
from .quality import dot
from .words import plural

__all__ = ["modes"]

WIDE, NARROW, MAP = 680.0, 358.0, 520.0
REAL_POINTS, MADE_POINTS = 1000, 1500
MOST_CLASSES, MOST_MODES = 40, 60
NAMED = 12
"""Absent classes that a sentence names."""


def modes(contents: Contents) -> Section | None:
    """None where neither modes nor classes were counted and the data have more than two columns."""
    section = Section("modes", "Modes")
    quality = contents.detail("quality")
    table = quality.get("modes")
    found: dict[str, Any] = table if isinstance(table, dict) else {}
    counts = _counts(found)
    points = _points(contents)
    if points is not None:
        section.figures.append(_map_figure(points, _centres(found, points), counts))
    if counts is not None:
        section.figures.append(_counts_figure(counts, found))
        section.notes += [
            Note("A mode is found", "where a sample lies within three standard deviations of its centre."),
            Note("Near a mode.", "The share of samples within three standard deviations of the nearest centre."),
        ]
    figure = _classes_figure(contents, quality.get("classes"))
    if figure is not None:
        section.figures.append(figure)
        section.notes.append(
            Note("Named by whom.", "A network trained on the labels of the real data names each sample.")
        )
    if points is None and counts is None:
        section.heading = "Classes made"
    return section if section.figures else None


# -- known modes -------------------------------------------------------------------------------------------------------


def _whole(values: Any) -> Array | None:
    """Counts as floats (k,); None for anything else."""
    try:
        out = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    good = out.ndim == 1 and len(out) > 0 and bool(np.isfinite(out).all()) and bool((out >= 0).all())
    return out if good else None


def _counts(found: dict[str, Any]) -> Array | None:
    """(k,) samples near each mode."""
    return _whole(found.get("counts"))


def _covered(found: dict[str, Any], counts: Array) -> str:
    """ "It finds 7 of 8 modes; 94 % of its samples lie near one; divergence from equal shares 0.02 nats"."""
    reached, known = number(found.get("found")), number(found.get("known"))
    if not math.isfinite(reached) or not math.isfinite(known):
        reached, known = float((counts > 0).sum()), float(len(counts))
    said = [f"{int(reached):,} of {plural(int(known), 'mode')} found"]
    held = number(found.get("held"))
    if math.isfinite(held) and held != reached:
        said[0] += f", {int(held):,} of them with {REGISTERED} samples or more"
    near, apart = dot(found.get("high_quality_share")), dot(found.get("kl"))
    if near is not None:
        said.append(f"{written(near.value, near.low, near.high, form='share', decimals=1)} of the samples near a mode")
    if apart is not None:
        said.append(f"divergence from equal shares {written(apart.value, apart.low, apart.high)} nats")
    return "; ".join(said) + "."


def _counts_figure(counts: Array, found: dict[str, Any]) -> Figure:
    said = _covered(found, counts)
    expected = float(counts.sum()) / len(counts)
    wide, narrow = (
        count_bars(counts, width, "Samples near each mode", said, expected)
        if len(counts) <= MOST_MODES
        else count_histogram(counts, "modes", expected, width, said)
        for width in (WIDE, NARROW)
    )
    rows = [[float(i + 1), float(count)] for i, count in enumerate(counts.tolist())]
    texts = [[written(v, form="count") for v in row] for row in rows]
    return Figure(
        f"Samples by mode: {said} A mode without a sample is an outline.",
        summary=said,
        wide=[wide],
        narrow=[narrow],
        table=data_table("Samples near each mode", ["mode", "samples"], rows, texts),
        csv=csv_uri(["mode", "samples"], rows),
        csv_name="modes.csv",
    )


def _points(contents: Contents) -> dict[str, Array] | None:
    """Real (m, 2), made (n, 2) and, where kept, centres (k, 2) of media/points.npz, in raw units."""
    path = contents.folder / "media" / "points.npz"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            found = {name: np.asarray(file[name], np.float64) for name in file.files if name in KEPT}
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error):
        return None
    kept = {name: x[np.isfinite(x).all(1)] for name, x in found.items() if x.ndim == 2 and x.shape[1] == 2}
    return kept if len(kept.get("real", ())) > 1 and "made" in kept else None


KEPT = ("real", "made", "centres")


def _centres(found: dict[str, Any], points: dict[str, Array]) -> Array:
    """(k, 2) centres of the mixture, from either file; (0, 2) where none are known."""
    try:
        held = np.array(found.get("centres"), dtype=np.float64)
    except (TypeError, ValueError):
        held = np.zeros(0)
    good = held.ndim == 2 and held.shape[1] == 2 and bool(np.isfinite(held).all())
    return held if good else points.get("centres", np.zeros((0, 2)))


def _map_figure(points: dict[str, Array], centres: Array, counts: Array | None) -> Figure:
    chance = np.random.default_rng(0)
    real, made = (
        points[name][np.sort(chance.permutation(len(points[name]))[:most])]
        for name, most in (("real", REAL_POINTS), ("made", MADE_POINTS))
    )
    fits = counts is not None and len(counts) == len(centres)
    empty = [bool(fits and counts is not None and counts[i] == 0) for i in range(len(centres))]
    said = f"{_of(len(made), len(points['made']))} made points over {_of(len(real), len(points['real']))} real ones"
    (wide, outside), (narrow, _) = (mode_map(real, made, centres, empty, width, f"{said}.") for width in (MAP, NARROW))
    caption = f"{said[:1].upper()}{said[1:]}, grey: real, in the data's own units."
    if len(centres):
        caption += " Crosses: centres of the mixture"
        caption += f"; ringed: {plural(sum(empty), 'mode')} without a sample." if any(empty) else "."
    if outside:
        caption += f" {plural(outside, 'made point')} outside the frame."
    names = [name for name, x in (("real", real), ("made", made)) for _ in range(len(x))]
    rows = [[name, *map(float, at)] for name, at in zip(names, np.concatenate([real, made]), strict=True)]
    return Figure(
        caption,
        summary=f"{said}.",
        wide=[wide],
        narrow=[narrow],
        csv=csv_uri(["part", "x1", "x2"], rows),
        csv_name="points.csv",
    )


def _of(shown: int, whole: int) -> str:
    return f"{shown:,} of {whole:,}" if shown < whole else f"{whole:,}"


# -- classes -----------------------------------------------------------------------------------------------------------


def _classes_figure(contents: Contents, found: Any) -> Figure | None:
    if not isinstance(found, dict):
        return None
    names = [str(name) for name in entries(found.get("names"))]
    real, made = _whole(found.get("real")), _whole(found.get("made"))
    if real is None or made is None or not len(names) == len(real) == len(made) or not (real > 0).any():
        return None
    total = contents.detail("quality").get("n_made")
    n = total if isinstance(total, int) and not isinstance(total, bool) and total > 0 else 0
    absent = [shown_name(name) for name in entries(found.get("absent"))]
    said = _shares_said(names, real, made, absent, dot(found.get("kl")))
    figure = Figure(f"Classes of samples. {said}", summary=said)
    dots = [_share_dot(float(share), n) for share in made.tolist()]
    if len(names) <= MOST_CLASSES:
        figure.wide, figure.narrow = ([share_bars(names, real, dots, width, said)] for width in (WIDE, NARROW))
    elif n:
        counts, expected = np.rint(made * n), n / int((real > 0).sum())
        figure.wide, figure.narrow = (
            [count_histogram(counts[real > 0], "classes", expected, width, said)] for width in (WIDE, NARROW)
        )
    head = ["class", "share of data", "share of samples", "low", "high"]
    rows: list[list[Any]] = [
        [name, float(share), one.value, *(math.nan if v is None else v for v in (one.low, one.high))]
        for name, share, one in zip(names, real.tolist(), dots, strict=True)
    ]
    texts = [
        [shown_name(name), *(written(v, form="share", decimals=2) if math.isfinite(v) else "" for v in shares)]
        for name, *shares in rows
    ]
    figure.table = data_table("Shares of the classes", head, rows, texts)
    figure.csv, figure.csv_name = csv_uri(head, rows), "class-shares.csv"
    return figure


def _share_dot(share: float, n: int) -> Dot:
    """A share of n samples with its interval; without n only the value."""
    if not n or share > 1:
        return Dot(share)
    hits = np.zeros(n)
    hits[: round(share * n)] = 1
    interval = share_interval(hits)
    return Dot(share, min(interval.low, share), max(interval.high, share))


def _shares_said(names: list[str], real: Array, made: Array, absent: list[str], apart: Dot | None) -> str:
    known = int((real > 0).sum())
    said = []
    if absent:
        listed = ", ".join(absent[:NAMED]) + (f" and {len(absent) - NAMED:,} more" if len(absent) > NAMED else "")
        said.append(f"{len(absent):,} of {known:,} classes absent: {listed}.")
    else:
        said.append(f"All {known:,} classes of the data are made.")
    there = np.flatnonzero(real > 0)
    off = there[np.argmax(np.abs(made[there] - real[there]))]
    shares = [written(float(v), form="share", decimals=1) for v in (made[off], real[off])]
    said.append(f"Furthest from the data: class {shown_name(names[off])}, {shares[0]} of samples against {shares[1]}.")
    if apart is not None:
        said.append(f"Divergence from the data's shares: {written(apart.value, apart.low, apart.high)} nats.")
    return " ".join(said)
