"""A recurrent classifier that answers after the last step; made to fail, or not, by the weights it begins with.

Elman 1990; its recurrent matrices begin orthogonal (Saxe et al. 2014) times `gain`, so that over k steps a gradient is
about gain^k of itself while the cell is not saturated (Pascanu et al. 2013, section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from elboroom.core.abilities import Classifies
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.nn.recurrent import Recurrent

__all__ = ["MemoryNet"]


class MemoryNet(Model, Classifies):
    """One layer of cells and a linear head on the last state."""

    kinds = ("sequences",)
    epochs = 20

    @dataclass(frozen=True, kw_only=True)
    class Config:
        cell: Literal["rnn", "lstm", "gru"] = "rnn"
        """rnn, lstm or gru."""
        hidden: Annotated[int, Gt(0)] = 32
        """Numbers of the state."""
        gain: Annotated[float, Gt(0)] = 1.0
        """Factor on the orthogonal recurrent matrices at the start."""
        chrono: Annotated[int, Ge(0)] = 0
        """Longest dependence in steps that the gates begin with (Tallec & Ollivier 2018), 0 for none."""
        lr: Annotated[float, Gt(0)] = 1e-3
        """Step size of Adam."""
        clip: Annotated[float, Ge(0)] = 0.0
        """Largest norm of the gradient, 0 for none."""
        batch_size: Annotated[int, Gt(0)] = 32
        """Sequences a step, over all processes."""

    config: Config

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        self.net = Recurrent(spec.shape[-1], config.hidden, cell=config.cell, chrono=config.chrono)
        with torch.no_grad():
            for name, weights in self.net.named_parameters():
                if name.startswith("weight_hh"):
                    weights.mul_(config.gain)
        self.head = nn.Linear(self.net.outputs, len(spec.classes))

    def classify(self, batch: Batch) -> Tensor:
        logits: Tensor = self.head(self.net(batch.x)[0][:, -1])  # its sequences are alike in length
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p(class), nats per sequence."""
        assert batch.label is not None
        logits = self.classify(batch)
        nats = -logits.log_softmax(-1).gather(1, batch.label[:, None])[:, 0]
        return nats.mean(), {"accuracy": (logits.argmax(-1) == batch.label).to(nats.dtype).mean()}

    def phases(self) -> list[Phase]:
        return [Phase("classes", self.loss, self.parameters(), Adam(lr=self.config.lr, clip=self.config.clip))]
