"""What an encoder returns: a diagonal Gaussian q(z given x), or one point.

Kingma & Welling 2014 (arXiv 1312.6114): z = mean + stddev * noise moves the draw out of the gradient's way (section
2.4), and the divergence from N(0, I) is known in closed form (appendix B).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .head import full_precision

__all__ = ["DiagonalGaussian", "Point", "standard_log_prob"]


@dataclass(frozen=True)
class DiagonalGaussian:
    """q(z given x) = N(mean, diag(exp(2 log_stddev))); both (..., latent), in at least float32."""

    mean: Tensor
    log_stddev: Tensor

    @classmethod
    def of(cls, features: Tensor) -> DiagonalGaussian:
        """From an encoder's (..., 2 * latent): mean and log stddev side by side.

        log stddev is held within [-10, 5]: an outlier among the inputs must not overflow exp.
        """
        mean, log_stddev = full_precision(features).chunk(2, -1)
        return cls(mean, log_stddev.clamp(-10.0, 5.0))

    @property
    def stddev(self) -> Tensor:
        return self.log_stddev.exp()

    def rsample(self, lead: tuple[int, ...] = ()) -> Tensor:
        """(*lead, ..., latent): draws that carry the gradient of mean and stddev."""
        noise = torch.randn(lead + self.mean.shape, dtype=self.mean.dtype, device=self.mean.device)
        return self.mean + self.stddev * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """(...,): log q(z given x) in nats."""
        noise = (z - self.mean) * (-self.log_stddev).exp()
        return (-0.5 * (noise * noise) - self.log_stddev - 0.5 * math.log(2 * math.pi)).sum(-1)

    def kl_by_dimension(self) -> Tensor:
        """(..., latent): KL(q || N(0, 1)) of each dimension in nats."""
        variance = (2 * self.log_stddev).exp()
        return 0.5 * (self.mean * self.mean + variance - 1) - self.log_stddev

    def kl_to_standard(self) -> Tensor:
        """(...,): KL(q || N(0, I)) in nats."""
        return self.kl_by_dimension().sum(-1)


@dataclass(frozen=True)
class Point:
    """A code without spread: what a deterministic encoder returns."""

    mean: Tensor

    @property
    def stddev(self) -> Tensor:
        return torch.zeros_like(self.mean)

    def rsample(self) -> Tensor:
        """The point itself."""
        return self.mean


def standard_log_prob(z: Tensor) -> Tensor:
    """(...,): log N(z; 0, I) in nats for z (..., latent)."""
    return (-0.5 * (z * z) - 0.5 * math.log(2 * math.pi)).sum(-1)
