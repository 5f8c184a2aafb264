"""/v1/completions: texts in the form of OpenAI's interface, whole or as server-sent events.

A text with a seed is the one that `elboroom generate` gives for that seed. A client who goes away ends its texts before
their next token; `/v1/completions/ID/cancel` ends them where they are and lets the request return what there is.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from elboroom.web.answers import Answer, Refusal, as_refusal, document, error_body, wanted
from elboroom.web.leaving import while_there

from .forms import CompletionBody
from .ticket import Ticket
from .worker import Worker

if TYPE_CHECKING:
    from elboroom.batching import Gain
    from elboroom.generation import Asked, Token

__all__ = ["Completions"]

DEFAULT_TOKENS = 16
UNUSED = {
    "echo": "put the prompt before the text yourself",
    "suffix": "texts are written forwards only",
    "presence_penalty": "repetition_penalty is there",
    "frequency_penalty": "repetition_penalty is there",
    "logit_bias": "top_k, top_p and min_p are there",
}


class Completions:
    """`model` is the run's id."""

    def __init__(self, worker: Worker, model: str) -> None:
        self.worker, self.model = worker, model
        self.open: dict[str, Ticket] = {}

    async def create(self, request: Request) -> Response | _Stream:
        form = await wanted(request, CompletionBody)
        asked = _asked(form, self.model)
        prompts = [form.prompt] if isinstance(form.prompt, str) else form.prompt
        ticket = self.worker.write(prompts, asked)
        made = _Made("cmpl-" + secrets.token_hex(12), self.model, ticket, form)
        self.open[made.id] = ticket
        if form.stream:
            return _Stream(self, made, await self._first(request, made))
        try:
            return Answer(made.whole(await while_there(request.receive, ticket.whole())))
        finally:
            self.close(made.id)

    async def _first(self, request: Request, made: _Made) -> list[Gain]:
        """The first pieces: before them a stream can still be refused."""
        try:
            return await while_there(request.receive, made.ticket.news())
        except BaseException:
            self.close(made.id)
            raise

    async def cancel(self, request: Request) -> Response:
        """End the texts of a request where they are; the request itself returns them."""
        name = request.path_params["id"]
        ticket = self.open.get(name)
        if ticket is None:
            raise Refusal(404, "no such completion is being written", code="not_found")
        self.worker.end(ticket)
        return Answer({"id": name, "cancelled": True})

    def close(self, name: str) -> None:
        """Nobody waits for this request any more."""
        ticket = self.open.pop(name)
        if ticket.first_s is not None:
            self.worker.counts.first_token(ticket.first_s)
        if not ticket.finished:
            self.worker.end(ticket)


class _Stream:
    """An answer that comes piece by piece; what it does not finish is ended."""

    def __init__(self, owner: Completions, made: _Made, gains: list[Gain]) -> None:
        self.owner, self.made, self.gains = owner, made, gains

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await while_there(receive, self._send(send))
        finally:
            self.owner.close(self.made.id)

    async def _send(self, send: Send) -> None:
        async for event in self._events():
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _events(self) -> AsyncIterator[bytes]:
        """Pieces that came together are told together."""
        made, gains = self.made, self.gains
        try:
            while gains:
                yield b"".join(_event(made.chunk(gained)) for gained in _joined(gains))
                gains = await made.ticket.news()
        except Exception as error:
            yield _event(error_body(as_refusal(error)))
            return
        if made.form.stream_options is not None and made.form.stream_options.include_usage:
            yield _event({**made.head(), "choices": [], "usage": made.usage()})
        yield b"data: [DONE]\n\n"


