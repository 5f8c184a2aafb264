"""B5: what DCGAN, WGAN-GP and R3GAN make of 3,068 photographs of clothes at 32 x 32 in 1,500 steps on two processors.

Shortened, so nothing is claimed of the models: the distances stand between that of real against real (the floor) and
that of noise (the ceiling), and say how far these budgets carry.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "b5_clothing64"
FILE = "clothing64/clothing64_train.zip"
STEPS = 1500
GAMES: dict[str, tuple[str, list[Any]]] = {
    "DCGAN": ("dcgan", ["--width", 32]),
    "WGAN-GP": ("wgan", ["--backbone", "conv", "--width", 32, "--critic-steps", 2]),
    "R3GAN": ("r3gan", ["--width", 16]),
}
SHOWN = ("precision", "recall", "density", "coverage", "memorised_share")
PROTOCOL = (
    f"elboroom fit MODEL clothing64 --size 32x32, {STEPS:,} steps (shortened), seed 0, one run; samples of the "
    "averaged generator against held-out photographs; no goal"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 20 steps")
    photographs = Path(os.environ.get("ELBOROOM_DATA", "")) / FILE
    if not options.short and not photographs.is_file():
        result.add("DCGAN: Fréchet distance", None, "", how=f"{FILE} is not in $ELBOROOM_DATA")
        return result
    result.data = {"name": "digits" if options.short else FILE, "size": 8 if options.short else 32}
    data = ["digits"] if options.short else [photographs, "--size", "32x32"]
    budget = ["--steps", 20 if options.short else STEPS, "--seed", 0]
    for name, (model, words) in GAMES.items():
        folder = ["--run", model, "--or-resume"]
        command, document = fit(options, options.scratch(NAME), [model, *data, *words, *budget, *folder])
        result.commands.append(command if options.short else command.replace(str(photographs), FILE))
        add(result, name, document["metrics"])
    return result


def add(result: Result, name: str, metrics: dict[str, Any]) -> None:
    """The distance between its two ends, and the other measures of the samples."""
    distance = metrics["frechet_distance"]
    ends = {entry["name"]: round_off(entry["value"]) for entry in distance["references"]}
    result.add(f"{name}: Fréchet distance", round_off(distance["value"]), "", low=distance["low"],
               high=distance["high"], how=distance["how"])  # fmt: skip
    for end in ("real against real", "noise"):
        result.add(f"{name}: Fréchet distance, {end}", ends[end], "")
    for key in SHOWN:
        found = metrics[key]
        result.add(f"{name}: {key.replace('_', ' ')}", round_off(found["value"]), found["unit"], low=found["low"],
                   high=found["high"])  # fmt: skip
