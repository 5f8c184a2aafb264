"""What a run folder holds, read without torch: every part, or the sentence that says why it is missing.

A report is made of runs that are running, stopped, failed or damaged as well as of finished ones. So only run.json
must be readable; all else that cannot be read is left out under its reason.
"""

from __future__ import annotations

import fcntl
import io
import json
import math
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.core import registry
from elboroom.core.errors import ElboroomError, InputError

from .plots import Array

__all__ = ["Contents", "History", "entries", "read_run"]

LARGEST_JSON = 64_000_000
"""Bytes; a larger file is none that a run writes."""


@dataclass
class History:
    """The columns of history.jsonl: for each name the rows that have it."""

    steps: dict[str, Array] = field(default_factory=dict)
    epochs: dict[str, Array] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    """Not-finite values, written as null, are nan here."""
    rows: int = 0
    time_s: float = 0.0

    def terms(self) -> list[str]:
        """Names logged for any part, without "train/", "valid/" or "test/", in the order in which they were met."""
        return list(dict.fromkeys(name.split("/", 1)[1] for name in self.values if "/" in name))


@dataclass
class Contents:
    """One run folder."""

    folder: Path
    meta: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    details: dict[str, Any]
    columns: list[dict[str, Any]]
    """media/reconstruction.json: one entry a column of a table."""
    history: History
    codes: dict[str, np.ndarray[Any, Any]]
    missing: dict[str, str]
    """Why a part is not there: "metrics", "details", "history", "codes" ..."""

    @property
    def name(self) -> str:
        return str(self.meta.get("name") or self.folder.name)

    @property
    def state(self) -> str:
        return str(self.meta.get("state") or "stopped")

    @property
    def data(self) -> dict[str, Any]:
        return _table(self.meta.get("data"))

    @property
    def spec(self) -> dict[str, Any]:
        return _table(self.data.get("spec"))

    @cached_property
    def entry(self) -> registry.Entry | None:
        """The model as its source states it; None where this installation does not know it."""
        try:
            return registry.entry(str(self.meta.get("model")))
        except (ElboroomError, OSError, ValueError):
            return None

    def lacks(self, ability: str, verb: str) -> str:
        """ "autoencoder cannot sample; vae can" where the model is known to lack the ability, else ""."""
        if self.entry is None or ability in self.entry.abilities:
            return ""
        able = [e.name for e in registry.entries() if ability in e.abilities]
        return f"{self.entry.name} cannot {verb}; {', '.join(able) or 'no model'} can"

    def part(self, name: str) -> dict[str, Any]:
        """A sub-table of run.json, empty where it is missing."""
        return _table(self.meta.get(name))

    def detail(self, name: str) -> dict[str, Any]:
        """A sub-table of details.json, empty where it is missing."""
        return _table(self.details.get(name))


def read_run(path: Path) -> Contents:
    """All of a run folder that can be read; InputError where it is none."""
    path = Path(path)
    file = path / "run.json"
    if not file.is_file():
        raise InputError(
            f"{path}: this is no run folder, run.json is missing; give the folder that `elboroom fit` wrote"
        )
    meta, reason = _json(file)
    if not isinstance(meta, dict):
        raise InputError(f"{file}: {reason or 'it holds no table'}; a report needs it")
    missing: dict[str, str] = {}
    state = str(meta.get("state"))
    if state == "running" and not _is_held(path / "lock"):
        meta = {**meta, "state": "stopped", "why": "Its process is gone. " + str(meta.get("why") or "")}
        state = "stopped"
    parts: dict[str, Any] = {}
    for name, place in (
        ("metrics", "metrics.json"),
        ("details", "details.json"),
        ("columns", "media/reconstruction.json"),
    ):
        parts[name], why = _json(path / place)
        if why:
            missing[name] = _because(why, state)
    history, why = _history(path / "history.jsonl")
    if why:
        missing["history"] = _because(why, state)
    codes, why = _codes(path / "media" / "codes.npz")
    if why:
        missing["codes"] = _because(why, state)
    metrics = {str(k): v for k, v in _table(parts["metrics"]).items() if isinstance(v, dict)}
    listed = parts["columns"].get("columns", []) if isinstance(parts["columns"], dict) else parts["columns"]
    columns = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
    return Contents(path, meta, metrics, _table(parts["details"]), columns, history, codes, missing)


def _because(why: str, state: str) -> str:
    """The reason in the words of the run's state, where the state explains it."""
    if why.startswith("there is no"):
        ends = {"running": "the run is not at its end", "stopped": "the run was stopped before its end"}
        ends["failed"] = "the run failed before its end"
        return ends.get(state, why)
    return why


def entries(value: Any) -> list[Any]:
    """A list as it is; anything else, which a damaged file may hold, as no entries."""
    return value if isinstance(value, list) else []


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _json(path: Path) -> tuple[Any, str]:
    """(content, "") or (None, reason)."""
    name = f"{path.parent.name}/{path.name}" if path.parent.name == "media" else path.name
    try:
        if path.stat().st_size > LARGEST_JSON:
            return None, f"{name} is larger than any that a run writes"
        return json.loads(path.read_text(encoding="utf-8")), ""
    except FileNotFoundError:
        return None, f"there is no {name} in the run folder"
    except OSError as error:
        return None, f"{name} cannot be read: {error}"
    except ValueError as error:
        return None, f"{name} is damaged: {error}"


def _history(path: Path) -> tuple[History, str]:
    """Every whole line; a last line that was cut off by a kill is left out."""
    history = History()
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return history, "there is no history.jsonl in the run folder"
    found: dict[str, list[tuple[float, float, float]]] = {}
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict):
            continue
        history.rows += 1
        step, epoch = _number(row.get("step")), _number(row.get("epoch"))
        time_s = _number(row.get("time_s"))
        history.time_s = time_s if math.isfinite(time_s) else history.time_s
        for name, value in row.items():
            if "/" in name and (value is None or isinstance(value, int | float)):
                found.setdefault(name, []).append((step, epoch, _number(value)))
    for name, values in found.items():
        table = np.array(values, dtype=np.float64)
        table = table[np.isfinite(table[:, 1])]
        if len(table):
            table = table[np.argsort(table[:, 0], kind="stable")]
            history.steps[name], history.epochs[name], history.values[name] = table.T
    return history, "" if history.values else "nothing was logged"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _codes(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], str]:
    """z (n, d), label and index where they are."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            codes = {name: file[name] for name in ("z", "label", "index") if name in file.files}
    except FileNotFoundError:
        return {}, "there is no media/codes.npz in the run folder"
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        return {}, f"media/codes.npz is damaged: {error}"
    z = codes.get("z")
    if z is None or z.ndim < 2 or not len(z):
        return {}, "media/codes.npz holds no codes"
    codes["z"] = z.reshape(len(z), -1).astype(np.float64)
    good = np.isfinite(codes["z"]).all(axis=1)
    if not good.any():
        return {}, "no code in media/codes.npz is finite"
    return {name: values[good] for name, values in codes.items() if values.shape[:1] == good.shape}, ""


def _is_held(lock: Path) -> bool:
    """Whether a process holds the run's lock."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
