"""The child that checks forms, kept alive between questions: its first answer waits for a model's imports."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from elboroom.web.answers import Refusal

__all__ = ["Checker"]

WAIT_S = 60.0


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
