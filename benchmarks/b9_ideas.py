"""B9: what each kind of adversarial model adds to the one before: the same run with its one idea and without, on MNIST.

The digits are 14 x 14 (the mean of each 2 x 2 pixels), 10,000 to train, so that all of it ends on one processor; runs
are short, and nothing is tuned for either side. Samples of the averaged generator are compared with 2,000 held-out
digits in the features of a classifier of real ones, beside other real digits and noise. The tables of docs/gan.md,
dcgan.md, wgan.md, sagan.md, biggan.md and r3gan.md are made of the result. Nothing has a goal.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import b9_closer, images
from benchmarks.b9_closer import over_seeds
from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result
from elboroom.metrics.interval import difference_interval
from elboroom.quality import ends

__all__ = ["KINDS", "run"]

NAME = "b9_ideas"
SEEDS = (1, 2, 3)
ROWS = (10_000, 2_000, 2_000)
EPOCH = ROWS[0] // 64
MEASURES = {
    "frechet_distance": "Fréchet distance",
    "precision": "precision",
    "recall": "recall",
    "coverage": "coverage",
}
BOUNDS = ("real against real", "noise")
Metrics = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: a call of `fit`."""

    name: str
    model: str
    words: tuple[object, ...]
    steps: int


@dataclass(frozen=True)
class Kind:
    """A model's idea: without it, with it, and what else is looked at."""

    arms: tuple[Arm, ...]
    """The first is the one without."""
    closer: Callable[[Result, str, dict[str, list[Path]]], None] | None = field(default=None)
    """Adds rows of its own, from the run folders of each arm."""


