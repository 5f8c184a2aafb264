"""One batch as a model sees it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Batch"]


@dataclass
class Batch:
    """`x` in the model's own space, what is known of it beside, all on one device.

    Shapes: x (batch, *spec.shape), floating, or for texts (batch, n + 1), int64: n tokens to read and, one place
    further on, those to predict; label (batch,) int64; observed (batch, *spec.shape) bool, True where
    the cell was measured. A missing cell holds 0 in x, never a guess.

    Sequences: x (batch, steps, channels), or (batch, steps) int64 where they are made of tokens, 0 beyond each one's
    end; lengths (batch,) int64, None where every sequence has all steps; label (batch,), or (batch, steps) where each
    step has its own, -1 where there is none.
    """

    x: Tensor
    label: Tensor | None = None
    observed: Tensor | None = None
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return self.x.shape[0]
