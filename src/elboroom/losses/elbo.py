"""The evidence lower bound and its tighter kin, from log-probabilities in nats.

log p(x) >= E_q[log p(x given z)] - KL(q(z given x) || p(z)) = -(distortion + rate)
(Kingma & Welling 2014, arXiv 1312.6114, equation 3; the names as in Alemi et al. 2018, arXiv 1711.00464), and
log p(x) >= E[log mean_k w_k] with w_k = p(x, z_k) / q(z_k given x) (Burda et al. 2016, arXiv 1509.00519, equation 8),
which grows with the number of draws towards log p(x).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from elboroom.core.phase import Logs

__all__ = ["bits_per_dim", "elbo_logs", "importance_bound", "values_per_example"]


def elbo_logs(distortion_nats: Tensor, rate_nats: Tensor) -> Logs:
    """The bound and its two terms under the names of the run's history."""
    return {
        "elbo_nats": -(distortion_nats + rate_nats),
        "rate_nats": rate_nats,
        "distortion_nats": distortion_nats,
    }


def bits_per_dim(nats: Tensor, values: Tensor | int) -> Tensor:
    """Nats per example as bits per value; of meaning only where x is discrete."""
    return nats / (values * math.log(2))


def values_per_example(observed: Tensor | None, size: int) -> Tensor | int:
    """How many values of an example count: all `size`, or on average those that were measured."""
    if observed is None:
        return size
    return observed.sum().clamp_min(1) / observed.shape[0]


def importance_bound(log_weights: Tensor) -> Tensor:
    """(batch,): log of the mean weight over the first axis, for log weights (samples, batch)."""
    return torch.logsumexp(log_weights, 0) - math.log(log_weights.shape[0])
