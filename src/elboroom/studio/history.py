"""history.jsonl as columns: read once from where the last reading ended, sent with at most two points a pixel column.

Of each pixel column the lowest and the highest value are kept, so a spike is never smoothed away; what fits is exact.
The mean that a page draws over the raw line is taken here, over all rows, centred and shortened at the ends.
"""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Histories", "parsed", "whole_lines"]

KEPT = 16
"""Runs whose columns stay in memory."""
LEAST_FOR_MEAN = 20
LARGEST_PIECE = 64 << 20
"""Bytes read at once."""

Rows = list[dict[str, Any]]
Points = dict[str, Any]


def whole_lines(path: Path, offset: int) -> tuple[Rows, int]:
    """The rows from a byte offset on, and the offset behind the last whole one. A shorter file begins anew, at -1."""
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < offset:
                return [], -1
            file.seek(offset)
            content = file.read(LARGEST_PIECE)
    except OSError:
        return [], 0
    end = content.rfind(b"\n") + 1
    return parsed(content[:end].splitlines()), offset + end


def parsed(lines: list[bytes]) -> Rows:
    """Lines as rows; one that is damaged is left out."""
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


class _Columns:
    """One run's history so far."""

    def __init__(self) -> None:
        self.offset = 0
        self.rows = 0
        self.axes: dict[str, list[float]] = {"step": [], "epoch": [], "time": []}
        self.values: dict[str, tuple[list[int], list[float]]] = {}
        """For each name the rows that have it, and their values; what was not finite is nan."""

    def add(self, rows: Rows) -> None:
        for row in rows:
            for axis, key in (("step", "step"), ("epoch", "epoch"), ("time", "time_s")):
                self.axes[axis].append(_number(row.get(key)))
            for name, value in row.items():
                if "/" in name and (value is None or isinstance(value, int | float)):
                    where, values = self.values.setdefault(name, ([], []))
                    where.append(self.rows)
                    values.append(_number(value))
            self.rows += 1


class Histories:
    """The histories that pages look at."""

    def __init__(self) -> None:
        self._held: OrderedDict[Path, _Columns] = OrderedDict()
        self._turn = threading.Lock()
        """Two asks for one run at a time would read its whole history twice."""

    def read(self, path: Path) -> _Columns:
        """All rows there are by now."""
        held = self._held.pop(path, None) or _Columns()
        while True:
            rows, offset = whole_lines(path, held.offset)
            if offset < 0:  # cut back by a resume
                held = _Columns()
                continue
            held.add(rows)
            if offset == held.offset:
                break
            held.offset = offset
        self._held[path] = held
        while len(self._held) > KEPT:
            self._held.popitem(last=False)
        return held

    def columns(
        self, path: Path, *, width: int, names: list[str] | None = None, axis: str = "step",
        low: float = -math.inf, high: float = math.inf, smooth: float = 0.0,
    ) -> dict[str, Any]:  # fmt: skip
        """{"offset", "rows", "names", "series": {name: {step, epoch, time, value, mean, exact}}}.

        `width` in pixel columns; `low` and `high` are the part of `axis` that is seen; `smooth` is the width of the
        mean as a share of the rows seen, 0 for none.
        """
        with self._turn:
            held = self.read(path)
            axes = {key: np.array(values, dtype=np.float64) for key, values in held.axes.items()}
            asked = held.values if names is None else [name for name in names if name in held.values]
            found = {name: tuple(map(np.array, held.values[name])) for name in asked}
            reached, rows, listed = held.offset, held.rows, list(held.values)
        series = {n: _series(axes, where, v, axis, (low, high), width, smooth) for n, (where, v) in found.items()}
        return {"offset": reached, "rows": rows, "names": listed, "series": series}


def _series(
    axes: dict[str, Any], rows: Any, values: Any, axis: str, seen: tuple[float, float], width: int, smooth: float
) -> Points:
    x = axes[axis][rows]
    inside = (x >= seen[0]) & (x <= seen[1])
    rows, values = rows[inside], values[inside]
    mean = _mean(values, smooth)
    kept = _extremes(axes[axis][rows], values, width)
    found: Points = {key: [_plain(v) for v in column[rows[kept]]] for key, column in axes.items()}
    found["value"] = [_plain(v) for v in values[kept]]
    found["mean"] = [_plain(v) for v in mean[kept]] if mean is not None else None
    found["exact"] = len(kept) == len(values)
    return found


def _extremes(x: Any, values: Any, width: int) -> Any:
    """Which points are drawn: all where they fit, else the lowest and highest of each pixel column, and the ends."""
    count = len(values)
    if count <= 2 * width:
        return np.arange(count)
    span = x[-1] - x[0]
    column = np.zeros(count, dtype=np.int64) if span <= 0 else ((x - x[0]) / span * (width - 1)).astype(np.int64)
    starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
    kept = {0, count - 1}
    for start, end in zip(starts, np.r_[starts[1:], count], strict=True):
        piece = values[start:end]
        if np.isfinite(piece).any():
            kept |= {int(start + np.nanargmin(piece)), int(start + np.nanargmax(piece))}
        else:
            kept.add(int(start))  # a gap stays a gap
    return np.array(sorted(kept))


def _mean(values: Any, smooth: float) -> Any:
    """A centred mean over a share of the rows, shortened at the ends; None below 20 rows."""
    if smooth <= 0 or len(values) < LEAST_FOR_MEAN:
        return None
    half = max(1, round(min(smooth, 1.0) * len(values) / 2))
    finite = np.isfinite(values)
    sums = np.r_[0.0, np.cumsum(np.where(finite, values, 0.0))]
    counts = np.r_[0, np.cumsum(finite)]
    middle = np.arange(len(values))
    reach = np.minimum(half, np.minimum(middle, len(values) - 1 - middle))
    lower, upper = middle - reach, middle + reach + 1
    held = counts[upper] - counts[lower]
    return np.where(held > 0, (sums[upper] - sums[lower]) / np.maximum(held, 1), np.nan)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _plain(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
