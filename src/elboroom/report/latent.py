"""The section on the code: where the information sits, how tight the bound is, and what the codes look like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .contents import Contents, entries
from .figures import bar_chart, bound_chart, code_map
from .layout import Figure, Note, Section, csv_uri, data_table
from .names import shown_name
from .numbers import written
from .plots import Array
from .words import plural

__all__ = ["PRIOR_RADIUS", "class_groups", "latent_code", "principal_axes"]

UNUSED_NATS = 0.01
MOST_POINTS = 10_000
COLOURED = 9
PRIOR_RADIUS = math.sqrt(-2 * math.log(0.05))
"""The circle that holds 95 % of N(0, I) in two dimensions."""
NARROW = 358.0


def latent_code(contents: Contents) -> Section | None:
    """Rates, bound, code map; None where the model has no code at all."""
    rates, bound = _rates(contents), _bound(contents)
    if rates is None and bound is None and not contents.codes:
        return _nothing(contents)
    section = Section("code", "Latent code")
    if rates is not None or bound is not None:
        section.figures.append(_information(contents, rates, bound))
        section.notes += _information_notes(contents, rates, bound)
    if contents.codes:
        figure, notes = _map(contents)
        section.figures.append(figure)
        section.notes += notes
    else:
        section.sentences.append(f"There is no code map: {contents.missing.get('codes', 'codes were not kept')}.")
    return section


def _nothing(contents: Contents) -> Section | None:
    """A sentence where a code was to be expected."""
    if contents.lacks("Encodes", "encode") or not isinstance(contents.part("settings").get("latent"), int):
        return None
    reason = contents.missing.get("codes", "")
    return Section("code", "Latent code", sentences=[f"There is no picture of the code: {reason}."])


def _triple(entry: Any) -> tuple[float, float, float] | None:
    """(value, low, high) of a number or of {"value", "low", "high"}."""
    if isinstance(entry, dict):
        found = [entry.get(n) for n in ("value", "low", "high")]
    else:
        found = [entry, None, None]
    numbers = [float(v) if isinstance(v, int | float) else math.nan for v in found]
    return (numbers[0], numbers[1], numbers[2]) if math.isfinite(numbers[0]) else None


def _rates(contents: Contents) -> Array | None:
    """(dimension, 3): value, low, high in nats, in the order of the dimensions."""
    listed = entries(contents.details.get("rate_by_dimension"))
    if not listed:
        return None
    triples = [_triple(entry) for entry in listed]
    return np.array([t or (0.0, math.nan, math.nan) for t in triples])


def _bound(contents: Contents) -> list[dict[str, Any]] | None:
    listed = entries(contents.details.get("bound_by_samples"))
    good = [e for e in listed if isinstance(e, dict) and _triple(e) is not None and isinstance(e.get("k"), int | float)]
    return sorted(good, key=lambda e: float(e["k"])) if len(good) >= 2 else None


def _information(contents: Contents, rates: Array | None, bound: list[dict[str, Any]] | None) -> Figure:
    wide, narrow, captions, summaries = [], [], [], []
    head, rows, texts = ["chart", "x", "value", "low", "high"], [], []
    if rates is not None:
        order = np.argsort(-rates[:, 0], kind="stable")
        ordered = rates[order]
        unused = int(np.sum(rates[:, 0] < UNUSED_NATS))
        total = written(float(rates[:, 0].sum()))
        title = "Rate of each latent dimension, nats"
        summary = (
            f"{len(rates) - unused} of {plural(len(rates), 'dimension')} carry information, {total} nats together."
        )
        width = 332.0 if bound is not None else 680.0
        columns = (ordered[:, 0], ordered[:, 1], ordered[:, 2])
        wide.append(bar_chart(*columns, unused, width, summary, title))
        narrow.append(bar_chart(*columns, unused, NARROW, summary, title))
        captions.append("where the information sits, most to least")
        summaries.append(summary)
        for dimension, (value, low, high) in zip(order.tolist(), ordered.tolist(), strict=True):
            rows.append(["rate", f"dimension {dimension + 1}", value, low, high])
            texts.append(["rate, nats", f"dimension {dimension + 1}", *_written(value, low, high)])
    if bound is not None:
        k = np.array([float(e["k"]) for e in bound])
        triples = np.array([_triple(e) for e in bound])
        summary = (
            f"The bound rises from {written(triples[0, 0])} at K = {written(k[0], form='count')} "
            f"to {written(triples[-1, 0])} at K = {written(k[-1], form='count')}."
        )
        title = "Log-likelihood bound, nats per example"
        lines = (triples[:, 0], triples[:, 1], triples[:, 2])
        wide.append(bound_chart(k, *lines, 332.0 if rates is not None else 680.0, summary, title))
        narrow.append(bound_chart(k, *lines, NARROW, summary, title))
        captions.append("the bound tightens with more importance samples; upright bars are 95 % intervals")
        summaries.append(summary)
        for at, (value, low, high) in zip(k.tolist(), triples.tolist(), strict=True):
            rows.append(["bound", f"K = {at:g}", value, low, high])
            texts.append(["bound, nats", f"K = {written(at, form='count')}", *_written(value, low, high)])
    sides = ["Left", "Right"] if len(captions) == 2 else [""]
    caption = " ".join(f"{s}: {c}." if s else f"{c[:1].upper()}{c[1:]}." for s, c in zip(sides, captions, strict=True))
    return Figure(
        caption=caption,
        summary=" ".join(summaries),
        wide=wide,
        narrow=narrow,
        table=data_table("Rate and bound", head, rows, texts),
        csv=csv_uri(head, rows),
        csv_name="code.csv",
    )


def _written(*values: float) -> list[str]:
    return [written(v) for v in values]


def _information_notes(contents: Contents, rates: Array | None, bound: list[dict[str, Any]] | None) -> list[Note]:
    notes = []
    if rates is not None:
        split = str(contents.metrics.get("rate_nats", {}).get("split") or "held-out")
        notes.append(Note("In use", f"means a mean rate above {UNUSED_NATS:g} nats over the {split} examples."))
    if bound is not None:
        last = bound[-1]
        text = f"for all K comes from one pass of {written(last['k'], form='count')} samples an example."
        size = last.get("ess")
        if isinstance(size, int | float):
            effective, drawn = written(float(size), decimals=0 if size >= 10 else 1), written(last["k"], form="count")
            text += f" Effective sample size {effective} of {drawn}."
            if size < 10:
                text += " Below 10 the bound may still lie far under the likelihood."
        notes.append(Note("The bound", text))
    return notes


def principal_axes(z: Array) -> tuple[Array, Array]:
    """Codes on their first two principal axes, and each axis' share of the variance; signs made repeatable."""
    centred = z - z.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred / max(1, len(z) - 1))
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    placed: Array = centred @ axes
    total = float((centred**2).sum())
    shares: Array = (placed**2).sum(axis=0) / total if total > 0 else np.zeros(2)
    return placed, shares


