"""The process that holds one run for the studio: `python -m elboroom.play.worker RUN`, JSON lines in and out.

In: {"id", "ask": "images/decode", "with": {...}}, perhaps with "latest": KEY, or {"id", "cancel": true}.
Out, first: {"ready": {"seconds", "threads"}}, or {"error"} where the run cannot be loaded. Then for each ask one of
{"id", "answer"}, {"id", "error": {"code": "input|ability|fault", "message"}}, {"id", "dropped": true}, or any number
of {"id", "part"} and {"id", "end": true}.

One ask is worked on at a time. A thread reads what comes meanwhile, so that a cancel ends what is being told at its
next part, and an ask with the key of an older one that has not begun takes its place. Short asks do not wait for the
end of a long one: they are answered between two of its parts. A long one that waits for another says so in a first
part, {"waits": the other's name}. The end of the input ends the process. It gives way to a training that wants the
same cores.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from elboroom.core.errors import ElboroomError, InputError, Unable

from .answers import Handler, Json, Player

__all__ = ["MODULES", "Worker", "asks"]

MODULES = ("images", "codes", "words", "series", "gates")
"""Files of this package that end in ASKS."""
SHORT = frozenset({"words/about", "words/law", "words/attention", "words/maps", "series/window", "series/close",
    "series/table"})  # fmt: skip
"""Asks that are answered between two parts of another: soon done, drawing no random number, and reading with a memory
of their own or from what is whole at every part."""
LONG = frozenset({"words/generate", "series/judge"})
"""Asks that say so where they wait for each other."""
NICER = 5
"""How far its priority is lowered once the run is loaded."""
THREADS = 1
"""Two wait for each other where others want the cores: on two cores with seven other programs a small transformer then
wrote 2 tokens a second, with one thread 480."""


def asks(name: str) -> dict[str, Handler]:
    """The asks of one module; none where there is no such module."""
    if name not in MODULES:
        return {}
    found: dict[str, Handler] = importlib.import_module(f"elboroom.play.{name}").ASKS
    return found


class Worker:
    """Answers what comes, one after the other."""

    def __init__(self, player: Player, write: Callable[[Json], None]) -> None:
        self._player = player
        self._write = write
        self._changed = threading.Condition()
        self._waiting: deque[Json] = deque()
        self._cancelled: set[int] = set()
        self._begun: int | None = None
        self._working = ""
        """What is being told, while something is."""

    def take(self, line: str) -> None:
        """What came, from the thread that reads."""
        asked: Json = json.loads(line)
        with self._changed:
            if asked.get("cancel"):
                self._cancel(int(asked["id"]))
                return
            key = asked.get("latest")
            older = [one for one in self._waiting if key and one.get("latest") == key]
            for one in older:
                self._waiting.remove(one)
            if {self._working, asked["ask"]} <= LONG:  # told before it can begin, so that it is the first part
                self._write({"id": asked["id"], "part": {"waits": self._working}})
            self._waiting.append(asked)
            self._changed.notify()
        for one in older:
            self._write({"id": one["id"], "dropped": True})

    def _cancel(self, id: int) -> None:
        if id == self._begun:
            self._cancelled.add(id)
            return
        for one in [one for one in self._waiting if one["id"] == id]:
            self._waiting.remove(one)
            self._write({"id": id, "dropped": True})

    def work(self) -> None:
        """Answer the next ask that is there; waits for one."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            asked = self._waiting.popleft()
            self._begun, self._working = int(asked["id"]), str(asked["ask"])
        self._answer(asked)
        with self._changed:
            self._begun, self._working = None, ""
            self._cancelled.clear()

    def _answer(self, asked: Json) -> None:
        try:
            self._tell(int(asked["id"]), str(asked["ask"]), asked["with"])
        except Exception as error:
            self._write({"id": asked["id"], "error": said(error)})

    def _short(self) -> list[Json]:
        """Short asks that wait, taken out."""
        with self._changed:
            found = [one for one in self._waiting if one["ask"] in SHORT]
            for one in found:
                self._waiting.remove(one)
        return found

    def _tell(self, id: int, name: str, given: Json) -> None:
        handler = asks(name.partition("/")[0]).get(name)
        if handler is None:
            raise InputError(f"there is nothing to ask called {name[:100]!r}")
        found = handler(self._player, given)
        if isinstance(found, dict):
            self._write({"id": id, "answer": found})
            return
        with contextlib.closing(_as_generator(found)) as parts:
            for part in parts:
                if id in self._cancelled:
                    break
                self._write({"id": id, "part": part})
                for short in self._short():
                    self._answer(short)
        self._write({"id": id, "end": True})


def _as_generator(parts: Iterator[Json]) -> Any:
    """Something that can be closed where it stands."""
    return parts if hasattr(parts, "close") else (part for part in parts)


def said(error: Exception) -> Json:
    """An error as a line tells it; a fault of ours leaves its traceback on stderr."""
    if isinstance(error, ElboroomError):
        return {"code": "ability" if isinstance(error, Unable) else "input", "message": str(error)}
    traceback.print_exception(error)
    kind = type(error).__name__
    return {"code": "fault", "message": f"a fault of ours ({kind}); the studio keeps the last lines of its log"}


def _told(out: IO[str]) -> Callable[[Json], None]:
    """Writes a line whole, from whichever thread."""
    from elboroom.web.answers import document

    turn = threading.Lock()

    def write(line: Json) -> None:
        text = document(line).decode("utf-8")
        with turn:
            out.write(text + "\n")
            out.flush()

    return write


def _read(worker: Worker) -> None:
    for line in sys.stdin:
        worker.take(line)
    os._exit(0)  # nobody is left to answer; nothing here is ever half written


def main(path: str) -> int:
    """Load the run and answer until the input ends."""
    started = time.monotonic()
    handle = os.dup(1)
    out = os.fdopen(handle, "w", encoding="utf-8")
    os.dup2(2, 1)  # what a model or a library prints is no answer
    write = _told(out)
    from elboroom.engine.runtime import configure, cores
    from elboroom.run import load

    threads = min(THREADS, cores())
    with configure(threads, "default"):
        try:
            player = Player(load(Path(path)))
        except Exception as error:
            write({"error": said(error)})
            return 1
        worker = Worker(player, write)
        with contextlib.suppress(OSError):
            os.nice(NICER)
        write({"ready": {"seconds": round(time.monotonic() - started, 3), "threads": threads}})
        threading.Thread(target=_read, args=(worker,), daemon=True, name="asks").start()
        while True:
            worker.work()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
