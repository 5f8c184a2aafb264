"""All units of a layer: their gates at two adjacent steps as strips of cells, and over the whole sequence as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from .attention_block import three, token_label
from .cell_drawing import GAP, WASHES, WIDTH
from .cell_numbers import BOUNDS, TRACED
from .drawing import Box, Cells, Drawing, Group, Mark, Path, Steps, Words, advance
from .heat import color, diverging, sequential
from .names import shown_name
from .numbers import MINUS
from .pen import Pen
from .plots import Array, Axis, _n, tick_texts
from .words import plural

__all__ = ["Trace", "across_of", "draw_strips", "draw_traces", "traces_of"]

MOST = 128
"""Units whose cells each say their number when pointed at; of more, cells of one colour are joined."""
TALL = 13.0
LETTERS, NAMES, RIGHT = 92.0, 156.0, 8.0
"""Room beside traces: on the left under characters and under channels with names, and on the right."""
PANEL, BETWEEN = 54.0, 12.0
NARROW, SIDE = 358.0, 20.0
"""Of a phone, and the room for names there."""
CHANNELS = 4
"""Channels of an input that are drawn."""


@dataclass(frozen=True)
class Area(Mark):
    """A filled shape."""

    points: tuple[tuple[float, float], ...]
    fill: str

    def svg(self, alone: bool) -> str:
        own = f' fill="{color(self.fill)}"' if alone else ""
        d = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in self.points) + "Z"
        return f'<path class="f-{self.fill}"{own} d="{d}"/>'

    def put(self, pen: Pen) -> None:
        pen.polygon(self.points, self.fill)


# -- strips ------------------------------------------------------------------------------------------------------------


def draw_strips(cell: str, arrays: Mapping[str, Array], step: int, unit: int, *, narrow: bool = False) -> Drawing:
    """Every unit's gates and states at `step` - 1 and `step`, side by side or under each other; both count from 1."""
    names = [name for name in TRACED[cell] if name != "pre"]
    units = arrays["h"].shape[1]
    wide = (NARROW - SIDE if narrow else WIDTH) / units
    block = 20 + len(names) * (TALL + 3) + 8
    marks: list[Mark] = []
    for k, at in enumerate((step - 2, step - 1)):
        left, top = (SIDE, k * block) if narrow else (GAP + k * (WIDTH + GAP), 0.0)
        marks.append(Words(left, top + 12, f"All {units} units at step {at + 1}", "ink-2", 11))
        for row, name in enumerate(names):
            y = top + 20 + row * (TALL + 3)
            shades = _shades(name, arrays[name][step - 2 : step])[k : k + 1]
            values = arrays[name][at]
            if not k or narrow:
                marks.append(Words(left - 8, y + 10.5, name, "ink", 11, "end", "bold"))
            said = _Said(name, values, at) if units <= MOST else None
            marks.append(Cells(left, y, wide, TALL, shades, _letter(name), said))
        tall = len(names) * (TALL + 3) - 3
        x = left + (unit - 1) * wide
        marks.append(Box(x - 1.5, top + 17, max(wide, 1) + 3, tall + 6, "", "accent", 1))
    pair = {name: arrays[name][step - 2 : step] for name in names}
    low = 2 * block if narrow else block
    keys, bottom = _keys(cell, pair, SIDE if narrow else GAP, low, narrow=narrow)
    return Drawing(NARROW if narrow else 2 * WIDTH + 3 * GAP, bottom, [*marks, *keys])


def _letter(name: str) -> str:
    return "q" if BOUNDS.get(name) == (0.0, 1.0) else "d"


def _shades(name: str, values: Array) -> Steps:
    if _letter(name) == "q":
        return sequential(values)
    end = 1.0 if name in BOUNDS else float(np.abs(values).max())
    return diverging(np.append(values.ravel(), end))[:-1].reshape(values.shape)


class _Said:
    """What a cell of a strip says when it is pointed at."""

    def __init__(self, name: str, values: Array, at: int) -> None:
        self.name, self.values, self.at = name, values, at

    def __call__(self, i: int, j: int) -> tuple[str, str]:
        value = float(self.values[j])
        return f"{self.name}[{self.at + 1}] of unit {j + 1}: {value!r}", repr(value)


