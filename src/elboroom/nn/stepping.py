"""One step of a recurrent network for one sequence, in numpy: a row of a stream, without what a tensor costs.

torch's kernels are made for many steps and rows; of the time they take for one step of one row, some nine tenths go
before the first product. Here a layer is one product [W U] [x h] into room that is kept, and a few passes over its
gates. Since sigmoid(a) = (tanh(a / 2) + 1) / 2, the rows of sigmoids are halved beforehand, which is exact, and all
gates are one tanh. Sums are grouped in another way than torch does it: equal up to rounding. Inference alone.

Letters: I inputs, H width of a state, k gates of a cell (see `cells`, whose equations these are).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .cells import Weights
from .recurrent import Recurrent, State

__all__ = ["Steps"]

Array = NDArray[np.float32]
EASED = 0.5
"""Of a sigmoid's argument: that of its tanh; and its scale and shift afterwards."""


class Layer(ABC):
    """One layer; `h` (H,) and `c` (H,) are written in place."""

    eased: tuple[float, ...]
    """For each gate, 0.5 where it is a sigmoid and 1 where it is a tanh."""

    def __init__(self, w: Weights) -> None:
        self.width, self.inputs = w.recurrent.shape[1], w.input.shape[1]
        ease = np.repeat(np.array(self.eased, dtype=np.float32), self.width)
        self.scale, self.shift = ease, np.where(ease == EASED, ease, 0).astype(np.float32)
        self.w, self.u = (_numbers(m) * ease[:, None] for m in (w.input, w.recurrent))
        self.w_bias, self.u_bias = (_numbers(b) * ease for b in (w.input_bias, w.recurrent_bias))
        self.both = np.ascontiguousarray(np.concatenate([self.w, self.u], 1))
        self.bias = self.w_bias + self.u_bias
        self.seen = np.zeros(self.inputs + self.width, dtype=np.float32)
        self.h, self.c = self.seen[self.inputs :], np.zeros(self.width, dtype=np.float32)
        self.a = np.zeros(len(ease), dtype=np.float32)
        self.gates = self.a.reshape(len(self.eased), -1)

    @abstractmethod
    def step(self, x: Array) -> Array:
        """h after the next input x (I,): a view, good until the next step."""

    def add_up(self, x: Array) -> None:
        """W x + U h and the biases, eased, into `a`."""
        self.seen[: self.inputs] = x
        np.dot(self.both, self.seen, out=self.a)
        np.add(self.a, self.bias, out=self.a)

    def squash(self, gates: slice) -> None:
        """Sigmoids and tanhs of some gates of `a`, in place."""
        some = slice(gates.start * self.width, gates.stop * self.width)
        a = self.a[some]
        np.tanh(a, out=a)
        np.multiply(a, self.scale[some], out=a)
        np.add(a, self.shift[some], out=a)


class Vanilla(Layer):
    eased = (1.0,)

    def step(self, x: Array) -> Array:
        self.add_up(x)
        return np.tanh(self.a, out=self.h)


class LSTM(Layer):
    eased = (EASED, EASED, 1.0, EASED)

    def step(self, x: Array) -> Array:
        self.add_up(x)
        self.squash(slice(0, 4))
        i, f, g, o = self.gates
        np.multiply(self.c, f, out=self.c)
        np.multiply(i, g, out=i)
        np.add(self.c, i, out=self.c)
        np.tanh(self.c, out=self.h)
        return np.multiply(self.h, o, out=self.h)


class Peephole(Layer):
    eased = (EASED, EASED, 1.0, EASED)

    def __init__(self, w: Weights) -> None:
        super().__init__(w)
        assert w.peepholes is not None
        self.peepholes = _numbers(w.peepholes) * np.float32(EASED)

    def step(self, x: Array) -> Array:
        self.add_up(x)
        i, f, g, o = self.gates
        self.gates[:2] += self.peepholes[:2] * self.c
        self.squash(slice(0, 3))
        np.multiply(self.c, f, out=self.c)
        np.multiply(i, g, out=i)
        np.add(self.c, i, out=self.c)
        o += self.peepholes[2] * self.c
        self.squash(slice(3, 4))
        np.tanh(self.c, out=self.h)
        return np.multiply(self.h, o, out=self.h)


class GRU(Layer):
    eased = (EASED, EASED, 1.0)

    def step(self, x: Array) -> Array:
        np.dot(self.w, x, out=self.a)
        np.add(self.a, self.w_bias, out=self.a)
        u = self.u @ self.h
        u += self.u_bias
        r, z, n = self.gates
        two = 2 * self.width
        self.a[:two] += u[:two]
        self.squash(slice(0, 2))
        n += r * u[two:]
        np.tanh(n, out=n)
        np.subtract(self.h, n, out=self.h)  # (1 - z) n + z h = n + z (h - n)
        np.multiply(self.h, z, out=self.h)
        return np.add(self.h, n, out=self.h)


LAYERS: dict[str, type[Layer]] = {"rnn": Vanilla, "lstm": LSTM, "peephole": Peephole, "gru": GRU}


class Steps:
    """All layers of a forward network, with weights as they were when this was made."""

    def __init__(self, net: Recurrent) -> None:
        kind = LAYERS[net.cell]
        self.layers = [kind(net.weights(layer)[0]) for layer in range(net.layers)]
        self.keeps = net.kind.keeps

    def step(self, x: Array) -> Array:
        """The next input (I,) to the output (H,): a view, good until the next step."""
        for layer in self.layers:
            x = layer.step(x)
        return x

    def begin(self, state: State | None) -> None:
        """Go on from the state of one sequence, as `Recurrent` has it; None: from none."""
        for i, layer in enumerate(self.layers):
            layer.h[:] = 0 if state is None else _numbers(state.hidden[i, 0])
            layer.c[:] = 0 if state is None or state.cell is None else _numbers(state.cell[i, 0])

    def state(self) -> State:
        """What `Recurrent` would carry now."""
        hidden, cell = (np.stack([getattr(one, name) for one in self.layers])[:, None] for name in ("h", "c"))
        return State(torch.from_numpy(hidden), torch.from_numpy(cell) if self.keeps else None)


def _numbers(p: Tensor) -> Array:
    found: Array = p.detach().float().cpu().numpy()
    return found
