"""What a likelihood head is: the last step of a decoder, from its raw output h to the distribution p(x given z).

A head says how many numbers it needs for one example (`features`); the decoder before it gives exactly those, so every
network goes with every likelihood. Given z the values of x are independent: log p(x given z) is a sum over values.

Shapes: h is (..., features); leading axes are free, so that (samples, batch, features) scores one x under many z.
Inside, an example is one row of `size` values; it takes its own shape again on the way out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from elboroom.core.abilities import Outcome

__all__ = ["Head", "Independent", "full_precision", "pick", "sum_observed"]


class Head(nn.Module, ABC):
    """Built from a Spec; may own parameters, such as one scale for each column."""

    features: int
    """Length of h for one example."""
    discrete: bool
    """True where x is countable: log_prob is then the logarithm of a probability, and bits per dimension exist."""

    @abstractmethod
    def forward(self, h: Tensor) -> Outcome:
        """p(x given z) from h of shape (..., features)."""


class Independent(ABC):
    """An Outcome whose values are independent. A law adds four formulas on rows (..., size)."""

    shape: tuple[int, ...]
    """Of one example."""

    @abstractmethod
    def expected(self) -> Tensor:
        """(..., size): E[x]."""

    @abstractmethod
    def deviations(self) -> Tensor:
        """(..., size): the standard deviation of each value of x."""

    @abstractmethod
    def draw(self) -> Tensor:
        """(..., size): one draw of x."""

    @abstractmethod
    def surprisal(self, x: Tensor) -> Tensor:
        """(..., size): -log p of each value of x (batch, size), in nats."""

    @property
    def mean(self) -> Tensor:
        """(..., *shape): the expected x."""
        return self._shaped(self.expected())

    @property
    def sd(self) -> Tensor:
        """(..., *shape): the standard deviation of each value."""
        return self._shaped(self.deviations())

    def sample(self) -> Tensor:
        """(..., *shape): a draw of x."""
        return self._shaped(self.draw())

    def log_prob(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """(...,): log p of x (batch, *shape) in nats, summed over the observed values."""
        first = -len(self.shape)
        return -sum_observed(self.surprisal(x.flatten(first)), None if observed is None else observed.flatten(first))

    def _shaped(self, rows: Tensor) -> Tensor:
        return rows.reshape(*rows.shape[:-1], *self.shape)


def full_precision(h: Tensor) -> Tensor:
    """h in at least float32: a log-probability summed in bfloat16 has two digits."""
    return h.to(torch.promote_types(h.dtype, torch.float32))


def sum_observed(values: Tensor, observed: Tensor | None) -> Tensor:
    """(...,): sum of (..., size) without what was not measured."""
    return (values if observed is None else torch.where(observed, values, 0.0)).sum(-1)


def pick(values: Tensor, index: Tensor, axis: int) -> Tensor:
    """The entry of `values` that `index` names along `axis` (negative); the axes before it broadcast."""
    missing = values.ndim - index.ndim
    return values.take_along_dim(index.reshape((1,) * missing + index.shape), axis)
