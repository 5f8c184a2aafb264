"""What the list says of one run, from its JSON files: state, progress, headline, a curve of 60 points.

Kept until a file changes, so a list of a thousand runs reads a thousand times one `stat`.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from elboroom.report import words
from elboroom.report.numbers import parts, written

from .history import parsed, whole_lines
from .shelf import Found, is_held

__all__ = ["Summaries", "changed_s", "measures", "state_of"]

CURVE = 60
PACE_S = 60.0
"""The last stretch of training whose steps a second say what is left of it."""
_READ = ("run.json", "metrics.json", "history.jsonl", "report.html")
WHOLE, PIECE, PIECES = 1 << 20, 1 << 15, 24
"""Bytes: a history up to the first is read whole, of a longer one pieces that lie evenly, its two ends among them."""
Json = dict[str, Any]


def read_json(path: Path) -> tuple[Json, str]:
    """(table, "") or ({}, what is wrong with it)."""
    try:
        if path.stat().st_size > 64 << 20:
            return {}, f"{path.name} is larger than any that a run writes"
        found = json.loads(path.read_bytes())
    except OSError as error:
        return {}, f"{path.name} cannot be read: {(error.strerror or 'refused').lower()}"
    except json.JSONDecodeError as error:
        return {}, f"cannot be read: {path.name}, line {error.lineno}"
    except (ValueError, RecursionError):
        return {}, f"cannot be read: {path.name}"
    return (found, "") if isinstance(found, dict) else ({}, f"cannot be read: {path.name} holds no table")


def state_of(path: Path, meta: Json) -> tuple[str, str]:
    """(state, why). A run that says "running" while nobody holds its lock has lost its process."""
    state, why = str(meta.get("state") or "stopped"), str(meta.get("why") or "")
    if state == "running" and not is_held(path):
        return "stopped", "Its process is gone; the last saved state is kept." + (f" {why}" if why else "")
    return state, why


class Summaries:
    """Summaries by run, each with the times of the files that it was made of."""

    def __init__(self) -> None:
        self._held: dict[Path, tuple[Any, Json]] = {}

    def of(self, found: Found) -> Json:
        """The summary of one run."""
        stamp = tuple(_stamp(found.path / name) for name in _READ)
        held = self._held.get(found.path)
        if held is None or held[0] != stamp:
            held = (stamp, _summary(found, str(held[1].get("curve_name") or "") if held else ""))
            self._held[found.path] = held
        summary = dict(held[1])
        if summary["state"] == "running" and not is_held(found.path):
            summary["state"], summary["why"] = state_of(found.path, {"state": "running"})
        return summary


def changed_s(path: Path) -> float:
    """When a file was last written, in seconds of the clock; 0 where there is none."""
    return _stamp(path)[0] / 1e9


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _summary(found: Found, before: str) -> Json:
    """`before` is the curve that was shown last: pieces of a long history may miss a column that is seldom logged."""
    meta, damage = read_json(found.path / "run.json")
    if damage:
        return {"id": found.id, "name": found.name, "state": "unreadable", "why": damage, "started": "", "curve": []}
    data = meta.get("data") if isinstance(meta.get("data"), dict) else {}
    budget = meta.get("budget") if isinstance(meta.get("budget"), dict) else {}
    rows, whole = _rows(found.path / "history.jsonl")
    main = _main(rows, "" if whole else before)
    last = rows[-1] if rows else {}
    state = str(meta.get("state") or "stopped")
    return {
        "id": found.id,
        "name": found.name,
        "state": state,
        "why": str(meta.get("why") or ""),
        "model": str(meta.get("model") or ""),
        "data": str((data or {}).get("name") or ""),
        "fingerprint": str((data or {}).get("fingerprint") or ""),
        "started": str(meta.get("started") or ""),
        "took_s": meta.get("took_s"),
        "step": last.get("step") if state == "running" else meta.get("step", last.get("step")),
        "steps": (budget or {}).get("planned_steps"),
        "epoch": last.get("epoch"),
        "epochs": (budget or {}).get("epochs"),
        "time_s": last.get("time_s"),
        "logged_s": changed_s(found.path / "history.jsonl"),
        "pace": _pace(rows),
        "headline": _headline(found.path, rows, main),
        "report": (found.path / "report.html").is_file(),
        **_curve(rows, main),
    }


def _rows(path: Path) -> tuple[list[Json], bool]:
    """All rows of a short history, True; of a long one those of its pieces, False."""
    try:
        size = path.stat().st_size
        if size <= WHOLE:
            return whole_lines(path, 0)[0], True
        lines: list[bytes] = []
        with path.open("rb") as file:
            for i in range(PIECES):
                start = i * (size - PIECE) // (PIECES - 1)
                file.seek(start)
                lines += file.read(PIECE).split(b"\n")[1 if start else 0 : -1]  # cut lines at both ends are left out
    except OSError:
        return [], True
    return parsed(lines), False


def _main(rows: list[Json], before: str) -> str:
    """The curve that a list shows: the first loss on validation data if any row has one, else on training data."""
    names = list(dict.fromkeys(name for row in rows for name in row if "/" in name))
    names += [before] if before and before not in names else []
    for start in ("valid/loss", "valid/", "train/loss", "train/"):
        for name in names:
            if name.startswith(start):
                return name
    return names[0] if names else ""


def _pace(rows: list[Json]) -> float | None:
    """Steps a second over the last minute of training."""
    timed = [(t, s) for row in rows if (t := _finite(row.get("time_s"))) and (s := _finite(row.get("step")))]
    if len(timed) < 2:
        return None
    (first, start), (last, end) = next(p for p in timed if p[0] >= timed[-1][0] - PACE_S), timed[-1]
    if last <= first:
        first, start = timed[-2]
    return (end - start) / (last - first) if last > first and end > start else None


def _curve(rows: list[Json], name: str) -> Json:
    pairs = [(row.get("step"), row.get(name)) for row in rows if name and name in row]
    if len(pairs) > CURVE:
        pairs = [pairs[round(i * (len(pairs) - 1) / (CURVE - 1))] for i in range(CURVE)]
    return {"curve": pairs, "curve_name": name}


def measures(path: Path) -> list[Json]:
    """Every measure as a page shows it, in the order of the report: label, text, unit, which way is better, how."""
    metrics, _ = read_json(path / "metrics.json")
    order = {key: place for place, key in enumerate(words.MEASURES)}
    listed = sorted((k for k in metrics if isinstance(metrics[k], dict)), key=lambda k: order.get(k, len(order)))
    return [_measure(key, metrics[key]) for key in listed]


def _measure(key: str, found: Json) -> Json:
    word = words.measure(key)
    value, low, high = (_finite(found.get(name)) for name in ("value", "low", "high"))
    shown = parts(value, low, high) if value is not None else None
    return {
        "key": key,
        "label": word.label,
        "better": word.better,
        "meaning": word.meaning,
        "value": value,
        "low": low,
        "high": high,
        "text": "none" if shown is None else str(shown),
        "unit": str(found.get("unit") or ""),
        "split": str(found.get("split") or ""),
        "n": found.get("n"),
        "how": str(found.get("how") or ""),
        "references": [
            {"name": str(r.get("name")), "value": _finite(r.get("value")), "text": written(_finite(r.get("value")))}
            for r in found.get("references") or []
            if isinstance(r, dict)
        ],
    }


def _headline(path: Path, rows: list[Json], name: str) -> Json | None:
    """The first measure of the report; before there is one, the newest value of the run's main curve, "so far"."""
    metrics, _ = read_json(path / "metrics.json") if (path / "metrics.json").is_file() else ({}, "")
    for keys in words.HEADLINES:
        for key in keys:
            if isinstance(metrics.get(key), dict) and _finite(metrics[key].get("value")) is not None:
                return _measure(key, metrics[key])
    value = _finite(next((row[name] for row in reversed(rows) if name in row), None)) if name else None
    if value is None:
        return None
    part, key = name.split("/", 1)
    word, unit = words.measure(key), f"{'validation' if part == 'valid' else part}, so far"
    shown = {"key": name, "label": word.label, "better": word.better, "text": written(value)}
    return {**shown, "unit": unit, "value": value}


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
