"""What the first lines of a page and the model card say of sample quality: always with extractor, N and bounds."""

from __future__ import annotations

import math
from typing import Any

from .contents import Contents, entries
from .numbers import beside, decimals_for, number, written
from .quality import QUALITY, dot, extractor_phrase, others_that_tell, sides_of_main
from .words import measure

__all__ = ["coverage_sentences", "quality_sentence", "quality_where"]


def quality_sentence(contents: Contents) -> str:
    """ "Its samples lie 12.3 ± 0.4 from held-out data (Fréchet distance, features: ...), real data 3.1, noise 210."."""
    found = contents.metrics.get("frechet_distance", {})
    value, low, high = (number(found.get(key)) for key in ("value", "low", "high"))
    if not math.isfinite(value):
        return ""
    ends = (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)
    decimals = decimals_for(value, *ends)
    where = extractor_phrase(contents, short=True)
    bounds = {name: _reference(found, name) for name in ("real against real", "noise")}
    listed = [f"{name} {beside(bound, decimals)}" for name, bound in bounds.items() if math.isfinite(bound)]
    told = f"Its samples are at Fréchet distance {written(value, *ends)} from held-out data"
    told += f" ({where})" if where else ""
    return f"{told}{'; ' + ', '.join(listed) if listed else ''}.{_apart(contents)}"


def coverage_sentences(contents: Contents) -> list[str]:
    """Modes found of those known, and how often a sample is of the class asked for."""
    quality, said = contents.detail("quality"), []
    table = quality.get("modes")
    modes: dict[str, Any] = table if isinstance(table, dict) else {}
    reached, known = number(modes.get("found")), number(modes.get("known"))
    if math.isfinite(reached) and math.isfinite(known):
        near = dot(modes.get("high_quality_share"))
        share = f", {_percent(near.value)} of samples near one" if near is not None else ""
        said.append(f"{int(reached):,} of {int(known):,} modes found{share}.")
    elif isinstance(quality.get("classes"), dict):
        absent = len(entries(quality["classes"].get("absent")))
        if absent:
            names, verb = entries(quality["classes"].get("names")), "is" if absent == 1 else "are"
            said.append(f"{absent:,} of {len(names):,} classes {verb} never made.")
    right = contents.metrics.get("class_accuracy", {})
    if math.isfinite(number(right.get("value"))):
        said.append(f"{_percent(number(right['value']))} of samples are named as the class asked for.")
    return said


def _percent(share: float) -> str:
    return written(share, form="share", decimals=0 if 0.005 <= share <= 0.995 else 1)


def _apart(contents: Contents) -> str:
    """Where the intervals do not tell the samples from noise, or from real data; empty where they do."""
    sides = sides_of_main(contents)
    noise, real = (sides.get((row, "frechet_distance")) for row in ("noise", "real against real"))
    if noise == "worse":
        return " Noise does better."
    if noise == "same":
        return " Noise cannot be told apart from them."
    if real not in ("same", "better"):
        return ""
    seen = [measure(key).label.lower() for key in QUALITY if sides.get(("real against real", key)) == "worse"]
    seen = seen or [f"the same by {name}" for name in others_that_tell(contents)]
    if not seen:  # by no measure of any extractor
        return " They cannot be told apart from real data."
    listed = seen[0] if len(seen) == 1 else f"{', '.join(seen[:-1])} and {seen[-1]}"
    return f" This distance does not tell them from real data; {listed} {'does' if len(seen) == 1 else 'do'}."


def quality_where(details: dict[str, Any]) -> str:
    """ "features of classifier (hash 3f9a2c), 2,000 real and 2,000 made": for a card; empty where nothing is known."""
    table = details.get("quality")
    quality: dict[str, Any] = table if isinstance(table, dict) else {}
    first = next((e for e in entries(quality.get("extractors")) if isinstance(e, dict)), {})
    name, mark = str(first.get("name") or ""), str(first.get("hash") or "")
    said = f"features of {name}{f' (hash {mark[:16]})' if mark else ''}" if name else ""
    counts = [quality.get("n_real"), quality.get("n_made")]
    many = f"{counts[0]:,} real and {counts[1]:,} made" if all(isinstance(n, int) and n > 0 for n in counts) else ""
    return ", ".join(part for part in (said, many) if part)


def _reference(found: dict[str, Any], name: str) -> float:
    listed = (r for r in entries(found.get("references")) if isinstance(r, dict) and r.get("name") == name)
    return next((number(r.get("value")) for r in listed), math.nan)