def _map(contents: Contents) -> tuple[Figure, list[Note]]:
    whole = len(contents.codes["z"])
    chosen = np.sort(np.random.default_rng(0).permutation(whole)[:MOST_POINTS])
    z: Array = contents.codes["z"][chosen]
    labels, index = (contents.codes[k][chosen] if k in contents.codes else None for k in ("label", "index"))
    points, axes, prior, how = _in_plane(contents, z)
    groups, note = class_groups(contents, labels, len(z))
    shown = f"all {len(z):,}" if whole == len(z) else f"{len(z):,} of {whole:,}, random"
    caption = f"Code map: one point an example, its mean code, {shown}. {note}"
    if prior:
        caption += " Dashed circle: 95 % of the prior N(0, I)."
    medians = [(name or "all", np.median(points[mask], axis=0).tolist()) for name, mask in groups[:12]]
    summary = f"{len(z):,} codes; medians: " + "; ".join(
        f"{name} at {written(round(x, 2))}, {written(round(y, 2))}" for name, (x, y) in medians
    )
    args = (groups, axes)
    head = [*axes, "label", "row"]
    few = range(min(len(points), 2000))
    places = [""] * len(z) if index is None else index.tolist()
    rows = [[*points[i].tolist(), "" if labels is None else str(labels[i]), places[i]] for i in few]
    figure = Figure(
        caption=caption,
        summary=summary + ".",
        wide=[code_map(points, *args, 560.0, summary, prior)],
        narrow=[code_map(points, *args, NARROW, summary, prior)],
        csv=csv_uri(head, rows),
        csv_name="map.csv",
    )
    notes = [Note("How it was made.", how)]
    if prior == 0 and z.shape[1] > 2:
        notes.append(
            Note("Not seen here.", "Distances along the other axes: what overlaps here may be apart in the code.")
        )
    return figure, notes


def _in_plane(contents: Contents, z: Array) -> tuple[Array, tuple[str, str], float, str]:
    """(points, axis names, radius of the prior or 0, how)."""
    if z.shape[1] == 1:
        rank = np.argsort(np.argsort(z[:, 0], kind="stable"), kind="stable") / max(1, len(z) - 1)
        spread = float(np.ptp(z[:, 0])) or 1.0
        return (
            np.stack([z[:, 0], rank * spread / 2], axis=1),
            ("z1", "rank"),
            0.0,
            "The code has one dimension; upright is the rank.",
        )
    if z.shape[1] == 2:
        prior = PRIOR_RADIUS if "rate_nats" in contents.metrics else 0.0
        return z, ("z1", "z2"), prior, "The code has two dimensions and is shown as it is, one scale for both axes."
    points, shares = principal_axes(z)
    texts = [written(float(s), form="share", decimals=0) for s in shares]
    how = (
        f"The first two principal axes of the {z.shape[1]}-dimensional codes, computed on these codes; "
        f"they hold {texts[0]} and {texts[1]} of the variance. One scale for both axes."
    )
    return points, (f"principal axis 1 ({texts[0]})", f"principal axis 2 ({texts[1]})"), 0.0, how


def class_groups(contents: Contents, labels: Any, n: int) -> tuple[list[tuple[str, Array]], str]:
    """(name, mask) of each class in the order of the classes, and what the caption says of them."""
    everything = np.ones(n, dtype=bool)
    if labels is None:
        column = " (--label COLUMN names some)" if contents.spec.get("kind") == "table" else ""
        return [("", everything)], f"No labels were given{column}."
    classes: Sequence[Any] = entries(contents.spec.get("classes"))
    values, counts = np.unique(labels, return_counts=True)
    if len(values) > COLOURED + 1:
        largest = set(values[np.argsort(-counts, kind="stable")[:COLOURED]].tolist())
        named = [(v, labels == v) for v in values.tolist() if v in largest]
        groups = [("", np.isin(labels, list(largest), invert=True))]
        listed = [(_class_name(classes, v), mask) for v, mask in named]
        note = f"Names of the {COLOURED} largest of {len(values)} classes stand at their medians; the rest is grey."
        return [*listed, *groups], note
    listed = [(_class_name(classes, v), labels == v) for v in values.tolist()]
    return listed, "Class names stand at the median of each cloud."


def _class_name(classes: Sequence[Any], value: Any) -> str:
    whole = isinstance(value, int) and 0 <= value < len(classes)
    return shown_name(classes[value]) if whole else shown_name(value)
