"""Attention on a page: figures that a report and the page of `elboroom inspect` share, and that page.

With scripts off everything is there, cells carry their weights as tooltips; with them a cross shows whose weight is
read, and a click on a small map draws it large.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from .attention_block import token_label
from .attention_map import exact, head_data, key, large_map, steps_of
from .drawing import Cells, Drawing
from .heads import RULE, head
from .heat import page_rules, sequential
from .layout import Cell, Figure, Section, Table, csv_uri
from .names import printable, shown_name

if TYPE_CHECKING:
    from .attention import Attention

__all__ = ["attention_html", "head_table", "heads_figure", "map_figure", "rules", "script"]

FOLDER = Path(__file__).parent
LABEL, GAP, NARROW = 52, 8, 358


def rules(attention: Attention, width: float) -> str:
    """Style rules of these figures, `width` being that of the page's column."""
    heads = attention.weights.shape[1]
    size = attention.small_size(width)
    columns = f".heads{{grid-template-columns:{LABEL}px repeat({heads},minmax(0,{size:.0f}px))}}"
    narrow = f"@media (max-width:719px){{.heads{{grid-template-columns:16px repeat({heads},minmax(0,{size:.0f}px))}}}}"
    return page_rules() + (FOLDER / "attention.css").read_text(encoding="utf-8") + columns + narrow


def script() -> str:
    """What answers the pointer."""
    return (FOLDER / "attention.js").read_text(encoding="utf-8")


def heads_figure(attention: Attention) -> Figure:
    """All maps, a row a layer and a column a head."""
    layers, heads, n, _ = attention.weights.shape
    names = [shown_name(token_label(t)) for t in attention.tokens]
    out = [Markup("<span></span>")]
    out += [Markup('<span><span class="word">head </span>{}</span>').format(h + 1) for h in range(heads)]
    for m in range(layers):
        out.append(Markup('<span><span class="word">layer </span>{}</span>').format(m + 1))
        for h in range(heads):
            weights = attention.weights[m, h]
            drawing = Drawing(n, n, [Cells(0, 0, 1, 1, steps_of(weights))])
            summary = f"layer {m + 1}, head {h + 1} looks at {head(weights, attention.tokens).name}"
            css = "head chosen" if (m + 1, h + 1) == (attention.layer, attention.head) else "head"
            out.append(drawing.inline(summary, css, head_data(weights, m + 1, h + 1)))
    tokens = escape(printable(json.dumps(names, ensure_ascii=False)))
    grid = Markup('<div class="heads" data-tokens="{}">{}</div>').format(tokens, Markup("").join(out))
    ramp = key().inline("from 0 to 1", "key")
    return Figure(
        "Where each head looks. Row: the token that looks; column: the one looked at.",
        wide=[grid],
        key=Markup("Share of the row's weight, square-root scale, {}").format(ramp),
    )


def map_figure(attention: Attention, width: float) -> Figure:
    """One head large, for a wide page and for a phone, and its weights as a file."""
    said = f"attention of {attention.which.lower()}"
    wide, narrow = (
        large_map(attention.chosen, attention.tokens, room, attention.which, titles=room == width)
        for room in (width, NARROW)
    )
    numbers = exact(attention.chosen)
    rows = [
        (i + 1, attention.tokens[i], j + 1, attention.tokens[j], numbers[i][j])
        for i, j in np.argwhere(attention.chosen > 0).tolist()
    ]
    caption = "One head: the weights of a row sum to 1. "
    if wide.stairs:
        caption += "Beside the diagonal stands the token of the column that ends there. "
    caption += "Each cell says its weight when it is pointed at."
    return Figure(
        caption,
        wide=[wide.drawing.inline(said, "map", {"grid": wide.grid})],
        narrow=[narrow.drawing.inline(said, "map", {"grid": narrow.grid})],
        csv=csv_uri(["query", "query_token", "key", "key_token", "weight"], rows),
        csv_name=f"attention-{attention.which.lower().replace(', ', '-').replace(' ', '-')}.csv",
    )


def head_table(attention: Attention) -> Table:
    """What the heads look at, how many do so, and how far back: the most frequent first."""
    found: dict[str, list[float]] = {}
    for weights in attention.weights.reshape(-1, *attention.weights.shape[2:]):
        one = head(weights, attention.tokens)
        found.setdefault(one.name, []).append(one.reach)
    count = sum(len(r) for r in found.values())
    rows = []
    for name, reaches in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        mean = f"{sum(reaches) / len(reaches):.1f}"
        apart = f"{min(reaches):.1f} to {max(reaches):.1f}" if len(reaches) > 1 else "one head"
        rows.append([Cell(name), Cell(str(len(reaches)), "num"), Cell(mean, "num"), Cell(apart, "num muted")])
    cells = [Cell("Heads look at"), Cell(f"of {count}", "num"), Cell("Reach, tokens", "num")]
    return Table("What the heads look at", [*cells, Cell("range", "num")], rows, "plain", RULE)


def attention_html(attention: Attention) -> str:
    """The page of `inspect`: the text, all heads, one head, its block."""
    from .assembly import on_paper, page

    sections = [
        Section("heads", "All heads", [heads_figure(attention)], [head_table(attention)], full=True),
        Section("map", "One head", [map_figure(attention, 1032)], full=True),
    ]
    block = attention.block()
    narrow = attention.block(narrow=True)
    if block is not None and narrow is not None:
        summary = "MatMul of Q and K, Scale, Mask, SoftMax, MatMul with V, each with its matrix"
        caption = f"Scaled dot-product attention of {attention.which.lower()}. {attention.of_the_block()}"
        caption += " Each cell says its exact value when it is pointed at."
        figure = Figure(caption, wide=[block.inline(summary, "block")], narrow=[narrow.inline(summary, "block")])
        sections.append(Section("block", "Step by step", [figure], full=True))
    figures = [figure for section in sections for figure in section.figures]
    for number, figure in enumerate(figures, 1):
        figure.number = number
    return page(
        "attention.html",
        rules(attention, 1032) + on_paper(attention.name, "inspect, run" if attention.name else "inspect"),
        further=script(),
        name=shown_name(attention.name),
        title="Where the heads look",
        lead=attention.caption,
        text=tokens_markup(attention),
        last=f"{token_label(attention.tokens[-1])} ({len(attention.tokens)})",
        which=attention.which.lower(),
        sections=sections,
    )


def tokens_markup(attention: Attention) -> Markup:
    """The text, shaded by what its last token looks at in the chosen head."""
    last = attention.chosen[-1]
    out = []
    for i, (token, step) in enumerate(zip(attention.tokens, sequential(last).tolist(), strict=True)):
        css = "token" + (f" b-q{step}" if step else "") + (" at" if i == len(attention.tokens) - 1 else "")
        shown = shown_name(token) + ("\n" if token.endswith("\n") else "")
        out.append(Markup('<span class="{}">{}</span>').format(css, shown or "∅"))
    return Markup("").join(out)
