"""A10: what lam trades in an adversarial autoencoder on MNIST, and modes of a ring and a grid beside a GAN."""

from __future__ import annotations

from benchmarks.a10_aae import READ, SETTINGS, STUDIED, STUDY_EPOCHS, Trial
from benchmarks.recipe import Options
from benchmarks.record import Result

__all__ = ["run"]

NAME = "a10_lam"
LAMS = (0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
MODE_STEPS = 12_000
POINTS = ("--scale", "none", "--latent", 2, "--hidden", "128,128", "--batch-size", 256)
GAMES: dict[str, tuple[object, ...]] = {
    "AAE": ("aae", *POINTS, "--critic-hidden", "128,128"),
    "GAN": ("gan", *POINTS, "--critic-hidden", "128,128", "--lr", 1e-3),
}
PROTOCOL = f"{SETTINGS}; z of 8, {STUDIED}; ring8 and grid25: {MODE_STEPS:,} steps; {READ}"


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 1 epoch, 1 seed, two lam, 40 steps")
    result.data = {"name": "mnist; ring8 and grid25", "scale": "symmetric"}
    short = options.short
    trial = Trial(result, options, options.scratch(NAME))
    images, study = trial.images(STUDY_EPOCHS)
    for lam in LAMS[::6] if short else LAMS:
        trial.add(f"z 8, lam {lam:g}", (*images, *study, "--latent", 8, "--lam", lam))
    for points in ("ring8", "grid25"):
        for name, (model, *settings) in GAMES.items():
            source = f"{points}:n=2000" if short else points
            trial.add(f"{points}, {name}", (model, source, *settings, "--steps", 40 if short else MODE_STEPS))
    return result
