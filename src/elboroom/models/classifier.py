"""Classifier: reads a sequence step by step and says to which class it belongs, or each of its steps.

Hochreiter & Schmidhuber 1997 (LSTM), Schuster & Paliwal 1997 (both directions), Vaswani et al. 2017 (arXiv 1706.03762,
the transformer's encoder). The one idea: a net turns each step, with what it knows of the others, into a state; pooling
over the steps makes one vector of them, whatever their number, and a linear map of it gives the classes' logits.

One direction knows at each step only what came before; both directions, or an encoder, also what comes after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Classifies, Gates
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable
from elboroom.core.model import Model
from elboroom.core.optim import Adam, Split, warmup_cosine
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.models._sequence import NO_GATES, Attentive, Cell, gates_of
from elboroom.nn.encoder import Encoder
from elboroom.nn.recurrent import Recurrent

__all__ = ["Classifier"]


class Classifier(Model, Classifies, Gates):
    """A net over the steps, pooling, and a head."""

    kinds = ("sequences",)
    epochs = 100

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Defaults: a bidirectional LSTM of some 40,000 weights that a laptop trains in a minute."""

        cell: Cell = "lstm"
        """rnn, lstm, peephole, gru, or transformer (an encoder; causal blocks with --no-bidirectional)."""
        bidirectional: bool = True
        """Whether a step also knows what comes after it."""
        layers: Annotated[int, Gt(0)] = 1
        """Cells, or blocks, one above the other."""
        hidden: Annotated[int, Gt(0)] = 64
        """Numbers of a cell's state, a direction; a transformer's width."""
        pooling: Literal["mean", "last", "attention"] = "mean"
        """mean of all steps, the last one (of each direction), or a mean weighed by a learned score of each step."""
        target: Literal["sequence", "step"] = "sequence"
        """What carries a label: the whole sequence, or each of its steps."""
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.2
        """Share of values set to zero in training, before the head and between layers."""
        noise: Annotated[float, Ge(0)] = 0.5
        """Standard deviation of the noise added to every value in training, in units of the scaled data; none on texts.
        It keeps a net from learning few sequences by heart (Bishop 1995); many need less of it, or 0."""
        lr: Annotated[float, Gt(0)] = 5e-3
        """Largest step size of AdamW; warmed up, then a cosine down to a hundredth."""
        weight_decay: Annotated[float, Ge(0)] = 0.01
        """Decoupled decay of the matrices, never of biases; a share of lr a step."""
        clip: Annotated[float, Ge(0)] = 1.0
        """Largest norm of the gradient, 0 for none (Pascanu et al. 2013)."""
        batch_size: Annotated[int, Gt(0)] = 16
        """Sequences a step, over all processes."""
        embedding: Annotated[int, Gt(0)] = 64
        """Texts: numbers that stand for a token."""

    config: Config

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        if (config.target == "step") != spec.per_step:
            found = "each step has a label" if spec.per_step else "each sequence has one label"
            wanted = "step" if spec.per_step else "sequence"
            raise InputError(f"--target {config.target}: in these data {found}; give --target {wanted}")
        inputs = spec.shape[-1] * (1 + spec.masked)
        self.embedded: nn.Embedding | None = None
        if spec.levels:
            self.embedded, inputs = nn.Embedding(spec.levels, config.embedding), config.embedding
            nn.init.normal_(self.embedded.weight)
        self.net = self._net(inputs)
        self.directions = self.net.directions if isinstance(self.net, Recurrent) else 1
        self.score = nn.Linear(self.net.outputs, 1) if config.pooling == "attention" and not spec.per_step else None
        self.head = nn.Linear(self.net.outputs, len(spec.classes))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def _net(self, inputs: int) -> Recurrent | Encoder | Attentive:
        c = self.config
        if c.cell != "transformer":
            return Recurrent(
                inputs, c.hidden, cell=c.cell, layers=c.layers, bidirectional=c.bidirectional, dropout=c.dropout
            )
        if c.bidirectional:
            return Encoder(inputs, c.hidden, c.layers, dropout=c.dropout)
        return Attentive(inputs, c.hidden, c.layers, dropout=c.dropout, reach=self.spec.shape[0])

    # -- from steps to logits -----------------------------------------------------------------------------------------

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, T, I) that the net reads, and (B, T) True inside the sequences."""
        x = self.disturbed(batch) if self.embedded is None else self.embedded(batch.x)
        at = torch.arange(x.shape[1], device=x.device)
        inside = (at < batch.lengths[:, None]) if batch.lengths is not None else torch.ones_like(x[..., 0]).bool()
        if self.spec.masked:
            seen = inside[..., None].expand_as(x) if batch.observed is None else batch.observed
            x = torch.cat([x, seen.to(x.dtype)], -1)
        return x, inside

    def states(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, T, H) after each step, and (B, T) True inside the sequences."""
        x, inside = self.inputs(batch)
        if isinstance(self.net, Recurrent):
            return self.net(x, lengths=batch.lengths)[0], inside
        if isinstance(self.net, Encoder):
            return self.net(x, batch.lengths), inside
        return self.net(x), inside  # causal: no step inside looks at the padding behind it

    def disturbed(self, batch: Batch) -> Tensor:
        """(B, T, C): in training with noise on what is there; a missing value stays what stands for it."""
        if not (self.training and self.config.noise):
            return batch.x
        noise = self.config.noise * torch.randn_like(batch.x)
        return batch.x + (noise if batch.observed is None else torch.where(batch.observed, noise, 0))

    def pooled(self, h: Tensor, inside: Tensor) -> Tensor:
        """(B, H) from the states (B, T, H) of the steps inside (B, T)."""
        if self.config.pooling == "last":
            at = torch.arange(h.shape[1], device=h.device)
            last = h.gather(1, (at * inside).amax(1)[:, None, None].expand(-1, 1, h.shape[-1]))[:, 0]
            if self.config.cell == "transformer" or not self.config.bidirectional:
                return last
            forward, _ = last.chunk(2, -1)  # the other direction ends where the sequence begins
            return torch.cat([forward, h[:, 0].chunk(2, -1)[1]], -1)
        if self.score is None:
            weight = inside.to(h.dtype) / inside.sum(1, keepdim=True)
        else:
            score = self.score(h)[..., 0]
            score = score.to(torch.promote_types(score.dtype, torch.float32))
            weight = torch.where(inside, score, -torch.inf).softmax(1).to(h.dtype)
        return (weight[..., None] * torch.where(inside[..., None], h, 0)).sum(1)

    def classify(self, batch: Batch) -> Tensor:
        h, inside = self.states(batch)
        if self.config.target == "sequence":
            h = self.pooled(h, inside)
        if self.training and self.config.dropout:
            h = F.dropout(h, self.config.dropout)
        logits: Tensor = self.head(h)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def gates(self, x: Batch, *, backward: bool = False) -> list[dict[str, Tensor]]:
        if not isinstance(self.net, Recurrent):
            raise Unable(NO_GATES)
        return gates_of(self.net, self.inputs(x)[0], backward=backward)

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p(class), nats per sequence, or per step that has a label."""
        assert batch.label is not None
        logits, label = self.classify(batch).flatten(0, -2), batch.label.reshape(-1)
        known = label >= 0
        count = known.sum().clamp_min(1)
        nats = -logits.log_softmax(-1).gather(1, label.clamp_min(0)[:, None])[:, 0]
        right = (logits.argmax(-1) == label) & known
        return torch.where(known, nats, 0).sum() / count, {"accuracy": right.sum() / count}

    def phases(self) -> list[Phase]:
        """One phase with two shares of the parameters: matrices, which decay, and vectors."""
        c = self.config
        adam = Adam(lr=c.lr, schedule=warmup_cosine(0.05, 0.01))
        matrices = [p for p in self.parameters() if p.ndim >= 2]
        vectors = [p for p in self.parameters() if p.ndim < 2]
        decayed = replace(adam, weight_decay=c.weight_decay)
        rule = Split(rules=(decayed, adam), counts=(len(matrices), len(vectors)), clip=c.clip)
        return [Phase("classes", self.loss, [*matrices, *vectors], rule)]
