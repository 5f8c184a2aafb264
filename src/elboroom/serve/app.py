"""The addresses of one run, each with what it does, behind the guard."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from elboroom import __version__
from elboroom.web.answers import Answer, Form, Refusal, wanted
from elboroom.web.guard import Guard, Rules

from . import applying, forms
from .completions import Completions
from .counts import Counted, Counts
from .openapi import Address, openapi, page
from .worker import Worker

if TYPE_CHECKING:
    from elboroom.run import Run

__all__ = ["ADDRESSES", "Serving"]

ROOM = (409, 429, 503)
STYLE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

ADDRESSES = (
    Address(
        method="POST",
        path="/v1/completions",
        summary="Go on writing texts; with stream, piece by piece.",
        body=forms.CompletionBody,
        answer=forms.Completion,
        errors=(404, *ROOM),
        streams=True,
    ),
    Address(
        method="POST",
        path="/v1/completions/{id}/cancel",
        summary="End the texts of a request where they are; the request returns them.",
        body=Form,
        answer=forms.Cancelled,
        errors=(404,),
    ),
    Address(method="GET", path="/v1/models", summary="The run, as the only model.", answer=forms.ModelList),
    Address(
        method="GET",
        path="/v1/models/{id}",
        summary="The run, by its id.",
        answer=forms.ModelCard,
        errors=(404,),
    ),
    Address(
        method="POST",
        path="/encode",
        summary="Each row's code: its mean and standard deviation.",
        body=forms.DataBody,
        answer=forms.Codes,
        errors=ROOM,
    ),
    Address(
        method="POST",
        path="/decode",
        summary="The mean example of each code.",
        body=forms.CodesBody,
        answer=forms.Examples,
        errors=ROOM,
    ),
    Address(
        method="POST",
        path="/sample",
        summary="New examples.",
        body=forms.SampleBody,
        answer=forms.Examples,
        errors=ROOM,
    ),
    Address(
        method="POST",
        path="/reconstruct",
        summary="Each row through the code and back.",
        body=forms.DataBody,
        answer=forms.Reconstructed,
        errors=ROOM,
    ),
    Address(
        method="POST",
        path="/impute",
        summary="Missing cells of a table filled, each with a standard deviation; 0 where it was measured.",
        body=forms.ImputeBody,
        answer=forms.Imputed,
        errors=ROOM,
    ),
    Address(
        method="POST",
        path="/classify",
        summary="The class of each sequence, or of each of its steps, with the probability of every class.",
        body=forms.ClassifyBody,
        answer=forms.Classified,
        errors=ROOM,
    ),
    Address(
        method="POST",
        path="/detect",
        summary="Judge further rows of a series; what came before under the same name is remembered.",
        body=forms.DetectBody,
        answer=forms.Detected,
        errors=ROOM,
    ),
    Address(
        method="DELETE",
        path="/detect/{stream}",
        summary="Forget a series; an event that is open ends.",
        answer=forms.EndedStream,
        errors=(404, *ROOM),
    ),
    Address(
        method="GET",
        path="/health",
        summary="Whether the server works.",
        answer=forms.Health,
        errors=(503,),
        public=True,
    ),
    Address(method="GET", path="/metrics", summary="Counters in Prometheus' form.", answer="text/plain"),
    Address(method="GET", path="/openapi.json", summary="This, as a document.", answer="application/json", public=True),
    Address(method="GET", path="/", summary="This, as a page.", answer="text/html", public=True),
)


class Serving:
    """A run, its worker and its addresses. `app` is the ASGI application; made once the port is known."""

    def __init__(self, run: Run, *, slots: int = 8, queue: int = 8, streams: int = 64) -> None:
        self.run, self.model = run, run.path.name
        self.counts = Counts()
        self.worker = Worker(run, slots=slots, queue=queue, counts=self.counts)
        self.streams = applying.Streams(run, streams)
        self.completions = Completions(self.worker, self.model)
        self._document, self._page = openapi(ADDRESSES, __version__), page(ADDRESSES)
        self._created = int(time.time())

    def app(self, port: int, token: str) -> ASGIApp:
        """All of it behind the guard."""
        handlers = self._handlers()
        routes = [Route(a.path, handlers[a.method, a.path], methods=[a.method]) for a in ADDRESSES]
        router = Router(routes, redirect_slashes=False, lifespan=self._lifespan)

        async def routed(scope: Scope, receive: Receive, send: Send) -> None:
            scope["app"] = router  # so that a wrong address is an exception, which the guard tells as JSON
            await router(scope, receive, send)

        rules = Rules(port=port, token=token, open_paths=frozenset(a.path for a in ADDRESSES if a.public))
        return Counted(Guard(routed, rules), self.counts, _label)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncIterator[None]:
        self.worker.start()
        yield
        self.worker.stop()

    def _handlers(self) -> dict[tuple[str, str], Callable[[Request], Awaitable[Any]]]:
        return {
            ("POST", "/v1/completions"): self.completions.create,
            ("POST", "/v1/completions/{id}/cancel"): self.completions.cancel,
            ("GET", "/v1/models"): self._models,
            ("GET", "/v1/models/{id}"): self._one_model,
            ("POST", "/encode"): self._verb(forms.DataBody, applying.encode),
            ("POST", "/decode"): self._verb(forms.CodesBody, applying.decode),
            ("POST", "/sample"): self._verb(forms.SampleBody, applying.sample),
            ("POST", "/reconstruct"): self._verb(forms.DataBody, applying.reconstruct),
            ("POST", "/impute"): self._verb(forms.ImputeBody, applying.impute),
            ("POST", "/classify"): self._verb(forms.ClassifyBody, applying.classify),
            ("POST", "/detect"): self._verb(forms.DetectBody, lambda run, form: self.streams.detect(form)),
            ("DELETE", "/detect/{stream}"): self._end_stream,
            ("GET", "/health"): self._health,
            ("GET", "/metrics"): self._metrics,
            ("GET", "/openapi.json"): self._openapi,
            ("GET", "/"): self._home,
        }

    def _verb(self, form: type[Any], work: Callable[[Run, Any], dict[str, Any]]) -> Callable[[Request], Any]:
        """A verb on what the body holds, in the worker's thread."""

        async def handler(request: Request) -> Response:
            body = await wanted(request, form)
            return await self.worker.call(lambda: Answer(work(self.run, body)))

        return handler

    async def _end_stream(self, request: Request) -> Response:
        name = request.path_params["stream"]
        return await self.worker.call(lambda: Answer(self.streams.end(name)))

    def _card(self) -> dict[str, Any]:
        return {"id": self.model, "object": "model", "created": self._created, "owned_by": "elboroom"}

    async def _models(self, request: Request) -> Response:
        return Answer({"object": "list", "data": [self._card()]})

    async def _one_model(self, request: Request) -> Response:
        if request.path_params["id"] != self.model:
            raise Refusal(404, "there is no such model; /v1/models names the one there is", code="model_not_found")
        return Answer(self._card())

    async def _health(self, request: Request) -> Response:
        alive = self.worker.alive
        return Answer({"status": "ok" if alive else "failed"}, 200 if alive else 503)

    async def _metrics(self, request: Request) -> Response:
        worker = self.worker
        gauges = {
            "slots": ("Texts that can be written at once.", float(worker.slots)),
            "slots_busy": ("Texts being written.", float(worker.busy)),
            "waiting": ("Texts waiting for a slot.", float(worker.waiting)),
            "streams": ("Series being watched.", float(len(self.streams))),
        }
        return Response(self.counts.text(gauges), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _openapi(self, request: Request) -> Response:
        return Answer(self._document)

    async def _home(self, request: Request) -> Response:
        return Response(self._page, media_type="text/html; charset=utf-8", headers={"content-security-policy": STYLE})


def _label(path: str) -> str:
    """The address that a path belongs to, so that there are no more counters than addresses."""
    if any(address.path == path for address in ADDRESSES):
        return path
    for address in ADDRESSES:
        head, brace, tail = address.path.partition("{")
        end = tail.partition("}")[2]
        if brace and path.startswith(head) and path.endswith(end) and len(path) > len(head) + len(end):
            return address.path
    return "other"
