"""B8: whether `diagnose` tells a collapsed game from a varied one, over runs that played no part in its rules.

Trainings that should go well and trainings made to fail (noise too narrow, steps too large, a critic too weak, too
strong or without its penalty). What became of each is told afterwards by what no rule sees: samples of the last
weights, counted by the known centres of a mixture or named by the five nearest labelled digits. `even` is exp(entropy)
of those counts over the number of modes: 1 where all are made alike, 1/8 where one of eight is.

The rules' thresholds were chosen on DEVELOPMENT. EVALUATION has other data, other settings and other seeds, and was
run when the thresholds stood.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result
from elboroom.checks.adversarial import RULES, mode_collapse
from elboroom.checks.record import Record, Row, read_record
from elboroom.data.source import Dataset
from elboroom.metrics.interval import Interval, share_interval
from elboroom.run import Run, load

__all__ = ["DEVELOPMENT", "EVALUATION", "Case", "evenness", "first_alarm", "run", "watched"]

NAME = "b8_watch"
Array = NDArray[Any]
COLLAPSED, VARIED = 0.6, 0.8
"""`even` at most the first: collapsed; at least the second: varied; what lies between is counted and not judged."""
SAMPLES = 2500
NEIGHBOURS = 5
ENOUGH = 10
"""Runs of each outcome that the goals ask for."""
PROTOCOL = (
    f"one training a case, CPU; truth: `even` of {SAMPLES:,} samples of the last weights, at most {COLLAPSED} is "
    f"collapsed and at least {VARIED} varied (mixtures: nearest centre within half the least distance of two; digits: "
    f"majority of the {NEIGHBOURS} nearest training rows); the watch: `mode_collapse` on history.jsonl alone, an alarm "
    "counts, a warning does not; Wilson intervals"
)


@dataclass(frozen=True)
class Case:
    """One training."""

    model: str
    data: str
    flags: tuple[object, ...] = ()
    seed: int = 0

    @property
    def words(self) -> tuple[object, ...]:
        """As `elboroom fit` takes them."""
        return (self.model, self.data, *SIZES[self.model], *self.flags, "--seed", self.seed, "--compile", "off")


SIZES: dict[str, tuple[object, ...]] = {
    "gan": ("--hidden", "64,64", "--critic-hidden", "64,64"),
    "wgan": ("--hidden", "64,64", "--backbone", "mlp"),
    "r3gan": ("--hidden", "64,64", "--backbone", "mlp"),
}
"""Small fully connected nets; flags that follow them count."""


def cases(model: str, data: str, seed: int, *each: tuple[object, ...]) -> tuple[Case, ...]:
    """One case for each set of flags, each with a seed of its own."""
    return tuple(Case(model, data, flags, seed + i) for i, flags in enumerate(each))


RING, GRID = "ring8:n=6400,sd=0.05", "grid25:n=6400,sd=0.1,side=3"
PLAIN = ("--steps", 2000, "--lr", 1e-3, "--latent", 8)
HUGE = ("--steps", 1500, "--lr", 2e-2, "--latent", 8)
NARROW = ("--steps", 1500, "--lr", 1e-3, "--latent", 1)
SLEEPY = ("--steps", 1500, "--lr", 2e-3, "--latent", 8, "--critic-hidden", "2")
SATURATED = ("--steps", 1500, "--lr", 2e-3, "--latent", 8, "--loss", "minimax", "--critic-hidden", "256,256")
GENTLE = ("--steps", 3000, "--lr", 1e-3, "--latent", 8, "--critic-steps", 2)
FREE = (*GENTLE, "--penalty", 0, "--lr", 1e-2)
CLIPPED = ("--lipschitz", "clip", "--clip", 0.1, "--lr", 3e-4)
PAIRED = ("--steps", 2000, "--lr", 1e-3, "--latent", 8)

DEVELOPMENT = (
    *cases("gan", RING, 100, PLAIN, (*PLAIN, "--pack", 4), HUGE, NARROW, SLEEPY, SATURATED),
    *cases("gan", GRID, 110, PLAIN, (*PLAIN, "--pack", 4)),
    *cases("gan", "digits", 120, PLAIN, HUGE, NARROW, SLEEPY, SATURATED),
    *cases("wgan", RING, 200, GENTLE, FREE),
    *cases("wgan", GRID, 210, (*GENTLE, *CLIPPED)),
    *cases("wgan", "digits", 220, GENTLE, (*GENTLE, "--lr", 5e-2)),
    *cases("r3gan", RING, 300, PAIRED),
)

OTHER_RING, OTHER_GRID = "ring8:n=8000,sd=0.03", "grid25:n=8000"
SOUND = ("--steps", 1600, "--lr", 2e-3, "--latent", 16, "--batch-size", 128)
HOT = ("--steps", 1200, "--lr", 3e-2, "--latent", 4)
THIN = ("--steps", 1200, "--lr", 3e-3, "--latent", 1, "--batch-size", 128)
BLIND = ("--steps", 1200, "--lr", 4e-3, "--latent", 16, "--critic-hidden", "3")
STEADY = ("--steps", 3000, "--lr", 2e-3, "--latent", 16, "--critic-steps", 3, "--penalty", 1)
WILD = ("--steps", 1500, "--lr", 8e-2, "--latent", 4, "--critic-steps", 1)
CALM = ("--steps", 1500, "--lr", 2e-3, "--latent", 16, "--batch-size", 128)
LOOSE = ("--steps", 1200, "--lr", 8e-2, "--lr-end", 8e-2, "--latent", 4)

EVALUATION = (
    *cases("gan", OTHER_RING, 1000, SOUND, (*SOUND, "--pack", 2), HOT, BLIND),
    *cases("gan", OTHER_GRID, 1010, SOUND, (*SOUND, "--loss", "least_squares"), HOT, BLIND),
    *cases("gan", "digits", 1020, (*SOUND, "--lr", 5e-4), (*SOUND, "--pack", 2), HOT, THIN, BLIND),
    *cases("wgan", OTHER_RING, 1100, STEADY, WILD, (*THIN, "--critic-steps", 1)),
    *cases("wgan", OTHER_GRID, 1110, STEADY, WILD),
    *cases("wgan", "digits", 1120, (*STEADY, "--lr", 5e-4), (*STEADY, "--penalty", 5), WILD, (*WILD, "--penalty", 0)),
    *cases("r3gan", OTHER_RING, 1200, CALM, LOOSE, (*LOOSE, "--gamma", 0, "--gamma-end", 0)),
    *cases("r3gan", OTHER_GRID, 1210, CALM, LOOSE),
    *cases("r3gan", "digits", 1220, CALM, (*CALM, "--gamma", 5), LOOSE, THIN),
)


# -- the truth ---------------------------------------------------------------------------------------------------------


def at_the_end(folder: Path) -> Run:
    """The run with its last weights: those it kept may be of an earlier, better step."""
    found = load(folder)
    _, tensors, _ = found.folder.checkpoints.newest()
    found.model.load_state_dict({name: tensors[f"model.{name}"] for name in found.model.state_dict()})
    return found


def evenness(data: Dataset, samples: Array) -> float:
    """exp(entropy) of the samples' modes or classes over their number; 0 where no sample belongs to any."""
    if data.mixture is not None:
        centres = np.asarray(data.mixture.centres)
        reach = np.sort(np.linalg.norm(centres[:, None] - centres, axis=2), axis=1)[:, 1].min() / 2
        distance = np.linalg.norm(samples[:, None] - centres, axis=2)
        named, known = distance.argmin(1)[distance.min(1) < reach], len(centres)
    else:
        named, known = by_neighbours(data, samples), len(data.spec.classes)
    shares = np.bincount(named, minlength=known) / max(len(named), 1)
    made = shares[shares > 0]
    return float(np.exp(-(made * np.log(made)).sum()) / known) if len(made) else 0.0


