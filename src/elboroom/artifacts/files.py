"""The one door for durable writes: a file or folder appears whole under its final name, or not at all.

The idea: write under a random `.tmp-` name in the same folder, fsync, rename, fsync the folder (the order that ALICE,
Pillai et al., OSDI 2014, found missing in most programs). Temporary names do not derive from the final one, so a name
of 255 bytes works; file modes follow the umask. Every operation passes the seam (seam.py).

A full or broken disk raises `Stopped` with state "failed" (exit 4), a place that cannot be written `InputError`
(exit 2); in both cases nothing half-written is left and what was there before is untouched.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.core.errors import InputError

from .seam import FULL, Action, Buffer, Operation, about_to, explained, is_litter, watched

__all__ = [
    "Buffer",
    "Operation",
    "Written",
    "append_line",
    "append_text",
    "discard",
    "fsync_file",
    "fsync_folder",
    "is_litter",
    "json_text",
    "make_folder",
    "output",
    "probe",
    "read_json",
    "remove_litter",
    "remove_tree",
    "rename",
    "replace_folder",
    "temporary",
    "truncate",
    "unlink",
    "watched",
    "write_bytes",
    "write_json",
    "write_new",
    "write_pieces",
    "write_text",
]

CHUNK = 1 << 20
"""Bytes in one write operation: small enough that a crash inside a large file is among the crash points."""
SMALL = 1 << 16
"""Buffers below this many bytes are joined with their neighbours."""
JSON_LIMIT = 64 << 20
"""Largest JSON file that is read, in bytes."""


# ---- single operations ------------------------------------------------------------------------------------------


def temporary(folder: Path, suffix: str = "") -> Path:
    """A fresh hidden name in `folder`; `is_litter` knows it again after a crash."""
    kept = suffix if re.fullmatch(r"\.\w{1,16}", suffix) else ""
    return folder / f".tmp-{secrets.token_hex(8)}{kept}"


def make_folder(path: Path, *, durable: bool = True) -> None:
    """Make a folder and its parents, each entered durably in the folder above it; an existing folder is fine."""
    with explained(path):
        missing = [p for p in (path, *path.parents) if not os.path.isdir(p)]
        for folder in reversed(missing):
            about_to("mkdir", folder)
            with suppress(FileExistsError):
                folder.mkdir()
            if not os.path.isdir(folder):
                raise NotADirectoryError(errno.ENOTDIR, "there is a file of that name", str(folder))
            if durable:
                fsync_folder(folder.parent)


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    with explained(path):
        about_to("fsync_dir", path)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def rename(path: Path, target: Path) -> None:
    """Rename within one file system; a file at `target` is replaced in the same instant."""
    with explained(target):
        about_to("rename", path, target)
        os.replace(path, target)


def unlink(path: Path) -> None:
    """Remove one file or link."""
    with explained(path):
        about_to("unlink", path)
        os.unlink(path)


def truncate(path: Path, size: int) -> None:
    """Cut a file to `size` bytes and make that durable."""
    with explained(path):
        about_to("truncate", path, size=size)
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, size)
            about_to("fsync", path)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Written:
    """What reached the disk: the number of bytes and their SHA-256 in hex."""

    size: int
    sha256: str


def write_new(path: Path, pieces: Iterable[Buffer]) -> Written:
    """Write a file that does not exist yet and fsync it; the hash of a large one is taken in a second thread."""
    views = [memoryview(piece).cast("B") for piece in pieces if len(piece)]
    size = sum(len(view) for view in views)
    with explained(path, size), ThreadPoolExecutor(1) as pool:
        about_to("open", path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            digest = pool.submit(_sha256, views).result if size > CHUNK else partial(_sha256, views)
            for part in _parts(views):
                _write(descriptor, path, part)
            about_to("fsync", path)
            os.fsync(descriptor)
            return Written(size, digest())
        except BaseException:
            discard(path)
            raise
        finally:
            os.close(descriptor)


def _sha256(views: Iterable[memoryview]) -> str:
    digest = hashlib.sha256()
    for view in views:
        digest.update(view)
    return digest.hexdigest()


def _parts(views: Iterable[memoryview]) -> Iterator[memoryview]:
    """The same bytes in writes of a useful size: large buffers cut, small neighbours joined."""
    small: list[memoryview] = []
    for view in views:
        if len(view) < SMALL and sum(map(len, small)) < SMALL:
            small.append(view)
            continue
        if small:
            yield memoryview(b"".join(small))
            small = []
        if len(view) < SMALL:
            small.append(view)
        else:
            yield from (view[start : start + CHUNK] for start in range(0, len(view), CHUNK))
    if small:
        yield memoryview(b"".join(small))


def _write(descriptor: int, path: Path, view: memoryview, action: Action = "write") -> None:
    about_to(action, path, data=view)
    while view:
        view = view[os.write(descriptor, view) :]


def discard(path: Path) -> None:
    """Remove what an operation that failed left half-written, as far as the disk lets us."""
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


# ---- whole files ------------------------------------------------------------------------------------------------


def write_bytes(path: Path, data: Buffer) -> Written:
    """Write or replace a file: afterwards it holds all of `data`, or what it held before."""
    return write_pieces(path, [data])


def write_pieces(path: Path, pieces: Iterable[Buffer]) -> Written:
    """`write_bytes` for data that lie in several buffers."""
    beside = temporary(path.parent)
    try:
        written = write_new(beside, pieces)
        rename(beside, path)
    except BaseException:
        discard(beside)
        raise
    fsync_folder(path.parent)
    return written


def write_text(path: Path, text: str) -> Written:
    """UTF-8, as it is; a half character from an undecodable file name is written as an escape."""
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> Written:
    """JSON for people to read: order kept, floats exact, what is not finite as null."""
    return write_text(path, json_text(value, indent=2) + "\n")


def json_text(value: Any, indent: int | None = None, *, exact: bool = False) -> str:
    """Strict JSON of plain types, numpy scalars and arrays, and paths; `exact` refuses what null would stand for."""
    return json.dumps(value if exact else _plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    match value:
        case np.generic() | np.ndarray():
            return _plain(value.tolist())
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case os.PathLike():
            return os.fspath(value)
        case _:
            raise TypeError(f"JSON has no form for {type(value).__name__}")


def read_json(path: Path) -> Any:
    """Read a JSON file of ours; a file that is damaged, too deep or too large is refused."""
    try:
        if (size := path.stat().st_size) > JSON_LIMIT:
            raise InputError(f"{path}: {size:,} bytes is more than a JSON file of elboroom ever holds; it is damaged")
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; restore it from a copy") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is damaged: not JSON ({error}); restore it from a copy") from error


def append_line(path: Path, value: Any) -> None:
    """Add one JSON line with one write, so that a reader or a crash sees whole lines only (a torn last one apart)."""
    append_text(path, json_text(value) + "\n")


def append_text(path: Path, text: str) -> None:
    """Add text at the end of a file with one write."""
    data = memoryview(text.encode("utf-8", "backslashreplace"))
    with explained(path, len(data)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            end = os.fstat(descriptor).st_size
            try:
                _write(descriptor, path, data, "append")
            except OSError:
                os.ftruncate(descriptor, end)  # a full disk takes the first bytes of a line; leave none of it
                raise
        finally:
            os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Make durable what was appended to a file."""
    with explained(path):
        about_to("fsync", path)
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- whole folders ----------------------------------------------------------------------------------------------


