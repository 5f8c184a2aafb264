"""What a page can have done: check, read, start, stop, resume, compare. All of it is done by the command line."""

from __future__ import annotations

import asyncio
import math
import re
import shlex
import time
from pathlib import Path
from typing import Any

from elboroom.artifacts import files
from elboroom.core import registry
from elboroom.core.errors import InputError
from elboroom.web.answers import Refusal

from . import forms, preview
from .asking import Checker, Trials
from .checker import as_words
from .comparing import Comparisons, Data
from .holding import Holding
from .jobs import Jobs, ask
from .shelf import Shelf
from .summary import read_json
from .sweeps import Sweeps

__all__ = ["Acting"]

READ_S, SETS_S = 120.0, 60.0
_SET = re.compile(r"\w[\w-]{0,79}(:[\w:.=,-]{1,200})?", re.ASCII)
"""The name of a set, with its options; what is read by it runs in an empty folder, so no file can be meant."""
Json = dict[str, Any]


class Acting:
    """The studio's hands."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.holding = Holding(shelf.own / "uploads")
        self.jobs = Jobs(shelf)
        self.cwd = shelf.own / "empty"
        """Children run here, so that no word of theirs is the name of a file."""
        files.make_folder(self.cwd)
        self.checker = Checker(self.cwd)
        self.trials = Trials(self.cwd)
        self.comparisons = Comparisons(shelf, self.cwd)
        self._sets: list[Json] = []
        self._asked = -math.inf
        self._starting = asyncio.Lock()

    def data(self, source: forms.DataOf) -> tuple[str, str, list[str]]:
        """(what `fit` is given, its short name, further words) for the data of a form."""
        if source.upload:
            path, name = self.holding.data(source.upload)
            return str(path), name, []
        if source.run:
            return self._data_of(source.run)
        if not _SET.fullmatch(source.set):
            raise InputError(
                f"{source.set!r} is no named set; drop the file on the page, or call `elboroom fit` with it"
            )
        return source.set, source.set, []

    def _data_of(self, run: str) -> tuple[str, str, list[str]]:
        meta, damage = read_json(self.shelf.run(run).path / "run.json")
        data = meta.get("data")
        if damage or not isinstance(data, dict):
            raise InputError(damage or "run.json says nothing of its data; drop the data on the page")
        source = str(data.get("source") or "")
        if _SET.fullmatch(source):  # of a file the whole place is written down
            return source, source, []
        path = Path(source).expanduser().absolute() if source else Path()
        if not source or not path.exists():
            raise InputError(
                f"the data of this run were at {source or 'no known place'}; put them there, or drop them here"
            )
        return str(path), path.name, []

    async def read(self, form: forms.Reading) -> Json:
        """What `elboroom data` says of it, and for a table what its columns look like."""
        source, name, more = self.data(form.data)
        said = await ask(["data", source, *as_words(form.options), *more], timeout_s=READ_S, cwd=self.cwd)
        if said.code or not isinstance(said.document, dict):
            raise InputError(without(said.why or "it cannot be read", source, name))
        kept = ("spec", "reading", "split", "problems", "counts", "fingerprint", "named")
        found = {k: said.document.get(k) for k in kept}
        found["problems"] = [without(str(p), source, name) for p in found["problems"] or []]
        series = said.document.get("series") or {}
        found["series"] = {k: series.get(k) for k in ("time", "rows", "step_words")} if series else None
        place = Path(source)  # a set's name is no place
        columns = await asyncio.to_thread(preview.columns, place) if place.is_absolute() else None
        return {**found, "name": name, "columns": columns}

    async def check(self, form: forms.Checked) -> Json:
        registry.find(form.model)
        return await self.checker.ask({"model": form.model, "options": form.options})

    async def estimate(self, form: forms.Estimated) -> Json:
        """What a training would cost, by a trial that leaves nothing. Raises InputError where `fit` would refuse it."""
        registry.find(form.model)
        source, name, _ = self.data(form.data)
        as_words(form.options)  # refuses what a page may not set
        answer = await self.trials.ask({"model": form.model, "source": source, "options": form.options})
        if "error" in answer:
            message = without(str(answer["error"]), source, name)
            raise InputError(message) if answer.get("refused") else Refusal(503, message)
        return answer

    async def taken_apart(self, form: forms.Command) -> Json:
        """A pasted command as the values of the form; data it names must be a set or an upload."""
        answer = await self.checker.ask({"command": form.command})
        if answer.get("ok"):
            name = str(answer.pop("data"))
            uploads = {one["name"]: one["id"] for one in self.holding.listed()}
            short = name.rstrip("/").rsplit("/", 1)[-1]
            if short in uploads:
                answer["data"] = {"upload": uploads[short], "name": short}
            elif _SET.fullmatch(name):
                answer["data"] = {"set": name}
            else:
                answer["data"] = {}
                answer["note"] = f"{short}: drop this file on the page; a page reads no other places of this machine"
        return answer

    async def start(self, form: forms.Started) -> Json:
        """Begin a training, once a key. Options are checked first, by the same validator as the command line."""
        async with self._starting:
            checked = await self.check(form)
            if not checked["ok"]:
                name, message = next(iter(checked["errors"].items()))
                raise InputError(f"{name}: {message}" if name else message)
            source, name, more = self.data(form.data)
            run = self.shelf.free_name(form.model, name, self.jobs.beginning())
            words = [*_flags(form.model, form.options), *more]
            line = shlex.join(["elboroom", "fit", form.model, name, *words])
            place = ["--run", str(self.shelf.folder / run)]
            return self.jobs.start(form.key, ["fit", form.model, source, *words, *place], run, line)

    async def resume(self, id: str, form: forms.Resumed) -> Json:
        found = self.shelf.run(id)
        more = [f"--steps=+{form.steps}"] if form.steps else []
        line = " ".join(["elboroom resume", self.shelf.said(found.name), *more])
        return self.jobs.start(form.key, ["resume", str(found.path), *more], found.name, line)

    async def resume_sweep(self, sweeps: Sweeps, id: str, form: forms.Resumed) -> Json:
        """Go on with a sweep by the command it was begun with."""
        name, path, words = sweeps.again(id)
        place = self.shelf.said("" if path == self.shelf.folder else name)
        line = " ".join(["elboroom sweep", *map(shlex.quote, words[1:-3]), "--run", place, words[-1]])
        return self.jobs.start(form.key, words, name, line)

    async def sets(self) -> list[Json]:
        """The named sets, asked for once a minute at most: files may come where they are looked for."""
        if time.monotonic() - self._asked > SETS_S:
            said = await ask(["data"], timeout_s=READ_S, cwd=self.cwd)
            if said.code or not isinstance(said.document, list):
                raise InputError(f"the catalogue of named sets cannot be read: {said.message or 'no answer'}")
            self._sets, self._asked = said.document, time.monotonic()
        return self._sets

    def compare(self, form: forms.Comparison) -> Json:
        """Where a comparison stands; see `Comparisons`."""
        source, data = form.data, None
        if source.set or source.upload or source.run:
            place, name, _ = self.data(source)
            inside = not source.set and Path(place).is_relative_to(self.shelf.folder)
            said = self.shelf.said(str(Path(place).relative_to(self.shelf.folder))) if inside else shlex.quote(name)
            data = Data(place, name, said)
        return self.comparisons.ask([self.shelf.run(id) for id in form.runs], data, form.begin)

    def close(self) -> None:
        self.checker.close()
        self.trials.close()
        self.comparisons.close()


def _flags(model: str, options: dict[str, str]) -> list[str]:
    from elboroom.cli.flags import kind_of

    switches = {f.name.replace("_", "-") for f in registry.entry(model).fields if kind_of(f) == "bool"} | {"strict"}
    words = []
    for word in as_words(options):
        name, _, text = word[2:].partition("=")
        if name not in switches:
            words += [f"--{name}", text] if text and not text.startswith("-") else [word]
        elif text == "on" or name != "strict":
            words.append(f"--{name}" if text == "on" else f"--no-{name}")
    return words


def without(message: str, source: str, name: str) -> str:
    """A message with the short name where the command line says the place: a page knows names."""
    return message.replace(source, name)
