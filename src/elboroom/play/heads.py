"""Where the heads of a model look in a text, a row at a time.

One pass over the window that the model sees gives the queries and keys of all layers. They are kept, so that pointing
at one token after another costs a product each, and no matrix of all pairs is ever held. Where a model does not use
`SelfAttention` its own weights are taken, of the last `MOST` tokens.

A model with a context forgets in steps: once its window is full it reads the last half of it again and goes on from
there (nn/cache.py). The rows here are of those same windows.
Shapes: L layers, H heads, T tokens of a window, D width of a head.
"""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from elboroom.core.abilities import Attends, Continues, Memory
from elboroom.generation import PREFILL_LOGITS, device_of
from elboroom.nn.attention import attend
from elboroom.nn.cache import TextMemory
from elboroom.nn.patterns import Pattern
from elboroom.nn.transformer import SelfAttention

__all__ = ["MOST", "Heads", "context_of", "seen_from"]

MOST = 512
"""Tokens of a window that is held as whole matrices."""
KEPT = 4
"""Windows whose queries and keys are kept."""


def context_of(model: Continues) -> int:
    """Tokens of the window that a model forgets from; 0 where it has none and reads on without end."""
    with torch.inference_mode():
        memory = model.read(torch.zeros(1, 1, dtype=torch.int64, device=device_of(model)))[1]
    return memory.tokens.shape[1] if isinstance(memory, TextMemory) else 0


def seen_from(context: int, at: int) -> int:
    """The first of the tokens 0 .. at - 1 that a model still sees when it gives the law of token `at`."""
    if not context or at <= context:
        return 0
    half = max(1, context // 2)
    return half * ((at - 1 - context) // half + 1)


class Heads:
    """The attention of one model on texts; `ids` are the tokens of a text from its start."""

    def __init__(self, model: Continues, vocabulary: int) -> None:
        assert isinstance(model, Attends) and isinstance(model, nn.Module)
        self.model, self.vocabulary, self.context = model, vocabulary, context_of(model)
        self._windows: list[_Window] = []
        self.layers, self.heads = self.row([0], 1)[0].shape[:2]

    def row(self, ids: Sequence[int], at: int) -> tuple[Tensor, int]:
        """((L, H, at - start), start): how token `at` is chosen: where the token before it looks, from `start` on.

        1 <= at <= the number of ids. Weights of a head sum to 1.
        """
        window = self._window(ids, at)
        stop = at - window.start
        return window.rows(stop - 1, stop)[:, :, 0], window.start

    def maps(self, ids: Sequence[int], at: int, size: int) -> tuple[Tensor, int]:
        """((L, H, m, m), first): who looks at whom among the last m tokens before `at`, at most `size` of them."""
        window = self._window(ids, at)
        stop = at - window.start
        first = max(0, stop - size)
        return window.rows(first, stop)[..., first:], window.start + first

    @torch.inference_mode()
    def _window(self, ids: Sequence[int], at: int) -> _Window:
        start = seen_from(self.context, at)
        wanted = list(ids[start:at])
        window = next((window for window in self._windows if window.holds(start, wanted)), None)
        if window is None:
            stop = start + self.context if self.context else len(ids)
            window = self._read(start, list(ids[start:stop]), at - start)
        self._windows = [window, *(w for w in self._windows if w is not window)][:KEPT]
        return window

    def _read(self, start: int, ids: list[int], count: int) -> _Window:
        """One pass, in parts where its logits would be many; of whole matrices only that of the first `count`."""
        assert isinstance(self.model, Continues)
        tokens = torch.tensor(ids, device=device_of(self.model))
        count_of_parts = max(1, math.ceil(len(ids) * self.vocabulary / PREFILL_LOGITS))
        memory: Memory | None = None
        with _heard(self.model) as heard:
            for part in tokens.chunk(count_of_parts):
                memory = self.model.read(part[None], memory)[1]
        if heard:
            return _Window(start, ids, [_Layer.of(module, parts) for module, parts in heard])
        ids = ids[:count][-MOST:]
        return _Window(start + count - len(ids), ids, self.model.attention(tokens[:count][-MOST:]).float())


@dataclass(frozen=True)
class _Layer:
    """Queries and keys (H, T, D), and which keys a query may see."""

    q: Tensor
    k: Tensor
    pattern: Pattern

    @classmethod
    def of(cls, module: SelfAttention, parts: list[tuple[Tensor, Tensor]]) -> _Layer:
        """From what was heard of a module, part by part."""
        q, k = (torch.cat(tensors, 1) for tensors in zip(*parts, strict=True))
        return cls(q, k, module.pattern)

    def weights(self, first: int, stop: int) -> Tensor:
        """(H, stop - first, stop)."""
        at = torch.arange(stop, device=self.q.device)
        allowed = self.pattern.allowed(at[first:, None], at[None, :])
        keys = self.k[:, :stop]
        found = attend(self.q[:, first:stop], keys, keys, mask=allowed, weights=True)[1]
        assert found is not None
        return found.float()


class _Window:
    """Tokens `start` and following of a text, and what each layer has of them, or all weights (L, H, T, T)."""

    def __init__(self, start: int, ids: list[int], found: list[_Layer] | Tensor) -> None:
        self.start, self.ids, self._found = start, ids, found

    def holds(self, start: int, wanted: list[int]) -> bool:
        """Whether these tokens, from `start` on, are among its own."""
        return start == self.start and self.ids[: len(wanted)] == wanted

    @torch.inference_mode()
    def rows(self, first: int, stop: int) -> Tensor:
        """(L, H, stop - first, stop): where each of these tokens looks."""
        if isinstance(self._found, Tensor):
            return self._found[:, :, first:stop, :stop]
        return torch.stack([layer.weights(first, stop) for layer in self._found])


@contextmanager
def _heard(model: nn.Module) -> Iterator[ItemsView[SelfAttention, list[tuple[Tensor, Tensor]]]]:
    """Of each layer, in the order of the pass, its queries and keys (H, T, D) as parts of a text of one row go by."""
    found: dict[SelfAttention, list[tuple[Tensor, Tensor]]] = {}

    def hear(module: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(module, SelfAttention)
        q, k, _ = module.heads_of(*given[:2])
        found.setdefault(module, []).append((q[0], k[0]))

    handles = [m.register_forward_pre_hook(hear) for m in model.modules() if isinstance(m, SelfAttention)]
    try:
        yield found.items()
    finally:
        for handle in handles:
            handle.remove()
