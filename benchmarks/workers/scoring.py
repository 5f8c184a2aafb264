"""How a language model is scored on held-out text, in nats per token: one code for every contestant.

`full`: windows that overlap by half; every token but the first is predicted once, after half a window of text or more
(all there is, where the text begins). `nano`: nanoGPT's estimate, the mean over random windows read from nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Surprisal", "full", "nano"]

Surprisal = Callable[[Tensor, Tensor], Tensor]
"""(rows, window) tokens and the tokens that follow them: -log p of each, (rows, window)."""
ROWS = 64


def full(surprisal: Surprisal, tokens: np.ndarray[Any, Any], window: int) -> float:
    """The mean over every token but the first."""
    text = torch.from_numpy(tokens.astype(np.int64))
    last = len(text) - 1 - window
    starts = [*range(0, last, window // 2), last]
    total, begin = 0.0, 0
    with torch.no_grad():
        for at in range(0, len(starts), ROWS):
            some = starts[at : at + ROWS]
            x = torch.stack([text[start : start + window] for start in some])
            y = torch.stack([text[start + 1 : start + 1 + window] for start in some])
            nats = surprisal(x, y).double()
            for row, start in enumerate(some):
                total += float(nats[row, begin - start :].sum())
                begin = start + window
    return total / (len(text) - 1)


def nano(surprisal: Surprisal, tokens: np.ndarray[Any, Any], window: int, seed: int, batches: int, rows: int) -> float:
    """The mean over `batches` of `rows` windows that begin anywhere."""
    text = torch.from_numpy(tokens.astype(np.int64))
    chance = torch.Generator().manual_seed(seed)
    found = []
    with torch.no_grad():
        for _ in range(batches):
            starts = torch.randint(len(text) - window, (rows,), generator=chance)
            x = torch.stack([text[start : start + window] for start in starts])
            y = torch.stack([text[start + 1 : start + 1 + window] for start in starts])
            found.append(float(surprisal(x, y).mean()))
    return sum(found) / batches
