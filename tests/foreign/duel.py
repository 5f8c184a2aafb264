"""Two players on a table: a critic with a gradient penalty and clipped weights, a generator every second step.

A model of the tests, in a folder of its own: what a user's own file looks like. Not a model to use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from elboroom.core.abilities import Samples
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import Adam
from elboroom.core.phase import Phase
from elboroom.core.spec import Spec

__all__ = ["Duel"]


class Duel(Model, Samples):
    """Generator against critic."""

    kinds = ("images", "table")
    epochs = 3

    @dataclass(frozen=True, kw_only=True)
    class Config:
        latent: Annotated[int, Gt(0)] = 2
        """Dimensions of the noise the generator starts from."""
        width: Annotated[int, Gt(0)] = 16
        """Units of the one hidden layer of each player."""
        penalty: Annotated[float, Ge(0)] = 10.0
        """Weight of the gradient penalty (Gulrajani et al. 2017)."""
        batch_size: Annotated[int, Gt(0)] = 32
        """Examples a step, over all processes."""
        lr: Annotated[float, Gt(0)] = 1e-3
        """Step size of Adam, both players."""

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        size, width = spec.size, config.width
        self.critic = nn.Sequential(nn.Linear(size, width), nn.Tanh(), nn.Linear(width, 1))
        self.generator = nn.Sequential(nn.Linear(config.latent, width), nn.Tanh(), nn.Linear(width, size))

    def sample(self, n: int, *, temperature: float = 1.0, mean: bool = False) -> Tensor:
        z = temperature * torch.randn(n, self.config.latent)
        return self.generator(z).reshape(n, *self.spec.shape)

    def fake(self, like: Tensor) -> Tensor:
        return self.generator(torch.randn_like(like[:, :1].expand(-1, self.config.latent)))

    def critic_loss(self, batch: Batch, t: Tensor) -> Any:
        real = batch.x.flatten(1)
        fake = self.fake(real)
        mixed = fake + torch.rand_like(real[:, :1]) * (real - fake)
        slope = torch.func.grad(lambda x: self.critic(x).sum())(mixed)
        penalty = (slope.square().sum(-1).add(1e-12).sqrt() - 1).square().mean()
        distance = self.critic(real).mean() - self.critic(fake).mean()
        return -distance + self.config.penalty * penalty, {"distance": distance, "penalty": penalty}

    def generator_loss(self, batch: Batch, t: Tensor) -> Any:
        return -self.critic(self.fake(batch.x.flatten(1))).mean(), {}

    def clip(self) -> None:
        for p in self.critic.parameters():
            p.clamp_(-0.5, 0.5)

    def phases(self) -> list[Phase]:
        adam = Adam(lr=self.config.lr, beta1=0.5)
        return [
            Phase("critic", self.critic_loss, self.critic.parameters(), adam, after=self.clip),
            Phase("generator", self.generator_loss, self.generator.parameters(), adam, every=2),
        ]
