"""A3: codes of images, documents and blood cells beside PCA or truncated SVD of the same width, on the same split.

MNIST, the paragraphs of Grimm's tales as counts of words (the tale is the label), pbmc68k_reduced.h5ad (700 blood
cells, already scaled; ten types). What is asked of 2 or 10 numbers: how well do they rebuild a held-out example, do its
neighbours stay its neighbours, do its nearest training examples carry its label, do clusters agree with the labels?
t-SNE stands beside the codes of 2 numbers; it cannot place a new example, so unlike the rest it sees the held-out ones.
Nothing has a goal.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import elboroom as elbo
from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result
from benchmarks.reducing import Array, Held, by_paragraph, rows_of
from elboroom.metrics.interval import Interval, mean_interval, share_interval
from elboroom.metrics.latent import trust

__all__ = ["judged", "run"]

NAME = "a3_reduction"
WIDTHS = (2, 10)
TRAIN, TEST, TSNE_TRAIN = 20_000, 2000, 3000
NEIGHBOURS = 10
SETS: dict[str, tuple[object, ...]] = {
    "MNIST": ("--backbone", "mlp", "--hidden", "512,128", "--scale", "unit", "--epochs", 20, "--batch-size", 128),
    "Grimm's paragraphs": ("--kind", "documents", "--label", "tale", "--columns", "text", "--hidden", "128",
                           "--epochs", 60, "--batch-size", 64, "--lr", 2e-3),
    "blood cells": ("--label", "bulk_labels", "--hidden", "128", "--epochs", 60, "--batch-size", 64),
}  # fmt: skip
MODELS: dict[str, tuple[object, ...]] = {"autoencoder": ("--code", "linear"), "vae": ()}
NAMES = {"autoencoder": "autoencoder", "vae": "VAE", "linear": "PCA or SVD", "tsne": "t-SNE", "raw": "all values"}
PROTOCOL = (
    "elboroom fit, seed 0, split of the seed (MNIST: its own test part), weights of the best validation loss; linear "
    "codes of scikit-learn's PCA (Grimm: TruncatedSVD of log(1 + count)) fitted on at most "
    f"{TRAIN:,} training rows; at most {TEST:,} test rows. Squared error: a value, in [0, 1], in log(1 + count), or in "
    f"standard deviations. Trustworthiness: {NEIGHBOURS} neighbours. Label: the vote of the {NEIGHBOURS} nearest "
    "training codes. Clusters: k-means of as many clusters as labels, on training codes; adjusted Rand index on the "
    f"test part. 95 % intervals over test rows. t-SNE: of the test rows and {TSNE_TRAIN:,} training rows together"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits and made documents, 2 epochs")
    folder = options.scratch(NAME)
    result.data = {"sets": list(SETS)}
    for name, place in places(options, folder).items():
        if place is None:
            result.add(f"{name}: {NAMES['autoencoder']}", None, "", how="the file is not in $ELBOROOM_DATA")
            continue
        for width in WIDTHS:
            runs = {}
            for model, words in MODELS.items():
                call = [model, place, *SETS[name], *words, "--latent", width, "--seed", 0]
                call += ["--epochs", 2] if options.short else []
                command, _ = fit(options, folder, [*call, "--run", f"{name.split()[0]}-{model}-{width}", "--force"])
                result.commands.append(command.replace(str(Path(str(place)).parent) + "/", ""))
                runs[model] = elbo.load(folder / f"{name.split()[0]}-{model}-{width}")
            compare(options, result, f"{name}, {width} numbers", runs, width)
    return result


def places(options: Options, folder: Path) -> dict[str, Any]:
    """What to read each set from; a shortened run has two made ones."""
    if options.short:
        return {"MNIST": "digits", "Grimm's paragraphs": by_paragraph(folder, short=True)}
    cells = Path(os.environ.get("ELBOROOM_DATA", "")) / "genes" / "pbmc68k_reduced.h5ad"
    tales = by_paragraph(folder, short=False)
    return {"MNIST": "mnist", "Grimm's paragraphs": tales, "blood cells": cells if cells.is_file() else None}


def compare(options: Options, result: Result, title: str, runs: dict[str, elbo.Run], width: int) -> None:
    """A row for each measure and each way to come to so many numbers."""
    most = 300 if options.short else TRAIN
    pairs = {name: (rows_of(one, "train", most), rows_of(one, "test", TEST)) for name, one in runs.items()}
    train, test = pairs["vae"]
    pairs["linear"] = linear(train, test, width, counts=runs["vae"].spec.scale == "counts")
    pairs["raw"] = (Held(train.x, train.x, train.x, train.label), Held(test.x, test.x, test.x, test.label))
    if width == 2:
        pairs["tsne"] = embedded(train, test)
    for key, pair in pairs.items():
        for measure, (found, unit) in judged(*pair, rebuilt=key not in ("raw", "tsne")).items():
            low, high = (None if np.isnan(end) else round_off(end) for end in (found.low, found.high))
            result.add(f"{title}, {measure}: {NAMES[key]}", round_off(found.value), unit, low=low, high=high)
    result.details.setdefault("rows", {})[title] = {"train": len(train.x), "test": len(test.x)}


def judged(train: Held, test: Held, *, rebuilt: bool = True) -> dict[str, tuple[Interval, str]]:
    """Each measure of the codes of a test part, with its unit; `rebuilt`: there is a reconstruction to be judged."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score
    from sklearn.neighbors import KNeighborsClassifier

    out: dict[str, tuple[Interval, str]] = {}
    if rebuilt:
        out["squared error"] = mean_interval(np.square(test.x - test.made).mean(1), seed=0), "squared, a value"
    k = min(NEIGHBOURS, (len(test.x) - 1) // 3)
    out["trustworthiness"] = mean_interval(trust(test.x, test.z, neighbours=k), seed=0).within(high=1), "share"
    told = KNeighborsClassifier(NEIGHBOURS).fit(train.z, train.label).predict(test.z)
    out["label of the neighbours"] = share_interval(told == test.label), "share"
    found = KMeans(len(np.unique(train.label)), n_init=5, random_state=0).fit(train.z).predict(test.z)
    out["clusters against labels (ARI)"] = over_rows(adjusted_rand_score, test.label, found), "ARI"
    return out


def over_rows(score: Callable[[Array, Array], float], label: Array, found: Array) -> Interval:
    """A score of whole columns, with the jackknife's standard error over rows (Efron & Tibshirani 1993, chapter 11).

    No bootstrap: rows that are drawn twice agree with themselves, which is what such a score counts.
    """
    n, value = len(label), float(score(label, found))
    without = np.array([score(np.delete(label, i), np.delete(found, i)) for i in range(n)])
    reach = 1.96 * float(np.sqrt((n - 1) / n * np.square(without - without.mean()).sum()))
    return Interval(value, value - reach, min(1.0, value + reach))


def linear(train: Held, test: Held, width: int, *, counts: bool) -> tuple[Held, Held]:
    """Codes and reconstructions by the best linear map: through the mean (PCA), or of counts without one (SVD)."""
    from sklearn.decomposition import PCA, TruncatedSVD

    fitted = (TruncatedSVD if counts else PCA)(width, random_state=0).fit(train.x)

    def of(held: Held) -> Held:
        z = fitted.transform(held.x)
        return Held(held.x, z, fitted.inverse_transform(z), held.label)

    return of(train), of(test)


def embedded(train: Held, test: Held) -> tuple[Held, Held]:
    """t-SNE of the test rows and some training rows together, which has no reconstruction."""
    from sklearn.manifold import TSNE

    x, label = train.x[:TSNE_TRAIN], train.label[:TSNE_TRAIN]
    both = np.concatenate([x, test.x]).astype(np.float32)
    z = TSNE(2, init="pca", random_state=0, perplexity=min(30, len(both) // 4), n_jobs=1).fit_transform(both)
    return Held(x, z[: len(x)], x, label), Held(test.x, z[len(x) :], test.x, test.label)
