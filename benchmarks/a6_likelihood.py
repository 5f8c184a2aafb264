"""A6: four estimates of log p(x) over the width of the code, what naive Monte Carlo loses, and the gap over training.

VAEs of one net on binarised MNIST, 1 to 32 latent dimensions. On the same test images stand the ELBO, the
importance-weighted bound from one pass, the mean of p(x given z) over draws of the prior, and annealed importance
sampling with its own upper bound on images that the model made. First of all a linear VAE, whose likelihood is known:
every estimate must lie within three standard errors of it. The page docs/why-sampling-the-prior-fails.md is made of it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributions import MultivariateNormal

import elboroom as elbo
from benchmarks import a6_page
from benchmarks.recipe import Options, elboroom, fit, round_off
from benchmarks.record import Result
from elboroom.artifacts.files import read_json

__all__ = ["exact_linear", "heaviest", "run"]

NAME = "a6_likelihood"
WIDTHS, SHORT_WIDTHS = (1, 2, 4, 8, 16, 32), (1, 2)
HIDDEN, EPOCHS = 200, 10
SAMPLES, EXAMPLES, AUDITED = 5000, 200, 50
STAGES = (1, 2, 5, 10)
STAGED = 16
"""Latent dimensions of the model whose gap is followed."""
SHARE = 0.99
"""Of all weight: how few draws carry it?"""
SHOWN = 20_000
"""Draws of the prior in the picture."""
COLUMNS, FACTORS = 20, 3
PROTOCOL = (
    f"elboroom fit vae mnist --scale binary --backbone mlp --hidden {HIDDEN} --latent D, {EPOCHS} epochs of Adam 1e-3, "
    f"batch 128, seed 0; the first {EXAMPLES} test images with K = {SAMPLES:,}, of them {AUDITED} at random audited by "
    "annealed importance sampling (500 temperatures, 10 chains, 10 leapfrog steps, no encoder); 95 % intervals over "
    f"images. Linear VAE: {COLUMNS} columns of digits in standard deviations, {FACTORS} latent dimensions, 60 epochs, "
    "60 rows against N(b, W W' + S)"
)


def run(options: Options) -> Result:
    result = options.begin(
        NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 1 epoch, two widths, 16 units, K = 50; the page is left alone"
    )
    data = options.images()
    result.data = data.words()
    torch.set_num_threads(options.threads)
    folder = options.scratch(NAME)
    linear(options, result)
    images = data.test[: 20 if options.short else EXAMPLES]
    widths = SHORT_WIDTHS if options.short else WIDTHS
    staged = widths[-1] if options.short else STAGED
    result.details["widths"] = {}
    for width in widths:
        stages = (STAGES[:2] if options.short else STAGES) if width == staged else ()
        opened = trained(options, result, folder, width, images, stages)
        found = opened.evaluate(images, samples=50 if options.short else SAMPLES, ais=4 if options.short else AUDITED)
        entry = estimates(found)
        entry["heavy"] = heaviest(opened, images[:50], 200 if options.short else SAMPLES)
        result.details["widths"][str(width)] = entry
        rows(result, width, entry)
        if width == 2:
            result.details["picture"] = picture(opened, images[:1], 500 if options.short else SHOWN)
    a6_page.write(result.details, folder / "page" if options.short else a6_page.DOCS)
    return result


# -- a model whose likelihood is known ---------------------------------------------------------------------------------


def linear(options: Options, result: Result) -> None:
    """Bound, naive Monte Carlo and AIS of a linear VAE against its exact likelihood."""
    from sklearn.datasets import load_digits

    x = load_digits().data
    x = x[:, x.std(0) > 2][:, :COLUMNS].astype(np.float32)
    settings = {"latent": FACTORS, "hidden": (), "likelihood": "gaussian", "lr": 1e-2}
    made = elbo.fit("vae", x, scale="standard", epochs=3 if options.short else 60, seed=0, threads=1, **settings)
    held = x[: 40 if options.short else 60]
    found = made.evaluate(held, samples=200 if options.short else SAMPLES, ais=len(held))
    truth = float(exact_linear(made, held).mean())
    result.details["linear"] = {"exact": truth, "estimates": found.details["audit"]["estimates"]}
    result.add("linear VAE: exact log p(x)", round_off(truth), "nats")
    for row in found.details["audit"]["estimates"]:
        if "error" in row:
            off = abs(row["value"] - truth) / row["error"]
            how = f"{row['told']}: {row['value']:.4f} +- {row['error']:.4f}"
            goal = "" if row["name"] == "prior" else "<= 3"
            result.add(f"linear VAE, off by: {row['name']}", round_off(off), "standard errors", goal, how=how)
    result.commands.append(f"python -m benchmarks {NAME}")


def exact_linear(opened: elbo.Run, x: np.ndarray[Any, Any]) -> torch.Tensor:
    """(n,) float64: log N(x; b, W W' + S), read off the decoder at 0 and at the unit vectors."""
    model = opened.model
    rows = opened.read(x).parts["all"]
    seen = opened.transform(rows.take(torch.arange(len(rows)))).x.double()
    with torch.no_grad():
        base, ends = (model.decode(z) for z in (torch.zeros(1, FACTORS), torch.eye(FACTORS)))
        w = (ends.mean - base.mean).double()
        covariance = w.T @ w + torch.diag(base.sd[0].double().square())
        return MultivariateNormal(base.mean[0].double(), covariance).log_prob(seen)


# -- over the width ----------------------------------------------------------------------------------------------------


def trained(
    options: Options, result: Result, folder: Path, width: int, images: np.ndarray[Any, Any], stages: tuple[int, ...]
) -> elbo.Run:
    """A finished run of this width; with `stages`, the gap of its posterior after so many epochs goes into details."""
    data, hidden = ("digits", 16) if options.short else ("mnist", HIDDEN)
    last = 1 if options.short else EPOCHS
    name = f"z{width}"
    words = ["vae", data, "--scale", "binary", "--backbone", "mlp", "--hidden", hidden, "--latent", width]
    words += ["--seed", 0, "--run", name, "--force"]
    command, _ = fit(options, folder, [*words, "--epochs", stages[0] if stages else last])
    result.commands.append(command)
    done = stages[0] if stages else last
    for epochs in (*stages[1:], 0):
        if stages:
            found = elbo.load(folder / name).evaluate(images, samples=50 if options.short else SAMPLES)
            gap = {end: found.metrics["posterior_gap_nats"][end] for end in ("value", "low", "high")}
            elbo_nats = found.metrics["elbo_nats"]["value"]
            result.details.setdefault("training", []).append({"epochs": done, "gap": gap, "elbo_nats": elbo_nats})
        if epochs:
            steps = read_json(folder / name / "run.json")["budget"]["steps_per_epoch"] * (epochs - done)
            command, _ = elboroom(options, folder, ["resume", name, "--steps", f"+{steps}"])
            result.commands.append(command)
            done = epochs
    return elbo.load(folder / name)


def estimates(found: Any) -> dict[str, Any]:
    """What one evaluation says of the likelihood."""
    audit = found.details["audit"]
    keys = ("ais_gap_nats", "approximation_gap_nats", "amortization_gap_nats", "posterior_gap_nats")
    ends = ("value", "low", "high")
    return {
        "estimates": {row["name"]: row for row in audit["estimates"]},
        "curve": found.details["bound_by_samples"],
        "n": audit["n"],
        "samples": audit["samples"],
        "accepted": audit["accepted"],
        **{key: {end: found.metrics[key][end] for end in ends} for key in keys},
    }


def rows(result: Result, width: int, entry: dict[str, Any]) -> None:
    names = {"ais": "AIS", "bound": "importance-weighted", "elbo": "ELBO", "prior": "naive"}
    for key, name in names.items():
        row = entry["estimates"][key]
        low, high = (round_off(row[end]) for end in ("low", "high"))
        result.add(f"z = {width}: {name}", round_off(row["value"]), "nats", low=low, high=high, how=row["told"])
    for key, name in (("bound", "importance-weighted"), ("prior", "naive")):
        size = entry["estimates"][key]["ess"]["median"]
        result.add(f"z = {width}: effective draws, {name}", round_off(size), f"of {entry['samples']:,}", how="median")
    for key in ("ais_gap_nats", "approximation_gap_nats", "amortization_gap_nats"):
        low, high = (None if entry[key][end] is None else round_off(entry[key][end]) for end in ("low", "high"))
        name = key.removesuffix("_nats").replace("_", " ")
        result.add(f"z = {width}: {name}", round_off(entry[key]["value"]), "nats", low=low, high=high)


# -- what the prior's draws are worth ----------------------------------------------------------------------------------


def heaviest(opened: elbo.Run, images: np.ndarray[Any, Any], draws: int) -> float:
    """Median over images: how many of so many draws of the prior carry 99 % of the weight."""
    log_p = weights(opened, images, torch.randn(draws, opened.model.code_size))
    return float(np.median([fewest(column) for column in log_p.T.numpy()]))


def weights(opened: elbo.Run, images: np.ndarray[Any, Any], z: torch.Tensor) -> torch.Tensor:
    """(draws, images): log p(x given z)."""
    rows = opened.read(images).parts["all"]
    x = opened.transform(rows.take(torch.arange(len(rows)))).x
    with torch.no_grad():
        found = [opened.model.decode(part[:, None]).log_prob(x) for part in z.split(200)]
    return torch.cat(found)


def fewest(log_w: np.ndarray[Any, Any]) -> int:
    """Of draws with these log weights, the fewest that carry 99 % of the sum."""
    w = np.sort(np.exp(np.float64(log_w - log_w.max())))[::-1]
    return int(np.searchsorted(np.cumsum(w), SHARE * w.sum()) + 1)


def picture(opened: elbo.Run, image: np.ndarray[Any, Any], draws: int) -> dict[str, Any]:
    """Draws of a prior of two numbers, those that carry 99 % of the weight of one image, and the encoder's q."""
    torch.manual_seed(0)
    z = torch.randn(draws, 2)
    log_w = weights(opened, image, z)[:, 0]
    count = fewest(log_w.numpy())
    heavy = log_w.argsort(descending=True)[:count]
    code = opened.encode(image)
    kept = z[heavy[:: -(-count // 200)]].tolist()  # over all of their weights
    return {
        "draws": draws,
        "heavy": count,
        "points": [[round(v, 3) for v in point] for point in z[:600].tolist()],
        "heavy_points": [[round(v, 3) for v in point] for point in kept],
        "mean": [round(float(v), 4) for v in code.z[0]],
        "sd": [round(float(v), 4) for v in code.z_sd[0]],
        "nats": round(float(torch.logsumexp(log_w, 0) - math.log(draws)), 2),
    }
