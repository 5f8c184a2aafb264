"""Generative adversarial network: two fully connected networks, one that makes examples and one that tells them apart.

Goodfellow et al. 2014, Generative Adversarial Nets (arXiv 1406.2661). The one idea: no likelihood is written down; the
generator G learns from the gradient of a critic D that is trained at the same time to tell its examples from the data,

    min over G, max over D of  E log sigmoid(D(x)) + E log(1 - sigmoid(D(G(z))))    (equation 1, in nats).

By default G maximises E log sigmoid(D(G(z))) instead, whose gradient does not vanish when D is sure (section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.adversarial import least_squares, minimax, non_saturating
from elboroom.models._adversarial import Adversarial, AdversarialConfig, seen_shape
from elboroom.nn.players import MLPCritic, MLPGenerator

__all__ = ["GAN"]

GAMES = {"non_saturating": non_saturating, "minimax": minimax, "least_squares": least_squares}


class GAN(Adversarial):
    """The plain one."""

    @dataclass(frozen=True, kw_only=True)
    class Config(AdversarialConfig):
        """Defaults suit small images, tables and points in the plane."""

        loss: Literal["non_saturating", "minimax", "least_squares"] = "non_saturating"
        """What the generator minimises; least_squares is that of both players in Mao et al. 2017."""
        hidden: tuple[Annotated[int, Gt(0)], ...] = (256, 256)
        """Widths of the generator's hidden layers."""
        critic_hidden: tuple[Annotated[int, Gt(0)], ...] = (256, 256)
        """Widths of the critic's hidden layers."""
        maxout: Annotated[int, Ge(0)] = 0
        """Linear pieces of each hidden unit of the critic, of which the largest counts (Goodfellow et al. 2013); 0
        takes a leaky ReLU."""
        norm: Literal["none", "batch"] = "none"
        """What follows each hidden layer of the generator."""
        lr: Annotated[float, Gt(0)] = 2e-4
        """Step size of Adam for both."""
        beta1: Annotated[float, Ge(0), Lt(1)] = 0.5
        """Adam's memory of the gradient (Radford et al. 2016 found 0.9 unstable)."""

    config: Config
    epochs = 100
    presets = {
        "pacgan": {
            "settings": {
                "latent": 2,
                "hidden": [400, 400, 400, 400],
                "critic_hidden": [200, 200, 200],
                "maxout": 5,
                "norm": "batch",
                "lr": 1e-4,
                "beta1": 0.8,
                "batch_size": 100,
                "ema": 0.0,
            },
            "reading": {"scale": "none"},
            "epochs": 400,
        },
    }

    def __init__(self, config: Config, spec: Spec) -> None:
        generator = MLPGenerator(config.latent, config.hidden, spec.shape, norm=config.norm)
        critic = MLPCritic(seen_shape(spec, config.pack), config.critic_hidden, maxout=config.maxout)
        super().__init__(config, spec, generator=generator, critic=critic)
        self.game = GAMES[config.loss]

    def critic_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E log sigmoid(D(x)) - E log(1 - sigmoid(D(G(z)))), nats."""
        real, made = self.duel(batch)
        return self.game.critic(real, made), self.terms(real, made)

    def generator_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E log sigmoid(D(G(z))), nats, or as `loss` says."""
        made = self.score(self.seen(self.make(batch), batch))
        return self.game.generator(torch.zeros_like(made), made), {}

    def phases(self) -> list[Phase]:
        """The critic, then the generator, on the same batch."""
        adam = Adam(lr=self.config.lr, beta1=self.config.beta1)
        return [
            Phase("critic", self.critic_loss, self.critic.parameters(), adam, watched=True),
            Phase(
                "generator", self.generator_loss, self.generator.parameters(), adam, after=self.follow_, watched=True
            ),
        ]
