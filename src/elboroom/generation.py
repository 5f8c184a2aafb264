"""Texts that a model goes on writing: any number of rows side by side, one token a step.

Each prompt is read once, with the others of its length, and shared by its samples; after that all rows take their steps
together, and one that has ended leaves the batch. A row's text follows from its prompt, its seed and what was asked:
sample 0 has the seed of the call, sample j one derived from it and j, and the row's numbers come from that seed and the
prompt. So neighbours change nothing, equal prompts give equal texts, and the seed beside a text gives it again, alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from elboroom.core.abilities import Continues, Memory
from elboroom.core.chance import mix
from elboroom.core.errors import InputError, Unable
from elboroom.nn.sampling import Sampling, best, choose, repetition_penalty, uniforms
from elboroom.stops import Writer, stop_bytes

if TYPE_CHECKING:
    from elboroom.data.tokenizers import Tokenizer
    from elboroom.run import Run

__all__ = [
    "NUMBERS",
    "Asked",
    "Drawn",
    "Generation",
    "Piece",
    "Text",
    "Token",
    "begin",
    "device_of",
    "draw_tokens",
    "generate",
    "model_and_tokenizer",
    "opening",
    "prefill",
    "stream",
]

ROWS = 64
"""Rows side by side; further ones follow after."""
LOOK_EVERY = 16
"""Steps between two looks at what a device has drawn, where nobody waits for the text."""
NUMBERS = 256
"""Uniform numbers made for each row at a time."""
PREFILL_LOGITS = 2**25
"""Logits of a prompt held at a time: a long prompt is read in parts (128 MB)."""
LARGEST = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is wanted for each prompt; a wrong value is refused."""

    tokens: int = 100
    """At most so many for each text, from 1."""
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    """Texts that end a text; they are left out of it. What stands in the prompt does not count."""
    seed: int = 0
    n: int = 1
    """Samples of each prompt."""
    logprobs: int = 0
    """Likeliest tokens reported at each place beside the chosen one, with log-probabilities; 0: none of this."""

    def __post_init__(self) -> None:
        for name, low, what in (
            ("tokens", 1, "at least one token can be generated"),
            ("n", 1, "at least one text can be generated"),
            ("seed", 0, "expected a whole number from 0 to 2**63 - 1"),
            ("logprobs", 0, "expected a number of tokens to report; 0 reports none"),
        ):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or not low <= value <= LARGEST:
                raise InputError(f"{name} {value!r}: {what}")
        stop_bytes(self.stop)


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token at its place, and how likely the model itself held it: at temperature 1, before penalty and filters."""

    id: int
    text: str
    """"" for the end of a text; U+FFFD for bytes that are part of a character."""
    logprob: float
    """nats"""
    top: tuple[Token, ...] = ()
    """The likeliest tokens at this place, in falling order."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        plain = {"id": self.id, "text": self.text, "logprob": self.logprob}
        return {**plain, "top": [token.to_json() for token in self.top]} if self.top else plain


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One text."""

    prompt: str
    text: str
    """What follows the prompt, without the stop string that ended it."""
    tokens: tuple[int, ...]
    """Ids of what was drawn, those of a stop string or the end of the text included."""
    finish_reason: str
    """"stop": a stop string or the end of the text came; "length": as many tokens as asked for."""
    seed: int
    """With the same prompt and n = 1 it gives this text again."""
    logprobs: tuple[Token, ...] = ()
    """One for each of `tokens`, where asked for."""

    def __str__(self) -> str:
        return self.prompt + self.text

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, as `elboroom generate --json` prints them."""
        plain = {name: getattr(self, name) for name in ("prompt", "text", "tokens", "finish_reason", "seed")}
        plain["tokens"] = list(self.tokens)
        return {**plain, "logprobs": [token.to_json() for token in self.logprobs]} if self.logprobs else plain


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What a row has gained. The pieces of a row make its text; never half a character, never part of a stop string."""

    row: int
    """Sample j of prompt i is row i n + j, as in the list that `generate` gives."""
    text: str
    done: Generation | None = None
    """The whole, with the row's last piece."""


