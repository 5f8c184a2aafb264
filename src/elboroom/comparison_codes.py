"""Codes of several runs side by side: how far all of them together lie from the law they shall follow, and what each
run minimises, with the terms as they were last measured.

A run that assumes no law is measured against N(0, I). Runs whose codes follow different laws, or are of different
widths, do not compare. Each run has draws of its own, so the interval of a difference follows from both
(`square_and_add`).
"""

from __future__ import annotations

import inspect
import json
import math
from itertools import combinations
from typing import Any

from elboroom.comparison_measures import Side, absent, favoured
from elboroom.comparison_quality import square_and_add
from elboroom.comparison_words import judged, verdict
from elboroom.metrics.interval import Interval, finite

__all__ = ["compared_codes", "objectives"]

ROWS = {
    "code_mmd": ("mmd", "squared maximum mean discrepancy"),
    "code_gap": ("ks", "largest gap of distribution functions on an axis"),
    "code_auc": ("auc", "area under the ROC curve"),
}
PARTS = ("valid", "test", "train")


def compared_codes(sides: list[Side]) -> list[dict[str, Any]]:
    """One row of the comparison for each measure, where a run has codes."""
    able = [side for side in sides if _found(side)]
    if not able:
        return []
    spaces = [_space(side) for side in able]
    space = max(spaces, key=spaces.count)
    like = [side for side, one in zip(able, spaces, strict=True) if one == space]
    apart = {
        side.name: f"its codes follow {law}, not {space[0]}" if law != space[0] else f"codes of {width}, not {space[1]}"
        for side, (law, width) in zip(able, spaces, strict=True)
        if (law, width) != space
    }
    return [_row(key, sides, like, apart, space[0]) for key in ROWS]


def objectives(sides: list[Side]) -> list[dict[str, Any]]:
    """Of each run and phase what is minimised, in the model's words, and the last logged value of each of its terms."""
    rows = []
    for side in sides:
        logged = _last(side)
        phases = side.run.model.phases()
        for phase in phases:
            told = (inspect.getdoc(phase.loss) or "").strip().split("\n\n")[0].replace("\n", " ")
            head = f"{phase.name}." if any(f"{phase.name}." in name for name in logged) else ""
            terms = [
                {"name": name, "value": value, "part": part}
                for name, (part, value) in _terms(logged, head, [p.name for p in phases]).items()
            ]
            rows.append({"run": side.name, "phase": phase.name, "says": told, "terms": terms})
    return rows


def _found(side: Side) -> dict[str, Any]:
    return (side.found.details.get("matching") or {}) if side.found else {}


def _space(side: Side) -> tuple[str, str]:
    """The law that codes follow, and how wide they are."""
    z = side.found.codes.get("z") if side.found else None
    return str(_found(side)["law"]), "" if z is None else f"{z.shape[1]} numbers"


def _row(key: str, sides: list[Side], like: list[Side], apart: dict[str, str], law: str) -> dict[str, Any]:
    entry, unit = ROWS[key]
    found = {side.name: _interval(_found(side)[entry]) for side in like}
    names = list(found)
    n = min(_found(side)["n"] for side in like)
    differences = [{**_difference(a, b, found[a], found[b]), "n": n} for a, b in combinations(names, 2)]
    best, told = judged(names, len(sides), differences, -1, favoured(sides), apart)
    return {
        "key": key,
        "unit": f"{unit}, against {law}",
        "better": "less",
        "cells": [_cell(side, key, law, apart) for side in sides],
        "references": [{"name": "equal laws", "value": 0.5}] if key == "code_auc" else [],
        "differences": differences,
        "best": best,
        "said": told,
    }


def _interval(entry: dict[str, Any]) -> Interval:
    value, low, high = (math.nan if entry.get(end) is None else float(entry[end]) for end in ("value", "low", "high"))
    return Interval(value, low, high)


def _cell(side: Side, key: str, law: str, apart: dict[str, str]) -> dict[str, Any]:
    """With the p value of equal laws, where the measure has one; none where codes follow another law."""
    why = apart.get(side.name, "")
    if _found(side).get("law") == law:
        entry = ROWS[key][0]
        ends = {end: _found(side)[entry][end] for end in ("value", "low", "high")}
        p = {"p": _found(side)[entry]["p"]} if "p" in _found(side)[entry] else {}
        return {"run": side.name, **ends, "n": _found(side)["n"], "why": why, **p, **({"apart": True} if why else {})}
    nothing = absent(side, key)
    return nothing | {"why": why, "lacks": ""} if why else nothing


def _difference(a: str, b: str, mine: Interval, other: Interval) -> dict[str, Any]:
    interval = square_and_add(mine, other)
    ends = {"value": finite(interval.value), "low": finite(interval.low), "high": finite(interval.high)}
    return {"a": a, "b": b, **ends, "verdict": verdict(a, b, interval, -1)}


def _last(side: Side) -> dict[str, tuple[str, float]]:
    """By term the part it was last measured on, the first of validation, test and training that has it, and its value.

    Of the weights at the end; the kept ones may be of an earlier look.
    """
    out: dict[str, tuple[str, float]] = {}
    file = side.run.path / "history.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        for name, value in json.loads(line).items():
            part, _, term = name.partition("/")
            if part in PARTS and isinstance(value, int | float):
                before = out.get(term, (PARTS[-1], 0.0))[0]
                if PARTS.index(part) <= PARTS.index(before):
                    out[term] = (part, float(value))
    return out


def _terms(logged: dict[str, tuple[str, float]], head: str, phases: list[str]) -> dict[str, tuple[str, float]]:
    """Those of one phase without its name; looks at samples and norms of gradients are no terms."""
    mine = {name.removeprefix(head): found for name, found in logged.items() if name.startswith(head)}
    others = tuple(f"{name}." for name in phases)
    return {
        name: found
        for name, found in mine.items()
        if (head or not name.startswith(others)) and "gradient_norm" not in name and (head or "." not in name)
    }
