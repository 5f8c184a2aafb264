"""FactorVAE: a VAE whose codes are made independent by a critic that compares them with shuffled ones.

Kim & Mnih 2018, Disentangling by Factorising (arXiv 1802.05983). The one idea: draws of prod_j q(z_j) are had by
shuffling each code over the rows of a batch, and a critic D that tells true codes from shuffled ones gives the log
ratio of their densities as its score, hence the total correlation without a density:

    distortion + rate + gamma * E D(z)         (equation 2; D(z) = log q(z) - log prod_j q(z_j) where D is at its best)

Paper's letters: its D(z) is the probability, sigmoid of our score. The critic sees the codes of one half of the batch
and, shuffled, those of the other (algorithm 2 takes two batches). The loss is above -log p(x) as far as the critic's
estimate is right. No gamma promises disentanglement (Locatello et al. 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from elboroom.core.batch import Batch
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.adversarial import non_saturating
from elboroom.models._variational import Variational, VariationalConfig
from elboroom.nn.players import MLPCritic

__all__ = ["FactorVAE", "shuffled"]


def shuffled(z: Tensor) -> Tensor:
    """(batch, latent) -> the same with each column in an order of its own, all orders alike likely."""
    return z.gather(0, torch.rand_like(z).argsort(0))


class FactorVAE(Variational):
    """Encoder, decoder, and a critic of codes."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VariationalConfig):
        """The common settings and three."""

        gamma: Annotated[float, Ge(0)] = 35.0
        """Weight of the total correlation (the paper's choice on dSprites)."""
        critic_hidden: tuple[Annotated[int, Gt(0)], ...] = (1000, 1000, 1000, 1000, 1000, 1000)
        """Widths of the critic's hidden layers."""
        critic_lr: Annotated[float, Gt(0)] = 1e-4
        """Step size of Adam for the critic, with beta1 0.5 and beta2 0.9."""

    config: Config
    presets = {
        "paper": {
            "settings": {"backbone": "conv", "hidden": [128], "latent": 10, "lr": 1e-4, "batch_size": 64},
            "reading": {"scale": "unit"},
            "epochs": 50,
        },
    }

    def __init__(self, config: Config, spec: Spec, networks: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__(config, spec, networks)
        self.critic = MLPCritic((config.latent,), config.critic_hidden)

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        q = self.encode(batch)
        z = q.rsample()
        distortion = -self.decode(z).log_prob(batch.x, batch.observed).mean()  # nats per example
        rate = q.kl_to_standard().mean()  # nats per example
        dependence = self.critic(z).mean()  # nats per example
        logs = self.terms(batch, distortion, rate)
        logs["total_correlation_nats"] = dependence.detach()
        return distortion + rate + self.config.gamma * dependence, logs

    def critic_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """(-E log sigmoid(D(z)) - E log(1 - sigmoid(D(shuffled z')))) / 2, nats; z and z' of different rows."""
        with torch.no_grad():
            z = self.encode(batch).rsample()
        half = len(batch) // 2
        true, mixed = (z[:half], shuffled(z[half:])) if half else (z, z)
        s, r = self.critic(torch.cat([true, mixed])).split([len(true), len(mixed)])
        logs = {"score_true": s.mean().detach(), "score_shuffled": r.mean().detach()}
        return non_saturating.critic(s, r) / 2, logs

    def phases(self) -> list[Phase]:
        """Encoder and decoder, then the critic, on the same batch."""
        c = self.config
        own = [p for name, p in self.named_parameters() if not name.startswith("critic.")]
        return [
            Phase("elbo", self.loss, own, Adam(lr=c.lr)),
            Phase("critic", self.critic_loss, self.critic.parameters(), Adam(lr=c.critic_lr, beta1=0.5, beta2=0.9)),
        ]
