"""Sample quality of several runs side by side: measures of all samples together, which no item carries alone.

Two runs' numbers mean the same where their features and the number of examples are the same. Each run has an interval
of its own, and a difference has the one that follows from both (Zou & Donner 2008, "square and add"): it is a little
wide, since the runs share their real examples.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

from elboroom.comparison_measures import Side, absent, favoured
from elboroom.comparison_words import judged, verdict
from elboroom.metrics.interval import Interval, finite

__all__ = ["BETTER", "compared_quality", "square_and_add"]

BETTER = {
    "frechet_distance": -1,
    "kernel_distance": -1,
    "precision": 1,
    "recall": 1,
    "density": 1,
    "coverage": 1,
    "modes_found": 1,
    "mode_kl": -1,
    "high_quality_share": 1,
    "class_accuracy": 1,
    "memorised_share": -1,
}
"""By measure: +1 more is better, -1 less."""


def compared_quality(sides: list[Side]) -> list[dict[str, Any]]:
    """One row of the comparison for each measure that a run has."""
    return [row for key in BETTER if (row := _row(key, sides)) is not None]


def square_and_add(a: Interval, b: Interval) -> Interval:
    """a - b of independent estimates, from their own intervals."""
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    return Interval(value, low, value + math.hypot(a.high - a.value, b.value - b.low))


def _row(key: str, sides: list[Side]) -> dict[str, Any] | None:
    able = [side for side in sides if _quality(side) and key in _metrics(side)]
    if not able:
        return None
    spaces = [_space(side) for side in able]
    reference = max(spaces, key=spaces.count)
    like = [side for side, space in zip(able, spaces, strict=True) if space == reference]
    found = {side.name: _interval(side, key) for side in able}
    apart = {
        side.name: "measured by other features, or on another number of examples" for side in able if side not in like
    }
    better = BETTER[key]
    differences = [_difference(a.name, b.name, found[a.name], found[b.name], better) for a, b in combinations(like, 2)]
    for difference in differences:
        difference["n"] = reference[1]
    best, told = judged([side.name for side in like], len(sides), differences, better, favoured(sides), apart)
    first = _metrics(like[0])[key]
    return {
        "key": key,
        "unit": first["unit"],
        "better": {1: "more", -1: "less"}[better],
        "cells": [_cell(side, key, found.get(side.name), apart) for side in sides],
        "references": next((m["references"] for side in like if (m := _metrics(side)[key]).get("references")), []),
        "differences": differences,
        "best": best,
        "said": told,
    }


def _quality(side: Side) -> dict[str, Any]:
    return (side.found.details.get("quality") or {}) if side.found else {}


def _metrics(side: Side) -> dict[str, Any]:
    return side.found.metrics if side.found else {}


def _space(side: Side) -> tuple[tuple[str, ...], int]:
    """Features and number of examples."""
    quality = _quality(side)
    return tuple(each["hash"] for each in quality["extractors"]), int(quality["n_real"])


def _interval(side: Side, key: str) -> Interval:
    """NaN ends where there is none: a count of these very samples says nothing of others, so its two ends are one."""
    found = _metrics(side)[key]
    value, low, high = (math.nan if found[end] is None else float(found[end]) for end in ("value", "low", "high"))
    return Interval(value, math.nan, math.nan) if low == high else Interval(value, low, high)


def _cell(side: Side, key: str, found: Interval | None, apart: dict[str, str]) -> dict[str, Any]:
    if found is None:
        return absent(side, key)
    cell = {"run": side.name, **_ends(found), "n": _metrics(side)[key]["n"], "why": ""}
    return {**cell, "why": apart[side.name], "apart": True} if side.name in apart else cell


def _difference(a: str, b: str, mine: Interval, other: Interval, better: int) -> dict[str, Any]:
    interval = square_and_add(mine, other)
    return {"a": a, "b": b, **_ends(interval), "verdict": verdict(a, b, interval, better)}


def _ends(found: Interval) -> dict[str, float | None]:
    return {"value": finite(found.value), "low": finite(found.low), "high": finite(found.high)}
