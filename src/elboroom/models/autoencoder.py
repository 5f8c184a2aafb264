"""Autoencoder: a narrow code between an encoder and a decoder, fitted by reconstruction alone.

Rumelhart, Hinton & Williams 1986; Hinton & Salakhutdinov 2006 (Science 313). With its default settings: 784-32-784, a
ReLU code, Glorot-uniform weights, binary cross-entropy under Adam. The loss is -log p(x given code) in nats per
example; divided by the number of pixels it is the mean cross-entropy that Keras shows, logged as reconstruction_bce.
There is no law for the codes, so an autoencoder can encode and decode but neither sample nor bound a likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Decodes, Encodes, Outcome
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.elbo import values_per_example
from elboroom.nn.backbone import Backbone
from elboroom.nn.inputs import Inputs
from elboroom.nn.likelihood import head_for
from elboroom.nn.mlp import glorot_
from elboroom.nn.pixels import BernoulliHead
from elboroom.nn.posterior import Point

__all__ = ["Autoencoder"]


class Autoencoder(Model, Encodes, Decodes):
    """x -> code -> p(x given code)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Defaults are the exercise's: one layer in, one layer out."""

        backbone: Literal["auto", "mlp", "conv"] = "mlp"
        """Networks: fully connected, convolutional, or by the data (convolutions for images of 16 pixels or more)."""
        latent: Annotated[int, Gt(0)] = 32
        """Length of the code."""
        hidden: tuple[Annotated[int, Gt(0)], ...] = ()
        """Widths of the fully connected layers between x (or the convolutions) and the code; the decoder
        mirrors them."""
        activation: Literal["relu", "gelu", "tanh"] = "relu"
        """What follows each hidden layer."""
        code: Literal["relu", "linear"] = "relu"
        """What the code is: cut at zero, or any number (better for codes of 2 or 3 dimensions to look at)."""
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
        """Share of each fully connected layer's outputs set to zero in training."""
        likelihood: Literal[
            "auto", "bernoulli", "categorical", "logistic", "gaussian", "poisson", "negative_binomial", "mixed"
        ] = "auto"
        """Law of x given the code; auto decides by grey levels, kinds of columns and range."""
        batch_size: Annotated[int, Gt(0)] = 256
        """Examples a step, over all processes."""
        lr: Annotated[float, Gt(0)] = 1e-3
        """Step size of Adam (Kingma & Ba 2015)."""

    config: Config

    def __init__(self, config: Config, spec: Spec, networks: Mapping[str, nn.Module] | None = None) -> None:
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
        self.encoder = build.encoder(self.inputs.shape, config.latent)
        self.decoder = build.decoder(config.latent, self.head.features)
        for role, network in (("encoder", self.encoder), ("decoder", self.decoder)):
            if role not in build.own:
                glorot_(network)

    def encode(self, batch: Batch) -> Point:
        """The code of each example, without spread."""
        code: Tensor = self.encoder(self.inputs(batch))
        return Point(code.relu() if self.config.code == "relu" else code)

    def decode(self, z: Tensor) -> Outcome:
        """p(x given code) for codes (..., latent); leading axes stay."""
        h: Tensor = self.decoder(z.flatten(0, -2)).flatten(1)
        outcome: Outcome = self.head(h if z.ndim == 2 else h.reshape(*z.shape[:-1], -1))
        return outcome

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p(x given its code), nats per example."""
        distortion = -self.decode(self.encode(batch).mean).log_prob(batch.x, batch.observed).mean()
        logs = {"distortion_nats": distortion.detach()}
        if isinstance(self.head, BernoulliHead):
            logs["reconstruction_bce"] = logs["distortion_nats"] / values_per_example(batch.observed, self.spec.size)
        return distortion, logs

    def phases(self) -> list[Phase]:
        """One phase: every parameter goes down the one loss."""
        return [Phase("reconstruction", self.loss, self.parameters(), Adam(lr=self.config.lr))]
