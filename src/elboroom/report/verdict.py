"""Title and verdict: what the run is, and what was found, by rule from metrics.json in at most 50 words.

A verdict compares. The best of what is simpler stands beside the main measure, and where something simpler wins, the
verdict says so before anything else that is good.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .contents import Contents, entries
from .measures import latent_width
from .names import shown_name
from .numbers import beside, decimals_for, written
from .record import model_name
from .words import article, measure, plural

__all__ = ["Rival", "compared", "state_sentence", "title", "verdict"]

MOST_WORDS = 50
MAIN = ("bits_per_dim", "loss_nats_per_token", "elbo_nats", "reconstruction_bce", "reconstruction_mse")
NO_RIVALS = ("floor", "uniform", "real against real", "elbo", "chance", "noise")
"""References that bound a measure or stand for knowing nothing; beating them is no news."""
RIVALS = (
    ("independent ", "the best model that treats every {} alone"),
    ("constant per ", "one constant for every {}"),
    ("mean of each ", "the mean of each {}"),
    ("PCA, ", "PCA with {}s"),
    ("x itself", "distance in the data itself"),
    ("largest class", "always naming the largest class"),
)
"""How the references of metrics.json are called inside a sentence: start of the name, phrase with its rest."""
UNSEEN = {"test": "{} it has not seen", "valid": "{} it was not trained on", "train": "{} it was trained on"}


@dataclass(frozen=True)
class Rival:
    """The best simpler thing beside a measure, and how it compares."""

    name: str
    value: float
    outcome: str
    """"wins", "loses" or "same"."""


def title(contents: Contents) -> str:
    """ "A VAE with 20 latent dimensions on mnist"."""
    name = model_name(contents)
    width = latent_width(contents)
    code = f" with {plural(width, 'latent dimension')}" if width else ""
    return f"{article(name)} {name}{code} on {shown_name(contents.data.get('name') or 'unnamed data')}"


def _nouns(contents: Contents) -> tuple[str, str, str]:
    """(examples, one example, one value)."""
    return {
        "images": ("images", "image", "pixel"),
        "table": ("rows", "row", "value"),
    }.get(str(contents.spec.get("kind")), ("examples", "example", "value"))


def verdict(contents: Contents) -> str:
    """The sentences that fit 50 words, most important first."""
    sentences = [s for s in (state_sentence(contents), _main_sentence(contents)) if s]
    if not contents.metrics:
        sentences.append(_unmeasured(contents))
    sentences += [*_simpler_wins(contents), _code_sentence(contents), *_simpler_loses(contents)]
    said: list[str] = []
    for sentence in sentences:
        if sentence and len(" ".join([*said, sentence]).split()) <= MOST_WORDS:
            said.append(sentence)
    return " ".join(said)


def state_sentence(contents: Contents) -> str:
    """How far a run came that is not at its end; empty for one that is."""
    if contents.state == "done":
        return ""
    step, steps = contents.meta.get("step"), contents.part("budget").get("steps")
    logged = [float(v[-1]) for v in contents.history.steps.values()]
    at = int(max([float(step) if isinstance(step, int | float) else 0.0, *logged]))
    of = f" of {steps:,}" if isinstance(steps, int) and steps else ""
    verb = {"running": "Running, at", "failed": "Failed at", "stopped": "Stopped at"}.get(contents.state, "Ended at")
    return f"{verb} step {at:,}{of}."


def _unmeasured(contents: Contents) -> str:
    return (
        "Nothing was measured on held-out data yet."
        if contents.state != "done"
        else "Nothing was measured on held-out data."
    )


def _main_key(contents: Contents) -> str:
    return next((k for k in MAIN if _finite(contents.metrics.get(k, {}).get("value"))), "")


def _main_sentence(contents: Contents) -> str:
    key = _main_key(contents)
    if not key:
        return ""
    found = contents.metrics[key]
    many, _, value = _nouns(contents)
    amount = written(found["value"], found.get("low"), found.get("high"))
    seen = UNSEEN.get(str(found.get("split")), "{} of other data").format(many)
    if key == "elbo_nats":
        told = f"It gives {seen} at least {amount} nats of log-likelihood each"
    elif key == "bits_per_dim":
        told = f"It describes {seen} in {amount} bits per {value}"
    elif key == "loss_nats_per_token":
        told = f"It predicts text it has not seen at {amount} nats per token"
    else:
        unit = " nats of cross-entropy" if key.endswith("bce") else " squared error"
        told = f"It rebuilds {seen} with {amount}{unit} a {value}"
    rival = compared(key, found)
    return f"{told}{_against(key, found, rival) if rival else ''}."


def _against(key: str, found: dict[str, Any], rival: Rival) -> str:
    """ ", 46 % less than the best model that treats every pixel alone"."""
    value = float(found["value"])
    name = _rival_phrase(rival.name)
    theirs = beside(rival.value, decimals_for(value, found.get("low"), found.get("high")))
    if rival.outcome == "same":
        return f", which cannot be told apart from {name} ({theirs})"
    if rival.outcome == "wins":
        return f"; {name} does better with {theirs}"
    if measure(key).better == "more" or rival.value <= 0 or value <= 0:
        return f", {written(abs(value - rival.value), decimals=_decimals(value - rival.value))} more than {name}"
    return f", {_percent(1 - value / rival.value)} less than {name}"


def _percent(share: float) -> str:
    return written(share, form="share", decimals=0 if 0.005 <= share <= 0.995 else 1)


def _decimals(difference: float) -> int:
    return max(0, 1 - math.floor(math.log10(abs(difference)))) if difference else 0


def _rival_phrase(name: str) -> str:
    """A reference's name inside a sentence."""
    text = shown_name(name)
    for start, phrase in RIVALS:
        if text.startswith(start):
            return phrase.format(text[len(start) :].strip().removesuffix("s"))
    return text


