"""Vectors to the nearest of a few codes, with a gradient that goes straight through.

Codebook: van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv 1711.00937), equations 1 to 3 and, for codes that follow their
vectors' running mean, appendix A. Vectors and codes are brought to one length, so that codes begin where vectors are
(Yu et al. 2022, 2110.04627, section 3.2). A code that hardly any vector takes is put beside one that many take, as in
Linde, Buzo & Gray 1980.
Scalars: Mentzer et al. 2024, Finite scalar quantization (2309.15505): each number is rounded to one of a few levels;
nothing is learnt and every code is used.

B vectors of width D; K codes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transformer import rms_norm

__all__ = ["Codebook", "Quantizer", "Scalars", "batch_perplexity"]

RARE = 0.05
"""A code is rare that takes less than this share of its even part."""
NEAR = 0.1
"""Standard deviation of what parts a moved code from its neighbour; codes have mean square 1."""
LEAST = 1e-6


def batch_perplexity(numbers: Tensor, codes: int) -> Tensor:
    """exp of the entropy of the codes' shares in one batch, numbers (...): below that of all data where K is large."""
    flat = numbers.flatten()
    ones = torch.ones_like(flat, dtype=torch.float32)
    shares = torch.zeros(codes, device=flat.device).index_add(0, flat, ones) / flat.numel()
    return (-(shares * (shares + 1e-12).log()).sum()).exp()


class Quantizer(nn.Module, ABC):
    """`codes` K and `width` D of a vector."""

    codes: int
    width: int

    @abstractmethod
    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes' vectors (B, D) for z (B, D), whose gradient is that of z; their numbers (B,) int64; and what pulls z
        to its code, (B,), 0 where nothing does."""

    @abstractmethod
    def vectors(self, numbers: Tensor) -> Tensor:
        """(..., D) of the codes numbered (...)."""

    def follow_(self, z: Tensor, numbers: Tensor) -> None:
        """Learn from the vectors z (B, D) and their numbers; for a step of training."""

    def settle_(self) -> None:
        """What follows a step."""


class Codebook(Quantizer):
    """K vectors that are means of the vectors they stand for, or, with `decay` 0, parameters pulled to them."""

    count: Tensor
    total: Tensor

    def __init__(self, codes: int, width: int, *, commitment: float, decay: float) -> None:
        super().__init__()
        self.codes, self.width, self.commitment, self.decay = codes, width, commitment, decay
        start = rms_norm(torch.randn(codes, width))
        self.book = nn.Parameter(start.clone()) if not decay else None
        # shares of the vectors, and sums of vectors over their number: linear in what a batch gives
        self.register_buffer("count", torch.full((codes,), 1 / codes))
        self.register_buffer("total", start / codes)

    def all_vectors(self) -> Tensor:
        """(K, D), each of mean square 1."""
        return rms_norm(self.total / self.count[:, None].clamp_min(LEAST) if self.book is None else self.book)

    def vectors(self, numbers: Tensor) -> Tensor:
        return F.embedding(numbers, self.all_vectors())

    def nearest(self, z: Tensor) -> Tensor:
        """(B,): the number of the code nearest to each of z (B, D), both of one length."""
        with torch.no_grad():
            return (z @ self.all_vectors().to(z.dtype).t()).argmax(1)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = rms_norm(z)
        numbers = self.nearest(z)
        chosen = self.vectors(numbers).to(z.dtype)
        pull = self.commitment * (z - chosen.detach()).square().sum(1)
        if self.book is not None:
            pull = pull + (z.detach() - chosen).square().sum(1)
        return z + (chosen - z).detach(), numbers, pull

    @torch.no_grad()
    def follow_(self, z: Tensor, numbers: Tensor) -> None:
        """Shares and sums of this batch into the running ones (appendix A, equations 6 to 8)."""
        if self.book is not None:
            return
        z = rms_norm(z.detach().to(self.total.dtype))
        rows = z.shape[0]
        count = torch.zeros_like(self.count).index_add(0, numbers, torch.ones_like(z[:, 0])) / rows
        total = torch.zeros_like(self.total).index_add(0, numbers, z) / rows
        self.count.add_((count - self.count) * (1 - self.decay))
        self.total.add_((total - self.total) * (1 - self.decay))

    @torch.no_grad()
    def settle_(self) -> None:
        """Rare codes move beside busy ones, chosen in proportion to their share."""
        if self.book is not None:
            return
        rare = self.count < RARE / self.codes
        place = torch.rand(self.codes, 1, device=self.count.device, dtype=self.count.dtype)
        shares = (self.count / self.count.sum()).cumsum(0)[:-1]
        busy = (place > shares).sum(1)
        near = rms_norm(self.all_vectors()[busy] + NEAR * torch.randn_like(self.total))
        held = torch.full_like(self.count, 1 / self.codes)
        self.total.copy_(torch.where(rare[:, None], near * held[:, None], self.total))
        self.count.copy_(torch.where(rare, held, self.count))


class Scalars(Quantizer):
    """Each of D numbers is one of `levels[i]`, evenly spread over [-1, 1]; K is the product of the levels."""

    basis: Tensor
    sizes: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.codes, self.width = math.prod(levels), len(levels)
        before = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("basis", torch.tensor(before), persistent=False)
        self.register_buffer("sizes", torch.tensor(list(levels)), persistent=False)

    def vectors(self, numbers: Tensor) -> Tensor:
        digits = torch.div(numbers[..., None], self.basis, rounding_mode="floor") % self.sizes
        half = (self.sizes - 1).to(torch.float32) / 2
        return digits.to(half.dtype) / half - 1

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = (self.sizes - 1).to(z.dtype) / 2
        bounded = torch.tanh(z)
        with torch.no_grad():
            digits = ((bounded + 1) * half).round()
            numbers = (digits.long() * self.basis).sum(1)
        level = digits / half - 1
        return bounded + (level - bounded).detach(), numbers, torch.zeros_like(z[:, 0])
