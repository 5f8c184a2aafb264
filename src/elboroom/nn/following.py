"""What a forecaster carries through a series, and its way through one row by row in numpy (see `stepping`).

A step's input is the row with 0 where it is missing, beside what is there; the head says the change from the last known
values. Here is the mean alone, for a stream is judged by nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .cache import TextMemory
from .recurrent import Carried
from .stepping import Steps

__all__ = ["Following", "Seen"]


@dataclass
class Seen:
    """What is carried from one stretch of the rows to the next."""

    memory: Carried | TextMemory
    last: Tensor
    """(rows, channels): the last known value of each channel, 0 where there was none."""

    def pick(self, rows: Tensor) -> Seen:
        return Seen(self.memory.pick(rows), self.last[rows])


class Following:
    """`elboroom.core.abilities.Follower` of a recurrent net and a head (2 horizon channels, H): means, then spreads."""

    def __init__(self, steps: Steps, head: nn.Linear, horizon: int, channels: int) -> None:
        self.steps, self.shape = steps, (horizon, channels)
        means = horizon * channels
        self.weight, self.bias = (p.detach()[:means].float().numpy().copy() for p in (head.weight, head.bias))
        self.inputs = np.zeros(2 * channels, dtype=np.float32)
        self.shown, self.there = self.inputs[:channels], self.inputs[channels:]
        self.last = np.zeros(channels, dtype=np.float32)
        self.rows = 0

    def read(self, row: NDArray[np.float64]) -> NDArray[np.float64]:
        self.shown[:] = row
        if math.isnan(np.add.reduce(row)):
            known = row == row  # not NaN
            self.there[:] = known
            np.copyto(self.last, self.shown, where=known)
            self.shown[~known] = 0
        else:
            self.there[:] = 1
            self.last[:] = self.shown
        change = np.dot(self.weight, self.steps.step(self.inputs))
        change += self.bias
        mean = change.reshape(self.shape)
        mean += self.last
        self.rows += 1
        said: NDArray[np.float64] = mean.astype(np.float64)
        return said

    def begin(self, memory: object) -> None:
        assert memory is None or (isinstance(memory, Seen) and isinstance(memory.memory, Carried))
        if memory is None:
            self.steps.begin(None)
            self.last[:], self.rows = 0, 0
            return
        assert isinstance(memory.memory, Carried)
        self.steps.begin(memory.memory.state)
        self.last[:], self.rows = memory.last[0].numpy(), int(memory.memory.lengths[0])

    def memory(self) -> Seen:
        lengths = torch.full((1,), self.rows, dtype=torch.int64)
        return Seen(Carried(self.steps.state(), lengths), torch.from_numpy(self.last[None].copy()))
