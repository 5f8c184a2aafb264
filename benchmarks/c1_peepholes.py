"""C1: what peepholes are for: one memory cell with and without them generates spikes and waves, and measures delays.

The tasks are those of Gers & Schmidhuber 2000 and Gers, Schraudolph & Schmidhuber 2002; data/timing.py defines them. A
net is one input, one cell and one output: 17 weights, 14 without peepholes. Other than there: tanh at the cell's input
and output (the cell users have; there, none); the full gradient through time over a few periods, Adam, from an empty
state at every step (there, a truncated online gradient with momentum on streams of up to 100 spikes); a few thousand
steps (there, up to 1e7 streams, 1e8 for MSD); an input weight that no spike or wave uses is counted, as there.

Settings are tuned alike with and without: the same random draws, each tried on the task's shortest period with seeds
of their own. Beside the small tasks stands one set of real sequences, JapaneseVowels, by the ordinary classifier.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.c3_classification import archive, sketch, words
from benchmarks.one_cell import WEIGHTS
from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result
from benchmarks.timing_nets import Delays, Member, Outcome, Settings, Spikes, Task, Wave, train
from elboroom.metrics.interval import Interval, difference_interval, mean_interval, share_interval
from elboroom.nn.recurrent import Recurrent

__all__ = ["run"]

NAME = "c1_peepholes"
SEEDS = 20
TUNING_SEEDS = (1000, 1001, 1002)
DRAWS = 24
SET, SET_SEEDS, SET_STEPS = "JapaneseVowels", 3, 400
WITH, WITHOUT, MINUS = "with peepholes", "without", "with minus without"


@dataclass(frozen=True)
class Family:
    """Tasks that share their settings, which are chosen on the first `tuned`."""

    name: str
    tasks: tuple[Task, ...]
    tuned: int
    steps: int
    goal: str = ""
    """For the rate with peepholes minus the rate without, over all tasks of the family."""


FAMILIES = (
    Family("GTS", tuple(Spikes(period) for period in (10, 20, 30)), 1, 20_000, "> 0"),
    Family("PFG", tuple(Wave(f, wave) for f in (10, 25) for wave in ("cosine", "triangle", "rectangle")), 3, 10_000),
    Family("MSD", (Delays(10),), 1, 10_000, "0.0 +- 0.2"),
)
PROTOCOL = (
    f"nets of one cell, {WEIGHTS} weights with peepholes and {WEIGHTS - 3} without; Adam, full gradient; steps: "
    + ", ".join(f"{family.name} {family.steps:,}" for family in FAMILIES)
    + "; every 500 steps a net is tested from an empty state; solved: 1,000 periods (MSD: spikes) in a row with every "
    f"error below 0.49 (PFG: 0.3); {SEEDS} seeds, the same with and without; settings: the best of {DRAWS} random "
    f"draws, the same draws for both, on {len(TUNING_SEEDS)} other seeds; rates with Wilson's 95 % interval; "
    f"any settings: the mean of all draws; {SET}: "
    f"elboroom fit classifier, {SET_STEPS} steps, {SET_SEEDS} seeds"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "2 draws, 2 seeds, 20 steps; made-up waves, 1 seed")
    result.data = {"name": "drawn by elboroom.data.timing"}
    result.commands.append(f"python -m benchmarks {NAME}")
    for family in FAMILIES:
        measure(options, result, family)
    for family in FAMILIES:
        pace(options, result, family.name, family.tasks[0])
    classify(options, result)
    return result


# -- the small tasks ---------------------------------------------------------------------------------------------------


def measure(options: Options, result: Result, family: Family) -> None:
    """Tune on the first tasks, then run all of them on fresh seeds; a row a task and net, and the difference."""
    began = time.monotonic()
    steps, seeds = (20, 2) if options.short else (family.steps, SEEDS)
    chosen, tried = tuned(options, family, steps)
    members = [
        Member(task, chosen[peepholes], seed, peepholes)
        for task in family.tasks for peepholes in (True, False) for seed in range(seeds)
    ]  # fmt: skip
    outcomes, _ = train(members, steps)
    rates: dict[bool, list[bool]] = {True: [], False: []}
    details: dict[str, Any] = {}
    for task in family.tasks:
        for peepholes in (True, False):
            own = [o for m, o in zip(members, outcomes, strict=True) if (m.task, m.peepholes) == (task, peepholes)]
            solved = [o.solved_at > 0 for o in own]
            rates[peepholes] += solved
            found, label = share_interval(solved), f"{task.name}: {WITH if peepholes else WITHOUT}"
            how = f"{sum(solved)} of {len(solved)} seeds, {said(own)}; {WEIGHTS - 3 * (not peepholes)} weights"
            add(result, label, found, "", how)
            details[label] = [asdict(o) for o in own]
    how = f"{len(family.tasks)} x {seeds} pairs of one task and seed, 95 %; settings tuned alike"
    add(result, f"{family.name}: {MINUS}", difference_interval(rates[True], rates[False]), family.goal, how)
    tasks = " and ".join(task.name for task in family.tasks[: family.tuned])
    for name in (WITH, WITHOUT):
        found = mean_interval([draw["solved"][name] for draw in tried])
        add(result, f"{family.name}, any settings: {name}", found, "", f"{tasks}: mean of {len(tried)} random settings")
    result.details[family.name] = {
        "settings": {WITH: asdict(chosen[True]), WITHOUT: asdict(chosen[False])},
        "tried": tried,
        "outcomes": details,
        "took_s": round(time.monotonic() - began, 1),
    }


def add(result: Result, measure: str, found: Interval, goal: str, how: str) -> None:
    """A row for a share, or a difference of shares, of nets that solved their task."""
    value, low, high = (round_off(x) for x in (found.value, found.low, found.high))
    ends = {} if math.isnan(low) else {"low": low, "high": high}
    result.add(measure, value, "solved", goal, how=how, **ends)


def said(outcomes: Sequence[Outcome]) -> str:
    """When they were solved, or how far the best came."""
    solved = [o.solved_at for o in outcomes if o.solved_at > 0]
    if solved:
        return f"after {statistics.median(solved):,.0f} steps (median)"
    return f"at best {max(o.longest for o in outcomes):,} periods in a row"


def tuned(options: Options, family: Family, steps: int) -> tuple[dict[bool, Settings], list[dict[str, Any]]]:
    """Of the same random settings the best for each of the two nets: most solved, then the longest runs."""
    draws = [Settings.draw(np.random.default_rng([7, k]), family.name) for k in range(2 if options.short else DRAWS)]
    seeds = TUNING_SEEDS[: 1 if options.short else None]
    members = [
        Member(task, settings, seed, peepholes)
        for settings in draws for task in family.tasks[: family.tuned] for peepholes in (True, False) for seed in seeds
    ]  # fmt: skip
    score: dict[tuple[Settings, bool], list[tuple[bool, int]]] = {}
    for member, outcome in zip(members, train(members, steps)[0], strict=True):
        score.setdefault((member.settings, member.peepholes), []).append((outcome.solved_at > 0, outcome.longest))
    totals = {key: tuple(sum(column) for column in zip(*values, strict=True)) for key, values in score.items()}
    chosen = {net: max(draws, key=lambda settings: totals[settings, net]) for net in (True, False)}
    each = family.tuned * len(seeds)
    tried = [
        {
            **asdict(settings),
            "solved": {name: totals[settings, net][0] / each for name, net in ((WITH, True), (WITHOUT, False))},
        }
        for settings in draws
    ]
    return chosen, tried


def pace(options: Options, result: Result, family: str, task: Task) -> None:
    """Milliseconds of a training step of one lone net made of the layers that users have, both taking turns."""
    steps = 6 * task.period
    x, target = torch.zeros(1, steps, 1), torch.zeros(1, steps, 1)
    nets = {cell: torch.nn.Sequential(Recurrent(1, 1, cell=cell)) for cell in ("peephole", "lstm")}
    heads = {cell: torch.nn.Linear(1, 1) for cell in nets}
    adam = {c: torch.optim.Adam([*nets[c].parameters(), *heads[c].parameters()], fused=True) for c in nets}
    took: dict[str, list[float]] = {cell: [] for cell in nets}
    for _ in range(3 if options.short else 60):
        for cell, net in nets.items():
            began = time.perf_counter()
            adam[cell].zero_grad()
            (heads[cell](net(x)[0]) - target).square().mean().backward()
            adam[cell].step()
            took[cell].append(1e3 * (time.perf_counter() - began))
    for cell, label in (("peephole", WITH), ("lstm", WITHOUT)):
        low, middle, high = statistics.quantiles(took[cell][len(took[cell]) // 5 :], n=4, method="inclusive")
        how = f"a lone net of one cell, {steps} steps of time, forward, backward and Adam; median with quartiles"
        result.add(
            f"{family}, a training step: {label}", round_off(middle), "ms",
            low=round_off(low), high=round_off(high), how=how,
        )  # fmt: skip


# -- one set of real sequences -----------------------------------------------------------------------------------------


def classify(options: Options, result: Result) -> None:
    """Accuracy of the classifier with both cells, and what a step takes."""
    folder = options.scratch(NAME) / "data"
    folder.mkdir(exist_ok=True)
    source = sketch(folder) if options.short else archive(SET)
    name = str(source[0]).removesuffix(".npz")
    result.data["sequences"] = words(folder, name)
    steps, seeds = (20, 1) if options.short else (SET_STEPS, SET_SEEDS)
    found: dict[str, list[float]] = {"peephole": [], "lstm": []}
    times: dict[str, list[float]] = {cell: [] for cell in found}
    for seed in range(seeds):
        for cell in found:  # in turns, so that a busy machine is busy for both
            place = f"{name}-{cell}-{seed}"
            call = ["classifier", *source, "--cell", cell, "--noise", 0, "--steps", steps]
            command, document = fit(options, folder, [*call, "--seed", seed, "--run", place, "--force"])
            result.commands.append(command)
            found[cell].append(document["metrics"]["accuracy"]["value"])
            times[cell].append(1e3 * float(history(folder / place)[-1]["time_s"]) / steps)
    for cell, label in (("peephole", WITH), ("lstm", WITHOUT)):
        values = found[cell]
        result.add(
            f"{name}, bidirectional: {label}", round_off(statistics.mean(values)), "accuracy",
            low=round_off(min(values)), high=round_off(max(values)), how=f"mean of {seeds} seeds with the extremes",
        )  # fmt: skip
        ms, how = round_off(statistics.median(times[cell])), "16 sequences; median of the seeds, the cells in turns"
        result.add(f"{name}, a training step: {label}", ms, "ms", how=how)
