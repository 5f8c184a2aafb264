"""Decoder-only transformer blocks, in two families, with a cache for reading on.

GPT2Block: Radford et al. 2019 (GPT-2): layer norms before attention and network, learned biases, tanh-GELU.
ModernBlock: RMSNorm without weights (Zhang & Sennrich 2019, arXiv 1910.07467), rotary positions (Su et al. 2021,
2104.09864), normalised queries and keys (Dehghani et al. 2023, 2302.05442), squared ReLU (So et al. 2021, 2109.08668),
no biases, output matrices that start at zero.

Shapes: B texts, T new tokens, C width, H heads, D = C / H, S slots of a cache.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import decode
from .attention import attend
from .cache import KeyValues
from .linear import Linear
from .sparse import Pattern, attend_causal

__all__ = ["Block", "GPT2Block", "ModernBlock", "Where", "initialise_", "rms_norm", "rotated", "through"]


@dataclass
class Where:
    """Where the new tokens of a call stand: `used[b]` tokens of text b were read before them into `caches`."""

    tokens: int
    device: torch.device
    used: Sequence[int] = ()
    """Empty where nothing is cached: every text then begins at position 0."""
    masks: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    turned: tuple[Tensor, Tensor] | None = None
    """What all layers share, once it is known."""

    @property
    def fresh(self) -> bool:
        """Whether no text has a past."""
        return not any(self.used)

    @property
    def even(self) -> bool:
        """Whether all texts stand at the same place."""
        return all(u == self.used[0] for u in self.used)

    def positions(self) -> Tensor:
        """(T,), or (B, T) where the texts stand at different places: positions of the new tokens."""
        new = torch.arange(self.tokens, device=self.device)
        if self.fresh:
            return new
        if self.even:
            return new + self.used[0]
        return torch.tensor(self.used, device=self.device)[:, None] + new

    def turn(self, x: Tensor, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
        """Cosine and sine of position * base^(-2i/D), i < D/2, that broadcast over x (..., B, H, T, D)."""
        if self.turned is None:
            half, dtype = x.shape[-1] // 2, torch.promote_types(x.dtype, torch.float32)
            at = self.positions()
            at = at if at.ndim == 1 else at[:, None]
            speed = base ** (-torch.arange(half, dtype=dtype, device=x.device) / half)
            angle = at.to(dtype)[..., None] * speed
            self.turned = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        return self.turned

    def mask(self, pattern: Pattern, slots: int) -> Tensor:
        """(B or 1, 1, T, S) for one new token, whose key is in the ring already, else (B or 1, 1, T, S + T), where the
        new keys stand behind the ring's: what each new token sees."""
        key = (pattern.name, slots)
        if key not in self.masks:
            self.masks[key] = self._mask(pattern, slots)
        return self.masks[key]

    def _mask(self, pattern: Pattern, slots: int) -> Tensor:
        at = self.positions()
        at = at.reshape(1, -1) if at.ndim == 1 else at
        slot = torch.arange(slots, device=self.device)
        last = at[:, :1] if self.tokens == 1 else at[:, :1] - 1  # the newest position in the ring
        held = last - (last - slot) % slots  # position of each slot; below 0 where nothing was written
        keys = held if self.tokens == 1 else torch.cat([held, at], 1)
        seen = pattern.allowed(at[:, :, None], keys[:, None, :]) & (keys >= 0)[:, None, :]
        return seen[:, None]


