"""The law of all codes together, q(z) = mean of q(z given x_n) over the N training rows, estimated from one batch.

Chen et al. 2018, Isolating Sources of Disentanglement (arXiv 1802.04942): the rate splits (equation 2) into

    E KL(q(z given x) || p(z)) = I(x; z) + KL(q(z) || prod_j q(z_j)) + sum_j KL(q(z_j) || p(z_j)),

the information of the code about the row, the total correlation, and how far each code alone is from its prior. A
batch of B rows holds the row x_i that z_i was drawn from and B - 1 others, drawn without return from the N - 1 that
remain. So q(z_i) is estimated without bias by

    (1/N) q(z_i given x_i) + (N - 1) / (N (B - 1)) sum over the others of q(z_i given x_j).

Appendix C.2 of the paper (minibatch stratified sampling, with M = B - 1) gives one of the others (N - M) / (N M) and
the rest 1 / M each: the same total, and by symmetry the same estimate once it is averaged over which one that is,
which is what is done here, with less variance. At N = B both are the mean over the batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["Aggregate", "aggregate", "log_row_weights"]


class Aggregate:
    """log q(z_i) (batch,) and log q(z_ij) (batch, latent), of codes drawn from a batch's own posteriors."""

    def __init__(self, joint: Tensor, alone: Tensor) -> None:
        self.joint, self.alone = joint, alone

    def total_correlation(self) -> Tensor:
        """0-dim, nats: E log q(z) - sum_j log q(z_j). 0 where the codes are independent."""
        return (self.joint - self.alone.sum(1)).mean()


def log_row_weights(batch: int, rows: int, *, like: Tensor) -> Tensor:
    """(batch, batch): log of the weight of q(z_i given x_j), each row of weights summing to 1."""
    rows = max(rows, batch)
    if batch == 1:
        return torch.zeros(1, 1, dtype=like.dtype, device=like.device)
    own = torch.eye(batch, dtype=torch.bool, device=like.device)
    others = torch.full(
        (batch, batch), math.log((rows - 1) / (rows * (batch - 1))), dtype=like.dtype, device=like.device
    )
    return torch.where(own, -math.log(rows), others)


def aggregate(z: Tensor, mean: Tensor, log_stddev: Tensor, *, rows: int) -> Aggregate:
    """z, mean, log_stddev: (batch, latent), with z_i drawn from N(mean_i, exp(log_stddev_i)^2); `rows` is N."""
    noise = (z[:, None, :] - mean) * (-log_stddev).exp()  # (batch of z, batch of x, latent)
    log_q = -0.5 * (noise * noise) - log_stddev - 0.5 * math.log(2 * math.pi)
    weights = log_row_weights(z.shape[0], rows, like=z)
    joint = torch.logsumexp(weights + log_q.sum(2), 1)
    alone = torch.logsumexp(weights[:, :, None] + log_q, 1)
    return Aggregate(joint, alone)
