"""The four recurrent cells in numpy, float64, one step after the other, from the equations in the papers."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["CELLS", "by_hand", "random_weights"]

CELLS = ("rnn", "lstm", "peephole", "gru")
GATES = {"rnn": 1, "lstm": 4, "peephole": 4, "gru": 3}
Matrix = np.ndarray[Any, Any]


def random_weights(cell: str, inputs: int, units: int, size: float = 1.0, seed: int = 0) -> dict[str, Matrix]:
    """Of one layer, named as in torch."""
    rng, k = np.random.default_rng(seed), GATES[cell] * units
    shapes = {"weight_ih": (k, inputs), "weight_hh": (k, units), "bias_ih": (k,), "bias_hh": (k,)}
    shapes |= {"peephole": (3, units)} if cell == "peephole" else {}
    return {f"{name}_l0": size * rng.normal(size=shape) for name, shape in shapes.items()}


def sigmoid(x: Matrix) -> Matrix:
    return 1 / (1 + np.exp(-x))


def by_hand(cell: str, weights: dict[str, Matrix], x: Matrix, layer: int = 0) -> dict[str, Matrix]:
    """Every number of one layer for x (steps, inputs): gates, states, products and summands, each (steps, units)."""
    w = {name: np.asarray(weights[f"{name}_l{layer}"], float) for name in ("weight_ih", "weight_hh")}
    b, b_ = (np.asarray(weights[f"{name}_l{layer}"], float) for name in ("bias_ih", "bias_hh"))
    p = np.asarray(weights[f"peephole_l{layer}"], float) if cell == "peephole" else None
    units = w["weight_hh"].shape[1]
    h, c = np.zeros(units), np.zeros(units)
    rows = []
    for now in np.asarray(x, float):
        a = np.split(w["weight_ih"] @ now + b, GATES[cell])
        u = np.split(w["weight_hh"] @ h + b_, GATES[cell])
        row: dict[str, Matrix] = {"h_before": h}
        if cell == "rnn":
            pre = a[0] + u[0]
            row |= {"x_h": a[0], "h_h": u[0], "a_h": pre, "pre": pre, "h": np.tanh(pre)}
        elif cell == "gru":
            r, z = sigmoid(a[0] + u[0]), sigmoid(a[1] + u[1])
            n = np.tanh(a[2] + r * u[2])
            row |= {"x_r": a[0], "x_z": a[1], "x_n": a[2], "h_r": u[0], "h_z": u[1], "h_n": u[2]}
            row |= {"a_r": a[0] + u[0], "a_z": a[1] + u[1], "a_n": a[2] + r * u[2], "u": u[2], "reset": r * u[2]}
            row |= {"r": r, "z": z, "n": n, "open": 1 - z, "kept": z * h, "written": (1 - z) * n}
            row["h"] = (1 - z) * n + z * h
        else:
            through = (0.0, 0.0) if p is None else (p[0] * c, p[1] * c)
            sums = [a[0] + u[0] + through[0], a[1] + u[1] + through[1], a[2] + u[2], a[3] + u[3]]
            i, f, g = sigmoid(sums[0]), sigmoid(sums[1]), np.tanh(sums[2])
            row |= {"c_before": c, "kept": f * c, "written": i * g}
            c = f * c + i * g
            if p is not None:
                row |= {"c_i": through[0], "c_f": through[1], "c_o": p[2] * c}
                sums[3] = sums[3] + p[2] * c
            o = sigmoid(sums[3])
            row |= {"i": i, "f": f, "g": g, "o": o, "c": c, "squashed": np.tanh(c), "h": o * np.tanh(c)}
            for k, gate in enumerate("ifgo"):
                row |= {f"x_{gate}": a[k], f"h_{gate}": u[k], f"a_{gate}": sums[k]}
        h = row["h"]
        rows.append(row)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