def by_neighbours(data: Dataset, samples: Array) -> Array:
    """The label of each sample: that of most of its nearest training rows."""
    rows = data.parts["train"]
    held = rows.take(torch.arange(len(rows)))
    x = np.asarray(data.transform.undo(data.transform(held).x)).reshape(len(rows), -1)
    made = torch.from_numpy(np.asarray(samples, np.float32).reshape(len(samples), -1))
    nearest = torch.cdist(made, torch.from_numpy(x.astype(np.float32))).topk(NEIGHBOURS, largest=False).indices
    named: Array = held["label"][nearest].mode(1).values.numpy()
    return named


# -- the watch ---------------------------------------------------------------------------------------------------------


def watched(rows: Sequence[Row], steps: int) -> Record:
    """What is known while a run of that many steps is trained: its history, and nothing measured at its end."""
    return Record({"budget": {"steps": steps}}, list(rows), {}, {})


def level(rows: Sequence[Row], steps: int) -> str:
    """What `mode_collapse` says of these lines of history."""
    found = mode_collapse(watched(rows, steps))
    return "silent" if found is None else found.level


def first_alarm(rows: Sequence[Row]) -> float | None:
    """The share of the training that was done when the alarm was first given; None where it never was."""
    steps = rows[-1]["step"]
    for i in range(1, len(rows) + 1):
        if level(rows[:i], steps) == "alarm":
            return float(rows[i - 1]["step"] / steps)
    return None


