"""Play: which uses a finished run has, said from its JSON files alone, and the way from a page to its process.

A page says MODULE/VERB and fields; what it dropped it names by the upload's id, for which the path is put in here, so
that no path ever comes from a page. An answer in parts is a line a part (application/x-ndjson), sent as it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from elboroom.core import registry
from elboroom.core.errors import InputError
from elboroom.web.answers import Answer, Refusal, document

from .applying import uses
from .holding import Holding
from .players import Players
from .shelf import Found, Shelf, holder
from .summary import read_json

__all__ = ["KINDS", "Playing", "kinds"]

Json = dict[str, Any]
_NAME = re.compile(r"[a-z]{1,20}")
_WORDS = {"Encodes": "encode", "Decodes": "decode", "Samples": "sample", "Continues": "write",
    "Forecasts": "forecast", "Gates": "show what flows inside a cell"}  # fmt: skip
ARRAYS = ("images", "table")
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "manifold": (("Decodes",), ARRAYS),
    "map": (("Encodes",), ARRAYS),
    "draw": (("Encodes", "Decodes"), ("images",)),
    "interpolate": (("Encodes", "Decodes"), ARRAYS),
    "samples": (("Samples",), ARRAYS),
    "prompt": (("Continues",), ("text",)),
    "series": (("Forecasts",), ("series",)),
    "file": ((), ("images", "table", "series", "sequences")),
    "gates": (("Gates",), ("text", "series", "sequences")),
}
"""By the name of its page: the abilities that a model needs for it, and the kinds of data that it is for."""

GATELESS = "transformer"
"""The choice of a model's `cell` that is none."""


class Playing:
    """The routes of play."""

    def __init__(self, shelf: Shelf, holding: Holding, players: Players) -> None:
        self._shelf, self._holding, self.players = shelf, holding, players

    async def about(self, request: Request) -> Response:
        """What can be done with a run, and why not the rest; whether its process is there."""
        found = self._shelf.run(request.path_params["id"])
        told = await asyncio.to_thread(_about, found, self._shelf)
        told |= {"worker": self.players.state(found.path), "ready": self.players.ready(found.path)}
        return Answer(told)

    async def ask(self, request: Request) -> Response:
        """One ask of the run's process."""
        found = self._shelf.run(request.path_params["id"])
        module, verb = request.path_params["module"], request.path_params["verb"]
        if not _NAME.fullmatch(module) or not _NAME.fullmatch(verb):
            raise Refusal(404, "there is nothing to ask of that name", code="missing")
        given = self._with_paths(_object(await request.body()))
        latest = request.query_params.get("latest", "")[:100]
        lines = self.players.ask(found.path, f"{module}/{verb}", given, latest)
        first = await anext(lines)
        if "part" in first or "end" in first:
            return StreamingResponse(_parts(first, lines), media_type="application/x-ndjson")
        await lines.aclose()
        return Answer(first.get("answer", {"dropped": True}))

    def _with_paths(self, given: Json) -> Json:
        if "path" in given:
            raise InputError("there is no field 'path'; drop the file on the page, which names it by its upload")
        if "upload" not in given:
            return given
        path, _ = self._holding.data(str(given["upload"]))
        return {**{key: value for key, value in given.items() if key != "upload"}, "path": str(path)}

    async def close(self) -> None:
        await self.players.close()


def _object(body: bytes) -> Json:
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal(400, "the body must be a JSON object", code="bad_json")
    return found


async def _parts(first: Json, lines: AsyncGenerator[Json]) -> AsyncIterator[bytes]:
    """A line each; an error that comes after parts is the last line. A page that goes away closes this."""
    async with contextlib.aclosing(lines):
        yield document(first) + b"\n"
        try:
            async for line in lines:
                yield document(line) + b"\n"
        except Refusal as refusal:
            yield document({"error": {"message": str(refusal), "code": refusal.code}}) + b"\n"


def kinds(meta: Json, has_weights: bool) -> tuple[list[str], dict[str, str]]:
    """(pages that this run has, why it has not the others)."""
    why = _why_none(meta, has_weights)
    if why:
        return [], dict.fromkeys(KINDS, why)
    name, kind = str(meta["model"]), str(meta["data"]["spec"].get("kind"))
    abilities = registry.entry(name).abilities
    reasons = {page: _lacks(page, name, abilities, kind) for page in KINDS}
    settings = meta.get("settings")
    if isinstance(settings, dict) and settings.get("cell") == GATELESS:
        why = f"a run of --cell {GATELESS} has no gates and no state to look at; rnn, lstm, peephole and gru have"
        reasons["gates"] = reasons["gates"] or why
    if not reasons["file"] and not uses(meta):
        reasons["file"] = f"{name} has nothing to say of a file"
    return [page for page, reason in reasons.items() if not reason], {p: r for p, r in reasons.items() if r}


def _why_none(meta: Json, has_weights: bool) -> str:
    data = meta.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("spec"), dict):
        return "its run.json cannot be read"
    try:
        registry.find(str(meta.get("model")))
    except InputError as error:
        return str(error)
    if meta.get("networks") == "own":
        return "it was made with networks of your own, which only Python knows: run = load(path, networks={...})"
    return "" if has_weights else "it has no weights yet"


def _lacks(page: str, name: str, abilities: tuple[str, ...], kind: str) -> str:
    needed, fits = KINDS[page]
    if kind not in fits:
        return f"it is for {' and '.join(fits)}; these data are {kind}"
    if page == "interpolate" and "Draws" in abilities:  # between two points of its noise
        return ""
    if page == "manifold" and "Quantizes" in abilities:
        return f"the codes of {name} are whole numbers, so there is nothing between them to move through"
    for ability in needed:
        if ability not in abilities:
            return f"{name} cannot {_WORDS[ability]}; {', '.join(registry.able(ability))} can"
    return ""


def _about(found: Found, shelf: Shelf) -> Json:
    meta, _ = read_json(found.path / "run.json")
    able, why = kinds(meta, (found.path / "weights.safetensors").is_file())
    spec = (meta.get("data") or {}).get("spec") or {}
    return {
        "kinds": able,
        "why": why,
        "uses": uses(meta) if able else [],
        "kind": spec.get("kind", ""),
        "shape": spec.get("shape", []),
        "classes": spec.get("classes", []),
        "columns": [column.get("name") for column in spec.get("columns") or []],
        "training": any(holder(one.path) for one in shelf.runs()),
    }
