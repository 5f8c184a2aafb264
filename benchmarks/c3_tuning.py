"""Settings of a classifier chosen by validation alone: the same random draws for every net, the hopeless stopped early.

`DRAWS` settings are drawn once from the ranges below. Each is trained for a sixth of the steps on two thirds of a set's
training part; the `KEPT` with the smallest log loss on the other third are trained for all steps on the same two
thirds, and the smallest log loss wins (successive halving, Jamieson & Talwalkar 2016, in two rounds). No test part is
read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipe import round_off

__all__ = ["CHOICES", "DRAWS", "LR", "Trial", "draws", "tuned"]

DRAWS, KEPT, SHORTENED = 12, 2, 6
LR = (5e-4, 1e-2)
"""The ends of a log-uniform range."""
CHOICES: dict[str, tuple[Any, ...]] = {
    "dropout": (0.0, 0.2, 0.5),
    "noise": (0.0, 0.1, 0.3, 0.6, 1.0),
    "pooling": ("mean", "last", "attention"),
    "weight_decay": (0.0, 0.01, 0.1),
}
"""Each value is as likely as the others."""
SPLIT = (0.667, 0.333, 0.0)


def draws(count: int = DRAWS) -> list[dict[str, Any]]:
    """The settings that every net tries, by numpy's generator 0."""
    rng = np.random.default_rng(0)
    out = []
    for _ in range(count):
        lr = round_off(math.exp(rng.uniform(*map(math.log, LR))))
        out.append({"lr": lr, **{name: values[rng.integers(len(values))] for name, values in CHOICES.items()}})
    return out


@dataclass
class Trial:
    """One setting and what it came to."""

    settings: dict[str, Any]
    first: float
    """Validation log loss after the short training, nats."""
    second: float = math.inf
    """After the whole one; infinite where it was stopped before."""

    def words(self) -> dict[str, Any]:
        whole = {"whole_nats": round_off(self.second)} if math.isfinite(self.second) else {}
        return {**self.settings, "short_nats": round_off(self.first), **whole}


def tuned(source: str | Path, net: dict[str, Any], steps: int, threads: int, count: int = DRAWS) -> list[Trial]:
    """All trials of one net on one set, the chosen one first."""
    trials = []
    for drawn in draws(count):
        trials.append(Trial(drawn, validation_nats(source, {**net, **drawn}, max(1, steps // SHORTENED), threads)))
    trials.sort(key=lambda trial: trial.first)
    for trial in trials[:KEPT]:
        trial.second = validation_nats(source, {**net, **trial.settings}, steps, threads)
    return sorted(trials, key=lambda trial: (trial.second, trial.first))


def validation_nats(source: str | Path, settings: dict[str, Any], steps: int, threads: int) -> float:
    """Log loss on the validation third after the last step; infinite where it is not finite."""
    from elboroom.core import registry
    from elboroom.data.reading import Reading
    from elboroom.data.source import read
    from elboroom.engine.train import train
    from elboroom.plan import chosen, read_runtime
    from elboroom.settings import checked
    from elboroom.training import Training, configured

    dataset = read(source, Reading(kind="sequences", split=SPLIT), seed=0)
    values = checked(registry.entry("classifier"), settings)
    asked = read_runtime("cpu", "fp32", "off", threads, 0, 1)
    batch = min(values["batch_size"], len(dataset.parts["train"]))
    meta = {"model": "classifier", "settings": values, "budget": {"batch_size": batch}, "runtime": asked.to_json()}
    training = Training(meta, dataset, None)
    costs = training.costs()
    meta["runtime"] = chosen(asked, costs, steps, "auto")[0].to_json()
    meta["budget"].update(steps=steps, planned_steps=steps, log_every=steps)
    with configured(meta):
        training.assemble(costs)
        for _ in train(training.programs, training.stream, steps=steps, planned=steps, seed=0):
            pass
        loss = float(training.loss_on("valid")["loss_nats"])
    return loss if math.isfinite(loss) else math.inf
