"""A prompt and how it goes on: of each token what the model held likely, what was drawn from, what could have come.

The text is that of `elboroom generate` for the same prompt, seed and settings: the same reading of the prompt, the same
numbers, the same draw. A text may also go on from token numbers, so that another token can be taken where one stands.
Probabilities are told twice: the model's own, at temperature 1 and before anything is cut, and those drawn from.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Le, Len, MaxLen
from pydantic.fields import FieldInfo
from torch import Tensor

from elboroom.batching import Row
from elboroom.core.abilities import Attends, Continues, Memory
from elboroom.core.errors import InputError
from elboroom.generation import (
    PREFILL_LOGITS,
    Asked,
    Text,
    begin,
    device_of,
    draw_tokens,
    model_and_tokenizer,
    opening,
)
from elboroom.nn.sampling import Sampling, best, filtered, repetition_penalty
from elboroom.run import require
from elboroom.stops import Writer
from elboroom.web.answers import Form

from .answers import Handler, Json, Player, checked, packed
from .heads import MOST, Heads, context_of, seen_from

if TYPE_CHECKING:
    from elboroom.data.tokenizers import Tokenizer

__all__ = ["ASKS"]

ALTERNATIVES = 9
"""Tokens told of each place; the others are summed."""
LONGEST = 65_536
"""Tokens of a text that can be gone on from."""
TOKENS = 16_384
"""Most tokens that are written at a time."""
MAP = 32
"""Tokens of a head's small map."""
END = "⟨end⟩"
PROMPT = re.compile(r"\[prompt, (\d{1,4}) characters\]\n")

Ids = Annotated[list[Annotated[int, Ge(0)]], MaxLen(LONGEST)]


# -- what is asked ----------------------------------------------------------------------------------------------------


class Chosen(Form):
    """How tokens are chosen; nn/sampling.py says what each does and in which order."""

    temperature: Annotated[float, Ge(0), Le(1000)] = 1.0
    """logits are divided by it; 0 is greedy"""
    top_k: Annotated[int, Ge(0), Le(2**53 - 1)] = 0
    """tokens kept; 0 keeps all"""
    top_p: Annotated[float, Gt(0), Le(1)] = 1.0
    """mass kept, above 0 and at most 1"""
    min_p: Annotated[float, Ge(0), Le(1)] = 0.0
    """least probability relative to the largest, 0 to 1"""
    repetition_penalty: Annotated[float, Gt(0), Le(1000)] = 1.0
    """divisor of the positive logits of tokens already there; 1 is off"""

    def sampling(self) -> Sampling:
        names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
        return Sampling(**{name: getattr(self, name) for name in names})


class Generate(Chosen):
    prompt: Annotated[str, MaxLen(2**20)] = ""
    """a text to go on from"""
    ids: Ids | None = None
    """token numbers to go on from, in place of a text"""
    tokens: Annotated[int, Ge(1), Le(TOKENS)] = 100
    """at most so many, from 1 to 16,384"""
    seed: Annotated[int, Ge(0), Le(2**53 - 1)] = 0
    """of the draws: a whole number from 0"""


class Law(Chosen):
    ids: Ids
    """token numbers of the text before"""
    taken: Annotated[int, Ge(0)] | None = None
    """the token that came"""


class Look(Form):
    ids: Annotated[Ids, Len(1)]
    """token numbers of a text from its start"""
    at: Annotated[list[Annotated[int, Ge(1)]], Len(1, 16)]
    """up to 16 places of tokens, from 1, whose choosing is looked at; their rows are averaged"""
    layer: Annotated[int, Ge(1)] | None = None
    """counted from 1 (default: the mean of all)"""
    head: Annotated[int, Ge(1)] | None = None
    """counted from 1 (default: the mean of all)"""


class Maps(Form):
    ids: Annotated[Ids, Len(1)]
    """token numbers of a text from its start"""
    at: Annotated[int, Ge(1)]
    """the place before which the maps end"""


# -- the run ----------------------------------------------------------------------------------------------------------


