"""Samples of a language model held against its training text: what of them is copied, beside text it cannot know.

Prompts are short pieces of the held-out text, so they were in no training text either; what follows them is drawn at
temperature 1, from the model's own law. The yardstick is held-out text in pieces of the same lengths.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from elboroom.core.abilities import Continues
from elboroom.core.chance import mix
from elboroom.generation import Generation, generate
from elboroom.metrics.interval import Interval, Measure, Reference, finite, share_interval
from elboroom.metrics.memorisation import LEAST, LONG, Copying, copying, equal_sets, is_copied, match_lengths

if TYPE_CHECKING:
    from elboroom.data.tokenizers import Tokenizer

__all__ = ["CUT", "Memorised", "memorised", "tokens_for"]

Bytes = NDArray[np.uint8]
TEXTS, TOKENS, FEWEST = 16, 256, 32
PROMPT = 16
"""Tokens of held-out text before each sample."""
CUT = "\ufffd"
"""What stands where tokens end inside a character; a model has never read it."""
WORK = 2e10
"""Weights times tokens that samples may cost."""
AROUND = 60
"""Characters shown before and after the longest copy."""
SHOWN = 600
"""Characters of the sample whose surprise is kept."""


@dataclass(frozen=True)
class Memorised:
    """Entries for metrics.json and details.json."""

    measures: dict[str, Measure]
    details: dict[str, Any]


def tokens_for(model: nn.Module, texts: int, most: int) -> int:
    """Tokens a sample may have, so that samples of large models stay cheap."""
    weights = sum(p.numel() for p in model.parameters())
    return max(FEWEST, min(most, int(WORK / (max(1, weights) * texts))))


def memorised(
    model: Continues, tokenizer: Tokenizer, held: Tensor, unseen: Bytes, train: Bytes, *, seed: int = 0
) -> Memorised:
    """Draw samples and hold them, and as much of `unseen`, against the bytes `train`.

    held: tokens of the held-out part, for prompts; unseen: bytes of it.
    """
    assert isinstance(model, nn.Module)
    size = tokens_for(model, TEXTS, TOKENS)
    drawn_from = mix(seed, "memorised") >> 10  # 53 bits: exact in every JSON reader
    prompts = _prompts(tokenizer, held)
    texts = generate(model, tokenizer, prompts, tokens=size, temperature=1.0, seed=drawn_from, logprobs=1)
    pieces = [np.frombuffer(text.text.encode(), dtype=np.uint8) for text in texts]
    sets = [pieces, *equal_sets(pieces, unseen)]
    lengths = match_lengths([piece for some in sets for piece in some], train)
    ends = np.cumsum([sum(len(piece) for piece in some) for some in sets])
    found, *others = (copying(some, part) for some, part in zip(sets, np.split(lengths, ends[:-1]), strict=True))
    told = f"{len(texts)} samples of at most {size} tokens, temperature 1, each after {PROMPT} tokens of held-out text"
    return Memorised(
        _measures(found, others, told, sum(len(text.text) for text in texts)),
        {
            "memorisation": _details(found, others, texts, told, len(train)),
            "sample": _surprise(texts[0], tokenizer),
        },
    )


def _prompts(tokenizer: Tokenizer, held: Tensor) -> list[str]:
    """Short pieces of the held-out text, evenly spread."""
    room = max(0, len(held) - PROMPT)
    found = []
    for start in (i * room // TEXTS for i in range(TEXTS)):
        ids = held[start : start + PROMPT].tolist()
        if tokenizer.end in ids:  # what lies before it is another document
            ids = ids[len(ids) - ids[::-1].index(tokenizer.end) :]
        found.append(tokenizer.decode(ids).strip(CUT))
    return found


def _measures(found: Copying, others: Sequence[Copying], told: str, size: int) -> dict[str, Measure]:
    """The longest copy, and the share of long pieces that are copied."""
    sets = f"{len(others)} sets of held-out text, each as long as the samples"
    measures = {
        "longest_copy_characters": Measure.of(
            Interval(found.longest, math.nan, math.nan, "the largest of one set, no interval"),
            unit="characters",
            n=size,
            split="samples",
            how=f"longest run that stands in the training text, 0 where under {LEAST} bytes; {told}",
            references=_longest(others, sets),
        )
    }
    if found.pieces:  # texts that end early have no piece so long
        count = sum(other.pieces for other in others)
        hits = sum(round(other.long.value * other.pieces) for other in others if other.pieces)
        unseen = Reference.of("unseen text", share_interval(np.arange(count) < hits), sets)
        measures["memorised_share"] = Measure.of(
            found.long,
            unit="share",
            n=found.pieces,
            split="samples",
            how=f"pieces of {LONG} characters that stand word for word in the training text; {told}",
            references=(unseen,) if count else (),
        )
    return measures


def _longest(others: Sequence[Copying], sets: str) -> tuple[Reference, ...]:
    """The longest copy in unseen text: of the middle set, between those of the lowest and the highest."""
    lengths = sorted(other.longest for other in others)
    if not lengths:
        return ()
    low, high = (lengths[0], lengths[-1]) if len(lengths) > 2 else (math.nan, math.nan)
    middle = lengths[len(lengths) // 2]
    return (Reference(name="unseen text", value=middle, low=low, high=high, how=f"{sets}: middle, lowest, highest"),)


def _details(
    found: Copying, others: Sequence[Copying], texts: Sequence[Generation], told: str, train: int
) -> dict[str, Any]:
    """What the report shows: the longest copy in its place, the curve of lengths, the warning."""
    piece, byte = found.where
    whole = texts[piece].text.encode()
    before = whole[:byte].decode(errors="ignore")[-AROUND:]
    after = whole[byte:].decode(errors="ignore")[len(found.span) :][:AROUND]
    copied = is_copied(found, others)
    known = max((other.longest for other in others), default=0)
    warning = (
        f"A sample repeats {found.longest:,} characters of the training text word for word; "
        f"unseen text of the same length repeats {known:,} at most."
        if copied
        else ""
    )
    lengths = sorted({n for one in (found, *others) for n, _ in one.curve})
    return {
        "copied": copied,
        "warning": warning,
        "rule": f"said where the longest copy has {LONG} characters or more and is over half as long again as any in "
        f"unseen text, or where the share of copied pieces of {LONG} characters is clear above that of unseen text",
        "longest": {"characters": found.longest, "before": before, "span": found.span, "after": after},
        "unseen_longest": [other.longest for other in others],
        "share": {"value": finite(found.long.value), "low": finite(found.long.low), "high": finite(found.long.high)},
        "curve": [
            {"characters": n, "samples": _at(found, n), "unseen": [_at(other, n) for other in others]} for n in lengths
        ],
        "samples": told,
        "training_bytes": train,
    }


def _at(found: Copying, length: int) -> float:
    """Share of places whose match is at least so long; the curve ends at its first 0."""
    return dict(found.curve).get(length, 0.0)


def _surprise(text: Generation, tokenizer: Tokenizer) -> dict[str, Any]:
    """A sample in pieces of whole characters, each with the bits it cost the model."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces: list[tuple[str, float]] = []
    bits, size = 0.0, 0
    for token in text.logprobs:
        bits -= token.logprob / math.log(2)
        shown = decoder.decode(tokenizer.token_bytes(token.id))
        if shown:
            pieces.append((shown, round(bits, 3)))
            bits, size = 0.0, size + len(shown)
        if size >= SHOWN:
            break
    return {"prompt": text.prompt, "pieces": pieces, "temperature": 1.0, "seed": text.seed}
