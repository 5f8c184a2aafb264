"""Scaled dot-product attention as a drawing of its block, every matrix in its place with its actual numbers.

Vaswani et al. 2017 (arXiv 1706.03762), figure 2 left and equation 1: MatMul of Q and K, Scale, Mask, SoftMax, MatMul
with V. On a wide page it stands as in the paper, from the bottom up; on a narrow one it is read from the top down.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from elboroom.core.errors import InputError

from .attention_steps import Stages, stages
from .drawing import Box, Cells, Drawing, Group, Mark, Path, Steps, Words, advance
from .heat import diverging, sequential
from .names import shown_name
from .numbers import MINUS
from .plots import Array

__all__ = ["MOST", "draw_attention", "three", "token_label"]

MOST = 8
"""Tokens drawn; of a longer text the first, which under a causal mask are as they are in the whole."""
WIDE, NARROW = 1032.0, 358.0
ROW = 19.0
HEAD, BARE = 38.0, 20.0
"""Title of a matrix, with the tokens over its columns and without."""
BOX = 150.0
LEFT = 274.0
"""Where the matrices begin beside the figure."""
WIDEST = 56.0
"""Of a cell."""


def draw_attention(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    scale: float | None = None,
    *,
    causal: bool = False,
    tokens: Sequence[str] = (),
    keys: Sequence[str] = (),
    narrow: bool = False,
) -> Drawing:
    """The block of one head with its matrices; arguments as of `stages`, names of queries and of keys beside them.

    Of more than eight tokens the first are drawn. `keys` are `tokens` where they are left out.
    """
    found = stages(q, k, v, mask, scale, causal=causal)
    rows = tuple(tokens) or tuple(f"{i + 1}" for i in range(len(found.q)))
    columns = tuple(keys) or (rows if len(found.k) == len(found.q) else tuple(f"{i + 1}" for i in range(len(found.k))))
    if len(rows) != len(found.q) or len(columns) != len(found.k):
        raise InputError(f"{len(rows)} and {len(columns)} names for {len(found.q)} queries and {len(found.k)} keys")
    names = [token_label(t) for t in rows], [token_label(t) for t in columns]
    return _narrow(found, *names) if narrow else _wide(found, *names)


def token_label(text: str) -> str:
    """A token with its white space made visible."""
    return shown_name(text).replace(" ", "␣") or "∅"


def three(value: float) -> str:
    """Three significant digits."""
    if not math.isfinite(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    digits = f"{value:.2e}"
    mantissa, power = digits.split("e")
    if -3 <= int(power) <= 3:
        digits = f"{float(digits):.{max(0, 2 - int(power))}f}"
    else:
        digits = f"{mantissa}e{int(power)}"
    return digits.replace("-", MINUS)


# -- one matrix --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """A matrix and what is said of it."""

    name: str
    title: str
    note: str
    values: Array
    rows: list[str]
    columns: list[str]
    """Empty where columns are features."""
    share: bool = False
    """Values are shares: the sequential ramp."""

    @property
    def head(self) -> float:
        """Where the cells begin."""
        return HEAD if self.columns else BARE

    @property
    def tall(self) -> float:
        return self.head + ROW * len(self.values)

    def cell(self, width: float, label: float) -> float:
        """Width of a cell, where `label` of `width` is left to the names of rows."""
        return min(WIDEST, (width - label) / self.values.shape[1])

    def drawn(self, x: float, y: float, width: float, label: float) -> Group:
        """Title, names and cells."""
        rows, columns = self.values.shape
        cell, head = self.cell(width, label), self.head
        marks: list[Mark] = [Words(0, 12, self.title, "ink", 12, face="bold")]
        for j, name in enumerate(self.columns):
            at = label + (j + 0.5) * cell
            marks.append(Words(at, head - 6, _cut(name, cell), "ink-2", 11, "middle", "mono", _whole(name, cell)))
        room = label - 8
        for i, name in enumerate(self.rows):
            at = head + i * ROW + 13.5
            marks.append(Words(label - 6, at, _cut(name, room), "ink-2", 11, "end", "mono", _whole(name, room)))
        steps = sequential(self.values) if self.share else diverging(self.values)
        steps = np.where(np.isneginf(self.values), -1, steps)
        marks.append(Box(label, head, cell * columns, ROW * rows, "inset"))
        marks.append(Cells(label, head, cell, ROW, steps, self._letter, self._said))
        marks += self._numbers(steps, cell, label)
        marks.append(Box(label, head, cell * columns, ROW * rows, "", "rule"))
        values = ";".join(" ".join(repr(v) for v in row) for row in self.values.tolist())
        return Group(x, y, marks, "matrix", {"name": self.name, "values": values})

    @property
    def _letter(self) -> str:
        return "q" if self.share else "d"

    def _numbers(self, steps: Steps, cell: float, label: float) -> list[Mark]:
        """A number in each cell, where cells are wide enough for all of them."""
        texts = [[three(v) for v in row] for row in self.values.tolist()]
        if max(_number_width(t) for row in texts for t in row) > cell:
            return []
        marks: list[Mark] = []
        for i, j in np.ndindex(*steps.shape):
            ground = f"{self._letter}{steps[i, j]}" if steps[i, j] >= 0 else ""
            left, down = label + (j + 0.5) * cell, self.head + i * ROW + 13.5
            marks.append(Words(left, down, texts[i][j], "ink-3", 11, "middle", css="through", ground=ground))
        return marks

    def _said(self, i: int, j: int) -> tuple[str, str]:
        value = float(self.values[i, j])
        column = self.columns[j] if self.columns else f"column {j + 1}"
        return f"{self.rows[i]}, {column}: {value!r}", repr(value)

    def scale(self) -> str:
        """What the colours run over."""
        if self.share:
            return "Colour: 0 to 1, square-root scale."
        finite = self.values[np.isfinite(self.values)]
        end = three(float(np.abs(finite).max())) if finite.size else "0"
        return f"Colour: {MINUS}{end} to {end}, linear."


def _number_width(text: str) -> float:
    """Pixels of a number of size 11 in the widest face met."""
    return 1 + sum(3.5 if c == "." else 9.3 if c == MINUS else 7.0 for c in text)


def _cut(name: str, room: float) -> str:
    most = max(1, int(room / advance("x")))
    return name if advance(name) <= room else name[: max(1, most - 1)] + "…"


def _whole(name: str, room: float) -> str:
    return "" if advance(name) <= room else name


def _tables(s: Stages, rows: list[str], columns: list[str], most: int) -> dict[str, _Table]:
    """All matrices, cut to `most` tokens, by name."""
    longest = max(len(rows), len(columns))
    cut = f" The first {most} of {longest} tokens are drawn." if longest > most else ""
    over = f" over all {len(columns)}" if s.weights[:most, most:].any() else ""
    width = s.q.shape[1]
    root = f"1/√{width} = " if math.isclose(s.scale, 1 / math.sqrt(width)) else ""
    said = {
        "q": ("Q, queries", f"One row a token, {width} wide.{cut}", s.q),
        "k": ("K, keys", f"One row a token, {width} wide.", s.k),
        "v": ("V, values", f"One row a token, {s.v.shape[1]} wide.", s.v),
        "scores": ("QKᵀ", "Each query times each key, a sum of products.", s.scores),
        "scaled": ("Scaled", f"Times {root}{three(s.scale)}, so that the size does not grow with the width.", s.scaled),
        "masked": (
            "Masked",
            f"{MINUS}∞ where a token may not look; the others as they were or as the mask adds.",
            s.masked,
        ),
        "weights": ("Weights", f"SoftMax of each row: where a token looks, in shares that sum to 1{over}.", s.weights),
        "output": ("Output", "Weights times V: each row a mean of values.", s.output),
    }
    found = {}
    for name, (title, note, values) in said.items():
        if values is None:
            continue
        square = name in ("scores", "scaled", "masked", "weights")
        down = columns if name in ("k", "v") else rows
        across = columns[:most] if square else []
        kept = values[:most, :most] if square else values[:most]
        found[name] = _Table(name, title, note, kept, down[:most], across, name == "weights")
    return found


# -- the wide drawing --------------------------------------------------------------------------------------------------

COLORS = {"MatMul": "wash-c4", "Scale": "wash-c5", "Mask": "wash-c7", "SoftMax": "wash-c3"}
STEPS = (("MatMul", "output"), ("SoftMax", "weights"), ("Mask", "masked"), ("Scale", "scaled"), ("MatMul", "scores"))
"""From the top down, each with the matrix it makes."""


def _wide(s: Stages, rows: list[str], columns: list[str]) -> Drawing:
    tables = _tables(s, rows, columns, MOST)
    steps = [(name, tables[key]) for name, key in STEPS if key in tables]
    label = 16 + min(56.0, max(advance(t) for t in [*rows[:MOST], *columns[:MOST]]))
    aside = LEFT + label + max(t.cell(520, label) * t.values.shape[1] for _, t in steps) + 20
    marks: list[Mark] = []
    middles: list[float] = []
    top = 10.0
    for i, (name, table) in enumerate(steps):
        middles.append(top + (table.head + table.tall) / 2)
        marks += [table.drawn(LEFT, top, 520, label), *_notes(table, aside, top + table.head + 10, 34)]
        marks.append(Box(47, middles[i] - 18, BOX if i else 210.0, 36, COLORS[name], "ink-3", 4))
        marks.append(Words(122 if i else 152, middles[i] + 4, name, "ink", 13, "middle"))
        top += max(table.tall, table.head + 50) + 24
    marks.append(Path(((152, middles[0] - 18), (152, 8)), arrow=True))
    for above, below in pairwise(middles):
        marks.append(Path(((122, below - 18), (122, above + 18)), arrow=True))
    for x, letter, end in ((85, "Q", middles[-1]), (159, "K", middles[-1]), (228, "V", middles[0])):
        marks.append(Path(((x, top + 6), (x, end + 18)), arrow=True))
        marks.append(Words(x, top + 21, letter, "ink", 13, "middle", "bold"))
    left, lowest, top = 0.0, 0.0, top + 42
    for key in ("q", "k", "v"):
        table = tables[key]
        lines = _notes(table, left, top + table.tall + 16, 50)
        marks += [table.drawn(left, top, 328, label), *lines]
        lowest = max(lowest, top + table.tall + 16 * len(lines))
        left += 352
    return Drawing(WIDE, lowest + 6, marks)


def _notes(table: _Table, x: float, y: float, width: int) -> list[Mark]:
    lines = [*textwrap.wrap(table.note, width), *textwrap.wrap(table.scale(), width)]
    return [Words(x, y + 16 * i, line, "ink-3", 12) for i, line in enumerate(lines)]


# -- the narrow drawing ------------------------------------------------------------------------------------------------


def _narrow(s: Stages, rows: list[str], columns: list[str]) -> Drawing:
    """One under the other, from the inputs down, as many tokens as can be read."""
    label = 14 + min(34.0, max(advance(t) for t in [*rows[:MOST], *columns[:MOST]]))
    square = [x for x in (s.scores, s.scaled, s.masked, s.weights) if x is not None]
    widest = max(_number_width(three(v)) for x in square for v in x[:MOST, :MOST].ravel().tolist())
    tables = _tables(s, rows, columns, max(2, min(MOST, int((NARROW - 2 - label) / widest))))
    marks: list[Mark] = []
    y = 0.0

    def place(key: str) -> None:
        nonlocal y
        lines = _notes(tables[key], 0, y + tables[key].tall + 16, 50)
        marks.extend([tables[key].drawn(0, y, NARROW - 1, label), *lines])
        y += tables[key].tall + 16 * len(lines) + 16

    def box(name: str) -> None:
        nonlocal y
        marks.append(Path(((NARROW / 2, y - 6), (NARROW / 2, y + 14)), arrow=True))
        marks.append(Box(NARROW / 2 - 75, y + 14, BOX, 32, COLORS[name], "ink-3", 4))
        marks.append(Words(NARROW / 2, y + 34, name, "ink", 13, "middle"))
        marks.append(Path(((NARROW / 2, y + 46), (NARROW / 2, y + 64)), arrow=True))
        y += 68

    place("q")
    place("k")
    for name, key in reversed(STEPS):
        if key == "output":
            place("v")
        if key in tables:
            box(name)
            place(key)
    return Drawing(NARROW, y, marks)
