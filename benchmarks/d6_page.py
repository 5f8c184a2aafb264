"""The figures and the measured part of docs/lstm-against-transformer.md, made of the details of D6's result."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.record import figure
from elboroom.report.plots import Axis, Canvas, spread, tick_texts

__all__ = ["DOCS", "MARKS", "PAGE", "figures", "measured", "write"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = "lstm-against-transformer.md"
MARKS = ("<!-- measured: python -m benchmarks d6_lstm_against_transformer -->\n", "<!-- end of measured -->")
SERIES = {"LSTM": ("c1", "circle"), "GRU": ("c2", "square"), "transformer": ("c3", "triangle")}
"""Class of the line and shape of its points."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BELOW = 640, 280, 52, 150, 30, 34

Point = tuple[float, float]


def write(details: dict[str, Any], docs: Path) -> None:
    """Draw the figures into `docs`/figures and put what was measured between the page's marks."""
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    for name, svg in figures(details).items():
        (docs / "figures" / name).write_text(svg, encoding="utf-8")
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    whole = before + MARKS[0] + measured(details) + MARKS[1] + rest.split(MARKS[1])[1]
    (docs / PAGE).write_text(whole, encoding="utf-8")


# -- figures -----------------------------------------------------------------------------------------------------------


def figures(details: dict[str, Any]) -> dict[str, str]:
    """File name to SVG."""
    language, lengths, recall = (details[name] for name in ("language", "lengths", "recall"))
    losses = {net: [tuple(look) for look in entry["looks"]] for net, entry in language.items()}
    seconds, memory = (
        {net: [(row["tokens"], row[key]) for row in rows if row[key] > 0] for net, rows in lengths.items()}
        for key in ("seconds", "step_mib")
    )
    right = {net: [(row["delay"], row["accuracy"]) for row in rows] for net, rows in recall.items()}
    return {
        "lstm-loss.svg": lines(losses, "Validation loss, nats a character, over seconds of training", "s"),
        "lstm-time.svg": lines(
            seconds, "Seconds of a training step of 4 windows; both axes log", "characters a window", log="xy"
        ),
        "lstm-memory.svg": lines(
            memory, "Memory of that step, MiB; both axes log", "characters a window", log="xy"
        ),
        "lstm-recall.svg": lines(
            right, "Share of symbols recalled after a delay; by chance 0.125", "steps", log="x", ends=(0.0, 1.0)
        ),
    }  # fmt: skip


def lines(
    series: dict[str, list[Point]], title: str, along: str, *, log: str = "", ends: tuple[float, float] | None = None
) -> str:
    """One line a net; their names stand at the lines' ends. `log` names the axes that are; `ends` are those of y."""
    canvas = Canvas(WIDTH, HEIGHT)
    points = [point for found in series.values() for point in found]
    xs, ys = ([point[i] for point in points] for i in (0, 1))
    x = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, log="x" in log)
    low, high = ends or ((0.9 * min(ys), 1.05 * max(ys)) if "y" in log else _room(ys))
    y = Axis(low, high, HEIGHT - BELOW, TOP + 8, log="y" in log)
    canvas.text(2, 14, title, "title")
    for value, text in zip(y.ticks(), tick_texts(y.ticks()), strict=True):
        canvas.line(LEFT, y(value), WIDTH - RIGHT, y(value), "rule")
        canvas.text(LEFT - 8, y(value) + 4, text, "tick", "end")
    canvas.line(LEFT, HEIGHT - BELOW, WIDTH - RIGHT, HEIGHT - BELOW, "edge")
    at = sorted(set(xs)) if "x" in log else x.ticks()
    for value in at:
        canvas.line(x(value), HEIGHT - BELOW, x(value), HEIGHT - BELOW + 4, "edge")
        canvas.text(x(value), HEIGHT - BELOW + 17, f"{value:,.6g}", "tick", "middle")
    canvas.text(WIDTH - RIGHT, HEIGHT - 2, along, "tick", "end")
    there = [net for net in SERIES if series.get(net)]
    heights = spread([y(series[net][-1][1]) for net in there], 14, TOP, HEIGHT - BELOW)
    for net, height in zip(there, heights, strict=True):
        css, form = SERIES[net]
        places = np.array([(x(a), y(b)) for a, b in series[net]])
        canvas.curve(places[:, 0], places[:, 1], f"line l-{css}")
        for place in places.tolist() if len(places) <= 12 else []:
            canvas.shape(*place, form, css)
        right, end = places[-1].tolist()
        canvas.line(right + 6, end, WIDTH - RIGHT + 14, height, "rule")
        canvas.text(WIDTH - RIGHT + 18, height + 4, f"{net}, {figure(series[net][-1][1], 3)}", "tick")
    as_file: Callable[[Canvas, str], str] = _house().as_file
    return as_file(canvas, f"{title}: {', '.join(there)}")