def generate(
    model: Continues,
    tokenizer: Tokenizer,
    prompts: str | Sequence[str],
    *,
    tokens: int = 100,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    greedy: bool = False,
    stop: str | Sequence[str] = (),
    seed: int = 0,
    n: int = 1,
    logprobs: int = 0,
) -> list[Generation]:
    """`n` texts for each prompt, those of one prompt together; the model is in evaluation mode.

    Defaults draw from the model's own law; nn/sampling.py says what each filter does and in which order. `greedy` is
    temperature 0. A text ends with a stop string, the end token, or after `tokens`. Raises InputError.
    """
    sampling = Sampling(
        temperature=0.0 if greedy else temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
    )
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    asked = Asked(tokens=tokens, sampling=sampling, stop=stops, seed=seed, n=n, logprobs=logprobs)
    texts = begin(tokenizer, prompts, asked)
    waiting = asked.stop or device_of(model).type == "cpu"  # a look costs nothing there
    pieces = _pieces(model, tokenizer, texts, asked, look_every=1 if waiting else LOOK_EVERY)
    found = {piece.row: piece.done for piece in pieces if piece.done is not None}
    return [found[row] for row in range(len(texts))]


def stream(
    model: Continues, tokenizer: Tokenizer, prompts: str | Sequence[str], asked: Asked | None = None
) -> Iterator[Piece]:
    """The same texts as they come, piece by piece; wrong prompts are refused at once."""
    asked = Asked() if asked is None else asked
    return _pieces(model, tokenizer, begin(tokenizer, prompts, asked), asked, look_every=1)


def model_and_tokenizer(run: Run) -> tuple[Continues, Tokenizer]:
    """What a run generates with; a run that cannot is refused."""
    from elboroom.data.text import TextTransform
    from elboroom.run import require

    require(run.model, Continues, "generate", run.name)
    if not isinstance(run.model, Continues) or not isinstance(run.transform, TextTransform):
        raise Unable(f"{run.path} was made with {run.spec.kind}; only a run on text can generate")
    return run.model, run.transform.tokenizer


def opening(tokenizer: Tokenizer) -> list[int]:
    """What is read where a prompt is empty: the end of the text before; else a line break; else token 0."""
    if tokenizer.end is not None:
        return [tokenizer.end]
    try:
        return [int(i) for i in tokenizer.encode("\n")[:1]] or [0]
    except InputError:
        return [0]


# ---- on the host ------------------------------------------------------------------------------------------------


class Text:
    """One text in the making, as it is known outside the device."""

    def __init__(
        self, row: int, tokenizer: Tokenizer, prompt: str, ids: list[int], seed: int, stops: Sequence[bytes]
    ) -> None:
        self.row, self.prompt, self.seed = row, prompt, seed
        self.ids = ids  # of the prompt; [] where it is empty
        self.numbers = mix(seed, prompt)  # the seed of the row's uniform numbers
        self.stopped = False
        self._tokenizer, self._writer = tokenizer, Writer(stops)
        self._shown: list[str] = []
        self._tokens: list[int] = []
        self._logprobs: list[Token] = []

    def take(self, token: int, logprob: Token | None) -> str:
        """One more token: the text that can be shown by now."""
        self._tokens.append(token)
        if logprob is not None:
            self._logprobs.append(logprob)
        self._shown.append(self._writer.push(self._tokenizer.token_bytes(token)))
        self.stopped = self._writer.stopped or token == self._tokenizer.end
        return self._shown[-1]

    def finish(self) -> str:
        """What was held back."""
        self._shown.append(self._writer.finish())
        return self._shown[-1]

    def done(self) -> Generation:
        return Generation(
            prompt=self.prompt,
            text="".join(self._shown),
            tokens=tuple(self._tokens),
            finish_reason="stop" if self.stopped else "length",
            seed=self.seed,
            logprobs=tuple(self._logprobs),
        )


