"""A child process for each crash: forked, so that hundreds of them take seconds."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

KILLED = 137


def _exit_code(body: Callable[[], Any]) -> int:
    """Run `body` in a forked child: 0 where it ends, 99 where it raises, else what it exits with."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # newer Pythons warn of threads; the child starts none it needs
        child = os.fork()
    if child == 0:
        code = 99
        try:
            body()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def exit_code() -> Callable[[Callable[[], Any]], int]:
    return _exit_code


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the machine has one, else on disk: for tests of thousands of files and fsyncs."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)
