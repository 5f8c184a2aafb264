"""How surprising each token of a long text is to a model that continues texts, at a bounded cost.

Windows overlap by half, and of each only what the one before did not cover is kept: so every token is predicted once,
after half a window of text or more (all there is, where the text begins). A text that would take too long is read in
one piece of each of its blocks, the same bytes for every tokeniser.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from elboroom.core.abilities import Continues, Memory
from elboroom.core.chance import mix
from elboroom.metrics.text import Blocks, bits_per_byte, blocks_of, bytes_of, context_bins

if TYPE_CHECKING:
    from elboroom.core.spec import Spec
    from elboroom.data.tokenizers import Tokenizer

__all__ = ["NANO", "Measured", "Places", "Window", "overlapping", "surprisal", "tokens_read"]

Array = NDArray[Any]
LOGITS = {"cpu": 1 << 24, "cuda": 1 << 28}
"""Numbers of logits at once: 64 MB, on a card 1 GB."""
TOKENS = {"cpu": 1 << 13, "cuda": 1 << 17}
"""Tokens read at once: what lies between layers then stays near the processor."""
WORK = {"cpu": 3e11, "cuda": 3e13}
"""Weights times tokens that a protocol may cost: about 10 s."""
MOST = 1 << 20
"""Tokens measured at most, and at least where there are so many:"""
FEWEST = 1 << 10
NANO = (20, 12)
"""nanoGPT's batches, and the windows of each, in its setting for a CPU."""
CHUNK = 1 << 20
"""Tokens whose bytes are counted at once."""


def tokens_read(weights: int, tokens: int, window: int, device: str = "cpu") -> int:
    """Tokens that all of this reads through a model of so many weights, for a part of so many tokens: its cost."""
    count = min(tokens - 1, _most(weights, device))
    width = min(window, tokens - 1)
    return 2 * count + _nano_windows(weights, width, device) * width


def _most(weights: int, device: str) -> int:
    """Tokens measured at most; each is read twice."""
    return max(FEWEST, min(MOST, int(_work(device) / (2 * max(1, weights)))))


def _nano_windows(weights: int, width: int, device: str) -> int:
    return max(NANO[1], min(math.prod(NANO), int(_work(device) / (2 * max(1, weights) * width))))


def _work(device: str) -> float:
    return WORK.get(device, WORK["cpu"])


@dataclass(frozen=True)
class Window:
    """Tokens `start` to `start` + width are read; of their targets those numbered `first` to `last` - 1 are kept."""

    start: int
    first: int
    last: int


