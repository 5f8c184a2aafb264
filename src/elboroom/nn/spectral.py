"""Layers whose matrix is divided by its largest singular value, so that none stretches a vector.

Miyato et al. 2018, Spectral normalization for generative adversarial networks (1802.05957). The singular value is
sigma = u^T W v with unit vectors u and v that power iteration keeps near the leading pair. One iteration follows each
step of the optimiser (`iterate_`, from a phase's `after`): a forward pass changes nothing and can be repeated, traced
and differentiated twice. u and v count as constants, as there (equation 12 and algorithm 1).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SpectralConv2d", "SpectralEmbedding", "SpectralLinear", "iterate_"]

FIRST = 15
"""Iterations when a layer is made; later steps change a matrix little, and one keeps up."""


class Spectral(nn.Module):
    """A layer with a weight (N, ...), read as a matrix of N rows."""

    weight: Tensor
    u: Tensor
    v: Tensor

    def begin(self) -> None:
        """Unit vectors (N,) and (K,), already near the leading pair."""
        matrix = self.weight.detach().flatten(1)
        self.register_buffer("u", F.normalize(torch.randn(matrix.shape[0], dtype=matrix.dtype), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(matrix.shape[1], dtype=matrix.dtype), dim=0))
        for _ in range(FIRST):
            self.iterate_()

    @torch.no_grad()
    def iterate_(self) -> None:
        """One power iteration, in place."""
        if self.weight.is_meta:  # a net that is built for its shapes alone
            return
        matrix = self.weight.flatten(1)
        self.v.copy_(F.normalize(matrix.t() @ self.u, dim=0, eps=1e-12))
        self.u.copy_(F.normalize(matrix @ self.v, dim=0, eps=1e-12))

    def normalised(self) -> Tensor:
        """W / sigma, in the shape of W."""
        return self.weight / (self.u @ (self.weight.flatten(1) @ self.v))


class SpectralLinear(Spectral, nn.Linear):
    """nn.Linear, normalised."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begin()

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.normalised(), self.bias)


class SpectralConv2d(Spectral, nn.Conv2d):
    """nn.Conv2d, normalised: its kernels are read as rows, as in the paper, which bounds the map only roughly."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begin()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self._conv_forward(x, self.normalised(), self.bias)
        return out


class SpectralEmbedding(Spectral, nn.Embedding):
    """nn.Embedding, normalised."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begin()

    def forward(self, index: Tensor) -> Tensor:
        return F.embedding(index, self.normalised())


def iterate_(network: nn.Module) -> None:
    """One power iteration of every such layer."""
    for layer in network.modules():
        if isinstance(layer, Spectral):
            layer.iterate_()
