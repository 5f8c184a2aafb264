"""Sparse causal attention without T x T numbers, on any device, forward and backward: fold blocks into the batch.

What a block of queries may see is gathered into one short row of keys, so that a few calls of the fused kernel (or,
for `strided`, plain products) do the work and autograd saves nothing that is square. Tokens are padded at their end to
whole blocks: what comes after a token is hidden from it anyway.

Letters: B texts, H heads, T tokens, D width, N blocks, L length of a block, S keys of one block of queries.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import causal_mask, fused, hiding, plain, scores

__all__ = ["block_local", "fixed", "sliding", "sliding_block", "strided"]

SMALLEST = 64
"""Queries that one call of a kernel should have at least."""
GROUPS = 8
"""Calls into which `fixed` is cut at least: with more, fewer keys are gathered in vain and more calls are made."""


ROOM_CPU = 2**21
"""Numbers that one step holds on a processor: 8 MB. The allocator then gives the same memory again and again; larger
pieces it asks for anew and finds zeroed page by page, which took up to half the time of long texts."""
ROOM = 2**26
"""The same elsewhere: enough to keep an accelerator busy."""


def room(x: Tensor) -> int:
    return ROOM_CPU if x.device.type == "cpu" else ROOM


def block_local(q: Tensor, k: Tensor, v: Tensor, length: int) -> Tensor:
    """Query i sees the keys of its block up to itself."""
    n = q.shape[2]
    if n <= length:
        return fused(q, k, v, causal=True)
    q_N, k_N, v_N = (in_batch(folded(x, length)) for x in (q, k, v))
    return unfolded(out_of_batch(fused(q_N, k_N, v_N, causal=True), len(q)), n)


def sliding_block(window: int) -> int:
    """Queries of one block: as many as the window is wide, so that the block and the one before it hold every key."""
    return max(window, SMALLEST)


def sliding(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Query i sees i - window < j <= i: a block of queries looks at its own keys and those of the block before."""
    n, length = q.shape[2], sliding_block(window)
    at = torch.arange(2 * length, device=q.device)
    i, j = at[length:, None], at[None, :]
    seen = (j <= i) & (i - j < window)
    if n <= length:
        return fused(q, k, v, mask=seen[:n, length : length + n])
    q_N, k_N, v_N = (folded(x, length) for x in (q, k, v))
    blocks = q_N.shape[2]
    size = max(1, room(q) // q_N[:, :, 0].numel())
    sizes = [1, *(min(size, blocks - start) for start in range(1, blocks, size))]
    (q_first, *q_rest), (k_first, *k_rest), (v_first, *v_rest) = (x.split(sizes, 2) for x in (q_N, k_N, v_N))
    alone = {"causal": True} if window == length else {"mask": seen[:, length:]}
    out = [fused(q_first[:, :, 0], k_first[:, :, 0], v_first[:, :, 0], **alone)[:, :, None]]
    before = k_first, v_first
    for q_S, *now in zip(q_rest, k_rest, v_rest, strict=True):
        keys, values = (pairs(x, y) for x, y in zip(before, now, strict=True))
        out.append(out_of_batch(fused(in_batch(q_S), in_batch(keys), in_batch(values), mask=seen), len(q)))
        before = now[0], now[1]
    return joined(out, n)


def fixed(q: Tensor, k: Tensor, v: Tensor, length: int, summary: int) -> Tensor:
    """Query i sees its own block up to itself, and the last `summary` keys of every block before."""
    n = q.shape[2]
    if n <= length:
        return fused(q, k, v, causal=True)
    q_N, k_N, v_N = (folded(x, length) for x in (q, k, v))
    blocks = q_N.shape[2]
    ends = [x[:, :, :, length - summary :].flatten(2, 3) for x in (k_N, v_N)]  # (B, H, N C, D)
    own = causal_mask(length, length, q.device)
    size = max(1, min(-(-blocks // GROUPS), room(q) // q_N[:, :, 0].numel()))
    out, start = [], 0
    for q_G, k_G, v_G in zip(*(x.split(size, 2) for x in (q_N, k_N, v_N)), strict=True):
        stop = start + q_G.shape[2]
        far = (stop - 1) * summary  # of the blocks before the group's last one
        block = torch.arange(start, stop, device=q.device)[:, None]
        before = torch.arange(far, device=q.device)[None, :] // summary < block
        shape = (stop - start, length, -1)
        seen = torch.cat([before[:, None].expand(*shape), own.expand(*shape)], 2)[:, None]  # (G, 1, L, S)
        keys, values = (
            torch.cat([end[:, :, None, :far].expand(-1, -1, stop - start, -1, -1), x], 3)
            for end, x in zip(ends, (k_G, v_G), strict=True)
        )
        done = fused(blocks_first(q_G), blocks_first(keys), blocks_first(values), mask=seen)
        out.append(done.unflatten(1, q.shape[:2]).permute(1, 2, 0, 3, 4))
        start = stop
    return joined(out, n)


def strided(q: Tensor, k: Tensor, v: Tensor, length: int) -> Tensor:
    """Query i sees the last `length` keys, and those a whole number of lengths away.

    In natural order the far keys touch every block. Taken by i mod L they are a causal triangle of N x N for each of
    L residues (the transposition of Child et al. 2019, section 5.2), but no two queries of a block share far keys. So
    there are two sets of scores, near (N, L, 2L) and far (L, N, N), and one softmax over both: exponentials against
    the common largest score, two products, one division. Keys nearer than L are near, the others far, none is both.
    """
    n, width = q.shape[2], v.shape[3]
    if n <= length:
        return fused(q, k, v, causal=True)
    q_N, k_N, v_N = (folded(x, length) for x in (q, k, v))
    v_N = F.pad(v_N, (0, 1), value=1.0)  # the last column adds up what the others are divided by
    (q_first, q_rest), (k_first, k_rest), (v_first, v_rest) = (x.split((1, x.shape[2] - 1), 2) for x in (q_N, k_N, v_N))
    first = plain(q_first[:, :, 0], k_first[:, :, 0], v_first[:, :, 0, :, :width], causal=True)[0]

    i, j = torch.arange(length, device=q.device)[:, None], torch.arange(2 * length, device=q.device)[None, :]
    k_near, v_near = pairs(k_first, k_rest), pairs(v_first, v_rest)
    near, near_top = exponentials(q_rest, k_near, v_near, (j <= i + length) & (j > i))
    q_far, k_far, v_far = (x.transpose(2, 3) for x in (q_rest, k_N[:, :, :-1], v_N[:, :, :-1]))
    earlier = causal_mask(k_far.shape[3], k_far.shape[3], q.device)
    far, far_top = (x.transpose(2, 3) for x in exponentials(q_far, k_far, v_far, earlier))

    top = torch.maximum(near_top, far_top)
    sums = near * (near_top - top).exp().to(v.dtype) + far * (far_top - top).exp().to(v.dtype)
    return joined([first[:, :, None], sums[..., :width] / sums[..., width:]], n)


def exponentials(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over S of exp(score - top) v, (B, H, N, T, E), and each query's largest score, (B, H, N, T, 1).

    The latter is a constant for the gradient: it cancels in every quotient of such sums.
    """
    lead, bias = q.shape[:3], hiding(seen, q)
    rows = max(1, room(q) // seen.numel())
    sums, tops = [], []
    for q_R, k_R, v_R in zip(*(x.flatten(0, 2).split(rows) for x in (q, k, v)), strict=True):
        chunk = scores(q_R, k_R, bias)
        tops.append(chunk.detach().amax(-1, keepdim=True))
        sums.append(torch.bmm(chunk.sub_(tops[-1]).exp_().to(v.dtype), v_R))
    return torch.cat(sums).unflatten(0, lead), torch.cat(tops).unflatten(0, lead)


# -- folding -----------------------------------------------------------------------------------------------------------


def folded(x: Tensor, length: int) -> Tensor:
    """(B, H, T, D) -> (B, H, N, L, D), with zeros after the last token where it does not fill its block."""
    missing = -x.shape[2] % length
    x = F.pad(x, (0, 0, 0, missing)) if missing else x
    out: Tensor = x.unflatten(2, (-1, length))
    return out


def unfolded(x: Tensor, n: int) -> Tensor:
    """Back again, and the first n tokens."""
    return x.flatten(2, 3)[:, :, :n]


def joined(parts: list[Tensor], n: int) -> Tensor:
    """Several (B, H, N, L, D) after each other -> (B, H, T, D), laid out as (B, T, H, D), as what follows wants it."""
    return torch.cat([x.permute(0, 2, 3, 1, 4) for x in parts], 1).flatten(1, 2)[:, :n].transpose(1, 2)


def in_batch(x: Tensor) -> Tensor:
    """(B, H, N, S, D) -> (B N, H, S, D)."""
    return x.transpose(1, 2).flatten(0, 1)


def out_of_batch(x: Tensor, texts: int) -> Tensor:
    """(B N, H, S, D) -> (B, H, N, S, D)."""
    out: Tensor = x.unflatten(0, (texts, -1)).transpose(1, 2)
    return out


def blocks_first(x: Tensor) -> Tensor:
    """(B, H, N, S, D) -> (N, B H, S, D), so that one mask a block serves every text and head."""
    return x.permute(2, 0, 1, 3, 4).flatten(1, 2)


def pairs(before: Tensor, x: Tensor) -> Tensor:
    """(B, H, N, L, D) -> (B, H, N, 2L, D): each block behind the one before, the first behind the last of `before`."""
    return torch.cat([torch.cat([before[:, :, -1:], x[:, :, :-1]], 2), x], 3)
