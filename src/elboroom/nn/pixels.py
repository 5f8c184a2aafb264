"""Likelihoods of values on a fixed scale: pixels, and real or binary columns.

bernoulli     x in [0, 1]          one logit a value; grey x gives the usual cross-entropy
categorical   x in 0 .. K-1        K logits a value, no order assumed
logistic      x in 0 .. K-1        a logistic density cut into K bins (Salimans et al. 2017, arXiv 1701.05517)
gaussian      x real               a mean a value, one learned standard deviation for each place
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.core.spec import Spec

from .cross_entropy import summed_cross_entropy
from .head import Head, Independent, full_precision, pick

__all__ = [
    "Bernoulli",
    "BernoulliHead",
    "Categorical",
    "CategoricalHead",
    "Gaussian",
    "GaussianHead",
    "Logistic",
    "LogisticHead",
    "gumbel_like",
]


def gumbel_like(logits: Tensor) -> Tensor:
    """Gumbel noise: the place of the largest of logits + noise is a draw (Maddison et al. 2014, arXiv 1411.0030)."""
    tiny = torch.finfo(logits.dtype).tiny
    exponential = -torch.rand_like(logits).clamp_min(tiny).log()
    return -exponential.clamp_min(tiny).log()


@dataclass(frozen=True)
class Bernoulli(Independent):
    """x is 1 with probability sigmoid(logits), (..., size). For x in between log_prob is minus the cross-entropy."""

    logits: Tensor
    shape: tuple[int, ...]

    def expected(self) -> Tensor:
        return self.logits.sigmoid()

    def deviations(self) -> Tensor:
        p = self.expected()
        return (p * (1 - p)).sqrt()

    def draw(self) -> Tensor:
        p = self.expected()
        return (torch.rand_like(p) < p).to(p.dtype)

    def surprisal(self, x: Tensor) -> Tensor:
        # log(1 + e^l) - x l: its gradient is sigmoid(l) - x, one exponential in all once compiled, where the library's
        # binary_cross_entropy_with_logits decomposes into three
        return F.softplus(self.logits) - x.to(self.logits.dtype) * self.logits

    def log_prob(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        if observed is not None:
            return super().log_prob(x, observed)
        return -summed_cross_entropy(self.logits, x.flatten(-len(self.shape)).to(self.logits.dtype))


class BernoulliHead(Head):
    """One logit for each value."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.shape = spec.shape
        self.features = spec.size
        binary_columns = bool(spec.columns) and all(c.kind == "binary" for c in spec.columns)
        self.discrete = binary_columns or spec.scale in ("binary", "dynamic")

    def forward(self, h: Tensor) -> Bernoulli:
        return Bernoulli(full_precision(h), self.shape)


@dataclass(frozen=True)
class Categorical(Independent):
    """x is one of K levels; logits (..., K, size)."""

    logits: Tensor
    shape: tuple[int, ...]

    def expected(self) -> Tensor:
        return self._moment(1)

    def deviations(self) -> Tensor:
        return (self._moment(2) - self._moment(1).square()).clamp_min(0).sqrt()

    def _moment(self, power: int) -> Tensor:
        p = self.logits.softmax(-2)
        return (p * torch.arange(p.shape[-2], dtype=p.dtype, device=p.device)[:, None] ** power).sum(-2)

    def draw(self) -> Tensor:
        return (self.logits + gumbel_like(self.logits)).argmax(-2).to(self.logits.dtype)

    def surprisal(self, x: Tensor) -> Tensor:
        return -pick(self.logits.log_softmax(-2), x.to(torch.int64).unsqueeze(-2), -2).squeeze(-2)


class CategoricalHead(Head):
    """One logit for each level of each value."""

    discrete = True

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.shape = spec.shape
        self.levels = spec.levels
        self.features = spec.levels * spec.size

    def forward(self, h: Tensor) -> Categorical:
        return Categorical(full_precision(h).reshape(*h.shape[:-1], self.levels, -1), self.shape)


