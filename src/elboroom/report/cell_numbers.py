"""The numbers of one unit of a recurrent cell at one step: gates, states, products, and what each gate adds up.

Equations as in `elboroom.nn.cells`: torch's, with i, f, g, o, c, h of the LSTM, r, z, n, h of the GRU, h of the RNN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .numbers import MINUS
from .plots import Array

__all__ = ["BOUNDS", "GATES", "TRACED", "Numbers", "meanings", "numbers_at", "wanted"]

GATES = {"rnn": ("h",), "lstm": ("f", "i", "g", "o"), "peephole": ("f", "i", "g", "o"), "gru": ("r", "z", "n")}
"""In the order in which they stand in the drawing."""
TRACED = {
    "rnn": ("pre", "h"),
    "lstm": ("f", "i", "g", "o", "c", "h"),
    "peephole": ("f", "i", "g", "o", "c", "h"),
    "gru": ("r", "z", "n", "h"),
}
"""Gates and states."""
BOUNDS = dict.fromkeys("fiorz", (0.0, 1.0)) | dict.fromkeys("gnh", (-1.0, 1.0))
"""Of a sigmoid and of a tanh; others have none."""

WORDS = {
    "f": "f[t], the forget gate: sigmoid of its sum",
    "i": "i[t], the input gate: sigmoid of its sum",
    "g": "g[t], what may be written: tanh of its sum",
    "o": "o[t], the output gate: sigmoid of its sum",
    "r": "r[t], the reset gate: sigmoid of its sum",
    "z": "z[t], the gate that keeps: sigmoid of its sum",
    "n": "n[t], what may be written: tanh of its sum",
    "c": "c[t], the cell state",
    "h": "h[t], the output",
    "c_before": "c[t-1], the cell state before",
    "h_before": "h[t-1], the output before",
    "squashed": "tanh c[t]",
    "pre": "the sum of gate h",
    "u": "U h[t-1] + b′ of n",
    "reset": "r[t] times that",
    "open": f"1 {MINUS} z[t]",
}
MADE = {"x": "W x[t] + b", "h": "U h[t-1] + b′", "c": "p c[t-1], through the peephole", "a": "the sum"}


@dataclass(frozen=True)
class Numbers:
    """Of one unit at one step."""

    cell: str
    """rnn, lstm, peephole or gru."""
    step: int
    """Counted from 1."""
    values: dict[str, float]
    """Gates and states by their letters; `c_before`, `h_before`; products `kept`, `written`, `squashed`, `u`, `reset`,
    `open`; and of each gate the summands x_, h_, c_ and their sum a_."""

    def said(self, name: str) -> str:
        """What a number is, in words."""
        text = self.meaning(name)
        return text.replace("[t-1]", f"[{self.step - 1}]").replace("[t]", f"[{self.step}]")

    def meaning(self, name: str) -> str:
        """The same of any step t."""
        if name in WORDS:
            text = WORDS[name]
        elif name in ("kept", "written"):
            lstm = self.cell != "gru"
            kept, written = ("f[t] c[t-1]", "i[t] g[t]") if lstm else ("z[t] h[t-1]", f"(1 {MINUS} z[t]) n[t]")
            text = f"{kept}, what is kept" if name == "kept" else f"{written}, what is written"
        else:
            part, gate = name.split("_")
            text = "p c[t], through the peephole" if name == "c_o" else MADE[part]
            text += f" of gate {gate}"
        return text


def meanings(numbers: Numbers) -> dict[str, str]:
    """What each of its numbers is, of any step t."""
    return {name: numbers.meaning(name) for name in numbers.values}


def wanted(cell: str) -> tuple[str, ...]:
    """The arrays that a drawing of the cell is made from."""
    gates = GATES[cell]
    through = ("c_f", "c_i", "c_o") if cell == "peephole" else ()
    return (*TRACED[cell], *(f"{part}_{gate}" for part in "xh" for gate in gates), *through)


def numbers_at(cell: str, arrays: Mapping[str, Array], step: int, unit: int) -> Numbers:
    """From arrays (steps, units) named as `wanted`; `step` and `unit` count from 1, and before step 1 states are 0."""
    at, k = step - 1, unit - 1
    v = {name: float(arrays[name][at, k]) for name in wanted(cell)}
    for state in "ch":
        if state in v:
            v[f"{state}_before"] = float(arrays[state][at - 1, k]) if at else 0.0
    for gate in GATES[cell]:
        v[f"a_{gate}"] = v[f"x_{gate}"] + v[f"h_{gate}"] + v.get(f"c_{gate}", 0.0)
    if cell == "gru":
        u, r, z = v["h_n"], v["r"], v["z"]
        v |= {"u": u, "reset": r * u, "open": 1 - z, "kept": z * v["h_before"], "written": (1 - z) * v["n"]}
        v["a_n"] = v["x_n"] + r * u
    elif cell != "rnn":
        v |= {"kept": v["f"] * v["c_before"], "written": v["i"] * v["g"], "squashed": math.tanh(v["c"])}
    return Numbers(cell, step, v)
