"""What the models of sequences share: a net that reads a sequence step by step, whatever its cell.

Recurrent cells (nn/recurrent.py) carry a state of one size. The transformer's blocks (nn/transformer.py) carry the keys
and values of their last `reach` steps, with relative positions, so that they, too, read on without end. Both give the
same numbers whether a sequence is read at once, in pieces or step by step.

Shapes: B sequences, T steps, I inputs, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.core.errors import InputError, Unable
from elboroom.nn.cache import TextMemory
from elboroom.nn.patterns import Sliding
from elboroom.nn.recurrent import Carried, Recurrent
from elboroom.nn.stepping import Steps
from elboroom.nn.transformer import Block, ModernBlock, Where, initialise_, rms_norm

__all__ = ["NO_GATES", "Cell", "Memory", "Reader", "gates_of", "reader"]

Cell = Literal["rnn", "lstm", "peephole", "gru", "transformer"]
HEAD = 32
"""Width of an attention head, where the hidden width allows it."""
NO_GATES = "a transformer has no gates and no state to look at; the cells rnn, lstm, peephole and gru have"

Memory = Carried | TextMemory


class Reader(nn.Module):
    """Reads (B, T, I) forwards; `outputs` is the width of what it says after each step."""

    outputs: int

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, outputs) for sequences read from their start, none carried on."""
        raise NotImplementedError

    def read(self, x: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """The same after what `memory` holds, and the memory after x."""
        raise NotImplementedError

    def steps(self) -> Steps | None:
        """The same for one sequence in numpy, row by row; None where there is no such form."""
        return None

    def gates(self, x: Tensor, *, backward: bool = False) -> list[dict[str, Tensor]]:
        """What flows inside each layer, as `elboroom.core.abilities.Gates` says it."""
        raise Unable(NO_GATES)


def reader(cell: Cell, inputs: int, hidden: int, layers: int, *, dropout: float, reach: int) -> Reader:
    """A net of any cell; `reach`: steps that a layer of attention looks back, itself included."""
    if cell == "transformer":
        return Attentive(inputs, hidden, layers, dropout=dropout, reach=reach)
    return Recurring(Recurrent(inputs, hidden, cell=cell, layers=layers, dropout=dropout))


class Recurring(Reader):
    def __init__(self, net: Recurrent) -> None:
        super().__init__()
        self.net, self.outputs = net, net.outputs

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)[0]  # type: ignore[no-any-return]

    def read(self, x: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        assert memory is None or isinstance(memory, Carried)
        y, state = self.net(x, None if memory is None else memory.state)
        before = torch.zeros(len(x), dtype=torch.int64, device=x.device) if memory is None else memory.lengths
        return y, Carried(state, before + x.shape[1])

    def steps(self) -> Steps | None:
        return Steps(self.net) if self.net.weight_ih_l0.device.type == "cpu" else None

    def gates(self, x: Tensor, *, backward: bool = False) -> list[dict[str, Tensor]]:
        return gates_of(self.net, x, backward=backward)


def gates_of(net: Recurrent, x: Tensor, *, backward: bool = False) -> list[dict[str, Tensor]]:
    """Of each layer of `net`, which reads x (B, T, I), what `elboroom.core.abilities.Gates` says."""
    if backward and net.directions == 1:
        raise InputError("this net reads in one direction, from the beginning; there is no backward one to look at")
    layers, below = [], x
    for layer in range(net.layers):
        seen = net.gates(x, layer=layer)
        mine = slice(net.hidden, None) if backward else slice(net.hidden)
        read = {"x": below, **{name: value[..., mine] for name, value in seen.items()}}
        read = {name: value.flip(1) for name, value in read.items()} if backward else read
        layers.append({**read, **_summands(net, read, f"_l{layer}{'_reverse' if backward else ''}")})
        below = seen["h"]
    return layers


def _summands(net: Recurrent, found: dict[str, Tensor], end: str) -> dict[str, Tensor]:
    """What the gates of one layer add up: x_i from its input, h_i from its output before, c_i through peepholes.

    `end` is that of its weights' names.
    """

    def before(states: Tensor) -> Tensor:
        return F.pad(states[:, :-1], (0, 0, 1, 0))

    w = {name.removesuffix(end): p for name, p in net.named_parameters() if name.endswith(end)}
    a = F.linear(found["x"].to(found["h"].dtype), w["weight_ih"], w["bias_ih"])
    u = F.linear(before(found["h"]), w["weight_hh"], w["bias_hh"])
    names, parts = net.kind.gates, len(net.kind.gates)
    out = {f"x_{gate}": value for gate, value in zip(names, a.chunk(parts, -1), strict=True)}
    out |= {f"h_{gate}": value for gate, value in zip(names, u.chunk(parts, -1), strict=True)}
    if "peephole" in w:
        seen = {"i": before(found["c"]), "f": before(found["c"]), "o": found["c"]}
        out |= {f"c_{gate}": p * c for p, (gate, c) in zip(w["peephole"], seen.items(), strict=True)}
    return out


class Attentive(Reader):
    """Modern blocks, each of which sees its last `reach` steps."""

    def __init__(self, inputs: int, hidden: int, layers: int, *, dropout: float, reach: int) -> None:
        super().__init__()
        heads = max(1, hidden // HEAD)
        if hidden % (2 * heads):
            raise InputError(
                f"--hidden {hidden} cannot be shared by {heads} heads of even width; take a multiple of {HEAD}"
            )
        self.outputs, self.heads, self.reach = hidden, heads, reach
        self.into = nn.Linear(inputs, hidden)
        self.blocks = nn.ModuleList(ModernBlock(hidden, heads, Sliding(reach), dropout) for _ in range(layers))
        initialise_(self, list(self._blocks()), silent=True)
        nn.init.xavier_uniform_(self.into.weight)

    def _blocks(self) -> Iterator[Block]:
        return iter(self.blocks)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        where = Where(x.shape[1], x.device)
        y = rms_norm(self.into(x))
        for block in self._blocks():
            y = block(y, where)
        return rms_norm(y)

    def read(self, x: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        slots = [self.reach] * len(self.blocks)
        width = self.outputs // self.heads
        known = memory or TextMemory.empty(len(x), slots, self.heads, width, 0, self.into.weight)
        assert isinstance(known, TextMemory)
        return known.read_on(x, self._remembering), known

    def _remembering(self, x: Tensor, memory: TextMemory) -> Tensor:
        where = Where(x.shape[1], x.device, memory.used)
        y = rms_norm(self.into(x))
        for block, cache in zip(self._blocks(), memory.layers, strict=True):
            y = block(y, where, cache)
        return rms_norm(y)
