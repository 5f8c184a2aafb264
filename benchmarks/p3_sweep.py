"""P3: sixteen small VAEs (64-64-8 on digits, beta x seed) in one sweep, against one of them alone.

Four betas and four seeds, batch 64, Adam 1e-3. The stack gives each member its own order and its own draws, as alone.
"One" is the same engine on one member, eager (what most people run) and compiled (the best single run there is).
`--device cuda` runs the VAE 784-512-16 on MNIST in the same way (goal <= 2); that form has not been run.
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

NAME = "p3_sweep"
PROTOCOL = (
    "one process: a warm-up turn of each, then 9 turns of each, interleaved, the first to go changing every time, on "
    "2 processors with 2 threads; a turn is 80 epochs of digits, 27 steps each; median of the 9 ratios sixteen / one, "
    "with quartiles"
)


def run(options: Options) -> Result:
    on_cpu = options.device == "cpu"
    name = NAME if on_cpu else f"{NAME}_{options.device.partition(':')[0]}"
    result = options.begin(name, __doc__.splitlines()[0], PROTOCOL, "one turn of one epoch, nothing compiled")
    data = images.digits() if on_cpu or options.short else options.images()
    result.data = data.words()
    scratch = options.scratch(name)
    settings: dict[str, object] = {"latent": 8, "hidden": [64], "backbone": "mlp"}
    if not on_cpu:
        settings = {"latent": 16, "hidden": [512], "backbone": "mlp"}
    pace = Pace(
        turns=1 if options.short else 9,
        epochs=1 if options.short else 80 if on_cpu else 4,
        batch=64 if on_cpu else 256,
        threads=options.threads,
        device=options.device,
        pinned=not options.short,
    )
    forms = "off" if options.short else "off,on"
    words = ("--forms", forms, "--settings", json.dumps(settings))
    who = Contestant("sixteen", Path(sys.executable), "stacked_members.py", words)
    answer = alone(who, data.save(scratch / "data"), pace, scratch / "logs" / "sixteen.log")
    seconds = answer["seconds"]
    goals = {
        ("compiled", "eager"): "<= 1.3" if on_cpu else "<= 2",
        ("compiled", "compiled"): "<= 5.4" if on_cpu else "",
    }
    for sixteen, one in [("compiled", "eager"), ("compiled", "compiled"), ("eager", "eager")]:
        measure = f"sixteen {sixteen} / one {one}"
        if f"sixteen {sixteen}" not in seconds or f"one {one}" not in seconds:
            continue
        middle, low, high = median_of_ratios(seconds[f"sixteen {sixteen}"], seconds[f"one {one}"])
        how = f"median of {len(seconds[f'one {one}'])} ratios, with quartiles"
        goal = goals.get((sixteen, one), "")
        result.add(measure, round_off(middle), "x", goal, low=round_off(low), high=round_off(high), how=how)
    result.commands = [who.command()]
    result.details["microseconds_a_step"] = {
        name: round_off(statistics.median(took) / answer["steps"] * 1e6) for name, took in seconds.items()
    }
    result.details["runtime"] = answer["runtime"]
    result.details["members"] = answer["members"]
    return result
