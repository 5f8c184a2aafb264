"""Who sees whom: the patterns of sparse causal attention, as predicates.

Query i, key j, both from 0; always j <= i.

    dense              every key
    sliding:W          i - j < W: W keys with oneself (Beltagy et al. 2020, arXiv 2004.05150, section 3.1)
    block:L            floor(i/L) = floor(j/L): the same block of L
    strided:L          i - j < L, or (i - j) mod L = 0
    fixed:L:C          the same block of L, or j mod L >= L - C: the last C of every earlier block

Strided and fixed are those of Child et al. 2019 (arXiv 1904.10509, section 4.3), who split each into two parts, A1
(near) and A2 (far), to be spread over layers or heads or to be merged in one head. A layer here has one pattern, and a
causal model whose layer had only the far part would not see the token before: so a pattern is the merged head, A1 and
A2 together, and `near` and `far` give the parts. (The paper's strided A1 has L + 1 keys; the last of them is in A2.)

A length of `auto` is chosen for the tokens a model sees at once: the power of two nearest to where a query's keys are
fewest. Strided has about L + n/2L keys a query, least at sqrt(n/2); fixed L/2 + nC/2L, least at sqrt(nC). With any
constant L both remain quadratic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.core.errors import InputError

from . import blocks

__all__ = ["BlockLocal", "Dense", "Fixed", "Pattern", "Sliding", "Strided"]


FOLDING = 64
"""What folding blocks into the batch costs, in keys a query (4 to 12 heads, 128 to 1,024 tokens, float32, CPU)."""


class Pattern(ABC):
    """One layer's pattern."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As it is written in settings: `sliding:256`."""

    @property
    @abstractmethod
    def reach(self) -> int | None:
        """How many of the last tokens, oneself included, a query may see: what a cache must keep. None: all."""

    @abstractmethod
    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        """Boolean, for integer tensors that broadcast; of meaning only where j <= i."""

    @abstractmethod
    def pairs(self, n: int) -> int:
        """How many pairs of query and key are allowed among n tokens."""

    @abstractmethod
    def cost(self, n: int) -> int:
        """Keys a query at which the fused kernel would take as long as `blocked` takes for n tokens (measured)."""

    @abstractmethod
    def blocked(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of (B, H, T, D) without ever holding T x T numbers."""

    def allowed(self, i: Tensor, j: Tensor) -> Tensor:
        """The definition: True where query i may see key j."""
        return (j <= i) & self.sees(i, j)

    def mask(self, queries: int, keys: int, device: torch.device) -> Tensor:
        """(queries, keys) boolean, for the last `queries` of `keys` tokens."""
        at = torch.arange(keys, device=device)
        return self.allowed(at[keys - queries :, None], at[None, :])

    def keys(self, i: int) -> Tensor:
        """The positions that query i sees, in order."""
        at = torch.arange(i + 1)
        return at[self.allowed(torch.tensor(i), at)]

    def hides_nothing(self, n: int) -> bool:
        """Whether n tokens are too few for the pattern to differ from dense."""
        return self.pairs(n) == triangle(n)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Dense(Pattern):
    """Every key up to oneself."""

    @property
    def name(self) -> str:
        return "dense"

    @property
    def reach(self) -> int | None:
        return None

    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        return torch.ones_like(i - j, dtype=torch.bool)

    def pairs(self, n: int) -> int:
        return triangle(n)

    def cost(self, n: int) -> int:
        return n

    def blocked(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        raise InputError("dense attention leaves nothing out, so it has no blocked path; take auto, reference or sdpa")


@dataclass(frozen=True)
class Sliding(Pattern):
    """The last `window` tokens."""

    window: int
    """Keys a query sees, itself included."""

    def __post_init__(self) -> None:
        at_least_one(self.window, "the window of sliding attention")

    @property
    def name(self) -> str:
        return f"sliding:{self.window}"

    @property
    def reach(self) -> int | None:
        return self.window

    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        return i - j < self.window

    def pairs(self, n: int) -> int:
        start = min(n, self.window)
        return triangle(start) + (n - start) * self.window

    def cost(self, n: int) -> int:
        return 2 * blocks.sliding_block(self.window) + FOLDING

    def blocked(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return blocks.sliding(q, k, v, self.window)


@dataclass(frozen=True)
class BlockLocal(Pattern):
    """The tokens of one's own block."""

    length: int
    """Tokens of a block."""

    def __post_init__(self) -> None:
        at_least_one(self.length, "the length of a block")

    @property
    def name(self) -> str:
        return f"block:{self.length}"

    @property
    def reach(self) -> int | None:
        return self.length

    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        return i // self.length == j // self.length

    def pairs(self, n: int) -> int:
        whole, rest = divmod(n, self.length)
        return whole * triangle(self.length) + triangle(rest)

    def cost(self, n: int) -> int:
        return self.length + FOLDING

    def blocked(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return blocks.block_local(q, k, v, self.length)


@dataclass(frozen=True)
class Strided(Pattern):
    """The last `length` tokens, and every `length`-th before them."""

    length: int

    def __post_init__(self) -> None:
        at_least_one(self.length, "the length of strided attention")

    @classmethod
    def auto(cls, n: int) -> Strided:
        """For n tokens."""
        return cls(power_of_two(n))  # from sqrt(n/2), to the nearest on a log scale

    @property
    def name(self) -> str:
        return f"strided:{self.length}"

    @property
    def reach(self) -> int | None:
        return None

    def near(self, i: Tensor, j: Tensor) -> Tensor:
        """The paper's A1."""
        return i - j < self.length

    def far(self, i: Tensor, j: Tensor) -> Tensor:
        """The paper's A2."""
        return (i - j) % self.length == 0

    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        return self.near(i, j) | self.far(i, j)

    def pairs(self, n: int) -> int:
        # query i sees floor(i/L) keys that are a whole number of lengths away
        return Sliding(self.length).pairs(n) + blocks_before(n, self.length)

    def cost(self, n: int) -> int:
        # a score in plain products takes about twice the fused kernel's time, and there are two sets to fold
        return 2 * (2 * self.length + -(-n // self.length)) + 3 * FOLDING

    def blocked(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return blocks.strided(q, k, v, self.length)


@dataclass(frozen=True)
class Fixed(Pattern):
    """One's own block, and the last `summary` tokens of every earlier block."""

    length: int
    """Tokens of a block."""
    summary: int
    """Tokens at a block's end that all later ones see."""

    def __post_init__(self) -> None:
        at_least_one(self.length, "the length of fixed attention")
        at_least_one(self.summary, "the summary of fixed attention")
        if self.summary > self.length:
            raise InputError(
                f"fixed attention with blocks of {self.length} cannot have a summary of {self.summary}: it is the end "
                "of a block; write fixed:L:C with C at most L"
            )

    @classmethod
    def auto(cls, n: int, summary: int) -> Fixed:
        """For n tokens."""
        at_least_one(summary, "the summary of fixed attention")
        return cls(max(power_of_two(2 * n * summary), summary), summary)  # from sqrt(nC), likewise

    @property
    def name(self) -> str:
        return f"fixed:{self.length}:{self.summary}"

    @property
    def reach(self) -> int | None:
        return None

    def near(self, i: Tensor, j: Tensor) -> Tensor:
        """The paper's A1."""
        return i // self.length == j // self.length

    def far(self, i: Tensor, j: Tensor) -> Tensor:
        """The paper's A2."""
        return j % self.length >= self.length - self.summary

    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        return self.near(i, j) | self.far(i, j)

    def pairs(self, n: int) -> int:
        return BlockLocal(self.length).pairs(n) + self.summary * blocks_before(n, self.length)

    def cost(self, n: int) -> int:
        return self.length + self.summary * -(-n // self.length) // 2 + FOLDING

    def blocked(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return blocks.fixed(q, k, v, self.length, self.summary)


def triangle(n: int) -> int:
    """1 + 2 + ... + n."""
    return n * (n + 1) // 2


def blocks_before(n: int, length: int) -> int:
    """The sum of floor(i / length) over i < n."""
    whole, rest = divmod(n, length)
    return length * triangle(whole - 1) + whole * rest if whole else 0


def power_of_two(square: int) -> int:
    """The largest whose square is at most that: the nearest, on a log scale, to the root of half of it."""
    return 1 << (max(square, 1).bit_length() - 1) // 2


def at_least_one(value: int, what: str) -> None:
    if value < 1:
        raise InputError(f"{what} must be 1 or more, not {value}")