def begin(tokenizer: Tokenizer, prompts: str | Sequence[str], asked: Asked) -> list[Text]:
    """The rows, begun: samples of one prompt together."""
    every = [prompts] if isinstance(prompts, str) else list(prompts)
    if not every:
        raise InputError('prompts: the list is empty; give at least one prompt, "" to begin from nothing')
    seeds = [asked.seed, *(mix(asked.seed, j) >> 10 for j in range(1, asked.n))]  # 53 bits: exact in every JSON reader
    stops = stop_bytes(asked.stop)
    begun = [(prompt, _encoded(tokenizer, prompt)) for prompt in every]
    rows = [(prompt, ids, seed) for prompt, ids in begun for seed in seeds]
    return [Text(row, tokenizer, prompt, ids, seed, stops) for row, (prompt, ids, seed) in enumerate(rows)]


def _encoded(tokenizer: Tokenizer, prompt: str) -> list[int]:
    if not isinstance(prompt, str):
        raise InputError(f"prompt {prompt!r}: expected a text")
    try:
        prompt.encode()
        return [int(i) for i in tokenizer.encode(prompt)]
    except UnicodeEncodeError as error:
        raise InputError(f"prompt {prompt!r}: this is no text that UTF-8 can hold") from error
    except InputError as error:
        raise InputError(f"prompt {prompt[:40]!r}: {error}") from error


def _pieces(
    model: Continues, tokenizer: Tokenizer, texts: list[Text], asked: Asked, *, look_every: int
) -> Iterator[Piece]:
    """All rows to their ends. No `with` of torch's stands open at a yield: it would hold in the caller's code too."""
    for first in range(0, len(texts), ROWS):
        batch = _Batch(model, tokenizer, texts[first : first + ROWS], asked)
        unseen: list[Drawn] = []
        for step in range(asked.tokens):
            unseen.append(batch.step(step))
            last = step + 1 == asked.tokens
            if last or len(unseen) == look_every:
                by_row = zip(*(drawn.on_host(tokenizer) for drawn in unseen), strict=True)
                for text, drawn in zip(batch.texts, by_row, strict=True):
                    piece = _taken(text, drawn, last)
                    if piece.text or piece.done:
                        yield piece
                unseen = []
                if not batch.go_on(last):
                    break


def _taken(text: Text, drawn: Sequence[tuple[int, Token | None]], last: bool) -> Piece:
    """What some more tokens add to a text; those after its end are dropped."""
    gained = ""
    for token, logprob in drawn:
        gained += text.take(token, logprob)
        if text.stopped:
            break
    if not (last or text.stopped):
        return Piece(row=text.row, text=gained)
    return Piece(row=text.row, text=gained + text.finish(), done=text.done())


# ---- on the device ----------------------------------------------------------------------------------------------


class Drawn(NamedTuple):
    """One step of R rows."""

    tokens: Tensor
    """(R,)"""
    highest: Tensor
    """(R,): each row's largest logit; where this is no finite number, there is no law."""
    logprobs: tuple[Tensor, Tensor, Tensor] | None
    """Where asked for: (R,) of the tokens, (R, K) of the likeliest, (R, K) their ids."""

    def on_host(self, tokenizer: Tokenizer) -> list[tuple[int, Token | None]]:
        """For each row its token and what is reported of it."""
        if not all(map(math.isfinite, self.highest.tolist())):
            raise InputError(
                "the model gives logits that are no numbers: its training diverged or its weights are damaged; "
                "`elboroom diagnose RUN` says what happened"
            )
        tokens = self.tokens.tolist()
        if self.logprobs is None:
            return [(token, None) for token in tokens]

        def token(i: int, logprob: float, top: tuple[Token, ...] = ()) -> Token:
            return Token(id=i, text=tokenizer.token_bytes(i).decode(errors="replace"), logprob=logprob, top=top)

        own, values, ids = (part.tolist() for part in self.logprobs)
        tops = [tuple(token(i, p) for p, i in zip(*row, strict=True)) for row in zip(values, ids, strict=True)]
        return [(i, token(i, p, top)) for i, p, top in zip(tokens, own, tops, strict=True)]


