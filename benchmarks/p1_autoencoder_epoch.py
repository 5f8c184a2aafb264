"""P1: one epoch of A1's autoencoder against Keras 3 + TensorFlow `fit` and against a hand-written eager torch loop.

784-32-784, batch 256, 60,000 images, Adam 1e-3, fp32. The goals are held against what a reader of the peer's own
pages would write: `compile(...)` and `fit(...)` with their defaults; torch with the fused Adam, the quicker of its
forms. The peer's other forms stand beside, and so do the five products of a step alone: the floor under every
contestant in fp32. Compiling lies outside the time on all sides and is listed under `start` and `warm_up_s`.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from benchmarks.recipe import Comparison, Options, Race, engine, held_out, peer, round_off
from benchmarks.record import Result
from benchmarks.rounds import Contestant, Pace

__all__ = ["run"]

NAME = "p1_autoencoder_epoch"
EPOCHS_A_TURN = 3
PROTOCOL = (
    "3 sessions of fresh processes; in each one warm-up turn, then 4 measured turns of 3 epochs in rotation A B C"
    " A B C; 2 threads on 2 processors for all; seconds are scaled to 60,000 examples; median of ratios of "
    "neighbouring turns"
)


def eager(options: Options, adam: str) -> Contestant:
    args = ("--net", "autoencoder", "--adam", adam)
    return Contestant(f"eager torch, {adam} Adam", Path(sys.executable), "eager_torch.py", args)


def products(onednn: str) -> Contestant:
    args = () if onednn == "off" else ("--onednn", onednn)
    return Contestant(PRODUCTS[onednn], Path(sys.executable), "products_alone.py", args)


PRODUCTS = {"off": "the five products alone", "on": "the five products alone, oneDNN"}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, one turn of one epoch, nothing compiled")
    contestants: list[Contestant | None] = [
        peer(options, "Keras fit", "keras", "keras_autoencoder.py"),
        peer(options, "Keras fit, XLA", "keras", "keras_autoencoder.py", ("--jit", "on")),
        eager(options, "fused"),
        eager(options, "default"),
        products("off"),
        products("on"),
        engine("elboroom eager", "autoencoder", "column", "fp32", "off", {}),
    ]
    if not options.short:
        contestants += [
            engine("elboroom compiled", "autoencoder", "column", "fp32", "on", {}),
            engine("elboroom compiled bf16", "autoencoder", "column", "bf16", "on", {}),
        ]
    compiled = "elboroom compiled"
    comparisons = [
        Comparison(compiled, "Keras fit", "<= 0.20"),
        Comparison(compiled, "eager torch, fused Adam", "<= 0.24"),
        Comparison(compiled, "Keras fit, XLA"),
        Comparison(compiled, "eager torch, default Adam"),
        Comparison("elboroom eager", "eager torch, fused Adam"),
        *(Comparison(floor, "eager torch, fused Adam") for floor in PRODUCTS.values()),
        Comparison("elboroom compiled bf16", "Keras fit"),
        Comparison("elboroom compiled bf16", "eager torch, fused Adam"),
    ]
    pixels = 64 if options.short else 784
    pace = Pace(
        sessions=1 if options.short else 3,
        turns=1 if options.short else 4,
        epochs=1 if options.short else EPOCHS_A_TURN,
        threads=options.threads,
        device=options.device,
        pinned=not options.short,
    )
    tracks = Race(contestants, comparisons, pace, [(pixels, 32), (32, pixels)]).run(options, result)
    for name, track in tracks.items():
        if name in PRODUCTS.values():
            continue
        value = statistics.mean(held_out(track, "validation_bce"))
        result.add(f"held-out BCE: {name}", round_off(value), "nats a pixel", how=f"mean of {pace.sessions} sessions")
    return result