def followed(options: Options, folder: Path, case: Case, name: str) -> tuple[str, dict[str, Any]]:
    """Train, then put what the watch says beside what is true."""
    command, _ = fit(options, folder, [*case.words, "--run", name, "--force"])
    ended = at_the_end(folder / name)
    even = evenness(ended.dataset(), np.asarray(ended.sample(SAMPLES)))
    rows = history(folder / name)
    alarm, whole = first_alarm(rows), watched(rows, rows[-1]["step"])
    others = [found for rule in RULES[1:] if (found := rule(whole)) is not None and found.level == "alarm"]
    return command, {
        "case": f"{case.model} on {case.data}",
        "even": round_off(even),
        "truth": "collapsed" if even <= COLLAPSED else "varied" if even >= VARIED else "between",
        "watch": level(rows, rows[-1]["step"]),
        "diagnosis": "silent" if (said := mode_collapse(read_record(folder / name))) is None else said.level,
        "first_alarm": None if alarm is None else round_off(alarm),
        "other_alarms": [found.name for found in others],
        "last_look": {k: round_off(v) for k, v in rows[-1].items() if k.startswith("valid/") and "." not in k},
    }


# -- the recipe --------------------------------------------------------------------------------------------------------


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "two short trainings of the development list")
    listed = DEVELOPMENT[:2] if options.short else EVALUATION
    told = follow(options, result, [_short(case) for case in listed] if options.short else listed)
    summarise(result, told)
    return result


def follow(options: Options, result: Result, listed: Sequence[Case]) -> list[dict[str, Any]]:
    """Every case of a list, in order."""
    told = []
    for i, case in enumerate(listed):
        command, found = followed(options, options.scratch(NAME), case, f"case-{i:02d}")
        result.commands.append(command)
        result.details[f"case-{i:02d}"] = found
        told.append(found)
    return told


def _short(case: Case) -> Case:
    return Case(case.model, case.data, (*case.flags, "--steps", 400), case.seed)


def summarise(result: Result, told: Sequence[dict[str, Any]]) -> None:
    """Sensitivity and false alarms with their intervals, and what stands beside them."""
    collapsed = [found for found in told if found["truth"] == "collapsed"]
    varied = [found for found in told if found["truth"] == "varied"]
    result.add("runs that collapsed", len(collapsed), "", f">= {ENOUGH}")
    result.add("runs that stayed varied", len(varied), "", f">= {ENOUGH}")
    result.add("runs between the two, not judged", len(told) - len(collapsed) - len(varied), "")
    share(result, "collapsed runs with an alarm", ">= 0.9", [f["watch"] == "alarm" for f in collapsed])
    share(result, "varied runs with an alarm", "<= 0.1", [f["watch"] == "alarm" for f in varied])
    share(result, "varied runs with an alarm at any time", "", [f["first_alarm"] is not None for f in varied])
    share(result, "varied runs with a warning", "", [f["watch"] == "warn" for f in varied])
    share(result, "varied runs with another alarm of two players", "", [bool(f["other_alarms"]) for f in varied])
    share(result, "collapsed runs with an alarm after evaluation", "", [f["diagnosis"] == "alarm" for f in collapsed])
    share(result, "varied runs with an alarm after evaluation", "", [f["diagnosis"] == "alarm" for f in varied])
    first = [f["first_alarm"] for f in collapsed if f["first_alarm"] is not None]
    result.add(
        "share of the training done when a collapse is first told",
        round_off(statistics.median(first)) if first else None,
        "",
        how=f"median of {len(first)} collapsed runs, by replaying their histories",
    )


def share(result: Result, what: str, goal: str, hits: Sequence[bool]) -> None:
    """A share with Wilson's interval; without a value where there is nothing to count."""
    if not hits:
        result.add(what, None, "", goal, how="no such run")
        return
    found: Interval = share_interval(hits)
    ends = {"low": round_off(found.low), "high": round_off(found.high)}
    result.add(what, round_off(found.value), "", goal, how=f"{sum(hits)} of {len(hits)}; Wilson, 95 %", **ends)
