"""The measures of a model that continues texts, with what needs no network beside them.

Two protocols, both in nats per token. `loss_nats_per_token` is the whole held-out part: windows that overlap by half,
every token but the first predicted once, after half a window of text or more (all there is, where the part begins).
`nano_loss_nats_per_token` is the mean over random windows read from nothing, the estimate that nanoGPT prints: higher,
because half of its tokens see less than half a window. A part that would take too long is measured on one piece of
each of its blocks; the number of tokens and the words under `how` say so.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.baselines.text import stored
from elboroom.core.abilities import Continues
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.data.text import TextTransform
from elboroom.data.windows import Windows
from elboroom.engine.runtime import seeded
from elboroom.evaluate import Evaluation, held_out
from elboroom.memorisation import memorised
from elboroom.metrics.interval import Interval, Measure, Reference, finite, mean_interval, ratio_interval
from elboroom.metrics.text import Blocks, bytes_of, perplexity
from elboroom.surprise import NANO, Measured

if TYPE_CHECKING:
    from elboroom.core.spec import Spec
    from elboroom.data.rows import Rows
    from elboroom.data.source import Dataset
    from elboroom.data.transforms import Transform

__all__ = ["evaluate_text"]

Array = NDArray[Any]
LEARNT = 1 << 24
"""The last tokens of the training text that baselines and the search for copies look at."""


def evaluate_text(
    model: Model,
    transform: Transform,
    spec: Spec,
    dataset: Dataset,
    *,
    part: str = "test",
    train: Rows | None = None,
    seed: int = 0,
    baselines: bool = True,
) -> Evaluation:
    """Measure `model` on a part of `dataset`; see `elboroom.evaluate.evaluate`, which calls this."""
    name = held_out(dataset, part)
    held = dataset.parts[name]
    train = (dataset.parts.get("train") if train is None else train) if baselines else None
    if not (isinstance(model, Continues) and isinstance(held, Windows) and isinstance(transform, TextTransform)):
        raise InputError(f"{dataset.name} holds no text that this model could go on with")
    if len(held.tokens) < 2:
        raise InputError(f"the {name} part of {dataset.name} holds {len(held.tokens)} tokens; two are needed")
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), seeded(seed):
            text = Measured(model, transform.tokenizer, held.tokens, spec, seed)
            learnt = train.tokens[-LEARNT:].cpu().numpy() if isinstance(train, Windows) else np.zeros(0, np.uint8)
            letters = bytes_of(learnt, text.pieces)
            out = _Summary(text, name, seed)
            out.losses(learnt, letters)
            out.nano()
            if len(letters):
                copied = memorised(model, transform.tokenizer, held.tokens, text.letters, letters, seed=seed)
                out.measures |= copied.measures
                out.details |= copied.details
    finally:
        model.train(was_training)
    return Evaluation(
        metrics={key: measure.to_json() for key, measure in out.measures.items()},
        details=out.details,
        per_example=text.per_block(),
    )


class _Summary:
    """Collects measures; split and interval seed are said once."""

    def __init__(self, text: Measured, split: str, seed: int) -> None:
        self.text, self.split, self.seed = text, split, seed & 0x7FFFFFFF
        self.measures: dict[str, Measure] = {}
        self.details: dict[str, Any] = {}

    def put(
        self, name: str, interval: Interval, unit: str, n: int, how: str, references: tuple[Reference, ...] = ()
    ) -> None:
        self.measures[name] = Measure.of(interval, unit=unit, n=n, split=self.split, how=how, references=references)

    def losses(self, train: Array, letters: Array) -> None:
        """Loss, perplexity, bits per byte and accuracy over the part; `train`: its tokens, and their bytes, or none."""
        text, seed = self.text, self.seed
        tokens, size = len(text.ids), int(text.size.sum())
        nats_per_bit = math.log(2) * size / tokens  # a token's nats where a byte has one bit
        beside = self._beside(letters)
        loss = text.blocks.loss(seed)
        scaled = tuple(_scaled(r, nats_per_bit) for r in beside)
        how = self._protocol()
        self.put("loss_nats_per_token", loss, "nats per token", tokens, how, scaled)
        if size:
            told = f"that loss / (ln 2 × {size / tokens:.3g} bytes a token)"
            self.put("bits_per_byte", text.blocks.bits(seed), "bits per byte", size, f"{told}; {how}", beside)
        self.put("perplexity", perplexity(loss), "tokens", tokens, "exp of the loss a token", _perplexities(scaled))
        commonest: tuple[Reference, ...] = ()
        if len(train):
            likeliest = int(np.bincount(train).argmax())
            share = Blocks.of(text.block, text.nats, text.size, text.ids == likeliest, text.count).accuracy(seed)
            commonest = (Reference.of("commonest token", share, "that of the training part, always"),)
        self.put("token_accuracy", text.blocks.accuracy(seed), "share", tokens, "the likeliest token came", commonest)
        self.details["text"] = {
            "tokenizer": text.tokenizer.name,
            "window": text.width,
            "tokens": tokens,
            "bytes": size,
            "bytes_per_token": finite(size / tokens),
            "whole": text.whole,
        }
        self.details["by_context"] = self._by_context()

    def _protocol(self) -> str:
        text = self.text
        half = text.width // 2
        read = f"windows of {text.width} tokens, each token after {half} or more"
        if text.whole:
            return f"every token but the first, {read}"
        return f"{len(text.ids):,} of {len(text.tokens) - 1:,} tokens, a piece of each block at random, {read}"

    def _beside(self, train: Array) -> tuple[Reference, ...]:
        """Bits per byte of what needs no network, on the same bytes; all of them into details."""
        text, size = self.text, float(self.text.size.sum())
        if not size:
            return ()
        alike = text.blocks.beside(text.blocks.tokens * math.log2(text.vocabulary), self.seed)
        listed = [Reference.of("uniform", alike, f"all {text.vocabulary:,} tokens alike")]
        for found in stored(text.letters, train):
            if isinstance(found.bits, float):
                listed.append(Reference(name=found.name, value=found.bits / size, how=found.how))
            else:
                bits = text.blocks.beside(text.in_blocks(found.bits), self.seed)
                listed.append(Reference.of(found.name, bits, found.how))
        self.details["baselines"] = [reference.to_json() for reference in listed]
        learnt = [r for r in listed if not r.name.endswith(" alone")]
        chosen = learnt if len(train) else listed
        return tuple(sorted(chosen, key=lambda r: -r.value))

    def _by_context(self) -> list[dict[str, Any]]:
        """Bits per byte after 1, 2, 3 to 4, 5 to 8 ... tokens of context."""
        found = []
        for i, (first, last) in enumerate(self.text.bins):
            nats, size = (sums[:, i] for sums in self.text.by_context)
            bits = ratio_interval(nats / math.log(2), size, seed=self.seed)
            ends = {"value": finite(bits.value), "low": finite(bits.low), "high": finite(bits.high)}
            found.append({"first": first, "last": last, **ends})
        return found

    def nano(self) -> None:
        """nanoGPT's estimate, where the part is longer than a window."""
        text = self.text
        if len(text.tokens) <= text.width + 1:
            return
        means = text.nano()
        batches, rows = NANO
        which = f"{batches} × {rows}" if len(means) == batches * rows else f"{len(means)}"
        error = float(means.std(ddof=1)) / math.sqrt(len(means))
        how = f"mean of {which} random windows of {text.width} tokens, each read from nothing, as nanoGPT estimates it"
        self.put(
            "nano_loss_nats_per_token", mean_interval(means, seed=self.seed), "nats per token",
            len(means) * text.width, f"{how}; standard error {error:.2g}",
        )  # fmt: skip


def _scaled(reference: Reference, factor: float) -> Reference:
    values = {name: getattr(reference, name) * factor for name in ("value", "low", "high")}
    return replace(reference, **values)


def _perplexities(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
    return tuple(Reference.of(r.name, perplexity(Interval(r.value, r.low, r.high)), r.how) for r in references)
