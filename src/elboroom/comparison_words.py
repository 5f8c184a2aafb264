"""What a comparison says in words: of two runs, of several, and of all of them as a table of text."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from elboroom.core import registry
from elboroom.metrics.interval import Interval

__all__ = ["best_of", "judged", "lacking", "not_comparable", "said", "table", "verdict"]

WITHOUT = {
    "Encodes": "cannot encode",
    "Decodes": "cannot decode",
    "Bounds": "has no likelihood",
    "Samples": "cannot sample",
    "Continues": "cannot write",
    "Classifies": "cannot name classes",
    "Forecasts": "cannot forecast",
}
"""What is said of a model without an ability."""
NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("bits_per_dim", "elbo_nats", "log_likelihood_nats", "distortion_nats"), ("Bounds",)),
    "rate_nats": ("Encodes", "Bounds"),
    **dict.fromkeys(("bits_per_byte", "loss_nats_per_token", "perplexity", "token_accuracy"), ("Continues",)),
    **dict.fromkeys(("reconstruction_bce", "reconstruction_mse", "psnr_db"), ("Encodes", "Decodes")),
    **dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "log_loss_nats"), ("Classifies",)),
    **dict.fromkeys(("mae_horizon", "coverage_90"), ("Forecasts",)),
    **dict.fromkeys(("trustworthiness", "neighbour_accuracy", "code_mmd", "code_gap", "code_auc"), ("Encodes",)),
    **dict.fromkeys(
        ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"), ("Samples",)
    ),
    **dict.fromkeys(
        ("modes_found", "mode_kl", "high_quality_share", "class_accuracy", "memorised_share"), ("Samples",)
    ),
}
"""By measure the abilities without which a model has none; what is not listed here, several abilities can give."""
NAMED = 4
"""Models that are named as able to."""


def verdict(a: str, b: str, difference: Interval, better: int) -> str:
    """Of the difference a minus b; "" where it has no interval, since then nothing can be told."""
    if not (math.isfinite(difference.low) and math.isfinite(difference.high)):
        return ""
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


def judged(
    names: list[str],
    runs: int,
    differences: list[dict[str, Any]],
    better: int,
    favoured: Collection[str] = (),
    apart: Mapping[str, str] = {},
) -> tuple[str | None, str]:
    """(the best run, what can be said) of the runs `names`, out of so many.

    Those that are `favoured` were trained on these data: where two others remain, only these are judged. Of those
    `apart`, which are none of `names`, is said why their numbers answer another question.
    """
    best, told = _of_those(names, runs, differences, better, favoured)
    if not apart:
        return best, told
    others = not_comparable(apart)
    return best, others if len(names) == 1 else f"{told}; {others}"


def not_comparable(apart: Mapping[str, str]) -> str:
    """Of runs by name why their numbers do not stand beside the others."""
    return f"not comparable: {', '.join(f'{name} ({why})' for name, why in apart.items())}"


def _of_those(
    names: list[str], runs: int, differences: list[dict[str, Any]], better: int, favoured: Collection[str]
) -> tuple[str | None, str]:
    fair = [name for name in names if name not in favoured]
    if len(fair) == len(names):
        best = best_of(names, differences, better)
        return best, said(names, runs, differences, best, better)
    if len(fair) < 2:
        return None, said(names, runs, differences, None, better)
    left = [d for d in differences if d["a"] in fair and d["b"] in fair]
    best = best_of(fair, left, better)
    apart = [name for name in names if name in favoured]
    return best, f"{said(fair, runs, left, best, better)}; {_and(apart)} left out: trained on these data"


def lacking(model: str, abilities: Collection[str], key: str) -> tuple[str, str]:
    """(short, whole) where a model lacks what a measure needs: "cannot encode"; ("", "") where it does not."""
    for ability in NEEDED.get(key, ()):
        if ability not in abilities:
            able = registry.able(ability)
            more = len(able) - NAMED
            others = f"{', '.join(able[:NAMED])} and {more} others" if more > 1 else ", ".join(able) or "no model"
            verb = "have one" if ability == "Bounds" else "can"
            return WITHOUT[ability], f"{model} {WITHOUT[ability]}; {others} {verb}"
    return "", ""


def said(names: list[str], runs: int, differences: list[dict[str, Any]], best: str | None, better: int) -> str:
    """What can be said of the runs `names`, out of so many."""
    if len(names) == 1:
        return f"only {names[0]} can answer" if runs > 1 else ""
    if all(not d["verdict"] for d in differences):
        return _without_ends(names, differences)
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


def _without_ends(names: list[str], differences: list[dict[str, Any]]) -> str:
    """No interval, no verdict."""
    if len(names) > 2 or differences[0]["value"] is None:
        return "no interval, no verdict"
    value = differences[0]["value"]
    return f"{f'differ by {abs(value):.3g}' if value else 'equal'}; no interval, no verdict"


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
        rows.append([cost["label"], *[_spent(cell, cost["unit"]) for cell in cost["cells"]], ""])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    foot = list(comparison.get("foot") or [])
    if any(cell.get("apart") for measure in comparison["measures"] for cell in measure["cells"]):
        foot.insert(0, "In brackets: not comparable with the others of its row.")
    return "\n".join([*comparison["notes"], "", *lines, *(["", *foot] if foot else [])])


def _spent(cell: dict[str, Any], unit: str) -> str:
    value = cell["value"]
    if value is None:
        return "not recorded"
    told = f"{value / 1e6:,.6g} MB" if unit == "bytes" else f"{value:,.6g} {unit}"
    return f"{told} ({cell['together']} runs in one pass)" if cell.get("together") else told


def _written(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return cell.get("lacks") or "none"
    told = f"{cell['value']:.5g}"
    if cell["low"] is not None:
        told += f" ± {max(cell['high'] - cell['value'], cell['value'] - cell['low']):.2g}"
    return f"({told})" if cell.get("apart") else told
