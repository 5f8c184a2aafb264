"""P16: what the engine's loop costs beside a hand-written loop around the same step.

Two sizes: the VAE 784-512-16 on MNIST, batch 256, 2 threads; the VAE 64-64-8 on digits, batch 64, 1 thread (a step
of a tenth of a millisecond, where every microsecond of the loop shows). Each eager and compiled; 9 interleaved
runs.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from benchmarks import images
from benchmarks.recipe import Options, round_off
from benchmarks.record import Result, median_of_ratios
from benchmarks.rounds import Contestant, Pace, alone

__all__ = ["run"]

NAME = "p16_engine_loop"
GOAL = "<= 1.03"
PROTOCOL = (
    "one process a size and form: a warm-up run of each loop, then 9 runs of each, interleaved, the first to go "
    "changing every time, on the same step object and the same model; median of the 9 ratios engine / "
    "hand-written, with quartiles"
)
SIZES: dict[str, tuple[dict[str, object], int, int, int]] = {  # settings, batch, threads, epochs a run
    "784-512-16": ({"latent": 16, "hidden": [512], "backbone": "mlp"}, 256, 2, 1),
    "64-64-8": ({"latent": 8, "hidden": [64], "backbone": "mlp"}, 64, 1, 80),
}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits for both sizes, one run, nothing compiled")
    scratch = options.scratch(NAME)
    sets = {"784-512-16": options.images(), "64-64-8": images.digits()}
    result.data = {size: data.words() for size, data in sets.items()}
    for size, (settings, batch, threads, epochs) in SIZES.items():
        data = sets[size].save(scratch / size)
        pace = Pace(
            turns=1 if options.short else 9,
            epochs=1 if options.short else epochs,
            batch=batch,
            threads=min(threads, options.threads),
            pinned=not options.short,
        )
        for form in ("off",) if options.short else ("off", "on"):
            words = ("--compile", form, "--settings", json.dumps(settings))
            who = Contestant(f"{size}-{form}", Path(sys.executable), "engine_overhead.py", words)
            answer = alone(who, data, pace, scratch / "logs" / f"{who.name}.log")
            engine, hand = answer["seconds"]["engine"], answer["seconds"]["hand"]
            middle, low, high = median_of_ratios(engine, hand)
            how = f"median of {len(engine)} ratios, with quartiles"
            measure = f"engine / hand-written: {size}, {'compiled' if form == 'on' else 'eager'}"
            result.add(measure, round_off(middle), "x", GOAL, low=round_off(low), high=round_off(high), how=how)
            result.commands.append(who.command())
            result.details[who.name] = {
                "microseconds_a_step": {
                    name: round_off(statistics.median(seconds) / answer["steps"] * 1e6)
                    for name, seconds in answer["seconds"].items()
                },
                "steps_a_run": answer["steps"],
                "runtime": answer["runtime"],
            }
    return result
