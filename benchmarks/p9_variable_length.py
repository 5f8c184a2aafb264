"""P9: training a bidirectional LSTM over rows of different lengths, against packed sequences.

One layer, float32, forward pass and the gradients of all weights; random numbers, for a cell takes as long on any.
Every time stands beside its floor: the products of the steps that rows have, none of the padding's.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks import floors
from benchmarks.recipe import Options, round_off
from benchmarks.record import Result, median_of_ratios
from benchmarks.rounds import Contestant, Pace, alone

__all__ = ["run"]

NAME = "p9_variable_length"
PROTOCOL = (
    "lengths uniform from a quarter of the steps to all of them, one row with all. Three fresh processes a size, each "
    "with other data and weights; in each a warm-up turn, then 5 turns, a turn being as many training steps as take "
    "about half a second packed, the first to go changing every time. Median of the 15 ratios of neighbouring turns, "
    "with quartiles. Packing and padding again are part of the packed step; both nets have the same weights, and their "
    "outputs and gradients are compared."
)
SIZES = ((32, 100, 64, 12), (32, 400, 64, 2), (64, 200, 128, 1))
"""Rows, steps, units of a direction, training steps a turn."""
INPUTS = 32
GOAL = "<= 0.25"


def run(options: Options) -> Result:
    name = NAME if options.device == "cpu" else f"{NAME}_{options.device.partition(':')[0]}"
    result = options.begin(name, __doc__.splitlines()[0], PROTOCOL, "8 rows of up to 20 steps, one turn")
    result.data = {"name": "normal random numbers", "shape": ["rows", "steps", INPUTS], "seeds": [0, 1, 2]}
    rates = floors.measure(options.threads) if options.device == "cpu" else None
    for size in ((8, 20, 16, 1),) if options.short else SIZES:
        measure(options, result, size, rates)
    if rates is not None:
        result.details["rates"] = rates.to_json()
    return result


def measure(options: Options, result: Result, size: tuple[int, int, int, int], rates: floors.Rates | None) -> None:
    """One size: its ratios, its differences, its floor."""
    rows, steps, hidden, _ = size
    what = f"B {rows}, T {steps}, H {hidden}"
    answers = [worker(options, result, size, seed) for seed in ((0,) if options.short else (0, 1, 2))]
    seconds = {way: [s for answer in answers for s in answer["seconds"][way]] for way in answers[0]["seconds"]}
    how = f"median of {len(seconds['packed'])} ratios, with quartiles"
    for way, goal in (("elboroom", GOAL), ("padded", "")):
        ratio, low, high = (round_off(r) for r in median_of_ratios(seconds[way], seconds["packed"]))
        result.add(f"seconds a training step, {what}: {way} / packed", ratio, "x", goal, low=low, high=high, how=how)
    widest = max(answer["outputs"] for answer in answers)
    result.add(f"outputs, {what}: elboroom - packed", round_off(widest), "", "<= 0.000001", how="largest, any process")
    widest = max(answer["gradients"] for answer in answers)
    how = "largest norm of a difference over the gradient's norm, any weight, any process"
    result.add(f"gradients, {what}: elboroom - packed", round_off(widest), "", how=how)
    result.details[what] = {
        "seconds": {way: [round_off(s) for s in all_of_them] for way, all_of_them in seconds.items()},
        "share of steps that rows have": round_off(sum(a["steps"] for a in answers) / (len(answers) * rows * steps)),
    }
    if rates is not None:
        work = least(sum(answer["steps"] for answer in answers) / len(answers), hidden)
        result.details[what]["floors"] = {
            way: work.beside(round_off(statistics.median(seconds[way])), rates, "fp32") for way in seconds
        }


def least(steps: float, hidden: int) -> floors.Work:
    """Of `steps` steps of rows in two directions: forward 2 operations a weight, as many for the weights' gradient, and
    for the states' gradient as many a recurrent weight. Each input is read and each output and its gradient moved."""
    into, across = 4 * hidden * INPUTS, 4 * hidden * hidden
    operations = 2 * steps * 2 * (2 * (into + across) + across)
    return floors.Work(operations, steps * 4 * (2 * INPUTS + 2 * 2 * hidden))


def worker(options: Options, result: Result, size: tuple[int, int, int, int], seed: int) -> dict[str, Any]:
    rows, steps, hidden, repeats = size
    words = {"steps": steps, "hidden": hidden, "inputs": INPUTS, "repeats": repeats, "batch": rows, "seed": seed}
    flags = tuple(part for key, value in words.items() for part in (f"--{key}", str(value)))
    who = Contestant(f"{rows}-{steps}-{hidden}-{seed}", Path(sys.executable), "recurrent_lengths.py", flags)
    pace = Pace(
        turns=1 if options.short else 5,
        batch=rows,
        threads=options.threads,
        device=options.device,
        pinned=not options.short,
    )
    scratch = options.scratch(result.name)
    result.commands.append(f"{who.command()} --turns {pace.turns + 1}")
    answer = alone(who, scratch, pace, scratch / "logs" / f"{who.name}.log")
    print(f"{who.name}: {answer['seconds']}", file=sys.stderr)
    return answer
