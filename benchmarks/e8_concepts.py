"""E8: figures of the short answers in docs/concepts.md, on scikit-learn's digits: two minutes on one processor.

The bound over its draws, two gradients of the same expectation, what beta trades, and the Fréchet distance of real
digits from other real digits over their number. Nothing has a goal.
"""

from __future__ import annotations

import csv
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.b9_closer import over_seeds
from benchmarks.recipe import Options, elboroom, fit, round_off
from benchmarks.record import Result
from elboroom.core.abilities import Decodes
from elboroom.metrics.images import frechet_distance, frechet_interval
from elboroom.metrics.interval import difference_interval
from elboroom.run import load

__all__ = ["run", "two_gradients"]

NAME = "e8_concepts"
DRAWS = (1, 10, 100, 1000)
BETAS = (0.25, 1, 4, 16)
SIZES = (100, 200, 400, 800)
SEEDS = (0, 1, 2)
NETS = ("--latent", 4, "--hidden", "128", "--scale", "binary", "--batch-size", 64)
STEPS, GRADIENTS = 2000, 4000
PROTOCOL = (
    f"digits, black or white, 1,437 to train; vae of 64 - 128 - 4 - 128 - 64, {STEPS:,} steps; the bound and both "
    f"terms on the test part; {GRADIENTS:,} gradients of one draw each, at the first digit; distances of pixels "
    "between two halves of the digits, three divisions"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "20 steps, one beta, fewer draws")
    result.data = {"name": "digits"}
    scratch = options.scratch(NAME)
    steps = 20 if options.short else STEPS
    command, _ = fit(options, scratch, ["vae", "digits", *NETS, "--steps", steps, "--run", "vae", "--or-resume"])
    result.commands.append(command)
    bounds(options, result, scratch)
    gradients(result, scratch / "vae", 100 if options.short else GRADIENTS)
    for beta in BETAS[:1] if options.short else BETAS:
        words = ["beta_vae", "digits", *NETS, "--beta", beta, "--steps", steps, "--run", f"beta-{beta:g}"]
        command, document = fit(options, scratch, [*words, "--or-resume"])
        result.commands.append(command)
        terms = {"rate_nats": "rate", "distortion_nats": "distortion", "active_units": "numbers of z in use"}
        of_metrics(result, f"beta, {beta:g}", document["metrics"], terms)
    frechet(result)
    return result


def bounds(options: Options, result: Result, scratch: Path) -> None:
    """The bound of the run by K draws, and what it gains over the first, paired by example."""
    first: list[float] = []
    for k in DRAWS[:2] if options.short else DRAWS:
        words = ["evaluate", "vae", "--samples", k, "--per-example", f"bound-{k}.csv", "--force"]
        command, found = elboroom(options, scratch, words)
        result.commands.append(command)
        name = f"bound, {k:,} draw{'s' if k > 1 else ''}"
        key = "log_likelihood_nats" if "log_likelihood_nats" in found["metrics"] else "elbo_nats"
        of_metrics(result, name, found["metrics"], {key: "log p(x) is at least"})
        with (scratch / f"bound-{k}.csv").open(encoding="utf-8", newline="") as file:
            each = [float(row[key]) for row in csv.DictReader(file)]
        first = first or each
        if each is not first:
            gain = difference_interval(each, first)
            how = f"paired by example, {gain.how or 'normal interval'}"
            result.add(f"{name}: more than by one draw", round_off(gain.value), "nats per example",
                       low=round_off(gain.low), high=round_off(gain.high), how=how)  # fmt: skip


def of_metrics(result: Result, name: str, metrics: dict[str, Any], columns: dict[str, str]) -> None:
    """Some measures of metrics.json as rows, with their intervals."""
    for key, column in columns.items():
        if key in metrics:
            found = metrics[key]
            low, high = (None if found[end] is None else round_off(found[end]) for end in ("low", "high"))
            result.add(f"{name}: {column}", round_off(found["value"]), found["unit"], low=low, high=high,
                       how=found["how"])  # fmt: skip


def gradients(result: Result, folder: Path, n: int) -> None:
    """The derivative of E log p(x given z) by each number of mu, from single draws: mean and spread of both kinds."""
    from sklearn.datasets import load_digits

    run = load(folder)
    assert isinstance(run.model, Decodes)
    mu = torch.from_numpy(np.asarray(run.encode("digits"))[0]).float()
    x = torch.from_numpy(load_digits().images[:1] >= 8).float()
    for name, found in two_gradients(run.model, x[None], mu, n).items():
        mean, spread = found.mean(0).norm(), found.std(0).norm()
        result.add(f"gradient, {name}: length of the mean", round_off(float(mean)), "nats")
        result.add(f"gradient, {name}: spread of one draw", round_off(float(spread)), "nats")


def two_gradients(model: Decodes, x: Tensor, mu: Tensor, n: int, sd: float = 0.5) -> dict[str, Tensor]:
    """(n, latent) each: d/dmu of E f(z), z ~ N(mu, sd^2), f = log p(x given z), x (1, *shape).

    Reparameterised, z = mu + sd eps, the gradient goes through f: f'(z). The score function knows f by its values
    alone: f(z) (z - mu) / sd^2 (Williams 1992). Both have the same expectation.
    """
    eps = torch.randn(n, len(mu), generator=torch.Generator().manual_seed(0))
    z = (mu + sd * eps).requires_grad_()
    f = model.decode(z).log_prob(x.expand(n, *x.shape[1:]))
    (through,) = torch.autograd.grad(f.sum(), z)
    return {"through the draw": through, "score function": f.detach()[:, None] * eps / sd}


def frechet(result: Result) -> None:
    """Of pixels of digits from those of other digits: the truth is about 0 at every number."""
    from sklearn.datasets import load_digits

    pixels = torch.from_numpy(load_digits().data / 16)
    for n in SIZES:
        plain, mended = [], []
        for seed in SEEDS:
            order = torch.from_numpy(np.random.default_rng(seed).permutation(len(pixels)))
            a, b = pixels[order[:n]], pixels[order[n : 2 * n]]
            plain.append(frechet_distance(a, b))
            mended.append(frechet_interval(a, b, seed).value)
        over_seeds(result, f"frechet, {n} of each: as computed", plain, "")
        over_seeds(result, f"frechet, {n} of each: bias taken off", mended, "")
    result.details["frechet"] = {"largest": statistics.mean(plain), "n": SIZES[-1]}
