"""A1: the autoencoder exercise, 784-32-784 on MNIST, mean BCE after 50 epochs: published 0.1170 (training 0.1164).

All 60,000 training images train, the 10,000 test images are the exercise's "validation". The exercise divides each
column x[:, j] of an image by its L2 norm, and no other scale gives 0.1170: the entropy of such targets, which no
predictor can go below, is 0.1012 a pixel, that of ordinary pixels in [0, 1] is 0.0581. So both runs are here, each
with its excess over the floor. Held in fp32, as the published run was.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.images import column_normalised, entropy_floor
from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "a1_autoencoder"
GOAL = "0.1170 +- 0.0005"
SEEDS = 3
PROTOCOL = (
    "elboroom fit autoencoder mnist, defaults of the model (784-32-784, ReLU code, Glorot-uniform weights, zero "
    "biases, Adam 1e-3, batch 256), 50 epochs, last weights, seeds 0, 1, 2; the value is metrics.json's "
    "reconstruction_bce on the test images; the floor is the mean binary entropy of the same targets, computed "
    "beside elboroom with numpy"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 1 seed, 2 epochs")
    data = options.images()
    result.data = data.words()
    floors = {"column": entropy_floor(column_normalised(data.test)), "unit": entropy_floor(data.test / 255)}
    result.details["entropy_floor"] = {name: round(value, 5) for name, value in floors.items()}
    for scale, goal in (("column", GOAL), ("unit", "")):
        runs = [one(options, result, scale, seed) for seed in range(1 if options.short else SEEDS)]
        test, train = [r["test"] for r in runs], [r["train"] for r in runs]
        value = statistics.mean(test)
        how = f"mean of {len(runs)} seeds, with smallest and largest"
        result.add(f"test BCE, {scale}", round(value, 5), "nats a pixel", goal, low=min(test), high=max(test), how=how)
        result.add(
            f"test BCE, {scale}: excess over the floor", round(value - floors[scale], 5), "nats a pixel", how=how
        )
        result.add(f"training BCE, {scale}, last epoch", round(statistics.mean(train), 5), "nats a pixel", how=how)
    return result


def one(options: Options, result: Result, scale: str, seed: int) -> dict[str, Any]:
    """One run through the command line."""
    scratch = options.scratch(NAME)
    name = f"{scale}-{seed}"
    words = ["--scale", scale, "--split", "60000,0,10000", "--epochs", 50]
    if options.short:
        words = ["--scale", scale, "--epochs", 2]
    source = "digits" if options.short else "mnist"
    runtime = ["--precision", "fp32", "--seed", seed, "--run", name, "--force"]
    command, document = fit(options, scratch, ["autoencoder", source, *words, *runtime])
    result.commands.append(command)
    lines = [row for row in history(scratch / name) if "train/reconstruction_bce" in row]
    last = lines[-1]
    values = {
        "test": round_off(document["metrics"]["reconstruction_bce"]["value"]),
        "train": round_off(last["train/reconstruction_bce"]),
        "training_s": last["time_s"],
    }
    result.details[name] = values
    return values
