"""A11: hidden long-tail profiles, found without labels: digits, MNIST and clothing64, beside four simpler recipes.

Class k of C gets a share proportional to rho^(-k / (C - 1)). The thresholds of the diagnosis were frozen on the digits,
so that the digits show what was fitted. Four MNIST subsets of profile 0 were in sight when the way to find groups was
chosen, so that MNIST begins with profile 1. Cells with fewer than twenty rows in a class
must abstain or hold the truth in a wide interval.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.recipe import Options, round_off
from benchmarks.record import Result
from elboroom.data.source import read
from elboroom.engine.runtime import configure
from elboroom.imbalance.baselines import methods
from elboroom.imbalance.diagnosis import SMALL
from elboroom.imbalance.found import find_imbalance
from elboroom.imbalance.representation import learned, represent, unlabelled
from elboroom.metrics.imbalance import imbalance_index
from elboroom.metrics.interval import share_interval

__all__ = ["long_tail", "run"]

NAME = "a11_imbalance"
GRIDS = {
    "digits": ((1, 2, 5, 10, 20, 50, 100), (2, 5, 10), (0, 1), 0),
    "mnist": ((1, 5, 20, 100), (2, 10), (1, 2, 3), 5000),
}
"""rho, classes, profiles (other classes, other rows), images; 0: as many as the smallest class allows."""
GOALS = {"rank": ">= 0.85", "coverage": ">= 0.9", "false alarms": "<= 0.05"}
PROTOCOL = (
    "elbo.diagnose_imbalance with its defaults (3 models of its own, labels never given) on subsets with a hidden "
    "profile; truth: 1 - H / ln C of the class counts. Rank: Spearman over answered sets; coverage: truth inside the "
    "95 % interval of answered sets; false alarm: an answered balanced set whose interval leaves 0 out; seconds on one "
    "thread, for the two density recipes with one model"
)
Array = NDArray[Any]


@dataclass
class Cell:
    """One set with a known profile, and what was said of it."""

    name: str
    rho: int
    smallest: int
    truth: float
    document: dict[str, Any]
    seconds: dict[str, float]

    @property
    def answered(self) -> bool:
        return bool(self.document["identifiable"])

    @property
    def holds(self) -> bool:
        """Whether the interval holds the truth."""
        index = self.document["index"]
        return bool(index["low"] - 1e-4 <= self.truth <= index["high"])


def run(options: Options) -> Result:
    result = options.begin(
        NAME, __doc__.splitlines()[0], PROTOCOL, "digits alone: rho 1 and 5, two classes, one profile, one model a set"
    )
    result.commands.append(f"python -m benchmarks {NAME}")
    for name, (x, y) in sets(options).items():
        if x is None:
            result.add(f"{name}: rank correlation", None, "", how="not in $ELBOROOM_DATA")
            continue
        cells = [measured(one, x[rows], y[rows], rho, options) for one, rho, rows in profiles(name, y, options)]
        judge(result, name, cells)
        result.details[name] = [as_row(cell) for cell in cells]
    return result


def sets(options: Options) -> dict[str, tuple[Array | None, Array]]:
    """Images and labels by name; None where a set is not there."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    found: dict[str, tuple[Array | None, Array]] = {"digits": ((digits.images * 15).astype(np.uint8), digits.target)}
    root = Path(os.environ.get("ELBOROOM_DATA", "."))
    clothing = root / "clothing64" / "clothing64_train.zip"
    for name, there, source in (
        ("mnist", (root / "mnist").is_dir(), "mnist"),
        ("clothing64", clothing.is_file(), str(clothing)),
    ):
        if not options.short:
            found[name] = _all(source) if there else (None, np.zeros(0, np.int64))
    return found


def _all(source: str) -> tuple[Array, Array]:
    """The training part of a set, or all of one without a test part of its own."""
    parts = [part for name, part in read(source).parts.items() if name != "test" or source != "mnist"]
    x = np.concatenate([part.data.numpy() for part in parts])  # type: ignore[attr-defined]
    return x, np.concatenate([part.label.numpy() for part in parts])  # type: ignore[union-attr]


def profiles(name: str, y: Array, options: Options) -> Iterator[tuple[str, int, Array]]:
    """(name of the cell, rho, rows); a set that has no grid is taken with the shares it has."""
    if name not in GRIDS:
        yield name, 0, np.arange(len(y))
        return
    rhos, classes, seeds, images = GRIDS[name]
    if options.short:
        rhos, classes, seeds = (1, 5), (2,), (0,)
    for seed, count, rho in itertools.product(seeds, classes, rhos):
        yield f"{name} rho {rho}, {count} classes, {seed}", rho, long_tail(y, count, rho, images, seed)


