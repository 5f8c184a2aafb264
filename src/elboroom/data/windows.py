"""A part of a text as rows: windows of tokens side by side, each with the token that follows it."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from .content import Array
from .rows import Device, Rows
from .storage import RELEASE_BYTES, mapped, release

__all__ = ["Windows"]

PAGES_BYTES = 65536
"""A row of a mapped text that is touched maps about this much of its file."""


class Windows(Rows):
    """Row i holds tokens[i * window : (i + 1) * window + 1]: the inputs, and the targets one place further on.

    The last token of a row is the first of the next one, so that every token but the text's first is a target once;
    what is left over at the end is no row. `tokens` stay in their smallest type, on the device or in a mapped file.
    """

    def __init__(self, tokens: Array | Tensor, window: int, *, start: int = 0) -> None:
        """`start` is the place of the first token among those of all parts: `index` holds places in the whole."""
        self._array = tokens if isinstance(tokens, np.ndarray) and mapped(tokens) else None
        self.tokens = torch.from_numpy(tokens) if isinstance(tokens, np.ndarray) else tokens
        self.window = window
        self.start = start
        self.shift = 0
        self._view = self.tokens.unfold(0, window + 1, 1)
        self._device = self.tokens.device
        self._touched = 0
        super().__init__(start + window * np.arange((len(self.tokens) - 1) // window), None)
        self.resident = self._array is None

    @property
    def device(self) -> torch.device:
        return self._device

    def x(self, where: Tensor) -> Tensor:
        """(rows, window + 1) tokens. With a shift the last row is moved back, so that it ends where the text ends."""
        first = (where * self.window + self.shift).clamp(max=len(self._view) - 1)
        if self._array is None:
            return self._view.index_select(0, first)
        self._touched += len(where) * PAGES_BYTES
        if self._touched > RELEASE_BYTES:
            release(self._array)
            self._touched = 0
        return self._view.index_select(0, first.cpu()).to(self._device)

    def epoch(self, seed: int) -> Windows:
        """The same text cut `seed % window` tokens further on; what lies before is left out for once."""
        out = copy.copy(self)
        out.shift = seed % self.window
        return out

    def to(self, device: Device) -> Windows:
        device = torch.device(device)
        if self._array is not None and not (
            device.type == "cuda" and self.tokens.nbytes < torch.cuda.mem_get_info(device)[0] // 2
        ):
            out = copy.copy(self)
            out._device = device
            return out
        return Windows(self.tokens.to(device), self.window, start=self.start)