def compared(key: str, found: dict[str, Any]) -> Rival | None:
    """The best simpler thing, and whether the intervals tell the two apart."""
    better = measure(key).better
    listed = [r for r in entries(found.get("references")) if isinstance(r, dict) and _finite(r.get("value"))]
    listed = [r for r in listed if not any(word in str(r.get("name")).lower() for word in NO_RIVALS)]
    if not listed or better not in ("less", "more") or not _finite(found.get("value")):
        return None
    sign = 1.0 if better == "less" else -1.0
    best = min(listed, key=lambda r: sign * float(r["value"]))
    mine, theirs = _ends(found), _ends(best)
    outcome = "same"
    if mine[1] < theirs[0] or theirs[1] < mine[0]:
        outcome = "loses" if sign * float(found["value"]) < sign * float(best["value"]) else "wins"
    return Rival(str(best["name"]), float(best["value"]), outcome)


def _ends(entry: dict[str, Any]) -> tuple[float, float]:
    low, high = entry.get("low"), entry.get("high")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(low), float(high)
    return float(entry["value"]), float(entry["value"])


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _others(contents: Contents, outcome: str) -> list[tuple[str, dict[str, Any], Rival]]:
    """Measures beside the main one whose best simpler thing came out so."""
    main, found = _main_key(contents), []
    for key, entry in contents.metrics.items():
        if key != main and _finite(entry.get("value")):
            rival = compared(key, entry)
            if rival is not None and rival.outcome == outcome:
                found.append((key, entry, rival))
    return found


def _simpler_wins(contents: Contents) -> list[str]:
    """One sentence for the simpler thing that wins elsewhere."""
    out = []
    for key, entry, rival in _others(contents, "wins")[:2]:
        decimals = decimals_for(float(entry["value"]), entry.get("low"), entry.get("high"))
        label = measure(key).label.replace(" a value", f" a {_nouns(contents)[2]}")
        label = label if label[:2].isupper() else label[:1].lower() + label[1:]
        name = _rival_phrase(rival.name)
        values = f"{beside(rival.value, decimals)} against {beside(entry['value'], decimals)}"
        out.append(f"{name[:1].upper()}{name[1:]} does better in {label}: {values}.")
    return out


def _simpler_loses(contents: Contents) -> list[str]:
    out = []
    for key, entry, rival in _others(contents, "loses"):
        if key == "reconstruction_mse" and float(entry["value"]) > 0:
            share = _percent(1 - float(entry["value"]) / rival.value)
            out.append(f"Its squared error is {share} less than that of {_rival_phrase(rival.name)}.")
    return out


def _code_sentence(contents: Contents) -> str:
    used, width = contents.metrics.get("active_units", {}).get("value"), latent_width(contents)
    if not _finite(used) or not width or used is None:
        return ""
    idle = width - int(used)
    if idle <= 0:
        who = {1: "Its one latent dimension carries", 2: "Both latent dimensions carry"}.get(width)
        return f"{who or f'All {width:,} latent dimensions carry'} information."
    if used == 0:
        return "None of its latent dimensions carries information: the posterior has collapsed."
    rest = "the other one can be dropped" if idle == 1 else f"the other {idle} can be dropped"
    return f"{int(used)} of its {width} latent dimensions carry information; {rest}."
