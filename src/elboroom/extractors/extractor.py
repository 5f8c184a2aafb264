"""What a feature extractor is: a fixed function from examples to vectors, with a name, a hash and a sentence on how.

A distance between sets of samples means something only together with the space it was taken in. So two numbers may be
compared where the hashes of their extractors are equal, and no extractor ever sees a generated example while it is
made: all that goes in is a Dataset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from elboroom.core.errors import InputError

__all__ = ["Extractor", "Network", "check_shape", "digest", "features_of", "in_parts"]

AT_ONCE = 1024
"""Examples that pass through a network together, so that its layers stay small in memory."""
HEX = 12
"""Digits of the hash that are kept."""


class Extractor(Protocol):
    """Features of examples: images (n, channels, height, width) in [0, 1], tables (n, columns) in raw units."""

    @property
    def name(self) -> str: ...

    @property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of a SHA-256 over name, recipe and weights."""

    @property
    def width(self) -> int:
        """Numbers in one example's features."""

    @property
    def how(self) -> str:
        """One sentence: what it is and what it was made from."""

    def features(self, x: Tensor) -> Tensor:
        """(n, width) float32, on the device of x."""


class Network:
    """An extractor that is a torch module whose output, flattened, is the features."""

    def __init__(
        self, name: str, network: nn.Module, shape: tuple[int, ...], *, width: int, how: str, hash: str
    ) -> None:
        self.name = name
        self.network = network.eval()
        self.shape = shape
        """Of one example."""
        self.width = width
        self.how = how
        self.hash = hash

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """(n, width) float32."""
        check_shape(x, self.shape)
        network = self.network.to(x.device)
        return in_parts(lambda part: network(part).reshape(len(part), -1), x, self.width)


def in_parts(network: Callable[[Tensor], Tensor], x: Tensor, width: int) -> Tensor:
    """(n, width) float32 of (n, ...), so many examples at once that the layers stay small in memory."""
    if not len(x):
        return torch.zeros(0, width, device=x.device)
    return torch.cat([network(part).float() for part in x.split(AT_ONCE)])


def check_shape(x: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse examples of another shape than the extractor was made for."""
    if tuple(x.shape[1:]) != shape:
        had, wanted = ("x".join(map(str, s)) for s in (x.shape[1:], shape))
        raise InputError(f"features are taken of examples of shape {wanted}, these have {had}; bring them to one shape")


def digest(name: str, recipe: object, tensors: Mapping[str, Tensor]) -> str:
    """12 hexadecimal digits over the name, the recipe (of plain values) and the tensors with their names and shapes."""
    found = hashlib.sha256(repr((name, recipe)).encode())
    for key in sorted(tensors):
        value = np.ascontiguousarray(tensors[key].detach().cpu().numpy())
        found.update(repr((key, value.shape, value.dtype.str)).encode())
        found.update(value.tobytes())
    return found.hexdigest()[:HEX]


def features_of(extractor: Extractor, x: Tensor | Iterable[Tensor], batch: int = AT_ONCE) -> Tensor:
    """(n, width) float32 on the CPU, of one tensor in parts of `batch`, or of tensors that come one after the other.

    The examples of one part are in memory at a time, so that a generator (`inputs.examples`) may be long.
    """
    parts = x.split(batch) if isinstance(x, Tensor) else x
    found = [extractor.features(part).cpu() for part in parts]
    return torch.cat(found) if found else torch.zeros(0, extractor.width)
