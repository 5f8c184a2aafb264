"""What rules look at and what they give: a run folder's own words, and findings. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

from elboroom.core.errors import InputError

__all__ = ["Finding", "Record", "Row", "Rule", "is_number", "median", "percent", "read_record", "share", "step_of"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One check: `value` against `threshold`; `since_step` is None where it cannot be dated."""

    name: str
    level: str
    value: float | None
    threshold: float | None
    since_step: int | None
    why: str
    try_: str

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        found["try"] = found.pop("try_")
        return found


@dataclass(frozen=True)
class Record:
    """What a run folder says of itself; empty parts where it is silent."""

    meta: dict[str, Any]
    history: list[Row]
    metrics: dict[str, Any]
    details: dict[str, Any]


Rule = Callable[[Record], Finding | None]
"""Gives None where it has nothing to look at."""


def read_record(folder: Path | str) -> Record:
    """Read a run folder; a last line of history that was cut off is left out."""
    path = Path(folder)
    if not (path / "run.json").is_file():
        raise InputError(f"{folder}: is no run folder, run.json is missing; give the folder that `elboroom fit` wrote")
    history: list[Row] = []
    if (path / "history.jsonl").is_file():
        for line in (path / "history.jsonl").read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                history.append(row)
    return Record(_json(path / "run.json"), history, _json(path / "metrics.json", {}), _json(path / "details.json", {}))


def _json(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    if missing is not None and not path.is_file():
        return missing
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read: {error}; restore it from a copy or run the verb that wrote it"
        ) from error
    if not isinstance(held, dict):
        raise InputError(f"{path}: holds no table; restore it from a copy or run the verb that wrote it")
    return held


def is_number(value: Any) -> TypeGuard[float]:
    """A finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def step_of(row: Row) -> int:
    """The step of a line of history."""
    step = row.get("step")
    return int(step) if is_number(step) else 0


def median(values: list[float]) -> float:
    """0 of no values."""
    ordered = sorted(values)
    n = len(ordered)
    return 0.0 if n == 0 else (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def share(part: float, whole: float) -> float:
    """part / whole; of nothing it is all or nothing."""
    return part / whole if whole > 0 else float(part > 0)


def percent(part: float) -> str:
    """ "12.5 %"."""
    return f"{100 * part:.3g} %"
