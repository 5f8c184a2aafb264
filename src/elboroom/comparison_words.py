"""What a comparison says in words: of two runs, of several, and of all of them as a table of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from elboroom.metrics.interval import Interval

__all__ = ["best_of", "said", "table", "verdict"]


def verdict(a: str, b: str, difference: Interval, better: int) -> str:
    """Of the difference a minus b."""
    if not difference.clear_of_zero:
        return "no difference"
    up = difference.value > 0
    if better:
        return f"{a if up == (better > 0) else b} is better"
    return f"{a if up else b} is higher"


def best_of(names: list[str], differences: list[dict[str, Any]], better: int) -> str | None:
    """The run that is better than every other with the difference clear of zero."""
    if not better or len(names) < 2:
        return None
    for name in names:
        mine = [d for d in differences if name in (d["a"], d["b"])]
        if all(d["verdict"] == f"{name} is better" for d in mine):
            return name
    return None


def said(names: list[str], runs: int, differences: list[dict[str, Any]], best: str | None, better: int) -> str:
    """What can be said of the runs `names`, out of so many."""
    if len(names) == 1:
        return f"only {names[0]} can answer" if runs > 1 else ""
    equal = [d for d in differences if d["verdict"] == "no difference"]
    if len(equal) == len(differences):
        return "no difference" if len(names) == 2 else "none can be told apart"
    if len(names) == 2:
        d = differences[0]
        reach = max(d["high"] - d["value"], d["value"] - d["low"])
        return f"{d['verdict']} by {abs(d['value']):.3g} ± {reach:.2g}"
    word = "better" if better else "higher"
    won = {name: [d for d in differences if d["verdict"] == f"{name} is {word}"] for name in names}
    if not better:
        return f"highest first: {', '.join(sorted(won, key=lambda name: -len(won[name])))}"
    beaten = {d["b"] if d["a"] == name else d["a"] for name, wins in won.items() for d in wins}
    lead = [name for name in won if name not in beaten]
    parts = [f"{best} is better than every other"] if best else [f"{_and(lead)} cannot be told apart"]
    parts += [f"{_and(beaten)} {'is' if len(beaten) == 1 else 'are'} worse than one of them"] if not best else []
    parts += [f"{d['a']} and {d['b']} cannot be told apart" for d in equal if not {d["a"], d["b"]} <= set(lead)]
    return "; ".join(parts)


def _and(names: Iterable[str]) -> str:
    *some, last = sorted(names)
    return f"{', '.join(some)} and {last}" if some else last


def table(comparison: dict[str, Any]) -> str:
    """The comparison as text: one row a measure, one column a run, then what can be said."""
    names = [run["name"] for run in comparison["runs"]]
    rows = [["measure", *names, "what can be said"]]
    for measure in comparison["measures"]:
        cells = [_written(cell) + (" *" if cell["run"] == measure["best"] else "") for cell in measure["cells"]]
        arrow = {"more": " (more is better)", "less": " (less is better)", "": ""}[measure["better"]]
        rows.append([measure["key"] + arrow, *cells, measure["said"]])
    for cost in comparison["costs"]:
        rows.append([cost["label"], *[_spent(cell["value"], cost["unit"]) for cell in cost["cells"]], ""])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*comparison["notes"], "", *lines])


def _spent(value: float | None, unit: str) -> str:
    if value is None:
        return "not recorded"
    return f"{value / 1e6:,.6g} MB" if unit == "bytes" else f"{value:,.6g} {unit}"


def _written(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return "none"
    if cell["low"] is None:
        return f"{cell['value']:.5g}"
    reach = max(cell["high"] - cell["value"], cell["value"] - cell["low"])
    return f"{cell['value']:.5g} ± {reach:.2g}"
