"""Many nets of one memory cell trained side by side: each has its own weights, data, and Adam, none knows of another.

The cell is that of `--cell peephole` (nn/peephole.py); held at zero peepholes it is that of `--cell lstm`. A net is a
line of 17 numbers, so what costs time is the number of steps and not of nets: values and gradients are written out in
numpy, with the nets on an axis of their own, and a hundred nets take about as long as one. The tests hold both against
the layer that users have.

Shapes: T steps, N nets, B sequences a net. Gates are in the order i, f, g, o.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROWS", "WEIGHTS", "Adam", "Array", "Nets", "Seen", "sigmoid"]

Array = NDArray[Any]
ROWS = {"input": slice(0, 4), "recurrent": slice(4, 8), "bias": slice(8, 12), "peephole": slice(12, 15)}
ROWS |= {"out": slice(15, 16), "out_bias": slice(16, 17)}
WEIGHTS = 17
"""Of one input, one cell and one output; 14 without peepholes."""


def sigmoid(x: Array) -> Array:
    out: Array = 0.5 + 0.5 * np.tanh(0.5 * x)
    return out


@dataclass
class Seen:
    """What a pass leaves for the gradient, and for the next pass."""

    x: Array
    """(T, N, B)"""
    gates: Array
    """(T, 4, N, B)"""
    c: Array
    """(T + 1, N, B), the first from before."""
    h: Array
    """(T + 1, N, B), likewise."""

    @property
    def state(self) -> tuple[Array, Array]:
        return self.h[-1], self.c[-1]


@dataclass
class Nets:
    """Weights (17, N), their rows as in `ROWS`; `free` (17, N) is 0 where a weight stays as it is, else 1."""

    weights: Array
    free: Array

    def part(self, name: str) -> Array:
        """(rows, N, 1)"""
        return self.weights[ROWS[name]][..., None]

    def pick(self, index: Any) -> Nets:
        """Some of them."""
        return Nets(self.weights[:, index], self.free[:, index])

    def read(self, x: Array, state: tuple[Array, Array] | None = None) -> tuple[Array, Seen]:
        """Outputs before the last squashing, (T, N, B), for inputs (T, N, B)."""
        steps, count, rows = x.shape
        into, recurrent, peepholes = self.part("input"), self.part("recurrent"), self.part("peephole")
        bias = self.part("bias")
        gates = np.empty((steps, 4, count, rows), np.float32)
        c, h = np.zeros((2, steps + 1, count, rows), np.float32)
        if state is not None:
            h[0], c[0] = state
        given = into * x[:, None] + bias
        for t in range(steps):
            pre = given[t] + recurrent * h[t]
            gate = gates[t]
            gate[:2] = sigmoid(pre[:2] + peepholes[:2] * c[t])
            gate[2] = np.tanh(pre[2])
            c[t + 1] = gate[1] * c[t] + gate[0] * gate[2]
            gate[3] = sigmoid(pre[3] + peepholes[2] * c[t + 1])
            h[t + 1] = gate[3] * np.tanh(c[t + 1])
        return self.part("out") * h[1:] + self.part("out_bias"), Seen(x, gates, c, h)

    def gradient(self, seen: Seen, error: Array) -> Array:
        """(17, N): of the sum over steps and sequences of a loss whose derivatives by the outputs are `error`."""
        i, f, g, o = np.moveaxis(seen.gates, 1, 0)
        before, squashed = seen.c[:-1], np.tanh(seen.c[1:])
        through_o = squashed * o * (1 - o)
        through_c = o * (1 - squashed**2)
        inner = np.stack([g * i * (1 - i), before * f * (1 - f), i * (1 - g**2)], 1)
        recurrent, peepholes = self.part("recurrent"), self.part("peephole")
        into_h = error * self.part("out")
        pre = np.empty_like(seen.gates)
        back_h = back_c = np.zeros_like(seen.h[0])
        for t in reversed(range(len(error))):
            dh = into_h[t] + back_h
            pre[t, 3] = dh * through_o[t]
            dc = back_c + dh * through_c[t] + pre[t, 3] * peepholes[2]
            pre[t, :3] = dc * inner[t]
            back_c = dc * f[t] + (pre[t, :2] * peepholes[:2]).sum(0)
            back_h = (recurrent * pre[t]).sum(0)
        out = np.empty_like(self.weights)
        out[ROWS["input"]] = np.einsum("tgnb,tnb->gn", pre, seen.x)
        out[ROWS["recurrent"]] = np.einsum("tgnb,tnb->gn", pre, seen.h[:-1])
        out[ROWS["bias"]] = pre.sum((0, 3))
        out[12:14] = np.einsum("tgnb,tnb->gn", pre[:, :2], before)
        out[14] = np.einsum("tnb,tnb->n", pre[:, 3], seen.c[1:])
        out[ROWS["out"]] = np.einsum("tnb,tnb->n", error, seen.h[1:])
        out[ROWS["out_bias"]] = error.sum((0, 2))
        return out * self.free


@dataclass
class Adam:
    """Kingma & Ba 2015, each net with its gradient cut to a norm of its own."""

    clip: float
    steps: int = 0
    mean: Array | float = 0.0
    square: Array | float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)

    def step_(self, nets: Nets, gradient: Array, lr: Array | float) -> None:
        """`lr`: one, or one a net."""
        norm = np.sqrt((gradient**2).sum(0))
        gradient = gradient * np.minimum(1, self.clip / np.maximum(norm, 1e-12)).astype(np.float32)
        one, two = self.betas
        self.steps += 1
        self.mean = one * self.mean + (1 - one) * gradient
        self.square = two * self.square + (1 - two) * gradient**2
        mean, square = self.mean / (1 - one**self.steps), self.square / (1 - two**self.steps)
        nets.weights -= (lr * mean / (np.sqrt(square) + 1e-8)).astype(np.float32)