def remove_tree(path: Path) -> None:
    """Remove a file, a link (never what it points to) or a folder; its name is free at once."""
    if path.is_symlink() or not path.is_dir():
        unlink(path)
        return
    trash = path
    if not is_litter(path.name):
        trash = path.parent / f".trash-{secrets.token_hex(8)}"
        rename(path, trash)
    with explained(path):
        _remove_contents(trash)


def _remove_contents(folder: Path) -> None:
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.is_dir(follow_symlinks=False):
            _remove_contents(Path(entry.path))
        else:
            unlink(Path(entry.path))
    about_to("rmdir", folder)
    os.rmdir(folder)


def replace_folder(new: Path, final: Path) -> None:
    """Give `new` the name `final`, in place of a folder that may be there, and make that durable."""
    old = final.parent / f".trash-{secrets.token_hex(8)}"
    replaced = final.is_dir()
    if replaced:
        rename(final, old)
    rename(new, final)
    fsync_folder(final.parent)
    if replaced:
        remove_tree(old)


def remove_litter(folder: Path) -> None:
    """Remove what killed processes left in a folder of ours; the caller holds the run's lock."""
    if folder.is_dir():
        for name in sorted(os.listdir(folder)):
            if is_litter(name):
                remove_tree(folder / name)


@contextmanager
def output(path: str | os.PathLike[str], *, force: bool = False, owned: Collection[str] = ()) -> Iterator[Path]:
    """A temporary path beside `path`, with the same ending: what the body makes there appears whole as `path`.

    The body writes a file, or makes a folder, at the path it is given. Where it raises, nothing is left. An existing
    `path` is refused before the body runs; `force` replaces a file, and a folder whose files all come anew, but for
    those in folders named in `owned`, which are replaced whole.
    """
    final = Path(path).expanduser().resolve()
    _check_place(Path(path), final, force)
    beside = temporary(final.parent, final.suffix)
    _probe(beside)
    try:
        yield beside
        _put(beside, final, force, owned)
    except BaseException as error:
        discard(beside)
        if isinstance(error, OSError) and error.errno in FULL:  # whatever library wrote, it wrote here
            with explained(final):
                raise
        raise


def _check_place(given: Path, final: Path, force: bool) -> None:
    if not final.parent.is_dir():
        raise InputError(f"{given}: there is no folder {final.parent}; make it first, or name another place")
    if not final.exists():
        return
    mode = final.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{given}: is a device, not a file; name a file")
    if not force:
        raise InputError(f"{given}: exists already; --force replaces it, or name another place")


def probe(folder: Path) -> None:
    """Find out whether a folder can be written by writing to it: InputError says why not."""
    _probe(temporary(folder))


def _probe(path: Path) -> None:
    write_new(path, [b"?"])
    unlink(path)


def _put(new: Path, final: Path, force: bool, owned: Collection[str]) -> None:
    if not new.is_dir():
        if final.is_dir():
            raise InputError(f"{final}: is a folder; name a file")
        if not new.exists():
            raise FileNotFoundError(f"nothing was written for {final}")
        fsync_file(new)
        rename(new, final)
        fsync_folder(final.parent)
        return
    if final.exists():
        if not final.is_dir() or not force:
            raise InputError(f"{final}: exists already and is no folder of ours; name another place")
        foreign = sorted(n for n in _names(final) - _names(new) if Path(n).parts[0] not in owned)
        if foreign:
            raise InputError(f"{final}: holds {foreign[0]}, which would be lost; move it away or name another folder")
    _fsync_tree(new)
    replace_folder(new, final)


def _names(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def _fsync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            fsync_file(path)
    for path in sorted([folder, *(p for p in folder.rglob("*") if p.is_dir())], reverse=True):
        fsync_folder(path)
