"""A2: noise taken off MNIST and off Grimm's tales, over its strength, beside what needs no network.

MNIST under Gaussian noise, masking, and salt and pepper: PSNR of the denoiser, of PCA with as many numbers as its
code, of a Gaussian filter chosen for each strength on validation images, and of the noisy image as it is. One denoiser
of each kind is trained over a range of strengths. The tales by paragraph, counts of every word of the training part:
words masked, the whole paragraph told, beside truncated SVD of the same width. Nothing has a goal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import elboroom as elbo
from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result
from benchmarks.reducing import Array, by_paragraph, rows_of, stated, told
from elboroom.artifacts.files import read_json
from elboroom.metrics.interval import mean_interval

__all__ = ["documents", "run"]

NAME = "a2_denoiser"
KINDS = {"gaussian": 0.3, "masking": 0.3, "salt_pepper": 0.2}
"""Each kind with the strength in the middle of those trained on."""
LATENT, HIDDEN, EPOCHS = 64, 512, 20
WORDS, SHARES = 32, (0.1, 0.3, 0.5, 0.7)
"""Length of a document's code, and shares of its words that are masked."""
LOOKS = 5
"""Draws of noise for each document."""
NAMES = {"model": "denoiser", "pca": "PCA", "filter": "filter", "noisy": "noisy"}
PROTOCOL = (
    f"elboroom fit denoiser mnist, 784 - {HIDDEN} - {LATENT} and back, {EPOCHS} epochs, levels "
    + ", ".join(f"{kind} {level:g}" for kind, level in KINDS.items())
    + " with --spread 0.9: each example's strength is drawn within 90 % of it; PSNR in dB over 1,000 test images. "
    f"Tales: --kind documents, code of {WORDS}, negative binomial, masking of 0.5 with --spread 0.9; squared error of "
    f"log(1 + count), {LOOKS} draws of noise for each test paragraph; TruncatedSVD of as many numbers fitted on clean "
    "training paragraphs; 95 % intervals over test rows; seed 0"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits and made documents, 2 epochs, one kind")
    folder, data = options.scratch(NAME), "digits" if options.short else "mnist"
    result.data = {"name": data, "documents": "grimm.txt by paragraph"}
    for kind, level in list(KINDS.items())[: 1 if options.short else None]:
        words = ["denoiser", data, "--noise", kind, "--level", level, "--spread", 0.9, "--latent", LATENT]
        words += ["--hidden", HIDDEN, "--epochs", 2 if options.short else EPOCHS, "--seed", 0]
        command, _ = fit(options, folder, [*words, "--run", kind, "--force"])
        result.commands.append(command)
        found = read_json(folder / kind / "details.json")["denoising"]
        result.details[kind] = found
        images(result, kind.replace("_", " and "), found)
    documents(options, result, folder)
    return result


def images(result: Result, kind: str, found: dict[str, Any]) -> None:
    """A row for each strength and each way to take noise off."""
    for point in found["points"]:
        for key, name in NAMES.items():
            if key in point:
                value, low, high = (round_off(point[key][end]) for end in ("value", "low", "high"))
                title = f"MNIST, {kind} {point['level']:g}"
                result.add(f"{title}: {name}", value, "dB", low=low, high=high)


def documents(options: Options, result: Result, folder: Path) -> None:
    """Words masked and told again, beside truncated SVD."""
    place = by_paragraph(folder, short=options.short)
    if place is None:
        result.add("tales: denoiser", None, "", how="text/grimm.txt is not in $ELBOROOM_DATA")
        return
    words = [
        "denoiser",
        place.name,
        "--kind",
        "documents",
        "--label",
        "tale",
        "--columns",
        "text",
        "--noise",
        "masking",
    ]
    words += ["--level", 0.5, "--spread", 0.9, "--latent", WORDS, "--hidden", 256, "--lr", 2e-3, "--batch-size", 64]
    command, _ = fit(
        options, folder, [*words, "--epochs", 2 if options.short else 80, "--seed", 0, "--run", "tales", "--force"]
    )
    result.commands.append(command)
    opened = elbo.load(folder / "tales", source=place)
    result.details["tales"] = {"words": len(opened.spec.columns)}
    for share in SHARES[1:2] if options.short else SHARES:
        for name, errors in told_again(opened, share).items():
            found = mean_interval(errors, seed=0)
            value, low, high = (round_off(v) for v in (found.value, found.low, found.high))
            title = f"tales, {share:.0%} of the words masked"
            result.add(f"{title}: {name}", value, "squared, a word", low=low, high=high)


def told_again(opened: elbo.Run, share: float) -> dict[str, Array]:
    """(rows,): mean squared error of each test document, by who told it from its masked self."""
    from sklearn.decomposition import TruncatedSVD

    train = rows_of(opened, "train", 20_000).x
    svd = TruncatedSVD(min(WORDS, min(train.shape) - 1), random_state=0).fit(train)
    rows = opened.dataset().parts["test"]
    batch = opened.transform(rows.take(torch.arange(len(rows))))
    clean = stated(opened, batch.x)
    sums: dict[str, Array] = {
        name: np.zeros(len(clean)) for name in ("denoiser", "truncated SVD", "noisy", "mean document")
    }
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(LOOKS):
            noisy = opened.model.corrupt(batch, share)
            seen = stated(opened, noisy.x)
            guesses = {"denoiser": told(opened, opened.model.denoise(noisy)), "noisy": seen}
            guesses |= {
                "truncated SVD": svd.inverse_transform(svd.transform(seen)),
                "mean document": train.mean(0)[None],
            }
            for name, guess in guesses.items():
                sums[name] += np.square(clean - guess).mean(1) / LOOKS
    return sums
