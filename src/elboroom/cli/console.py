"""What reaches the terminal: one JSON document or text on stdout, one-line messages on stderr.

Names from data may hold anything, so control characters are shown as escapes, never sent.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["STARTED", "document", "line", "print_answer", "say", "table"]

STARTED = time.monotonic()
"""When this program began, before the slow imports: --minutes count from here."""


def line(text: str) -> str:
    """The text as one line without control characters."""
    joined = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in joined)


def say(text: str) -> None:
    """One message on stderr; only the first of several processes speaks."""
    if os.environ.get("RANK", "0") == "0":
        _write(sys.stderr, f"{line(text)}\n")


def print_answer(text: str) -> None:
    """The answer on stdout; only the first of several processes speaks."""
    if text and os.environ.get("RANK", "0") == "0":
        _write(sys.stdout, text if text.endswith("\n") else text + "\n")


def document(value: Any) -> str:
    """JSON of what a verb returns: numbers that are not finite become null, paths text, arrays lists."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Columns set apart by two spaces; the last one is not padded."""
    body = [[line(cell) for cell in row] for row in ([head] if head else [])] + [[line(c) for c in row] for row in rows]
    if not body:
        return ""
    widths = [max(len(row[i]) for row in body) for i in range(len(body[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in body)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return str(value)


def _write(stream: Any, text: str) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
