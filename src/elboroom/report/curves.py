"""The section on training: what the loss and its terms did over the epochs.

Of a text the loss is shown in bits per byte, over steps: an epoch of it is long, and bits per byte can be set beside
what needs no network.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .contents import Contents
from .layout import CSV_ROWS, Figure, Note, Section, csv_uri, data_table
from .numbers import column, decimals_for, number, written
from .panels import LOG_FACTOR, Level, Panel, Series, drawn, fall, tail_start
from .players import has_players, two_players
from .words import measure, plural

__all__ = ["main_term", "training"]

PREFERRED = (
    "bits_per_dim",
    "loss_nats_per_token",
    "bits_per_byte",
    "elbo_nats",
    "reconstruction_bce",
    "reconstruction_mse",
    "loss_nats",
)
PARTS = (("valid", "validation", "c1"), ("train", "train", "c2"), ("test", "test", "c1"))
MEAN_EPOCHS, MEAN_STEPS = 2.0, 200.0
OFTEN = 0.375
"""Values closer than this share of the mean's width are worth a mean."""
NARROW = 358.0
HEIGHT = 248.0
READ_ROWS = 400


@dataclass(frozen=True)
class Shown:
    """One logged term as the page shows it."""

    term: str
    measure: str
    """The key that names and judges it, and whose references stand beside it."""
    unit: str
    factor: float = 1.0
    """The logged value times this is what is shown."""
    x_name: str = "epoch"

    @classmethod
    def of(cls, contents: Contents, term: str) -> Shown:
        """Nats per token become bits per byte, where a run says how many bytes a token has."""
        if contents.spec.get("kind") != "text":
            unit = contents.metrics.get(term, {}).get("unit") or ("nats per example" if term.endswith("_nats") else "")
            return cls(term, term, str(unit))
        size = contents.detail("text").get("bytes_per_token")
        if term in ("loss_nats", "loss_nats_per_token"):
            if isinstance(size, int | float) and size > 0:
                return cls(term, "bits_per_byte", "", 1 / (math.log(2) * size), "step")
            return cls(term, "loss_nats_per_token", "nats", 1.0, "step")
        return cls(term, term, str(contents.metrics.get(term, {}).get("unit") or ""), 1.0, "step")

    @property
    def title(self) -> str:
        label = measure(self.measure).label
        return label if not self.unit or self.measure == "bits_per_dim" else f"{label}, {self.unit}"

    @property
    def mean_width(self) -> float:
        return MEAN_EPOCHS if self.x_name == "epoch" else MEAN_STEPS


def main_term(contents: Contents) -> str:
    """The logged term the first panel shows: one that training and a held-out part both have, by preference."""
    terms = contents.history.terms()
    values = contents.history.values
    both = [t for t in terms if f"train/{t}" in values and (f"valid/{t}" in values or f"test/{t}" in values)]
    measured = [t for t in both if t in contents.metrics]
    for found in (measured, both, terms):
        for name in (*PREFERRED, *found):
            if name in found:
                return name
    return ""


def training(contents: Contents) -> Section:
    """Curves of the main term whole and close up, then its parts."""
    section = Section("training", "Training")
    if "history" in contents.missing:
        section.sentences.append(f"There are no curves: {contents.missing['history']}.")
        return section
    if has_players(contents):
        return two_players(contents)
    shown = Shown.of(contents, main_term(contents))
    lines = _lines(contents, shown)
    if not lines:
        section.sentences.append("There are no curves: nothing with an epoch was logged.")
        return section
    section.figures.append(_main_figure(contents, shown, lines))
    rest = _parts_figure(contents, shown.term)
    if rest is not None:
        section.figures.append(rest)
    section.notes = _notes(contents, shown, lines)
    return section


