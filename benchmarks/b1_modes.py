"""B1: eight points on a ring and twenty-five on a grid: how many does each game find, and how near do samples lie?

PacGAN's protocol for data and measure (Lin et al. 2018, 1712.04086; section 4 and its published code): narrow
Gaussians around known points, 100,000 training points, 2,500 samples; a sample is of high quality within three standard
deviations of its nearest point, a point is found where at least one such sample lies, and KL is that of the found
samples' shares from the data's. The nets are smaller and the runs shorter than the published ones (400,000 steps), so
the published rows stand beside ours as what is known, not as the same experiment.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "b1_modes"
SEEDS = 10
STEPS = 6_000
SMALL = ["--latent", 2, "--batch-size", 256]
PLAIN = [*SMALL, "--lr", 1e-3, "--hidden", "128,128", "--critic-hidden", "128,128"]
THREE = "128,128,128"
GAMES: dict[str, tuple[str, list[Any]]] = {
    "GAN": ("gan", PLAIN),
    "GAN, packs of 2": ("gan", [*PLAIN, "--pack", 2]),
    "GAN, packs of 4": ("gan", [*PLAIN, "--pack", 4]),
    "WGAN with gradient penalty": (
        "wgan",
        [*SMALL, "--preset", "gan_toy", "--hidden", THREE, "--lr", 1e-3, "--critic-steps", 2],
    ),
    "R3GAN": ("r3gan", [*SMALL, "--preset", "plane"]),
}
DATA = {"ring8": 8, "grid25": 25}
GOALS = {("ring8", "R3GAN"): ">= 8", ("grid25", "R3GAN"): ">= 25"}
PUBLISHED = {
    "ring8": "GAN 6.3 +- 0.5 modes, 98.2 % high quality; PacGAN2 7.9 +- 0.1, 95.6 %; PacGAN4 7.8 +- 0.1, 95.9 %",
    "grid25": "GAN 17.3 +- 0.8 modes, 94.8 % high quality; PacGAN2 23.8 +- 0.7, 91.3 %; PacGAN4 24.8 +- 0.2, 93.6 %",
}
PROTOCOL = (
    f"elboroom fit MODEL SET --scale none, {STEPS:,} steps (shortened: the published rows have 400,000), {SEEDS} "
    "seeds; 2,500 samples of the averaged generator; mean over seeds with smallest and largest"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "2,000 points, 60 steps, 1 seed")
    result.data = {"name": "ring8 and grid25", "sizes": "100,000 training points each"}
    scratch = options.scratch(NAME)
    seeds, steps = (1, 60) if options.short else (SEEDS, STEPS)
    for data, known in DATA.items():
        source = f"{data}:n=2000" if options.short else data
        for name, (model, words) in GAMES.items():
            found = []
            for seed in range(seeds):
                folder = f"{data}-{'-'.join(name.lower().replace(',', '').split())}-{seed}"
                command, document = fit(
                    options, scratch,
                    [model, source, "--scale", "none", *words, "--steps", steps, "--seed", seed,
                     "--run", folder, "--or-resume"],
                )  # fmt: skip
                found.append(document["metrics"])
            result.commands.append(command)
            add(result, data, known, name, found)
    result.details["published"] = PUBLISHED
    return result


def add(result: Result, data: str, known: int, name: str, found: list[dict[str, Any]]) -> None:
    """Modes, share of high quality and KL of one game on one set."""
    modes = [metrics["modes_found"]["value"] for metrics in found]
    whole = sum(m >= known for m in modes)
    how = f"{whole} of {len(modes)} seeds find all {known}; published, 400,000 steps: {PUBLISHED[data]}"
    goal = GOALS.get((data, name), "")
    result.add(
        f"{data}, {name}: modes found", round_off(statistics.mean(modes)), f"of {known}", goal,
        low=min(modes), high=max(modes), how=how,
    )  # fmt: skip
    for key, words, unit in (("high_quality_share", "high quality", "share"), ("mode_kl", "KL", "nats")):
        values = [metrics[key]["value"] for metrics in found if metrics.get(key, {}).get("value") is not None]
        if values:
            middle = round_off(statistics.mean(values))
            result.add(
                f"{data}, {name}: {words}", middle, unit, low=round_off(min(values)), high=round_off(max(values))
            )
