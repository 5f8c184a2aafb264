"""What a model can do, as one-method abstract classes listed in its header.

Verbs, measures, report sections and tests ask `isinstance(model, Encodes)`; nothing outside `models/` knows a name.
All draws come from torch's default generator, which the caller seeds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from .batch import Batch

__all__ = ["ABILITIES", "Bounds", "Code", "Decodes", "Encodes", "Outcome", "Samples"]


class Code(Protocol):
    """What an encoder returns: q(z given x), or a single point."""

    @property
    def mean(self) -> Tensor: ...
    @property
    def stddev(self) -> Tensor: ...
    def rsample(self) -> Tensor: ...


class Outcome(Protocol):
    """What a decoder returns: p(x given z), one distribution for each example."""

    @property
    def mean(self) -> Tensor:
        """(batch, *shape): the expected x."""
        ...

    def sample(self) -> Tensor:
        """(batch, *shape): a draw of x."""
        ...

    def log_prob(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """(batch,): log-probability in nats, summed over the observed values."""
        ...


class Samples(ABC):
    """Draws new examples."""

    @abstractmethod
    def sample(self, n: int, *, temperature: float = 1.0, mean: bool = False) -> Tensor:
        """(n, *shape) in the model's space; `mean` gives the decoder's mean in place of a draw of x."""


class Encodes(ABC):
    """Gives each example a code."""

    @abstractmethod
    def encode(self, batch: Batch) -> Code:
        """q(z given x); mean and stddev of shape (batch, latent)."""


class Decodes(ABC):
    """Turns codes into distributions over examples."""

    @abstractmethod
    def decode(self, z: Tensor) -> Outcome:
        """p(x given z) for z of shape (batch, latent)."""


class Bounds(ABC):
    """Bounds the log-likelihood of an example."""

    @abstractmethod
    def log_weights(self, batch: Batch, samples: int) -> Tensor:
        """(samples, batch): log p(x, z) - log q(z given x) in nats for independent draws z of q(z given x)."""


ABILITIES: tuple[type[ABC], ...] = (Samples, Encodes, Decodes, Bounds)
