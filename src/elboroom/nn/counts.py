"""Likelihoods of counts 0, 1, 2 ...: Poisson, and negative binomial with one dispersion for each column.

Both read h as the logarithm of the expected count. The negative binomial with mean m and dispersion r has variance
m + m^2 / r; it is a Poisson whose rate is itself gamma distributed with shape r (scipy's nbinom(r, r / (r + m))).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from elboroom.core.spec import Spec

from .head import Head, Independent, full_precision

__all__ = ["NegativeBinomial", "NegativeBinomialHead", "Poisson", "PoissonHead"]

LARGEST_LOG_MEAN = 15.0
"""exp(15) is 3 million: past every count that float32 lgamma can tell apart."""
LARGEST_LOG_DISPERSION = 7.0
"""exp(7) is 1,100: above it the negative binomial is Poisson, and lgamma(x + r) - lgamma(r) loses its digits."""


def _log_mean(h: Tensor) -> Tensor:
    """The logarithm of the expected count, held where exp stays finite."""
    return full_precision(h).clamp(-LARGEST_LOG_MEAN, LARGEST_LOG_MEAN)


def _log_dispersion(raw: Tensor) -> Tensor:
    """log r from an unbounded parameter; smooth, so that it never gets stuck at its bounds."""
    return LARGEST_LOG_DISPERSION * full_precision(raw).tanh()


@dataclass(frozen=True)
class Poisson(Independent):
    """x is a count with rate exp(log_rate), (..., size)."""

    log_rate: Tensor
    shape: tuple[int, ...]

    def expected(self) -> Tensor:
        return self.log_rate.exp()

    def deviations(self) -> Tensor:
        return (0.5 * self.log_rate).exp()

    def draw(self) -> Tensor:
        return torch.poisson(self.expected())

    def surprisal(self, x: Tensor) -> Tensor:
        return self.log_rate.exp() - x * self.log_rate + torch.lgamma(x + 1)


class PoissonHead(Head):
    """One log rate for each value."""

    discrete = True

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.shape = spec.shape
        self.features = spec.size

    def forward(self, h: Tensor) -> Poisson:
        return Poisson(_log_mean(h), self.shape)


@dataclass(frozen=True)
class NegativeBinomial(Independent):
    """x is a count with mean exp(log_mean), (..., size), and dispersion r = exp(log_dispersion), (size,)."""

    log_mean: Tensor
    log_dispersion: Tensor
    shape: tuple[int, ...]

    def expected(self) -> Tensor:
        return self.log_mean.exp()

    def deviations(self) -> Tensor:
        mean = self.expected()
        return (mean + mean.square() / self.log_dispersion.exp()).sqrt()

    def draw(self) -> Tensor:
        r = self.log_dispersion.exp().expand_as(self.log_mean)
        return torch.poisson(torch._standard_gamma(r) / r * self.expected())

    def surprisal(self, x: Tensor) -> Tensor:
        r = self.log_dispersion.exp()
        log_total = torch.logaddexp(self.log_dispersion, self.log_mean)
        ways = torch.lgamma(x + r) - torch.lgamma(r) - torch.lgamma(x + 1)
        return r * (log_total - self.log_dispersion) + x * (log_total - self.log_mean) - ways


class NegativeBinomialHead(Head):
    """One log mean for each value; the dispersion is a parameter, one for each column (as scVI's "gene" dispersion)."""

    discrete = True

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.shape = spec.shape
        self.features = spec.size
        self.dispersion = nn.Parameter(torch.zeros(spec.size))

    def forward(self, h: Tensor) -> NegativeBinomial:
        return NegativeBinomial(_log_mean(h), _log_dispersion(self.dispersion), self.shape)
