"""Attention between pixels against a plain softmax in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from elboroom.nn.pixel_attention import PixelAttention, largest_of_four


def layer(channels: int = 16) -> PixelAttention:
    torch.manual_seed(2)
    made = PixelAttention(channels)
    with torch.no_grad():
        made.gamma.fill_(0.7)
    return made


def naive(one: PixelAttention, x: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel by pixel, keys and values pooled by torch's own layer."""
    x = x.double()

    def conv(name: str, x: Tensor) -> Tensor:
        weight = getattr(one, name).normalised().double()[:, :, 0, 0]
        return torch.einsum("oc,bchw->bohw", weight, x)

    pool = torch.nn.MaxPool2d(2, ceil_mode=True)
    q, k, v = conv("query", x), pool(conv("key", x)).flatten(2), pool(conv("value", x)).flatten(2)
    out, maps = torch.zeros(x.shape[0], v.shape[1], *x.shape[2:], dtype=x.dtype), []
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            scores = torch.einsum("bd,bdk->bk", q[:, :, i, j], k)
            beta = scores.exp() / scores.exp().sum(1, keepdim=True)
            out[:, :, i, j] = torch.einsum("bk,bdk->bd", beta, v)
            maps.append(beta)
    return x + 0.7 * conv("last", out), torch.stack(maps, 1)


@pytest.mark.parametrize("size", [(4, 6), (7, 5), (1, 3)])
def test_the_block_is_a_softmax_over_the_largest_of_each_four_pixels(size: tuple[int, int]) -> None:
    one, x = layer(), torch.randn(2, 16, *size)
    expected, maps = naive(one, x)
    torch.testing.assert_close(one(x).double(), expected, rtol=1e-4, atol=1e-5)
    found = one.maps(x)
    assert found.shape == (2, *size, (size[0] + 1) // 2, (size[1] + 1) // 2)
    torch.testing.assert_close(found.flatten(3).flatten(1, 2).double(), maps, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.sum((3, 4)), torch.ones(2, *size))


def test_it_begins_as_the_identity_and_its_strength_still_has_a_gradient() -> None:
    torch.manual_seed(0)
    one, x = PixelAttention(8), torch.randn(2, 8, 6, 6)
    out = one(x)
    assert torch.equal(out, x)
    (slope,) = torch.autograd.grad(out.square().sum(), one.gamma)
    assert float(slope.abs()) > 0


@pytest.mark.parametrize("size", [(6, 8), (5, 4), (7, 7)])
def test_the_largest_of_four_is_torchs_pooling(size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 3, *size)
    assert torch.equal(largest_of_four(x), torch.nn.functional.max_pool2d(x, 2, ceil_mode=True))
