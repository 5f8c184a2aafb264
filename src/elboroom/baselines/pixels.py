"""Every value on its own: p(x) = prod_i p_i(x_i), each p_i of the model's own likelihood family, fitted on train.

What a model of many parameters must beat. Fitted in closed form from one pass of sums, so it costs no training.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.spec import Spec
from elboroom.nn.likelihood import automatic
from elboroom.nn.pixels import GaussianHead

__all__ = ["Independent", "Marginals", "uniform_nats"]

SMOOTHING = 0.5  # added to every count (Krichevsky & Trofimov 1981), so that no unseen value has probability 0


class Marginals(ABC):
    """One distribution for each of D positions. Sums are float64; a missing cell, which holds 0, enters none."""

    def __init__(self, positions: int) -> None:
        self.count = torch.zeros(positions, dtype=torch.float64)
        self.total = torch.zeros(positions, dtype=torch.float64)

    def add(self, x_BD: Tensor, seen_BD: Tensor | None) -> None:
        """Takes a batch; what was not seen holds 0. None: all was seen."""
        self.count += len(x_BD) if seen_BD is None else seen_BD.sum(0)
        self.total += x_BD.sum(0, dtype=torch.float64)

    @property
    def mean(self) -> Tensor:
        """(D,): mean of each position over the rows it was seen in; 0 where it never was."""
        return self.total / self.count.clamp_min(1)

    @abstractmethod
    def log_prob(self, x_BD: Tensor) -> Tensor:
        """(batch, D) in nats."""


class BernoulliMarginals(Marginals):
    """Also for grey values in [0, 1], where it is the cross-entropy with each position's mean."""

    def log_prob(self, x_BD: Tensor) -> Tensor:
        p = (self.total + SMOOTHING) / (self.count + 2 * SMOOTHING)
        return x_BD * p.log() + (1 - x_BD) * torch.log1p(-p)


class CategoricalMarginals(Marginals):
    """A histogram of whole numbers 0 .. levels[d] - 1 for each position."""

    def __init__(self, levels_D: Tensor) -> None:
        super().__init__(len(levels_D))
        self.levels = levels_D
        self.most = int(levels_D.max())
        self.histogram = torch.zeros(len(levels_D), self.most, dtype=torch.float64)

    def add(self, x_BD: Tensor, seen_BD: Tensor | None) -> None:
        super().add(x_BD, seen_BD)
        slot = torch.arange(x_BD.shape[1]) * self.most + x_BD.long().clamp(0, self.most - 1)
        slot = slot.reshape(-1) if seen_BD is None else slot[seen_BD]
        self.histogram += torch.bincount(slot, minlength=self.histogram.numel()).reshape(self.histogram.shape)

    @property
    def mode(self) -> Tensor:
        """(D,): the most frequent value of each position."""
        return self.histogram.argmax(1).double()

    def log_prob(self, x_BD: Tensor) -> Tensor:
        real = torch.arange(self.most)[None, :] < self.levels[:, None]
        smoothed = self.histogram + SMOOTHING * real
        log_p_DL = smoothed.log() - smoothed.sum(1, keepdim=True).log()
        index = x_BD.long().clamp(0, self.most - 1)
        return log_p_DL.T.gather(0, index)


class GaussianMarginals(Marginals):
    """Mean and variance. The standard deviation is bounded as the models' is, or a constant column would win alone."""

    def __init__(self, positions: int) -> None:
        super().__init__(positions)
        self.square = torch.zeros(positions, dtype=torch.float64)

    def add(self, x_BD: Tensor, seen_BD: Tensor | None) -> None:
        super().add(x_BD, seen_BD)
        self.square += x_BD.double().square().sum(0)

    @property
    def variance(self) -> Tensor:
        """(D,): maximum-likelihood variance of each position."""
        return (self.square / self.count.clamp_min(1) - self.mean.square()).clamp_min(0)

    def log_prob(self, x_BD: Tensor) -> Tensor:
        variance = self.variance.clamp_min(GaussianHead.smallest**2)
        return -0.5 * ((x_BD - self.mean).square() / variance + variance.log() + math.log(2 * math.pi))


class PoissonMarginals(Marginals):
    """One rate for each position."""

    def log_prob(self, x_BD: Tensor) -> Tensor:
        rate = (self.total + SMOOTHING) / (self.count + 2 * SMOOTHING)
        return torch.xlogy(x_BD, rate) - rate - torch.lgamma(x_BD + 1)


