"""The holding place: what was dropped on a page, kept on this machine until a run is started with it.

A page first says which files come, with names and sizes; then each comes as bytes under its number. Names are taken
apart and cleaned, so that a name leads nowhere but into its own upload. The same files dropped again are found by
their fingerprint, of names and sizes and the page's time stamps.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from elboroom.artifacts import files
from elboroom.core.errors import InputError

from .shelf import Missing

__all__ = ["FILE_LIMIT", "Holding"]

FILE_LIMIT = 256 << 20
"""Bytes of one file."""
UPLOAD_LIMIT, MOST_FILES, DEEPEST = 1 << 30, 50_000, 6
_ID = re.compile(r"[0-9a-f]{16}")


class Holding:
    """The uploads under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, name: str, listed: list[dict[str, Any]]) -> dict[str, Any]:
        """Say what will come: {"id", "missing": numbers of the files that are not here yet, "name"}."""
        if not listed or len(listed) > MOST_FILES:
            raise InputError(f"an upload has 1 to {MOST_FILES:,} files; larger ones: `elboroom fit MODEL FOLDER`")
        sizes = [int(one["size"]) for one in listed]
        if max(sizes) > FILE_LIMIT or sum(sizes) > UPLOAD_LIMIT or min(sizes) < 0:
            raise InputError(
                f"a page may bring {FILE_LIMIT >> 20} MB a file and {UPLOAD_LIMIT >> 20} MB in all; "
                "larger data: `elboroom fit MODEL PATH` in a terminal"
            )
        names = _distinct([clean_path(str(one["name"])) for one in listed])
        stated = [[n, s, one.get("changed")] for n, s, one in zip(names, sizes, listed, strict=True)]
        id = hashlib.sha256(json.dumps([name, stated]).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        place = self.folder / id
        top = clean_path(name).replace("/", "_")
        if not (place / "upload.json").is_file():
            files.make_folder(place)
            held = {"name": top, "files": [{"name": n, "size": s} for n, s in zip(names, sizes, strict=True)]}
            files.write_json(place / "upload.json", held)
        return {"id": id, "name": top, "missing": self.missing(id)}

    def missing(self, id: str) -> list[int]:
        """Numbers of the files that have not come whole."""
        _, held = self._held(id)
        return [i for i, one in enumerate(held["files"]) if not _is_whole(self._file(id, held, i), one["size"])]

    async def put(self, id: str, number: int, pieces: AsyncIterator[bytes]) -> None:
        """Take one file's bytes; it appears whole or not at all."""
        _, held = self._held(id)
        if not 0 <= number < len(held["files"]):
            raise Missing
        target, size = self._file(id, held, number), held["files"][number]["size"]
        if _is_whole(target, size):
            async for _ in pieces:
                pass
            return
        files.make_folder(target.parent, durable=False)
        with files.output(target, force=True) as place, place.open("xb") as file:
            got = 0
            async for piece in pieces:
                got += len(piece)
                if got > size:
                    break
                file.write(piece)
            if got != size:
                raise InputError(f"{held['files'][number]['name']}: {got:,} of {size:,} bytes came; drop it again")

    def data(self, id: str) -> tuple[Path, str]:
        """(the file or folder that a run reads, its name). Refused while files are missing."""
        place, held = self._held(id)
        if gone := self.missing(id):
            raise InputError(
                f"{held['name']}: {len(gone):,} of {len(held['files']):,} files have not come; drop it again"
            )
        if len(held["files"]) == 1 and "/" not in held["files"][0]["name"]:
            return self._file(id, held, 0), held["name"]
        return place / "data" / held["name"], held["name"]

    def listed(self) -> list[dict[str, Any]]:
        """Whole uploads, newest first."""
        found = []
        for place in sorted(self.folder.glob("*/upload.json"), key=lambda p: -p.stat().st_mtime):
            id = place.parent.name
            try:
                whole = not self.missing(id)
            except (Missing, InputError, KeyError, TypeError):
                continue
            if whole:
                held = files.read_json(place)
                size = sum(one["size"] for one in held["files"])
                found.append({"id": id, "name": held["name"], "files": len(held["files"]), "bytes": size})
        return found

    def _held(self, id: str) -> tuple[Path, dict[str, Any]]:
        place = self.folder / id
        if not _ID.fullmatch(id) or not (place / "upload.json").is_file():
            raise Missing
        held: dict[str, Any] = files.read_json(place / "upload.json")
        return place, held

    def _file(self, id: str, held: dict[str, Any], number: int) -> Path:
        name = held["files"][number]["name"]
        single = len(held["files"]) == 1 and "/" not in name
        return self.folder / id / "data" / (held["name"] if single else f"{held['name']}/{name}")


def clean_path(name: str) -> str:
    """A relative path without anything that leads out of a folder, hides a file or cannot be typed."""
    parts = [_clean(part) for part in name.replace("\\", "/").split("/")]
    parts = [part for part in parts if part]
    if not parts or len(parts) > DEEPEST:
        raise InputError(f"a file's name has 1 to {DEEPEST} parts; rename it")
    return "/".join(parts)


def _clean(part: str) -> str:
    kept = "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else "_" for c in part).strip()
    kept = kept.encode("utf-8", "replace").decode().lstrip(".-")  # neither hidden, nor a flag, nor a way up
    while len(kept.encode()) > 120:
        kept = kept[1:]  # the ending decides how it is read
    return kept


def _distinct(names: list[str]) -> list[str]:
    seen: set[str] = set()
    for i, name in enumerate(names):
        number = 1
        while name in seen:
            number += 1
            head, _, tail = names[i].rpartition("/")
            name = f"{head}/{number}-{tail}" if head else f"{number}-{tail}"
        seen.add(name)
        names[i] = name
    return names


def _is_whole(path: Path, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except OSError:
        return False
