"""Children that are asked: one that checks forms and is kept alive between questions, one that tries a training.

The first answer of the one waits for a model's imports; of the other there is one at a time, and a newer question ends
it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from elboroom.web.answers import Refusal

__all__ = ["Checker", "Trials"]

WAIT_S, TRIAL_S = 60.0, 120.0


class Checker:
    """Questions one after the other; a child that died is started anew."""

    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The checker's answer. Raises Refusal where it has none."""
        async with self._turn:
            child = self._child
            if child is None or child.returncode is not None:
                child = self._child = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "elboroom.studio.checker", cwd=self._cwd,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, limit=4 << 20,
                )  # fmt: skip
            assert child.stdin is not None and child.stdout is not None
            try:
                child.stdin.write(json.dumps(question).encode() + b"\n")
                await child.stdin.drain()
                line = await asyncio.wait_for(child.stdout.readline(), WAIT_S)
                answer: dict[str, Any] = json.loads(line)
            except (OSError, TimeoutError, ValueError):
                self.close()
                raise Refusal(503, "the check did not answer; try again, or give the command in a terminal") from None
            except asyncio.CancelledError:
                self.close()  # its answer would be taken for that of the next question
                raise
            return answer

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()


class Trials:
    """How long a training would take; the newest question alone is answered."""

    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd
        self._child: asyncio.subprocess.Process | None = None

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The child's answer; {"error": sentence} where it has none."""
        self.close()
        child = self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "elboroom.studio.trial", cwd=self._cwd,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, limit=4 << 20,
        )  # fmt: skip
        try:
            out, _ = await asyncio.wait_for(child.communicate(json.dumps(question).encode()), TRIAL_S)
            answer: dict[str, Any] = json.loads(out)
        except TimeoutError:
            return {"error": f"a trial took longer than {TRIAL_S:.0f} s"}
        except ValueError:
            newer = child is not self._child
            return {"error": "a newer question took its place" if newer else "the trial ended without an answer"}
        finally:
            if child.returncode is None:
                child.kill()
        return answer

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
