"""What is done before the compiler: bytes become floats outside the compiled step, to the same bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from elboroom.engine import inductor
from elboroom.engine.trace import trace


def scaled(total: Tensor, images: Tensor) -> tuple[Tensor]:
    total.add_((images.to(torch.float32) / 255).sum())
    return (total,)


def test_bytes_come_to_the_compiled_step_as_floats_and_the_result_has_the_same_bits() -> None:
    images = torch.randint(0, 256, (7, 13), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    graph = trace(scaled, [torch.zeros(()), images])
    before = graph.code
    quick, places = inductor._widened(graph)
    assert places == [1]
    assert [x.dtype for x in quick.examples] == [torch.float32, torch.float32]
    assert "_to_copy" not in quick.code
    assert graph.code == before  # what is kept as the step is not touched
    total, again = torch.zeros(()), torch.zeros(())
    inductor._widening(quick.module, places, quick.examples)(total, images)
    scaled(again, images)
    assert total.equal(again)
    assert images.dtype == torch.uint8


@pytest.mark.parametrize("use", ["index", "half", "both"])
def test_bytes_that_are_used_otherwise_stay_bytes(use: str) -> None:
    def step(total: Tensor, given: Tensor) -> tuple[Tensor]:
        if use == "index":
            total.add_(torch.arange(256.0)[given.long()].sum())
        if use == "half":
            total.add_(given.to(torch.bfloat16).sum())
        if use == "both":
            total.add_(given.to(torch.float32).sum() + (given == 3).sum())
        return (total,)

    graph = trace(step, [torch.zeros(()), torch.arange(6, dtype=torch.uint8)])
    quick, places = inductor._widened(graph)
    assert places == []
    assert quick.code == graph.code
