"""What the tests of paths need: a served run, and an ear for every file and connection that is opened."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from elboroom.run import Run
from elboroom.serve.app import Serving
from served import TOKEN, Client, serving

_heard: list[str] | None = None


def _listen(event: str, details: tuple[Any, ...]) -> None:
    if _heard is None or threading.current_thread() is threading.main_thread():
        return
    if event in ("open", "os.listdir", "os.scandir", "socket.connect", "subprocess.Popen"):
        _heard.append(f"{event} {details[0]!r}")


@pytest.fixture
def served_texts(digits_run: Run) -> Iterator[Client]:
    own = Serving(digits_run)
    with serving(lambda port: own.app(port, TOKEN), own.worker.stop) as client:
        yield client


@pytest.fixture(scope="session")
def _ear() -> None:
    sys.addaudithook(_listen)  # there is no way to take one off again; it does nothing while nobody listens


@pytest.fixture
def audited(_ear: None, served_texts: Client) -> Iterator[list[str]]:
    """Files and connections that the server's threads open, once it has begun."""
    global _heard
    served_texts.ask("GET", "/health")
    _heard = []
    yield _heard
    _heard = None
