"""Which runs there are: the folders under one folder, each known to a page by an id and never by its path.

An id is the SHA-256 of a folder's name below the shelf, cut to 16 digits: the same after a restart, and nothing that
could lead elsewhere. What is asked for by an id is looked up in what was found; links are not followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shlex
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elboroom.artifacts import files
from elboroom.core.errors import ElboroomError, InputError

__all__ = ["Found", "Missing", "Shelf", "holder", "identity", "is_held"]

OWN = ".studio"
"""The studio's own folder: uploads, logs of what it started, the bin, comparisons."""
_OWNER = re.compile(r"process (\d+) on host (\S+)")


class Missing(Exception):
    """Nothing of that id is here; whether it was never there or may not be seen is not told."""


@dataclass(frozen=True)
class Found:
    """One run folder."""

    id: str
    name: str
    """Below the shelf: `vae-digits-1`, or `sweep-2/beta=4` for a member of a sweep."""
    path: Path


def identity(name: str) -> str:
    """The id of a name."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Shelf:
    """The folder of runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.own = self.folder / OWN
        self._from = Path.cwd()
        self._known: dict[str, Found] = {}

    def runs(self) -> list[Found]:
        """Every run folder directly on the shelf, or one folder deeper, as the members of a sweep are."""
        found = []
        for name, path in _folders(self.folder):
            if os.path.lexists(path / "run.json"):
                found.append(Found(identity(name), name, path))
                continue
            for inner, deeper in _folders(path):
                if os.path.lexists(deeper / "run.json"):
                    found.append(Found(identity(f"{name}/{inner}"), f"{name}/{inner}", deeper))
        return found

    def run(self, id: str) -> Found:
        """The run of that id. Raises Missing. One that was found before is not searched for again while it is there."""
        held = self._known.get(id)
        if held is None or not self._stands(held.path):
            self._known = {found.id: found for found in self.runs()}
            held = self._known.get(id)
        return held or _missing()

    def _stands(self, path: Path) -> bool:
        links = os.path.islink(path) or (path.parent != self.folder and os.path.islink(path.parent))
        return os.path.lexists(path / "run.json") and not links

    def said(self, name: str) -> str:
        """A run, or another folder below the shelf, as a shell takes it where the studio was started.

        A shelf that lies elsewhere is named by its last folder alone: a page is told no places of this machine.
        """
        inside = self.folder.is_relative_to(self._from)
        return shlex.quote(os.path.join(self.folder.relative_to(self._from) if inside else self.folder.name, name))

    def free_name(self, model: str, data: str, taken: set[str]) -> str:
        """MODEL-DATA-N with the first N that is free and not of `taken`, names of starts without a folder yet."""
        stem = re.sub(r"[^\w.-]+", "_", data.split(".")[0]).strip("._-")[:60] or "data"
        number = 1
        while (name := f"{model}-{stem}-{number}") in taken or os.path.lexists(self.folder / name):
            number += 1
        return name

    # ---- the bin ----------------------------------------------------------------------------------------------------

    def bin(self, ids: list[str]) -> list[dict[str, str]]:
        """Move runs to the bin. A run that a process holds is refused, and then none is moved."""
        chosen = [self.run(id) for id in ids]
        for found in chosen:
            if is_held(found.path):
                raise InputError(f"{found.name}: is running; stop it first")
        files.make_folder(self.own / "bin")
        moved = []
        for found in chosen:
            token = secrets.token_hex(8)
            files.make_folder(self.own / "bin" / token)
            files.write_json(self.own / "bin" / token / "was.json", {"name": found.name})
            files.rename(found.path, self.own / "bin" / token / "run")
            moved.append({"token": token, "name": found.name})
        return moved

    def binned(self) -> list[dict[str, Any]]:
        """What the bin holds, the newest first: "token", "name", "moved_s"."""
        held = []
        for _, place in _folders(self.own / "bin"):
            with contextlib.suppress(ElboroomError, OSError, ValueError, KeyError):
                name = str(files.read_json(place / "was.json")["name"])
                held.append({"token": place.name, "name": name, "moved_s": (place / "was.json").stat().st_mtime})
        return sorted(held, key=lambda one: -float(one["moved_s"]))

    def restore(self, tokens: list[str]) -> list[str]:
        """Put runs back from the bin under their old names; a name that was taken meanwhile gets a number."""
        held = {path.name: path for _, path in _folders(self.own / "bin")}
        names = []
        for token in tokens:
            place = held.get(token) or _missing()
            name = str(files.read_json(place / "was.json")["name"])
            target, number = self.folder / name, 1
            while os.path.lexists(target):
                number += 1
                target = self.folder / f"{name}-{number}"
            files.make_folder(target.parent)
            files.rename(place / "run", target)
            files.remove_tree(place)
            names.append(str(target.relative_to(self.folder)))
        return names


def _missing() -> Any:
    raise Missing


def _folders(path: Path) -> list[tuple[str, Path]]:
    try:
        with os.scandir(path) as entries:
            listed = [e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    except OSError:
        return []
    return [(name, path / name) for name in sorted(listed)]


def holder(path: Path) -> int:
    """The process that holds a run's lock; 0 where none does, or where it is on another machine."""
    try:
        text = (path / "lock").read_bytes()[:1000].decode(errors="replace")
    except OSError:
        return 0
    match = _OWNER.search(text)
    if match is None or match[2] != socket.gethostname():
        return 0
    return int(match[1]) if is_held(path) else 0


def is_held(path: Path) -> bool:
    """Whether a process holds the run's lock, which its death frees."""
    try:
        descriptor = os.open(path / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
