"""A transformer that reads a sequence in both directions: every step looks at every other step of its own sequence.

Vaswani et al. 2017 (arXiv 1706.03762), the encoder; with the parts of today's blocks as in `transformer`: RMSNorm
before each part, rotary positions (Su et al. 2021, arXiv 2104.09864), normalised queries and keys, squared ReLU, no
biases, output matrices that start at zero. Steps beyond a sequence's end are seen by none, and their outputs are 0.

Shapes: B sequences, T steps, I inputs, H width, D width of a head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.core.errors import InputError

from .attention import attend
from .linear import Linear
from .transformer import Where, rms_norm, rotated

__all__ = ["Encoder", "EncoderBlock"]

HEAD = 32
"""Width of an attention head, where the hidden width allows it."""


class EncoderBlock(nn.Module):
    """x plus attention over the whole sequence, plus a network on each step."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = Linear(width, 3 * width, bias=False)
        self.out = Linear(width, width, bias=False)
        self.up, self.down = Linear(width, 4 * width, bias=False), Linear(4 * width, width, bias=False)
        for matrix in (self.qkv, self.up):
            nn.init.normal_(matrix.weight, std=0.02)
        for matrix in (self.out, self.down):
            nn.init.zeros_(matrix.weight)

    def forward(self, x: Tensor, where: Where, seen: Tensor | None) -> Tensor:
        """(B, T, H); `seen` (B, 1, 1, T) is True where a step may be looked at, None for all."""
        qkv = self.qkv(rms_norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = rms_norm(rotated(qkv[:2], *where.turn(qkv))).unbind(0)
        mixed, _ = attend(q, k, qkv[2], mask=seen, dropout=self.dropout if self.training else 0.0)
        x = x + self.dropped(self.out(mixed.transpose(1, 2).flatten(2)))
        h = F.relu(self.up(rms_norm(x)))
        return x + self.dropped(self.down(h * h))

    def dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training and self.dropout else x


class Encoder(nn.Module):
    """(B, T, I) and the lengths (B,) to (B, T, H)."""

    def __init__(self, inputs: int, hidden: int, layers: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        heads = max(1, hidden // HEAD)
        if hidden % (2 * heads):
            raise InputError(
                f"--hidden {hidden} cannot be shared by {heads} heads of even width; take a multiple of {HEAD}"
            )
        self.outputs = hidden
        self.into = nn.Linear(inputs, hidden)
        self.blocks = nn.ModuleList(EncoderBlock(hidden, heads, dropout) for _ in range(layers))
        nn.init.xavier_uniform_(self.into.weight)
        nn.init.zeros_(self.into.bias)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Steps from `lengths` on are padding; without lengths there is none."""
        y = rms_norm(self.into(x))
        where = Where(x.shape[1], x.device)
        inside = None if lengths is None else torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        seen = None if inside is None else inside[:, None, None]
        for block in self.blocks:
            y = block(y, where, seen)
        y = rms_norm(y)
        return y if inside is None else torch.where(inside[..., None], y, 0)
