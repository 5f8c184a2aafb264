"""One measure of several runs over the same held-out items: each run's value, and the differences item by item.

A measure is made of what an evaluation says of each item (`Evaluation.per_example`): a mean, weighed or not, a share, a
function of a mean, or a statistic of all items. What an item is differs: a row, a sequence, a block of text of equally
many bytes, a row of a series, of which so many in a row are one of the sample.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elboroom.comparison_words import judged, lacking, verdict
from elboroom.core.abilities import ABILITIES
from elboroom.data.rows import Rows
from elboroom.evaluate import Evaluation
from elboroom.metrics.classification import balanced_accuracy, confusion, macro_f1
from elboroom.metrics.interval import (
    Interval,
    bootstrap_interval,
    finite,
    mean_interval,
    ratio_interval,
    share_interval,
)
from elboroom.metrics.paired import in_blocks, mean_difference, share_difference
from elboroom.metrics.text import perplexity
from elboroom.nn.likelihood import HEADS, head_for
from elboroom.nn.mixed import MixedHead
from elboroom.nn.pixels import BernoulliHead

if TYPE_CHECKING:
    from elboroom.data.source import Dataset
    from elboroom.run import Run

__all__ = ["MEASURES", "SEED", "Kind", "Side", "absent", "favoured", "measured"]

Array = NDArray[Any]
OF_ALL = "standard deviations of all rows as read"
SEED = 0  # one seed for all runs: the same random subsets of items


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a measure is made, and when two runs' values mean the same."""

    better: int
    """+1 more is better, -1 less, 0 neither."""
    of: str = ""
    """The entry of `per_example` it is made of, where that has another name."""
    weight: str = ""
    """The entry that says how much an item counts; without it all items count alike."""
    same: tuple[str, ...] = ()
    """What must agree: the scaling of `x`, its `columns`, the `tokens`, the `horizon`, the `law` of x, the `question`
    (which cells are told from which), the `labels`. Where one does not, a run keeps its value and is not judged."""
    as_read: str = ""
    """The entry that stands in where x is scaled differently, made of the values as they were read."""
    as_read_unit: str = ""
    """And the words for its unit."""
    exp: bool = False
    """exp of the mean."""
    share: bool = False
    """The mean lies between 0 and 1."""
    statistic: Callable[[Array], float] | None = None
    """Of the counts of true against named classes."""


MEASURES: dict[str, Kind] = {
    "bits_per_dim": Kind(better=-1, weight="cells", same=("x", "law")),
    "bits_per_byte": Kind(better=-1, weight="cells"),
    "loss_nats_per_token": Kind(better=-1, weight="tokens", same=("tokens",)),
    "perplexity": Kind(better=-1, of="loss_nats_per_token", weight="tokens", same=("tokens",), exp=True),
    "token_accuracy": Kind(better=1, weight="tokens", same=("tokens",), share=True),
    "elbo_nats": Kind(better=1, same=("x", "law")),
    "log_likelihood_nats": Kind(better=1, same=("x", "law")),
    "rate_nats": Kind(better=0, same=("x",)),
    "distortion_nats": Kind(better=0, same=("x", "law")),
    "reconstruction_bce": Kind(better=-1, weight="cells", same=("x",)),
    "reconstruction_mse": Kind(
        better=-1,
        weight="numeric_cells",
        same=("x",),
        as_read="pixel_square",
        as_read_unit="squared, per pixel, pixels as read in [0, 1]",
    ),
    "psnr_db": Kind(better=1, same=("x",)),
    "mae": Kind(
        better=-1,
        weight="numeric_cells",
        same=("x", "columns", "question"),
        as_read="mae_as_read",
        as_read_unit=OF_ALL,
    ),
    "mae_horizon": Kind(
        better=-1,
        same=("x", "columns", "horizon"),
        as_read="mae_horizon_as_read",
        as_read_unit=OF_ALL,
    ),
    "coverage_90": Kind(better=0, share=True),
    "accuracy": Kind(better=1, weight="steps", same=("labels",), share=True),
    "balanced_accuracy": Kind(better=1, of="predicted", same=("labels",), share=True, statistic=balanced_accuracy),
    "macro_f1": Kind(better=1, of="predicted", same=("labels",), share=True, statistic=macro_f1),
    "log_loss_nats": Kind(better=-1, weight="steps", same=("labels",)),
    "trustworthiness": Kind(better=1, same=("x",)),
    "neighbour_accuracy": Kind(better=1, same=("labels",)),
}


