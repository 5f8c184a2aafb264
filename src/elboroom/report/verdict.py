"""Title and verdict: what the run is, and what was found, by rule from metrics.json in at most 50 words.

A verdict compares. The best of what is simpler stands beside the main measure, and where something simpler wins, the
verdict says so before anything else that is good.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from . import text
from .contents import Contents, entries
from .measures import latent_width
from .names import shown_name
from .numbers import beside, decimals_for, written
from .quality_words import coverage_sentences, quality_sentence
from .record import model_name
from .words import article, measure, plural

__all__ = ["Rival", "compared", "state_sentence", "title", "verdict"]

MOST_WORDS = 50
BOUNDS = ("log_likelihood_nats", "elbo_nats")
"""Lower bounds of one number, the tighter first."""
MAIN = ("bits_per_dim", "bits_per_byte", "loss_nats_per_token", *BOUNDS, "reconstruction_bce", "reconstruction_mse",
    "mae", "accuracy", "frechet_distance")  # fmt: skip
NO_RIVALS = ("floor", "uniform", "real against real", "elbo", "chance", "noise", "unseen text", "one example repeated",
    "training set copied", "held-out rows", "any class", "copy nothing", "in the data")  # fmt: skip
"""References that bound a measure or stand for knowing nothing; beating them is no news."""
RIVALS = (
    ("independent ", "the best model that treats every {} alone"),
    ("constant per ", "one constant for every {}"),
    ("mean of each ", "the mean of each {}"),
    ("PCA, ", "PCA with {}s"),
    ("x itself", "distance in the data itself"),
    ("largest class", "always naming the largest class"),
    ("byte frequencies", "the frequencies of single bytes"),
    ("commonest token", "always naming the commonest token"),
    ("last value", "the last value"),
    ("seasonal naive", "the value one period before"),
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
    """ "A VAE with 20 latent dimensions on mnist", "A GPT with 0.8 million parameters on grimm.txt"."""
    name = model_name(contents)
    width, weights = latent_width(contents), contents.meta.get("parameters")
    code = f" with {plural(width, 'latent dimension')}" if width else ""
    if text.is_text(contents) and isinstance(weights, int) and weights > 0:
        size = f"{weights / 1e6:.1f} million" if 1e5 <= weights < 1e6 else written(weights, form="prose")
        code = f" with {size} parameters"
    return f"{article(name)} {name}{code} on {shown_name(contents.data.get('name') or 'unnamed data')}"


def _nouns(contents: Contents) -> tuple[str, str, str]:
    """(examples, one example, one value)."""
    return {
        "images": ("images", "image", "pixel"),
        "table": ("rows", "row", "value"),
        "series": ("rows", "row", "value"),
        "sequences": ("sequences", "sequence", "value"),
    }.get(str(contents.spec.get("kind")), ("examples", "example", "value"))


def verdict(contents: Contents) -> str:
    """The sentences that fit 50 words, most important first."""
    sentences = [s for s in (state_sentence(contents), _main_sentence(contents)) if s]
    if not contents.metrics:
        sentences.append(_unmeasured(contents))
    if text.is_text(contents):
        sentences += [_overfitting(contents), _copying(contents)]
    else:
        sentences += [*_simpler_wins(contents), _code_sentence(contents), *coverage_sentences(contents)]
        sentences += _simpler_loses(contents)
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
    if key == "bits_per_byte":
        return _code_length(found)
    if key == "frechet_distance":
        return quality_sentence(contents)
    many, _, value = _nouns(contents)
    amount = written(found["value"], found.get("low"), found.get("high"))
    seen = UNSEEN.get(str(found.get("split")), "{} of other data").format(many)
    if key in BOUNDS:
        told = f"It gives {seen} at least {amount} nats of log-likelihood each"
    elif key == "bits_per_dim":
        told = f"It describes {seen} in {amount} bits per {value}"
    elif key == "accuracy":
        what = f"steps of {seen}" if contents.spec.get("per_step") else seen
        told = f"It names the right class for a share of {amount} of {what}"
    elif key == "mae" and contents.spec.get("kind") == "series":
        told = f"One row ahead it is wrong by {amount} standard deviations on {seen}"
    elif key == "mae" and "imputation" in contents.details:
        told = f"It tells hidden cells of {seen} with a mean error of {amount} standard deviations"
    elif key == "mae":
        told = f"It rebuilds {seen} with a mean error of {amount} standard deviations a value"
    elif key == "loss_nats_per_token":
        told = f"It predicts text it has not seen at {amount} nats per token"
    else:
        unit = " nats of cross-entropy" if key.endswith("bce") else " squared error"
        told = f"It rebuilds {seen} with {amount}{unit} a {value}"
    rival = compared(key, found)
    return f"{told}{_against(key, found, rival) if rival else ''}."


def _code_length(found: dict[str, Any]) -> str:
    """Bits for each byte, against the two cheapest ways that need no network."""
    own = float(found["value"])
    seen = UNSEEN.get(str(found.get("split")), "{} of other data").format("text")
    told = f"It needs {written(own, found.get('low'), found.get('high'))} bits for each byte of {seen}"
    rivals = [rival for rival in _rivals(found, 1.0) if float(rival["value"]) > 0][:2]
    if not rivals:  # a text of one character costs nobody anything
        return f"{told}."
    decimals = decimals_for(own, found.get("low"), found.get("high"))
    outcomes = [_outcome(found, r, 1.0) for r in rivals]
    names = [_rival_phrase(str(r["name"])) for r in rivals]
    values = [beside(float(r["value"]), decimals) for r in rivals]
    shares = [_percent(1 - own / float(r["value"])) for r in rivals]
    if outcomes[0] == "wins":
        others = [f", {n} too with {v}" for n, v, o in zip(names, values, outcomes, strict=True) if o == "wins"][1:]
        return f"{told}; {names[0]} does better with {values[0]}{''.join(others)}."
    if outcomes[0] == "same":
        return f"{told}, which cannot be told apart from {names[0]} ({values[0]})."
    listed = [f"{share} less than {name} ({value})" for share, name, value in zip(shares, names, values, strict=True)]
    return f"{told}: {' and '.join(listed)}."


def _overfitting(contents: Contents) -> str:
    """Only where there is some."""
    for check in entries(contents.details.get("checks")):
        if isinstance(check, dict) and check.get("name") == "overfitting" and check.get("level") in ("warn", "alarm"):
            step = check.get("since_step")
            return f"It overfits from step {step:,} on." if isinstance(step, int) else "It overfits."
    return ""


def _copying(contents: Contents) -> str:
    """The longest run of a sample that stands in the training text, beside that of text the model never saw."""
    found = contents.metrics.get("longest_copy_characters", {})
    if not _finite(found.get("value")):
        return ""
    unseen = [r["value"] for r in entries(found.get("references")) if isinstance(r, dict) and _finite(r.get("value"))]
    real = f"; real unseen text has {unseen[0]:.0f}" if unseen else ""
    run = f"its longest run found in the training text is {found['value']:.0f} characters{real}"
    copies = contents.detail("memorisation").get("copied") is True
    return f"It {'copies' if copies else 'does not copy'}: {run}."


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
    shown = shown_name(name)
    for start, phrase in RIVALS:
        if shown.startswith(start):
            return phrase.format(shown[len(start) :].strip().removesuffix("s"))
    return f"counting {shown}s" if shown.endswith("-gram") else shown


def compared(key: str, found: dict[str, Any]) -> Rival | None:
    """The best simpler thing, and whether the intervals tell the two apart."""
    better = measure(key).better
    if better not in ("less", "more") or not _finite(found.get("value")):
        return None
    sign = 1.0 if better == "less" else -1.0
    listed = _rivals(found, sign)
    if not listed:
        return None
    return Rival(str(listed[0]["name"]), float(listed[0]["value"]), _outcome(found, listed[0], sign))


def _rivals(found: dict[str, Any], sign: float) -> list[dict[str, Any]]:
    """What is simpler, the best first; `sign` 1 where less is better."""
    listed = [r for r in entries(found.get("references")) if isinstance(r, dict) and _finite(r.get("value"))]
    listed = [r for r in listed if not any(word in str(r.get("name")).lower() for word in NO_RIVALS)]
    return sorted(listed, key=lambda r: sign * float(r["value"]))


def _outcome(found: dict[str, Any], other: dict[str, Any], sign: float) -> str:
    """What became of the other one: "wins", "loses", or "same" where the intervals meet."""
    mine, theirs = _ends(found), _ends(other)
    if mine[1] < theirs[0] or theirs[1] < mine[0]:
        return "loses" if sign * float(found["value"]) < sign * float(other["value"]) else "wins"
    return "same"


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
        same = key == main or (main in BOUNDS and key in BOUNDS)
        if not same and _finite(entry.get("value")):
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