def _lines(contents: Contents, shown: Shown) -> list[Series]:
    """The term's lines, validation first."""
    history, found = contents.history, []
    for part, name, css in PARTS:
        key = f"{part}/{shown.term}"
        if key in history.values:
            x = (history.steps if shown.x_name == "step" else history.epochs)[key]
            often = len(x) >= 2 and float(x[-1] - x[0]) / (len(x) - 1) < OFTEN * shown.mean_width
            y = history.values[key] * shown.factor
            found.append(Series(name, css, x, y, shown.mean_width if often else 0.0, rings=part == "test"))
    return found


def _levels(contents: Contents, term: str) -> list[Level]:
    """Grey lines: what stands beside the measure of the same name."""
    found = contents.metrics.get(term, {})
    references = found.get("references", [])
    value = number(found.get("value"))
    decimals = decimals_for(value, found.get("low"), found.get("high")) if math.isfinite(value) else None
    return [
        Level(str(r["name"]), float(r["value"]), decimals)
        for r in references
        if isinstance(r.get("value"), int | float) and math.isfinite(r["value"])
    ]


def _kept(contents: Contents, x_name: str) -> float | None:
    kept = contents.part("kept")
    at = kept.get(x_name)
    return float(at) if isinstance(at, int | float) and kept.get("measure") != "last" else None


def _main_figure(contents: Contents, shown: Shown, lines: list[Series]) -> Figure:
    word, levels = measure(shown.measure), _levels(contents, shown.measure)
    kept, x_name = _kept(contents, shown.x_name), shown.x_name
    better = f"{word.better} is better" if word.better else ""
    end = max(float(s.x[-1]) for s in lines)
    span = (min(0.0, min(float(s.x[0]) for s in lines)), end)
    tail = tail_start(lines, levels)
    whole = Panel(
        shown.title + (", whole run" if tail is not None else ""),
        "",
        lines,
        levels,
        span,
        kept=None if tail is not None else kept,
        x_name=x_name,
    )
    low, high = whole.y_range()
    whole.log = low > 0 and high / low > (LOG_FACTOR if tail is None else 3)
    whole.note = ", ".join(p for p in ("log axis" if whole.log else "linear axis", better) if p)
    summary = "; ".join(fall(s, x_name) for s in lines) + "."
    sizes = [(whole, 680.0)]
    if tail is not None:
        close = Panel(
            f"The same, {x_name}s {written(round(tail, 2))} to {written(end)}",
            "linear axis",
            lines,
            [],
            (tail, end),
            kept=kept,
            x_name=x_name,
        )
        close.levels = [v for v in levels if close.y_range()[0] <= v.value <= close.y_range()[1]]
        whole.frame = (tail, end, *close.y_range())
        whole.labelled = False
        sizes = [(whole, 268.0), (close, 400.0)]
    return Figure(
        caption=_caption(lines, levels, kept, shown),
        summary=summary,
        wide=[drawn(panel, width, HEIGHT, summary) for panel, width in sizes],
        narrow=[drawn(panel, NARROW, HEIGHT, summary) for panel, _ in sizes],
        **_numbers(shown, lines),
    )


def _caption(lines: list[Series], levels: list[Level], kept: float | None, shown: Shown) -> str:
    said = []
    if any(s.smoothed for s in lines):
        width = f"{written(shown.mean_width)} {shown.x_name}s"
        said.append(f"Thin line: every logged step; thick line: its mean over {width}, centred.")
    each = "one value an epoch" if shown.x_name == "epoch" else "each value as it was measured"
    once = [s.name for s in lines if not s.smoothed and not s.rings]
    if once:
        there = any(s.smoothed for s in lines)
        said.append(f"Without a thin line ({' and '.join(once)}): {each}." if there else f"{each.capitalize()}.")
    if any(s.rings for s in lines):
        said.append("Rings: test, which chose nothing.")
    if kept is not None:
        said.append(f"Dashed upright: the {shown.x_name} whose weights were kept.")
    if levels:
        said.append("Grey lines: what it is compared with.")
    bad = sum(int(np.sum(~np.isfinite(s.y))) for s in lines)
    if bad:
        said.append(f"{plural(bad, 'value')} not finite, marked at the upper edge.")
    what = "Loss" if "loss" in shown.measure else measure(shown.measure).label
    return f"{what} over training. {' '.join(said)}"


