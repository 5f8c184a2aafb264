"""Spectral layers against the singular value decomposition."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.nn.spectral import SpectralConv2d, SpectralEmbedding, SpectralLinear, iterate_


def largest(weight: Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2))


def made(kind: str) -> SpectralLinear | SpectralConv2d | SpectralEmbedding:
    torch.manual_seed(1)
    if kind == "linear":
        return SpectralLinear(12, 7)
    return SpectralConv2d(3, 8, 3, padding=1) if kind == "conv" else SpectralEmbedding(9, 6)


@pytest.mark.parametrize("kind", ["linear", "conv", "embedding"])
def test_the_largest_singular_value_becomes_one(kind: str) -> None:
    layer = made(kind)
    for _ in range(100):
        iterate_(layer)
    assert largest(layer.normalised()) == pytest.approx(1.0, abs=1e-4)


def test_a_forward_pass_is_the_plain_layer_with_the_normalised_weight_and_changes_nothing() -> None:
    linear, conv, embedding = (
        SpectralLinear(12, 7),
        SpectralConv2d(3, 8, 3, padding=1, stride=2),
        SpectralEmbedding(9, 6),
    )
    before = {name: x.clone() for name, x in nn.ModuleList([linear, conv, embedding]).state_dict().items()}
    x, image, index = torch.randn(4, 12), torch.randn(2, 3, 8, 8), torch.tensor([3, 0, 3])
    torch.testing.assert_close(linear(x), F.linear(x, linear.normalised(), linear.bias))
    torch.testing.assert_close(conv(image), F.conv2d(image, conv.normalised(), conv.bias, 2, 1))
    torch.testing.assert_close(embedding(index), embedding.normalised()[index])
    after = nn.ModuleList([linear, conv, embedding]).state_dict()
    assert all(torch.equal(after[name], x) for name, x in before.items())


def test_the_gradient_takes_the_singular_vectors_as_constants() -> None:
    layer = made("linear")
    weight = layer.weight.detach().double().requires_grad_()
    u, v = layer.u.double(), layer.v.double()
    target = torch.randn(7, 12, dtype=torch.float64)
    (expected,) = torch.autograd.grad((weight / (u @ weight @ v) * target).sum(), weight)
    (found,) = torch.autograd.grad((layer.normalised() * target.float()).sum(), layer.weight)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_one_iteration_a_step_keeps_up_with_a_weight_that_moves() -> None:
    layer, chance = made("conv"), torch.Generator().manual_seed(2)
    errors = []
    for _ in range(200):
        with torch.no_grad():
            layer.weight.add_(0.01 * torch.randn(layer.weight.shape, generator=chance))
        iterate_(layer)
        errors.append(abs(largest(layer.normalised()) - 1))
    assert sum(errors[100:]) / 100 < 0.05