class NegativeBinomialMarginals(GaussianMarginals):
    """Mean m and dispersion r by moments, variance = m + m^2 / r; nearly Poisson where the variance is no larger."""

    def log_prob(self, x_BD: Tensor) -> Tensor:
        m = (self.total + SMOOTHING) / (self.count + 2 * SMOOTHING)
        r = (m.square() / (self.variance - m).clamp_min(1e-6)).clamp(1e-3, 1e6)
        log_total = (r + m).log()
        return (
            torch.lgamma(x_BD + r)
            - torch.lgamma(r)
            - torch.lgamma(x_BD + 1)
            + r * (r.log() - log_total)
            + x_BD * (m.log() - log_total)
        )


FAMILIES: dict[str, type[Marginals]] = {
    "bernoulli": BernoulliMarginals,
    "gaussian": GaussianMarginals,
    "poisson": PoissonMarginals,
    "negative_binomial": NegativeBinomialMarginals,
}
BY_COLUMN = {"real": "gaussian", "binary": "bernoulli", "categorical": "categorical", "count": "negative_binomial"}


class Independent:
    """The product of marginals over all values of one example; float64 on the CPU, whatever device a batch is on."""

    def __init__(self, spec: Spec, likelihood: str = "auto") -> None:
        self.spec = spec
        self.family = automatic(spec) if likelihood == "auto" else likelihood
        self.parts = _parts(spec, "categorical" if self.family == "logistic" else self.family)
        self.rows = 0

    def fit(self, batches: Iterable[Batch]) -> Independent:
        for batch in batches:
            x, seen = _flat(batch)
            self.rows += len(x)
            for index, marginals in self.parts:
                marginals.add(_columns(x, index), None if seen is None else _columns(seen, index))
        return self

    def log_prob(self, batch: Batch) -> Tensor:
        """(batch,): nats of each example, over its observed values."""
        x, seen = _flat(batch)
        out = torch.zeros(len(x), dtype=torch.float64)
        for index, marginals in self.parts:
            terms = marginals.log_prob(_columns(x, index).double())
            if seen is not None:
                terms = torch.where(_columns(seen, index), terms, torch.zeros_like(terms))
            out += terms.sum(1)
        return out

    @property
    def guess(self) -> Tensor:
        """shape of one example: the best constant guess, a mean, or the most frequent name in a column of names."""
        out = torch.zeros(self.spec.size, dtype=torch.float64)
        for index, marginals in self.parts:
            if self.spec.columns and isinstance(marginals, CategoricalMarginals):
                out[index] = marginals.mode
            else:
                out[index] = marginals.mean
        return out.reshape(self.spec.shape)


def uniform_nats(spec: Spec) -> float:
    """Log-probability of any example under equal odds for all levels of all values."""
    return -spec.size * math.log(spec.levels)


def _flat(batch: Batch) -> tuple[Tensor, Tensor | None]:
    x = batch.x.detach().reshape(len(batch), -1).cpu()
    if batch.observed is None:
        return x, None
    seen = batch.observed.reshape(len(batch), -1).cpu()
    return torch.where(seen, x, torch.zeros_like(x)), seen


def _columns(x: Tensor, index: Tensor) -> Tensor:
    """Those of one kind; all of them are not copied."""
    return x if len(index) == x.shape[1] else x[:, index]


def _parts(spec: Spec, family: str) -> list[tuple[Tensor, Marginals]]:
    if family == "mixed":
        kinds = [BY_COLUMN[column.kind] for column in spec.columns]
        found = {kind: torch.tensor([i for i, k in enumerate(kinds) if k == kind]) for kind in sorted(set(kinds))}
    else:
        found = {family: torch.arange(spec.size)}
    return [(index, _marginals(spec, kind, index)) for kind, index in found.items()]


def _marginals(spec: Spec, family: str, index: Tensor) -> Marginals:
    if family != "categorical":
        return FAMILIES[family](len(index))
    if spec.columns:
        return CategoricalMarginals(torch.tensor([max(2, len(spec.columns[i].categories)) for i in index.tolist()]))
    return CategoricalMarginals(torch.full((len(index),), spec.levels))