class _Words:
    """What is known of a run that generates, found once."""

    def __init__(self, player: Player) -> None:
        self.model, self.tokenizer = model_and_tokenizer(player.run)
        self.run, self.context = player.run, context_of(self.model)
        self.heads = Heads(self.model, self.tokenizer.size) if isinstance(self.model, Attends) else None

    @classmethod
    def of(cls, player: Player) -> _Words:
        if "words" not in player.held:
            player.held["words"] = cls(player)
        found: _Words = player.held["words"]
        return found

    def looking(self) -> Heads:
        require(self.run.model, Attends, "show attention", self.run.name)
        assert self.heads is not None
        return self.heads

    def known(self, ids: Sequence[int]) -> list[int]:
        if ids and max(ids) >= self.tokenizer.size:
            raise InputError(f"ids: there is no token {max(ids)}; this run has tokens 0 to {self.tokenizer.size - 1}")
        return list(ids)

    def text(self, asked: Generate) -> Text:
        """The text to go on from: of a prompt as `elboroom generate` begins it, of token numbers with their text."""
        if asked.ids is None:
            (text,) = begin(self.tokenizer, asked.prompt, Asked(seed=asked.seed))
            if len(text.ids) > LONGEST:
                raise InputError(f"prompt: {len(text.ids):,} tokens; a prompt has at most {LONGEST:,} here")
            return text
        if asked.prompt:
            raise InputError("ids and prompt: give one of them; both say what to go on from")
        ids = self.known(asked.ids)
        return Text(0, self.tokenizer, self.tokenizer.decode(ids), ids, asked.seed, ())


def named(tokenizer: Tokenizer, i: int) -> str:
    r"""A token by itself: its text, \xc3 for a byte that is part of a character, ⟨end⟩ for the end of a text."""
    return END if i == tokenizer.end else tokenizer.token_bytes(i).decode("utf-8", "backslashreplace")


class _Writing:
    """One text going on; the prompt has been read, from the token `since` on."""

    @torch.inference_mode()
    def __init__(self, words: _Words, ids: Sequence[int], row: Row, since: int = 0) -> None:
        self.model, self.tokenizer, self.row = words.model, words.tokenizer, row
        self.sampling, self.drawn, self.writer = row.asked.sampling, torch.empty(0), Writer()
        read = ids[since:] or opening(self.tokenizer)
        self.logits, self.memory, self.nats = _read(self.model, read, self.tokenizer.size)
        self.penalties: Tensor | None = None
        if self.sampling.repetition_penalty != 1:
            self.penalties = torch.ones_like(self.logits)
            self.penalties[0, torch.tensor(ids, dtype=torch.int64)] = self.sampling.repetition_penalty

    def token(self, i: int) -> Json:
        return {"id": i, "name": named(self.tokenizer, i), "piece": self.writer.push(self.tokenizer.token_bytes(i))}

    def law(self) -> Tensor:
        """(1, V): the logits that bear the penalty."""
        return self.logits if self.penalties is None else repetition_penalty(self.logits, self.penalties)

    @torch.inference_mode()
    def step(self) -> Json:
        """The next token, once the one before is read."""
        if self.row.step:
            read, self.memory = self.model.read(self.drawn[:, None], self.memory)
            self.logits = read[:, -1]
        law = self.law()
        number = torch.tensor([self.row.number()], dtype=torch.float64, device=self.logits.device)
        drawn = draw_tokens(self.logits, self.penalties, self.row.asked, number)
        ((i, _),) = drawn.on_host(self.tokenizer)
        self.row.step, self.drawn = self.row.step + 1, drawn.tokens
        return {**self.token(i), **self.possible(law, i)}

    @torch.inference_mode()
    def possible(self, law: Tensor, taken: int | None = None) -> Json:
        """What could come: the likeliest as [id, name, p, q] and the others summed as [how many, p, q]; of the taken
        one its p, its q and its surprise in bits. p is the model's own, q what is drawn from."""
        own = self.logits[0].double().log_softmax(-1).cpu()
        p, q = own.exp(), filtered(law, self.sampling)[0].exp().cpu()
        values, ids = best(torch.where(q > 0, 1 + q, p)[None], ALTERNATIVES)
        ids = ids[0, values[0].sort(descending=True, stable=True).indices]
        kept, shown = q > 0, torch.zeros_like(q, dtype=torch.bool)
        shown[ids] = True
        rest = {name: [int(there.sum()), float(p[there].sum()), float(q[there].sum())]
                for name, there in (("kept", kept & ~shown), ("cut", ~kept & ~shown))}  # fmt: skip
        listed = [[i, named(self.tokenizer, i), float(p[i]), float(q[i])] for i in ids.tolist()]
        found: Json = {"likeliest": listed, **rest}
        if taken is not None:
            found |= {"p": float(p[taken]), "q": float(q[taken]), "bits": float(-own[taken]) / math.log(2)}
        return found