@dataclass
class Side:
    """One run in the comparison."""

    name: str
    run: Run
    dataset: Dataset
    rows: Rows
    found: Evaluation | None = None
    favoured: bool = False
    """It was trained on the data that all are measured on."""

    @property
    def abilities(self) -> list[str]:
        """Their names."""
        return [ability.__name__ for ability in ABILITIES if isinstance(self.run.model, ability)]

    @property
    def scale(self) -> str:
        return self.run.spec.scale

    @property
    def values(self) -> dict[str, Array]:
        return self.found.per_example if self.found else {}

    @property
    def block(self) -> int:
        return self.found.block if self.found else 1

    def horizon(self) -> int:
        """Rows ahead that a model of series forecasts at once."""
        return int(self.found.details.get("series", {}).get("horizon", 0)) if self.found else 0

    def space(self) -> tuple[Any, ...]:
        """What must agree for two models' numbers of x to mean the same: shape, scale, fitted numbers.

        How many steps a model sees at once is no part of it.
        """
        spec = self.run.spec
        shape = spec.shape[1:] if spec.kind in ("text", "series", "sequences") else spec.shape
        numbers = tuple(b.detach().cpu().numpy().tobytes() for b in self.run.transform.buffers())
        return (shape, self.scale, numbers)

    def agreement(self, what: str) -> Any:
        """What must be equal in two runs; see `Kind.same`."""
        if what in ("law", "question", "labels"):
            return {"law": self.law, "question": self.question, "labels": self.labels}[what]()
        if what == "tokens":
            return json.dumps(self.run.transform.to_json(), sort_keys=True)
        if what == "columns":
            return [column.name for column in self.run.spec.columns]
        return self.horizon() if what == "horizon" else self.space()

    def law(self) -> str:
        """Of what its likelihoods are: numbers of different laws have no common zero."""
        named = getattr(self.run.model.config, "likelihood", "auto")
        head = head_for(named if named in HEADS else "auto", self.run.spec)
        if head.discrete:
            return "a probability"
        if isinstance(head, BernoulliHead):
            return "a cross-entropy of grey values"
        parts = {h.discrete for h in head.heads.values()} if isinstance(head, MixedHead) else {False}
        return "a density" if parts == {False} else "a density of some columns, a probability of others"

    def question(self) -> tuple[str, tuple[str, ...]]:
        """Which cells are told, in words, and the names of those from which."""
        details = self.found.details if self.found else {}
        if "imputation" in details:
            return str(details["imputation"]["question"]), tuple(sorted(details["imputation"]["landmarks"]))
        return ("rows ahead" if "series" in details else "all cells told from themselves"), ()

    def labels(self) -> tuple[Any, ...]:
        """The classes, and of each item the name of its own; where only steps have labels, their column."""
        classes, given = self.dataset.spec.classes, self.values.get("label")
        if given is None:
            return classes, self.run.meta["data"]["reading"].get("label", "")
        ordered = given[np.argsort(self.values["index"], kind="stable")].tolist()
        return tuple(sorted(classes)), tuple(classes[i] if 0 <= i < len(classes) else str(i) for i in ordered)

    def otherwise(self, what: str) -> str:
        """Why its numbers do not stand beside others."""
        if what == "law":
            return f"its likelihood is {self.law()}"
        if what == "question":
            told, landmarks = self.question()
            few = f"{', '.join(landmarks[:3])}{' ...' if len(landmarks) > 3 else ''}"
            return f"another question: {told}{f' ({few})' if landmarks else ''}"
        return {
            "labels": "its labels or their classes are others",
            "x": f"read with scale {self.scale}: its numbers are of another x",
            "columns": "reads other columns",
            "tokens": "its tokens are others: only bits per byte compare",
            "horizon": f"forecasts {self.horizon()} rows ahead",
        }[what]


def measured(key: str, sides: list[Side]) -> dict[str, Any] | None:
    """One row of the comparison; None where no run has the measure."""
    kind = MEASURES[key]
    able = [side for side in sides if (kind.of or key) in side.values]
    if not able:
        return None
    source, same = _source(key, kind, able)
    agreed = [[side.agreement(what) for what in same] for side in able]
    reference = max(agreed, key=agreed.count)
    like = [side for side, found in zip(able, agreed, strict=True) if found == reference]
    cells = [_cell(side, kind, source) if side in able else absent(side, key) for side in sides]
    apart: dict[str, str] = {}
    for side, found in zip(able, agreed, strict=True):
        if side not in like:
            what = next(w for w, a, b in zip(same, found, reference, strict=True) if a != b)
            apart[side.name] = side.otherwise(what)
            cells[sides.index(side)] |= {"why": apart[side.name], "apart": True}
    metrics = [side.found.metrics[key] for side in like if side.found]
    differences = [_difference(a, b, kind, source) for a, b in combinations(like, 2)]
    names = [side.name for side in like]
    best, told = judged(names, len(sides), differences, kind.better, favoured(sides), apart)
    as_read = source == kind.as_read
    return {
        "key": key,
        "unit": kind.as_read_unit if as_read else metrics[0]["unit"],
        "better": {1: "more", -1: "less", 0: ""}[kind.better],
        "cells": cells,
        "references": [] if as_read else _references(metrics),
        "differences": differences,
        "best": best,
        "said": told,
    }


