"""What tracing puts in place of the library's own operations has their values."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.engine.trace import trace


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6), (torch.bfloat16, 2**-6)]
)
@pytest.mark.parametrize("approximate", ["tanh", "none"])
def test_a_traced_gelu_has_the_value_and_the_slope_of_the_library(
    dtype: torch.dtype, tolerance: float, approximate: str
) -> None:
    x = torch.linspace(-30, 30, 4001, dtype=dtype)

    def value_and_slope(x: Tensor) -> tuple[Tensor, Tensor]:
        def gelu(x: Tensor) -> Tensor:
            return F.gelu(x, approximate=approximate)

        return gelu(x), torch.func.grad(lambda x: gelu(x).sum())(x)

    graph = trace(value_and_slope, [x])
    assert ("gelu" in graph.code) is (approximate == "none")
    for found, expected in zip(graph.module(x), value_and_slope(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