def _keys(cell: str, pair: Mapping[str, Array], x: float, y: float, *, narrow: bool) -> tuple[list[Mark], float]:
    """What the colours of each row run over, and where that ends."""
    names = [name for name in TRACED[cell] if name != "pre"]
    end = three(float(np.abs(pair["c"]).max())) if "c" in names else ""
    lines = [(" ".join(n for n in names if n in "fiorz"), "q", "0", "1, square-root scale")]
    lines += [(" ".join(n for n in names if n in "gnh"), "d", f"{MINUS}1", "1"), ("c", "d", f"{MINUS}{end}", end)]
    marks: list[Mark] = []
    first = x
    for said, letter, low, high in lines:
        if not said or (said == "c" and not end):
            continue
        marks.append(Words(x, y + 9, f"{said}: {low}", "ink-3", 11))
        x += advance(f"{said}: {low}") + 6
        marks += [Cells(x, y, 2, 10, np.arange(33)[None], letter), Box(x, y, 66, 10, "", "rule")]
        marks.append(Words(x + 72, y + 9, high, "ink-3", 11))
        x, y = (first, y + 16) if narrow else (x + 72 + advance(high) + 28, y)
    return marks, y + (0 if narrow else 14)


# -- traces ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trace:
    """One gate or state over all steps, in units of all and of one."""

    name: str
    mean: Array
    spread: Array
    """One standard deviation over the units."""
    one: Array
    """Of the unit that is drawn."""


def traces_of(cell: str, arrays: Mapping[str, Array], unit: int) -> list[Trace]:
    """Of every gate and state; `unit` counts from 1."""
    return [
        Trace(name, arrays[name].mean(axis=1), arrays[name].std(axis=1), arrays[name][:, unit - 1])
        for name in TRACED[cell]
    ]


def across_of(steps: int, width: float, *, letters: bool) -> Axis:
    """Step k, counted from 1, lies between k - 1 and k."""
    return Axis(0, steps, LETTERS if letters else NAMES, width - RIGHT)


def draw_traces(
    traces: Sequence[Trace],
    steps: Sequence[str],
    step: int,
    given: Array | None = None,
    channels: Sequence[str] = (),
    width: float = 1032.0,
) -> Drawing:
    """One row a channel of the input, or the characters, then one row a gate or state; the two steps are marked."""
    across = across_of(len(steps), width, letters=given is None)
    marks: list[Mark] = []
    y = 4.0
    if given is None:
        marks += _letters(steps, across, step, y)
        y += 26
    else:
        for name, values in list(zip(channels, given.T, strict=True))[:CHANNELS]:
            marks += _channel(name, values, across, y)
            y += PANEL * 0.75 + BETWEEN
        if len(channels) > CHANNELS:
            text = f"and {plural(len(channels) - CHANNELS, 'more channel')}, not drawn"
            marks.append(Words(across.start, y + 4, text, "ink-3", 11))
            y += 20
    for trace in traces:
        marks += _panel(trace, across, y)
        y += PANEL + BETWEEN
    bottom = y - BETWEEN
    marks += _feet(steps, across, bottom, letters=given is None)
    left, right = across(step - 2), across(step)
    back: list[Mark] = [Box(left, 0, right - left, bottom, "inset", css="mark")]
    return Drawing(width, bottom + 20, [*back, *marks])


def _letters(steps: Sequence[str], across: Axis, step: int, y: float) -> list[Mark]:
    """Each step's character over it."""
    room = across(1) - across(0)
    marks: list[Mark] = [Words(0, y + 12, "input", "ink-2", 11)]
    for k, name in enumerate(steps):
        label = token_label(name)
        short = label if advance(label) <= room + 2 else label[: max(1, int(room / advance("x")) - 1)] + "…"
        face = "ink" if k in (step - 2, step - 1) else "ink-2"
        if advance(short) <= room + 2:
            marks.append(Words(across(k + 0.5), y + 12, short, face, 11, "middle", "mono", f"step {k + 1}: {label}"))
    return marks


