"""The chunked head against the plain one: value, gradients, tracing, memory."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from elboroom.losses.sequence import next_token_loss

V, C = 97, 8


def drawn(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    h, w = (torch.randn(*shape, generator=g, dtype=dtype) for shape in ((3, 11, C), (V, C)))
    return h, w, torch.randint(0, V, (3, 11), generator=g)


def plain(h: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy((h @ w.T).flatten(0, 1), y.flatten())


@pytest.mark.parametrize("at_once", [V, 5 * V, 33 * V - 1, 33 * V])
def test_chunks_change_neither_the_loss_nor_its_gradients(at_once: int) -> None:
    h, w, y = drawn()
    wanted, slopes = plain(h, w, y), torch.func.grad(plain, argnums=(0, 1))(h, w, y)
    found = torch.func.grad(lambda *a: next_token_loss(*a, at_once=at_once), argnums=(0, 1))(h, w, y)
    torch.testing.assert_close(next_token_loss(h, w, y, at_once=at_once), wanted)
    for a, b in zip(found, slopes, strict=True):
        torch.testing.assert_close(a, b)
    h.requires_grad_(), w.requires_grad_()
    loss = next_token_loss(h, w, y, at_once=at_once)
    for a, b in zip(torch.autograd.grad(3 * loss, (h, w)), slopes, strict=True):
        torch.testing.assert_close(a, 3 * b)


def test_a_tied_embedding_gets_both_gradients() -> None:
    _, w, y = drawn()

    def tied(loss: object) -> Tensor:
        return torch.func.grad(lambda w: loss(w[y].tanh(), w, y))(w)  # type: ignore[operator]

    torch.testing.assert_close(tied(lambda *a: next_token_loss(*a, at_once=7 * V)), tied(plain))


def test_the_chunked_loss_can_be_traced() -> None:
    h, w, y = drawn(torch.float32)
    slope = torch.func.grad(lambda *a: next_token_loss(*a, at_once=7 * V), argnums=(0, 1))
    graph = make_fx(slope, tracing_mode="fake")(h, w, y)
    for a, b in zip(graph(h, w, y), slope(h, w, y), strict=True):
        torch.testing.assert_close(a, b)


class Largest(TorchDispatchMode):
    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        self.numbers = max(
            [self.numbers, *(x.numel() for x in torch.utils._pytree.tree_leaves(out) if isinstance(x, Tensor))]
        )
        return out


@pytest.mark.parametrize("grad", [True, False])
def test_no_tensor_is_larger_than_a_chunk_of_logits(grad: bool) -> None:
    h, w, y = torch.randn(4, 128, 4, requires_grad=grad), torch.randn(1000, 4), torch.randint(0, 1000, (4, 128))
    with Largest() as seen, torch.set_grad_enabled(grad):
        loss = next_token_loss(h, w, y, at_once=16 * 1000)
        if grad:
            torch.autograd.grad(loss, h)
    assert seen.numbers <= 16 * 1000


def test_a_uniform_law_costs_log_v() -> None:
    h, w, y = drawn()
    assert float(next_token_loss(torch.zeros_like(h), w, y, at_once=3 * V)) == pytest.approx(math.log(V))
