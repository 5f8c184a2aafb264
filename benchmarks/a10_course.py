"""A10: the adversarial autoencoder of the course on MNIST in [-1, 1]: z of 8, lam 0.995, an error below 0.05."""

from __future__ import annotations

from benchmarks.a10_aae import READ, SETTINGS, Trial
from benchmarks.recipe import Options
from benchmarks.record import Result

__all__ = ["run"]

NAME, EPOCHS = "a10_course", 30
PROTOCOL = f"{SETTINGS}; z of 8, lam 0.995, convolutions, {EPOCHS} epochs; {READ}"


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__, PROTOCOL, "digits, a small layer, 1 epoch, 1 seed")
    result.data = {"name": "mnist", "scale": "symmetric"}
    trial = Trial(result, options, options.scratch(NAME))
    images, small = trial.images(EPOCHS)
    size = small if options.short else ("--epochs", EPOCHS)
    trial.add("course", (*images, "--latent", 8, "--lam", 0.995, *size), {"reconstruction_mse": "< 0.05"})
    return result