def overlapping(spans: list[tuple[int, int]], tokens: int, width: int) -> list[Window]:
    """Windows that keep each target of the spans once, after half a window of tokens where there are so many.

    Target t is predicted from the tokens before it; spans are ranges of targets, 1 <= t < `tokens`.
    """
    windows = []
    for low, high in spans:
        while low < high:
            start = min(max(0, low - 1 - width // 2), tokens - 1 - width)
            last = min(start + width + 1, high)
            windows.append(Window(start, low, last))
            low = last
    return windows


def surprisal(
    model: Continues, tokens: Tensor, windows: list[Window], width: int, vocabulary: int, device: torch.device
) -> Iterator[tuple[Array, Array, Array]]:
    """(nats, whether the target was the likeliest, whether it is kept), each (rows, width), a batch at a time.

    -log p of each token given those before it in its window. Only so many logits are held at a time: many rows where
    they are small, a part of a row where they are large.
    """
    most = LOGITS.get(device.type, LOGITS["cpu"]) // vocabulary
    rows = max(1, min(TOKENS.get(device.type, TOKENS["cpu"]), most) // width)
    columns = max(1, most // rows)
    reach = torch.arange(width + 1)
    for batch in (windows[i : i + rows] for i in range(0, len(windows), rows)):
        starts = torch.tensor([window.start for window in batch])[:, None]
        x = tokens[starts + reach].long().to(device)
        memory: Memory | None = None
        nats, right = [], []
        for at in range(0, width, columns):
            logits, memory = model.read(x[:, at : min(width, at + columns)], memory)
            wanted = x[:, at + 1 : at + 1 + logits.shape[1]]
            loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
            nats.append(loss.reshape(wanted.shape))
            right.append(logits.argmax(-1) == wanted)
        first, last = (torch.tensor(ends)[:, None] for ends in zip(*((w.first, w.last) for w in batch), strict=True))
        target = starts + reach[1:]
        kept = (target >= first) & (target < last)
        yield torch.cat(nats, 1).double().cpu().numpy(), torch.cat(right, 1).cpu().numpy(), kept.numpy()


class Places:
    """Which token begins at which byte of a long text, without an array as long as the text."""

    def __init__(self, tokens: Tensor, lengths: Array) -> None:
        self.tokens, self.lengths = tokens, lengths
        sums = [0, *(int(lengths[chunk.numpy()].sum()) for chunk in tokens.split(CHUNK))]
        self.before = np.cumsum(np.array(sums, dtype=np.int64))

    @property
    def total(self) -> int:
        """Bytes of the text."""
        return int(self.before[-1])

    def begins(self, first: int, last: int) -> Array:
        """The byte at which each of these tokens begins."""
        chunk = first // CHUNK * CHUNK
        sizes = self.lengths[self.tokens[chunk:last].numpy()]
        begins: Array = self.before[first // CHUNK] + (np.cumsum(sizes) - sizes)[first - chunk :]
        return begins

    def token(self, byte: int) -> int:
        """The first token that begins at this byte or after it."""
        chunk = max(0, int(np.searchsorted(self.before, byte)) - 1) * CHUNK
        return chunk + int(np.searchsorted(self.begins(chunk, min(chunk + CHUNK, len(self.tokens))), byte))


class Measured:
    """A part of a text as the model reads it: of each measured target its nats, its bytes, and the block it is in."""

    def __init__(self, model: Continues, tokenizer: Tokenizer, tokens: Tensor, spec: Spec, seed: int) -> None:
        assert isinstance(model, nn.Module)
        self.model, self.tokenizer, self.tokens, self.seed = model, tokenizer, tokens.cpu(), seed
        self.vocabulary, self.width = spec.levels, min(spec.shape[0], len(tokens) - 1)
        self.device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self.weights = sum(p.numel() for p in model.parameters())
        lengths = tokenizer.byte_lengths
        places = Places(self.tokens, lengths)
        self.count = blocks_of(places.total)
        self.spans = self._spans(places)
        self.ids = np.concatenate([self.tokens[low:high].numpy() for low, high in self.spans]).astype(np.int64)
        self.size = lengths[self.ids]
        begins = np.concatenate([places.begins(low, high) for low, high in self.spans])
        self.block = np.minimum(begins * self.count // max(1, places.total), self.count - 1)
        self.pieces = [tokenizer.token_bytes(i) for i in range(tokenizer.size)]
        self.letters = bytes_of(self.ids, self.pieces)
        self._read()

    @property
    def whole(self) -> bool:
        return len(self.ids) == len(self.tokens) - 1

    def _spans(self, places: Places) -> list[tuple[int, int]]:
        """All targets, or of each block one piece whose place the seed gives: the same bytes whatever the tokens."""
        targets = len(self.tokens) - 1
        share = _most(self.weights, self.device.type) / targets
        if share >= 1:
            return [(1, targets + 1)]
        block = places.total / self.count
        at = np.random.default_rng(mix(self.seed, "blocks")).random(self.count) * (1 - share)
        firsts = [(i + at[i]) * block for i in range(self.count)]
        ends = [(places.token(int(x)), places.token(int(x + share * block))) for x in firsts]
        return [(max(1, low), high) for low, high in ends if max(1, low) < high]

    def _read(self) -> None:
        windows = overlapping(self.spans, len(self.tokens), self.width)
        self.bins = context_bins(self.width)
        firsts = [first - 1 for first, _ in self.bins]
        lengths = torch.from_numpy(self.tokenizer.byte_lengths)
        nats, right, by_context, bytes_there = [], [], [], []
        at = 0
        for found, hits, kept in self._surprisal(windows):
            starts = torch.tensor([w.start for w in windows[at : at + len(found)]])[:, None]
            at += len(found)
            nats.append(found[kept])
            right.append(hits[kept])
            sizes = lengths[self.tokens[starts + torch.arange(1, self.width + 1)].long()].numpy()
            by_context.append(np.add.reduceat(found, firsts, axis=1))
            bytes_there.append(np.add.reduceat(sizes, firsts, axis=1))
        self.nats, self.right = np.concatenate(nats), np.concatenate(right)
        self.by_context = np.concatenate(by_context), np.concatenate(bytes_there)
        self.blocks = Blocks.of(self.block, self.nats, self.size, self.right, self.count)

    def _surprisal(self, windows: list[Window]) -> Iterator[tuple[Array, Array, Array]]:
        return surprisal(self.model, self.tokens, windows, self.width, self.vocabulary, self.device)

    def nano(self) -> Array:
        """(windows,): mean nats of each of some random windows."""
        count = _nano_windows(self.weights, self.width, self.device.type)
        rng = np.random.default_rng(mix(self.seed, "random windows"))
        starts = rng.integers(0, len(self.tokens) - self.width, count)
        windows = [Window(s, s + 1, s + 1 + self.width) for s in starts.tolist()]
        return np.concatenate([found.mean(1) for found, _, _ in self._surprisal(windows)])

    def in_blocks(self, bits: Array) -> Array:
        """Sums over the blocks of something known of each byte of `letters`."""
        block = np.repeat(self.block, np.maximum(self.size, 1))
        return np.bincount(block, weights=bits, minlength=self.count)

    def per_block(self) -> dict[str, Array]:
        """What compare needs: of each block its bytes, its tokens, and the means over them."""
        there = self.blocks.size > 0
        nats, size, tokens, right = (getattr(self.blocks, name)[there] for name in ("nats", "size", "tokens", "right"))
        return {
            "index": np.flatnonzero(there),
            "cells": size,
            "tokens": tokens,
            "bits_per_byte": bits_per_byte(nats, size),
            "loss_nats_per_token": nats / tokens,
            "token_accuracy": right / tokens,
        }
