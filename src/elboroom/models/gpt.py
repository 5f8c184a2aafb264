"""GPT: a decoder-only transformer that learns to continue text.

Radford et al. 2019 (GPT-2), Vaswani et al. 2017 (arXiv 1706.03762). The one idea: a text's probability is a product of
conditionals p(token given the tokens before), and one pass with causal attention gives all of them at once.

Two families. `gpt2` is GPT-2 to the digit: learned positions, layer norms, tanh-GELU, head tied to the embedding.
`modern` has rotary positions, RMSNorm, normalised queries and keys, squared ReLU, no biases (nn/transformer.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Attends, Continues, Memory, Sizes
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.core.optim import Adam, Muon, Optimizer, Split, warmup_cosine
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.sequence import next_token_loss
from elboroom.nn.cache import KeyValues, TextMemory
from elboroom.nn.linear import linear
from elboroom.nn.sparse import parse_layers
from elboroom.nn.transformer import Block, GPT2Block, ModernBlock, Where, initialise_, rms_norm, through

__all__ = ["GPT"]


SIZES = ((2, 32), (2, 64), (3, 96), (4, 128), (4, 192), (6, 256), (6, 384), (8, 512), (12, 768))
"""Layers and width to choose from for a budget."""


class GPT(Model, Continues, Attends, Sizes):
    """Embedding, blocks, norm, head."""

    kinds = ("text",)
    epochs = 5
    presets = {
        "nano-cpu": {
            "settings": {"family": "gpt2", "layers": 4, "heads": 4, "width": 128, "batch_size": 12,
                         "optimizer": "adamw", "warmup": 0.05},
            "reading": {"window": 64},
            "steps": 2000,
        },
        "baby-gpu": {
            "settings": {"family": "gpt2", "layers": 6, "heads": 6, "width": 384, "dropout": 0.2, "batch_size": 64,
                         "optimizer": "adamw"},
            "reading": {"window": 256},
            "steps": 5000,
        },
        "gpt2-124m": {
            "settings": {"family": "gpt2", "layers": 12, "heads": 12, "width": 768, "batch_size": 16, "lr": 6e-4,
                         "optimizer": "adamw", "beta2": 0.95},
            "reading": {"tokenizer": "bpe:50257", "window": 1024},
            "epochs": 1,
        },
    }  # fmt: skip

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Defaults: a net of 0.8 million weights that a laptop trains in minutes."""

        family: Literal["modern", "gpt2"] = "modern"
        """Kind of block: modern (rotary, RMSNorm, squared ReLU) or gpt2 (exactly GPT-2's)."""
        layers: Annotated[int, Gt(0)] = 4
        """Blocks, one after the other."""
        heads: Annotated[int, Gt(0)] = 4
        """Attention heads a block; the width is a multiple of it."""
        width: Annotated[int, Gt(0)] = 128
        """Numbers that stand for a token between blocks."""
        attention: str = "dense"
        """dense, sliding:W, block:L, strided:L, fixed:L:C (L may be auto); joined by + they take turns over layers."""
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
        """Share of embeddings, block outputs and dense attention weights set to zero in training."""
        optimizer: Literal["muon", "adamw"] = "muon"
        """muon: Muon for the blocks' matrices, AdamW for the rest; adamw: AdamW for all."""
        lr: Annotated[float, Gt(0)] = 1e-3
        """Largest step size of AdamW; warmed up, then a cosine down to a tenth."""
        matrix_lr: Annotated[float, Gt(0)] = 0.02
        """Largest step size of Muon, on the same schedule (Jordan et al. 2024)."""
        weight_decay: Annotated[float, Ge(0)] = 0.1
        """Decoupled decay of the matrices, never of biases and norms; a share of lr a step."""
        beta2: Annotated[float, Gt(0), Lt(1)] = 0.99
        """AdamW's memory of squared gradients; 0.95 for large batches (Brown et al. 2020)."""
        warmup: Annotated[float, Ge(0), Lt(1)] = 0.02
        """Share of the run over which the step sizes rise from 0."""
        batch_size: Annotated[int, Gt(0)] = 32
        """Windows of text a step, over all processes."""

    config: Config

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        if config.width % config.heads or (config.family == "modern" and config.width // config.heads % 2):
            even = " of an even number each" if config.family == "modern" else ""
            raise InputError(f"--width {config.width} cannot be shared by {config.heads} heads{even}; change one")
        self.context, vocabulary = spec.shape[0], spec.levels
        patterns = parse_layers(config.attention, config.layers, self.context)
        self.tokens = nn.Embedding(vocabulary, config.width)
        self.positions = nn.Embedding(self.context, config.width) if config.family == "gpt2" else None
        block: type[Block] = GPT2Block if config.family == "gpt2" else ModernBlock
        self.blocks = nn.ModuleList(block(config.width, config.heads, p, config.dropout) for p in patterns)
        self.norm = nn.LayerNorm(config.width) if config.family == "gpt2" else None
        self.head = None if config.family == "gpt2" else nn.Linear(config.width, vocabulary, bias=False)
        self.slots = [min(p.reach or self.context, self.context) for p in patterns]
        self.endless = config.family == "modern" and all(p.reach and p.reach <= self.context for p in patterns)
        """Whether it can read on forever: positions are relative, and every layer forgets what lies as far back as
        nothing did in training."""
        initialise_(self, list(self._blocks()), silent=config.family == "modern")

    # -- networks ----------------------------------------------------------------------------------------------------

    def embedded(self, tokens: Tensor, where: Where) -> Tensor:
        """(rows, n, width)."""
        x: Tensor = self.tokens(tokens)
        x = rms_norm(x) if self.positions is None else x + self.positions(where.positions())
        return F.dropout(x, self.config.dropout) if self.training and self.config.dropout else x

    def hidden(self, tokens: Tensor, where: Where, caches: list[KeyValues] | None = None) -> Tensor:
        """(rows, n, width): what the head reads."""
        x = through(self.blocks, self.embedded(tokens, where), where, caches)
        return rms_norm(x) if self.norm is None else self.norm(x)

    def _blocks(self) -> Iterator[Block]:
        return iter(self.blocks)  # type: ignore[arg-type]

    @property
    def head_weight(self) -> Tensor:
        return self.tokens.weight if self.head is None else self.head.weight

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p of each token given those before it in its window, nats per token."""
        read = batch.x[:, :-1]
        h = self.hidden(read, Where(read.shape[1], read.device))
        return next_token_loss(h, self.head_weight, batch.x[:, 1:]), {}

    def phases(self) -> list[Phase]:
        """One phase with three shares of the parameters: matrices of blocks, other matrices, vectors."""
        c, schedule = self.config, warmup_cosine(self.config.warmup, 0.1)
        inner = [p for p in self.blocks.parameters() if p.ndim == 2]
        outer = [p for n, p in self.named_parameters() if p.ndim == 2 and not n.startswith("blocks.")]
        vectors = [p for p in self.parameters() if p.ndim < 2]
        adam = Adam(lr=c.lr, beta2=c.beta2, schedule=schedule)
        matrices: Optimizer = (decayed := replace(adam, weight_decay=c.weight_decay))
        if c.optimizer == "muon":
            matrices = Muon(lr=c.matrix_lr, schedule=schedule, weight_decay=c.weight_decay)
        rule = Split(rules=(matrices, decayed, adam), counts=(len(inner), len(outer), len(vectors)), clip=1.0)
        return [Phase("language", self.loss, [*inner, *outer, *vectors], rule)]

    # -- abilities ---------------------------------------------------------------------------------------------------

    @classmethod
    def sized(cls, spec: Spec, examples: int, operations: float) -> dict[str, Any]:
        """About 20 tokens a weight (Hoffmann et al. 2022, arXiv 2203.15556): operations = 6 weights tokens.

        Dropout grows with the times a window is seen again. Batches are such that a run has some 1,500 steps.
        """
        weights = math.sqrt(operations / 120)
        layers, width = max((s for s in SIZES if 12 * s[0] * s[1] ** 2 <= weights), default=SIZES[0])
        windows = operations / (6 * 12 * layers * width**2) / spec.shape[0]
        again = windows / max(examples, 1)
        return {
            "layers": layers,
            "width": width,
            "heads": max(1, width // 64) if width > 128 else max(1, width // 32),
            "dropout": 0.0 if again < 4 else 0.1 if again < 20 else 0.2,
            "batch_size": int(min(64, max(4, windows / 1500))),
        }

    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, TextMemory]:
        known = memory or TextMemory.empty(
            len(tokens), self.slots, self.config.heads, self.config.width // self.config.heads,
            0 if self.endless else self.context, self.head_weight,
        )  # fmt: skip
        assert isinstance(known, TextMemory)
        logits = linear(known.read_on(tokens, self._remembering), self.head_weight)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)), known

    def _remembering(self, tokens: Tensor, memory: TextMemory) -> Tensor:
        return self.hidden(tokens, Where(tokens.shape[1], tokens.device, memory.used), memory.layers)

    def attention(self, tokens: Tensor) -> Tensor:
        """(layers, heads, n, n) for one text of at most the context."""
        tokens = tokens.reshape(1, -1)
        where = Where(tokens.shape[1], tokens.device)
        x, found = self.embedded(tokens, where), []
        for block in self._blocks():
            found.append(block.attention.weights(block.attended(x), where)[0])
            x = block(x, where)
        return torch.stack(found)
