"""Runs that are served, one server each for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from elboroom.data.reading import Reading
from elboroom.run import Run
from elboroom.serve.app import Serving
from served import TOKEN, Client, serving
from text_toys import TRAIN, few_drawn


@contextmanager
def server(run: Run, **options: Any) -> Iterator[tuple[Serving, Client]]:
    own = Serving(run, **options)
    with serving(lambda port: own.app(port, TOKEN), own.worker.stop) as client:
        yield own, client


@pytest.fixture(scope="session")
def served_run() -> Any:
    """`with served_run(run, slots=2) as (serving, client)`."""
    return server


@pytest.fixture(scope="session")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny transformer on letters."""
    from elboroom.fitting import fit

    folder = tmp_path_factory.mktemp("text")
    (folder / "prose.txt").write_text(TRAIN, encoding="utf-8")
    with few_drawn():
        return fit("gpt", str(folder / "prose.txt"), run=folder / "tiny", reading=Reading(window=32),
                   settings={"layers": 1, "heads": 2, "width": 16}, steps=20, threads=1)  # fmt: skip


@pytest.fixture(scope="session")
def text(text_run: Run) -> Iterator[Client]:
    with server(text_run, slots=64, queue=0) as (_, client):
        yield client