def _room(values: list[float]) -> Point:
    pad = 0.05 * (max(values) - min(values)) or 0.5
    return min(values) - pad, max(values) + pad


def _house() -> ModuleType:
    """docs/figures.py, which knows how a figure becomes a file in the colours of the house."""
    located = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
    assert located is not None and located.loader is not None
    module = importlib.util.module_from_spec(located)
    located.loader.exec_module(module)
    return module


# -- words -------------------------------------------------------------------------------------------------------------


def measured(details: dict[str, Any]) -> str:
    """The measured part of the page."""
    language = details["language"]
    parts = [
        "## As language models\n",
        table(("", *language), [
            ("weights", *(f"{e['parameters']:,}" for e in language.values())),
            ("bits a byte (95 %)", *(ends(e["bits_per_byte"]) for e in language.values())),
            ("steps taken", *(f"{e['steps']:,}" for e in language.values())),
            ("seconds an epoch", *(figure(e["epoch_s"], 3) for e in language.values())),
            ("characters written a second", *(f"{e['tokens_a_second']:,.4g}" for e in language.values())),
        ]),
        "Differences over the same blocks of the text, in bits a byte:\n",
        table(("", "difference (95 %)", "what can be said"), [
            (f"{d['a']} − {d['b']}", ends(d), d["verdict"]) for d in details["differences"]
        ]),
        f"Beside them, without a network: {beside(details['beside'])}.\n",
        "![validation loss over time](figures/lstm-loss.svg)\n",
        *(f"The {net} goes on from `{e['prompt']}`:\n\n{fenced(e['sample'])}" for net, e in language.items()),
        "## Over length\n",
        "![seconds over length](figures/lstm-time.svg)\n",
        "![memory over length](figures/lstm-memory.svg)\n",
        lengths(details["lengths"]),
        "## Over a delay\n",
        "![recall over delay](figures/lstm-recall.svg)\n",
        recall(details["recall"]),
    ]  # fmt: skip
    return "\n".join(parts)


def ends(found: dict[str, Any]) -> str:
    value, low, high = (found[name] for name in ("value", "low", "high"))
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} ({low:.4g} to {high:.4g})"


def beside(references: list[dict[str, Any]]) -> str:
    return ", ".join(f"{r['name']} {r['value']:.3g}" for r in references)


def fenced(text: str) -> str:
    """As a block of text, whatever stands in it."""
    return "".join(f"    {line}\n" for line in text.strip("\n").splitlines())


def lengths(found: dict[str, list[dict[str, Any]]]) -> str:
    head = ("characters a window", *(f"{net}, s" for net in found), *(f"{net}, MiB" for net in found))
    rows = []
    for row in zip(*found.values(), strict=True):
        times, sizes = ([figure(one[key], 3) for one in row] for key in ("seconds", "step_mib"))
        rows.append((f"{row[0]['tokens']:,}", *times, *sizes))
    return table(head, rows)


def recall(found: dict[str, list[dict[str, Any]]]) -> str:
    rows = []
    for row in zip(*found.values(), strict=True):
        shares = [f"{one['accuracy']:.3g} ({min(one['seeds']):.3g} to {max(one['seeds']):.3g})" for one in row]
        rows.append((str(row[0]["delay"]), *shares))
    return table(("steps of delay", *(f"{net}, {one[0]['parameters']:,} weights" for net, one in found.items())), rows)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    listed = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in listed)
