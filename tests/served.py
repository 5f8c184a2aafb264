"""A server in a thread of the test's process, and clients that hide nothing: http.client, and bare sockets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from starlette.types import ASGIApp

from elboroom.web.running import listening, made, served

TOKEN = "a-token-for-tests"
JSON = {"Content-Type": "application/json"}


class Client:
    """Asks the server at `port`."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self.port, self.token = port, token

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """The open answer; a body that is no bytes goes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        own = {
            "Authorization": f"Bearer {self.token}",
            "Connection": "close",
            **(JSON if method not in ("GET", "HEAD", "DELETE") else {}),
        }
        connection.request(method, path, data, {**own, **(headers or {})})
        return connection.getresponse()

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Status and document."""
        with self.send(method, path, body, **more) as answer:
            text = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(text) if is_json else text.decode()

    def post(self, path: str, **body: Any) -> Any:
        """The document of a request that is carried out."""
        status, document = self.ask("POST", path, body)
        assert status == 200, document
        return document

    def refused(self, path: str, **body: Any) -> tuple[int, str]:
        """Status and message of one that is not."""
        status, document = self.ask("POST", path, body)
        assert set(document) == {"error"} and set(document["error"]) == {"message", "type", "param", "code"}
        return status, document["error"]["message"]

    def events(self, path: str, **body: Any) -> Iterator[Any]:
        """The events of a stream as they come; the last is "[DONE]"."""
        with self.send("POST", path, {**body, "stream": True}) as answer:
            assert answer.status == 200, answer.read()
            assert answer.headers.get_content_type() == "text/event-stream"
            for line in answer:
                if line.startswith(b"data: "):
                    text = line[6:].strip()
                    yield "[DONE]" if text == b"[DONE]" else json.loads(text)

    def connect(self, **options: int) -> socket.socket:
        """A bare connection."""
        bare = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bare.settimeout(20)
        if "receive" in options:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["receive"])
        bare.connect(("127.0.0.1", self.port))
        return bare


@contextlib.contextmanager
def serving(
    make: Callable[[int], ASGIApp], stopping: Callable[[], None] = lambda: None, **limits: float
) -> Iterator[Client]:
    """`make(port)` answered by uvicorn as it is for users."""
    sock = listening(0)
    port = sock.getsockname()[1]
    with contextlib.ExitStack() as unmade:
        unmade.callback(sock.close)
        server = made(make(port), **limits)
        unmade.pop_all()
    thread = threading.Thread(target=lambda: asyncio.run(served(server, sock, stopping=stopping)), daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    try:
        yield Client(port)
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()
        assert not thread.is_alive(), "the server did not end"


def until(true: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait for it; the seconds that took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it never came"
        time.sleep(0.002)
    return time.monotonic() - began
