"""Continuous batching: texts that come and go while others are being written, all of them one step at a time.

What a text becomes follows from its prompt, its seed and what was asked, exactly as in generation.py; here each row has
its own wishes and its own place, so that a request need not wait for the one before. Rows that ask for the same way of
drawing are drawn together. Shapes: R rows, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.core.abilities import Continues, Memory
from elboroom.data.tokenizers import Tokenizer
from elboroom.generation import (
    NUMBERS,
    Asked,
    Generation,
    Text,
    Token,
    begin,
    device_of,
    draw_tokens,
    opening,
    prefill,
)
from elboroom.nn.sampling import uniforms

__all__ = ["CANCELLED", "Batch", "Gain", "Row", "rows"]

CANCELLED = "cancelled"
"""The finish reason of a text that was ended by request."""


class Row:
    """One text, what was asked for it, and how far it is."""

    def __init__(self, text: Text, asked: Asked) -> None:
        self.text, self.asked = text, asked
        self.step = 0
        self.penalties: Tensor | None = None
        """(V,), where repetition costs."""
        self._numbers = torch.empty(0)

    def number(self) -> float:
        """The row's uniform number for its present step."""
        if self.step % NUMBERS == 0:
            self._numbers = uniforms([self.text.numbers], self.step, min(NUMBERS, self.asked.tokens - self.step))[0]
        return float(self._numbers[self.step % NUMBERS])

    def cancelled(self) -> Generation:
        """What there is of the text, ended here."""
        self.text.finish()
        return dataclasses.replace(self.text.done(), finish_reason=CANCELLED)


@dataclass(frozen=True)
class Gain:
    """What one step added to a row."""

    row: Row
    text: str
    token: Token | None = None
    """The drawn token, where log-probabilities were asked for."""
    done: Generation | None = None
    """The whole, with the row's last token."""


def rows(tokenizer: Tokenizer, prompts: Sequence[str], asked: Asked) -> list[Row]:
    """`asked.n` rows for each prompt, those of one prompt together; wrong prompts are refused."""
    return [Row(text, asked) for text in begin(tokenizer, prompts, asked)]


class Batch:
    """Rows that are being written by a model in evaluation mode. `advance` gives each, and each new one, a token."""

    def __init__(self, model: Continues, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer, self.device = model, tokenizer, device_of(model)
        self.rows: list[Row] = []
        self._memory: Memory | None = None
        self._drawn = torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.rows)

    @torch.inference_mode()
    def advance(self, new: Sequence[Row] = ()) -> list[Gain]:
        """One token for every row; those that have ended are left behind. Raises InputError where there is no law."""
        logits = []
        if self.rows:
            assert self._memory is not None
            read, self._memory = self.model.read(self._drawn[:, None], self._memory)
            logits.append(read[:, -1])
        if new:
            logits.append(self._read(new))
        drawn = self._draw(torch.cat(logits)) if self.rows else []
        gains = [self._taken(row, token, seen) for row, (token, seen) in zip(self.rows, drawn, strict=True)]
        self._drawn = torch.tensor([token for token, _ in drawn], dtype=torch.int64, device=self.device)
        self.leave([gain.row for gain in gains if gain.done is not None])
        return gains

    @torch.inference_mode()
    def leave(self, gone: Collection[Row]) -> None:
        """Drop rows; the others go on as if these had never been there."""
        ids = {id(row) for row in gone}
        places = [place for place, row in enumerate(self.rows) if id(row) not in ids]
        if len(places) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in places]
        kept = torch.tensor(places, dtype=torch.int64)
        self._memory = self._memory.pick(kept) if self._memory is not None and places else None
        self._drawn = self._drawn[kept.to(self.device)]

    def _read(self, new: Sequence[Row]) -> Tensor:
        """Take rows in: logits (new, V) of what follows their prompts."""
        size = self.tokenizer.size
        logits, memory = prefill(
            self.model, [tuple(row.text.ids or opening(self.tokenizer)) for row in new], size, self.device
        )
        for row in new:
            penalty = row.asked.sampling.repetition_penalty
            if penalty != 1:
                row.penalties = torch.ones(size, dtype=logits.dtype, device=self.device)
                row.penalties[torch.tensor(row.text.ids, dtype=torch.int64, device=self.device)] = penalty
        self._memory = memory if self._memory is None else self._memory.join([memory])
        self.rows = [*self.rows, *new]
        return logits

    def _draw(self, logits: Tensor) -> list[tuple[int, Token | None]]:
        """Each row's next token, rows of one way of drawing together."""

        def way(place: int) -> tuple[object, ...]:
            asked = self.rows[place].asked
            return (*dataclasses.astuple(asked.sampling), asked.logprobs)

        found: dict[int, tuple[int, Token | None]] = {}
        for _, group in itertools.groupby(sorted(range(len(self.rows)), key=way), key=way):
            places = list(group)
            alike = [self.rows[place] for place in places]
            numbers = torch.tensor([row.number() for row in alike], dtype=torch.float64, device=self.device)
            held = [row.penalties for row in alike if row.penalties is not None]
            penalties = torch.stack(held) if held else None
            chosen = logits if len(places) == len(logits) else logits[torch.tensor(places, device=self.device)]
            drawn = draw_tokens(chosen, penalties, alike[0].asked, numbers)
            for row, penalty in zip(alike, penalties if penalties is not None else (), strict=False):
                row.penalties = penalty
            found |= zip(places, drawn.on_host(self.tokenizer), strict=True)
        return [found[place] for place in range(len(self.rows))]

    @staticmethod
    def _taken(row: Row, token: int, seen: Token | None) -> Gain:
        gained = row.text.take(token, seen)
        row.step += 1
        if not (row.text.stopped or row.step == row.asked.tokens):
            return Gain(row, gained, seen)
        return Gain(row, gained + row.text.finish(), seen, row.text.done())
