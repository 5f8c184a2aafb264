"""P8: one layer of the peephole LSTM against torch's nn.LSTM of the same shape, and the gru against nn.GRU.

64 rows, 100 steps, 32 inputs, 128 units, float32, training and inference, with one thread and with all that were asked
for. The peephole layer does the same products as nn.LSTM and three small products a unit more; a gru does three
quarters of them. Every time stands beside its floor.
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

NAME = "p8_peephole"
PROTOCOL = (
    "Three fresh processes a number of threads, each with other data and weights; in each a warm-up turn, then 60 "
    "turns, a turn being one call of each, which goes first changing every time. Median of the 180 ratios of "
    "neighbouring calls, with quartiles. Inference: a forward pass without a gradient. Training: a forward pass and "
    "the gradients of all weights. The kernel is compiled before, on its first use; that takes seconds, once. At "
    "peepholes of 0 the two are the same function: outputs and gradients are compared there. plain: the equations in "
    "torch, without the kernel, in every eighth turn. The gru and nn.GRU are one function."
)
ROWS, STEPS, INPUTS, HIDDEN = 64, 100, 32, 128
GOALS = {"training": "<= 1.25", "inference": "<= 2.0"}
COMPARED = {
    "outputs": "largest, any process",
    "gradients": "largest norm of a difference over the gradient's norm, any weight",
}
PAIRS = {"elboroom": ("without peepholes", "nn.LSTM"), "gru": ("of the gru", "nn.GRU")}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "8 rows of 10 steps, two turns")
    result.data = {"name": "normal random numbers", "shape": ["rows", "steps", INPUTS], "seeds": [0, 1, 2]}
    for threads in sorted({1, options.threads}):
        measure(options, result, threads)
    return result


def measure(options: Options, result: Result, threads: int) -> None:
    """Ratios, differences and floors at one number of threads."""
    words = f"{threads} thread{'s' * (threads > 1)}"
    rates = floors.measure(threads)
    answers = [worker(options, result, threads, seed) for seed in ((0,) if options.short else (0, 1, 2))]
    kernels = sorted({said for answer in answers for said in answer["kernels"].values()})
    found: dict[str, Any] = {"kernels": kernels, "rates": rates.to_json()}
    for work, goal in GOALS.items():
        seconds = {
            name: [s for answer in answers for s in answer["seconds"][work][name]]
            for name in ("elboroom", "lstm", "plain", "gru", "torch_gru")
        }
        ratio, low, high = (round_off(r) for r in median_of_ratios(seconds["elboroom"], seconds["lstm"]))
        how = f"median of {len(seconds['lstm'])} ratios, with quartiles"
        how += "; the goal beyond it is 1.5" if work == "inference" else ""
        result.add(f"seconds of {work}, {words}: elboroom / nn.LSTM", ratio, "x", goal, low=low, high=high, how=how)
        middle = {name: round_off(statistics.median(times)) for name, times in seconds.items()}
        loop = round_off(middle["plain"] / middle["lstm"])
        how = f"ratio of the medians of {len(seconds['plain'])} and {len(seconds['lstm'])} calls"
        result.add(f"seconds of {work}, {words}: plain / nn.LSTM", loop, "x", how=how)
        for beside, other in (("torch_gru", "nn.GRU"), ("lstm", "nn.LSTM")):
            ratio, low, high = (round_off(r) for r in median_of_ratios(seconds["gru"], seconds[beside]))
            how = f"median of {len(seconds['gru'])} ratios, with quartiles"
            result.add(f"seconds of {work}, {words}: gru / {other}", ratio, "x", low=low, high=high, how=how)
        found[work] = {
            name: least(work, *shape(options), gates=3 if "gru" in name else 4).beside(middle[name], rates, "fp32")
            for name in middle
        }
        found[work]["shortest"] = {name: round_off(min(times)) for name, times in seconds.items()}
    for name, (which, other) in PAIRS.items():
        for what, how in COMPARED.items():
            widest = round_off(max(answer["same"][name][what] for answer in answers))
            goal = "<= 0.000001" if (name, what) == ("elboroom", "outputs") else ""
            result.add(f"{what} {which}, {words}: elboroom - {other}", widest, "", goal, how=how)
    result.details[words] = found


def shape(options: Options) -> tuple[int, int]:
    return (8, 10) if options.short else (ROWS, STEPS)


def least(work: str, rows: int, steps: int, gates: int) -> floors.Work:
    """Forward 2 operations a weight, row and step; in training as many for the weights' gradient, and for the states'
    gradient as many a recurrent weight. Inputs are read and outputs written; training keeps the gates of every step and
    one value more (the cell state; of a gru what r is multiplied with), reads them again, and writes and reads the
    gates' gradients."""
    into, across = gates * HIDDEN * INPUTS, gates * HIDDEN * HIDDEN
    moved = INPUTS + HIDDEN
    if work == "inference":
        return floors.Work(2 * rows * steps * (into + across), 4 * rows * steps * moved)
    moved += INPUTS + 2 * HIDDEN + 2 * (gates + 1) * HIDDEN + 3 * gates * HIDDEN
    return floors.Work(2 * rows * steps * (2 * (into + across) + across), 4 * rows * steps * moved)


def worker(options: Options, result: Result, threads: int, seed: int) -> dict[str, Any]:
    rows, steps = shape(options)
    words = {"steps": steps, "hidden": HIDDEN, "inputs": INPUTS, "batch": rows, "threads": threads, "seed": seed}
    flags = tuple(part for key, value in words.items() for part in (f"--{key}", str(value)))
    who = Contestant(f"{threads}-{seed}", Path(sys.executable), "peephole_steps.py", flags)
    pace = Pace(turns=2 if options.short else 60, batch=rows, threads=threads, pinned=not options.short)
    scratch = options.scratch(result.name)
    result.commands.append(f"{who.command()} --turns {pace.turns + 1}")
    answer = alone(who, scratch, pace, scratch / "logs" / f"{who.name}.log")
    print(f"{who.name}: {'; '.join(answer['kernels'].values())}", file=sys.stderr)
    return answer
