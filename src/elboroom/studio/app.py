"""The studio's addresses: pages, and a JSON interface under /api that knows runs by id and never by path.

GET reads, POST and PUT change; everything stands behind the guard (web/guard.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from elboroom.cli.listing import Models
from elboroom.web.answers import Answer, Refusal, wanted
from elboroom.web.guard import Guard, Rules, Upload
from elboroom.web.leaving import while_there

from . import events, forms, looking, pages
from .acting import Acting
from .applying import Applying
from .history import Histories
from .holding import FILE_LIMIT
from .labels import Labels
from .players import Players
from .playing import Playing
from .shelf import Found, Missing, Shelf
from .summary import Summaries
from .sweeps import Sweeps

__all__ = ["ENTER", "Studio"]

ENTER = "/enter"
SHOWN = ("/", "/runs/{id}", "/runs/{id}/{tab}", "/new", "/compare", "/sweeps", "/sweeps/{id}", "/data", "/models",
    "/models/{id}")  # fmt: skip
"""Addresses of pages."""
LIST_LIMIT = 16 << 20
"""Bytes: the names of as many files as an upload may have."""
SANDBOX = (
    "sandbox allow-scripts allow-modals allow-downloads; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
"""A report is shown without the studio's rights: no cookie, no request; its own policy names the one script it has."""
WHOLE = 1_000_000
"""Pixel columns that no screen has: with so many a page asks for every row that was logged."""
Json = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]


