"""Denoising autoencoder: a code of a noisy example, from which the clean one is told.

Vincent et al. 2008 (ICML) and 2010 (JMLR 11, equation 9): noise is drawn anew at each step, the encoder sees the noisy
x~ and the loss is -log p(clean x given code of x~) in nats per example. The one idea: to undo noise a code must hold
what the values have in common, so a code wider than x learns something, too. Kinds of noise: nn/corruption.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Decodes, Denoises, Encodes, Outcome
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.elbo import values_per_example
from elboroom.nn.backbone import Backbone
from elboroom.nn.corruption import Corruption
from elboroom.nn.inputs import Inputs
from elboroom.nn.likelihood import head_for
from elboroom.nn.pixels import BernoulliHead
from elboroom.nn.posterior import Point

__all__ = ["Denoiser"]


class Denoiser(Model, Encodes, Decodes, Denoises):
    """Noisy x -> code -> p(clean x given code)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """One hidden layer on each side; Gaussian noise of a fifth of the range."""

        noise: Literal["gaussian", "masking", "salt_pepper"] = "gaussian"
        """Noise put on x in training: added; values set to 0; values set to the smallest or the largest there is."""
        level: Annotated[float, Gt(0)] = 0.2
        """How strong: of Gaussian noise its standard deviation, in widths of the scale for images and in scaled units
        for tables; of the others the share of the values, 1 at most."""
        spread: Annotated[float, Ge(0), Le(1)] = 0.0
        """Each example's level is drawn between 1 - spread and 1 + spread times `level`; 0 gives all the same."""
        backbone: Literal["auto", "mlp", "conv"] = "mlp"
        """Networks: fully connected, convolutional, or by the data (convolutions for images of 16 pixels or more)."""
        latent: Annotated[int, Gt(0)] = 64
        """Length of the code."""
        hidden: tuple[Annotated[int, Gt(0)], ...] = (512,)
        """Widths of the fully connected layers between x (or the convolutions) and the code; the decoder
        mirrors them."""
        activation: Literal["relu", "gelu", "tanh"] = "relu"
        """What follows each hidden layer."""
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
        """Share of each fully connected layer's outputs set to zero in training."""
        likelihood: Literal[
            "auto", "bernoulli", "categorical", "logistic", "gaussian", "poisson", "negative_binomial", "mixed"
        ] = "auto"
        """Law of x given the code; auto decides by grey levels, kinds of columns and range."""
        batch_size: Annotated[int, Gt(0)] = 128
        """Examples a step, over all processes."""
        lr: Annotated[float, Gt(0)] = 1e-3
        """Step size of Adam (Kingma & Ba 2015)."""

    config: Config

    def __init__(self, config: Config, spec: Spec, networks: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__(config, spec)
        if config.noise != "gaussian" and config.level > 1:
            raise InputError(
                f"level {config.level:g}: {config.noise} noise takes a share of the values; give 1 at most"
            )
        build = Backbone(
            spec=spec,
            kind=config.backbone,
            hidden=config.hidden,
            activation=config.activation,
            dropout=config.dropout,
            own=networks or {},
        )
        self.code_size = config.latent
        self.noise, self.level = config.noise.replace("_", " and "), config.level
        self.inputs = Inputs(spec)
        self.corruption = Corruption(config.noise, spec)
        self.head = head_for(config.likelihood, spec)
        self.encoder = build.encoder(self.inputs.shape, config.latent)
        self.decoder = build.decoder(config.latent, self.head.features)

    def encode(self, batch: Batch) -> Point:
        """The code of each example as it is given, noisy or not, without spread."""
        code: Tensor = self.encoder(self.inputs(batch))
        return Point(code)

    def decode(self, z: Tensor) -> Outcome:
        """p(clean x given code) for codes (..., latent); leading axes stay."""
        h: Tensor = self.decoder(z.flatten(0, -2)).flatten(1)
        outcome: Outcome = self.head(h if z.ndim == 2 else h.reshape(*z.shape[:-1], -1))
        return outcome

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p(x given the code of x under fresh noise), nats per example."""
        reach = self.config.spread * (2 * torch.rand_like(batch.x.flatten(1)[:, 0]) - 1)
        noisy = self.corruption(batch, self.level * (1 + reach))
        distortion = -self.denoise(noisy).log_prob(batch.x, batch.observed).mean()
        logs = {"distortion_nats": distortion.detach()}
        if isinstance(self.head, BernoulliHead):
            logs["reconstruction_bce"] = logs["distortion_nats"] / values_per_example(batch.observed, self.spec.size)
        return distortion, logs

    def phases(self) -> list[Phase]:
        """One phase: every parameter goes down the one loss."""
        return [Phase("denoising", self.loss, self.parameters(), Adam(lr=self.config.lr))]

    def corrupt(self, batch: Batch, level: float) -> Batch:
        """See `Denoises`."""
        noisy: Batch = self.corruption(batch, torch.full_like(batch.x.flatten(1)[:, 0], level))
        return noisy

    def denoise(self, batch: Batch) -> Outcome:
        """p(clean x given the code of what is given)."""
        return self.decode(self.encode(batch).mean)
