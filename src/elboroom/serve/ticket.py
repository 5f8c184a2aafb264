"""The texts of one request: what the worker has written of them, and whoever waits for it.

All methods but the making are called on the event loop's thread. A reader who is slow finds what came in the meantime
in one piece, so nothing is kept twice and a request's memory is bounded by its texts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elboroom.batching import Gain, Row
    from elboroom.generation import Generation

__all__ = ["Ticket"]


class Ticket:
    """`count` texts that were admitted."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.rows: list[Row] = []
        self.opened = time.monotonic()
        self.first_s: float | None = None
        """Seconds from admission to the first token."""
        self.done: dict[int, Generation] = {}
        """By row number."""
        self.failed: Exception | None = None
        self._gains: list[Gain] = []
        self._news, self._end = asyncio.Event(), asyncio.Event()

    @property
    def finished(self) -> bool:
        return self.failed is not None or len(self.done) == self.count

    @property
    def prompt_tokens(self) -> int:
        """Of all prompts, each counted once."""
        each = self.rows[:: self.rows[0].asked.n] if self.rows else []
        return sum(len(row.text.ids) for row in each)

    def read(self, rows: Sequence[Row]) -> None:
        """The prompts have been read; called by the worker before the first gain is told."""
        self.rows = list(rows)

    def gain(self, gains: Sequence[Gain]) -> None:
        if self.first_s is None:
            self.first_s = time.monotonic() - self.opened
        self._gains += gains
        self.done |= {gain.row.text.row: gain.done for gain in gains if gain.done is not None}
        self._tell()

    def fail(self, error: Exception) -> None:
        self.failed = error
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        if self.finished:
            self._end.set()

    async def news(self) -> list[Gain]:
        """What was written since the last look, at least something; [] at the end. Raises what made it fail."""
        if not self._gains and not self.finished:
            await self._news.wait()
        self._news.clear()
        if self.failed is not None:
            raise self.failed
        gains, self._gains = self._gains, []
        return gains

    async def whole(self) -> list[Gain]:
        """All that was written, at the end."""
        await self._end.wait()
        return await self.news()
