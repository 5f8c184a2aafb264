"""P6: an iteration of a DCGAN on 28 x 28 images against a plain eager loop of torch around the same nets.

Width 32, kernel 5, batch 64, 100 numbers of noise, Adam for both players; an iteration is one step of the critic and
one of the generator. The plain loop is the one of torch's own DCGAN tutorial with its data in memory: one made batch an
iteration, `backward()` through the critic for real and for made images, then through both nets for the generator.
mimicry 0.1.16, whose DCGAN is a residual net of 256 channels for 32 x 32 x 3, has no row: importing it takes
tensorflow, torchvision and lmdb, and its nets are not among ours.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.recipe import Comparison, Options, compare, engine, round_off, track_words
from benchmarks.record import Result
from benchmarks.rounds import Contestant, Pace, race

__all__ = ["run"]

NAME = "p6_dcgan"
IMAGES, BATCH = 6400, 64
PROTOCOL = (
    f"3 sessions of fresh processes with seeds 0 to 2; in each one warm-up turn, then 4 measured turns of one epoch of "
    f"{IMAGES:,} images, in rotation; 2 threads on 2 processors for all; the nets have equal numbers of parameters; "
    "median of ratios of neighbouring turns"
)
SETTINGS = {"width": 32, "critic_width": 32, "latent": 100}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "256 digits, narrow nets, nothing compiled")
    settings = {"width": 4, "critic_width": 4, "latent": 10} if options.short else SETTINGS
    data = options.images()
    data = replace(data, train=data.train[: 256 if options.short else IMAGES])
    result.data = data.words()
    words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items() if name != "critic_width"]
    contestants = [
        Contestant("eager torch", Path(sys.executable), "eager_dcgan.py", tuple(words)),
        engine("elboroom eager", "dcgan", "symmetric", "fp32", "off", settings),
    ]
    if not options.short:
        contestants += [
            engine("elboroom fp32", "dcgan", "symmetric", "fp32", "on", settings),
            engine("elboroom bf16", "dcgan", "symmetric", "bf16", "on", settings),
        ]
    pace = Pace(
        sessions=1 if options.short else 3,
        turns=1 if options.short else 4,
        batch=BATCH,
        threads=options.threads,
        device=options.device,
        pinned=not options.short,
    )
    scratch = options.scratch(NAME)
    tracks = race(contestants, data.save(scratch / "data"), pace, scratch / "logs", per=len(data.train))
    for pair in (
        Comparison("elboroom fp32", "eager torch", "<= 0.85"),
        Comparison("elboroom bf16", "eager torch"),
        Comparison("elboroom eager", "eager torch"),
    ):
        compare(result, tracks, pair, "seconds an iteration")
    iterations = len(data.train) // BATCH
    for name, track in tracks.items():
        value = round_off(min(track.seconds) / iterations * 1e3)
        result.add(f"an iteration: {name}", value, "ms", how="the quickest turn over its iterations")
    result.commands = [who.command() for who in contestants]
    result.details["contestants"] = {name: track_words(track, "seconds_an_epoch") for name, track in tracks.items()}
    return result
