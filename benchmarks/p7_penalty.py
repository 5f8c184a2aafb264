"""P7: what a gradient penalty costs a critic's step, compiled and eager: R1 + R2, and that of the WGAN.

28 x 28 images, batch 64. Residual nets (16 channels at full size) with R1 + R2, and DCGAN nets (32 channels, no norms)
with the WGAN's penalty; each against the same step, optimiser included, without the penalty. Counted in forward passes
of one batch through the critic, a plain step on real and made images is 6, and the making of images; R1 + R2 makes that
about 12, the WGAN's penalty, at one point a pair, about 12 too if nothing were shared.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.recipe import Options, round_off
from benchmarks.record import Result, median_of_ratios
from benchmarks.rounds import Contestant, alone

__all__ = ["run"]

NAME = "p7_penalty"
PROTOCOL = (
    "one process a penalty and form; both critics begin alike and see the same batch; a warm-up turn, then 15 turns of "
    "10 steps each, taking turns, the first to go changing every time; median of the ratios of neighbouring turns"
)
GOALS = {"on": "<= 1.8", "off": "<= 2.3"}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "8 x 8 digits, one turn of a step, not compiled")
    data = options.images()
    result.data = data.words()
    scratch = options.scratch(NAME)
    folder = data.save(scratch / "data")
    for penalty in ("r1r2", "lipschitz"):
        for form in ("off",) if options.short else ("on", "off"):
            words = ("--penalty", penalty, "--compile", form)
            if options.short:
                words += ("--measured", "1", "--steps", "1")
            who = Contestant(f"{penalty}-{form}", Path(sys.executable), "penalised_step.py", words)
            answer = alone(who, folder, options.pace(batch=64), scratch / "logs" / f"{who.name}.log")
            seconds = answer["seconds"]
            middle, low, high = (round_off(r) for r in median_of_ratios(seconds["penalised"], seconds["plain"]))
            kind = "R1 + R2" if penalty == "r1r2" else "WGAN's penalty"
            measure = f"critic's step with / without: {kind}, {'compiled' if form == 'on' else 'eager'}"
            how = f"median of {len(seconds['plain'])} ratios, with quartiles"
            result.add(measure, middle, "x", GOALS[form], low=low, high=high, how=how)
            result.commands.append(who.command())
            result.details[who.name] = {
                name: {"best_ms_a_step": round_off(min(times) / answer["steps"] * 1e3)}
                for name, times in seconds.items()
            } | {"entry": answer["entry"]}
    return result
