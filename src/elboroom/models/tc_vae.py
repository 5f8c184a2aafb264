"""beta-TCVAE: a VAE in which only the dependence between the codes has a weight.

Chen, Li, Grosse & Duvenaud 2018, Isolating Sources of Disentanglement in VAEs (arXiv 1802.04942). The one idea: of the
three parts of the rate (information, total correlation, distance of each code from its prior; equation 2) only the
total correlation asks for independent codes, so only it is weighed:

    distortion + information + beta * total correlation + distances      (equation 4, alpha = gamma = 1)
  = distortion + rate + (beta - 1) * total correlation,

the rate in closed form as in a VAE, which this is at beta 1. With beta above 1 the loss is above -log p(x); below 1 it
is **not a bound**. The total correlation is estimated from the batch, of which `losses/decomposition.py` gives the
weights; in several processes each estimates it from its own rows. No beta promises disentanglement (Locatello et al.
2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.phase import Logs
from elboroom.losses.decomposition import aggregate
from elboroom.models._variational import Variational, VariationalConfig

__all__ = ["TCVAE"]


class TCVAE(Variational):
    """One factor before the total correlation."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VariationalConfig):
        """The common settings and two."""

        beta: Annotated[float, Ge(0)] = 6.0
        """Weight of the total correlation (the paper's best on dSprites). Below 1 the loss is not a bound."""
        train_rows: Annotated[int, Ge(0)] = 0
        """Rows of the training part, N of the estimate: a fit puts them in place of 0; at 0 the batch is the whole."""

    config: Config
    presets = {
        "paper": {
            "settings": {"backbone": "mlp", "hidden": [1200, 1200], "latent": 10, "batch_size": 2048},
            "reading": {"scale": "unit"},
            "epochs": 50,
        },
    }

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        q = self.encode(batch)
        z = q.rsample()
        distortion = -self.decode(z).log_prob(batch.x, batch.observed).mean()  # nats per example
        rate = q.kl_to_standard().mean()  # nats per example
        together = aggregate(z, q.mean, q.log_stddev, rows=self.config.train_rows)
        dependence = together.total_correlation()
        logs = self.terms(batch, distortion, rate)
        logs["total_correlation_nats"] = dependence.detach()
        logs["information_nats"] = (q.log_prob(z) - together.joint).mean().detach()
        return distortion + rate + (self.config.beta - 1) * dependence, logs
