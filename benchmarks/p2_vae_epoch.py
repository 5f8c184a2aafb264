"""P2: one epoch of a VAE 784-512-16 against pythae's `BaseTrainer`, in fp32 and in bf16, at the same validation ELBO.

Batch 256, 60,000 images in [0, 1], Bernoulli head, Adam 1e-3; pythae's own default networks are this net. The ELBO is
taken on the 10,000 test images with 10 draws of z each, after all turns: every contestant has then trained the same
epochs. bf16 must end within 0.1 nat of fp32 with the same seeds, orders and draws. Between two packages order and draws
differ, and two runs of one package with different seeds end some 0.3 nat apart after four epochs: so the mean
difference is shown with two standard errors, and fails only where it is worse than 0.1 nat beyond those.
`--device cuda` runs the same recipe on an accelerator (goal <= 0.10); that form has not been run.
"""

from __future__ import annotations

import math
import statistics
import sys
from pathlib import Path

from benchmarks.recipe import Comparison, Options, Race, engine, held_out, peer, round_off
from benchmarks.record import Result
from benchmarks.rounds import Contestant, Pace, Track

__all__ = ["run"]

NAME = "p2_vae_epoch"
PROTOCOL = (
    "5 sessions of fresh processes with seeds 0 to 4; in each one warm-up turn, then 3 measured turns of one "
    "epoch in rotation A B C A B C; 2 threads on 2 processors for all; seconds are scaled to 60,000 examples; "
    "median of ratios of neighbouring turns; pythae is timed in BaseTrainer.train_step, without its evaluation "
    "and files"
)


def run(options: Options) -> Result:
    name = NAME if options.device == "cpu" else f"{NAME}_{options.device.partition(':')[0]}"
    result = options.begin(name, __doc__.splitlines()[0], PROTOCOL, "digits, one turn of one epoch, nothing compiled")
    settings = {"latent": 16, "hidden": [512], "backbone": "mlp", "lr": 1e-3}
    contestants: list[Contestant | None] = [
        peer(options, "pythae", "pythae", "pythae_vae.py"),
        Contestant("eager torch", Path(sys.executable), "eager_torch.py", ("--net", "vae", "--adam", "fused")),
        engine("elboroom eager", "vae", "unit", "fp32", "off", settings),
    ]
    if not options.short:
        contestants += [
            engine("elboroom fp32", "vae", "unit", "fp32", "on", settings),
            engine("elboroom bf16", "vae", "unit", "bf16", "on", settings),
        ]
    on_cpu = options.device == "cpu"
    comparisons = [
        Comparison("elboroom fp32", "pythae", "<= 0.40" if on_cpu else "<= 0.10"),
        Comparison("elboroom bf16", "pythae", "<= 0.22" if on_cpu else "<= 0.10"),
        Comparison("elboroom eager", "pythae"),
        Comparison("elboroom eager", "eager torch"),
        Comparison("elboroom fp32", "eager torch"),
        Comparison("elboroom bf16", "eager torch"),
    ]
    pace = Pace(
        sessions=1 if options.short else 5,
        turns=1 if options.short else 3,
        threads=options.threads,
        device=options.device,
        pinned=not options.short,
    )
    pixels = 64 if options.short else 784
    layers = [(pixels, 512), (512, 32), (16, 512), (512, pixels)]
    tracks = Race(contestants, comparisons, pace, layers).run(options, result)
    for name, track in tracks.items():
        value = -statistics.mean(held_out(track, "validation_nats"))
        result.add(f"validation ELBO: {name}", round_off(value), "nats", how=f"mean of {pace.sessions} sessions")
    difference(result, tracks, "elboroom bf16", "elboroom fp32", "0.0 +- 0.1")
    for ours in ("elboroom fp32", "elboroom bf16"):
        difference(result, tracks, ours, "pythae", "")
        not_worse(result, tracks, ours, "pythae", ">= -0.1")
    return result


def gaps(tracks: dict[str, Track], ours: str, theirs: str) -> tuple[float, float, int] | None:
    """Mean difference of the validation ELBO, positive where ours is better, its standard error and the sessions."""
    if ours not in tracks or theirs not in tracks:
        return None
    pairs = zip(held_out(tracks[ours], "validation_nats"), held_out(tracks[theirs], "validation_nats"), strict=True)
    found = [b - a for a, b in pairs]
    error = statistics.stdev(found) / math.sqrt(len(found)) if len(found) > 1 else 0.0
    return statistics.mean(found), error, len(found)


def difference(result: Result, tracks: dict[str, Track], ours: str, theirs: str, goal: str) -> None:
    """A row with the difference of two validation ELBOs."""
    measure = f"validation ELBO: {ours} minus {theirs}"
    found = gaps(tracks, ours, theirs)
    if found is None:
        result.add(measure, None, "nats", goal, how="did not run")
        return
    value, error, sessions = found
    low, high = round_off(value - 2 * error), round_off(value + 2 * error)
    how = f"mean of {sessions} sessions, plus and minus two standard errors"
    result.add(measure, round_off(value), "nats", goal, low=low, high=high, how=how)


def not_worse(result: Result, tracks: dict[str, Track], ours: str, theirs: str, goal: str) -> None:
    """A row that fails where ours is worse by more than the goal allows and than the seeds explain."""
    found = gaps(tracks, ours, theirs)
    value = None if found is None else round_off(found[0] + 2 * found[1])
    how = "did not run" if found is None else "the difference plus two standard errors"
    result.add(f"{ours} minus {theirs}: upper end", value, "nats", goal, how=how)
