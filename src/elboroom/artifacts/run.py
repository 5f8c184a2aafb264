"""A run folder: what one training run keeps, and who may write to it.

    run.json   what was asked for and chosen, and the state; replaced whole
    history.jsonl   one line a logged step; a checkpoint notes its length, resume cuts back to it
    weights.safetensors  metrics.json  details.json  card.md  report.html  media/   replaced whole
    checkpoints/   the last two good states (manifest.py)
    log.txt  lock

One process at a time writes: it holds a kernel lock (flock) on `lock`, which its death frees. What that file says
(process, host, start) serves the message to a second process only. Network file systems without flock are refused.
Readers need no lock: every file but the two that grow is replaced in one instant.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import secrets
import socket
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from elboroom.core.errors import InputError

from . import files
from .manifest import Checkpoints

__all__ = ["RunFolder", "alone_in"]

FORMAT, SCHEMA = "elboroom-run", 1

_OWNED = (
    "history.jsonl",
    "weights.safetensors",
    "metrics.json",
    "details.json",
    "per_example.npz",
    "card.md",
    "report.html",
    "log.txt",
    "run.json",  # last: while it is there, a replacing that was killed can be repeated
)


class RunFolder:
    """One run on disk. `create` makes a new one and holds its lock, `open` finds one; `lock` before any write."""

    def __init__(self, path: Path, meta: dict[str, Any]) -> None:
        self.path = path
        self.meta = meta
        """run.json as last read or written; `write_meta` is how it changes."""
        self.history = path / "history.jsonl"
        self.weights = path / "weights.safetensors"
        self.metrics = path / "metrics.json"
        self.details = path / "details.json"
        self.card = path / "card.md"
        self.report = path / "report.html"
        self._held: weakref.finalize[..., RunFolder] | None = (
            None  # closes the lock file, at the latest with this object
        )

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, force: bool = False) -> RunFolder:
        """A new run in a new or empty folder, its lock held; `force` removes the run that is there, and only that.

        Found out first, before any work: whether the folder can be written at all.
        """
        folder = cls(Path(path).expanduser().absolute(), {})
        _check_free(folder.path, force)
        files.make_folder(folder.path)
        files.probe(folder.path)
        folder._take_lock()
        _check_free(folder.path, force)  # again: another process may have run in between
        folder._remove()
        folder.meta = {"id": secrets.token_hex(8)}
        return folder

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """The run in a folder; a folder without one, a damaged run.json or one of a newer elboroom is refused."""
        folder = Path(path).expanduser().absolute()
        if not os.path.isfile(folder / "run.json"):  # a folder that is closed to this user counts as none
            what = "is no run folder: it holds no run.json" if os.path.isdir(folder) else "there is no such run folder"
            raise InputError(f"{path}: {what}; name a folder that `elboroom fit` made")
        return cls(folder, _read_meta(folder / "run.json"))

    @contextmanager
    def lock(self) -> Iterator[RunFolder]:
        """Be the one process that writes to this run; what a killed one left half-written is removed first."""
        if self._held is None:
            self._take_lock()
        try:
            self._clean()
            yield self
        finally:
            held, self._held = self._held, None
            if held is not None:
                held()

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        """Replace run.json; format, schema version, maker and the run's identity are filled in."""
        known = {
            "format": FORMAT,
            "schema_version": SCHEMA,
            "created_by": meta.get("created_by") or f"elboroom {importlib.metadata.version('elboroom')}",
            "id": self.meta.get("id") or secrets.token_hex(8),
        }
        whole = {**known, **{key: value for key, value in meta.items() if key not in known}}
        files.write_json(self.path / "run.json", whole)
        self.meta = whole

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """The saved states; each names this run, so that a state copied from another run is not taken for ours."""
        return Checkpoints(self.path / "checkpoints", run=self.meta.get("id", ""))

    def media(self, name: str) -> Path:
        """The path of a picture or array under `media/`, its folder made; write it with `files.output`."""
        path = self.path / "media" / name
        files.make_folder(path.parent)
        return path

    def log(self, text: str) -> None:
        """Add to log.txt, with the time."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        files.append_text(self.path / "log.txt", f"{now} {text}\n")

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row to the history with one write."""
        files.append_line(self.history, row)

    def offset(self) -> int:
        """Length of the history in bytes, made durable first, so that a state that notes it finds as much again."""
        if not self.history.exists():
            return 0
        files.fsync_file(self.history)
        files.fsync_folder(self.path)
        return self.history.stat().st_size

    def truncate(self, offset: int) -> None:
        """Cut the history to the length that a checkpoint noted: rows of steps that will be done again are dropped."""
        size = self.history.stat().st_size if self.history.exists() else 0
        if size < offset:
            raise InputError(
                f"{self.history}: holds {size:,} bytes, and the checkpoint was saved after {offset:,}: it was cut or "
                "replaced; restore it from a copy, or start anew with `elboroom fit --force`"
            )
        if size > offset:
            files.truncate(self.history, offset)

    def rows(self) -> list[dict[str, Any]]:
        """All rows of the history; a last line without its end (still being written, or killed) is left out."""
        if not self.history.exists():
            return []
        content = self.history.read_bytes()
        rows = []
        for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise InputError(f"{self.history}: line {number} is damaged: no JSON object; remove that line")
            rows.append(row)
        return rows

    def _take_lock(self) -> None:
        self._held = weakref.finalize(self, os.close, _locked(self.path / "lock"))

    def _clean(self) -> None:
        files.remove_litter(self.path)
        Checkpoints(self.path / "checkpoints").clean()
        media = self.path / "media"
        for folder in [media, *(p for p in media.rglob("*") if p.is_dir() and not p.is_symlink())]:
            files.remove_litter(folder)

    def _remove(self) -> None:
        """Remove a run: files of names that are elboroom's own, and `media/` whole; whatever else is there stays."""
        self._clean()
        Checkpoints(self.path / "checkpoints").remove()
        for name in ("media", *_OWNED):
            if os.path.lexists(self.path / name):
                files.remove_tree(self.path / name)
        files.fsync_folder(self.path)


