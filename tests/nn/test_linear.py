"""The quick way for a few rows gives the same product, and is taken only where it is meant to be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from elboroom.nn import linear as module
from elboroom.nn.linear import Linear, linear


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the inputs that went the quick way."""
    seen: list[tuple[int, ...]] = []
    kernel = torch.ops.mkldnn._linear_pointwise

    class Ops:
        @staticmethod
        def _linear_pointwise(x: torch.Tensor, *rest: object) -> torch.Tensor:
            seen.append(tuple(x.shape))
            found: torch.Tensor = kernel(x, *rest)
            return found

    monkeypatch.setattr(torch.ops, "mkldnn", Ops)
    return seen


@pytest.mark.parametrize("shape", [(512,), (1, 512), (2, 3, 512), (module.ROWS, 1, 512)])
@pytest.mark.parametrize("bias", [True, False])
def test_few_rows_are_multiplied_alike(shape: tuple[int, ...], bias: bool, quick: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    layer, x = Linear(512, 256, bias=bias), torch.randn(shape)
    expected = nn.functional.linear(x.double(), layer.weight.double(), layer.bias.double() if bias else None)
    with torch.inference_mode():
        found = layer(x)
    assert quick == [shape]
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


def test_many_rows_small_matrices_other_dtypes_and_training_go_by_torch(quick: list[tuple[int, ...]]) -> None:
    large, x = Linear(512, 256), torch.randn(2, 512)
    with torch.inference_mode():
        large(torch.randn(module.ROWS + 1, 512))
        Linear(64, 64)(torch.randn(1, 64))
        linear(x.double(), large.weight.double())
        linear(x.bfloat16(), large.weight.bfloat16())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert large(x).dtype == torch.bfloat16
    large(x).sum().backward()
    assert large.weight.grad is not None
    assert not quick
