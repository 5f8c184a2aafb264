"""Forecaster: reads a series step by step and says, after each step, what it expects of the next ones.

Malhotra et al. 2015 (forecast errors of an LSTM as a sign of anomalies), Salinas et al. 2020 (DeepAR, arXiv 1704.04110:
a mean and a standard deviation from each state). The one idea: who knows the normal course of things can say what comes
next and how sure that is; what then lies far outside is worth a look.

A step's input is the row, 0 where a channel is missing, and beside it which channels are there. In training some cells
are hidden from the net, so that it learns to go on without them. What it says is the change from the last known value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Follows, Forecasts, Gates
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.core.optim import Adam, Split, warmup_cosine
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.models._sequence import Cell, reader
from elboroom.nn.following import Following, Seen

__all__ = ["Forecaster"]

LOG_SD = 6.0
"""Bound of the logarithm of a standard deviation, both ways, in units of the scaled series."""


class Forecaster(Model, Forecasts, Follows, Gates):
    """A reader of any cell, and a head that gives a mean and a standard deviation for each step ahead and channel."""

    kinds = ("series",)
    epochs = 30

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Defaults: a net of some 20,000 weights that reads 10,000 rows in seconds."""

        cell: Cell = "lstm"
        """rnn, lstm, peephole, gru, or transformer (blocks that look back one window)."""
        layers: Annotated[int, Gt(0)] = 1
        """Cells, one above the other."""
        hidden: Annotated[int, Gt(0)] = 64
        """Numbers of a cell's state."""
        horizon: Annotated[int, Gt(0)] = 8
        """Steps ahead that are forecast at once."""
        bidirectional: bool = False
        """Refused: a net that reads the future has nothing to forecast."""
        hide: Annotated[float, Ge(0), Lt(1)] = 0.1
        """Share of the cells hidden from the net in training."""
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
        """Share of values set to zero between layers in training."""
        lr: Annotated[float, Gt(0)] = 5e-3
        """Largest step size of AdamW; warmed up, then a cosine down to a tenth."""
        weight_decay: Annotated[float, Ge(0)] = 0.01
        """Decoupled decay of the matrices, never of biases; a share of lr a step."""
        clip: Annotated[float, Ge(0)] = 1.0
        """Largest norm of the gradient, 0 for none (Pascanu et al. 2013)."""
        batch_size: Annotated[int, Gt(0)] = 32
        """Windows a step, over all processes."""

    config: Config

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        window, self.channels = spec.shape
        if config.bidirectional:
            raise InputError(
                "--bidirectional: a net that reads the rows after a time cannot be asked what they are; leave it out"
            )
        if config.horizon >= window:
            raise InputError(
                f"--horizon {config.horizon} does not fit into windows of {window} rows; give a smaller one, or a "
                f"--window of more than {config.horizon}"
            )
        self.horizon = config.horizon
        self.net = reader(
            config.cell, 2 * self.channels, config.hidden, config.layers, dropout=config.dropout, reach=window
        )
        self.head = nn.Linear(self.net.outputs, 2 * self.horizon * self.channels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    # -- what is said after each step ---------------------------------------------------------------------------------

    def said(self, h: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation (B, T, horizon, C) from outputs (B, T, H) and last known values (B, T, C)."""
        change, log_sd = self.head(h).unflatten(-1, (2, self.horizon, self.channels)).unbind(-3)
        return base[:, :, None] + change, LOG_SD * torch.tanh(log_sd / LOG_SD)

    def known(self, x: Tensor, observed: Tensor, before: Tensor) -> Tensor:
        """(B, T, C): the last value up to each step that was there."""
        at = torch.arange(1, x.shape[1] + 1, device=x.device)[:, None] * observed
        place = at.cummax(1).values
        return torch.cat([before[:, None], x], 1).gather(1, place)

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p of what comes, a normal law for each cell and step ahead; nats per cell of a window."""
        x, observed = batch.x, batch.observed
        assert observed is not None
        seen = observed & (torch.rand_like(x) >= self.config.hide) if self.training else observed
        shown = torch.where(seen, x, 0)
        base = self.known(shown, seen, torch.zeros_like(x[:, 0]))
        h = self.net(torch.cat([shown, seen.to(x.dtype)], -1))
        said = x.shape[1] - self.horizon
        mean, log_sd = self.said(h[:, :said], base[:, :said])
        ahead, there = (y[:, 1:].unfold(1, self.horizon, 1).transpose(2, 3) for y in (x, observed))
        z = (ahead - mean) * torch.exp(-log_sd)
        nll = torch.where(there, 0.5 * z * z + log_sd + 0.5 * math.log(2 * math.pi), 0)
        return nll.mean(), {"absolute_error": torch.where(there, (ahead - mean).abs(), 0).mean()}

    def phases(self) -> list[Phase]:
        """One phase with two shares of the parameters: matrices, which decay, and vectors."""
        c = self.config
        adam = Adam(lr=c.lr, schedule=warmup_cosine(0.05, 0.1))
        matrices = [p for p in self.parameters() if p.ndim >= 2]
        vectors = [p for p in self.parameters() if p.ndim < 2]
        decayed = replace(adam, weight_decay=c.weight_decay)
        rule = Split(rules=(decayed, adam), counts=(len(matrices), len(vectors)), clip=c.clip)
        return [Phase("forecast", self.loss, [*matrices, *vectors], rule)]

    # -- abilities ----------------------------------------------------------------------------------------------------

    def expect(self, batch: Batch, memory: object = None) -> tuple[Tensor, Tensor, object]:
        x, observed = batch.x, batch.observed
        assert observed is not None
        assert memory is None or isinstance(memory, Seen)
        shown = torch.where(observed, x, 0)
        before = torch.zeros_like(x[:, 0]) if memory is None else memory.last
        base = self.known(shown, observed, before)
        inputs = torch.cat([shown, observed.to(x.dtype)], -1)
        h, carried = self.net.read(inputs, None if memory is None else memory.memory)
        mean, log_sd = self.said(h, base)
        return mean, log_sd.exp(), Seen(carried, base[:, -1])

    def follower(self) -> Following | None:
        steps = self.net.steps()
        return None if steps is None else Following(steps, self.head, self.horizon, self.channels)

    def gates(self, x: Batch, *, backward: bool = False) -> list[dict[str, Tensor]]:
        assert x.observed is not None
        inputs = torch.cat([torch.where(x.observed, x.x, 0), x.observed.to(x.x.dtype)], -1)
        return self.net.gates(inputs, backward=backward)
