"""The one stream of events of a tab: what changed in the list, and new rows, state and pictures of the run it shows.

The id of a row event is the byte offset behind its last row in history.jsonl, so a page that comes back with
`Last-Event-ID` (or `?offset=`) gets every row once. A list has a stamp, which comes with it, with its changes and with
each beat: a page that comes back with an old one is told the whole list. A beat comes every 4 s; a page that misses
three says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from .history import whole_lines
from .looking import media
from .shelf import Found, Missing, Shelf

__all__ = ["stamp_of", "stream"]

LOOK_S, LIST_S, BEAT_S = 0.5, 1.5, 4.0
MOST_ROWS = 5000
"""Rows in one event; a page that is farther behind asks for columns instead."""
LIVE = ("curve", "curve_name", "step", "epoch", "time_s", "logged_s", "pace")
"""What a page knows from the rows themselves; while a run trains its headline is one of them."""
Json = dict[str, Any]


async def stream(
    shelf: Shelf, listed: Callable[[], list[Json]], detail: Callable[[Found], Json], *, run: str, offset: int,
    with_list: bool, stamp: str = "", closing: Callable[[], bool],
) -> AsyncIterator[bytes]:  # fmt: skip
    """Events as text for as long as the page listens; `stamp` is that of the list which it has."""
    seen: dict[str, str] = {}
    last_detail, list_at, beat_at, there = "", 0.0, 0.0, False
    yield b"retry: 2000\n\n"
    while not closing():
        now = time.monotonic()
        if with_list and now - list_at >= LIST_S:
            list_at = now
            rows = await asyncio.to_thread(listed)
            texts = {row["id"]: json.dumps(row) for row in rows}
            reached = _stamp(texts.values())
            if stamp and stamp != reached:
                changed = [row for row in rows if seen.get(row["id"]) != texts[row["id"]]]
                yield _event("runs", {"changed": changed, "ids": list(texts), "stamp": reached})
            seen, stamp = texts, reached
        found = await asyncio.to_thread(_find, shelf, run)
        if there and found is None:  # one that has just been started is not there yet, and is not gone
            yield _event("gone", {"run": run})
        there = found is not None
        if found is not None:
            rows, end = await asyncio.to_thread(whole_lines, found.path / "history.jsonl", offset)
            if end < 0 or len(rows) > MOST_ROWS:
                offset = max(end, 0)
                yield _event("anew", {"run": run}, offset)
            elif rows:
                offset = end
                yield _event("rows", {"run": run, "rows": rows}, offset)
            told = await asyncio.to_thread(_detail, found, detail)
            if told != last_detail:
                last_detail = told
                yield _event("run", told, offset)
        if now - beat_at >= BEAT_S:
            beat_at = now
            yield _event("beat", {"time_s": time.time(), "stamp": stamp}, offset if run else None)
        await asyncio.sleep(LOOK_S)


def stamp_of(rows: list[Json]) -> str:
    """The same for the same list."""
    return _stamp(json.dumps(row) for row in rows)


def _stamp(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _find(shelf: Shelf, run: str) -> Found | None:
    """The run, which may come only after its page, or be moved away under it."""
    try:
        return shelf.run(run) if run else None
    except Missing:
        return None


def _detail(found: Found, detail: Callable[[Found], Json]) -> str:
    summary = detail(found)
    live = {*LIVE, "headline"} if summary.get("state") == "running" else LIVE
    return json.dumps({"summary": {k: v for k, v in summary.items() if k not in live}, "media": media(found)})


def _event(name: str, content: Json | str, id: int | None = None) -> bytes:
    text = content if isinstance(content, str) else json.dumps(content)
    head = "" if id is None else f"id: {id}\n"
    return f"{head}event: {name}\ndata: {text}\n\n".encode()
