"""B2: stacked MNIST, 1,000 modes: three digits in three channels; how many of the combinations does each game make?

The nets of the unrolled GAN's table 3 (Metz et al. 2017, 1611.02163) in their smaller form, a quarter of the
generator's channels in the critic, where plain games collapse; 25,600 samples, each channel named by a classifier of
single digits. Published rows train for 500,000 steps; here on two processors for far fewer, so ours are labelled
shortened and compare with one another alone. The recipe for an accelerator: `--device cuda`, which trains DCGAN's own
nets for 10 minutes.
"""

from __future__ import annotations

from typing import Any

from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "b2_stacked_mnist"
STEPS = 4000
GAMES: dict[str, tuple[str, list[Any]]] = {
    "DCGAN": ("dcgan", ["--preset", "unrolled-quarter"]),
    "DCGAN, packs of 2": ("dcgan", ["--preset", "unrolled-quarter", "--pack", 2]),
    "WGAN-GP": ("wgan", ["--backbone", "conv", "--width", 16, "--critic-steps", 2]),
    "R3GAN": ("r3gan", ["--width", 16]),
}
LARGE: dict[str, tuple[str, list[Any]]] = {
    "DCGAN, packs of 2": ("dcgan", ["--preset", "pacdcgan2"]),
    "R3GAN": ("r3gan", ["--width", 64]),
}
PUBLISHED = (
    "500,000 steps, quarter critic: DCGAN 30.6 modes (78.5 re-implemented), PacDCGAN2 484.5; full nets: DCGAN 99, "
    "KL 3.40; WGAN-GP 959, 0.73; PacDCGAN2 1000, 0.06; relativistic with R1 and R2 1000, 0.078; R3GAN 1000, 0.029"
)
PROTOCOL = (
    f"elboroom fit MODEL stacked_mnist, {STEPS:,} steps on two processors (shortened), seed 0; on an accelerator "
    f"--minutes 10 with larger nets, goals 990 modes and KL 0.15. Published: {PUBLISHED}"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "2,000 pictures, 20 steps")
    result.data = {"name": "stacked_mnist", "pictures": 50_000}
    scratch = options.scratch(NAME)
    fast = options.device != "cpu"
    for name, (model, words) in (LARGE if fast else GAMES).items():
        data = "stacked_mnist:n=2000" if options.short else "stacked_mnist"
        budget = ["--minutes", 10] if fast and not options.short else ["--steps", 20 if options.short else STEPS]
        folder = "-".join(name.lower().replace(",", "").split())
        command, document = fit(
            options, scratch, [model, data, *words, *budget, "--seed", 0, "--run", folder, "--or-resume"]
        )
        result.commands.append(command)
        modes, kl = document["metrics"]["modes_found"], document["metrics"]["mode_kl"]
        goals = (">= 990", "<= 0.15") if fast and name == "R3GAN" else ("", "")
        result.add(f"{name}: modes found", modes["value"], "of 1,000", goals[0], how=modes["how"])
        result.add(
            f"{name}: KL", round_off(kl["value"]), "nats", goals[1], low=kl["low"], high=kl["high"], how=kl["how"]
        )
    return result
