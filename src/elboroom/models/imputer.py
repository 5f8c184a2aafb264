"""Imputer: from the cells of a row that were measured to the law of those that were not.

Chen et al. 2016, Gene expression inference with deep learning (doi 10.1093/bioinformatics/btw074): a network reads a
few landmark columns (`--observed A,B`, or `--landmarks K`, chosen on the training part) and tells the rest of the row.
With no landmarks any cell may be missing: each step hides a share of the measured cells and asks for them (denoising
as in Vincent et al. 2008). Either way the loss is -log p(asked cells given shown cells) in nats, summed over the asked
cells, averaged over rows. Each column has a law of its own kind; a real one is Gaussian with a learned standard
deviation, which held-out rows set right at the end of a training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Calibrates, Imputes, Outcome
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.nn.inputs import Inputs
from elboroom.nn.likelihood import head_for
from elboroom.nn.mlp import MLP

__all__ = ["Imputer"]


class Imputer(Model, Imputes, Calibrates):
    """Shown cells -> hidden layers -> a law for every column."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """One hidden layer with half its outputs dropped: few rows, many columns."""

        landmarks: Annotated[int, Ge(0)] = 0
        """Columns to be chosen as always known: those that explain most of all columns together, found greedily on
        the training part. 0 takes those of --observed; with neither any cell may be missing."""
        mask_share: Annotated[float, Gt(0), Lt(1)] = 0.3
        """Share of the measured cells hidden at each step, where no column is always known."""
        hidden: tuple[Annotated[int, Gt(0)], ...] = (512,)
        """Widths of the hidden layers; none at all leaves linear regression."""
        activation: Literal["relu", "gelu", "tanh"] = "relu"
        """What follows each hidden layer."""
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.5
        """Share of each hidden layer's outputs set to zero in training."""
        likelihood: Literal["auto", "bernoulli", "gaussian", "poisson", "negative_binomial", "mixed"] = "auto"
        """Law of a cell; auto decides by the kinds of columns."""
        batch_size: Annotated[int, Gt(0)] = 32
        """Rows a step, over all processes."""
        lr: Annotated[float, Gt(0)] = 3e-4
        """Step size of Adam (Kingma & Ba 2015)."""

    kinds = ("table",)
    config: Config
    shown_at: Tensor
    landmark: Tensor
    factors: Tensor

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        places = spec.observed or tuple(range(len(spec.columns)))
        columns = tuple(spec.columns[i] for i in places)
        masked = spec.masked or not spec.observed
        self.inputs = Inputs(replace(spec, shape=(len(places),), columns=columns, masked=masked, observed=()))
        self.head = head_for(config.likelihood, spec)
        width, out = self.inputs.shape[0], self.head.features
        self.network = MLP(width, config.hidden, out, activation=config.activation, dropout=config.dropout)
        # a column that is never asked for stays at 0 +- 1, which is its training mean and spread under --scale standard
        nn.init.zeros_(self.network.last.weight)
        nn.init.zeros_(self.network.last.bias)
        landmark = torch.zeros(len(spec.columns), dtype=torch.bool)
        landmark[list(spec.observed)] = True
        self.register_buffer("shown_at", torch.tensor(places), persistent=False)
        self.register_buffer("landmark", landmark, persistent=False)
        self.register_buffer("factors", torch.ones(len(spec.columns)))

    def law(self, x: Tensor, shown: Tensor) -> Outcome:
        """p(each cell given those shown), for x and shown (batch, columns)."""
        given = torch.where(shown, x, torch.zeros_like(x)).index_select(1, self.shown_at)
        seen = shown.index_select(1, self.shown_at)
        outcome: Outcome = self.head(self.network(self.inputs(Batch(given, observed=seen))))
        return outcome

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p of the asked cells, nats per example, and the same per cell."""
        seen = torch.ones_like(batch.x, dtype=torch.bool) if batch.observed is None else batch.observed
        hidden = ~self.landmark if self.spec.observed else torch.rand_like(batch.x) < self.config.mask_share
        asked = seen & hidden
        nats = -self.law(batch.x, seen & ~hidden).log_prob(batch.x, asked).mean()
        cells = asked.to(nats.dtype).sum(1).mean()
        return nats, {"cell_nats": nats.detach() / cells.clamp_min(1 / len(batch))}

    def phases(self) -> list[Phase]:
        """One phase: every parameter goes down the one loss."""
        return [Phase("imputation", self.loss, self.parameters(), Adam(lr=self.config.lr))]

    def impute(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The law's mean, and its standard deviation times the factors of `calibrate`."""
        seen = torch.ones_like(batch.x, dtype=torch.bool) if batch.observed is None else batch.observed
        p = self.law(batch.x, seen)
        sd = p.sd * self.factors
        return torch.where(seen, batch.x, p.mean), torch.where(seen, torch.zeros_like(sd), sd)

    def calibrate(self, factors: Tensor) -> None:
        """See `Calibrates`."""
        self.factors.copy_(factors)
