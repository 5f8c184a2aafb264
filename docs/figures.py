"""Draw the figures of docs/attention.md and docs/disentanglement.md: `python docs/figures.py`.

Patterns are drawn from their own definition, the curves from benchmarks/results: p13_sliding_attention and, once it
was measured, a8_beta.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elboroom.nn.patterns import BlockLocal, Dense, Fixed, Pattern, Sliding, Strided
from elboroom.report.colors import tokens
from elboroom.report.plots import Axis, Canvas, spread

__all__ = ["figures"]

HERE = Path(__file__).resolve().parent
RESULT = HERE.parent / "benchmarks" / "results" / "p13_sliding_attention.json"
BETA = HERE.parent / "benchmarks" / "results" / "a8_beta.json"
PATTERNS = (Dense(), Sliding(6), BlockLocal(6), Strided(6), Fixed(6, 2))
TOKENS = 24
CELL = 7
SERIES = {  # class of the line and shape of its points; dense is what the others stand beside
    "dense": ("base", "circle"),
    "sliding:256": ("c1", "circle"),
    "block:256": ("c2", "square"),
    "strided:auto": ("c3", "triangle"),
    "fixed:auto:16": ("c4", "diamond"),
}
SCORES = {"mig": "MIG", "dci_disentanglement": "DCI", "sap": "SAP", "factor_vae_score": "FactorVAE"}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BELOW = 640, 300, 52, 150, 30, 34


def figures() -> dict[Path, str]:
    """Every figure: where it belongs and what it holds."""
    folder = HERE / "figures"
    out = {folder / f"pattern-{p.name.split(':')[0]}.svg": picture(p) for p in PATTERNS}
    growth = json.loads(RESULT.read_text(encoding="utf-8"))["details"]["growth"]
    out[folder / "attention-time.svg"] = curves(growth, "seconds", "s", "Seconds, forward and backward; both axes log")
    out[folder / "attention-memory.svg"] = curves(
        growth, "peak_gib", "GiB", "Peak memory of the process, GiB; both axes log"
    )
    if BETA.is_file():
        found = json.loads(BETA.read_text(encoding="utf-8"))["details"]
        out |= {folder / f"beta-{name}.svg": over_beta(name, measures) for name, measures in found.items()}
    return out


def picture(pattern: Pattern) -> str:
    """Which of 24 keys (from left to right) each of 24 queries (from top to bottom) sees."""
    side = TOKENS * CELL
    canvas = Canvas(side + 2, side + 24)
    at = torch.arange(TOKENS)
    past = at[None, :] <= at[:, None]
    seen = pattern.allowed(at[:, None], at[None, :])
    far = torch.zeros_like(seen)
    if isinstance(pattern, Strided | Fixed):
        far = seen & ~pattern.near(at[:, None], at[None, :])
    for i in range(TOKENS):
        for css, row in (("past", past[i] & ~seen[i]), ("c1", seen[i] & ~far[i]), ("c2", far[i])):
            for start, stop in runs(row.tolist()):
                canvas.rect(1 + start * CELL, 21 + i * CELL, (stop - start) * CELL - 1, CELL - 1, css)
    canvas.text(1, 13, pattern.name, "title")
    words = f"{pattern.name}: of {TOKENS} queries, each row one, the keys that it sees are filled"
    return as_file(canvas, words)


def runs(row: list[bool]) -> list[tuple[int, int]]:
    """(start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(row, dtype=np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def curves(growth: dict[str, list[dict[str, Any]]], quantity: str, unit: str, title: str) -> str:
    """One line a pattern, over tokens; names stand at the lines' ends."""
    canvas = Canvas(WIDTH, HEIGHT)
    rows = [row for found in growth.values() for row in found]
    x = Axis(min(r["tokens"] for r in rows), max(r["tokens"] for r in rows), LEFT, WIDTH - RIGHT, log=True)
    values = [row[quantity] for row in rows]
    y = Axis(0.9 * min(values), 1.05 * max(values), HEIGHT - BELOW, TOP + 8, log=True)
    canvas.text(2, 14, title, "title")
    for value in y.ticks():
        canvas.line(LEFT, y(value), WIDTH - RIGHT, y(value), "rule")
        canvas.text(LEFT - 8, y(value) + 4, f"{value:g}", "tick", "end")
    canvas.line(LEFT, HEIGHT - BELOW, WIDTH - RIGHT, HEIGHT - BELOW, "edge")
    for n in sorted({r["tokens"] for r in rows}):
        canvas.line(x(n), HEIGHT - BELOW, x(n), HEIGHT - BELOW + 4, "edge")
        canvas.text(x(n), HEIGHT - BELOW + 17, f"{n // 1024}k", "tick", "middle")
    canvas.text(WIDTH - RIGHT, HEIGHT - 2, "tokens", "tick", "end")
    ends = {name: (x(found[-1]["tokens"]), y(found[-1][quantity])) for name, found in growth.items()}
    whole = [name for name in SERIES if ends[name][0] > WIDTH - RIGHT - 1]  # the others are named at their last point
    heights = dict(zip(whole, spread([ends[name][1] for name in whole], 14, TOP, HEIGHT - BELOW), strict=True))
    for name, (css, form) in SERIES.items():
        xs = np.array([x(r["tokens"]) for r in growth[name]])
        ys = np.array([y(r[quantity]) for r in growth[name]])
        canvas.curve(xs, ys, f"line l-{css}")
        for at in zip(xs.tolist(), ys.tolist(), strict=True):
            canvas.shape(*at, form, css)
        (right, height), words = ends[name], f"{name}, {growth[name][-1][quantity]:.3g} {unit}"
        if name in heights:
            canvas.line(right + 6, height, right + 14, heights[name], "rule")
            canvas.text(right + 18, heights[name] + 4, words, "tick")
        else:
            canvas.text(right + 9, height + 4, words, "tick")
    return as_file(canvas, title)


def over_beta(name: str, measures: dict[str, dict[str, list[float]]]) -> str:
    """Rate, distortion and four scores of one set over beta: a point a seed, lines through the means."""
    canvas = Canvas(WIDTH, 230)
    panels = (
        ("Rate, nats", {"rate_nats": "base"}),
        ("Distortion, nats", {"distortion_nats": "base"}),
        ("Scores", dict(zip(SCORES, ("c1", "c2", "c3", "c4"), strict=True))),
    )
    for number, (title, lines) in enumerate(panels):
        left, right = 44 + 180 * number, 44 + 180 * number + 130
        betas = [float(beta) for beta in measures["rate_nats"]]
        values = [v for key in lines for seeds in measures[key].values() for v in seeds]
        room = 0.05 * (max(values) - min(values)) or 1.0
        x = Axis(min(betas), max(betas), left, right, log=True)
        y = Axis(min(values) - room, max(values) + room, 190, 34)
        canvas.text(left - 40, 16, f"{title}, {name}" if number == 0 else title, "title")
        for value in y.ticks():
            canvas.line(left, y(value), right, y(value), "rule")
            canvas.text(left - 5, y(value) + 4, f"{value:g}", "tick", "end")
        for beta in betas:
            canvas.text(x(beta), 207, f"{beta:g}", "tick", "middle")
        ends = []
        for (key, css), form in zip(lines.items(), ("circle", "square", "triangle", "diamond"), strict=False):
            means = np.array([y(float(np.mean(seeds))) for seeds in measures[key].values()])
            canvas.curve(np.array([x(beta) for beta in betas]), means, f"line l-{css}")
            for beta, seeds in zip(betas, measures[key].values(), strict=True):
                for value in seeds:
                    canvas.shape(x(beta), y(value), form, css)
            ends.append(float(means[-1]))
        if len(lines) > 1:
            for key, end, at in zip(lines, ends, spread(ends, 14, 34, 190), strict=True):
                canvas.line(right + 5, end, right + 11, at, "rule")
                canvas.text(right + 14, at + 4, SCORES[key], "tick")
    canvas.text(534, 226, "beta, log axis", "tick", "end")
    return as_file(
        canvas, f"{name}: rate, distortion and disentanglement over beta; a point a seed, lines through means"
    )


def as_file(canvas: Canvas, words: str) -> str:
    """The drawing with its colours, light or dark as the reader's page is."""
    svg = str(canvas.svg(words)).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    head, rest = svg.split(">", 1)
    dark = f"@media(prefers-color-scheme:dark){{{rules('dark')}}}"
    return f"{head}><style>text{{font:12px sans-serif}}.title{{font-size:13px}}{rules('light')}{dark}</style>{rest}\n"


def rules(theme: str) -> str:
    """Paints of one theme."""
    paint = tokens()[theme]
    out = [f"text{{fill:{paint['ink-2']}}}.past{{fill:{paint['rule']}}}.line{{fill:none;stroke-width:1.5}}"]
    out += [f".{name}{{stroke:{paint[name]};fill:none}}" for name in ("rule", "edge")]
    colors = {"base": paint["base"], **{f"c{i}": paint["c"][i - 1] for i in range(1, 5)}}
    return "".join(out + [f".{css}{{fill:{c}}}.l-{css}{{stroke:{c}}}" for css, c in colors.items()])


if __name__ == "__main__":
    (HERE / "figures").mkdir(exist_ok=True)
    for path, text in figures().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(HERE.parent))
