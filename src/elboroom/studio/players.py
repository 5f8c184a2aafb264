"""The processes that hold runs for the pages of play: started at the first ask, kept while they are used.

At most four at once: for a fifth run the one that has been idle longest goes. A process that died says so once, and
the next ask begins a new one; so it does where the run's weights have changed meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from elboroom.artifacts import files
from elboroom.web.answers import Refusal

__all__ = ["Players"]

MOST, IDLE_S = 4, 600.0
LONGEST_LINE = 256 << 20
_STATUS = {"input": 400, "ability": 409, "fault": 500}
_NAMES = {"input": "bad_input", "ability": "unable", "fault": "fault"}
Json = dict[str, Any]


class Players:
    """Processes by run folder. Belongs to the event loop's thread."""

    def __init__(self, folder: Path, cwd: Path, *, most: int = MOST, idle_s: float = IDLE_S) -> None:
        self._folder, self._cwd = folder, cwd
        self._most, self._idle_s = most, idle_s
        self._held: dict[Path, _Player] = {}
        self._left: list[_Player] = []
        """Those that were ended, until their processes are gone."""
        self._turn = asyncio.Lock()

    def state(self, path: Path) -> str:
        """ "none", "loading" or "ready"."""
        player = self._held.get(path)
        return "none" if player is None or player.gone else "ready" if player.ready else "loading"

    def ready(self, path: Path) -> Json:
        """What the process said when it was ready: "seconds" and "threads"; empty before."""
        player = self._held.get(path)
        return player.ready if player else {}

    async def ask(self, path: Path, name: str, given: Json, latest: str = "") -> AsyncGenerator[Json]:
        """The lines that answer one ask: {"answer"}, {"dropped"}, or {"part"} ... {"end"}. Raises Refusal.

        Closing it before its end cancels the ask.
        """
        async with self._turn:
            player = await self._player(path)
        async with contextlib.aclosing(player.ask(name, given, latest)) as lines:
            async for line in lines:
                yield line

    async def _player(self, path: Path) -> _Player:
        player = self._held.get(path)
        if player is not None and not player.gone and (player.busy or player.stamp == _stamp(path)):
            return player
        if player is not None:
            self._let_go(path)
        if len(self._held) >= self._most:
            idle = [key for key, one in self._held.items() if one.gone or not one.busy]
            if not idle:
                raise Refusal(503, f"{self._most} runs are at work for pages of play; stop one of them", code="full")
            self._let_go(min(idle, key=lambda key: self._held[key].used))
        player = self._held[path] = _Player(path, self._idle_s)
        files.make_folder(self._folder)
        await player.start(self._folder / f"{path.name}.txt", self._cwd)
        return player

    def _let_go(self, path: Path) -> None:
        player = self._held.pop(path)
        player.end()
        self._left = [one for one in self._left if one.alive] + [player]

    async def close(self) -> None:
        """End all of them and wait until they are gone."""
        for path in list(self._held):
            self._let_go(path)
        for player in self._left:
            await player.wait()


class _Player:
    """One process and the asks that it has not answered."""

    def __init__(self, path: Path, idle_s: float) -> None:
        self.path, self.stamp = path, _stamp(path)
        self.used = time.monotonic()
        self.gone = False
        self.ready: Json = {}
        self._idle_s = idle_s
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Queue[Json]] = {}
        self._child: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._why = ""

    @property
    def busy(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self._asked)

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self._reader is not None and not self._reader.done()

    async def wait(self) -> None:
        """Return when its process is gone."""
        if self._reader is not None:
            await self._reader

    async def start(self, log: Path, cwd: Path) -> None:
        """Begin to load the run; what it says beside its answers goes to `log`."""
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "elboroom.play.worker", str(self.path), cwd=cwd,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=handle, limit=LONGEST_LINE,
            )  # fmt: skip
        finally:
            os.close(handle)
        self._reader = asyncio.create_task(self._read())
        self._rest()

    async def ask(self, name: str, given: Json, latest: str) -> AsyncGenerator[Json]:
        """The lines that answer, without their number."""
        number, lines = next(self._numbers), asyncio.Queue[Json]()
        self._asked[number] = lines
        self._rest()
        ended = False
        try:
            self._send({"id": number, "ask": name, "with": given, **({"latest": latest} if latest else {})})
            while not ended:
                line = await lines.get()
                ended = "part" not in line
                if (error := line.get("error")) is not None:
                    code = str(error["code"])
                    raise Refusal(_STATUS.get(code, 503), str(error["message"]), code=_NAMES.get(code, code))
                yield line
        finally:
            if not ended:
                self._send({"id": number, "cancel": True})
            self._asked.pop(number, None)
            self._rest()

    def end(self) -> None:
        """End the process."""
        self._fail("this run is no longer held for play; ask again")
        if self._timer is not None:
            self._timer.cancel()
        if self._child is not None and self._child.returncode is None:
            self._child.kill()

    def _send(self, line: Json) -> None:
        if self.gone:
            self._fail(self._why)
            return
        assert self._child is not None and self._child.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):  # its end is told by the reader
            self._child.stdin.write(json.dumps(line).encode() + b"\n")

    async def _read(self) -> None:
        assert self._child is not None and self._child.stdout is not None
        why, kind = "", "gone"
        with contextlib.suppress(OSError, ValueError):
            while raw := await self._child.stdout.readline():
                line: Json = json.loads(raw)
                if "id" in line:
                    if (queue := self._asked.get(line.pop("id"))) is not None:
                        queue.put_nowait(line)
                elif "ready" in line:
                    self.ready = line["ready"]
                else:
                    why, kind = str(line["error"]["message"]), str(line["error"]["code"])
        self._child.stdin.close()  # type: ignore[union-attr]
        code = await self._child.wait()
        if not why and not self.gone:
            how = f"killed by signal {-code}" if code < 0 else f"exit {code}"
            why = f"the process that held this run has ended ({how}); ask again, and a new one begins"
        self._fail(why, kind)

    def _fail(self, why: str, kind: str = "gone") -> None:
        self.gone, self._why = True, self._why or why
        for queue in self._asked.values():
            queue.put_nowait({"error": {"code": kind, "message": self._why}})

    def _rest(self) -> None:
        """Used just now; idle for long from here on, it ends."""
        self.used = time.monotonic()
        if self._timer is not None:
            self._timer.cancel()
        if self.gone:
            return
        self._timer = asyncio.get_running_loop().call_later(self._idle_s, self._end_where_idle)

    def _end_where_idle(self) -> None:
        if self.busy:
            self._rest()
        else:
            self.end()


def _stamp(path: Path) -> int:
    try:
        return os.stat(path / "weights.safetensors").st_mtime_ns
    except OSError:
        return 0
