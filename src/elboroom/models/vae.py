"""Variational autoencoder: a Gaussian code and a decoder, fitted by the evidence lower bound.

Kingma & Welling 2014, Auto-Encoding Variational Bayes (arXiv 1312.6114). The one idea: the encoder gives a
distribution over codes, a draw z = mean + stddev * noise keeps its gradient, and what is minimised,

    distortion + rate = -E_q[log p(x given z)] + KL(q(z given x) || N(0, I))    (equation 3, sign turned),

is an upper bound of -log p(x) in nats. Paper's letters: theta, the decoder's parameters; phi, the encoder's.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.phase import Logs
from elboroom.models._variational import Variational, VariationalConfig

__all__ = ["VAE"]


class VAE(Variational):
    """The plain one: rate and distortion weigh the same, so the loss is a bound."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VariationalConfig):
        """The common settings and no other."""

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
        """-E log p(x given z) + KL(q(z given x) || N(0, I)), z drawn of q, nats per example."""
        q = self.encode(batch)
        p = self.decode(q.rsample())
        distortion = -p.log_prob(batch.x, batch.observed).mean()  # nats per example
        rate = q.kl_to_standard().mean()  # nats per example
        return distortion + rate, self.terms(batch, distortion, rate)