def long_tail(y: Array, classes: int, rho: int, images: int, seed: int) -> Array:
    """Rows of `classes` random classes with counts proportional to rho^(-k / (classes - 1)), in random order."""
    rng = np.random.default_rng([seed, classes, rho])
    chosen = rng.permutation(np.unique(y))[:classes]
    profile = float(rho) ** (-np.arange(classes) / max(1, classes - 1))
    most = min(int((y == c).sum()) for c in chosen)
    largest = min(most, round(images / profile.sum())) if images else most
    counts = np.maximum(1, np.rint(largest * profile)).astype(int)
    rows = [rng.choice(np.flatnonzero(y == c), n, replace=False) for c, n in zip(chosen, counts, strict=True)]
    return rng.permutation(np.concatenate(rows))


def measured(name: str, x: Array, y: Array, rho: int, options: Options) -> Cell:
    """The diagnosis of one set and the time of each recipe."""
    began = time.perf_counter()
    found = find_imbalance(x, seeds=1 if options.short else 3)
    seconds = {"diagnosis": time.perf_counter() - began}
    dataset = read(x)
    rows = unlabelled(dataset)
    with configure(1, "default"):
        began = time.perf_counter()
        seen = represent(learned(dataset, rows, 0), dataset.transform, rows, 0)
        model_s = time.perf_counter() - began
        flat = dataset.transform(rows.take(torch.arange(len(rows)))).x.flatten(1).numpy()
        for recipe, method in methods(flat, seen, 0).items():
            began = time.perf_counter()
            groups = method()[1]
            seconds[recipe] = time.perf_counter() - began + (model_s if groups is None else 0.0)
    counts = np.unique(y, return_counts=True)[1]
    return Cell(name, rho, int(counts.min()), imbalance_index(counts), found.document, seconds)


def judge(result: Result, name: str, cells: list[Cell]) -> None:
    """Rows of the result: ours, then each recipe."""
    answered = [cell for cell in cells if cell.answered]
    full = name in GRIDS and not result.shortened
    goals = GOALS if full and name != "digits" else {}  # what was fitted is not judged
    result.add(f"{name}: sets answered", len(answered), "sets", how=f"of {len(cells)}")
    index = [cell.document["index"]["value"] for cell in answered]
    _rank(result, f"{name}: diagnosis", [cell.truth for cell in answered], index, goals.get("rank", ""))
    if answered:
        held = share_interval([cell.holds for cell in answered])
        ends = {"low": round_off(held.low), "high": round_off(held.high), "how": "Wilson's interval over answered sets"}
        label = f"{name}: coverage of the 95 % interval"
        result.add(label, round_off(held.value), "share", goals.get("coverage", ""), **ends)
    even = [cell for cell in cells if cell.rho == 1]
    if even:
        alarms = [cell.answered and cell.document["index"]["low"] > 0 for cell in even]
        result.add(
            f"{name}: false alarms", float(np.mean(alarms)), "share", goals.get("false alarms", ""),
            how=f"{len(even)} balanced sets, {sum(not cell.answered for cell in even)} of them not answered",
        )  # fmt: skip
    few = [cell for cell in cells if cell.smallest < SMALL]
    if few:
        fine = [not cell.answered or cell.holds for cell in few]
        told = f"{len(few)} sets with fewer than {SMALL} rows in a class; {sum(not c.answered for c in few)} abstained"
        result.add(f"{name}: few rows, abstained or held", float(np.mean(fine)), "share", how=told)
    for i, entry in enumerate(cells[0].document["baselines"]):
        said = [cell.document["baselines"][i]["index"] for cell in cells]
        pairs = [(cell.truth, value) for cell, value in zip(cells, said, strict=True) if value is not None]
        _rank(result, f"{name}: {entry['name']}", [a for a, _ in pairs], [b for _, b in pairs], "")
    for recipe in cells[0].seconds:
        median = float(np.median([cell.seconds[recipe] for cell in cells]))
        result.add(f"{name}: seconds of {recipe}", round_off(median), "s", how="median over sets")


def _rank(result: Result, label: str, truth: list[float], said: list[float], goal: str) -> None:
    from scipy.stats import spearmanr

    if truth:
        error = float(np.abs(np.array(truth) - np.array(said)).mean())
        result.add(f"{label}: mean absolute error of the index", round_off(error), "", how=f"{len(truth)} sets")
    if len(set(truth)) > 2 and len(set(said)) > 1:
        result.add(f"{label}: rank correlation", round_off(float(spearmanr(truth, said)[0])), "", goal)


def as_row(cell: Cell) -> dict[str, Any]:
    """What is kept of a set."""
    document = cell.document
    return {
        "set": cell.name,
        "smallest_class": cell.smallest,
        "truth": round_off(cell.truth),
        "answered": cell.answered,
        "index": document["index"],
        "groups": document["groups"],
        "stability": document["stability"],
        "why": document["why"],
        "baselines": {entry["name"]: entry["index"] for entry in document["baselines"]},
        "seconds": {recipe: round_off(seconds) for recipe, seconds in cell.seconds.items()},
    }