def _numbers(shown: Shown, lines: list[Series]) -> dict[str, Any]:
    """The figure's numbers: a table to read, a CSV to save, and JSON for the pointer."""
    columns: dict[float, list[float]] = {}
    for i, series in enumerate(lines):
        for x, y in zip(series.x.tolist(), series.y.tolist(), strict=True):
            columns.setdefault(x, [math.nan] * len(lines))[i] = y
    rows = [[x, *ys] for x, ys in sorted(columns.items())]
    epochs = [
        row for row in rows if any(math.isfinite(v) for v, s in zip(row[1:], lines, strict=True) if not s.smoothed)
    ]
    table = epochs or rows
    head = [shown.x_name, *(s.name for s in lines)]
    places, *values = zip(*table, strict=True)
    texts = [list(row) for row in zip([written(round(x, 2)) for x in places], *map(column, values), strict=True)]
    every = max(1, math.ceil(len(rows) / CSV_ROWS))
    saved = rows if every == 1 else sorted({id(r): r for r in [*rows[::every], *epochs]}.values(), key=lambda r: r[0])
    few = sorted(
        {id(r): r for r in [*saved[:: max(1, math.ceil(len(saved) / READ_ROWS))], *epochs[:READ_ROWS]]}.values()
    )
    reading = {
        "name": shown.x_name,
        "x": [r[0] for r in few],
        "series": [
            {"name": s.name, "css": s.css, "y": [r[i + 1] if math.isfinite(r[i + 1]) else None for r in few]}
            for i, s in enumerate(lines)
        ],
    }
    return {
        "table": data_table(shown.title, head, table, texts),
        "csv": csv_uri(head, saved),
        "csv_name": f"{shown.measure}.csv",
        "reading": json.dumps(reading, separators=(",", ":")),
    }


def _parts_figure(contents: Contents, main: str) -> Figure | None:
    """Small panels of the other logged terms, four at most."""
    terms = [t for t in contents.history.terms() if t != main and not _same(contents, t, main)]
    terms = [t for t in terms if not any(_same(contents, t, o) for o in terms[: terms.index(t)])][:4]
    panels, said, lines_of = [], [], []
    x_name = Shown.of(contents, main).x_name
    for shown in (Shown.of(contents, term) for term in terms):
        lines = _lines(contents, shown)
        if not lines:
            continue
        end, tail = max(float(s.x[-1]) for s in lines), tail_start(lines, [])
        title = shown.title + (f", {x_name}s {written(round(tail, 2))} to {written(end)}" if tail else "")
        panel = Panel(
            title, "", lines, x_range=(tail or 0.0, end), kept=_kept(contents, x_name), named=False, x_name=x_name
        )
        low, high = panel.y_range()
        panel.log = low > 0 and high / low > LOG_FACTOR
        word = measure(shown.measure)
        better = f"{word.better} is better" if word.better else ""
        panel.note = ", ".join(p for p in ("log axis" if panel.log else "linear axis", better) if p)
        panels.append(panel)
        said.append(f"{panel.title}: {fall(lines[0], x_name)}")
        lines_of.append((shown.term, lines))
    if not panels:
        return None
    summary = "; ".join(said) + "."
    head = ["term", x_name, "part", "value"]
    rows = [
        [term, x, s.name, y]
        for term, lines in lines_of
        for s in lines
        for x, y in list(zip(s.x.tolist(), s.y.tolist(), strict=True))[:: max(1, math.ceil(len(s.x) / 500))]
    ]
    return Figure(
        caption="The terms of the loss, drawn as above; the CSV holds the whole run.",
        summary=summary,
        wide=[drawn(panel, 332.0, 206.0, text) for panel, text in zip(panels, said, strict=True)],
        csv=csv_uri(head, rows),
        csv_name="terms.csv",
    )


