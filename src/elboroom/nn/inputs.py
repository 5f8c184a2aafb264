"""What an encoder is given of a batch: numbers of like size, categories one-hot, and which cells were measured.

Images: grey levels 0 .. K-1 are brought to [-1, 1]; the other scales go in as they are. Tables: counts as log(1 + x),
categories one-hot. Where cells may be missing the mask goes in beside x, for a missing cell looks like a zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from elboroom.core.batch import Batch
from elboroom.core.spec import Spec

__all__ = ["Inputs"]


class Inputs(nn.Module):
    """From a Batch to (batch, *shape): (channels, height, width) for images, (features,) for tables."""

    shape: tuple[int, ...]
    count_at: Tensor
    plain_at: Tensor
    slot_column: Tensor
    slot_category: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.levels = spec.levels
        self.masked = spec.masked
        columns = list(enumerate(spec.columns))
        count = [i for i, c in columns if c.kind == "count"]
        slots = [(i, k) for i, c in columns if c.kind == "categorical" for k in range(len(c.categories))]
        plain = [i for i, c in columns if c.kind in ("real", "binary")]
        self.rearranged = bool(count or slots)
        for name, places in (
            ("count_at", count),
            ("plain_at", plain),
            ("slot_column", [i for i, _ in slots]),
            ("slot_category", [k for _, k in slots]),
        ):
            self.register_buffer(name, torch.tensor(places, dtype=torch.int64), persistent=False)
        width = len(plain) + len(count) + len(slots) if self.rearranged else spec.shape[0]
        self.shape = (width + spec.masked * spec.shape[0], *spec.shape[1:])

    def forward(self, batch: Batch) -> Tensor:
        x, seen = batch.x, batch.observed
        parts = [x]
        if self.levels:
            parts = [x * (2 / (self.levels - 1)) - 1]
        if self.rearranged:
            chosen = x.index_select(1, self.slot_column) == self.slot_category
            if seen is not None:
                chosen = chosen & seen.index_select(1, self.slot_column)
            counts = x.index_select(1, self.count_at).log1p()
            parts = [x.index_select(1, self.plain_at), counts, chosen.to(x.dtype)]
        if self.masked:
            parts.append(torch.ones_like(x) if seen is None else seen.to(x.dtype))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