SHORT = ("--latent", 64, "--ema", 0.99)
MLP = (*SHORT, "--hidden", "256,256")
STRONG = (*MLP, "--critic-hidden", "512,512", "--lr", 1e-3)
FLAT = (*MLP, "--lr", 2e-4)
CRITIC = (*FLAT, "--backbone", "mlp", "--critic-steps", 5)
EQUAL = (*SHORT, "--hidden", "92,92", "--critic-hidden", "92,92")
CONV = (*SHORT, "--width", 16, "--critic-width", 16)
SPECTRAL = (*SHORT, "--width", 8, "--lr", 5e-4, "--critic-lr", 1e-3)
BIG = (*SPECTRAL, "--shared", 32, "--critic-steps", 1, "--attention", "off")
RESIDUAL = (*SHORT, "--width", 8)
KINDS = {
    "gan": Kind(
        (
            Arm("minimax", "gan", (*STRONG, "--loss", "minimax"), 8 * EPOCH),
            Arm("non-saturating", "gan", (*STRONG, "--loss", "non_saturating"), 8 * EPOCH),
        )
    ),
    "dcgan": Kind((Arm("fully connected", "gan", EQUAL, 8 * EPOCH), Arm("convolutional", "dcgan", CONV, 8 * EPOCH))),
    "wgan": Kind(
        (
            Arm("plain game", "gan", (*FLAT, "--critic-hidden", "256,256"), 12 * EPOCH),
            Arm("clipped weights", "wgan", (*CRITIC, "--lipschitz", "clip"), 12 * EPOCH),
            Arm("gradient penalty", "wgan", CRITIC, 12 * EPOCH),
        ),
        b9_closer.critics_number,
    ),
    "sagan": Kind(
        (
            Arm("without attention", "sagan", (*SPECTRAL, "--attention", "off"), 3 * EPOCH),
            Arm("with attention", "sagan", (*SPECTRAL, "--attention", "on"), 3 * EPOCH),
        )
    ),
    "biggan": Kind(
        (
            Arm("told no classes", "biggan", (*BIG, "--no-conditional"), 3 * EPOCH),
            Arm("told the class", "biggan", BIG, 3 * EPOCH),
        ),
        b9_closer.truncated,
    ),
    "r3gan": Kind(
        (
            Arm("pairs alone", "r3gan", (*RESIDUAL, "--gamma", 0, "--gamma-end", 0), 3 * EPOCH),
            Arm("pairs, R1 and R2", "r3gan", RESIDUAL, 3 * EPOCH),
        ),
        b9_closer.slopes,
    ),
}
PROTOCOL = (
    f"MNIST at 14 x 14, {ROWS[0]:,} / {ROWS[1]:,} / {ROWS[2]:,} of its first training rows; elboroom fit, seeds "
    f"{SEEDS}, the steps of each arm; the same seeds, data and number of steps on both sides; values are means over "
    "seeds with the smallest and the largest, differences with Student's interval over seeds"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 10 steps, one seed")
    scratch = options.scratch(NAME)
    data, split, x = ("digits", [], images.digits().train) if options.short else small_digits(scratch)
    result.data = images.Images("digits" if options.short else "mnist, 14 x 14", x, x[:0]).words()
    for kind, about in KINDS.items():
        folders: dict[str, list[Path]] = {}
        found: dict[str, dict[int, Metrics]] = {}
        for arm in about.arms:
            found[arm.name], folders[arm.name] = {}, []
            for seed in SEEDS[:1] if options.short else SEEDS:
                command, metrics, folder = trained(options, scratch, kind, arm, [data, *split], seed)
                if metrics is not None:
                    found[arm.name][seed] = metrics
                    folders[arm.name].append(folder)
            result.commands.append(command)
            print(f"{kind}, {arm.name} done", file=sys.stderr)
        compared(result, kind, found, {name: weights(places[0]) for name, places in folders.items() if places})
        if about.closer is not None:
            about.closer(result, kind, folders)
    b9_closer.strong_critic(result, "gan", x, short=options.short)
    b9_closer.shared_embedding(result, "biggan")
    return result


def trained(
    options: Options, scratch: Path, kind: str, arm: Arm, data: list[object], seed: int
) -> tuple[str, Metrics | None, Path]:
    """The command, the metrics and the folder of one run; no metrics where its numbers stopped being finite."""
    folder = f"{kind}-{arm.name.replace(',', '').replace(' ', '-')}-{seed}"
    steps = 10 if options.short else arm.steps
    words = [arm.model, *data, *arm.words, "--steps", steps, "--seed", seed, "--run", folder, "--or-resume"]
    try:
        command, document = fit(options, scratch, words)
    except RuntimeError as error:
        if "ended with 4" not in str(error):
            raise
        return str(error).splitlines()[0], None, scratch / folder
    metrics = document["metrics"]
    return command, metrics if "frechet_distance" in metrics else None, scratch / folder


def small_digits(scratch: Path) -> tuple[str, list[object], np.ndarray[Any, Any]]:
    """The first training digits at half their size: the name of their file, how it is split, and the pixels."""
    n = sum(ROWS)
    folder = Path(os.environ.get("ELBOROOM_DATA", "")) / "mnist"
    x = b9_closer.halved(images.mnist().train[:n])
    with gzip.open(folder / "train-labels-idx1-ubyte.gz", "rb") as file:
        label = np.frombuffer(file.read(), np.uint8, offset=8)[:n]
    np.savez(scratch / "mnist14.npz", x=x, y=label)
    return "mnist14.npz", ["--split", ",".join(map(str, ROWS))], x


def compared(result: Result, kind: str, found: dict[str, dict[int, Metrics]], sizes: dict[str, int]) -> None:
    """The measures of each arm, what bounds them, and each arm less the first."""
    for name, runs in found.items():
        result.add(f"{kind}, {name}: seeds that came to their end", len(runs), "")
        for key, words in MEASURES.items():
            if runs:
                values = [metrics[key]["value"] for metrics in runs.values()]
                over_seeds(result, f"{kind}, {name}: {words}", values, next(iter(runs.values()))[key]["unit"])
        if name in sizes:
            result.add(
                f"{kind}, {name}: thousand weights",
                round_off(sizes[name] / 1000),
                "",
                how="both players, without the average",
            )
        asked = [metrics["class_accuracy"]["value"] for metrics in runs.values() if "class_accuracy" in metrics]
        if asked:
            over_seeds(result, f"{kind}, {name}: class accuracy", asked, "share")
    some = next((metrics for runs in found.values() for metrics in runs.values()), None)
    if some is None:
        return
    for bound in BOUNDS:
        for key, words in MEASURES.items():
            beside = next((r for r in some[key].get("references", []) if r["name"] == bound), None)
            if beside is not None:
                row(result, f"{kind}, {bound}: {words}", beside, some[key]["unit"], "95 % interval over examples")
    first, *others = found
    for name in others:
        both = [seed for seed in found[name] if seed in found[first]]
        for key, words in MEASURES.items() if both else ():
            ours, theirs = ([found[side][seed][key]["value"] for seed in both] for side in (name, first))
            gap = difference_interval(ours, theirs)
            unit = found[name][both[0]][key]["unit"]
            row(result, f"{kind}, {name} less {first}: {words}", ends(gap), unit, f"paired by seed, {gap.how}")


def row(result: Result, measure: str, found: dict[str, float | None], unit: str, how: str) -> None:
    """One value with its interval, where it has one."""
    value, low, high = (None if found[k] is None else round_off(float(found[k] or 0)) for k in ("value", "low", "high"))
    result.add(measure, value, unit, low=low, high=high, how=how)


def weights(folder: Path) -> int:
    """How many weights a run has trained."""
    return int(json.loads((folder / "run.json").read_text(encoding="utf-8"))["parameters"])
