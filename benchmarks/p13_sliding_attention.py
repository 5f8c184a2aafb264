"""P13: sliding attention against dense causal SDPA at 16,384 tokens, and how time and memory grow with every pattern.

Batch 1, 8 heads of 64, float32, forward and backward; random numbers, for attention takes as long on any. Every time
stands beside its floor: six products over the pairs that the pattern allows, and each input, output and gradient
moved once.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import floors
from benchmarks.recipe import Options, round_off
from benchmarks.record import Result, median_of_ratios
from benchmarks.rounds import Contestant, Pace, alone

__all__ = ["run"]

NAME = "p13_sliding_attention"
PROTOCOL = (
    "race: one process at 16,384 tokens, every pattern and the dense kernel take turns on the same tensors, a "
    "warm-up turn, then 5 turns, the first to go changing every time; median of the 5 ratios, with quartiles. "
    "Growth: twice through all lengths and patterns, each time in a fresh process, a warm-up turn, then 3 turns; "
    "the shortest of the 6, for no two of them stand side by side and a neighbour on the machine can only "
    "lengthen them. The slope is the least-squares line through log seconds over log tokens, 1,024 to 65,536. "
    "Peak memory: the most that such a process held since its start, Python and torch included. Dense stops at "
    "16,384; beyond, its time is extrapolated by the square."
)
SLOPES = {
    "sliding:256": "<= 1.1",
    "block:256": "<= 1.1",
    "strided:auto": "<= 1.6",
    "fixed:auto:16": "<= 1.6",
    "dense": "",
}
RATIOS = {"sliding:256": "<= 0.125", "block:256": "", "strided:auto": "", "fixed:auto:16": ""}
LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768, 65536)
DENSE_UNTIL = 16384
HEADS, WIDTH = 8, 64
GIB = 2**30


def run(options: Options) -> Result:
    name = NAME if options.device == "cpu" else f"{NAME}_{options.device.partition(':')[0]}"
    result = options.begin(name, __doc__.splitlines()[0], PROTOCOL, "1,024 and 2,048 tokens, one turn")
    lengths, middle = ((1024, 2048), 1024) if options.short else (LENGTHS, 16384)
    result.data = {"name": "normal random numbers", "shape": [1, HEADS, "tokens", WIDTH], "seed": 0}
    rates = floors.measure(options.threads) if options.device == "cpu" else None
    race(options, result, middle)
    found = growth(options, result, lengths, rates)
    for pattern, goal in SLOPES.items():
        tokens = [row["tokens"] for row in found[pattern]]
        measure = f"slope of log seconds, {min(tokens):,} to {max(tokens):,} tokens: {pattern}"
        value = slope(tokens, [row["seconds"] for row in found[pattern]])
        result.add(measure, round_off(value), "", goal, how=f"least squares over {len(tokens)} lengths")
    for pattern in SLOPES:
        for row in found[pattern]:
            if row["tokens"] == (32768 if not options.short else 1024):
                measure = f"peak memory at {row['tokens']:,} tokens: {pattern}"
                # one float32 matrix of 32,768 x 32,768 takes 4 GiB
                result.add(measure, row["peak_gib"], "GiB", "< 4", how="of the whole process")
    if rates is not None:
        result.details["rates"] = rates.to_json()
    return result


def race(options: Options, result: Result, tokens: int) -> None:
    """All patterns and the dense kernel in one process, turn by turn."""
    answer = worker(options, result, ["dense", *RATIOS], tokens, 1 if options.short else 5)
    for pattern, goal in RATIOS.items():
        ratio, low, high = median_of_ratios(answer["seconds"][pattern], answer["seconds"]["dense"])
        how = f"median of {len(answer['seconds']['dense'])} ratios, with quartiles"
        how += "; the goal beyond it is 0.10" if goal else ""
        measure = f"seconds at {tokens:,} tokens: {pattern} / dense"
        result.add(measure, round_off(ratio), "x", goal, low=round_off(low), high=round_off(high), how=how)
    result.details["race"] = {
        "tokens": tokens,
        "seconds": {name: [round_off(s) for s in seconds] for name, seconds in answer["seconds"].items()},
        "paths": answer["paths"],
        "dtype": answer["dtype"],
    }


def growth(
    options: Options, result: Result, lengths: tuple[int, ...], rates: floors.Rates | None
) -> dict[str, list[dict[str, Any]]]:
    """For each pattern one row a length: seconds, peak memory, what pattern `auto` stood for, the floor."""
    cases = [(n, pattern) for n in lengths for pattern in SLOPES if pattern != "dense" or n <= DENSE_UNTIL]
    answers: dict[tuple[int, str], list[dict[str, Any]]] = {case: [] for case in cases}
    for _ in range(1 if options.short else 2):
        for tokens, pattern in cases:
            answer = worker(options, result, [pattern], tokens, 1 if options.short else 3)
            answers[tokens, pattern].append(answer)
            print(f"{tokens:>6} tokens, {answer['patterns'][pattern]}: {answer['seconds'][pattern]}", file=sys.stderr)
    found: dict[str, list[dict[str, Any]]] = {pattern: [] for pattern in SLOPES}
    for (tokens, pattern), heard in answers.items():
        turns = [seconds for answer in heard for seconds in answer["seconds"][pattern]]
        row = {
            "tokens": tokens,
            "pattern": heard[0]["patterns"][pattern],
            "path": heard[0]["paths"][pattern],
            "pairs": heard[0]["pairs"][pattern],
            "seconds": round_off(min(turns)),
            "turns": [round_off(s) for s in turns],
            "peak_gib": round_off(max(answer["peak_bytes"] for answer in heard) / GIB),
        }
        if rates is not None:
            work = floors.Work(12 * HEADS * WIDTH * row["pairs"], 8 * HEADS * WIDTH * tokens * 4)
            row["floor"] = work.beside(row["seconds"], rates, "fp32")
        found[pattern].append(row)
    last = found["dense"][-1]
    result.details["growth"] = found
    result.details["dense extrapolated"] = {
        str(n): round_off(last["seconds"] * (n / last["tokens"]) ** 2) for n in lengths if n > last["tokens"]
    }
    return found


def worker(options: Options, result: Result, patterns: list[str], tokens: int, turns: int) -> dict[str, Any]:
    words = ("--patterns", ",".join(patterns), "--tokens", str(tokens))
    who = Contestant(
        f"{'-'.join(patterns)}-{tokens}".replace(":", "_"), Path(sys.executable), "attention_lengths.py", words
    )
    pace = Pace(turns=turns, batch=1, threads=options.threads, device=options.device, pinned=not options.short)
    scratch = options.scratch(result.name)
    command = f"{who.command()} --turns {turns + 1}"
    result.commands += [] if command in result.commands else [command]
    return alone(who, scratch, pace, scratch / "logs" / f"{who.name}.log")


def slope(tokens: list[int], seconds: list[float]) -> float:
    """Of the straight line nearest to log seconds over log tokens."""
    return float(np.polyfit([math.log(n) for n in tokens], [math.log(s) for s in seconds], 1)[0])
