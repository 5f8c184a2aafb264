"""How long a connection may be slow: a layer around uvicorn's own protocol, which knows no such limits.

A request's head has 10 seconds to come, counted from the connection or from the first byte after the last answer; what
we send has 30 seconds to be taken. Then the connection is cut. (Idle connections are closed by uvicorn, bodies are
timed by the guard.)
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HEAD_S", "TAKE_S", "protocol"]

HEAD_S, TAKE_S = 10.0, 30.0


class Timed(asyncio.Protocol):
    """Hands everything on to `inner`."""

    def __init__(self, inner: H11Protocol, head_s: float, take_s: float) -> None:
        self.inner, self.head_s, self.take_s = inner, head_s, take_s
        self._head: asyncio.TimerHandle | None = None
        self._take: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.inner.connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        self.inner.data_received(data)
        self._look()

    def eof_received(self) -> None:
        self.inner.eof_received()

    def pause_writing(self) -> None:
        self.inner.pause_writing()
        self._take = asyncio.get_running_loop().call_later(self.take_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._take = _stopped(self._take)
        self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._take = _stopped(self._head), _stopped(self._take)
        self.inner.connection_lost(exc)

    def _look(self) -> None:
        """Start the clock where a head is waited for, stop it where one has come."""
        cycle = self.inner.cycle
        if cycle is not None and not cycle.response_complete:
            self._head = _stopped(self._head)
        elif self._head is None:
            self._head = asyncio.get_running_loop().call_later(self.head_s, self._late)

    def _late(self) -> None:
        self._head = None
        cycle = self.inner.cycle
        if cycle is None or cycle.response_complete:
            self.transport.abort()


def _stopped(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """None, with the timer off."""
    if timer is not None:
        timer.cancel()
    return None


def protocol(head_s: float = HEAD_S, take_s: float = TAKE_S) -> Any:
    """For `uvicorn.Config(http=...)`."""

    def made(**given: Any) -> Timed:
        return Timed(H11Protocol(**given), head_s, take_s)

    return made