class SelfAttention(nn.Module):
    """Causal multi-head self-attention; queries, keys and values from one matrix."""

    def __init__(self, width: int, heads: int, pattern: Pattern, *, bias: bool, rotary: bool, dropout: float) -> None:
        super().__init__()
        self.heads, self.pattern, self.rotary, self.dropout = heads, pattern, rotary, dropout
        self.qkv = Linear(width, 3 * width, bias=bias)
        self.out = Linear(width, width, bias=bias)

    def forward(self, x: Tensor, where: Where, cache: KeyValues | None = None) -> Tensor:
        y = self.mixed(*self.heads_of(x, where), where, cache)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out

    def heads_of(self, x: Tensor, where: Where) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values, each (B, H, T, D)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if not self.rotary:
            q, k, v = qkv.unbind(0)
            return q, k, v
        q, k = rms_norm(rotated(qkv[:2], *where.turn(qkv))).unbind(0)
        return q, k, qkv[2]

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, where: Where, cache: KeyValues | None) -> Tensor:
        """(B, H, T, D): values weighed by attention, within the pattern."""
        drop = self.dropout if self.training else 0.0
        if cache is None:
            return attend_causal(q, k, v, self.pattern, dropout=drop)
        if where.fresh:
            cache.write(k, v, [0] * len(k))
            return attend_causal(q, k, v, self.pattern)
        if where.tokens == 1:  # the one slot it overwrites lies out of the pattern's reach
            cache.write(k, v, where.used)
            live = min(cache.slots, max(where.used) + 1)
            keys, values = cache.keys[:, :, :live], cache.values[:, :, :live]
            return attend(q, keys, values, mask=self.seen(where, cache, live))[0]
        mask = where.mask(self.pattern, cache.slots)
        keys, values = torch.cat([cache.keys, k], 2), torch.cat([cache.values, v], 2)
        cache.write(k, v, where.used)
        return attend(q, keys, values, mask=mask)[0]

    def seen(self, where: Where, cache: KeyValues, live: int) -> Tensor | None:
        """(B or 1, 1, 1, live) for one new token: which of the first slots it sees; None where it sees them all."""
        if where.even and where.used[0] < cache.slots and self.pattern.hides_nothing(live):
            return None
        return where.mask(self.pattern, cache.slots)[..., :live]

    def weights(self, x: Tensor, where: Where) -> Tensor:
        """(B, H, T, T): the attention weights themselves, for looking at."""
        q, k, v = self.heads_of(x, where)
        seen = self.pattern.mask(x.shape[1], x.shape[1], x.device)
        found = attend(q, k, v, mask=seen, weights=True)[1]
        assert found is not None
        return found


class Block(nn.Module, ABC):
    """x plus attention, plus a network on each token. Built from width, heads, pattern, dropout."""

    attention: SelfAttention
    down: nn.Linear
    """The matrix by which the network ends."""

    @abstractmethod
    def attended(self, x: Tensor) -> Tensor:
        """What the attention is given: x, normalised."""

    @abstractmethod
    def network(self, x: Tensor) -> Tensor:
        """What is added after attention, from x."""

    def forward(self, x: Tensor, where: Where, cache: KeyValues | None = None) -> Tensor:
        x = x + self.dropped(self.attention(self.attended(x), where, cache))
        return x + self.dropped(self.network(x))

    def dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.attention.dropout) if self.training and self.attention.dropout else x


class GPT2Block(Block):
    """GPT-2's."""

    def __init__(self, width: int, heads: int, pattern: Pattern, dropout: float) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, pattern, bias=True, rotary=False, dropout=dropout)
        self.up, self.down = Linear(width, 4 * width), Linear(4 * width, width)

    def attended(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm_1(x)
        return y

    def network(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))
        return y


class ModernBlock(Block):
    """Today's."""

    def __init__(self, width: int, heads: int, pattern: Pattern, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, pattern, bias=False, rotary=True, dropout=dropout)
        self.up, self.down = Linear(width, 4 * width, bias=False), Linear(4 * width, width, bias=False)

    def attended(self, x: Tensor) -> Tensor:
        return rms_norm(x)

    def network(self, x: Tensor) -> Tensor:
        h = F.relu(self.up(rms_norm(x)))
        y: Tensor = self.down(h * h)
        return y


def through(blocks: nn.ModuleList, x: Tensor, where: Where, caches: Sequence[KeyValues] | None = None) -> Tensor:
    """x (B, T, C) through the blocks one after the other; a few texts' next token goes the quick way (decode.py)."""
    if caches is not None:
        found = decode.step(blocks, x, where, caches)
        if found is not None:
            return found
    for i, block in enumerate(blocks):
        x = block(x, where, None if caches is None else caches[i])
    return x


def initialise_(model: nn.Module, blocks: Sequence[Block], *, silent: bool) -> None:
    """GPT-2's weights: matrices N(0, 0.02), biases 0, and into the residual stream narrower by sqrt(2 blocks).

    `silent`: the matrices into the residual stream begin at 0, so that a fresh block passes x on as it is.
    """
    for name, p in model.named_parameters():
        if p.ndim == 2:
            nn.init.normal_(p, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(p)
    for block in blocks:
        for matrix in (block.attention.out, block.down):
            nn.init.normal_(matrix.weight, std=0.0 if silent else 0.02 / math.sqrt(2 * len(blocks)))


def rms_norm(x: Tensor) -> Tensor:
    """x over its root mean square along the last axis, in the dtype of x."""
    if x.dtype not in (torch.float32, torch.float64):
        return rms_norm(x.float()).to(x.dtype)
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(..., B, H, T, D) with each pair (x[i], x[i + D/2]) turned by an angle, whose cosine and sine are given."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
