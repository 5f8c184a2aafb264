"""The figures and the measured part of docs/why-sampling-the-prior-fails.md, made of the details of A6's result."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.d6_page import _house, table
from elboroom.report.plots import Axis, Canvas, spread, tick_texts

__all__ = ["DOCS", "MARKS", "PAGE", "figures", "measured", "write"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = "why-sampling-the-prior-fails.md"
MARKS = ("<!-- measured: python -m benchmarks a6_likelihood -->\n", "<!-- end of measured -->")
SERIES = {
    "ais": ("AIS", "c1", "circle"),
    "bound": ("importance-weighted", "c2", "square"),
    "elbo": ("ELBO", "c3", "triangle"),
    "prior": ("draws of the prior", "c4", "diamond"),
}
"""Name, class of the line, shape of its points."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BELOW = 640, 280, 52, 190, 30, 34
SIDE, REACH = 360, 3.2
"""Of the square picture, and how far its axes go."""

Line = tuple[str, str, str, list[tuple[float, float]]]
"""Name, class, shape, points."""


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
    widths = details["widths"]
    heights: list[Line] = [
        (name, css, form, [(float(w), entry["estimates"][key]["value"]) for w, entry in widths.items()])
        for key, (name, css, form) in SERIES.items()
    ]
    sizes: list[Line] = [
        (*SERIES[key], [(float(w), entry["estimates"][key]["ess"]["median"]) for w, entry in widths.items()])
        for key in ("bound", "prior")
    ]
    last = list(widths)[-1]
    few = [next(iter(widths)), list(widths)[len(widths) // 2], last]
    bound: list[Line] = [
        (
            f"z = {w}",
            css,
            form,
            [(float(p["k"]), p["value"] - widths[w]["curve"][-1]["value"]) for p in widths[w]["curve"]],
        )
        for w, (_, css, form) in zip(dict.fromkeys(few), SERIES.values(), strict=False)
    ]
    gap: list[Line] = [
        ("bound less ELBO", "c1", "circle", [(float(s["epochs"]), s["gap"]["value"]) for s in details["training"]])
    ]
    samples = widths[last]["samples"]
    return {
        "prior-draws.svg": cloud(details["picture"]),
        "prior-estimates.svg": lines(heights, "log p(x), nats an image, four estimates", "latent dimensions", log="x"),
        "prior-effective.svg": lines(
            sizes, f"Effective draws of {samples:,}, median image; both axes log", "latent dimensions", log="xy"
        ),
        "prior-bound.svg": lines(
            bound, f"Bound at K draws less that at {samples:,}, nats", "draws K", log="x"
        ),
        "prior-gap.svg": lines(gap, "Gap of the posterior over training, nats", "epochs", log="x"),
    }  # fmt: skip


def cloud(found: dict[str, Any]) -> str:
    """Draws of the prior, those that matter for one image, and the two-sd ellipse of its encoder."""
    canvas = Canvas(SIDE, SIDE + 40)
    x, y = Axis(-REACH, REACH, 1, SIDE - 1), Axis(-REACH, REACH, SIDE + 20, 22)
    share = found["heavy"] / found["draws"]
    canvas.text(2, 14, f"{share:.2%} of the prior's draws carry 99 % of one image's weight", "title")
    canvas.line(1, y(0), SIDE - 1, y(0), "rule")
    canvas.line(x(0), 22, x(0), SIDE + 20, "rule")
    for css, points in (("past", found["points"]), ("c4", found["heavy_points"])):
        for a, b in points:
            if max(abs(a), abs(b)) < REACH:
                canvas.circle(x(a), y(b), 1.6, css)
    turn = np.linspace(0, 2 * math.pi, 60)
    ring = [
        np.array([axis(v) for v in found["mean"][i] + 2 * found["sd"][i] * wave])
        for i, (axis, wave) in enumerate(((x, np.cos(turn)), (y, np.sin(turn))))
    ]
    canvas.curve(ring[0], ring[1], "line l-c1")
    canvas.text(2, SIDE + 36, "grey: N(0, I); dark: the draws that count; ring: q(z given x), 2 sd", "tick")
    words = f"{found['heavy']:,} of {found['draws']:,} draws of the prior carry 99 % of the weight of one image"
    return str(_house().as_file(canvas, words))


def lines(series: list[Line], title: str, along: str, *, log: str = "") -> str:
    """Lines with their names at their ends. `log` names the axes that are."""
    canvas = Canvas(WIDTH, HEIGHT)
    xs, ys = ([point[i] for line in series for point in line[3]] for i in (0, 1))
    x = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, log="x" in log)
    pad = 0.05 * (max(ys) - min(ys)) or 0.5
    ends = (0.9 * min(ys), 1.1 * max(ys)) if "y" in log else (min(ys) - pad, max(ys) + pad)
    y = Axis(*ends, HEIGHT - BELOW, TOP + 8, log="y" in log)
    canvas.text(2, 14, title, "title")
    for value, text in zip(y.ticks(), tick_texts(y.ticks()), strict=True):
        canvas.line(LEFT, y(value), WIDTH - RIGHT, y(value), "rule")
        canvas.text(LEFT - 8, y(value) + 4, text, "tick", "end")
    canvas.line(LEFT, HEIGHT - BELOW, WIDTH - RIGHT, HEIGHT - BELOW, "edge")
    for value in x.ticks() if len(set(xs)) > 8 else sorted(set(xs)):
        canvas.line(x(value), HEIGHT - BELOW, x(value), HEIGHT - BELOW + 4, "edge")
        canvas.text(x(value), HEIGHT - BELOW + 17, f"{value:,.6g}", "tick", "middle")
    canvas.text(WIDTH - RIGHT, HEIGHT - 2, along, "tick", "end")
    heights = spread([y(points[-1][1]) for *_, points in series], 14, TOP, HEIGHT - BELOW)
    for (name, css, form, points), height in zip(series, heights, strict=True):
        places = np.array([(x(a), y(b)) for a, b in points])
        canvas.curve(places[:, 0], places[:, 1], f"line l-{css}")
        for place in places.tolist():
            canvas.shape(*place, form, css)
        right, end = places[-1].tolist()
        canvas.line(right + 6, end, WIDTH - RIGHT + 14, height, "rule")
        canvas.text(WIDTH - RIGHT + 18, height + 4, f"{name}, {_label(points[-1][1])}", "tick")
    return str(_house().as_file(canvas, f"{title}: {', '.join(line[0] for line in series)}"))


# -- words -------------------------------------------------------------------------------------------------------------


def measured(details: dict[str, Any]) -> str:
    """The measured part of the page."""
    shown, widths = details["picture"], details["widths"]
    first = next(iter(widths.values()))
    carry = f"{shown['heavy']:,} carry 99 % of the weight of the first test image"
    what = (
        f"mean log p(x) in nats (95 % over images), K = {first['samples']:,}; in brackets the median of effective draws"
    )
    gaps = ("approximation_gap_nats", "amortization_gap_nats", "ais_gap_nats")
    parts = [
        f"Of {shown['draws']:,} draws of a prior of two numbers, {carry}.\n",
        "![draws of the prior and the posterior of one image](figures/prior-draws.svg)\n",
        f"The same {first['n']:,} test images, {what}:\n",
        table(("latent dimensions", "AIS", "importance-weighted", "ELBO", "draws of the prior", "draws with 99 %"), [
            (w, ends(e["estimates"]["ais"]), sized(e["estimates"]["bound"]), ends(e["estimates"]["elbo"]),
             sized(e["estimates"]["prior"]), f"{e['heavy']:,.4g}") for w, e in widths.items()
        ]),
        "![four estimates over the width](figures/prior-estimates.svg)\n",
        "![effective draws over the width](figures/prior-effective.svg)\n",
        "What the ELBO lacks, in two, and how far AIS itself can be off (nats, 95 % over images):\n",
        table(("latent dimensions", "no diagonal Gaussian can", "the encoder does not", "AIS, upper less lower bound"),
              [(w, *(ends(e[key]) for key in gaps)) for w, e in widths.items()]),
        "![the bound over its draws](figures/prior-bound.svg)\n",
        "![the gap over training](figures/prior-gap.svg)\n",
        linear(details["linear"]),
    ]  # fmt: skip
    return "\n".join(parts)


def linear(found: dict[str, Any]) -> str:
    """One sentence on the model whose likelihood is known."""
    named = {"ais": "AIS", "bound": "importance-weighted bound", "prior": "draws of the prior"}
    told = [f"{named[row['name']]} {row['value']:.3f} ± {row['error']:.3f}" for row in found["estimates"]
            if row["name"] in named]  # fmt: skip
    return f"A linear VAE whose likelihood is known, {found['exact']:.3f} nats: {', '.join(told)} (standard errors).\n"


def ends(found: dict[str, Any]) -> str:
    value, low, high = (found[name] for name in ("value", "low", "high"))
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} ({low:.4g} to {high:.4g})"


def sized(found: dict[str, Any]) -> str:
    return f"{found['value']:.4g} [{_few(found['ess']['median'])}]"


def _few(number: float) -> str:
    """A count of draws: whole from 10 on."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.3g}"


def _label(number: float) -> str:
    return f"{number:,.4g}".replace("-", "\N{MINUS SIGN}")
