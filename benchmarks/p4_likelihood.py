"""P4: log p(x) of 10,000 MNIST images by 5,000 importance-weighted draws each against pythae's `get_nll`.

A VAE 784-512-16 of 10 epochs; both sides hold the same weights, so their estimates of the same 100 images must agree.
pythae takes the images one after the other, encodes each again for every 100 draws and takes logarithms of the
probabilities; ours is the whole of `evaluate`, with every other measure. Beside the ratio stands what the decoder's
products alone take at the rate that this machine reaches: no exact method in this precision can be quicker.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from benchmarks import floors
from benchmarks.recipe import Comparison, Options, compare, fit, held_out, peer, round_off, track_words
from benchmarks.record import Result
from benchmarks.rounds import Contestant, Pace, race

__all__ = ["run"]

NAME = "p4_likelihood"
EXAMPLES, DRAWS, LATENT, HIDDEN = 10_000, 5_000, 16, 512
PEER_IMAGES, OUR_IMAGES = 100, 1_000
PROTOCOL = (
    "2 sessions of fresh processes; in each one warm-up turn, then 2 measured turns in rotation; a turn is 100 test "
    "images for pythae (its batch of 100 draws) and the first 1,000 for ours, 5,000 draws each; seconds are scaled to "
    "10,000 images; equal threads; fp32, nothing compiled; median of ratios of neighbouring turns"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 20 draws of 10 and 30 images, one turn")
    scratch = options.scratch(NAME)
    images = options.images()
    result.data = images.words()
    draws, theirs, ours = (20, 10, 30) if options.short else (DRAWS, PEER_IMAGES, OUR_IMAGES)
    budget = ["--steps", 5] if options.short else ["--epochs", 10]
    settings = ["--latent", LATENT, "--hidden", HIDDEN, "--backbone", "mlp", "--batch-size", 256, "--lr", "1e-3"]
    words = ["vae", "digits" if options.short else "mnist", *settings, *budget, "--run", "run", "--force"]
    command, _ = fit(options, scratch, words)
    folder = handed_over(scratch, images.test, theirs)
    contestants = [
        peer(options, "pythae", "pythae", "pythae_nll.py", ("--samples", str(draws))),
        Contestant(
            "elboroom",
            Path(sys.executable),
            "elboroom_nll.py",
            ("--samples", str(draws), "--images", str(ours), "--judged", str(theirs)),
        ),
    ]
    present = [who for who in contestants if who is not None]
    turns = 1 if options.short else 2
    pace = Pace(
        sessions=1 if options.short else 2,
        turns=turns,
        threads=options.threads,
        device=options.device,
        pinned=not options.short,
    )
    rates = floors.measure(options.threads)
    tracks = race(present, folder, pace, scratch / "logs", per=EXAMPLES)
    compare(result, tracks, Comparison("elboroom", "pythae", "<= 0.05"), "seconds for 10,000 images")
    seconds = statistics.median(tracks["elboroom"].seconds)
    pixels = images.test[0].size
    products = 2 * EXAMPLES * draws * HIDDEN * (LATENT + pixels) / (rates.fp32_gflops * 1e9)
    how = "the decoder's products alone, at the machine's rate for large ones, over our time"
    result.add("share of our time that the products take", round_off(products / seconds), "share", how=how)
    estimates = {name: statistics.mean(held_out(t, "log_likelihood_nats")) for name, t in tracks.items()}
    for name, value in estimates.items():
        result.add(f"log p(x), {theirs} images: {name}", round_off(value), "nats", how=f"{draws:,} draws an image")
    if len(estimates) == 2:
        off = abs(estimates["elboroom"] - estimates["pythae"])
        result.add("difference of the two estimates", round_off(off), "nats", "<= 0.2", how="the same weights")
    result.commands = [command, *(who.command() for who in present)]
    result.details = {
        "pace": asdict(pace),
        "rates": rates.to_json(),
        "contestants": {name: track_words(track, "seconds_for_10000") for name, track in tracks.items()},
    }
    return result


def handed_over(scratch: Path, test: np.ndarray, theirs: int) -> Path:
    """What the workers read: images for each side, the run folder, its arrays as .npz (the peer knows no other)."""
    folder = scratch / "data"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    np.save(folder / "train.npy", test)
    np.save(folder / "test.npy", test[:theirs])
    np.savez(folder / "weights.npz", **load_file(scratch / "run" / "weights.safetensors"))
    shutil.copytree(scratch / "run", folder / "run")
    return folder