def _source(key: str, kind: Kind, able: list[Side]) -> tuple[str, tuple[str, ...]]:
    """What the measure is made of, and what then must agree: of different scales, the values as they were read."""
    spaces = [side.space() for side in able]
    if kind.as_read and any(s != spaces[0] for s in spaces) and all(kind.as_read in side.values for side in able):
        return kind.as_read, tuple(what for what in kind.same if what != "x")
    return kind.of or key, kind.same


def _references(measures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What stands beside the runs and is none of them."""
    listed: list[dict[str, Any]] = next((measure["references"] for measure in measures if "references" in measure), [])
    return [reference for reference in listed if reference["name"] != "ELBO"]


# -- one run -----------------------------------------------------------------------------------------------------------


def _cell(side: Side, kind: Kind, source: str) -> dict[str, Any]:
    values = side.values[source]
    n = len(values) if kind.statistic else int(np.isfinite(values).sum())
    return {"run": side.name, **_ends(_interval(side, kind, source)), "n": n, "why": ""}


def absent(side: Side, key: str) -> dict[str, Any]:
    """The cell of a run without the measure: "why"; "lacks" is what its model cannot, if that is it."""
    lacks, why = lacking(side.run.name, side.abilities, key)
    nothing = {"run": side.name, "value": None, "low": None, "high": None, "n": 0}
    return {**nothing, "why": why or f"{side.run.name} has no such measure here", "lacks": lacks}


def favoured(sides: list[Side]) -> set[str]:
    """Names of the runs that were trained on what all are measured on."""
    return {side.name for side in sides if side.favoured}


def _ends(interval: Interval) -> dict[str, float | None]:
    return {"value": finite(interval.value), "low": finite(interval.low), "high": finite(interval.high)}


def _interval(side: Side, kind: Kind, source: str) -> Interval:
    if kind.statistic is not None:
        of = _statistic(kind.statistic, side.values)
        return _around(bootstrap_interval(of, len(side.values["label"]), seed=SEED))
    values, weights = side.values[source], side.values.get(kind.weight)
    if kind.share and weights is None and side.block == 1:
        return share_interval(values[np.isfinite(values)])
    if weights is None and side.block == 1:
        return mean_interval(values[np.isfinite(values)], seed=SEED)
    x, w = in_blocks(values, np.ones(len(values)) if weights is None else weights, side.block)
    found = ratio_interval((x * w)[np.isfinite(x)], w[np.isfinite(x)], seed=SEED)
    found = perplexity(found) if kind.exp else found
    return found.within(0, 1) if kind.share else found


def _statistic(statistic: Callable[[Array], float], values: dict[str, Array]) -> Callable[[Array], float]:
    """Of items by their places, as the bootstrap asks for it."""
    label, named = values["label"], values["predicted"]
    classes = int(max(label.max(), named.max())) + 1
    return lambda index: statistic(confusion(label[index], named[index], classes))


def _around(found: Interval) -> Interval:
    """Ends that the value lies between: resamples of a few items may all lie on one side of it."""
    return Interval(found.value, min(found.low, found.value), max(found.high, found.value), found.how)


# -- two runs ----------------------------------------------------------------------------------------------------------


def _difference(a: Side, b: Side, kind: Kind, source: str) -> dict[str, Any]:
    """Of a minus b over the items that both have."""
    mine, other = _common(a.values, b.values)
    if kind.statistic is not None:
        n = len(mine["label"])
        first, second = (_statistic(kind.statistic, values) for values in (mine, other))
        interval = _around(bootstrap_interval(lambda index: first(index) - second(index), n, seed=SEED))
    else:
        n, interval = _paired(mine, other, kind, source, max(a.block, b.block))
    return {
        "a": a.name,
        "b": b.name,
        **_ends(interval),
        "n": n,
        "verdict": verdict(a.name, b.name, interval, kind.better),
    }


def _common(a: dict[str, Array], b: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """The entries of both for the items that both have, in one order."""
    if np.array_equal(a["index"], b["index"]):
        return a, b
    _, mine, other = np.intersect1d(a["index"], b["index"], return_indices=True)
    return {key: values[mine] for key, values in a.items()}, {key: values[other] for key, values in b.items()}


def _paired(a: dict[str, Array], b: dict[str, Array], kind: Kind, source: str, block: int) -> tuple[int, Interval]:
    """The number of items, and the difference of their means."""
    x, y = a[source], b[source]
    known = np.isfinite(x) & np.isfinite(y)
    if kind.share and kind.weight not in a and block == 1:
        return int(known.sum()), share_difference(x[known], y[known])
    alike = np.ones(len(x))
    (x, w), (y, v) = (
        in_blocks(np.where(known, each, np.nan), values.get(kind.weight, alike), block)
        for each, values in ((x, a), (y, b))
    )
    there = np.isfinite(x)
    return int(known.sum()), mean_difference(x[there], y[there], w[there], v[there], exp=kind.exp, seed=SEED)
