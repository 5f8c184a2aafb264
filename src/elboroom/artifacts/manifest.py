"""Checkpoints: the last two good states of a run, each a folder that exists only with a manifest that verifies.

Protocol of `save`, so that a kill or a power cut at any moment leaves the state before or the state after, whole:

    .tmp-<random>/state.safetensors   written, hashed, fsynced
    .tmp-<random>/state.json          the same
    .tmp-<random>/MANIFEST.json       size and SHA-256 of both, run, step; fsynced, then its folder
    rename to step-0000000040         then fsync of checkpoints/
    older than the last two           renamed to .trash-<random>, then deleted

A save of a step that is there already sets the old one aside as `step-0000000040-replaced`, which still counts until
the new one is in place. `newest` reads the highest step that verifies; one that does not is renamed `corrupt-...` and
named in `warnings`. Nothing depends on clocks or times of files. Other names in the folder are never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elboroom.core.errors import InputError

from . import files
from .tensors import parse_tensors, save_tensors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoints"]

FORMAT, SCHEMA = "elboroom-checkpoint", 1
KEPT = 2
"""Good states kept; with one, it could be the one being replaced."""

_TENSORS, _INFO, _MANIFEST = "state.safetensors", "state.json", "MANIFEST.json"
_NAME = re.compile(r"step-(\d{10,})(-replaced)?")
_OURS = re.compile(r"step-\d{10,}(-replaced)?|corrupt-step-\d{10,}(-replaced)?(-\d+)?")


class Checkpoints:
    """The folder `checkpoints/` of one run. Whoever calls `save`, `newest` or `clean` holds the run's lock.

    `run` is the run's identity, noted in each manifest and asked for again; "" takes any.
    """

    def __init__(self, folder: Path, *, run: str = "") -> None:
        self.folder = folder
        self.run = run
        self.warnings: list[str] = []
        """What was found damaged, one sentence each, for the caller to say and log."""

    def steps(self) -> list[int]:
        """Steps of which there is a state, oldest first; whether it is whole, `newest` finds out."""
        return sorted({step for step, _, _ in self._saved()})

    def save(self, step: int, tensors: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        """Keep a state: `tensors` by name, `info` of plain JSON types. Disk full: `Stopped`, what was there stays."""
        files.make_folder(self.folder)
        beside = files.temporary(self.folder)
        try:
            self._write(beside, step, tensors, info)
            self._put(beside, step)
        except BaseException:
            files.discard(beside)
            raise
        self._forget()

    def _write(self, beside: Path, step: int, tensors: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        files.make_folder(beside, durable=False)  # its name lasts from the rename on
        written = {_TENSORS: save_tensors(beside / _TENSORS, tensors, new=True)}
        written[_INFO] = files.write_new(beside / _INFO, [_json(info)])
        manifest = {
            "format": FORMAT,
            "schema_version": SCHEMA,
            "run": self.run,
            "step": step,
            "files": {name: asdict(w) for name, w in written.items()},
        }
        files.write_new(beside / _MANIFEST, [_json(manifest)])
        files.fsync_folder(beside)

    def _put(self, beside: Path, step: int) -> None:
        final = self.folder / f"step-{step:010d}"
        if final.exists():
            aside = self.folder / f"{final.name}-replaced"
            if aside.exists():
                files.remove_tree(aside)
            files.rename(final, aside)
        files.rename(beside, final)
        files.fsync_folder(self.folder)

    def _forget(self) -> None:
        """Remove all but the newest; only after the new state is in place and durable."""
        saved = self._saved()
        originals = {step for step, original, _ in saved if original}
        keep = sorted({step for step, _, _ in saved})[-KEPT:]
        for step, original, path in saved:
            if step not in keep or (not original and step in originals):
                files.remove_tree(path)

    def newest(self) -> tuple[int, dict[str, Tensor], dict[str, Any]]:
        """(step, tensors, info) of the newest state that verifies; without any: InputError, never a silent restart."""
        for step, _, path in reversed(self._saved()):
            try:
                tensors, info = self._read(path, step)
            except ValueError as error:
                self._quarantine(path, str(error))
            else:
                return step, tensors, info
        found = f" ({'; '.join(self.warnings)})" if self.warnings else ""
        raise InputError(
            f"{self.folder}: holds no good state to go on from{found}; a run is never restarted silently: "
            "restore a checkpoint from a copy, or start anew with `elboroom fit --force`"
        )

    def _read(self, path: Path, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """A state whose manifest verifies; ValueError says what does not."""
        import torch

        manifest = _parse(_MANIFEST, _content(path / _MANIFEST))
        expected = {"format": FORMAT, "schema_version": SCHEMA, "step": step}
        if self.run:
            expected["run"] = self.run
        for key, value in expected.items():
            if manifest.get(key) != value:
                raise ValueError(f"{_MANIFEST} says {key} {manifest.get(key)!r} where {value!r} belongs")
        match manifest.get("files"):
            case {"state.safetensors": dict(first), "state.json": dict(second)}:
                tensors, info = _verified(path / _TENSORS, first), _verified(path / _INFO, second)
            case _:
                raise ValueError(f"{_MANIFEST} does not name its files")
        return {name: torch.as_tensor(x) for name, x in parse_tensors(tensors).items()}, _parse(_INFO, info)

    def _quarantine(self, path: Path, why: str) -> None:
        target = self.folder / f"corrupt-{path.name}"
        number = 1
        while target.exists():
            number += 1
            target = self.folder / f"corrupt-{path.name}-{number}"
        files.rename(path, target)
        files.fsync_folder(self.folder)
        self.warnings.append(f"the state in {path} is damaged ({why}); it was set aside as {target.name}")

    def forget_after(self, step: int) -> None:
        """Remove the states of later steps, for who goes back to `step` and walks on from there."""
        for later, _, path in self._saved():
            if later > step:
                files.remove_tree(path)

    def clean(self) -> None:
        """Remove what killed processes left half-written or half-deleted."""
        files.remove_litter(self.folder)

    def remove(self) -> None:
        """Remove every state, the damaged included; other files in the folder stay."""
        self.clean()
        for name in sorted(_listed(self.folder)):
            if _OURS.fullmatch(name):
                files.remove_tree(self.folder / name)

    def _saved(self) -> list[tuple[int, bool, Path]]:
        """(step, whether it is the original and not set aside, folder), oldest first."""
        matches = [(name, _NAME.fullmatch(name)) for name in _listed(self.folder)]
        return sorted((int(m[1]), m[2] is None, self.folder / name) for name, m in matches if m)


def _listed(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from error


def _verified(path: Path, written: dict[str, Any]) -> bytes:
    content = _content(path)
    if asdict(files.Written(len(content), hashlib.sha256(content).hexdigest())) != written:
        raise ValueError(f"{path.name} is not what was written: its size or SHA-256 differs")
    return content


def _json(value: Mapping[str, Any]) -> bytes:
    return (files.json_text(value, indent=1, exact=True) + "\n").encode("utf-8", "backslashreplace")


def _parse(name: str, content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"{name} is not a JSON object")
    return parsed
