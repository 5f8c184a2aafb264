"""What flows inside a recurrent cell: two adjacent steps with all their numbers, all units, and the whole sequence.

Drawn from arrays and strings alone. The arrays are those of `elboroom inspect RUN --out FILE.npz`, so that a picture
can be made again from them.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from elboroom.core.errors import InputError

from .attention_block import three, token_label
from .cell_drawing import draw_cells
from .cell_numbers import GATES, Numbers, numbers_at, wanted
from .cell_traces import across_of, draw_strips, draw_traces, traces_of
from .drawing import Drawing, Group, Mark, Words
from .names import shown_name
from .numbers import MINUS
from .plots import Array
from .words import plural

if TYPE_CHECKING:
    from elboroom.outputs import Result

__all__ = ["NAMES", "CellFlow"]

TABLES = (".csv", ".tsv", ".parquet", ".jsonl")
WIDTH = 1032.0
NAMES = {"rnn": "RNN", "lstm": "LSTM", "peephole": "LSTM with peepholes", "gru": "GRU"}
EQUATIONS = {
    "rnn": "h[t] = tanh of the sum of W x[t] + b and U h[t-1] + b′.",
    "lstm": "c[t] = f × c[t-1] + i × g and h[t] = o × tanh c[t].",
    "peephole": "c[t] = f × c[t-1] + i × g and h[t] = o × tanh c[t]; gates i and f look at c[t-1], gate o at c[t], "
    "each through a weight p of its own.",
    "gru": "n[t] = tanh(W x[t] + b + r × (U h[t-1] + b′)) and h[t] = (1 - z) × n[t] + z × h[t-1]: the form of torch "
    "and cuDNN, where r resets after the recurrent product. That of 2014 (Cho et al., arXiv 1406.1078) resets before "
    "it, U (r × h[t-1]), and would give other numbers with the same weights.",
}
LABEL, NAME = 48, 14
"""Characters of a line under a cell, and of the name of a channel there."""


@dataclass(frozen=True, eq=False)
class CellFlow:
    """Gates and states of one layer on one sequence; layers, units and steps count from 1."""

    cell: str
    """rnn, lstm, peephole or gru."""
    values: dict[str, Array]
    """(steps, units) each, by the names of `wanted`."""
    steps: tuple[str, ...]
    """What each step is: a character, a time."""
    unit: int
    step: int
    """The second of the two that are drawn."""
    layer: int = 1
    layers: int = 1
    given: Array | None = None
    """(steps, channels): the input in the user's units, nan where missing; None for a text."""
    channels: tuple[str, ...] = ()
    x: Array | None = None
    """(steps, inputs): what the layer reads."""
    said: str = ""
    """What the sequence is, as a sentence."""
    name: str = ""
    """Of the run."""

    kind = "cell"

    @classmethod
    def of(cls, arrays: Mapping[str, Any], *, name: str = "") -> CellFlow:
        """From the arrays of a file; InputError says what does not fit."""
        cell = str(np.asarray(arrays.get("cell", "")).reshape(()))
        if cell not in GATES:
            raise InputError(f"there is no drawing of a cell {cell!r}; cells: {', '.join(GATES)}")
        steps = tuple(str(s) for s in np.asarray(arrays.get("steps", ())).reshape(-1))
        values = {key: _matrix(arrays, key, len(steps)) for key in wanted(cell)}
        shapes = {v.shape for v in values.values()}
        if len(shapes) > 1 or len(steps) < 2:
            raise InputError(f"the gates of a cell have one shape, (steps, units) with 2 steps or more, not {shapes}")
        units = values["h"].shape[1]
        layers, layer, unit, step = (_whole(arrays, key) for key in ("layers", "layer", "unit", "step"))
        for what, number, least, most in (
            ("layer", layer, 1, layers),
            ("unit", unit, 1, units),
            ("step", step, 2, len(steps)),
        ):
            if not least <= number <= most:
                raise InputError(f"there is no {what} {number} to draw: here they go from {least} to {most}")
        channels = tuple(str(c) for c in np.asarray(arrays.get("channels", ())).reshape(-1))
        given = _matrix(arrays, "input", len(steps), missing=True) if "input" in arrays else None
        if given is not None and given.shape[1] != len(channels):
            raise InputError(f"an input of shape {given.shape} does not fit {plural(len(channels), 'channel')}")
        x = _matrix(arrays, "x", len(steps)) if "x" in arrays else None
        said = str(np.asarray(arrays.get("said", "")).reshape(()))
        return cls(cell, values, steps, unit, step, layer, layers, given, channels, x, said, name)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """What `of` reads; plain arrays, without pickle."""
        found: dict[str, Any] = {"cell": np.str_(self.cell), "steps": np.array(self.steps, dtype=np.str_)}
        found |= {key: np.int64(getattr(self, key)) for key in ("layer", "layers", "unit", "step")}
        found |= {key: x.astype(np.float32) for key, x in self.values.items()}
        if self.given is not None:
            found |= {"input": self.given, "channels": np.array(self.channels, dtype=np.str_)}
        if self.x is not None:
            found["x"] = self.x.astype(np.float32)
        return {name: np.asarray(x) for name, x in {**found, "said": np.str_(self.said)}.items()}

    def forms(self) -> dict[str, Callable[[], bytes]]:
        """The endings of files that hold the pictures, and what makes them."""
        return {".png": self.png, ".svg": lambda: self.svg().encode(), ".html": lambda: self.html().encode()}

    def result(self, ending: str) -> Result:
        """The arrays for .npz; h for .npy; for tables a row a step and unit, a column a gate, state and summand."""
        from elboroom.core.spec import Column
        from elboroom.outputs import Result

        arrays = self.arrays()
        if ending in (".npz", ".npy"):
            return Result(name="h", values=arrays.pop("h"), beside=arrays)
        if ending not in TABLES:
            known = " ".join([*self.forms(), ".npz", ".npy", *TABLES])
            raise InputError(f"a cell has no form for {ending or 'a folder'}; endings: {known}")
        steps, units = self.values["h"].shape
        step, unit = (v.ravel() for v in np.indices((steps, units)))
        names = {
            "step": (step + 1).tolist(),
            "input": np.array(self.steps, dtype=object)[step].tolist(),
            "unit": (unit + 1).tolist(),
        }
        values = np.stack([x.ravel() for x in self.values.values()], axis=1)
        columns = tuple(Column(name=key) for key in self.values)
        return Result(name="value", values=values, columns=columns, names=names)

    # -- words -----------------------------------------------------------------------------------------------------

    @property
    def full_name(self) -> str:
        """Of the cell."""
        return NAMES[self.cell]

    @property
    def which(self) -> str:
        """The unit."""
        layer = f"layer {self.layer} of {self.layers}, " if self.layers > 1 else ""
        return f"{layer}unit {self.unit} of {self.values['h'].shape[1]}"

    @property
    def caption(self) -> str:
        """One sentence, and what the sequence is."""
        text = f"{NAMES[self.cell]}, {self.which}, at steps {self.step - 1} and {self.step} of {len(self.steps)}."
        return f"{text} {self.said}".strip()

    @property
    def equations(self) -> str:
        """What the drawing computes."""
        products = "" if self.cell == "rnn" else " Products of states and gates are elementwise."
        return EQUATIONS[self.cell].replace("-", MINUS) + products

    # -- drawings --------------------------------------------------------------------------------------------------

    def numbers(self, step: int) -> Numbers:
        """Everything that the drawing says of one step."""
        return numbers_at(self.cell, self.values, step, self.unit)

    def cells(self, *, narrow: bool = False) -> list[Drawing]:
        """The two steps in one drawing, or one after the other where there is little room."""
        both = [self.numbers(self.step - 1), self.numbers(self.step)]
        labels = [self.lines(n.step) for n in both]
        if narrow:
            return [draw_cells([n], [lines]) for n, lines in zip(both, labels, strict=True)]
        return [draw_cells(both, labels)]

    def lines(self, step: int) -> list[str]:
        """What stands under x of a step."""
        text = self.given is None
        label = token_label(self.steps[step - 1]) if text else shown_name(self.steps[step - 1])
        label = label if len(label) <= LABEL else label[: LABEL - 1] + "…"
        if self.layer > 1:
            head = f"x[{step}]: h of layer {self.layer - 1} after {label}"
        else:
            head = f"x[{step}] = {label}" if text else f"x[{step}], {label}"
        return [head] if self.given is None else [head, self._channels(self.given[step - 1].tolist())]

    def _channels(self, row: list[float]) -> str:
        """The input of a step on one line, as many channels as there is room for."""
        said = [
            f"{shown_name(name)[:NAME]} {three(value) if math.isfinite(value) else 'missing'}"
            for name, value in zip(self.channels, row, strict=True)
        ]
        count = max(k for k in range(1, len(said) + 1) if k == 1 or len(", ".join(said[:k])) <= LABEL)
        more = len(said) - count
        return ", ".join(said[:count]) + (f" and {more:,} more" if more else "")

    def strips(self, *, narrow: bool = False) -> Drawing:
        """All units at the two steps."""
        return draw_strips(self.cell, self.values, self.step, self.unit, narrow=narrow)

    def traces(self, width: float = WIDTH) -> Drawing:
        """The whole sequence."""
        found = traces_of(self.cell, self.values, self.unit)
        return draw_traces(found, self.steps, self.step, self.given, self.channels, width)

    def strip_words(self) -> str:
        """What the strips show."""
        return f"All units at the two steps, a column a unit; the frame is around unit {self.unit}."

    def across(self, width: float) -> str:
        """Where the steps of the traces lie: the left end of the first, and how far it is to the next."""
        axis = across_of(len(self.steps), width, letters=self.given is None)
        return f"{axis(0):.2f} {axis(1) - axis(0):.4f}"

    def trace_words(self) -> str:
        """What the traces show."""
        return (
            f"Thin line: mean of all units; band: one standard deviation to either side; strong line: unit {self.unit}."
            " The column marks the two steps that are drawn."
        )

    def sheet(self) -> Drawing:
        """Everything under each other, for a file."""
        marks: list[Mark] = [Words(0, 14, f"Inside a cell: {NAMES[self.cell]}", "ink", 16, face="bold")]
        y = 38.0

        def words(text: str, paint: str = "ink-3", size: int = 12) -> None:
            nonlocal y
            for line in textwrap.wrap(text, 150):
                marks.append(Words(0, y, line, paint, size))
                y += 17

        def place(drawing: Drawing, css: str) -> None:
            nonlocal y
            marks.append(Group(0, y, drawing.marks, css))
            y += drawing.height

        words(self.caption, "ink-2")
        words(self.equations)
        y += 4
        place(self.cells()[0], "cells-drawn")
        y += 18
        words(self.strip_words())
        place(self.strips(), "strips")
        y += 30
        marks.append(Words(0, y, "The whole sequence", "ink", 13, face="bold"))
        y += 18
        words(self.trace_words())
        place(self.traces(), "traces")
        return Drawing(WIDTH, y, marks)

    def svg(self) -> str:
        """One SVG file; numbers say what they are, with all digits, when pointed at."""
        return self.sheet().file(self.caption)

    def png(self) -> bytes:
        """The same as a PNG, two pixels to one."""
        return self.sheet().png(self.caption)

    def html(self) -> str:
        """A page one can hover."""
        from .cell_page import cell_html

        return cell_html(self)


def _matrix(arrays: Mapping[str, Any], name: str, steps: int, *, missing: bool = False) -> Array:
    """A named array (steps, columns) as float64."""
    try:
        found: Array = np.asarray(arrays[name]).astype(np.float64)
    except (KeyError, ValueError, TypeError):
        raise InputError(f"there is no array {name!r} of numbers") from None
    if found.ndim != 2 or len(found) != steps or not found.size:
        raise InputError(f"{name} of shape {found.shape} does not fit {plural(steps, 'step')}")
    if not missing and not np.isfinite(found).all():
        raise InputError(f"{name} holds values that are not finite")
    return found


def _whole(arrays: Mapping[str, Any], name: str) -> int:
    try:
        return int(np.asarray(arrays.get(name, 1)).reshape(()))
    except (ValueError, TypeError):
        raise InputError(f"{name} is no whole number") from None
