"""One head's attention as a heat map: a row for each token that looks, a column for each it looks at.

Vaswani et al. 2017; shares on the square-root scale, as most are small. Every cell carries its exact weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .attention_block import token_label
from .drawing import Box, Cells, Drawing, Group, Mark, Path, Steps, Words, advance
from .heat import LEVELS, sequential
from .plots import Array

__all__ = ["LargeMap", "causal", "exact", "head_data", "key", "large_map", "packed", "small_map", "steps_of"]

LONGEST, ON_PHONES = 12, 7
"""Characters of a token beside a map."""
PHONE = 400
LINE = 13.0
"""Labels closer than this would touch; every second is then left out, or more."""
CELL, GLANCE = 40.0, 760.0
"""The largest cell, and the largest map of cells that are taller than a line."""


@dataclass(frozen=True)
class LargeMap:
    """A map with names."""

    drawing: Drawing
    grid: str
    """Where its cells lie: "left top cell"."""
    stairs: bool
    """Whether the names of columns stand beside the diagonal, as they have no room on top."""


def exact(weights: Array) -> list[list[str]]:
    """Each number in the fewest digits that give the same float32 back."""
    return [[str(v) if v else "0" for v in row] for row in np.asarray(weights, dtype=np.float32)]


def packed(weights: Array) -> str:
    """The numbers of a map as data of a drawing: spaces between columns, ";" between rows, no zeros at a row's end."""
    last = [np.flatnonzero(row).max(initial=-1) + 1 for row in np.asarray(weights)]
    return ";".join(" ".join(row[:end]) for row, end in zip(exact(weights), last, strict=True))


def causal(weights: Array) -> bool:
    """Whether no token looks at a later one."""
    return not np.triu(weights, 1).any()


def steps_of(weights: Array) -> Steps:
    """Steps of the ramp; -1 where the weight is exactly 0, which is not drawn."""
    return np.where(weights > 0, sequential(weights), -1)


def small_map(weights: Array, size: float, layer: int, head: int, *, chosen: bool = False) -> Group:
    """A map without labels, `size` wide; the chosen one has a frame that shows."""
    cell = size / len(weights)
    cells = Cells(0, 0, cell, cell, steps_of(weights))
    frame = Box(-2, -2, size + 4, size + 4, "", "accent") if chosen else Box(0, 0, size, size, "", "rule")
    return Group(0, 0, [cells, frame], "head", head_data(weights, layer, head))


def head_data(weights: Array, layer: int, head: int) -> dict[str, str]:
    """What a map without labels carries."""
    return {"layer": str(layer), "head": str(head), "weights": packed(weights)}


def large_map(weights: Array, tokens: tuple[str, ...], width: float, title: str, *, titles: bool = True) -> LargeMap:
    """A map with names of rows and columns; with `titles` each cell says its weight when it is pointed at."""
    n, names = len(weights), [_short(token_label(t), LONGEST if width > PHONE else ON_PHONES) for t in tokens]
    longest = max(advance(t) for t in names)
    left, right = longest + 10, 2.0
    cell = _cell(width - left - right, n)
    above, stairs = longest + 2 <= cell, False
    if not above and causal(weights):
        stairs, right = True, longest + 8
        cell = _cell(width - left - right, n)
    size, top = cell * n, 26.0 if stairs else 42.0
    said = _Said(weights, tokens) if titles else None
    marks: list[Mark] = [
        Words(0, 12, title, "ink", 13, face="bold", css="map-title"),
        Cells(left, top, cell, cell, steps_of(weights), said=said),
    ]
    if stairs:
        marks.append(Path(((left, top), (left, top + size), (left + size, top + size)), "rule"))
    else:
        marks.append(Box(left, top, size, size, "", "rule"))
    every = int(np.ceil(LINE / cell))
    for i in range(0, n, every):
        y = top + (i + 0.5) * cell + 4
        title = token_label(tokens[i]) if names[i] != token_label(tokens[i]) else ""
        marks.append(Words(left - 6, y, names[i], "ink-2", 11, "end", "mono", title))
        if not above and causal(weights):
            marks.append(
                Words(left + (i + 1) * cell + 5, y, names[i], "ink-3", 11, "start", "mono", title, css="through")
            )
    for j in range(0, n, every) if above else ():
        marks.append(Words(left + (j + 0.5) * cell, top - 6, names[j], "ink-2", 11, "middle", "mono"))
    if not above and not stairs:  # numbers, as no name fits
        marks += [Words(left + (j + 0.5) * cell, top - 6, str(j + 1), "ink-3", 11, "middle") for j in range(0, n, 5)]
    drawing = Drawing(left + size + right, top + size + 2, marks)
    return LargeMap(drawing, f"{left:.1f} {top:.1f} {cell:.4f}", stairs)


def _cell(room: float, n: int) -> float:
    """Side of a cell: in half pixels, where that is not too coarse, and so that the map is seen at a glance."""
    cell = min(CELL, room / n, max(LINE + 1, GLANCE / n))
    return float(np.floor(cell * 2) / 2) if cell >= 4 else cell


def key(width: float = 132) -> Drawing:
    """The ramp between its ends."""
    step = (width - 24) / (LEVELS + 1)
    marks: list[Mark] = [
        Words(0, 10, "0", "ink-3", 11),
        *(Box(12 + i * step, 1, step + 0.3, 10, f"q{i}") for i in range(LEVELS + 1)),
        Words(width - 8, 10, "1", "ink-3", 11),
    ]
    return Drawing(width, 13, marks)


class _Said:
    """What a cell says when it is pointed at, and its exact weight."""

    def __init__(self, weights: Array, tokens: tuple[str, ...]) -> None:
        self.numbers, self.names = exact(weights), [token_label(t) for t in tokens]

    def __call__(self, i: int, j: int) -> tuple[str, str]:
        value = self.numbers[i][j]
        return f"{self.names[i]} ({i + 1}) looks at {self.names[j]} ({j + 1}): {value}", value


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
