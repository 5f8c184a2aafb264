"""A run put to use on a file that a page chose: the verb of the command line, its answer kept to be saved.

What was made lies under `.studio/made/KEY/`, the newest few of it; a page that leaves before the end ends the work.
"""

from __future__ import annotations

import asyncio
import csv
import itertools
import re
import shlex
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from elboroom.artifacts import files
from elboroom.core import registry
from elboroom.core.errors import InputError
from elboroom.web.answers import Answer, wanted
from elboroom.web.leaving import while_there

from . import forms
from .acting import Acting, without
from .jobs import ask
from .shelf import Found, Missing, Shelf
from .summary import read_json

__all__ = ["USES", "Applying", "uses"]

Json = dict[str, Any]
LONGEST_S = 3600.0
KEPT = 20
"""Answers that are kept; older ones go."""
ROWS, COLUMNS, CELL = 12, 40, 80
"""Of a table that is shown, and characters of a cell."""
TABLES = (".csv", ".tsv", ".parquet", ".npz")
PICTURES = (".png", ".npz")
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Use:
    """One verb: what a model and its data need for it, and what is written."""

    verb: str
    name: str
    what: str
    abilities: tuple[str, ...]
    kinds: tuple[str, ...]
    made: str
    """What stands behind the name of the file."""
    count: str = ""
    """The flag of a number, and what it counts; "" where there is none."""
    usual: int = 0
    reads: bool = True
    """Whether it reads data."""

    def endings(self, kind: str) -> tuple[str, ...]:
        """Forms of its answer, the usual one first."""
        return PICTURES if kind == "images" and self.verb in ("reconstruct", "sample") else TABLES


USES = (
    Use("impute", "Fill in", "missing cells filled in, each with a standard deviation", ("Imputes",), ("table",),
        "filled"),
    Use("classify", "Name classes", "the class of each sequence, with the probability of every class", ("Classifies",),
        ("sequences",), "classes"),
    Use("forecast", "Forecast", "what comes after the last row, with intervals", ("Forecasts",), ("series",),
        "forecast", "--horizon rows ahead", 24),
    Use("reconstruct", "Rebuild", "each example through the code and back", ("Encodes", "Decodes"), ("images", "table"),
        "rebuilt"),
    Use("encode", "Encode", "the code of each example", ("Encodes",), ("images", "table"), "codes"),
    Use("sample", "Draw", "new examples", ("Samples",), ("images", "table"), "drawn", "-n how many", 64, reads=False),
)  # fmt: skip


def uses(meta: Json) -> list[Json]:
    """What a run of this run.json can be put to: "verb", "name", "what", "endings", "count", "usual", "reads"."""
    kind, abilities = str(meta["data"]["spec"].get("kind")), registry.entry(str(meta["model"])).abilities
    return [
        {
            "verb": use.verb,
            "name": use.name,
            "what": use.what,
            "endings": list(use.endings(kind)),
            "count": use.count.partition(" ")[2],
            "usual": use.usual,
            "reads": use.reads,
        }
        for use in USES
        if kind in use.kinds and set(use.abilities) <= set(abilities)
    ]


