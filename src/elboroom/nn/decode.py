"""One more token for a few texts, through all blocks of a decoder in one call of a C++ kernel.

To write one token after another is to read every weight once for a row or two, so it can be as quick as memory is read.
Block by block in torch it is not: some forty small calls a block take as long as the weights of a small net. The kernel
(native/decode.cpp) computes what the blocks do, in float32, from weights and memory in float32 or bfloat16; where there
is no compiler, or a call is not of this kind, `step` gives None and the blocks go their own way.

Shapes: R texts, C width, F width inside the network, H heads, D = C / H, S slots of a ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from . import native
from .cache import KeyValues

if TYPE_CHECKING:
    from .transformer import Where

__all__ = ["ROWS", "affine", "step", "usable"]

ROWS = 16
"""Texts up to which weights are read once for all of them; above, torch's products are quicker."""
DTYPES = (torch.float32, torch.bfloat16)
HEAD = 256
"""Numbers of a head that the kernel has room for."""
PARTS = ("attention.qkv", "attention.out", "up", "down")
MATRICES = tuple(f"{part}.weight" for part in PARTS)
BIASES = tuple(f"{part}.bias" for part in PARTS)
NORMS = ("norm_1.weight", "norm_1.bias", "norm_2.weight", "norm_2.bias")


def usable(x: Tensor, weight: Tensor, rows: int) -> native.Library | None:
    """The kernels, where so many rows of x can go through them: on a processor, under `torch.inference_mode`."""
    if (
        torch.is_inference_mode_enabled()
        and rows <= ROWS
        and x.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in DTYPES
        and not torch.is_autocast_enabled("cpu")
    ):
        return native.library("decode")
    return None


def affine(kernels: native.Library, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (..., K), weight (N, K), bias (N,) -> (..., N)."""
    rows = x.reshape(-1, x.shape[-1]).float().contiguous()
    out = rows.new_empty(len(rows), len(weight))
    numbers = (len(rows), *weight.shape, x.dtype == torch.bfloat16, torch.get_num_threads())
    kernels.call("few_rows", numbers, (weight.contiguous(), bias, rows), (out,))
    return out.to(x.dtype).reshape(*x.shape[:-1], len(weight))


def step(blocks: nn.ModuleList, x: Tensor, where: Where, caches: Sequence[KeyValues]) -> Tensor | None:
    """x (R, 1, C) through all blocks, its keys and values written to the caches; None where they must do it."""
    if where.tokens != 1 or where.fresh or blocks.training:
        return None
    stack = _STACKS.get(blocks)
    if stack is None or not stack.current():
        stack = _STACKS[blocks] = Stack(blocks)
    kernels = usable(x, stack.tensors[0], len(x)) if stack.fits else None
    if kernels is None:
        return None
    first = stack.blocks[0]
    hidden = x.reshape(len(x), -1).to(torch.float32, copy=True).contiguous()
    turned: list[Tensor | None] = [None, None]
    if first.attention.rotary:
        cos, sin = where.turn(hidden.reshape(len(x), 1, first.attention.heads, -1).transpose(1, 2))
        turned = [_rows(cos.float(), len(x)), _rows(sin.float(), len(x))]
    read: list[Tensor | None] = []
    about: list[int] = []
    for i, cache in enumerate(caches):
        live = min(cache.slots, max(where.used) + 1)
        seen = stack.blocks[i].attention.seen(where, cache, live)
        read += [*stack.layers[i], None if seen is None else seen.contiguous().view(torch.uint8)]
        about += [cache.slots, live, 0 if seen is None or len(seen) == 1 else live]
    inner, threads, longest = stack.inner, torch.get_num_threads(), max(cache.slots for cache in caches)
    work = hidden.new_empty(len(x) * (4 * hidden.shape[1] + inner) + threads * (hidden.numel() + longest))
    sizes = (*hidden.shape, inner, first.attention.heads, len(caches), first.attention.rotary)
    numbers = (*sizes, x.dtype == torch.bfloat16, threads, *where.used, *about)
    written = [hidden, work, *(ring for cache in caches for ring in (cache.keys, cache.values))]
    kernels.call("decode_step", numbers, [*read, *turned], written)
    return hidden.to(x.dtype)[:, None]


def _rows(x: Tensor, rows: int) -> Tensor:
    """(R, D / 2) of a table (1, D / 2) or (R, 1, 1, D / 2)."""
    return x.reshape(-1, x.shape[-1]).expand(rows, -1).contiguous()


class Stack:
    """The tensors of all blocks, in the kernel's order, found once."""

    def __init__(self, blocks: nn.ModuleList) -> None:
        from .transformer import GPT2Block, ModernBlock

        self.blocks: list[GPT2Block | ModernBlock] = list(blocks)  # type: ignore[arg-type]
        kind = type(self.blocks[0])
        self.fits = kind in (GPT2Block, ModernBlock) and all(type(block) is kind for block in self.blocks)
        self.layers: list[list[Tensor | None]] = []
        self.homes: list[tuple[dict[str, Tensor | None], str, Tensor | None]] = []
        for block in self.blocks:
            found = []
            for name in MATRICES + BIASES + NORMS:
                home, tensor = _look(block, name)
                found.append(tensor)
                if home is not None:
                    self.homes.append((home, name.rpartition(".")[2], tensor))
            self.layers.append(found)
        self.tensors = [tensor for layer in self.layers for tensor in layer if tensor is not None]
        first = self.blocks[0].attention
        self.inner = self.blocks[0].up.out_features
        self.fits &= first.qkv.in_features // first.heads <= HEAD and all(t.is_contiguous() for t in self.tensors)

    def current(self) -> bool:
        """Whether the blocks still hold these very tensors: a parameter may have been put in another's place."""
        return all(home.get(name) is tensor for home, name, tensor in self.homes)


def _look(block: nn.Module, name: str) -> tuple[dict[str, Tensor | None] | None, Tensor | None]:
    """Where a parameter of a dotted name lies, and itself; None where the block has no such part."""
    *path, last = name.split(".")
    for part in path:
        if part not in block._modules:
            return None, None
        block = block._modules[part]  # type: ignore[assignment]
    home: dict[str, Tensor | None] = block._parameters  # type: ignore[assignment]
    return home, home.get(last)


_STACKS: WeakKeyDictionary[nn.ModuleList, Stack] = WeakKeyDictionary()