def _channel(name: str, values: Array, across: Axis, y: float) -> list[Mark]:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    up = Axis(low, high, y + PANEL * 0.75 - 4, y + 4)
    marks = _frame(shown_name(name), up, (low, high), across, y, PANEL * 0.75, bold=False)
    marks += [Path(points, "ink", width=1) for points in _pieces(values, across, up)]
    return marks


def _panel(trace: Trace, across: Axis, y: float) -> list[Mark]:
    lows, highs = trace.mean - trace.spread, trace.mean + trace.spread
    least, most = float(min(lows.min(), trace.one.min())), float(max(highs.max(), trace.one.max()))
    low, high = BOUNDS.get(trace.name, (least, most))
    up = Axis(min(low, least), max(high, most), y + PANEL - 2, y + 2)
    marks = _frame(trace.name, up, (low, high), across, y, PANEL)
    xs = [across(k + 0.5) for k in range(len(trace.mean))]
    over = [(x, up(v)) for x, v in zip(xs, highs.tolist(), strict=True)]
    under = [(x, up(v)) for x, v in zip(xs, lows.tolist(), strict=True)]
    marks.append(Area((*over, *reversed(under)), WASHES.get(trace.name, "wash-c7")))
    lines = [Path(points, "ink-2", width=1) for points in _pieces(trace.mean, across, up)]
    lines += [Path(points, "accent", width=1.75) for points in _pieces(trace.one, across, up)]
    data = {"name": trace.name}
    for kind in ("mean", "spread", "one"):
        data[kind] = " ".join(repr(float(np.float32(v))) for v in getattr(trace, kind))
    return [*marks, Group(0, 0, lines, "trace", data)]


def _frame(
    name: str, up: Axis, ends: tuple[float, float], across: Axis, y: float, tall: float, bold: bool = True
) -> list[Mark]:
    """Name, the values at both ends, and lines there."""
    marks: list[Mark] = []
    for value, text in zip(ends, _end_texts(ends), strict=True):
        at = up(value)
        marks.append(Path(((across.start, at), (across.end, at)), "rule"))
        marks.append(Words(across.start - 6, at + 4, text, "ink-3", 11, "end"))
    most = int((across.start - 48) / advance("x"))
    short = name if len(name) <= most else name[: most - 1] + "…"
    marks.append(Words(0, y + tall / 2 + 4, short, "ink", 11, face="bold" if bold else "sans", title=name))
    return marks


def _end_texts(ends: tuple[float, float]) -> list[str]:
    if all(float(v).is_integer() and abs(v) < 1000 for v in ends):
        return tick_texts(ends)
    return [three(v) for v in ends]


def _pieces(values: Array, across: Axis, up: Axis) -> list[tuple[tuple[float, float], ...]]:
    """Lines through the values that are there, a short one where one stands alone."""
    found = []
    for good, run in groupby(enumerate(values.tolist()), key=lambda pair: np.isfinite(pair[1])):
        points = [(across(k + 0.5), up(v)) for k, v in run] if good else []
        if len(points) == 1:
            points = [(points[0][0] - 1, points[0][1]), (points[0][0] + 1, points[0][1])]
        if points:
            found.append(tuple(points))
    return found


def _feet(steps: Sequence[str], across: Axis, y: float, *, letters: bool) -> list[Mark]:
    """Numbers of steps, and where they have other names than characters the first and the last of these."""
    marks: list[Mark] = [Words(0, y + 15, "step", "ink-3", 11)]
    ends = () if letters else (0, len(steps) - 1)
    room = {k: (advance(f"{k + 1}: {steps[k]}"), "start" if not k else "end") for k in ends}
    for k, (_, anchor) in room.items():
        marks.append(Words(across(k) if not k else across(k + 1), y + 15, f"{k + 1}: {steps[k]}", "ink-3", 11, anchor))
    low = across.start + room[0][0] + 24 if room else 0.0
    high = across.end - room[len(steps) - 1][0] - 24 if room else across.end
    every = max(1, next(n for n in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000) if n * (across(1) - across(0)) >= 36))
    for k in range(every, len(steps) + 1, every):
        if low < across(k - 0.5) < high:
            marks.append(Words(across(k - 0.5), y + 15, str(k), "ink-3", 11, "middle"))
    return marks
