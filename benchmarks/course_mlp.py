"""The preset `course-mlp` beside A1: the same images and epochs, a code with a law.

A VAE 784-512-32 on MNIST in [0, 1], 50 epochs, batch 256, the 60,000 training images, measured on the 10,000 test
images. It has no published value; it stands beside A1's ordinary run to show what the law of the code costs in
reconstruction and what it brings: a bound on the likelihood. Its reconstruction error counts a draw of the code,
the autoencoder's the code.
"""

from __future__ import annotations

from benchmarks.images import entropy_floor
from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "course_mlp"
PROTOCOL = (
    "elboroom fit vae mnist --preset course-mlp, all 60,000 images, last weights, seed 0; values of metrics.json "
    "on the test part"
)
MEASURES = ("reconstruction_bce", "elbo_nats", "log_likelihood_nats", "rate_nats", "distortion_nats", "active_units")


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 2 epochs")
    data = options.images()
    result.data = data.words()
    scratch = options.scratch(NAME)
    words = ["digits", "--epochs", 2] if options.short else ["mnist", "--split", "60000,0,10000"]
    runtime = ["--seed", 0, "--run", "seed-0", "--force"]
    command, document = fit(options, scratch, ["vae", *words, "--preset", "course-mlp", *runtime])
    result.commands.append(command)
    for name in MEASURES:
        measure = document["metrics"].get(name)
        if measure is not None:
            low, high = measure.get("low"), measure.get("high")
            result.add(name, round_off(measure["value"]), measure["unit"], low=low, high=high, how=measure["how"])
    floor = entropy_floor(data.test / 255)
    bce = document["metrics"]["reconstruction_bce"]["value"]
    result.add("reconstruction_bce: excess over the entropy floor", round_off(bce - floor), "nats a pixel")
    result.details["training_s"] = history(scratch / "seed-0")[-1]["time_s"]
    return result
