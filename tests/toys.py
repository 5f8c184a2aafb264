"""Tiny models of every kind the engine must carry unchanged: two players with a gradient penalty and weight clipping,
a weighted adversarial step, a windowed two-stage model with an averaged buffer, carried recurrent state."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import SGD, Adam
from elboroom.core.phase import Phase
from elboroom.core.spec import Spec

SIZE = 6
SPEC = Spec(kind="table", shape=(SIZE,), scale="none")


class Plain(nn.Module):
    """Raw rows are the batch."""

    def forward(self, raw: dict[str, Tensor]) -> Batch:
        return Batch(x=raw["x"])


class Toy(Model):
    def __init__(self, spec: Spec = SPEC) -> None:
        super().__init__(None, spec)


def net(*widths: int, last: type[nn.Module] | None = None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1], *([last()] if last else []))


class Noisy(Toy):
    """A VAE in six lines: draws, dropout, a schedule of t."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = net(SIZE, 16, 4), net(2, 16, SIZE)

    def loss(self, batch: Batch, t: Tensor) -> Any:
        mean, log_sd = self.encoder(F.dropout(batch.x, 0.1)).chunk(2, -1)
        z = mean + log_sd.exp() * torch.randn_like(mean)
        distortion = (self.decoder(z) - batch.x).square().sum(-1).mean()
        rate = (0.5 * (mean.square() + (2 * log_sd).exp()) - log_sd - 0.5).sum(-1).mean()
        return distortion + torch.clamp(t * 4, max=1.0) * rate, {"distortion": distortion, "rate": rate}

    def phases(self) -> list[Phase]:
        return [Phase("vae", self.loss, self.parameters(), Adam(lr=1e-2, clip=5.0))]


class TwoPlayers(Toy):
    """A critic with a gradient penalty and clipped weights, a generator every second step."""

    def __init__(self) -> None:
        super().__init__()
        self.critic, self.generator = net(SIZE, 16, 1), net(2, 16, SIZE)

    def fake(self, x: Tensor) -> Tensor:
        return self.generator(torch.randn_like(x[:, :2]))

    def critic_loss(self, batch: Batch, t: Tensor) -> Any:
        fake = self.fake(batch.x)
        mixed = fake + torch.rand_like(batch.x[:, :1]) * (batch.x - fake)
        slope = torch.func.grad(lambda x: self.critic(x).sum())(mixed)
        penalty = (slope.square().sum(-1).add(1e-12).sqrt() - 1).square().mean()
        distance = self.critic(batch.x).mean() - self.critic(fake).mean()
        return -distance + 10 * penalty, {"distance": distance, "penalty": penalty}

    def generator_loss(self, batch: Batch, t: Tensor) -> Any:
        loss = -self.critic(self.fake(batch.x)).mean()
        return loss, {}

    def clip(self) -> None:
        for p in self.critic.parameters():
            p.clamp_(-0.5, 0.5)

    def phases(self) -> list[Phase]:
        optimizer = Adam(lr=1e-3, beta1=0.5)
        return [
            Phase("critic", self.critic_loss, self.critic.parameters(), optimizer, after=self.clip),
            Phase("generator", self.generator_loss, self.generator.parameters(), optimizer, every=2),
        ]


class Weighted(Toy):
    """An adversarial autoencoder: one step on a weighted sum, then the discriminator's own."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = net(SIZE, 8, 2), net(2, 8, SIZE), net(2, 8, 1)

    def autoencoder_loss(self, batch: Batch, t: Tensor) -> Any:
        z = self.encoder(batch.x)
        error = (self.decoder(z) - batch.x).square().mean()
        fooled = F.softplus(-self.discriminator(z)).mean()
        return 0.9 * error + 0.1 * fooled, {"error": error, "fooled": fooled}

    def discriminator_loss(self, batch: Batch, t: Tensor) -> Any:
        z = self.encoder(batch.x)
        told = F.softplus(-self.discriminator(torch.randn_like(z))) + F.softplus(self.discriminator(z))
        return told.mean(), {}

    def phases(self) -> list[Phase]:
        both = [*self.encoder.parameters(), *self.decoder.parameters()]
        return [
            Phase("autoencoder", self.autoencoder_loss, both, Adam(lr=1e-3)),
            Phase(
                "discriminator", self.discriminator_loss, self.discriminator.parameters(), SGD(lr=5e-3, momentum=0.9)
            ),
        ]


class Windowed(Toy):
    """Two stages: a codebook that moves by averages in the first, a prior over its codes in the second."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.prior = net(SIZE, 2), nn.Linear(2, 4)
        self.register_buffer("book", torch.randn(4, 2))
        self.register_buffer("count", torch.ones(4))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def nearest(self, z: Tensor) -> Tensor:
        return (z[:, None] - self.book[None]).square().sum(-1).argmin(-1)

    def codes_loss(self, batch: Batch, t: Tensor) -> Any:
        z = self.encoder(batch.x)
        k = self.nearest(z.detach())
        chosen = (k[:, None] == torch.arange(4)).to(z.dtype)
        # the loss reads the codebook before it moves: what a step reads is the same in every one of several processes
        loss = (z - self.book[k].detach()).square().sum(-1).mean() - z.tanh().square().mean()
        with torch.no_grad():
            mean = (chosen[:, :, None] * z[:, None]).mean(0)
            self.book.add_((mean.to(self.book.dtype) - self.book) * 0.05)
            self.count.add_((chosen.mean(0).to(self.count.dtype) - self.count) * 0.05)
            self.seen.add_(1)
        return loss, {}

    def prior_loss(self, batch: Batch, t: Tensor) -> Any:
        with torch.no_grad():
            z = self.encoder(batch.x)
        return F.cross_entropy(self.prior(self.book[self.nearest(z)]), self.nearest(z)), {}

    def phases(self) -> list[Phase]:
        return [
            Phase("codes", self.codes_loss, self.encoder.parameters(), Adam(lr=1e-2), window=(0.0, 0.5)),
            Phase(
                "prior", self.prior_loss, self.prior.parameters(), Adam(lr=1e-2, weight_decay=0.01), window=(0.5, 1.0)
            ),
        ]


class Carried(Toy):
    """A recurrent net whose state goes on from batch to batch in a registered buffer."""

    def __init__(self, rows: int = 8) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(SIZE, 5), nn.Linear(5, SIZE)
        self.register_buffer("hidden", torch.zeros(rows, 5))

    def loss(self, batch: Batch, t: Tensor) -> Any:
        h = self.cell(batch.x, self.hidden.clone())
        with torch.no_grad():
            self.hidden.copy_(h.detach().to(self.hidden.dtype))
        return (self.out(h) - batch.x).square().mean(), {}

    def phases(self) -> list[Phase]:
        return [Phase("next", self.loss, self.parameters(), Adam(lr=1e-2))]


TOYS: dict[str, type[Toy]] = {
    "noisy": Noisy,
    "two_players": TwoPlayers,
    "weighted": Weighted,
    "windowed": Windowed,
    "carried": Carried,
}


class Stream:
    """Rows of a fixed table, a batch a step."""

    steps_per_epoch = 5

    def __init__(self, dtype: torch.dtype, batch: int = 8, rank: int = 0, world: int = 1) -> None:
        self.x = torch.randn(self.steps_per_epoch * batch, SIZE, generator=torch.Generator().manual_seed(3)).to(dtype)
        self.batch, self.rank, self.world = batch, rank, world

    def rows(self, step: int) -> dict[str, Tensor]:
        i = step % self.steps_per_epoch
        own = self.batch // self.world
        start = i * self.batch + self.rank * own
        return {"x": self.x[start : start + own]}
