"""What one step costs, counted and not clocked: calls, operations, the largest product.

`auto` decides from these counts, so two runs with the same settings on the same kind of machine decide alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from elboroom.core.phase import Phase
from elboroom.engine.trace import Losses, names_of

__all__ = ["Cost", "cost_of", "eager_seconds"]


@dataclass(frozen=True)
class Cost:
    """Of one training step of one phase: a forward pass was counted, a backward pass costs about twice that."""

    calls: int
    """Kernel calls."""
    operations: int
    """Floating-point operations in products and convolutions (a multiply-add is two)."""
    largest: int
    """Operations of the largest single product."""
    logs: tuple[str, ...]
    """Names of the terms the loss reports."""


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.calls = 0
        self.operations = 0
        self.largest = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No compiler will see it, so there is none to be told to leave it alone, which takes a second to import."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls += 1
        counter = flop_registry.get(func._overloadpacket)
        if counter is not None:
            operations = int(counter(*args, **(kwargs or {}), out_val=out))
            self.operations += operations
            self.largest = max(self.largest, operations)
        return out


def cost_of(losses: Losses, phase: Phase, raw: dict[str, Tensor], t: Tensor) -> Cost:
    """Count one forward pass of the phase's loss on copies, so that neither buffers nor parameters change."""
    copies = {name: tensor.detach().clone() for name, tensor in names_of(losses).items()}
    counter = _Counter()
    with torch.no_grad(), counter:
        _, logs = torch.func.functional_call(losses, copies, (phase.loss, raw, t))
    return Cost(3 * counter.calls, 3 * counter.operations, counter.largest, tuple(logs))


def eager_seconds(costs: list[Cost], steps: int) -> float:
    """Predicted seconds of `steps` eager steps: 2 microseconds a call, 1e11 operations a second."""
    return steps * sum(2e-6 * c.calls + c.operations / 1e11 for c in costs)
