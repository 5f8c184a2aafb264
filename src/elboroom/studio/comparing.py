"""Comparisons that pages ask for: each set of runs is measured once by `elboroom compare`, whoever asks and how often.

One is measured at a time, the others wait. A page that leaves ends nothing, and the next ask joins what is being
measured; only where another comparison waits, one that nobody looks at any more is ended. What was measured is kept as
the document of the command; order and slots of the runs are those of each page that shows it. A run that cannot be
measured is left out with its reason, and the others go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elboroom.artifacts import files
from elboroom.core.errors import ElboroomError, InputError

from .jobs import PROGRAM
from .shelf import Found, Missing, Shelf
from .summary import measures, read_json, state_of

__all__ = ["MOST", "Comparisons", "Data"]

MOST = 20
"""Runs of one comparison."""
LEFT_S = 5.0
"""A page asks twice a second; where nobody has for so long, nobody looks."""
LONGEST_S = 3600.0
LINES, LONGEST_LINE = 100, 1 << 20
_KEY = re.compile(r"[0-9a-f]{16}")
Json = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """Data that were chosen for a comparison: what the command reads, its name, what a pasted command says."""

    source: str
    name: str
    said: str


@dataclass
class _Task:
    """One comparison that is measured, waits, or came to nothing."""

    runs: list[Found]
    data: Data | None
    state: str = "waiting"
    """waiting, running, done, failed, ended"""
    begun: float = field(default_factory=time.monotonic)
    seen: float = field(default_factory=time.monotonic)
    took_s: float = 0.0
    lines: list[str] = field(default_factory=list)
    why: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    work: asyncio.Task[None] | None = None

    @property
    def live(self) -> bool:
        return self.state in ("waiting", "running")


class Comparisons:
    """All of them, by a key of what is compared. Belongs to the event loop's thread."""

    def __init__(self, shelf: Shelf, cwd: Path) -> None:
        self._shelf, self._cwd = shelf, cwd
        self.folder = shelf.own / "compare"
        self._tasks: dict[str, _Task] = {}
        self._turn = asyncio.Lock()
        self._able: dict[Path, tuple[Any, Json]] = {}

    # ---- what can be compared ---------------------------------------------------------------------------------------

    def able(self) -> Json:
        """Of each run by id: "why" it cannot be compared, "data" and "tokens" that tell whose numbers go together."""
        return {"most": MOST, "runs": {found.id: self._about(found) for found in self._shelf.runs()}}

    def _about(self, found: Found) -> Json:
        stamp = (_stamp(found.path / "run.json"), _stamp(found.path / "weights.safetensors"))
        held = self._able.get(found.path)
        if held is None or held[0] != stamp:
            held = self._able[found.path] = (stamp, _comparable(found.path))
        return held[1]

    # ---- measuring --------------------------------------------------------------------------------------------------

    def ask(self, runs: list[Found], data: Data | None, begin: bool) -> Json:
        """Where the comparison of these runs stands; with `begin` it is begun where it is not there."""
        key = _key(runs, data)
        task = self._tasks.get(key)
        kept = bool(self._kept(key))
        if begin and not kept and (task is None or not task.live):
            task = self._tasks[key] = _Task(sorted(runs, key=lambda found: found.id), data)
            task.work = asyncio.get_running_loop().create_task(self._measured(key, task))
        line = ["elboroom compare", *(self._shelf.said(found.name) for found in runs)]
        told = {"id": key, "command": " ".join([*line, *(["--data", data.said] if data else [])])}
        known = {found.id: measures(found.path) for found in runs} if not kept else {}
        return {**told, **(self.state(key) if kept or task else {"state": "none"}), "known": known}

    def state(self, key: str) -> Json:
        """ "state", the last line that was said, seconds gone, why it failed, runs left out. Raises Missing."""
        task = self._tasks.get(key)
        if (task is None or not task.live) and (kept := self._kept(key)):
            return {"state": "done", "left_out": kept["left_out"], "gone_s": kept["took_s"]}
        if task is None:
            raise Missing
        task.seen = time.monotonic()
        if task.state == "waiting":
            self._make_room()
        gone = time.monotonic() - task.begun if task.live else task.took_s
        said = task.lines[-1] if task.lines else ""
        return {"state": task.state, "said": said, "gone_s": gone, "why": task.why, "left_out": task.left_out}

    def give_up(self, key: str) -> None:
        """End it; what was measured so far is lost."""
        task = self._tasks.get(key)
        if task is None:
            raise Missing
        _end(task, "given up")

    def close(self) -> None:
        """End all of them."""
        for task in self._tasks.values():
            _end(task, "the studio was closed")

    def _make_room(self) -> None:
        for task in self._tasks.values():
            if task.state == "running" and time.monotonic() - task.seen > LEFT_S:
                _end(task, "ended for another comparison, since no page looked at it")

    async def _measured(self, key: str, task: _Task) -> None:
        try:
            async with self._turn:
                task.state, task.begun = "running", time.monotonic()
                document = await asyncio.wait_for(self._document(task), LONGEST_S)
                task.took_s = time.monotonic() - task.begun
                files.make_folder(self.folder)
                ids = [found.id for found in task.runs if found.id not in task.left_out]
                kept = {"runs": ids, "left_out": task.left_out, "took_s": task.took_s, "table": document}
                await asyncio.to_thread(files.write_json, self._place(key), kept)
                task.state = "done"
        except TimeoutError:
            task.state, task.why = "failed", f"it took longer than {LONGEST_S / 60:.0f} min; call it in a terminal"
        except (ElboroomError, OSError) as error:
            task.state, task.why = "failed", str(error)
        finally:
            task.took_s = time.monotonic() - task.begun

    async def _document(self, task: _Task) -> Json:
        """What the command answers of the runs that it can measure. Raises InputError where fewer than two are left."""
        left = list(task.runs)
        more = ["--data", task.data.source] if task.data else []
        while True:
            code, document = await self._called(["compare", *(str(found.path) for found in left), *more], task)
            if not code and isinstance(document, dict):
                return document
            error = document.get("error") if isinstance(document, dict) else ""
            message = str(error or (task.lines[-1] if task.lines else f"it ended without a word (exit {code})"))
            about = next((found for found in left if re.match(rf"{re.escape(str(found.path))}[:/ ]", message)), None)
            if about is None:
                raise InputError(self._plain(message, task))
            task.left_out[about.id] = self._plain(message.removeprefix(str(about.path)).lstrip(":/ "), task)
            left.remove(about)
            if len(left) < 2:
                raise InputError(f"{about.name}: {task.left_out[about.id]}")

    async def _called(self, words: list[str], task: _Task) -> tuple[int, Any]:
        child = await asyncio.create_subprocess_exec(
            *PROGRAM, *words, "--json", cwd=self._cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, limit=LONGEST_LINE,
        )  # fmt: skip
        assert child.stdout is not None and child.stderr is not None
        try:
            out, _ = await asyncio.gather(child.stdout.read(), self._hear(child.stderr, task))
            code = await child.wait()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        try:
            return code, json.loads(out) if out.strip() else None
        except ValueError:
            return code or 1, None

    async def _hear(self, stream: asyncio.StreamReader, task: _Task) -> None:
        with contextlib.suppress(ValueError):  # a line longer than any that is said
            async for raw in stream:
                text = raw.decode("utf-8", "replace").strip().removeprefix("elboroom: ")
                task.lines = [*task.lines[-LINES:], self._plain(text, task)] if text else task.lines

    def _plain(self, message: str, task: _Task) -> str:
        """Names in place of places: a page knows names."""
        if task.data:
            message = message.replace(task.data.source, task.data.name)
        return message.replace(f"{self._shelf.folder}/", "")

    # ---- what was measured ------------------------------------------------------------------------------------------

    def page(self, key: str, view: str) -> str:
        """The page of a comparison, runs in the order and slots of `view`: "ID:SLOT,ID:SLOT". Raises Missing."""
        from elboroom.report import compare_html

        kept = self._kept(key)
        if not kept:
            raise Missing
        places = {found.id: str(found.path) for found in self._shelf.runs()}
        table = _arranged(kept["table"], kept["runs"], view)
        for run in table["runs"]:
            run["path"] = places.get(run["id"], "")
        return compare_html(table)

    def _kept(self, key: str) -> Json:
        return read_json(self._place(key))[0] if _KEY.fullmatch(key) else {}

    def _place(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def _end(task: _Task, why: str) -> None:
    if task.live:
        task.state, task.why, task.took_s = "ended", why, time.monotonic() - task.begun
        if task.work is not None:
            task.work.cancel()


def _key(runs: list[Found], data: Data | None) -> str:
    """Of what is compared, whatever its order; weights that change make another one."""
    stamps = [
        (found.id, _stamp(found.path / "weights.safetensors"), _stamp(found.path / "run.json"))
        for found in sorted(runs, key=lambda found: found.id)
    ]
    text = json.dumps([stamps, [data.source, data.name] if data else None])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _stamp(path: Path) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _comparable(path: Path) -> Json:
    meta, damage = read_json(path / "run.json")
    if damage:
        return {"why": damage, "data": "", "tokens": ""}
    saved: Json = held if isinstance(held := meta.get("data"), dict) else {}
    text, spec = saved.get("text") or {}, saved.get("spec") or {}
    # a text is the same under another tokenizer, which its fingerprint holds
    data = f"text {text.get('bytes')}" if spec.get("kind") == "text" and text else str(saved.get("fingerprint") or "")
    tokens = json.dumps(saved.get("transform"), sort_keys=True) if spec.get("kind") == "text" else ""
    return {
        "why": _unfit(path, meta),
        "kind": str(spec.get("kind") or ""),
        "data": hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        "tokens": hashlib.sha256(tokens.encode("utf-8", "surrogatepass")).hexdigest()[:16] if tokens else "",
    }


def _unfit(path: Path, meta: Json) -> str:
    """Why a run cannot be compared; "" where it can."""
    if meta.get("networks") == "own":
        return "was made with networks of your own; compare it from Python"
    if (path / "weights.safetensors").is_file():
        return ""
    state, _ = state_of(path, meta)
    return {
        "running": "is training: it has weights when it is done",
        "stopped": "was stopped before its end and has no weights yet; resume it",
        "failed": "failed before it had weights; go on from its saved state",
    }.get(state, "has no weights")


def _arranged(table: Json, ids: list[str], view: str) -> Json:
    """The document with its runs, and all that is listed a run, in the order asked for, each with its id and slot."""
    wanted = dict(part.partition(":")[::2] for part in view.split(",") if part)
    order = [ids.index(id) for id in wanted if id in ids]
    order += [place for place in range(len(ids)) if place not in order]
    runs = [
        {**table["runs"][i], "id": ids[i], "slot": int(slot) if (slot := wanted.get(ids[i], "")).isdecimal() else None}
        for i in order
    ]

    def turned(entries: list[Json], name: str) -> list[Json]:
        return [{**entry, name: [entry[name][i] for i in order]} for entry in entries]

    names = [run["name"] for run in runs]
    objectives = sorted(table.get("objectives") or [], key=lambda row: names.index(row["run"]))
    costs, settings = turned(table["costs"], "cells"), turned(table["settings"], "values")
    cells = {"measures": turned(table["measures"], "cells"), "costs": costs, "settings": settings}
    return {**table, **cells, "runs": runs, "objectives": objectives}
