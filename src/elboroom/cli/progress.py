"""How a run shows itself while it runs: one updated line on a terminal, plain lines elsewhere.

"left" appears after 10 s and 20 steps and is a range: from the rate of the last minute and of the whole run. Without a
terminal there are no control characters, and a line comes at most every ten seconds.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any

from elboroom.cli import console
from elboroom.report.numbers import written

__all__ = ["Progress"]

REDRAW_S = 1.0
PLAIN_S = 10.0
SURE_S, SURE_STEPS = 10.0, 20
RECENT_S = 60.0
GRAIN_S = 0.25
BAR = 20


class Progress:
    """Takes the events of a run: {"kind": "choice|tick|phase|warning|done", "step", "steps", "logs", "message" ...}."""

    def __init__(self, stream: IO[str] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.clock = clock
        self.live = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.silent = os.environ.get("RANK", "0") != "0"
        self.begun = False
        self.first = (0.0, 0)
        self.recent: deque[tuple[float, int]] = deque()
        self.shown_at = -float("inf")
        self.drawn = False

    def __call__(self, event: Mapping[str, Any]) -> None:
        if self.silent:
            return
        kind = event.get("kind", "tick")
        if kind == "tick":
            self._tick(event)
        elif kind == "done":
            self.close()  # what was made is the answer of the verb
        elif kind == "warning":
            self._message(f"look at this: {event.get('message', '')}")
        else:
            self._message(str(event.get("message", "")))

    def close(self) -> None:
        """Leave the terminal with the cursor on a fresh line."""
        if self.drawn:
            self.stream.write("\n")
            self.stream.flush()
            self.drawn = False

    def _tick(self, event: Mapping[str, Any]) -> None:
        now, step, steps = self.clock(), int(event.get("step", 0)), int(event.get("steps", 0))
        if not self.begun or step < self.first[1]:
            self.begun, self.first = True, (now, step)
            self.recent = deque([(now, step)])
        if now - self.recent[-1][0] >= GRAIN_S:
            self.recent.append((now, step))
        while len(self.recent) > 1 and now - self.recent[0][0] > RECENT_S:
            self.recent.popleft()
        last = steps > 0 and step >= steps
        if not last and now - self.shown_at < (REDRAW_S if self.live else PLAIN_S):
            return
        self.shown_at = now
        text = self._line(event, now, step, steps)
        if self.live:
            self._draw(text, step / steps if steps else 0.0)
        else:
            self._write(f"{text}\n")

    def _line(self, event: Mapping[str, Any], now: float, step: int, steps: int) -> str:
        gone, done = now - self.first[0], step - self.first[1]
        parts = [f"{step:,} of {steps:,} steps" if steps else f"{step:,} steps"]
        if event.get("epochs", 0) >= 1:
            parts.append(f"epoch {_epochs(event.get('epoch', 0))} of {_epochs(event['epochs'])}")
        parts += _losses(event.get("logs") or {})
        if gone >= 1:
            parts.append(f"{written(gone, form='time')} gone")
        if steps and step >= 0.98 * steps:
            parts.append("finishing")
        elif steps and gone >= SURE_S and done >= SURE_STEPS:
            parts.append(self._left(now, step, steps))
        if gone >= 1 and done > 0:
            parts.append(f"{_rate(done / gone)} steps a second")
        return ", ".join(parts)

    def _left(self, now: float, step: int, steps: int) -> str:
        rates = []
        for at, from_step in (self.first, self.recent[0]):
            if now > at and step > from_step:
                rates.append((step - from_step) / (now - at))
        times = sorted((steps - step) / rate for rate in rates)
        return _left(sum(times) / len(times), times[0], times[-1])

    def _message(self, text: str) -> None:
        text = console.line(text)
        if text:
            self._write(f"\r\x1b[K{text}\n" if self.drawn else f"{text}\n")
            self.drawn = False

    def _draw(self, text: str, share: float) -> None:
        full = round(BAR * min(max(share, 0.0), 1.0))
        bar = "\u2588" * full + "\u2591" * (BAR - full)
        width = shutil.get_terminal_size().columns
        self._write(f"\r\x1b[K{f'{bar} {text}'[: max(width - 1, 10)]}")
        self.drawn = True

    def _write(self, text: str) -> None:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self.stream.write(text.encode(encoding, "replace").decode(encoding))
        self.stream.flush()


def _left(middle: float, low: float, high: float) -> str:
    """Seconds as "25 min (24 to 27) left", in one unit for all three."""
    size, unit, digits = (1, "s", 0) if middle < 100 else (60, "min", 0) if middle < 6000 else (3600, "h", 1)
    texts = [f"{seconds / size:.{digits}f}" for seconds in (middle, low, high)]
    return f"{texts[0]} {unit} left" if texts[1] == texts[2] else f"{texts[0]} {unit} ({texts[1]} to {texts[2]}) left"


def _losses(logs: Mapping[str, Any]) -> list[str]:
    """The loss on each part of the data, or else the first term that is logged."""
    terms = {name: value for name, value in logs.items() if "/" in name and isinstance(value, float)}
    losses = {name: value for name, value in terms.items() if name.endswith("/loss_nats")}
    losses = losses or dict(list(terms.items())[:1])
    return [f"{name.removesuffix('/loss_nats')} {value:.5g}" for name, value in losses.items()]


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _epochs(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