class Applying:
    """The routes of it."""

    def __init__(self, shelf: Shelf, acting: Acting) -> None:
        self._shelf, self._acting = shelf, acting
        self.folder = shelf.own / "made"

    async def apply(self, request: Request) -> Response:
        """Run one verb to its end: "key", "name" and "bytes" of the file, "rows", "shown", "command", "took_s"."""
        found = self._shelf.run(request.path_params["id"])
        form = await wanted(request, forms.Applied)
        return Answer(await while_there(request.receive, self._applied(found, form)))

    async def made(self, request: Request) -> Response:
        """A file that was made, to be saved or, a picture, to be shown."""
        key = request.path_params["key"]
        place = next(iter((self.folder / key).glob("[!.]*")), None) if _KEY.fullmatch(key) else None
        if place is None:
            raise Missing
        kind = "image/png" if place.suffix == ".png" else "application/octet-stream"
        return FileResponse(place, media_type=kind, filename=place.name)

    async def _applied(self, found: Found, form: forms.Applied) -> Json:
        meta, _ = read_json(found.path / "run.json")
        able = {one["verb"]: one for one in uses(meta)} if isinstance(meta.get("data"), dict) else {}
        use = next((one for one in USES if one.verb == form.verb and one.verb in able), None)
        if use is None:
            raise InputError(f"this run cannot {form.verb}; it can: {', '.join(able) or 'nothing of that kind'}")
        endings = able[use.verb]["endings"]
        if form.ending not in endings:
            raise InputError(f"there is no form {form.ending}; {use.verb} writes {', '.join(endings)}")
        source, name, _ = self._acting.data(form.data) if use.reads else ("", found.name, [])
        key = uuid.uuid4().hex
        file = f"{Path(name).stem or 'data'}-{use.made}{form.ending}"
        counted = [use.count.split()[0], str(form.count or use.usual)] if use.count else []
        place = self.folder / key / file
        files.make_folder(place.parent, durable=False)
        began = time.monotonic()
        words = [use.verb, str(found.path), *([source] if use.reads else []), *counted, "--out", str(place)]
        try:
            said = await ask(words, timeout_s=LONGEST_S, cwd=self._acting.cwd)
        finally:  # a page that leaves ends it
            if not place.is_file():
                shutil.rmtree(place.parent, ignore_errors=True)
        if said.code or not place.is_file():
            why = without(said.why or "it ended without a word", source or str(place), name)
            raise InputError(why.replace(f"{self._shelf.folder}/", ""))
        await asyncio.to_thread(self._make_room)
        document = said.document if isinstance(said.document, dict) else {}
        line = [use.verb, self._shelf.said(found.name), *([shlex.quote(name)] if use.reads else []), *counted]
        return {
            "key": key,
            "name": file,
            "bytes": place.stat().st_size,
            "rows": document.get("rows"),
            "filled": document.get("filled"),
            "shown": await asyncio.to_thread(shown, place),
            "command": " ".join(["elboroom", *line, "--out", shlex.quote(file)]),
            "took_s": time.monotonic() - began,
        }

    def _make_room(self) -> None:
        made = sorted((p for p in self.folder.iterdir() if _KEY.fullmatch(p.name)), key=lambda p: -p.stat().st_mtime)
        for old in made[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)


def shown(place: Path) -> Json | None:
    """The first rows of a table of text, those with a filled-in cell before all others: "head", "rows" of [number,
    cells], and "filled", which of those cells were; None of other files."""
    if place.suffix not in (".csv", ".tsv"):
        return None
    with place.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file, delimiter="\t" if place.suffix == ".tsv" else ",")
        head = next(lines, [])
        names = set(head)
        told = [i for i, name in enumerate(head) if not (name.endswith("_sd") and name[:-3] in names)][:COLUMNS]
        doubt = {i: head.index(f"{head[i]}_sd") for i in told if f"{head[i]}_sd" in names and not _is_code(head)}
        told = told if doubt else list(range(len(head)))[:COLUMNS]
        first: list[tuple[int, list[str], list[int]]] = []
        filled: list[tuple[int, list[str], list[int]]] = []
        for number, row in enumerate(itertools.islice(lines, 100_000)):
            marks = [k for k, i in enumerate(told) if i in doubt and row[doubt[i]] not in ("", "0", "0.0")]
            if marks and len(filled) < ROWS:
                filled.append((number, row, marks))
            elif len(first) < ROWS:
                first.append((number, row, marks))
            if len(filled) == ROWS:
                break
    rows = filled or first
    return {
        "head": [head[i] for i in told],
        "rows": [[number, [row[i][:CELL] for i in told]] for number, row, _ in rows],
        "filled": [marks for *_, marks in rows],
        "doubt": [[row[doubt[told[k]]][:CELL] for k in marks] for _, row, marks in rows],
    }


def _is_code(head: list[str]) -> bool:
    """Whether the columns are codes: there a standard deviation is nothing that was filled in."""
    return "z0" in head
