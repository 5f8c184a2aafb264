"""Recurrent networks: any cell in layers, in one direction or both, over rows of any length, at once or step by step.

The cells and their equations: `cells`. Layer 0 reads the input, each next one the outputs below it; a bidirectional
layer (Schuster & Paliwal 1997) has a second set of weights that reads from the end, and its outputs stand beside the
first's. Parameters are called as in `torch.nn`, so `load_state_dict` takes those of an nn.RNN, nn.LSTM or nn.GRU
(`strict=False` for a peephole network, which has `peephole_l0` ... beside them).

Rows of different lengths are padded at their ends, and the padding is made of closed steps (see `cells`). For the
backward direction they come first: it reads its way to a row's end with its state at rest, and where the state it was
given is another, U times the difference is added to the inputs of the row's last step. So every layer is one call of
torch's kernel, nothing is sorted, reversed or packed, and no length is read back from the device.

Shapes: B rows, T steps, H width of a state, N = layers * directions (of each layer first forward, then backward).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.core.errors import InputError, nearest

from .cells import CELLS, Cell, Found, Weights

__all__ = ["Carried", "Cell", "Recurrent", "State"]

SIDES = ("", "_reverse")


@dataclass
class State:
    """What a network carries from one stretch of its rows to the next; each row is a sequence of its own."""

    hidden: Tensor
    """(N, B, H)"""
    cell: Tensor | None = None
    """(N, B, H), of lstm and peephole."""

    def pick(self, rows: Tensor) -> State:
        """The given rows, in the given order."""
        return State(self.hidden.index_select(1, rows), None if self.cell is None else self.cell.index_select(1, rows))

    def join(self, others: Sequence[State]) -> State:
        """These rows and, after them, those of the others."""
        cells = [s.cell for s in (self, *others) if s.cell is not None]
        return State(torch.cat([s.hidden for s in (self, *others)], 1), torch.cat(cells, 1) if cells else None)

    def detach(self) -> State:
        """The same numbers; no gradient goes further back."""
        return State(self.hidden.detach(), None if self.cell is None else self.cell.detach())

    def layer(self, first: int, count: int) -> State:
        """Places first .. first + count - 1 of the N."""
        there = slice(first, first + count)
        return State(self.hidden[there], None if self.cell is None else self.cell[there])


@dataclass
class Carried:
    """A recurrent state and how many steps were read into it."""

    state: State
    lengths: Tensor
    """(rows,) int64."""

    def pick(self, rows: Tensor) -> Self:
        lengths = self.lengths[rows]  # an index may lie on the host
        return type(self)(self.state.pick(rows.type_as(lengths)), lengths)

    def join(self, others: Sequence[Self]) -> Self:
        lengths = torch.cat([self.lengths, *(other.lengths for other in others)])
        return type(self)(self.state.join([other.state for other in others]), lengths)


class Ends:
    """Where rows of T steps end; what all layers share."""

    def __init__(self, lengths: Tensor, steps: int) -> None:
        lengths = lengths.clamp(0, steps)[:, None]
        at = torch.arange(steps, device=lengths.device)
        self.inside = (at < lengths)[..., None]
        """(B, T, 1)"""
        self.final = (at == lengths - 1)[..., None]
        """(B, T, 1): the last step of each row."""
        self.last = (lengths - 1).clamp(min=0)[..., None]
        """(B, 1, 1): its place."""
        self.some = (lengths > 0)[None]
        """(1, B, 1)"""

    def cut(self, y: Tensor, hidden: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs that are 0 beyond the ends, and the hidden states at the ends: those from before in an empty row."""
        width = before.shape[-1]
        forward = y[..., :width].gather(1, self.last.expand(-1, 1, width)).transpose(0, 1)
        after = torch.cat([forward, hidden[1:]])  # the backward direction ends where a row begins
        return torch.where(self.inside, y, 0), torch.where(self.some, after, before)


