"""beta-VAE: a VAE whose rate has a weight, or is held at a capacity.

Higgins et al. 2017 (beta-VAE, ICLR): distortion + beta * rate. Burgess et al. 2018 (arXiv 1804.03599, equation 8):
distortion + beta * |rate - C| with C growing over the run; their gamma is our beta. The first is the second at C = 0.

With beta > 1 the loss is still above -log p(x), only less tight. With beta < 1, C > 0 or free bits it is
**not a bound**: read `elbo_nats`, which has beta 1 whatever the setting. No value of beta promises disentanglement
(Locatello et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.phase import Logs
from elboroom.models._variational import Variational, VariationalConfig

__all__ = ["BetaVAE"]


class BetaVAE(Variational):
    """One factor before the rate."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VariationalConfig):
        """The common settings and four."""

        beta: Annotated[float, Ge(0)] = 4.0
        """Weight of the rate (Higgins: beta; Burgess: gamma). Below 1 the loss is not a bound."""
        capacity: Annotated[float, Ge(0)] = 0.0
        """C in nats, reached at the end of the run; 0 is the plain weight."""
        warmup: Annotated[float, Ge(0), Le(1)] = 0.0
        """Share of the run over which the weight rises from 0 to beta; 0 has it at beta from the start."""
        free_bits: Annotated[float, Ge(0)] = 0.0
        """Nats a dimension may carry, on average over the batch, before its rate costs anything (Kingma et al. 2016,
        1606.04934, appendix C.8): against dimensions that carry nothing. Above 0 the loss is not a bound."""

    config: Config

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E log p(x given z) + beta |KL(q(z given x) || N(0, I)) - capacity t|, z drawn of q, nats per example."""
        q = self.encode(batch)
        p = self.decode(q.rsample())
        distortion = -p.log_prob(batch.x, batch.observed).mean()  # nats per example
        rate = q.kl_to_standard().mean()  # nats per example
        beta = self.config.beta * (t / self.config.warmup).clamp(max=1) if self.config.warmup else self.config.beta
        free = self.config.free_bits
        paid = q.kl_by_dimension().mean(0).clamp(min=free).sum() if free else rate
        excess = (paid - self.config.capacity * t).abs()
        return distortion + beta * excess, self.terms(batch, distortion, rate)
