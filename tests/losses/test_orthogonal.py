"""The penalty on filters that point the same way."""

from __future__ import annotations

import pytest
import torch

from elboroom.losses.orthogonal import orthogonal_penalty


def test_it_is_the_sum_of_squared_products_of_every_two_filters() -> None:
    torch.manual_seed(0)
    weights = [torch.randn(5, 3, 2, 2, dtype=torch.float64), torch.randn(4, 7, dtype=torch.float64)]
    expected = 0.0
    for weight in weights:
        rows = weight.flatten(1)
        expected += sum(float(rows[i] @ rows[j]) ** 2 for i in range(len(rows)) for j in range(len(rows)) if i != j)
    assert float(orthogonal_penalty(weights)) == pytest.approx(expected, rel=1e-12)


def test_its_gradient_is_that_of_a_float64_reference() -> None:
    torch.manual_seed(1)
    weight = torch.randn(6, 9, requires_grad=True)
    (found,) = torch.autograd.grad(orthogonal_penalty([weight]), weight)
    rows = weight.detach().double()
    gram = rows @ rows.t()
    gram.fill_diagonal_(0)
    torch.testing.assert_close(found.double(), 4 * gram @ rows, rtol=1e-4, atol=1e-4)


def test_orthogonal_filters_of_any_length_cost_nothing() -> None:
    torch.manual_seed(2)
    rows = torch.linalg.qr(torch.randn(8, 4, dtype=torch.float64))[0].t() * torch.tensor([[1.0], [5.0], [0.1], [2.0]])
    assert float(orthogonal_penalty([rows])) < 1e-20
    assert float(orthogonal_penalty([rows + 0.1])) > 1e-3
