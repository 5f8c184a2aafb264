"""Variational autoencoder: a Gaussian code and a decoder, fitted by the evidence lower bound.

Kingma & Welling 2014, Auto-Encoding Variational Bayes (arXiv 1312.6114). The one idea: the encoder gives a
distribution over codes, a draw z = mean + stddev * noise keeps its gradient, and what is minimised,

    distortion + rate = -E_q[log p(x given z)] + KL(q(z given x) || N(0, I))    (equation 3, sign turned),

is an upper bound of -log p(x) in nats. Paper's letters: theta, the decoder's parameters; phi, the encoder's.
With `--train-samples K` above 1 the loss is -E log (1/K) sum_k p(x, z_k) / q(z_k given x), z_1 .. z_K drawn of q: a
tighter bound (Burda et al. 2016, arXiv 1509.00519, equation 8; their k is our K).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.phase import Logs
from elboroom.losses.elbo import importance_bound
from elboroom.models._variational import Variational, VariationalConfig
from elboroom.nn.posterior import standard_log_prob

__all__ = ["VAE"]


class VAE(Variational):
    """The plain one: rate and distortion weigh the same, so the loss is a bound."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VariationalConfig):
        """The common settings and one."""

        train_samples: Annotated[int, Gt(0)] = 1
        """Draws of z an example and step (K). 1: the ELBO, its rate in closed form; above: the importance-weighted
        bound, at K times the decoder's cost."""

    config: Config
    presets = {
        "course-mlp": {
            "settings": {"backbone": "mlp", "hidden": [512], "latent": 32, "batch_size": 256},
            "reading": {"scale": "unit"},
            "epochs": 50,
        },
        "course-conv": {
            "settings": {"backbone": "conv", "hidden": [], "latent": 20, "activation": "gelu", "batch_size": 128},
            "reading": {"scale": "levels:16"},
            "epochs": 80,
        },
    }

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E log p(x given z) + KL(q(z given x) || N(0, I)), or -E log mean_k w_k; z drawn of q, nats per example."""
        draws = self.config.train_samples
        q = self.encode(batch)
        z = q.rsample() if draws == 1 else q.rsample((draws,))
        log_p = self.decode(z).log_prob(batch.x, batch.observed)
        distortion = -log_p.mean()  # nats per example
        rate = q.kl_to_standard().mean()  # nats per example
        logs = self.terms(batch, distortion, rate)
        if draws == 1:
            return distortion + rate, logs
        log_weights = log_p + standard_log_prob(z) - q.log_prob(z)  # (draws, batch)
        return -importance_bound(log_weights).mean(), logs
