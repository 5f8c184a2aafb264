"""Processes the studio starts: each a call of the command line, which outlives the studio and needs it for nothing.

A training is begun with a key that the page makes: the same key again, by a double press or a retry, is the same job.
What a job was and what it said is kept in `.studio/jobs/KEY/`, so a failure before there is a run can be told.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elboroom.artifacts import files
from elboroom.core.errors import InputError

from .shelf import Shelf, holder, identity

__all__ = ["Jobs", "Said", "ask"]

PROGRAM = [sys.executable, "-m", "elboroom"]
_KEY = re.compile(r"[0-9a-zA-Z-]{8,64}")
TAIL = 200_000


@dataclass(frozen=True)
class Said:
    """What a short call answered."""

    code: int
    document: Any
    message: str

    @property
    def why(self) -> str:
        """The sentence with which it was refused; "" where it said none."""
        error = self.document.get("error") if isinstance(self.document, dict) else ""
        return str(error or self.message)


async def ask(words: list[str], *, timeout_s: float, cwd: Path) -> Said:
    """Run one verb with --json to its end, and read its document."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *words, "--json", cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    except (TimeoutError, asyncio.CancelledError) as error:
        process.kill()
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        return Said(4, None, f"{words[0]} took longer than {timeout_s:.0f} s and was ended; call it in a terminal")
    try:
        document = json.loads(out) if out.strip() else None
    except ValueError:
        document = None
    said = err.decode("utf-8", "replace").strip().splitlines()
    message = said[-1].removeprefix("elboroom: ") if said else ""
    return Said(process.returncode or 0, document, message)


class Jobs:
    """Trainings begun from pages."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.folder = shelf.own / "jobs"
        self._children: list[subprocess.Popen[bytes]] = []
        self._stops: dict[Path, tuple[int, int]] = {}
        """Of each run that was asked to stop the process that was asked, and how often."""

    def start(self, key: str, words: list[str], name: str, line: str) -> dict[str, Any]:
        """Begin `elboroom WORDS`, which writes the run `name`; with a key that was used, tell of that job instead.

        `line` is the command as a page shows it.
        """
        if not _KEY.fullmatch(key):
            raise InputError("the key of a start is 8 to 64 letters, digits and hyphens")
        place = self.folder / key
        known = self._read(place)
        if known is not None:
            return known
        files.make_folder(place)
        record = {
            "key": key,
            "run": name,
            "id": identity(name),
            "command": line,
            "started_s": time.time(),
        }
        files.write_json(place / "job.json", record)
        handles = [
            os.open(place / f"{stream}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666) for stream in ("out", "err")
        ]
        try:
            child = subprocess.Popen(
                [*PROGRAM, *words, "--json"], stdin=subprocess.DEVNULL, stdout=handles[0], stderr=handles[1],
                cwd=place, start_new_session=True,
            )  # fmt: skip
        finally:
            for handle in handles:
                os.close(handle)
        self._children.append(child)
        record["pid"] = child.pid
        files.write_json(place / "job.json", record)
        return record

    def reap(self) -> None:
        """Let children that ended go, and note how."""
        for child in list(self._children):
            if child.poll() is not None:
                self._children.remove(child)

    def stop(self, run: Path, *, first: bool = False) -> None:
        """Ask the process that holds a run to save and stop; a second time it ends without saving the step.

        A page that knows of no stop asks with `first`, which does nothing where another page has asked already.
        """
        pid = holder(run)
        if not pid:
            raise InputError("no process of this machine trains this run; there is nothing to stop")
        asked = self.stopping(run)
        if first and asked:
            return
        self._stops[run] = (pid, asked + 1)
        os.kill(pid, signal.SIGTERM)

    def stopping(self, run: Path) -> int:
        """How often pages have asked the process that holds a run to stop."""
        pid, asked = self._stops.get(run, (0, 0))
        return asked if pid and pid == holder(run) else 0

    def failed(self, known: set[str]) -> list[dict[str, Any]]:
        """Jobs that ended, or have not come so far, before there was a run: rows of the list."""
        rows = []
        for record in self._records():
            if record["id"] in known:
                continue
            alive = _is_alive(int(record.get("pid") or 0))
            row = {"id": record["id"], "job": record["key"], "name": record["run"], "command": record["command"]}
            row |= {"state": "starting" if alive else "failed", "curve": [], "started_s": record["started_s"]}
            if not alive:
                tail = self.said(record["key"])
                row["why"] = tail[-1].removeprefix("elboroom: ") if tail else "it ended without a word"
                if self._was_run(record["id"], tail):
                    continue
            rows.append(row)
        return rows

    def _was_run(self, id: str, tail: list[str]) -> bool:
        """A run that was moved away after it had begun is no failed start."""
        return any(re.search(r"\d of [\d,]+ steps|report:", line) for line in tail)

    def beginning(self) -> set[str]:
        """Names of runs whose process is there and whose folder may not be."""
        return {str(record["run"]) for record in self._records() if _is_alive(int(record.get("pid") or 0))}

    def said(self, key: str, last: int = 200) -> list[str]:
        """The last lines of a job's messages."""
        return tail_of(self.folder / key / "err.txt", last) if _KEY.fullmatch(key) else []

    def of_run(self, id: str) -> dict[str, Any] | None:
        """The newest job that wrote to that run."""
        return next((record for record in self._records() if record["id"] == id), None)

    def last(self, id: str) -> dict[str, Any]:
        """Of the newest job under that id: "alive", and the "said" line it ended with; {} where there is none."""
        record = self.of_run(id)
        if record is None:
            return {}
        tail = self.said(record["key"])
        alive = _is_alive(int(record.get("pid") or 0))
        return {"alive": alive, "said": "" if alive or not tail else tail[-1].removeprefix("elboroom: ")}

    def forget(self, id: str) -> None:
        """Take the failed start of that id off the list."""
        for record in self._records():
            if record["id"] == id and not _is_alive(int(record.get("pid") or 0)):
                files.remove_tree(self.folder / record["key"])

    def _records(self) -> list[dict[str, Any]]:
        found = [self._read(path.parent) for path in self.folder.glob("*/job.json")]
        return sorted((r for r in found if r), key=lambda r: -float(r["started_s"]))

    def _read(self, place: Path) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = files.read_json(place / "job.json")
        except InputError:
            return None
        return found if {"key", "run", "id", "command", "started_s"} <= set(found) else None


def tail_of(path: Path, last: int) -> list[str]:
    """The last lines of a text file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            text = file.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-last:]


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return status[:1] != ["Z"]