class _Batch:
    """Rows that go on, on the model's device. The prompts have been read."""

    @torch.inference_mode()
    def __init__(self, model: Continues, tokenizer: Tokenizer, texts: list[Text], asked: Asked) -> None:
        self.model, self.texts, self.asked = model, texts, asked
        self.device = device_of(model)
        prompts = [tuple(text.ids or opening(tokenizer)) for text in texts]
        self.logits, self.memory = prefill(model, prompts, tokenizer.size, self.device)
        self.drawn = torch.empty(0)
        self.numbers = torch.empty(0)
        self.penalties: Tensor | None = None
        if asked.sampling.repetition_penalty != 1:
            self.penalties = torch.ones_like(self.logits)
            for row, text in zip(self.penalties, texts, strict=True):
                row[torch.tensor(text.ids, dtype=torch.int64, device=self.device)] = asked.sampling.repetition_penalty

    @torch.inference_mode()
    def step(self, step: int) -> Drawn:
        """The next token of every row, once those before are read."""
        if step:
            read, self.memory = self.model.read(self.drawn[:, None], self.memory)
            self.logits = read[:, -1]
        if step % NUMBERS == 0:
            count = min(NUMBERS, self.asked.tokens - step)
            self.numbers = uniforms([text.numbers for text in self.texts], step, count).to(self.device)
        drawn = draw_tokens(self.logits, self.penalties, self.asked, self.numbers[:, step % NUMBERS])
        self.drawn = drawn.tokens
        return drawn

    def go_on(self, last: bool) -> bool:
        """Leave behind the rows that have ended; whether any is left."""
        places = [] if last else [place for place, text in enumerate(self.texts) if not text.stopped]
        if 0 < len(places) < len(self.texts):
            self._keep(places)
        return bool(places)

    @torch.inference_mode()
    def _keep(self, places: list[int]) -> None:
        self.texts = [self.texts[place] for place in places]
        rows = torch.tensor(places)
        self.memory = self.memory.pick(rows)
        rows = rows.to(self.device)
        self.drawn, self.numbers = self.drawn[rows], self.numbers[rows]
        self.penalties = None if self.penalties is None else self.penalties[rows]


def draw_tokens(logits: Tensor, penalties: Tensor | None, asked: Asked, numbers: Tensor) -> Drawn:
    """One token for each row of logits (R, V), by numbers (R,); `penalties` (R, V), in place, count the new tokens."""
    highest, sampling = logits.amax(-1), asked.sampling
    law = logits if penalties is None else repetition_penalty(logits, penalties)
    drawn = choose(law, sampling, numbers)
    if penalties is not None:
        penalties.scatter_(1, drawn[:, None], sampling.repetition_penalty)
    if not asked.logprobs:
        return Drawn(drawn, highest, None)
    own = logits.double().log_softmax(-1)
    values, ids = best(own, asked.logprobs)
    values, order = torch.sort(values, dim=-1, descending=True, stable=True)
    return Drawn(drawn, highest, (own.gather(1, drawn[:, None])[:, 0], values, ids.gather(1, order)))


def prefill(
    model: Continues, prompts: list[tuple[int, ...]], vocabulary: int, device: torch.device
) -> tuple[Tensor, Memory]:
    """Read each different prompt once, those of one length together: logits (rows, V) of what follows, and memory."""
    different = sorted(set(prompts), key=lambda ids: (len(ids), ids))
    logits, memories = [], []
    for length, group in itertools.groupby(different, len):
        tokens = torch.tensor(list(group), device=device)
        part = max(1, PREFILL_LOGITS // (len(tokens) * vocabulary))
        memory: Memory | None = None
        for start in range(0, length, part):
            law, memory = model.read(tokens[:, start : start + part], memory)
        assert memory is not None
        logits.append(law[:, -1])
        memories.append(memory)
    joined = memories[0].join(memories[1:]) if len(memories) > 1 else memories[0]
    place = {ids: i for i, ids in enumerate(different)}
    rows = torch.tensor([place[ids] for ids in prompts])
    if len(different) < len(prompts) or rows.tolist() != sorted(place.values()):
        joined = joined.pick(rows)
    return torch.cat(logits)[rows.to(device)], joined


def device_of(model: Continues) -> torch.device:
    parts = model.parameters() if isinstance(model, nn.Module) else ()
    return next((p.device for p in parts), torch.device("cpu"))
