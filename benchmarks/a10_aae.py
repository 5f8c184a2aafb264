"""A10: the three encoders of an adversarial autoencoder on MNIST in [-1, 1], at z = 2 and z = 20.

Questions without a goal: do codes of a stochastic encoder follow N(0, I) better, and does that make better samples;
what does a plain autoencoder of the same nets (lam 1) do. `a10_course` has the row with a goal, the course's; `a10_lam`
goes on with what lam trades, and with modes beside a GAN.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result
from elboroom.metrics.interval import mean_interval

__all__ = ["READ", "SETTINGS", "STUDIED", "STUDY_EPOCHS", "Trial", "run"]

NAME = "a10_aae"
ENCODERS, WIDTHS = ("deterministic", "gaussian", "universal"), (2, 20)
SEEDS, STUDY_EPOCHS = 3, 10
MEASURES = ("reconstruction_mse", "frechet_distance", "modes_found", "high_quality_share")
SETTINGS = (
    "elboroom fit aae mnist --scale symmetric, the defaults (Adam 1e-3, beta1 0.5; SGD 5e-3 for the 3 x 512 of "
    "the discriminator; batch 64)"
)
STUDIED = f"by a layer of 512, {STUDY_EPOCHS} epochs"
READ = f"{SEEDS} seeds each; all from metrics.json and details.json on the test part; mean over seeds with Student's t"
PROTOCOL = f"{SETTINGS}; encoders {STUDIED}; {READ}"


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 1 epoch, 1 seed")
    result.data = {"name": "mnist", "scale": "symmetric"}
    trial = Trial(result, options, options.scratch(NAME))
    images, study = trial.images(STUDY_EPOCHS)
    for width in WIDTHS:
        for encoder in ENCODERS:
            trial.add(f"z {width}, {encoder}", (*images, *study, "--latent", width, "--encoder", encoder))
        trial.add(f"z {width}, plain (lam 1)", (*images, *study, "--latent", width, "--lam", 1))
    stochastic_wins(result, trial.found)
    return result


class Trial:
    """Fits over seeds, and what was found by name, measure and seed."""

    def __init__(self, result: Result, options: Options, scratch: Path) -> None:
        self.result, self.options, self.scratch = result, options, scratch
        self.seeds = 1 if options.short else SEEDS
        self.found: dict[str, dict[str, list[float]]] = {}

    def images(self, epochs: int) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """Words of an adversarial autoencoder on images, and those of its small nets with their epochs."""
        short = self.options.short
        small = ("--backbone", "mlp", "--hidden", "32" if short else "512", "--epochs", 1 if short else epochs)
        return ("aae", "digits" if short else "mnist", "--scale", "symmetric"), small

    def add(self, name: str, words: tuple[object, ...], goals: dict[str, str] | None = None) -> None:
        """Fit once a seed; a row for every measure that all seeds have."""
        every: list[dict[str, float]] = []
        for seed in range(self.seeds):
            folder = "-".join([*name.replace(",", "").replace("(", "").replace(")", "").split(), str(seed)]).lower()
            command, document = fit(
                self.options, self.scratch, [*words, "--seed", seed, "--run", folder, "--or-resume"]
            )
            details = json.loads((self.scratch / folder / "details.json").read_text(encoding="utf-8"))
            every.append(measures(document["metrics"], details.get("matching") or {}))
        self.result.commands.append(command)
        shared = [key for key in every[0] if all(key in one for one in every)]
        self.found[name] = {key: [one[key] for one in every] for key in shared}
        for key, values in self.found[name].items():
            add(self.result, f"{name}: {key}", values, (goals or {}).get(key, ""))
        self.result.details[name] = {k: [round_off(v) for v in values] for k, values in self.found[name].items()}


def measures(metrics: dict[str, Any], matching: dict[str, Any]) -> dict[str, float]:
    """What the questions are about, of one run."""
    found = {key: metrics[key]["value"] for key in MEASURES if metrics.get(key, {}).get("value") is not None}
    if matching:
        found["MMD^2 of codes"], found["its p"] = matching["mmd"]["value"], matching["mmd"]["p"]
        found["largest gap on an axis"], found["AUC of codes"] = matching["ks"]["value"], matching["auc"]["value"]
        found |= {"noise share of Var z": matching["noise"]["share"]} if "noise" in matching else {}
    return found


def add(result: Result, name: str, values: list[float], goal: str = "", how: str = "") -> None:
    spread = mean_interval(values)
    low, high = (None if math.isnan(end) else round_off(end) for end in (spread.low, spread.high))
    said = how or f"mean of {len(values)} seed{'' if len(values) == 1 else 's'}"
    result.add(name, round_off(spread.value), "", goal, low=low, high=high, how=said)


def stochastic_wins(result: Result, found: dict[str, dict[str, list[float]]]) -> None:
    """Each stochastic encoder less the deterministic one, seed by seed: below 0 it wins."""
    for width in WIDTHS:
        plain = found[f"z {width}, deterministic"]
        for encoder in ENCODERS[1:]:
            mine = found[f"z {width}, {encoder}"]
            for key in ("MMD^2 of codes", "AUC of codes", "frechet_distance", "reconstruction_mse"):
                if key in plain and key in mine:
                    pairs = [a - b for a, b in zip(mine[key], plain[key], strict=True)]
                    name = f"z {width}: {key}, {encoder} - deterministic"
                    add(result, name, pairs, how=f"paired over {len(pairs)} seeds; below 0 the stochastic one wins")