def _same(contents: Contents, one: str, other: str) -> bool:
    """Whether two terms are one quantity: equal up to a factor, as loss, ELBO and bits per dimension are."""
    history = contents.history
    for part in ("valid", "test", "train"):
        a, b = history.values.get(f"{part}/{one}"), history.values.get(f"{part}/{other}")
        if a is not None and b is not None and len(a) == len(b):
            ok = np.isfinite(a) & np.isfinite(b) & (b != 0)
            if not ok.any():
                return False
            ratio = a[ok] / b[ok]
            return bool(np.ptp(ratio) <= 1e-4 * abs(float(np.mean(ratio))))
    return False


def _notes(contents: Contents, shown: Shown, lines: list[Series]) -> list[Note]:
    budget, kept = contents.part("budget"), contents.part("kept")
    counts = contents.data.get("split", {}).get("counts", {}) if isinstance(contents.data.get("split"), dict) else {}
    parts = [f"{written(counts[p], form='count')} {w}" for p, w in
             (("train", "train"), ("valid", "validation"), ("test", "test")) if counts.get(p)]  # fmt: skip
    noun = {"images": "images", "text": "windows"}.get(str(contents.spec.get("kind")), "rows")
    said = [f"{_listed(parts)} {noun}."] if parts else []
    if isinstance(budget.get("batch_size"), int):
        said.append(_batches(budget["batch_size"], int(contents.meta.get("step") or 0), counts.get("train"), noun))
    if kept.get("measure") == "last":
        said.append("The weights kept are the last ones: nothing was held out to choose by.")
    elif isinstance(kept.get("epoch"), int | float):
        at = written(round(float(_kept(contents, shown.x_name) or 0.0), 2))
        said.append(f"The weights kept are those of the lowest validation loss ({shown.x_name} {at}).")
    notes = [Note("How it was measured.", " ".join(said))] if said else []
    reading = _reading(shown, lines)
    if reading:
        notes.append(Note("Read it as.", reading))
    return notes


def _batches(size: int, steps: int, rows: Any, noun: str) -> str:
    """How many rows a step reads, and what becomes of those that fill no batch."""
    said = f"{size:,} a batch, {plural(steps, 'step')} done."
    over = rows % size if isinstance(rows, int) and noun != "windows" and rows > size else 0
    return said + (f" The {over:,} {noun} of an epoch that fill no batch are others in each epoch." if over else "")


def _reading(shown: Shown, lines: list[Series]) -> str:
    """What the curves say, by rule: the gap at the end, and what the last quarter brought."""
    by_name = {s.name: s for s in lines}
    held = by_name.get("validation") or by_name.get("test")
    if held is None or len(held.x) < 4:
        return ""
    y = held.y[np.isfinite(held.y)]
    if len(y) < 4:
        return ""
    unit = "bits" if shown.measure.startswith("bits") else "nats" if shown.measure.endswith("_nats") else ""
    quarter = max(1, len(y) // 4)
    brought = abs(float(y[-1] - y[-1 - quarter]))
    decimals = min(6, max(0, 2 - math.floor(math.log10(max(float(np.ptp(y)), 1e-12)))))
    said = []
    if "train" in by_name:
        last = by_name["train"].mean[np.isfinite(by_name["train"].mean)]
        if len(last):
            gap = abs(float(y[-1] - last[-1]))
            said.append(f"Train and {held.name} end {written(gap, decimals=decimals)} {unit} apart.".replace("  ", " "))
    better = measure(shown.measure).better
    improved = (y[-1] < y[-1 - quarter]) if better != "more" else (y[-1] > y[-1 - quarter])
    verb = "better" if improved else "worse"
    x = held.x[np.isfinite(held.y)]
    span = plural(quarter, "epoch") if shown.x_name == "epoch" else f"{written(float(x[-1] - x[-1 - quarter]))} steps"
    amount = f"{written(brought, decimals=decimals)} {unit}".strip()
    name = "Validation" if held.name == "validation" else "Test"
    said.append(f"{name} got {verb} by {amount} over the last {span}.")
    return " ".join(said)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
