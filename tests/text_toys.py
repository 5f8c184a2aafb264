"""Tiny models that continue texts, and texts for them: laws that are known, a table of pairs, a recurrent net."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from elboroom.core.abilities import Continues, Memory
from elboroom.core.model import Model
from elboroom.core.phase import Phase
from elboroom.core.spec import Spec
from elboroom.data.text import TextTransform
from elboroom.data.tokenizers import Char, Tokenizer
from elboroom.data.windows import Windows

WINDOW = 16
WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "the",
    "mat",
    "while",
    "a",
    "dog",
    "ran",
    "far",
    "from",
    "it",
    "and",
    "the",
    "cat",
    "saw",
    "that",
    "dog",
    "run",
]


def prose(count: int, seed: int = 0) -> str:
    """Words in a random order, in lines."""
    rng = np.random.default_rng(seed)
    return "".join(str(rng.choice(WORDS)) + ("\n" if rng.random() < 0.1 else " ") for _ in range(count))


@contextmanager
def few_drawn() -> Iterator[None]:
    """Runs of text made inside draw and time a fifth of what others do, which is most of the cost of a small one.

    Samples stay longer than the pieces of 50 characters that are looked up in the training text.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("elboroom.text_samples.TOKENS", 40)
        patch.setattr("elboroom.memorisation.TOKENS", 64)
        patch.setattr("elboroom.speed.SECONDS", 0.05)
        patch.setattr("elboroom.speed.COPY", {"cpu": 1 << 22})
        yield


@dataclass
class Read:
    """Memory of all tokens, row by row."""

    tokens: list[Tensor]

    @property
    def lengths(self) -> Tensor:
        return torch.tensor([len(row) for row in self.tokens])

    def pick(self, rows: Tensor) -> Read:
        return Read([self.tokens[int(row)] for row in rows])

    def join(self, others: Sequence[Memory]) -> Read:
        return Read([*self.tokens, *(row for other in others for row in other.tokens)])  # type: ignore[attr-defined]


class Law(Model, Continues):
    """Says `law(tokens read so far)` of the next token; keeps how much each target was given."""

    def __init__(self, size: int, law: Any) -> None:
        super().__init__(None, Spec(kind="text", shape=(WINDOW,), scale="tokens", levels=size))
        self.weight = nn.Parameter(torch.zeros(1))
        self.law = law
        self.calls: list[tuple[int, ...]] = []

    def phases(self) -> list[Phase]:
        return []

    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, Read]:
        assert not self.training and tokens.dtype == torch.int64
        before = memory.tokens if isinstance(memory, Read) else [tokens.new_zeros(0)] * len(tokens)
        self.calls.append(tuple(tokens.shape))
        after = [torch.cat([old, new]) for old, new in zip(before, tokens, strict=True)]
        logits = [
            torch.stack([self.law(row[: len(old) + i + 1]) for i in range(tokens.shape[1])])
            for row, old in zip(after, before, strict=True)
        ]
        return torch.stack(logits).float(), Read(after)


class Markov(Model, Continues):
    """log p(next | last token) from a table: its loss has a closed form, and no window can change it."""

    def __init__(self, table: Tensor) -> None:
        super().__init__(None, Spec(kind="text", shape=(WINDOW,), scale="tokens", levels=len(table)))
        self.table = nn.Parameter(table)

    def phases(self) -> list[Phase]:
        return []

    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, Read]:
        before = memory.tokens if isinstance(memory, Read) else [tokens.new_zeros(0)] * len(tokens)
        return self.table[tokens], Read([torch.cat(rows) for rows in zip(before, tokens, strict=True)])


class Recurrent(Model, Continues):
    """A GRU of 16 units."""

    def __init__(self, size: int) -> None:
        super().__init__(None, Spec(kind="text", shape=(WINDOW,), scale="tokens", levels=size))
        self.embed, self.cell, self.out = nn.Embedding(size, 16), nn.GRU(16, 16, batch_first=True), nn.Linear(16, size)

    def phases(self) -> list[Phase]:
        return []

    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        before = memory.state if isinstance(memory, State) else None
        h, state = self.cell(self.embed(tokens), before)
        known = torch.zeros(len(tokens), dtype=torch.int64) if memory is None else memory.lengths
        return self.out(h).float(), State(state, known + tokens.shape[1])


@dataclass
class State:
    state: Tensor
    lengths: Tensor

    def pick(self, rows: Tensor) -> State:
        return State(self.state[:, rows], self.lengths[rows])

    def join(self, others: Sequence[Memory]) -> State:
        every: list[Any] = [self, *others]
        return State(torch.cat([o.state for o in every], 1), torch.cat([o.lengths for o in every]))


def dataset(tokenizer: Tokenizer, train: str, test: str, window: int = WINDOW) -> Any:
    parts = {
        name: Windows(torch.from_numpy(tokenizer.encode(text)).to(torch.int16), window)
        for name, text in (("train", train), ("test", test))
        if text
    }
    return SimpleNamespace(name="prose", parts=parts, transform=TextTransform(tokenizer))


TRAIN, TEST = prose(2000), prose(400, seed=1)
LETTERS = Char.of(iter([TRAIN + TEST]), end=False)


class Parrot(Law):
    """Goes on as the training text does after the last letters it read, else after as many of its first ones."""

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        ids = tokenizer.encode(text)
        after = {tuple(ids[i : i + 8]): int(ids[i + 8]) for i in range(len(ids) - 8)}

        def law(seen: Tensor) -> Tensor:
            nexts = after.get(tuple(seen[-8:].tolist()), int(ids[len(seen)]))
            return torch.where(torch.arange(tokenizer.size) == nexts, 20.0, 0.0)

        super().__init__(tokenizer.size, law)