@dataclass(frozen=True)
class Logistic(Independent):
    """A logistic variable with `location` and `scale` in levels, (..., size), rounded and held within 0 .. levels-1."""

    location: Tensor
    scale: Tensor
    levels: int
    shape: tuple[int, ...]

    def expected(self) -> Tensor:
        # E[x] = sum of P(x >= k) over k = 1 .. levels-1, some k at a time: all at once would be 255 images of each.
        edges = torch.arange(self.levels - 1, dtype=self.scale.dtype, device=self.scale.device) + 0.5
        total = torch.zeros_like(self.location)
        for some in torch.split(edges, 16):
            total = total + ((self.location[..., None] - some) / self.scale[..., None]).sigmoid().sum(-1)
        return total

    def deviations(self) -> Tensor:
        """Of the variable before it is rounded and held within the levels."""
        return math.pi / math.sqrt(3) * self.scale.expand_as(self.location)

    def draw(self) -> Tensor:
        u = torch.rand_like(self.scale).clamp(1e-7, 1 - 1e-7)
        return (self.location + self.scale * u.logit()).round().clamp(0, self.levels - 1)

    def surprisal(self, x: Tensor) -> Tensor:
        # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)): no difference of nearly equal numbers.
        # The first bin reaches down to minus infinity (no sigmoid(-a)), the last one up to infinity (no sigmoid(b)).
        away = x - self.location
        below = F.logsigmoid((away + 0.5) / self.scale)
        above = F.logsigmoid((0.5 - away) / self.scale)
        both = below + above + torch.log(-torch.expm1(-1 / self.scale))
        return -torch.where(x < 0.5, below, torch.where(x > self.levels - 1.5, above, both))


class LogisticHead(Head):
    """Location and scale for each value, both read in half ranges: 0 and 0 mean the middle and a half range."""

    discrete = True

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.shape = spec.shape
        self.levels = spec.levels
        self.features = 2 * spec.size

    def forward(self, h: Tensor) -> Logistic:
        location, log_scale = full_precision(h).chunk(2, -1)
        half = (self.levels - 1) / 2
        # Salimans et al. hold the log scale above -7; the upper end keeps 1 - exp(-1 / scale) away from 0.
        return Logistic(half * (location + 1), half * log_scale.clamp(-7, 7).exp(), self.levels, self.shape)


@dataclass(frozen=True)
class Gaussian(Independent):
    """x is normal around `location` (..., size); `stddev` is (size,), the same for every example."""

    location: Tensor
    stddev: Tensor
    shape: tuple[int, ...]

    def expected(self) -> Tensor:
        return self.location

    def deviations(self) -> Tensor:
        return self.stddev.expand_as(self.location)

    def draw(self) -> Tensor:
        return self.location + self.stddev * torch.randn_like(self.location)

    def surprisal(self, x: Tensor) -> Tensor:
        away = (x - self.location) / self.stddev
        return 0.5 * (away * away) + (self.stddev.log() + 0.5 * math.log(2 * math.pi))


class GaussianHead(Head):
    """A mean for each value; the standard deviation is a parameter, one for each value of the example.

    It is bounded below by 0.01: a column that never changes would else send the likelihood to infinity.
    """

    discrete = False
    smallest = 0.01
    pace = 10.0
    """Adam moves any parameter by about lr a step, and log stddev has a long way to go: the parameter holds a tenth."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.shape = spec.shape
        self.features = spec.size
        self.log_scale = nn.Parameter(torch.zeros(spec.size))

    @property
    def stddev(self) -> Tensor:
        """(size,): standard deviation of each value."""
        return self.smallest + (self.pace * full_precision(self.log_scale)).exp()

    def forward(self, h: Tensor) -> Gaussian:
        return Gaussian(full_precision(h), self.stddev, self.shape)
