"""The summed cross-entropy: the same values and gradients as value by value, at every size and at the extremes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from elboroom.nn.cross_entropy import summed_cross_entropy


def plain(logits: Tensor, x: Tensor) -> Tensor:
    return (torch.logaddexp(logits, torch.zeros_like(logits)) - x * logits).sum(-1)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 48, 784])
def test_it_is_the_sum_value_by_value(size: int) -> None:
    draw = torch.Generator().manual_seed(size)
    logits = 6 * torch.randn(3, 5, size, generator=draw, dtype=torch.float64)
    x = torch.rand(5, size, generator=draw, dtype=torch.float64)
    assert torch.allclose(summed_cross_entropy(logits, x), plain(logits, x), rtol=1e-13, atol=1e-13)
    single = summed_cross_entropy(logits.float(), x.float()).double()
    assert torch.allclose(single, plain(logits, x), rtol=1e-5)


@pytest.mark.parametrize("size", [3, 16, 21])
def test_both_gradients_are_those_of_differences(size: int) -> None:
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, size, generator=draw, dtype=torch.float64, requires_grad=True)
    x = torch.rand(3, size, generator=draw, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(summed_cross_entropy, (logits, x))
    assert torch.autograd.gradgradcheck(summed_cross_entropy, (logits, x))


def test_a_surely_right_logit_costs_nothing_and_a_surely_wrong_one_its_size() -> None:
    logits = torch.tensor([[1e4] * 16, [-1e4] * 16])
    right = torch.tensor([[1.0] * 16, [0.0] * 16])
    assert summed_cross_entropy(logits, right).tolist() == [0.0, 0.0]
    assert summed_cross_entropy(logits, 1 - right).tolist() == [16e4, 16e4]


def test_mapped_over_members_it_is_each_one_alone() -> None:
    draw = torch.Generator().manual_seed(2)
    logits, x = torch.randn(4, 3, 20, generator=draw), torch.rand(4, 3, 20, generator=draw)

    def slope(logits: Tensor, x: Tensor) -> Tensor:
        return torch.func.grad(lambda at: summed_cross_entropy(at, x).sum())(logits)

    found = torch.vmap(slope)(logits, x)
    assert torch.allclose(found, logits.sigmoid() - x, atol=1e-6)
