"""What a server has done, as plain numbers and in Prometheus' text form."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Counted", "Counts"]

BOUNDS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


@dataclass
class Counts:
    """Since the server's start."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By address and status."""
    tokens: int = 0
    refused: int = 0
    """Requests for texts that found slots and queue full."""
    cancelled: int = 0
    """Texts ended before their end."""
    first: Counter[float] = field(default_factory=Counter)
    """Requests for texts by the bound that their time to the first token does not exceed."""
    first_s: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def first_token(self, seconds: float) -> None:
        self.first[next((bound for bound in BOUNDS_S if seconds <= bound), float("inf"))] += 1
        self.first_s += seconds

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """The exposition format, version 0.0.4; `gauges`: name to (help, value)."""
        lines = _head("requests_total", "counter", "Requests by address and status.")
        lines += [
            f'elboroom_requests_total{{path="{path}",status="{status}"}} {count}'
            for (path, status), count in sorted(self.requests.items())
        ]
        for name, about, value in (
            ("tokens_total", "Tokens written.", self.tokens),
            ("refused_total", "Requests for texts that found slots and queue full.", self.refused),
            ("cancelled_total", "Texts ended before their end.", self.cancelled),
        ):
            lines += [*_head(name, "counter", about), f"elboroom_{name} {value}"]
        lines += _head("first_token_seconds", "histogram", "From admission to the first token.")
        running = 0
        for bound in BOUNDS_S:
            running += self.first[bound]
            lines.append(f'elboroom_first_token_seconds_bucket{{le="{bound:g}"}} {running}')
        count = sum(self.first.values())
        lines.append(f'elboroom_first_token_seconds_bucket{{le="+Inf"}} {count}')
        lines += [f"elboroom_first_token_seconds_sum {self.first_s:g}", f"elboroom_first_token_seconds_count {count}"]
        up = ("Seconds since the start.", time.monotonic() - self.began)
        for name, (about, number) in {**gauges, "uptime_seconds": up}.items():
            lines += [*_head(name, "gauge", about), f"elboroom_{name} {number:g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP elboroom_{name} {about}", f"# TYPE elboroom_{name} {kind}"]


class Counted:
    """Counts every answer of `app`, refusals included, under the address that `known` names for its path."""

    def __init__(self, app: ASGIApp, counts: Counts, known: Callable[[str], str]) -> None:
        self.app, self.counts, self.known = app, counts, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.counts.requests[self.known(scope["path"]), message["status"]] += 1
            await send(message)

        await self.app(scope, receive, counting if scope["type"] == "http" else send)
