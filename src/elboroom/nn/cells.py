"""The four recurrent cells: their equations, the kernels that compute them, and the step that changes nothing.

x input, h hidden state (what the cell puts out), c cell state (what it keeps to itself); W, U and b, b' are torch's
weight_ih, weight_hh, bias_ih, bias_hh, with their gates in torch's order. Products of states and gates are elementwise.

    rnn        h = tanh(W x + b + U h + b')                                 Elman 1990
    lstm       i, f, o = sigmoid(W x + b + U h + b'), g = tanh(the same)    Hochreiter & Schmidhuber 1997; forget gate:
               c = f c + i g,  h = o tanh(c)                                Gers, Schmidhuber & Cummins 2000
    peephole   lstm whose i, f and o also look at c                         see `peephole`
    gru        r, z = sigmoid(W x + b + U h + b')                           Cho et al. 2014 (arXiv 1406.1078)
               n = tanh(W x + b + r (U h + b')),  h = (1 - z) n + z h

The gru is torch's (and cuDNN's) form, which resets after the recurrent product; that of 2014 resets before it, U (r h),
has no biases, and its weights give other values here. In both z keeps and 1 - z writes.

A step is *closed* by adding +-1e4 to the pre-activations of its gates: they saturate at exactly 0 and 1, with
derivatives of exactly 0, so c (or, in a gru, h) goes through unchanged and no gradient enters. Rows that end early have
closed steps for their padding: torch's kernels then need no packing, in either direction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .gru import gru_steps, torch_because
from .peephole import peephole_layer, peephole_steps

__all__ = ["CELLS", "Cell", "Found", "Kind", "Weights", "side_by_side"]

Cell = Literal["rnn", "lstm", "peephole", "gru"]
SATURATED = 1e4
"""sigmoid and tanh of it are exact in every dtype, and float16 can hold it."""

Found = tuple[Tensor, Tensor, Tensor | None]
"""Outputs (B, T, H * directions), hidden states and cell states (layers * directions, B, H) after the last step."""


class Weights(NamedTuple):
    """Of one layer in one direction, with k gates."""

    input: Tensor
    """(kH, I)"""
    recurrent: Tensor
    """(kH, H)"""
    input_bias: Tensor
    """(kH,)"""
    recurrent_bias: Tensor
    """(kH,)"""
    peepholes: Tensor | None = None
    """(3, H)"""


class Kind(ABC):
    """One of the cells. It holds no numbers of its own."""

    gates: ClassVar[tuple[str, ...]]
    values: ClassVar[tuple[str, ...]]
    """What `equations` gives, in the order in which it arises."""
    keeps: ClassVar[bool]
    """Whether there is a cell state."""
    closing: ClassVar[tuple[float, ...]]
    """What closes a step, as multiples of `SATURATED`, a gate each."""
    resting: ClassVar[float | None]
    """h during closed steps; None: the h from before them."""
    stacks: ClassVar[bool] = True
    """Whether one call of `run` takes several layers."""

    @abstractmethod
    def run(self, x: Tensor, hidden: Tensor, memory: Tensor | None, weights: Sequence[Weights], layers: int) -> Found:
        """All steps of x (B, T, I) from the given states, for one weight set a layer and direction."""

    @abstractmethod
    def once(self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> tuple[Tensor, Tensor | None]:
        """One step of one layer: x (B, I), h and c (B, H)."""

    @abstractmethod
    def equations(self, a: Tensor, u: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> dict[str, Tensor]:
        """Every value of one step from a = W x + b and u = U h + b'."""

    @abstractmethod
    def begin_(self, bias: Tensor, forget_bias: float, chrono: int) -> None:
        """Write into a bias (kH,) of zeros what the gates begin with."""

    def seen(self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> dict[str, Tensor]:
        """All `values` of all steps, each (B, T, H), by the equations as they stand."""
        steps = []
        for a in F.linear(x, w.input, w.input_bias).unbind(1):
            found = self.equations(a, F.linear(h, w.recurrent, w.recurrent_bias), h, c, w)
            h, c = found["h"], found.get("c")
            steps.append(found)
        return {name: torch.stack([step[name] for step in steps], 1) for name in self.values}

    def closed(self, weights: Weights) -> Tensor:
        """(kH, 1): a column of the input matrix whose input, where it is 1, closes the step."""
        width = weights.recurrent.shape[1]
        return torch.cat([weights.recurrent.new_full((width, 1), SATURATED * sign) for sign in self.closing])


class Vanilla(Kind):
    """Elman's network with tanh."""

    gates = ("h",)
    values = ("pre", "h")
    keeps = False
    closing = (1.0,)
    resting = 1.0

    def begin_(self, bias: Tensor, forget_bias: float, chrono: int) -> None:
        pass  # it has no gate to open or shut

    def run(self, x: Tensor, hidden: Tensor, memory: Tensor | None, weights: Sequence[Weights], layers: int) -> Found:
        y, h = torch.rnn_tanh(x, hidden, *arguments(weights, layers))
        return y, h, None

    def once(self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> tuple[Tensor, Tensor | None]:
        return torch.rnn_tanh_cell(x, h, *w[:4]), None

    def equations(self, a: Tensor, u: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> dict[str, Tensor]:
        pre = a + u
        return {"pre": pre, "h": torch.tanh(pre)}


class Forgetting(Kind):
    """What lstm and peephole share."""

    gates = ("i", "f", "g", "o")
    values = ("i", "f", "g", "o", "c", "h")
    keeps = True
    closing = (-1.0, 1.0, 0.0, -1.0)
    resting = 0.0

    def begin_(self, bias: Tensor, forget_bias: float, chrono: int) -> None:
        i, f, _, _ = bias.chunk(4)
        if chrono:
            i.copy_(-f.copy_(log_times(f, chrono)))
        else:
            f.fill_(forget_bias)


class LSTM(Forgetting):
    """torch's."""

    def run(self, x: Tensor, hidden: Tensor, memory: Tensor | None, weights: Sequence[Weights], layers: int) -> Found:
        assert memory is not None
        with exact_where_needed(x):
            return torch.lstm(x, (hidden, memory), *arguments(weights, layers))

    def once(self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> tuple[Tensor, Tensor | None]:
        assert c is not None
        return torch.lstm_cell(x, (h, c), *w[:4])

    def equations(self, a: Tensor, u: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> dict[str, Tensor]:
        assert c is not None
        i, f, g, o = (a + u).chunk(4, -1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c + i * g
        return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * torch.tanh(c)}


class Peephole(Forgetting):
    """The lstm of `peephole`."""

    stacks = False

    def run(self, x: Tensor, hidden: Tensor, memory: Tensor | None, weights: Sequence[Weights], layers: int) -> Found:
        assert memory is not None
        outputs, ends, kept = [], [], []
        for direction, w in enumerate(weights):
            assert w.peepholes is not None
            bias = w.input_bias + w.recurrent_bias
            y, h, c = peephole_steps(
                x, hidden[direction], memory[direction], w.input, w.recurrent, bias, w.peepholes, bool(direction)
            )
            outputs.append(y)
            ends.append(h)
            kept.append(c)
        y = torch.cat(outputs, -1) if len(outputs) > 1 else y
        return y, torch.stack(ends), torch.stack(kept)

    def once(self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> tuple[Tensor, Tensor | None]:
        assert c is not None
        a = F.linear(x, w.input, w.input_bias + w.recurrent_bias)
        assert w.peepholes is not None
        _, h, c = peephole_layer(a[:, None], h, c, w.recurrent, w.peepholes)
        return h, c

    def equations(self, a: Tensor, u: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> dict[str, Tensor]:
        assert c is not None
        assert w.peepholes is not None
        into_i, into_f, into_o = w.peepholes
        i, f, g, o = (a + u).chunk(4, -1)
        i, f, g = torch.sigmoid(i + into_i * c), torch.sigmoid(f + into_f * c), torch.tanh(g)
        c = f * c + i * g
        o = torch.sigmoid(o + into_o * c)
        return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * torch.tanh(c)}


class GRU(Kind):
    """torch's; by the kernel of `gru` where that may be."""

    gates = ("r", "z", "n")
    values = ("r", "z", "n", "h")
    keeps = False
    closing = (-1.0, 1.0, 0.0)
    resting = None

    def begin_(self, bias: Tensor, forget_bias: float, chrono: int) -> None:
        if chrono:
            z = bias.chunk(3)[1]
            z.copy_(log_times(z, chrono))  # z keeps: the sign of a forget gate

    def run(self, x: Tensor, hidden: Tensor, memory: Tensor | None, weights: Sequence[Weights], layers: int) -> Found:
        if torch_because([x, hidden, *(p for w in weights for p in w[:4])]):
            y, h = torch.gru(x, hidden, *arguments(weights, layers))
            return y, h, None
        ends, directions = [], len(weights) // layers
        for layer in range(layers):
            sides = []
            for direction in range(directions):
                place = layer * directions + direction
                y, h = gru_steps(x, hidden[place], *weights[place][:4], bool(direction))
                sides.append(y)
                ends.append(h)
            x = torch.cat(sides, -1) if directions > 1 else y
        return x, torch.stack(ends), None

    def once(self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> tuple[Tensor, Tensor | None]:
        return torch.gru_cell(x, h, *w[:4]), None

    def equations(self, a: Tensor, u: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> dict[str, Tensor]:
        (a_r, a_z, a_n), (u_r, u_z, u_n) = a.chunk(3, -1), u.chunk(3, -1)
        r, z = torch.sigmoid(a_r + u_r), torch.sigmoid(a_z + u_z)
        n = torch.tanh(a_n + r * u_n)
        return {"r": r, "z": z, "n": n, "h": (1 - z) * n + z * h}


CELLS: dict[str, Kind] = {"rnn": Vanilla(), "lstm": LSTM(), "peephole": Peephole(), "gru": GRU()}


def log_times(like: Tensor, longest: int) -> Tensor:
    """log U[1, longest - 1], one draw a unit: Tallec & Ollivier 2018 (arXiv 1804.11188)."""
    return torch.empty_like(like).uniform_(1, longest - 1).log_()


def arguments(weights: Sequence[Weights], layers: int) -> tuple[list[Tensor], bool, int, float, bool, bool, bool]:
    """What torch's kernels take after states: weights, biases there, layers, dropout, training, both ways, batch first.

    Without their dropout, training only says whether a gradient may be asked for.
    """
    listed = [p for w in weights for p in w[:4]]
    listed = side_by_side(listed) if listed[0].is_cuda else listed
    return listed, True, layers, 0.0, torch.is_grad_enabled(), len(weights) == 2 * layers, True


def exact_where_needed(x: Tensor) -> AbstractContextManager[Any]:
    """Autocast off on a CPU whose oneDNN has no bfloat16: torch's LSTM kernel would be asked for it all the same."""
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return nullcontext()
    return torch.autocast("cpu", enabled=False)


def side_by_side(weights: Sequence[Tensor]) -> list[Tensor]:
    """Copies of them in one piece of memory, in cuDNN's order: the matrices of all layers, then the biases.

    cuDNN reads its weights from one piece. Parameters are not one after a change of device or within a functional
    call; then torch copies them at every call, and warns. A copy made here is differentiable and takes the parameters
    as they come.
    """
    order = sorted(range(len(weights)), key=lambda k: -weights[k].ndim)  # a stable sort
    whole = torch.cat([weights[k].reshape(-1) for k in order])
    pieces = whole.split([weights[k].numel() for k in order])
    placed = {k: piece.reshape(weights[k].shape) for k, piece in zip(order, pieces, strict=True)}
    return [placed[k] for k in range(len(weights))]