def _read(model: Continues, ids: Sequence[int], vocabulary: int) -> tuple[Tensor, Memory, list[float]]:
    """Logits (1, V) of what follows, the memory, and -log p of each token but the first given those before it, nats.

    In the parts in which generation.py reads a prompt: other parts would round otherwise.
    """
    tokens = torch.tensor([list(ids)], device=device_of(model))
    size = max(1, PREFILL_LOGITS // vocabulary)
    memory: Memory | None = None
    nats: list[Tensor] = []
    for start in range(0, len(ids), size):
        logits, memory = model.read(tokens[:, start : start + size], memory)
        wanted = tokens[0, start + 1 : start + size + 1]
        nats.append(F.cross_entropy(logits[0, : len(wanted)], wanted, reduction="none"))
    assert memory is not None
    return logits[:, -1], memory, torch.cat(nats).double().tolist()


# -- asks -------------------------------------------------------------------------------------------------------------


def about(player: Player, given: Json) -> Json:
    """What there is to play with: vocabulary, context, attention, and words to begin with."""
    checked(Form, given)
    words = _Words.of(player)
    return {
        "vocabulary": words.tokenizer.size,
        "tokenizer": words.tokenizer.name,
        "context": words.context,
        "layers": 0 if words.heads is None else words.heads.layers,
        "heads": 0 if words.heads is None else words.heads.heads,
        "prompt": _own_prompt(player.run.path),
        "limits": {name: _limits(Generate.model_fields[name]) for name in (*Chosen.model_fields, "tokens", "seed")},
    }


def _limits(field: FieldInfo) -> Json:
    """What a number must be: "least" or "above", "most", whether it is "whole", and what it is "for"."""
    found: Json = {"whole": field.annotation is int, "for": field.description}
    for bound in field.metadata:
        if isinstance(bound, Ge):
            found["least"] = bound.ge
        elif isinstance(bound, Gt):
            found["above"] = bound.gt
        elif isinstance(bound, Le):
            found["most"] = bound.le
    return found


def _own_prompt(folder: Path) -> str:
    """The words that the run's own samples begin with (text_samples.py); "" where it has drawn none."""
    for path in sorted((folder / "media" / "samples").glob("step-*.txt"))[-1:]:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = PROMPT.search(text)
        return text[found.end() : found.end() + int(found[1])] if found else ""
    return ""


def generate(player: Player, given: Json) -> Iterator[Json]:
    """The prompt's tokens, then one token a part, then how it ended."""
    asked, words = checked(Generate, given), _Words.of(player)
    text = words.text(asked)
    row = Row(text, Asked(tokens=asked.tokens, sampling=asked.sampling(), seed=asked.seed))
    return _written(words, text, row)


def _written(words: _Words, text: Text, row: Row) -> Iterator[Json]:
    begun, tokenizer = time.perf_counter(), words.tokenizer
    writing = _Writing(words, text.ids, row)
    prompt = [writing.token(i) for i in text.ids]
    for token, nats in zip(prompt[1:], writing.nats, strict=True):
        token |= {"p": math.exp(-nats), "bits": nats / math.log(2)}
    opened = [{"id": i, "name": named(tokenizer, i), "piece": ""} for i in opening(tokenizer) if not text.ids]
    same = _told_by_text(tokenizer, text)
    yield {"start": {"prompt": text.prompt, "tokens": [*opened, *prompt], "opened": bool(opened), "repeatable": same}}
    found: list[int] = []
    while len(found) < row.asked.tokens and (not found or found[-1] != tokenizer.end):
        token = writing.step()
        found.append(token["id"])
        yield {"token": token}
    reason = "stop" if found[-1] == tokenizer.end else "length"
    yield {"done": {"reason": reason, "rest": writing.writer.finish(), "seconds": time.perf_counter() - begun}}


def _told_by_text(tokenizer: Tokenizer, text: Text) -> bool:
    """Whether these tokens are those that the text is read as: then the command line gives the same."""
    try:
        return [int(i) for i in tokenizer.encode(text.prompt)] == text.ids
    except InputError:
        return False


def law(player: Player, given: Json) -> Json:
    """What could come after some tokens; an empty list stands for the beginning of a text."""
    asked, words = checked(Law, given), _Words.of(player)
    ids = words.known(asked.ids)
    words.known([] if asked.taken is None else [asked.taken])
    row = Row(Text(0, words.tokenizer, "", ids, 0, ()), Asked(sampling=asked.sampling()))
    writing = _Writing(words, ids, row, seen_from(words.context, len(ids)))
    with torch.inference_mode():
        return writing.possible(writing.law(), asked.taken)


def attention(player: Player, given: Json) -> Json:
    """Where the model looked to choose the tokens at some places: the mean of their rows, over the last 512 places.

    weights[i] is (255 times the root of the share) of place `first` + i; what lies before is `earlier`, a share.
    """
    asked, words = checked(Look, given), _Words.of(player)
    heads, ids = words.looking(), words.known(asked.ids)
    for name, most in (("layer", heads.layers), ("head", heads.heads)):
        one = getattr(asked, name)
        if one is not None and one > most:
            raise InputError(f"{name} {one}: this run has {name}s 1 to {most}")
    last = _within(max(asked.at), ids)
    first = max(0, last - MOST)
    row, earlier, since = torch.zeros(last - first, dtype=torch.float64), 0.0, last
    for at in asked.at:
        weights, start = heads.row(ids, at)
        chosen = weights if asked.layer is None else weights[asked.layer - 1 : asked.layer]
        chosen = chosen if asked.head is None else chosen[:, asked.head - 1 : asked.head]
        shares = chosen.double().mean((0, 1)).cpu()
        cut = max(0, min(first - start, at - start))
        earlier += float(shares[:cut].sum()) / len(asked.at)
        row[max(0, start - first) : max(0, start - first) + len(shares) - cut] += shares[cut:] / len(asked.at)
        since = min(since, start)
    return {"first": first, "since": since, "earlier": earlier, "weights": _bytes(row)}


def maps(player: Player, given: Json) -> Json:
    """A small map of every head: (layers, heads, m, m), who looks at whom among the last m tokens before `at`."""
    asked, words = checked(Maps, given), _Words.of(player)
    ids = words.known(asked.ids)
    found, first = words.looking().maps(ids, _within(asked.at, ids), MAP)
    return {"first": first, "weights": _bytes(found)}


def _within(at: int, ids: list[int]) -> int:
    if at > len(ids):
        raise InputError(f"at {at}: the text has {len(ids)} tokens; a place is at most that")
    return at


def _bytes(shares: Tensor) -> Any:
    """Shares 0 to 1 as their roots, in a byte each: most are small, and the eye judges the root."""
    return packed(np.rint(255 * shares.clamp(0, 1).sqrt().cpu().numpy()).astype(np.uint8))


ASKS: dict[str, Handler] = {
    "words/about": about,
    "words/generate": generate,
    "words/law": law,
    "words/attention": attention,
    "words/maps": maps,
}
