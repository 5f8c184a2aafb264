"""Recurrent language model: reads a text token by token and gives the law of the next one.

Mikolov et al. 2010 (recurrent language models), Graves 2013 (arXiv 1308.0850: generation by LSTM, peepholes included).
The one idea: all that was read lies in a state of fixed size, so a token costs the same however long the text is; what
the state has lost cannot be looked up again, as attention could (compare `gpt`).

Training reads windows of text, each from an empty state: gradients reach back as far as the window. Generation carries
the state on without end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Continues, Gates, Memory, Sizes
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.core.optim import Adam, Split, warmup_cosine
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.sequence import next_token_loss
from elboroom.models._sequence import Cell, reader
from elboroom.nn.cache import TextMemory
from elboroom.nn.linear import linear
from elboroom.nn.recurrent import Carried

__all__ = ["CharRNN"]

SIZES = ((1, 64), (1, 128), (1, 256), (2, 256), (2, 384), (2, 512), (3, 768))
"""Layers and hidden width to choose from for a budget."""


class CharRNN(Model, Continues, Gates, Sizes):
    """Embedding, cells, head."""

    kinds = ("text",)
    epochs = 5

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Defaults: a net of about 0.5 million weights that a laptop trains in minutes."""

        cell: Cell = "lstm"
        """rnn, lstm, peephole, gru, or transformer (blocks that look back one window)."""
        layers: Annotated[int, Gt(0)] = 1
        """Cells, one above the other."""
        hidden: Annotated[int, Gt(0)] = 256
        """Numbers of a cell's state."""
        embedding: Annotated[int, Gt(0)] = 64
        """Numbers that stand for a token."""
        bidirectional: bool = False
        """Refused: a net that reads the future cannot continue a text."""
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
        """Share of embeddings and outputs set to zero in training."""
        lr: Annotated[float, Gt(0)] = 4e-3
        """Largest step size of AdamW; warmed up, then a cosine down to a tenth."""
        weight_decay: Annotated[float, Ge(0)] = 0.01
        """Decoupled decay of the matrices, never of biases; a share of lr a step."""
        clip: Annotated[float, Ge(0)] = 1.0
        """Largest norm of the gradient, 0 for none: long products of Jacobians can explode (Pascanu et al. 2013)."""
        warmup: Annotated[float, Ge(0), Lt(1)] = 0.02
        """Share of the run over which the step size rises from 0."""
        batch_size: Annotated[int, Gt(0)] = 32
        """Windows of text a step, over all processes."""

    config: Config

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        if config.bidirectional:
            raise InputError(
                "--bidirectional: a net that reads the text after a token cannot be asked what that token is; leave it "
                "out, or classify texts with `classifier --bidirectional`"
            )
        self.tokens = nn.Embedding(spec.levels, config.embedding)
        self.net = reader(
            config.cell, config.embedding, config.hidden, config.layers, dropout=config.dropout, reach=spec.shape[0]
        )
        self.head = nn.Linear(self.net.outputs, spec.levels, bias=False)

    def embedded(self, tokens: Tensor) -> Tensor:
        return self.dropped(self.tokens(tokens))

    def dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout) if self.training and self.config.dropout else x

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p of each token given those before it in its window, nats per token."""
        h = self.dropped(self.net(self.embedded(batch.x[:, :-1])))
        return next_token_loss(h, self.head.weight, batch.x[:, 1:]), {}

    def phases(self) -> list[Phase]:
        """One phase with two shares of the parameters: matrices, which decay, and vectors."""
        c = self.config
        adam = Adam(lr=c.lr, beta2=0.99, schedule=warmup_cosine(c.warmup, 0.1))
        matrices = [p for p in self.parameters() if p.ndim >= 2]
        vectors = [p for p in self.parameters() if p.ndim < 2]
        decayed = replace(adam, weight_decay=c.weight_decay)
        rule = Split(rules=(decayed, adam), counts=(len(matrices), len(vectors)), clip=c.clip)
        return [Phase("language", self.loss, [*matrices, *vectors], rule)]

    @classmethod
    def sized(cls, spec: Spec, examples: int, operations: float) -> dict[str, Any]:
        """About 20 tokens a weight, as for `gpt`: operations = 6 weights tokens."""
        weights = math.sqrt(operations / 120)
        layers, hidden = max((s for s in SIZES if 8 * s[0] * s[1] ** 2 <= weights), default=SIZES[0])
        windows = operations / (6 * 8 * layers * hidden**2) / spec.shape[0]
        again = windows / max(examples, 1)
        return {
            "layers": layers,
            "hidden": hidden,
            "dropout": 0.0 if again < 4 else 0.1 if again < 20 else 0.3,
            "batch_size": int(min(64, max(4, windows / 1500))),
        }

    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        assert memory is None or isinstance(memory, Carried | TextMemory)
        h, known = self.net.read(self.embedded(tokens), memory)
        logits: Tensor = linear(h, self.head.weight)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)), known

    def gates(self, x: Batch, *, backward: bool = False) -> list[dict[str, Tensor]]:
        return self.net.gates(self.embedded(x.x[:, :-1]), backward=backward)
