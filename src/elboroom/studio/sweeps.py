"""Sweeps as a page shows them: what sweep.json keeps, beside the state that the members' own folders tell.

A sweep is a folder directly on the shelf, or the shelf itself. Its members are runs of the shelf and known by the ids
of those; a name in sweep.json leads nowhere but to a run that was found.
"""

from __future__ import annotations

import math
import os
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Any

from elboroom.cli.parser import without
from elboroom.core.errors import InputError
from elboroom.report import words
from elboroom.sweeping_table import settings_table

from .shelf import Found, Missing, Shelf, identity
from .summary import Summaries, changed_s, read_json

__all__ = ["Sweeps"]

MOST_MEMBERS = 2000
QUIET_S = 120.0
"""A sweep prepares and compiles between members, while no lock is held; after so long a silence its process is gone."""
BOTH_LESS = {"rate_nats"}
"""Less of it is better only where something else is held against it."""
FIRST = ["rate_nats", "distortion_nats"]
"""What a page opens with, x and y, where both were measured."""
ELSEWHERE = {"--from", "--config", "--models", "--tokenizer", "--observed"}
"""Flags whose words may name files beside the folder of the first call."""
Json = dict[str, Any]


class Sweeps:
    """The sweeps on a shelf."""

    def __init__(self, shelf: Shelf, summaries: Summaries) -> None:
        self.shelf, self.summaries = shelf, summaries
        self._tables: dict[str, tuple[Any, Json]] = {}
        """Of each sweep that was looked at its measures, with what they were made of."""

    def listed(self) -> list[Json]:
        """One row a sweep, the newest first: name, state, model, data, fields, seeds, members by state."""
        runs = self._runs()
        rows = [self._row(name, path, runs)[0] for name, path in self._places()]
        return sorted(rows, key=lambda row: (-float(row["changed"]), str(row["name"])))

    def of(self, id: str) -> Json:
        """One sweep: its row, its members, its settings with measures. Raises Missing.

        "measures" names them; a member's "metrics" are its values in that order, null where it has none, a setting's
        "measures" [mean, low, high] over its seeds.
        """
        name, path = self.place(id)
        row, members = self._row(name, path, self._runs())
        if "model" not in row:
            return row
        stamp = (row["changed"], [member["state"] for member in members])
        if name not in self._tables or self._tables[name][0] != stamp:
            self._tables[name] = (stamp, _measured(members))
        return {**row, **self._tables[name][1], "report": (path / "report.html").is_file()}

    def ids(self) -> set[str]:
        """Of all sweeps there are."""
        return {identity(name) for name, _ in self._places()}

    def place(self, id: str) -> tuple[str, Path]:
        """(name, folder) of a sweep. Raises Missing."""
        for name, path in self._places():
            if identity(name) == id:
                return name, path
        raise Missing

    def again(self, id: str) -> tuple[str, Path, list[str]]:
        """(name, folder, words of `elboroom`) to go on with a sweep. Raises InputError where only a terminal can.

        The data are named as sweep.json found them, since a page's children run in another folder than the first call.
        """
        name, path = self.place(id)
        meta, damage = read_json(path / "sweep.json")
        try:
            words = shlex.split(str(meta.get("command") or ""))
        except ValueError:
            words = []
        named = {word.split("=")[0] for word in words if word.startswith("--")}
        plain = len(words) > 3 and words[1] == "sweep" and not any(word.startswith("-") for word in words[2:4])
        if damage or not plain or named & ELSEWHERE:
            raise InputError("go on with this sweep in a terminal: its command names files that a page does not read")
        data = str(meta.get("data") or words[3])
        source = str(Path(data).absolute()) if os.sep in data else data
        kept = without(words[4:], {"--run": 1, "--or-resume": 0, "--force": 0, "--json": 0, "--debug": 0})
        return name, path, ["sweep", words[2], source, *kept, "--run", str(path), "--or-resume"]

    def _places(self) -> list[tuple[str, Path]]:
        folder = self.shelf.folder
        try:
            with os.scandir(folder) as entries:
                inner = [e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
        except OSError:
            inner = []
        places = [(folder.name, folder), *((name, folder / name) for name in sorted(inner))]
        return [(name, path) for name, path in places if os.path.lexists(path / "sweep.json")]

    def _runs(self) -> dict[Path, Found]:
        return {found.path: found for found in self.shelf.runs()}

    def _row(self, name: str, path: Path, runs: dict[Path, Found]) -> tuple[Json, list[Json]]:
        """What the list says of a sweep, and its members."""
        meta, damage = read_json(path / "sweep.json")
        changed = changed_s(path / "sweep.json")
        row: Json = {"id": identity(name), "name": name, "changed": changed, "state": "unreadable", "why": damage}
        if damage:
            return {**row, "total": 0, "counts": {}}, []
        known = [one for one in _listed(meta.get("members"))[:MOST_MEMBERS] if isinstance(one, dict)]
        members = [self._member(one, runs.get(path / str(one.get("name")))) for one in known]
        state, why = _state(meta, members, changed)
        over = {str(k): _listed(v) for k, v in _table(meta.get("over")).items()}
        return {
            **row,
            "state": state,
            "why": why,
            "model": str(meta.get("model") or ""),
            "data": os.path.basename(str(meta.get("data") or "")),
            "over": over or {"seed": []},
            "seeds": _listed(meta.get("seeds")),
            "took_s": _finite(meta.get("took_s")),
            "command": str(meta.get("command") or ""),
            "total": len(members),
            "counts": Counter(member["state"] for member in members),
        }, members

    def _member(self, one: Json, found: Found | None) -> Json:
        """A member with what its folder says now; "why" of one that failed."""
        now = self.summaries.of(found) if found else {"state": "waiting", "why": ""}
        metrics = _table(one.get("metrics"))
        if found and now["state"] == "done" and not metrics:  # done since sweep.json was written
            metrics = read_json(found.path / "metrics.json")[0]
        return {
            "name": str(one.get("name")) if found is None else found.name,
            "run": found.id if found else "",
            "over": _table(one.get("over")),
            "seed": one.get("seed"),
            "state": now["state"],
            "why": now["why"],
            "metrics": {k: _plain(m) for k, m in metrics.items() if isinstance(m, dict)},
        }


def _state(meta: Json, members: list[Json], changed: float) -> tuple[str, str]:
    state, why = str(meta.get("state") or "stopped"), str(meta.get("why") or "")
    if state != "running" or any(member["state"] == "running" for member in members):
        return state, why
    if time.time() - changed < QUIET_S:
        return state, why
    return "stopped", "Its process is gone; what was finished is kept."


def _table(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _finite(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if plain else None


def _plain(found: Json) -> Json:
    return {"value": _finite(found.get("value")), "unit": str(found.get("unit") or "")}


def _keys(table: list[Json]) -> list[str]:
    """Measures that any setting has, in the order of the report."""
    order = {key: place for place, key in enumerate(words.MEASURES)}
    found = {key for row in table for key, m in row["measures"].items() if m["value"] is not None}
    return sorted(found, key=lambda key: (order.get(key, len(order)), key))


def _measured(members: list[Json]) -> Json:
    """Members and settings with what was measured."""
    table = settings_table(members)
    keys, listed = _keys(table), []
    for key in keys:
        word = words.measure(key)
        unit = next(row["measures"][key]["unit"] for row in table if key in row["measures"])
        better = word.better or ("less" if key in BOTH_LESS else "")
        listed.append({"key": key, "label": word.label, "better": better, "unit": unit})
    metrics = [[_short(m["metrics"].get(key, {}).get("value")) for key in keys] for m in members]
    return {
        "measures": listed,
        "axes": _axes(table),
        "members": [{**m, "metrics": found} for m, found in zip(members, metrics, strict=True)],
        "table": [{**row, "measures": [_mean(row["measures"].get(key)) for key in keys]} for row in table],
    }


def _mean(found: Json | None) -> list[float | None] | None:
    if found is None or found["value"] is None:
        return None
    return [_short(found[name]) for name in ("value", "low", "high")]


def _short(value: float | None) -> float | None:
    """Seven digits: a page shows four at most."""
    return None if value is None else float(f"{value:.7g}")


def _axes(table: list[Json]) -> list[str]:
    """The two measures that the main figure begins with."""
    keys = _keys(table)
    if set(FIRST) <= set(keys):
        return FIRST
    heads = [key for group in words.HEADLINES for key in group if key in keys]
    rest = [key for key in keys if key not in heads and words.measure(key).better]
    return (heads + rest + keys)[:2]
