"""What the variational autoencoders share: networks, distributions and abilities. A model file adds its loss.

z ~ N(0, I)                 the prior
x ~ p(x given z)            a head on the decoder's output: nn/likelihood
q(z given x)                a diagonal Gaussian from the encoder's output: nn/posterior
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Assumes, Bounds, Decodes, Encodes, Imputes, Outcome, Samples
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.elbo import bits_per_dim, elbo_logs, values_per_example
from elboroom.nn.backbone import Backbone
from elboroom.nn.inputs import Inputs
from elboroom.nn.likelihood import head_for
from elboroom.nn.pixels import BernoulliHead
from elboroom.nn.posterior import DiagonalGaussian, standard_log_prob
from elboroom.nn.weighted import WeightedMoments

__all__ = ["Variational", "VariationalConfig"]

IMPUTING = 100
"""Draws of z that the cells of a row are filled in from."""


@dataclass(frozen=True, kw_only=True)
class VariationalConfig:
    """The settings every variational autoencoder has."""

    backbone: Literal["auto", "mlp", "conv"] = "auto"
    """Networks: fully connected, convolutional, or by the data (convolutions for images of 16 pixels or more)."""
    latent: Annotated[int, Gt(0)] = 16
    """Dimensions of z."""
    hidden: tuple[Annotated[int, Gt(0)], ...] = (512,)
    """Widths of the fully connected layers between x (or the convolutions) and z; the decoder mirrors them. None at
    all leaves a linear map: with the gaussian likelihood, probabilistic PCA with a variance for each column."""
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    """What follows each hidden layer."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Share of each fully connected layer's outputs set to zero in training."""
    likelihood: Literal[
        "auto", "bernoulli", "categorical", "logistic", "gaussian", "poisson", "negative_binomial", "mixed"
    ] = "auto"
    """Law of x given z; auto decides by grey levels, kinds of columns and range."""
    batch_size: Annotated[int, Gt(0)] = 128
    """Examples a step, over all processes."""
    lr: Annotated[float, Gt(0)] = 1e-3
    """Step size of Adam (Kingma & Ba 2015)."""


class Variational(Model, Samples, Encodes, Decodes, Assumes, Bounds, Imputes):
    """Encoder, decoder and head; `networks` may bring an encoder (inputs -> 2 latent) and a decoder (latent -> h)."""

    config: VariationalConfig
    law = "N(0, I)"

    def __init__(self, config: VariationalConfig, spec: Spec, networks: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__(config, spec)
        build = Backbone(
            spec=spec,
            kind=config.backbone,
            hidden=config.hidden,
            activation=config.activation,
            dropout=config.dropout,
            own=networks or {},
        )
        self.code_size = config.latent
        self.inputs = Inputs(spec)
        self.head = head_for(config.likelihood, spec)
        self.encoder = build.encoder(self.inputs.shape, 2 * config.latent)
        self.decoder = build.decoder(config.latent, self.head.features)

    # distributions

    def encode(self, batch: Batch) -> DiagonalGaussian:
        """q(z given x)."""
        return DiagonalGaussian.of(self.encoder(self.inputs(batch)))

    def decode(self, z: Tensor) -> Outcome:
        """p(x given z) for z (..., latent); leading axes stay."""
        h: Tensor = self.decoder(z.flatten(0, -2)).flatten(1)
        outcome: Outcome = self.head(h if z.ndim == 2 else h.reshape(*z.shape[:-1], -1))
        return outcome

    # the loss

    @abstractmethod
    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """What is minimised, in nats per example, and its terms."""

    def terms(self, batch: Batch, distortion: Tensor, rate: Tensor) -> Logs:
        """What the history shows of a step: the bound with its parts, in the units that this likelihood has."""
        logs = elbo_logs(distortion.detach(), rate.detach())
        values = values_per_example(batch.observed, self.spec.size)
        if self.head.discrete:
            logs["bits_per_dim"] = bits_per_dim(-logs["elbo_nats"], values)
        if isinstance(self.head, BernoulliHead):
            logs["reconstruction_bce"] = logs["distortion_nats"] / values
        return logs

    def phases(self) -> list[Phase]:
        """One phase: every parameter goes down the one loss."""
        return [Phase("elbo", self.loss, self.parameters(), Adam(lr=self.config.lr))]

    # abilities

    def sample(self, n: int, *, temperature: float = 1.0, mean: bool = False) -> Tensor:
        """z from the prior, p(x given z) from the decoder, x from it (or its mean)."""
        p = self.decode(temperature * self.prior(n))
        return p.mean if mean else p.sample()

    def prior(self, n: int) -> Tensor:
        return torch.randn(n, self.config.latent, device=next(self.parameters()).device)

    def log_weights(self, batch: Batch, samples: int) -> Tensor:
        """(samples, batch): log p(x given z) + log p(z) - log q(z given x); x is encoded once, never copied."""
        q = self.encode(batch)
        z = q.rsample((samples,))
        return self.decode(z).log_prob(batch.x, batch.observed) + standard_log_prob(z) - q.log_prob(z)

    def impute(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """E[x given its measured cells], by draws of q weighted with p(measured cells, z) / q (Mattei & Frellsen 2019,
        arXiv 1812.02633, equation 12). The encoder sees a missing cell as 0. Names take the draw of most weight."""
        seen = torch.ones_like(batch.x, dtype=torch.bool) if batch.observed is None else batch.observed
        q, moments = self.encode(batch), WeightedMoments()
        for _ in range(IMPUTING):
            z = q.rsample()
            p = self.decode(z)
            moments.add(p.log_prob(batch.x, seen) + standard_log_prob(z) - q.log_prob(z), p.mean, p.sd)
        mean, sd = moments.result()
        names = torch.tensor([column.kind == "categorical" for column in self.spec.columns], device=mean.device)
        mean, sd = torch.where(names, moments.top[0], mean), torch.where(names, moments.top[1], sd)
        return torch.where(seen, batch.x, mean), torch.where(seen, torch.zeros_like(sd), sd)