class Studio:
    """One folder of runs and its pages. `app` is the ASGI application; made once the port is known."""

    def __init__(self, folder: Path) -> None:
        self.shelf = Shelf(folder)
        self.acting = Acting(self.shelf)
        self.summaries = Summaries()
        self.sweeps = Sweeps(self.shelf, self.summaries)
        self.histories = Histories()
        self.checks = looking.Checks(self.acting.cwd)
        self.labels = Labels(self.shelf.own / "labels")
        self.playing = Playing(self.shelf, self.acting.holding, Players(self.shelf.own / "play", self.acting.cwd))
        self.applying = Applying(self.shelf, self.acting)
        self.closing = False

    def app(self, port: int, token: str) -> ASGIApp:
        """All of it behind the guard."""
        routes = [Route(path, _told(handler), methods=[method]) for method, path, handler in self._addresses()]
        router = Router(routes, redirect_slashes=False, lifespan=self._lifespan)

        async def routed(scope: Scope, receive: Receive, send: Send) -> None:
            scope["app"] = router  # so that a wrong address is an exception, which the guard tells as JSON
            await router(scope, receive, send)

        uploads = {"/api/uploads/": Upload(media_type="application/octet-stream", limit=FILE_LIMIT)}
        rules = Rules(
            port=port,
            token=token,
            cookie=f"elboroom-{port}",
            enter=ENTER,
            policy=pages.POLICY,
            uploads=uploads,
            limits={"/api/uploads": LIST_LIMIT},
        )
        return Guard(routed, rules)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncIterator[None]:
        yield
        self.acting.close()
        await self.playing.close()

    def _addresses(self) -> list[tuple[str, str, Handler]]:
        return [
            *[("GET", path, self._page) for path in SHOWN],
            ("GET", "/static/{name}", self._asset),
            ("GET", "/api/events", self._events),
            ("GET", "/api/runs", self._runs),
            ("GET", "/api/runs/{id}", self._run),
            ("GET", "/api/runs/{id}/history", self._history),
            ("GET", "/api/runs/{id}/media/{media}", self._media),
            ("GET", "/api/runs/{id}/media/{media}/said", self._media_said),
            ("GET", "/api/runs/{id}/log", self._log),
            ("GET", "/api/runs/{id}/files", self._files),
            ("GET", "/api/runs/{id}/checks", self._checks),
            ("GET", "/api/runs/{id}/report", self._report),
            ("GET", "/api/runs/{id}/verdict", self._verdict),
            ("GET", "/api/runs/{id}/labels", self._labels),
            ("GET", "/api/runs/{id}/labels.csv", self._labels_file),
            ("POST", "/api/runs/{id}/labels", self._mark),
            ("GET", "/api/runs/{id}/play", self.playing.about),
            ("POST", "/api/runs/{id}/play/{module}/{verb}", self.playing.ask),
            ("POST", "/api/runs/{id}/apply", self.applying.apply),
            ("GET", "/api/made/{key}", self.applying.made),
            ("POST", "/api/runs/{id}/stop", self._stop),
            ("POST", "/api/runs/{id}/resume", self._resume),
            ("POST", "/api/runs/{id}/forget", self._forget),
            ("GET", "/api/bin", self._binned),
            ("POST", "/api/bin", self._bin),
            ("POST", "/api/bin/restore", self._restore),
            ("GET", "/api/sweeps", self._sweeps),
            ("GET", "/api/sweeps/{id}", self._sweep),
            ("GET", "/api/sweeps/{id}/report", self._sweep_report),
            ("POST", "/api/sweeps/{id}/resume", self._sweep_resume),
            ("GET", "/api/models", self._models),
            ("GET", "/api/models/{id}", self._model),
            ("GET", "/api/sets", self._sets),
            ("GET", "/api/uploads", self._uploads),
            ("POST", "/api/uploads", self._upload),
            ("PUT", "/api/uploads/{id}/{number:int}", self._upload_file),
            ("POST", "/api/readings", self._read),
            ("POST", "/api/check", self._check),
            ("POST", "/api/estimate", self._estimate),
            ("POST", "/api/command", self._command),
            ("POST", "/api/start", self._start),
            ("GET", "/api/compare", self._comparable),
            ("POST", "/api/compare", self._compare),
            ("GET", "/api/compare/{id}", self._comparison),
            ("GET", "/api/compare/{id}/state", self._comparison_state),
            ("POST", "/api/compare/{id}/end", self._comparison_end),
        ]

    # ---- pages ------------------------------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        return _static(pages.PAGE)

    async def _asset(self, request: Request) -> Response:
        return _static(request.path_params["name"])

    # ---- looking ----------------------------------------------------------------------------------------------------

    def listed(self) -> list[Json]:
        """Every run and every start that came to nothing."""
        self.acting.jobs.reap()
        rows = [self.summaries.of(found) for found in self.shelf.runs()]
        return rows + self.acting.jobs.failed({row["id"] for row in rows} | self.sweeps.ids())

    async def _runs(self, request: Request) -> Response:
        rows = await asyncio.to_thread(self.listed)
        return Answer({"folder": self.shelf.folder.name, "runs": rows, "stamp": events.stamp_of(rows)})

    async def _run(self, request: Request) -> Response:
        id = request.path_params["id"]
        try:
            found = self.shelf.run(id)
        except Missing:  # perhaps a start that has no run folder yet
            row = next((row for row in await asyncio.to_thread(self.listed) if row["id"] == id), None)
            if row is None:
                raise
            return Answer({**row, "said": self.acting.jobs.said(row["job"])})
        return Answer(await asyncio.to_thread(self._details, found))

    def _details(self, found: Found) -> Json:
        told = looking.details(found, self.summaries.of(found), self.acting.jobs)
        return {**told, "place": self.shelf.said(found.name), "job_now": self.acting.jobs.last(found.id)}

    async def _history(self, request: Request) -> Response:
        found, asked = self._found(request), request.query_params
        names = asked.getlist("name") or None
        columns = functools.partial(
            self.histories.columns,
            found.path / "history.jsonl",
            width=int(_number(asked.get("width"), 600, 50, WHOLE)),
            names=names,
            axis=axis if (axis := asked.get("axis", "step")) in ("epoch", "time") else "step",
            low=_number(asked.get("low"), -math.inf),
            high=_number(asked.get("high"), math.inf),
            smooth=_number(asked.get("smooth"), 0.0, 0.0, 1.0),
        )
        return Answer(await asyncio.to_thread(columns))

    async def _media(self, request: Request) -> Response:
        found = self._found(request)
        content, kind = await asyncio.to_thread(looking.media_bytes, found, request.path_params["media"])
        return Response(content, media_type=kind, headers={"cache-control": "private, max-age=3600"})

    async def _media_said(self, request: Request) -> Response:
        return Answer(await asyncio.to_thread(looking.media_said, self._found(request), request.path_params["media"]))

    async def _log(self, request: Request) -> Response:
        last = int(_number(request.query_params.get("lines"), 200, 1, 5000))
        return Answer(await asyncio.to_thread(looking.log_lines, self._found(request), self.acting.jobs, last))

    async def _files(self, request: Request) -> Response:
        return Answer(await asyncio.to_thread(looking.listed_files, self._found(request)))

    async def _checks(self, request: Request) -> Response:
        return Answer(await self.checks.of(self._found(request)))

    async def _verdict(self, request: Request) -> Response:
        return Answer(await asyncio.to_thread(looking.verdict, self._found(request)))

    async def _report(self, request: Request) -> Response:
        found = self._found(request)
        html = await asyncio.to_thread(looking.report, found, self.summaries.of(found)["state"])
        return _framed(html)

    async def _labels(self, request: Request) -> Response:
        return Answer({"marks": await asyncio.to_thread(self.labels.of, self._found(request).id)})

    async def _labels_file(self, request: Request) -> Response:
        text = await asyncio.to_thread(self.labels.table, self._found(request).id)
        headers = {"content-disposition": 'attachment; filename="labels.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)

    async def _events(self, request: Request) -> Response:
        asked = request.query_params
        offset = _number(request.headers.get("last-event-id") or asked.get("offset"), 0, 0)
        told = events.stream(
            self.shelf, self.listed, self._told_of, run=asked.get("run", ""), offset=int(offset),
            with_list=asked.get("list") == "1", stamp=asked.get("stamp", ""), closing=lambda: self.closing,
        )  # fmt: skip
        return StreamingResponse(told, media_type="text/event-stream")

    def _told_of(self, found: Found) -> Json:
        return {**self.summaries.of(found), "stopping": self.acting.jobs.stopping(found.path)}

    async def _sweeps(self, request: Request) -> Response:
        return Answer({"sweeps": await asyncio.to_thread(self.sweeps.listed)})

    async def _sweep(self, request: Request) -> Response:
        id = request.path_params["id"]
        found = await asyncio.to_thread(self.sweeps.of, id)
        return Answer({**found, "job": self.acting.jobs.last(id)})

    async def _sweep_report(self, request: Request) -> Response:
        _, path = self.sweeps.place(request.path_params["id"])
        return _framed(await asyncio.to_thread(looking.page_of, path / "report.html"))

    async def _sweep_resume(self, request: Request) -> Response:
        form = await wanted(request, forms.Resumed)
        return Answer(await self.acting.resume_sweep(self.sweeps, request.path_params["id"], form))

    async def _models(self, request: Request) -> Response:
        from argparse import Namespace

        return Answer(Models().run(Namespace(NAME=None)).document)

    async def _model(self, request: Request) -> Response:
        from argparse import Namespace

        document = Models().run(Namespace(NAME=request.path_params["id"])).document
        return Answer({key: value for key, value in document.items() if key != "path"})

    async def _sets(self, request: Request) -> Response:
        return Answer(await self.acting.sets())

    async def _uploads(self, request: Request) -> Response:
        return Answer(await asyncio.to_thread(self.acting.holding.listed))

    async def _comparison(self, request: Request) -> Response:
        view = request.query_params.get("runs", "")
        return _framed(await asyncio.to_thread(self.acting.comparisons.page, request.path_params["id"], view))

    async def _comparable(self, request: Request) -> Response:
        return Answer(await asyncio.to_thread(self.acting.comparisons.able))

    async def _comparison_state(self, request: Request) -> Response:
        return Answer(self.acting.comparisons.state(request.path_params["id"]))

    # ---- acting -----------------------------------------------------------------------------------------------------

    async def _stop(self, request: Request) -> Response:
        await wanted(request, forms.Nothing)
        self.acting.jobs.stop(self._found(request).path, first=request.query_params.get("first") == "1")
        return Answer({"asked": True})

    async def _resume(self, request: Request) -> Response:
        form = await wanted(request, forms.Resumed)
        return Answer(await self.acting.resume(request.path_params["id"], form))

    async def _mark(self, request: Request) -> Response:
        form = await wanted(request, forms.Marked)
        return Answer({"marks": await asyncio.to_thread(self.labels.mark, self._found(request).id, form)})

    async def _forget(self, request: Request) -> Response:
        await wanted(request, forms.Nothing)
        self.acting.jobs.forget(request.path_params["id"])
        return Answer({"forgotten": True})

    async def _binned(self, request: Request) -> Response:
        return Answer(await asyncio.to_thread(self.shelf.binned))

    async def _bin(self, request: Request) -> Response:
        return Answer(self.shelf.bin((await wanted(request, forms.Binned)).runs))

    async def _restore(self, request: Request) -> Response:
        return Answer(self.shelf.restore((await wanted(request, forms.Restored)).tokens))

    async def _upload(self, request: Request) -> Response:
        form = await wanted(request, forms.Uploaded)
        try:
            listed = [forms.UploadFile.model_validate(one).model_dump() for one in form.files]
        except ValueError:
            raise Refusal(400, "files: each has a name, a size in bytes and a time of change", param="files") from None
        return Answer(await asyncio.to_thread(self.acting.holding.begin, form.name, listed))

    async def _upload_file(self, request: Request) -> Response:
        await self.acting.holding.put(request.path_params["id"], request.path_params["number"], request.stream())
        return Answer({"kept": True})

    async def _read(self, request: Request) -> Response:
        return Answer(await while_there(request.receive, self.acting.read(await wanted(request, forms.Reading))))

    async def _check(self, request: Request) -> Response:
        return Answer(await self.acting.check(await wanted(request, forms.Checked)))

    async def _estimate(self, request: Request) -> Response:
        return Answer(await while_there(request.receive, self.acting.estimate(await wanted(request, forms.Estimated))))

    async def _command(self, request: Request) -> Response:
        return Answer(await self.acting.taken_apart(await wanted(request, forms.Command)))

    async def _start(self, request: Request) -> Response:
        return Answer(await self.acting.start(await wanted(request, forms.Started)))

    async def _compare(self, request: Request) -> Response:
        return Answer(self.acting.compare(await wanted(request, forms.Comparison)))

    async def _comparison_end(self, request: Request) -> Response:
        await wanted(request, forms.Nothing)
        self.acting.comparisons.give_up(request.path_params["id"])
        return Answer({"ended": True})

    def _found(self, request: Request) -> Found:
        return self.shelf.run(request.path_params["id"])


def _told(handler: Handler) -> Handler:
    """An id that leads nowhere is a 404 with one sentence."""

    @functools.wraps(handler)
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Missing:
            raise Refusal(
                404, "nothing of that id is here; it may have been moved or renamed", code="missing"
            ) from None

    return handle


def _static(name: str) -> Response:
    found = pages.asset(name)
    if found is None:
        raise Missing
    return Response(found[0], media_type=found[1], headers={"cache-control": "no-cache"})


def _framed(html: str) -> Response:
    return Response(html, media_type="text/html; charset=utf-8", headers={"content-security-policy": SANDBOX})


def _number(text: str | None, default: float, low: float = -math.inf, high: float = math.inf) -> float:
    """A number of an address, held inside its bounds; the default where it is none."""
    try:
        value = float(text or "")
    except ValueError:
        return default
    return min(max(value, low), high) if math.isfinite(value) else default
