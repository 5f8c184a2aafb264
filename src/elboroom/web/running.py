"""The one way in which a server of ours is run: on loopback, with deadlines, no access log, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from elboroom.core.errors import InputError

from .deadlines import HEAD_S, TAKE_S, protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["listening", "made", "run", "served"]

MOST_CONNECTIONS = 2048
GRACE_S = 2
"""Seconds for answers to go out at the end."""


def listening(port: int) -> socket.socket:
    """A socket on 127.0.0.1; port 0 takes a free one. Raises InputError where it cannot be had."""
    # with its protocol named, for asyncio switches Nagle's delay off for none other: a body would wait 40 ms for the
    # receipt of its head
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(MOST_CONNECTIONS)
    except (OSError, OverflowError) as error:
        sock.close()
        said = (getattr(error, "strerror", None) or "no such port").lower()
        raise InputError(f"--port {port}: cannot be used ({said}); --port 0 takes a free one") from error
    return sock


def made(app: ASGIApp, *, head_s: float = HEAD_S, take_s: float = TAKE_S) -> uvicorn.Server:
    """uvicorn with our limits."""
    config = uvicorn.Config(
        app,
        http=protocol(head_s, take_s),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="critical",  # a fault of ours is told by the guard
        access_log=False,  # an address may hold the token
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=MOST_CONNECTIONS,
    )
    return uvicorn.Server(config)


async def served(
    server: uvicorn.Server,
    sock: socket.socket,
    started: Callable[[], None] = lambda: None,
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Serve to the end; `started` is called once requests are answered, `stopping` before answers are waited for."""
    going = asyncio.ensure_future(server.serve(sockets=[sock]))
    while not (server.started or going.done()):
        await asyncio.sleep(0.01)
    if server.started:
        started()
    while not (server.should_exit or going.done()):
        await asyncio.sleep(0.05)
    stopping()
    await going


def run(
    app: ASGIApp,
    sock: socket.socket,
    started: Callable[[], None] = lambda: None,
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM, and return; a second SIGINT does not wait for answers."""
    kinds = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    # uvicorn raises a signal again when it has ended; the end was an orderly one, so nothing is left to be done
    before = {kind: signal.signal(kind, lambda number, frame: None) for kind in kinds}
    try:
        asyncio.run(served(made(app), sock, started, stopping))
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
