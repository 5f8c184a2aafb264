"""What B9 looks at beside the samples: the quantity that each idea is about.

The plain game's gradient where the critic is sure; whether a critic's number follows the quality of samples; what
truncation trades; how steep the critic is; how many weights an embedding that all norms share saves.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.recipe import history, round_off
from benchmarks.record import Result
from elboroom.core.optim import Adam
from elboroom.losses.adversarial import Game, minimax, non_saturating
from elboroom.nn.players import MLPCritic, MLPGenerator
from elboroom.nn.spectral_residual import SpectralGenerator

__all__ = ["critics_number", "halved", "over_seeds", "shared_embedding", "slopes", "strong_critic", "truncated"]

AHEAD = (0, 25, 100, 400)
SEEDS = (0, 1, 2)
LATENT, HIDDEN, BATCH, LR = 64, (256, 256), 64, 2e-4
LIMITS = (0.5, 1.0, None)
PUBLISHED = {"latent": 120, "width": 96, "widest": 16, "classes": 1000}


def halved(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(n, height, width) bytes at half the size: the mean of each 2 x 2 pixels, rounded."""
    n, height, width = x.shape
    means = x.reshape(n, height // 2, 2, width // 2, 2).mean((2, 4))
    return np.asarray(np.rint(means), dtype=np.uint8)


def over_seeds(result: Result, measure: str, values: Sequence[float], unit: str, what: str = "") -> None:
    """A row: the mean with the smallest and the largest."""
    how = f"{what}mean of {len(values)} seeds with the smallest and the largest"
    low, high = round_off(min(values)), round_off(max(values))
    result.add(measure, round_off(statistics.mean(values)), unit, low=low, high=high, how=how)


# -- gan: a sure critic ------------------------------------------------------------------------------------------------


def strong_critic(result: Result, kind: str, x: np.ndarray[Any, Any], *, short: bool = False) -> None:
    """The gradient of an untrained generator under both losses, after so many steps of the critic alone.

    (Arjovsky & Bottou 2017, 1701.04862, figure 2, do the same with a trained generator.)
    """
    pixels = torch.from_numpy(np.asarray(x, dtype=np.float32))[:, None] / 127.5 - 1
    found: dict[int, list[dict[str, float]]] = {}
    for seed in SEEDS[:1] if short else SEEDS:
        for steps, seen in ahead(pixels, seed, AHEAD[:2] if short else AHEAD).items():
            found.setdefault(steps, []).append(seen)
    for steps, several in found.items():
        for column in several[0]:
            name = f"{kind}, after {steps} steps of the critic alone: {column}"
            over_seeds(result, name, [one[column] for one in several], "")


def ahead(pixels: Tensor, seed: int, places: Sequence[int]) -> dict[int, dict[str, float]]:
    """The length of the generator's gradient under each loss, and the mean of sigmoid(D) of what it makes."""
    torch.manual_seed(seed)
    shape = tuple(pixels.shape[1:])
    generator, critic = MLPGenerator(LATENT, HIDDEN, shape), MLPCritic(shape, HIDDEN)
    params, adam = list(critic.parameters()), Adam(lr=LR, beta1=0.5)
    detached = [p.detach() for p in params]
    slots, ok = adam.init(detached), torch.tensor(True)
    out: dict[int, dict[str, float]] = {}
    for step in range(max(places) + 1):
        if step in places:
            out[step] = gradients(generator, critic)
        real = pixels[torch.randint(len(pixels), (BATCH,))]
        with torch.no_grad():
            made = torch.tanh(generator(torch.randn(BATCH, LATENT)))
        value = non_saturating.critic(critic(real), critic(made))
        grads = torch.autograd.grad(value, params)
        adam.fused_(detached, list(grads), slots, torch.tensor(0.0), ok)
    return out


def gradients(generator: MLPGenerator, critic: MLPCritic) -> dict[str, float]:
    z = torch.randn(1024, LATENT)
    scores = critic(torch.tanh(generator(z)))
    said = {"taken for real": float(torch.sigmoid(scores.detach()).mean())}
    games: dict[str, Game] = {"minimax": minimax, "non-saturating": non_saturating}
    for name, game in games.items():
        loss = game.generator(torch.zeros_like(scores), scores)
        grads = torch.autograd.grad(loss, list(generator.parameters()), retain_graph=True)
        said[f"gradient, {name}"] = math.sqrt(sum(float(g.square().sum()) for g in grads))
    return said


# -- wgan: the critic's number -----------------------------------------------------------------------------------------


def critics_number(result: Result, kind: str, folders: dict[str, list[Path]]) -> None:
    """Along each run, the rank correlation of what the critic says of held-out rows with the distance of samples."""
    for name, places in folders.items():
        ranks = [value for value in (follows(history(place)) for place in places) if value is not None]
        column = f"{kind}, {name}: follows the distance"
        if ranks:
            over_seeds(result, column, ranks, "rank correlation", "Spearman, over the looks at held-out rows; ")
        else:
            result.add(column, None, "rank correlation", how="fewer than three looks")


def follows(rows: list[dict[str, Any]]) -> float | None:
    """The Wasserstein estimate, or log 2 less half the loss of the plain game, against the Fréchet distance."""
    from scipy.stats import spearmanr

    looks = [row for row in rows if row.get("valid/frechet_distance") is not None]
    if len(looks) < 3:
        return None
    said = [
        row["valid/critic.estimate"]
        if "valid/critic.estimate" in row
        else math.log(2) - row["valid/critic.loss_nats"] / 2
        for row in looks
    ]
    value = float(spearmanr(said, [row["valid/frechet_distance"] for row in looks]).statistic)
    return value if math.isfinite(value) else None


# -- biggan: truncation, and the shared embedding ----------------------------------------------------------------------


def truncated(result: Result, kind: str, folders: dict[str, list[Path]]) -> None:
    """Precision, coverage and class accuracy of the told generator, from z within each limit."""
    *_, places = folders.values()
    curves = [json.loads((place / "details.json").read_text(encoding="utf-8"))["quality"] for place in places]
    for limit in LIMITS:
        name = "whole prior" if limit is None else f"z within {limit:g}"
        points = [next(p for p in curve["truncation"] if p["truncation"] == limit) for curve in curves if curve]
        for key in ("precision", "recall", "coverage", "class_accuracy"):
            values = [point[key]["value"] for point in points if point.get(key)]
            if values:
                over_seeds(result, f"{kind}, {name}: {key.replace('_', ' ')} of 1,000", values, "share")


def shared_embedding(result: Result, kind: str) -> None:
    """Weights of the published generator for 128 x 128 and 1,000 classes, counted without making it."""
    with torch.device("meta"):
        for name, shared in (("a table for every norm", 0), ("one embedding shared", 128)):
            latent, size = PUBLISHED["latent"], {k: v for k, v in PUBLISHED.items() if k != "latent"}
            generator = SpectralGenerator(latent, (3, 128, 128), shared=shared, **size)
            count = sum(p.numel() for p in generator.parameters())
            how = "counted on the meta device; 128 x 128, 1,000 classes"
            result.add(f"{kind}, {name}: million weights", round_off(count / 1e6), "", how=how)


# -- r3gan: the slope of the critic ------------------------------------------------------------------------------------


def slopes(result: Result, kind: str, folders: dict[str, list[Path]]) -> None:
    """How steep the critic is at the end, at real and at made examples of the held-out part."""
    for name, places in folders.items():
        last = [history(place)[-1] for place in places]
        for key, words in (("slope_real", "slope at real ones"), ("slope_made", "slope at made ones")):
            values = [row[f"valid/critic.{key}"] for row in last if row.get(f"valid/critic.{key}") is not None]
            if values:
                over_seeds(result, f"{kind}, {name}: {words}", values, "", "length of the score's gradient; ")
