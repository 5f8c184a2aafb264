"""Adversarial autoencoder: an autoencoder whose codes, all together, are made to follow a prior by a critic.

Makhzani, Shlens, Jaitly, Goodfellow & Frey 2016, Adversarial Autoencoders (arXiv 1511.05644). The one idea: the rate of
a VAE pulls each q(z given x) towards the prior; here only q(z), the law of the codes of all examples, is compared with
it, by a discriminator D that sees draws of both, so the encoder may be of any kind and the prior needs no density:

    min over E, R, max over D of  lam E|x - R(E(x))|^2 + (1 - lam) (E log sigmoid(D(z)) + E log(1 - sigmoid(D(E(x)))))

with the squared error as a mean over values. The encoder's adversarial term is the non-saturating one. Both its terms
go into one step of one optimiser: with a step of its own, Adam would undo (1 - lam). At lam 1 this is an autoencoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from elboroom.core.abilities import Assumes, Code, Decodes, Encodes, Samples
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import SGD, Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.adversarial import non_saturating
from elboroom.losses.elbo import values_per_example
from elboroom.nn.backbone import Backbone
from elboroom.nn.implicit import Implicit, NoiseIn
from elboroom.nn.inputs import Inputs
from elboroom.nn.players import MLPCritic
from elboroom.nn.posterior import DiagonalGaussian, Point
from elboroom.nn.priors import LAWS, prior_for
from elboroom.nn.squared import Squared, SquaredHead

__all__ = ["AAE"]

FEATURES = 256
"""Numbers the universal encoder knows of x when the noise comes in."""


class AAE(Model, Samples, Encodes, Decodes, Assumes):
    """Encoder E, decoder R, discriminator D of codes."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Defaults are the course exercise's: z of 8, lam 0.995."""

        backbone: Literal["auto", "mlp", "conv"] = "auto"
        """Networks: fully connected, convolutional, or by the data (convolutions for images of 16 pixels or more)."""
        latent: Annotated[int, Gt(0)] = 8
        """Length of the code z."""
        hidden: tuple[Annotated[int, Gt(0)], ...] = (512,)
        """Widths of the fully connected layers between x (or the convolutions) and z; the decoder mirrors them."""
        activation: Literal["relu", "gelu", "tanh"] = "relu"
        """What follows each hidden layer."""
        encoder: Literal["deterministic", "gaussian", "universal"] = "deterministic"
        """q(z given x): one point; a Gaussian; or any law, by noise that goes into the encoder."""
        prior: Literal["gaussian", "mixture", "swiss_roll"] = "gaussian"
        """What all codes together shall follow."""
        lam: Annotated[float, Ge(0), Le(1)] = 0.995
        """Weight of the reconstruction; the adversarial term has the rest."""
        noise: Annotated[int, Gt(0)] = 16
        """Width of the noise of the universal encoder."""
        critic_hidden: tuple[Annotated[int, Gt(0)], ...] = (512, 512, 512)
        """Widths of the discriminator's hidden layers."""
        critic_lr: Annotated[float, Gt(0)] = 5e-3
        """Step size of stochastic gradient descent for the discriminator."""
        lr: Annotated[float, Gt(0)] = 1e-3
        """Step size of Adam for encoder and decoder, with beta1 0.5."""
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
        """Share of each fully connected layer's outputs set to zero in training."""
        batch_size: Annotated[int, Gt(0)] = 64
        """Examples a step, over all processes."""

    config: Config

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        build = Backbone(
            spec=spec,
            kind=config.backbone,
            hidden=config.hidden,
            activation=config.activation,
            dropout=config.dropout,
        )
        self.code_size = config.latent
        self.inputs, self.head = Inputs(spec), SquaredHead(spec)
        self.draw_prior, self.law = prior_for(config.prior, config.latent), LAWS[config.prior]
        widths = {"deterministic": config.latent, "gaussian": 2 * config.latent, "universal": FEATURES}
        self.encoder = build.encoder(self.inputs.shape, widths[config.encoder])
        universal = config.encoder == "universal"
        self.noisy = NoiseIn(FEATURES, config.noise, FEATURES, config.latent) if universal else None
        self.decoder = build.decoder(config.latent, self.head.features)
        self.critic = MLPCritic((config.latent,), config.critic_hidden)

    # codes and examples

    def encode(self, batch: Batch) -> Code:
        """q(z given x)."""
        features: Tensor = self.encoder(self.inputs(batch))
        if self.noisy is not None:
            return Implicit(self.noisy, features)
        return Point(features) if self.config.encoder == "deterministic" else DiagonalGaussian.of(features)

    def decode(self, z: Tensor) -> Squared:
        """R(z) for codes (..., latent); leading axes stay."""
        h: Tensor = self.decoder(z.flatten(0, -2)).flatten(1)
        outcome: Squared = self.head(h if z.ndim == 2 else h.reshape(*z.shape[:-1], -1))
        return outcome

    # losses

    def autoencoder_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """lam E|x - R(z)|^2 - (1 - lam) E log sigmoid(D(z)), z drawn of q(z given x)."""
        z, lam = self.encode(batch).rsample(), self.config.lam
        square = (self.decode(z).mean - batch.x).square()
        square = square if batch.observed is None else torch.where(batch.observed, square, 0.0)
        error = square.flatten(1).sum(1).mean() / values_per_example(batch.observed, self.spec.size)
        scores = self.critic(z)
        fooled = non_saturating.generator(scores, scores)
        logs = {"reconstruction_mse": error.detach(), "adversarial_nats": fooled.detach()}
        return lam * error + (1 - lam) * fooled, logs

    def critic_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E log sigmoid(D(z)) with z of the prior - E log(1 - sigmoid(D(z))) with z of q(z), nats."""
        with torch.no_grad():
            z = self.encode(batch).rsample()
        drawn = self.prior(len(batch)).to(z.dtype)
        real, made = self.critic(torch.cat([drawn, z])).chunk(2)
        ranked = (real > made).to(real.dtype).mean()
        logs = {"score_prior": real.mean(), "score_code": made.mean(), "ranked": ranked}
        return non_saturating.critic(real, made), {name: value.detach() for name, value in logs.items()}

    def phases(self) -> list[Phase]:
        """Encoder and decoder in one step, then the discriminator."""
        c = self.config
        own = [p for name, p in self.named_parameters() if not name.startswith("critic.")]
        return [
            Phase("autoencoder", self.autoencoder_loss, own, Adam(lr=c.lr, beta1=0.5)),
            Phase("discriminator", self.critic_loss, self.critic.parameters(), SGD(lr=c.critic_lr)),
        ]

    # abilities

    def sample(self, n: int, *, temperature: float = 1.0, mean: bool = False) -> Tensor:
        """z from the prior, times `temperature`; the decoder adds no noise, so its mean is all there is."""
        return self.decode(temperature * self.prior(n)).mean

    def prior(self, n: int) -> Tensor:
        return self.draw_prior(n, self.config.latent, next(self.parameters()).device)