def _read_meta(path: Path) -> dict[str, Any]:
    meta = files.read_json(path)
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(f"{path}: is not the run.json of a run of elboroom; name a folder that `elboroom fit` made")
    version = meta.get("schema_version")
    if type(version) is not int or version < 1:
        raise InputError(f"{path}: is damaged: schema_version is {version!r}; restore it from a copy")
    if version > SCHEMA:
        made_by = meta.get("created_by") or "a newer elboroom"
        raise InputError(f"{path}: made by {made_by}, schema {version}; this one reads up to {SCHEMA}: update elboroom")
    return meta


def _check_free(path: Path, force: bool) -> None:
    """A folder that is absent or holds nothing of anyone's may become a run; with `force`, a run may too."""
    if not os.path.exists(path):  # also where a folder above is closed to this user: making it says so
        return
    if not path.is_dir():
        raise InputError(f"{path}: is a file; name a folder for the run")
    with os.scandir(path) as entries:
        free = not any(_matters(entry) for entry in entries)
    if free:
        return
    if not (path / "run.json").is_file():
        raise InputError(f"{path}: holds files and is no run; name a new or empty folder")
    if not force:
        raise InputError(
            f"{path}: holds a run already; `elboroom resume {path}` goes on with it, --force replaces it, or name "
            "another folder with --run"
        )
    kind = files.read_json(path / "run.json")
    if not isinstance(kind, dict) or kind.get("format") != FORMAT:
        raise InputError(f"{path}: holds a run.json that is not elboroom's; name a new or empty folder")


def _matters(entry: os.DirEntry[str]) -> bool:
    """Whether an entry would be missed: not what a start leaves that was killed before it wrote run.json."""
    if entry.name == "lock" or files.is_litter(entry.name):
        return False
    if not entry.is_dir(follow_symlinks=False):
        return True
    begun = {"step-0000000000"} if entry.name == "checkpoints" else set()
    return any(name not in begun and not files.is_litter(name) for name in os.listdir(entry.path))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the one process that writes in a folder that is no run; raises as the lock of a run does."""
    descriptor = _locked(folder / "lock")
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int:
    """The descriptor of the lock file, locked for as long as it is open; the file is never deleted to break a lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror}; name a folder you may write to") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 1000).decode(errors="replace").strip() or "another process"
        os.close(descriptor)
        raise InputError(f"{path.parent}: is in use by {owner}; wait until it ends, or stop it") from None
    except OSError as error:
        os.close(descriptor)
        raise InputError(f"{path}: this file system has no locks ({error.strerror}); keep runs on another") from error
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on host {socket.gethostname()} since {started}\n".encode())
    return descriptor
