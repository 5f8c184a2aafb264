"""What runs below a call: a test that asserts the path taken reads it here, not from the code under test."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

FUSED = "_scaled_dot_product_flash_attention_for_cpu"
"""torch's attention kernel for processors that holds no square of scores."""


class Recorder(TorchDispatchMode):
    """Names of the operations that ran, what the fused kernel gave, and the largest storage of any result."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.fused: set[torch.Size] = set()
        self.largest = 0
        """In numbers."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        self.names.add(name)
        given = [x for x in (out if isinstance(out, tuple | list) else [out]) if isinstance(x, Tensor)]
        if name == FUSED:
            self.fused.add(given[0].shape)
        for x in given:
            self.largest = max(self.largest, x.untyped_storage().nbytes() // x.element_size())
        return out