class _Made:
    """The answer to one request, as it grows."""

    def __init__(self, name: str, model: str, ticket: Ticket, form: CompletionBody) -> None:
        self.id, self.model, self.ticket, self.form = name, model, ticket, form
        self.created = int(time.time())
        self._offsets: dict[int, int] = {}

    def head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "text_completion", "created": self.created, "model": self.model}

    def usage(self) -> dict[str, int]:
        """Tokens that were read, each prompt counted once, and written."""
        read, written = self.ticket.prompt_tokens, sum(len(text.tokens) for text in self.ticket.done.values())
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    def whole(self, gains: Sequence[Gain]) -> dict[str, Any]:
        found = sorted(_joined(gains), key=lambda one: one.row)
        return {**self.head(), "choices": [self._choice(one) for one in found], "usage": self.usage()}

    def chunk(self, gained: _Gained) -> dict[str, Any]:
        return {**self.head(), "choices": [self._choice(gained)]}

    def _choice(self, gained: _Gained) -> dict[str, Any]:
        return {
            "text": gained.text,
            "index": gained.row,
            "logprobs": None if self.form.logprobs is None else self._logprobs(gained),
            "finish_reason": gained.finish_reason,
            "seed": gained.seed,
        }

    def _logprobs(self, gained: _Gained) -> dict[str, Any]:
        offsets, at = [], self._offsets.get(gained.row, 0)
        for token in gained.tokens:
            offsets.append(at)
            at += len(token.text)
        self._offsets[gained.row] = at
        tops = [{token.text: token.logprob for token in one.top} for one in gained.tokens]
        return {
            "tokens": [token.text for token in gained.tokens],
            "token_logprobs": [token.logprob for token in gained.tokens],
            "top_logprobs": tops if self.form.logprobs else None,
            "text_offset": offsets,
        }


class _Gained:
    """Several gains of one row as one."""

    def __init__(self, gain: Gain) -> None:
        self.row, self.seed = gain.row.text.row, gain.row.text.seed
        self.text = ""
        self.tokens: list[Token] = []
        self.finish_reason: str | None = None

    def add(self, gain: Gain) -> None:
        self.text += gain.text
        if gain.token is not None:
            self.tokens.append(gain.token)
        if gain.done is not None:
            self.finish_reason = gain.done.finish_reason


def _joined(gains: Sequence[Gain]) -> list[_Gained]:
    """One piece for each row that has anything to tell."""
    found: dict[int, _Gained] = {}
    for gain in gains:
        found.setdefault(gain.row.text.row, _Gained(gain)).add(gain)
    return [one for one in found.values() if one.text or one.tokens or one.finish_reason]


def _event(what: dict[str, Any]) -> bytes:
    return b"data: " + document(what) + b"\n\n"


def _asked(form: CompletionBody, model: str) -> Asked:
    """What is wanted, in elboroom's own terms; what is not supported is refused by name."""
    from elboroom.generation import Asked
    from elboroom.nn.sampling import Sampling

    if form.model not in (None, "", model):
        raise Refusal(404, f"there is no model {form.model!r} here; this is {model!r}", code="model_not_found")
    for name, instead in UNUSED.items():
        if getattr(form, name):
            raise Refusal(400, f"{name} is not supported; {instead}", code="unsupported", param=name)
    n = 1 if form.n is None else form.n
    if form.best_of is not None and form.best_of != n:
        raise Refusal(400, "best_of is not supported; ask for n texts and choose", code="unsupported", param="best_of")
    stop = () if form.stop is None else (form.stop,) if isinstance(form.stop, str) else tuple(form.stop)
    sampling = Sampling(
        temperature=1.0 if form.temperature is None else form.temperature,
        top_p=1.0 if form.top_p is None else form.top_p,
        top_k=form.top_k,
        min_p=form.min_p,
        repetition_penalty=form.repetition_penalty,
    )
    return Asked(
        tokens=DEFAULT_TOKENS if form.max_tokens is None else form.max_tokens,
        sampling=sampling,
        stop=stop,
        seed=secrets.randbits(53) if form.seed is None else form.seed,
        n=n,
        logprobs=0 if form.logprobs is None else max(1, form.logprobs),
    )
