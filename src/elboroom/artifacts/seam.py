"""The seam that every operation on the disk passes, and what a disk that fails raises.

The idea: `about_to` is called before each operation. It does nothing, unless a test watches: then the test can crash,
fail or record at the k-th of them, as SQLite's tests do.

`explained` turns an OSError into words: a disk that is full or broken (ENOSPC, EDQUOT, EFBIG, EIO) raises `Stopped`
with state "failed" (exit 4); a place that cannot be written (no permission, read-only, vanished, a file where a folder
should be) raises `InputError` (exit 2). Any other passes as it is.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from elboroom.core.errors import InputError, Stopped

__all__ = ["FULL", "Buffer", "Operation", "about_to", "explained", "is_litter", "watched"]

Buffer = bytes | memoryview
Action = Literal["open", "write", "append", "truncate", "fsync", "rename", "unlink", "mkdir", "rmdir", "fsync_dir"]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DISK = {*FULL, errno.EIO}
_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
_PLACE |= {errno.ELOOP}
_LITTER = re.compile(r"\.(tmp|trash)-[0-9a-f]{16}(\.\w{1,16})?")


@dataclass(frozen=True)
class Operation:
    """One operation on the disk, about to happen. `target` belongs to a rename, `data` to a write, `size` to a cut."""

    action: Action
    path: Path
    target: Path | None = None
    data: Buffer = b""
    size: int = 0


_watcher: Callable[[Operation], None] | None = None


@contextmanager
def watched(watcher: Callable[[Operation], None]) -> Iterator[None]:
    """Call `watcher` before every operation; what it raises is what the operation raises."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before


def about_to(action: Action, path: Path, target: Path | None = None, data: Buffer = b"", size: int = 0) -> None:
    if _watcher is not None:
        _watcher(Operation(action, path, target, data, size))


@contextmanager
def explained(path: Path, needed: int = 0) -> Iterator[None]:
    """Turn the faults of a disk into the two errors that the module's docstring names."""
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        place = next((above.parent for above in (path, *path.parents) if is_litter(above.name)), path)
        if error.errno in _DISK:
            needs = f"; {needed:,} bytes were to be written" if needed else ""
            raise Stopped(f"{place}: {said}{needs}, {_free(place)} are free; free some room there and go on") from error
        if error.errno in _PLACE:
            raise InputError(f"{place}: cannot be written: {said}; name a place that {_user()} may write") from error
        raise


def is_litter(name: str) -> bool:
    """Whether a name is one that `temporary` or `remove_tree` gave, left behind by a killed process."""
    return _LITTER.fullmatch(name) is not None


def _free(path: Path) -> str:
    for folder in (path, *path.parents):
        with suppress(OSError):
            return f"{shutil.disk_usage(folder).free:,} bytes"
    return "unknown bytes"


def _user() -> str:
    return f"user {os.geteuid()}" if hasattr(os, "geteuid") else "this user"
