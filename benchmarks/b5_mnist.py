"""B4, B5: samples of DCGAN, WGAN-GP, SAGAN and a small BigGAN trained on MNIST on two processors, measured alike.

Each is trained for as many steps as it needs to be worth looking at on a processor, far fewer than on a GPU. What is
measured is of the averaged generator beside real digits and noise, in the features of a classifier of real digits that
has seen no generated one. SAGAN is trained twice more, all else equal: with its attention and without.
"""

from __future__ import annotations

from typing import Any

from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "b5_mnist"
GAMES: dict[str, tuple[str, list[Any], int]] = {
    "DCGAN": ("dcgan", ["--width", 32], 3000),
    "WGAN-GP": ("wgan", ["--backbone", "conv", "--width", 32], 3000),
    "SAGAN": ("sagan", ["--width", 16], 2000),
    "SAGAN without attention": ("sagan", ["--width", 16, "--attention", "off"], 2000),
    "BigGAN": ("biggan", ["--preset", "tiny"], 0),
}
BELOW_NOISE = 0.2
PROTOCOL = (
    "elboroom fit MODEL mnist, seed 0, the steps of each row; 2,000 samples of the averaged generator against 2,000 "
    "test digits; Fréchet distance over that of noise with the data's mean and range; class accuracy: samples of "
    "classes asked for, named by a classifier of real digits"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 20 steps")
    result.data = options.images().words()
    scratch = options.scratch(NAME)
    curve: dict[str, Any] = {}
    for name, (model, words, steps) in GAMES.items():
        data = "digits" if options.short else "mnist"
        budget = ["--steps", 20 if options.short else steps] if options.short or steps else []
        folder = "-".join(name.lower().split())
        command, document = fit(
            options, scratch, [model, data, *words, *budget, "--seed", 0, "--run", folder, "--or-resume"]
        )
        result.commands.append(command)
        add(result, name, document["metrics"])
        curve[name] = truncation(scratch / folder)
    result.details["truncation"] = curve
    return result


def add(result: Result, name: str, metrics: dict[str, Any]) -> None:
    """The distance over that of noise, precision, recall, and the classes where they can be asked for."""
    distance = metrics["frechet_distance"]
    beside = {entry["name"]: entry["value"] for entry in distance["references"]}
    share = round_off(distance["value"] / beside["noise"])
    how = f"{distance['value']:.4g}; noise {beside['noise']:.4g}, real against real {beside['real against real']:.4g}"
    result.add(f"{name}: Fréchet distance over that of noise", share, "x", f"<= {BELOW_NOISE}", how=how)
    for key in ("kernel_distance", "precision", "recall", "density", "coverage", "memorised_share"):
        result.add(f"{name}: {key.replace('_', ' ')}", round_off(metrics[key]["value"]), metrics[key]["unit"],
                   low=metrics[key]["low"], high=metrics[key]["high"])  # fmt: skip
    if "class_accuracy" in metrics:
        right = metrics["class_accuracy"]
        result.add(f"{name}: class accuracy of samples", round_off(right["value"]), "share", ">= 0.8",
                   low=right["low"], high=right["high"], how=right["how"])  # fmt: skip


def truncation(run: Any) -> Any:
    """The fidelity-variety curve that the run keeps."""
    import json

    return json.loads((run / "details.json").read_text(encoding="utf-8")).get("quality", {}).get("truncation")
