"""The short training loop of learned features: a fixed number of examples, one seed, and no choice by a held-out part.

It is no run: nothing is tuned, resumed or shown, so the engine is not asked. AdamW (Loshchilov & Hutter 2019), the
rate up over a tenth of the steps and down to 0; products in bf16 where the processor has them. One thread: the networks
are too small to gain much by more, and the sums, so the weights and their hash, do not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from elboroom.data.source import Dataset
from elboroom.data.stream import Stream
from elboroom.engine.runtime import configure, has_bf16_products

from .inputs import training_rows, unit

__all__ = ["learn", "precision", "seen", "shifted"]

BATCH = 128
RATE, DECAY, WARM = 3e-3, 0.02, 0.1
FEWEST, PASSES, MOST, CELLS = 30_000, 3, 250_000, 300_000_000
"""Examples at least; passes through the training part; examples at most; values of all examples at most."""

Loss = Callable[[Tensor, Tensor | None], Tensor]
"""(examples, labels) -> the loss of a batch."""


def precision() -> str:
    """The type of products, on which the learned weights depend."""
    return "bf16" if has_bf16_products(torch.device("cpu")) else "fp32"


def seen(dataset: Dataset) -> int:
    """How many examples the training goes through: what is learned well within a minute."""
    wanted = min(max(FEWEST, PASSES * len(training_rows(dataset))), MOST)
    return min(wanted, max(20_000, CELLS // dataset.spec.size))


def learn(network: nn.Module, loss: Loss, dataset: Dataset, examples: int, *, seed: int, batch: int = BATCH) -> None:
    """Train `network` in place on so many training rows, on the CPU; draws come from the default generator."""
    stream = Stream(training_rows(dataset).to("cpu"), batch, seed=seed)
    to_unit, steps = unit(dataset), max(1, examples // stream.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    network.train()
    with configure(1, "default"):
        for step in range(steps):
            progress = (step + 1) / steps
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(progress / WARM, (1 - progress) / (1 - WARM))
            raw = stream.rows(step)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision() == "bf16"):
                value = loss(to_unit(raw["x"]), raw.get("label"))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    network.eval()


def shifted(x: Tensor) -> Tensor:
    """A batch of images moved together by up to a fourteenth of each side; the border is repeated."""
    height, width = x.shape[-2:]
    down, right = height // 14, width // 14
    padded = functional.pad(x, (right, right, down, down), mode="replicate")
    top = int(torch.randint(0, 2 * down + 1, ()))
    left = int(torch.randint(0, 2 * right + 1, ()))
    return padded[..., top : top + height, left : left + width]