class Recurrent(nn.Module):
    """(B, T, inputs) -> (B, T, outputs), and the state after the last step.

    Recurrent matrices begin orthogonal (Saxe et al. 2014, arXiv 1312.6120) and input matrices Glorot-uniform (Glorot &
    Bengio 2010), each gate by itself; peepholes and biases begin at 0, but the forget bias of lstm and peephole at
    `forget_bias` (Gers et al. 2000), counted over both of torch's biases. `chrono`, the longest dependence in steps or
    0 for none, takes its place: forget bias log U[1, chrono - 1], input bias its negative; likewise the bias of a gru's
    z, which keeps (Tallec & Ollivier 2018, arXiv 1804.11188).
    """

    weight_ih_l0: Tensor

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        cell: Cell = "lstm",
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        forget_bias: float = 1.0,
        chrono: int = 0,
    ) -> None:
        """`dropout`: the share of values set to 0 between layers, in training."""
        super().__init__()
        if cell not in CELLS:
            raise InputError(f"there is no cell {cell!r}{nearest(cell, CELLS)}; cells: {', '.join(CELLS)}")
        for value, what in ((inputs, "inputs"), (hidden, "hidden"), (layers, "layers")):
            if value < 1:
                raise InputError(f"{what} of a recurrent network must be 1 or more, not {value}")
        if not 0 <= dropout < 1:
            raise InputError(f"dropout of a recurrent network must be at least 0 and below 1, not {dropout}")
        if chrono and (chrono < 2 or cell == "rnn"):
            words = "an rnn has no gate to set by it" if cell == "rnn" else f"not {chrono}"
            raise InputError(f"chrono is the longest dependence, 2 steps or more, or 0 for none: {words}")
        self.cell, self.kind = cell, CELLS[cell]
        self.inputs, self.hidden, self.layers, self.dropout = inputs, hidden, layers, dropout
        self.directions = 2 if bidirectional else 1
        self.outputs = hidden * self.directions
        gates = len(self.kind.gates)
        for layer in range(layers):
            width = self.outputs if layer else inputs
            shapes: dict[str, tuple[int, ...]]
            shapes = {"weight_ih": (gates * hidden, width), "weight_hh": (gates * hidden, hidden)}
            shapes |= {"bias_ih": (gates * hidden,), "bias_hh": (gates * hidden,)}
            shapes |= {"peephole": (3, hidden)} if cell == "peephole" else {}
            for side in SIDES[: self.directions]:
                for name, shape in shapes.items():
                    self.register_parameter(f"{name}_l{layer}{side}", nn.Parameter(torch.zeros(shape)))
        self._initialise_(forget_bias, chrono)

    @torch.no_grad()
    def _initialise_(self, forget_bias: float, chrono: int) -> None:
        gates = len(self.kind.gates)
        for w in (w for layer in range(self.layers) for w in self.weights(layer)):
            for block in w.input.chunk(gates):
                nn.init.xavier_uniform_(block)
            for block in w.recurrent.chunk(gates):
                nn.init.orthogonal_(block)
            self.kind.begin_(w.input_bias, forget_bias, chrono)

    def weights(self, layer: int) -> list[Weights]:
        """Of a layer, a direction each."""
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] + ["peephole"] * (self.cell == "peephole")
        ends = [f"_l{layer}{side}" for side in SIDES[: self.directions]]
        return [Weights(*(getattr(self, name + end) for name in names)) for end in ends]

    def empty(self, rows: int, like: Tensor) -> State:
        """The state before the first step: zeros, in the dtype and on the device of `like`."""
        zeros = like.new_zeros(self.layers * self.directions, rows, self.hidden)
        return State(zeros, torch.zeros_like(zeros) if self.kind.keeps else None)

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """(B, T, inputs) to (B, T, outputs) and the state after the last step.

        `lengths` (B,), integers: how many steps of each row count, from its start; what lies beyond is not looked at,
        its outputs are 0, and the row's state is the one at its end. A length above T counts as T; a row of length 0
        keeps the state it had.
        """
        x = self._input(x, 3)
        carried = state is not None
        state = self._state(x, state)
        ends = None if lengths is None else Ends(self._lengths(x, lengths), x.shape[1])
        drops = self.training and self.dropout > 0 and self.layers > 1
        if ends is None and self.kind.stacks and not drops:
            weights = [w for layer in range(self.layers) for w in self.weights(layer)]
            x, hidden, cell = self.kind.run(x, state.hidden, state.cell, weights, self.layers)
            return x, State(hidden, cell)
        after = []
        for layer in range(self.layers):
            x = F.dropout(x, self.dropout) if layer and drops else x
            x, last = self._layer(x, state, layer, ends, carried)
            after.append(last)
        cells = [s.cell for s in after if s.cell is not None]
        return x, State(torch.cat([s.hidden for s in after]), torch.cat(cells) if cells else None)

    def _layer(
        self, x: Tensor, state: State, layer: int, ends: Ends | None = None, carried: bool = True
    ) -> tuple[Tensor, State]:
        """One layer from its own part of the state; `carried`: that may hold something else than zeros."""
        mine, weights = state.layer(layer * self.directions, self.directions), self.weights(layer)
        if ends is None:
            x, hidden, cell = self.kind.run(x, mine.hidden, mine.cell, weights, 1)
            return x, State(hidden, cell)
        y, hidden, cell = self._padded(x, mine, weights, ends, carried)
        y, hidden = ends.cut(y, hidden, mine.hidden)
        return y, State(hidden, cell)

    def _padded(self, x: Tensor, state: State, weights: list[Weights], ends: Ends, carried: bool) -> Found:
        """One layer with closed steps for padding: further columns of its input matrices, and inputs for them."""
        inputs = [torch.where(ends.inside, x, 0), torch.logical_not(ends.inside).to(x.dtype)]
        columns = [[w.input, self.kind.closed(w)] for w in weights]
        first, rest = state.hidden, self.kind.resting
        if self.directions == 2 and rest is not None and (carried or rest):
            inputs.append(ends.final * (first[1] - rest)[:, None])
            columns[0].append(torch.zeros_like(weights[0].recurrent))
            columns[1].append(weights[1].recurrent)
            first = torch.stack([first[0], torch.full_like(first[1], rest)])
        wider = [w._replace(input=torch.cat(c, 1)) for w, c in zip(weights, columns, strict=True)]
        return self.kind.run(torch.cat(inputs, -1), first, state.cell, wider, 1)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The next step of each row: (B, inputs) to (B, outputs) and the state after it."""
        if self.directions == 2:
            raise InputError("a bidirectional network reads each row from its end too; it has no next step")
        x = self._input(x, 2)
        state = self._state(x, state)
        hidden, cells = [], []
        for layer in range(self.layers):
            if layer and self.training and self.dropout:
                x = F.dropout(x, self.dropout)
            c = None if state.cell is None else state.cell[layer]
            x, c = self.kind.once(x, state.hidden[layer], c, *self.weights(layer))
            hidden.append(x)
            cells += [] if c is None else [c]
        return x, State(torch.stack(hidden), torch.stack(cells) if cells else None)

    def gates(self, x: Tensor, state: State | None = None, layer: int = 0) -> dict[str, Tensor]:
        """What flows inside one layer: every gate and state at every step, each (B, T, outputs), without dropout.

        rnn: pre, h; lstm and peephole: i, f, g, o, c, h; gru: r, z, n, h. In a bidirectional network the backward
        direction's values stand beside the forward's, at the step they belong to; `h` is the layer's output.
        """
        if not 0 <= layer < self.layers:
            raise InputError(f"there is no layer {layer}: this network has layers 0 to {self.layers - 1}")
        x = self._input(x, 3)
        state = self._state(x, state)
        for below in range(layer):
            x, _ = self._layer(x, state, below)
        mine, sides = state.layer(layer * self.directions, self.directions), []
        for direction, w in enumerate(self.weights(layer)):
            c = None if mine.cell is None else mine.cell[direction]
            found = self.kind.seen(x.flip(1) if direction else x, mine.hidden[direction], c, w)
            sides.append({name: value.flip(1) if direction else value for name, value in found.items()})
        return {name: torch.cat([side[name] for side in sides], -1) for name in self.kind.values}

    def _input(self, x: Tensor, axes: int) -> Tensor:
        """x in the dtype of the weights."""
        if x.ndim != axes or x.shape[-1] != self.inputs or 0 in x.shape:
            wanted = f"({'rows, steps' if axes == 3 else 'rows'}, {self.inputs})"
            raise InputError(f"this recurrent network reads {wanted}, none of them 0, not {tuple(x.shape)}")
        return x.to(self.weight_ih_l0.dtype)

    def _state(self, x: Tensor, state: State | None) -> State:
        """The state given, in the dtype of x, or the empty one."""
        if state is None:
            return self.empty(len(x), x)
        wanted = (self.layers * self.directions, len(x), self.hidden)
        there = [state.hidden] + ([] if state.cell is None else [state.cell])
        if len(there) != 1 + self.kind.keeps or any(s.shape != wanted for s in there):
            shapes = " and ".join(str(tuple(s.shape)) for s in there)
            parts = "hidden and cell" if self.kind.keeps else "hidden alone"
            raise InputError(
                f"the state of this {self.cell} is {parts}, each {wanted}, not {shapes}; the first is empty(rows, x)"
            )
        hidden, *cell = (s.to(x.dtype).contiguous() for s in there)  # cuDNN takes no other
        return State(hidden, cell[0] if cell else None)

    @staticmethod
    def _lengths(x: Tensor, lengths: Tensor) -> Tensor:
        if lengths.shape != x.shape[:1] or lengths.is_floating_point() or lengths.dtype == torch.bool:
            found = f"{tuple(lengths.shape)} of {str(lengths.dtype).removeprefix('torch.')}"
            raise InputError(f"lengths are one whole number a row, ({len(x)},), not {found}")
        return lengths.to(x.device)
