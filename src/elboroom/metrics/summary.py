"""From per-example numbers to metrics.json: which measures exist, their intervals, and what stands beside each.

`Found` is what passes over held-out data leave behind; `summarise` turns it into measures. Nothing here touches a
model, so a measure can be recomputed from the kept per-example numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.spec import Spec

from . import codebook, latent
from .factor_scores import factor_scores
from .interval import (
    Interval,
    Measure,
    Reference,
    difference_interval,
    finite,
    mean_interval,
    ratio_interval,
    share_interval,
)
from .likelihood import sample_grid
from .reconstruction import psnr_db
from .table import ColumnSums

__all__ = ["Found", "summarise"]

Array = NDArray[Any]


@dataclass
class Found:
    """Per-example results in the order of the rows, as lists of batches until asked for as one array."""

    spec: Spec
    n: int
    split: str = ""
    draws: int = 1
    """Draws of z for each example's ELBO."""
    widest: int = 1
    """Numbers in the decoder's widest layer for one draw of one example."""
    samples: int = 0
    """Draws of the importance-weighted bound; 0 where the model has none."""
    family: str = ""
    discrete: bool = False
    train_rows: int = 0
    pca_width: int = 0
    pca_rows: int = 0
    factor_names: tuple[str, ...] = ()
    """Of the known factors, whose values at the items are under "item_factors"."""
    items: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    bound_items: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    columns: ColumnSums | None = None
    codes: int = 0
    """Entries of the codebook; 0 where codes are no whole numbers."""
    values: dict[str, list[Tensor]] = field(default_factory=dict)
    lowest: float = math.inf
    highest: float = -math.inf
    index: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Row numbers in the input."""
    by_item: dict[str, Array] = field(default_factory=dict)
    """Measures that only the summary can compute, one value an item; NaN where an item was not looked at."""

    def add(self, name: str, values: Tensor) -> None:
        """Keeps one batch of per-example values on the CPU."""
        self.values.setdefault(name, []).append(values.detach().cpu())

    def array(self, name: str) -> Array:
        return torch.cat(self.values[name]).numpy()

    def has(self, *names: str) -> bool:
        return all(name in self.values for name in names)

    def note_range(self, decoded: Tensor) -> None:
        self.lowest = min(self.lowest, float(decoded.min()))
        self.highest = max(self.highest, float(decoded.max()))

    def in_unit_range(self) -> bool:
        """Whether x, by its scale, and every decoded value so far lie in [0, 1]."""
        spec = self.spec
        return spec.low >= 0 and spec.high <= 1 and self.lowest >= 0 and self.highest <= 1

    @property
    def step(self) -> float:
        """One unit of x as errors are stated: grey levels are put back on [0, 1]."""
        return 1 / (self.spec.levels - 1) if self.spec.kind == "images" and self.spec.levels > 1 else 1.0

    @property
    def thing(self) -> str:
        return "pixel" if self.spec.kind == "images" else "cell"

    def per_example(self) -> dict[str, Array]:
        """What compare needs: one number an example, under the name of its measure."""
        out: dict[str, Array] = {"index": self.index, "cells": self.array("cells")}
        if self.has("label"):
            out["label"] = self.array("label")
        if self.has("elbo"):
            out["elbo_nats"] = self.array("elbo")
        if self.has("elbo", "rate"):
            out["rate_nats"] = self.array("rate").sum(1, dtype=np.float64)
            out["distortion_nats"] = -out["elbo_nats"] - out["rate_nats"]
        if self.has("elbo") and self.discrete:
            out["bits_per_dim"] = -out["elbo_nats"] / (out["cells"] * math.log(2))
        if self.has("square"):
            cells = self.array("numeric_cells") if self.has("numeric_cells") else out["cells"]
            out["numeric_cells"] = cells
            out["reconstruction_mse"] = self.array("square") * self.step**2 / np.maximum(cells, 1)
        if self.has("bce") and self.in_unit_range():
            out["reconstruction_bce"] = self.array("bce") / np.maximum(out["cells"], 1)
        if self.samples:
            out["log_likelihood_nats"] = self.spread(self.array(f"bound_{self.samples}"), self.bound_items)
            out["effective_samples"] = self.spread(self.array(f"ess_{self.samples}"), self.bound_items)
        if self.has("absolute", "numeric_cells"):
            out["mae"] = self.array("absolute") / np.maximum(self.array("numeric_cells"), 1)
        if self.has("pixel_square"):
            out["pixel_square"] = self.array("pixel_square") / np.maximum(out["cells"], 1)
        return out | self.by_item

    def spread(self, values: Array, items: Array) -> Array:
        """(n,): a value for the items that were measured, NaN for the others."""
        out = np.full(self.n, np.nan)
        out[items] = values
        return out


class _Summary:
    """Collects measures; `n`, split and interval seed are said once."""

    def __init__(self, found: Found, seed: int) -> None:
        self.found = found
        self.seed = seed & 0x7FFFFFFF
        self.measures: dict[str, Measure] = {}
        self.details: dict[str, Any] = {}

    def mean(self, values: Array) -> Interval:
        return mean_interval(values, seed=self.seed)

    def ratio(self, totals: Array, counts: Array) -> Interval:
        return ratio_interval(totals, counts, seed=self.seed)

    def put(
        self, name: str, interval: Interval, unit: str, how: str, references: list[Reference] | None = None, n: int = 0
    ) -> None:
        self.measures[name] = Measure.of(
            interval,
            unit=unit,
            n=n or self.found.n,
            split=self.found.split,
            how=how,
            references=tuple(references or ()),
        )


def summarise(found: Found, *, seed: int = 0) -> tuple[dict[str, Measure], dict[str, Any]]:
    """metrics.json's measures and what details.json holds beside them."""
    summary = _Summary(found, seed)
    if found.has("elbo"):
        _likelihood(summary)
        _bounds(summary)
    if found.has("square"):
        _reconstruction(summary)
    if found.has("code"):
        _latent(summary)
    if found.has("code", "item_factors"):
        _factors(summary)
    if found.columns is not None and found.has("square"):
        _table(summary)
    return summary.measures, summary.details


def _likelihood(s: _Summary) -> None:
    found = s.found
    elbo, cells = found.array("elbo"), found.array("cells")
    draws = f"{found.draws} draw{'s' if found.draws > 1 else ''} of z an example"
    kind = "" if found.discrete else "; x is not discrete here, so this is a density or cross-entropy, no code length"
    simple: list[tuple[str, Array, str]] = []
    if found.has("independent_nats"):
        told = f"each {found.thing} alone, {found.family}, fitted on {found.train_rows:,} training rows"
        simple.append((f"independent {found.thing}s", found.array("independent_nats"), told))
    if found.spec.levels > 1:
        simple.append(("uniform", -cells * math.log(found.spec.levels), f"all {found.spec.levels} levels alike"))
    if found.discrete:
        bits = 1 / math.log(2)
        beside = [Reference.of(name, s.ratio(-nats * bits, cells), how) for name, nats, how in simple]
        s.put("bits_per_dim", s.ratio(-elbo * bits, cells), "bits/dim", f"ELBO, {draws}", beside)
    beside = [Reference.of(name, s.mean(nats), how) for name, nats, how in simple]
    s.put("elbo_nats", s.mean(elbo), "nats per example", f"E log p(x, z) - log q(z given x), {draws}{kind}", beside)
    if found.has("rate"):
        rate = found.array("rate").astype(np.float64)
        total = rate.sum(1)
        how = "-log p(codes) by the prior" if found.codes else "KL of q(z given x) to N(0, I), closed form"
        s.put("rate_nats", s.mean(total), "nats per example", how)
        s.put("distortion_nats", s.mean(-elbo - total), "nats per example", f"-E log p(x given z), {draws}")
        if found.codes:
            _codebook(s)
            return
        each = [mean_interval(rate[:, d], seed=s.seed) for d in range(rate.shape[1])]
        s.details["rate_by_dimension"] = [
            {"dimension": d, "value": finite(i.value), "low": finite(i.low), "high": finite(i.high)}
            for d, i in enumerate(each)
        ]


def _codebook(s: _Summary) -> None:
    numbers, k = s.found.array("numbers"), s.found.codes
    beside = [Reference(name="codes", value=float(k))]
    how = f"exp of the entropy of the codes' shares, {numbers.shape[1]} codes an example"
    s.put("codebook_perplexity", codebook.perplexity(numbers, seed=s.seed), "codes", how, beside)
    s.put("codebook_usage", codebook.usage(numbers, k), "share", f"taken at least once, of {k:,} codes")
    beside = [
        Reference.of(
            "order 0", codebook.order_zero_bits(numbers, seed=s.seed), "each code by its share of these codes"
        ),
        Reference(name="uniform", value=math.log2(k), how="all codes alike"),
    ]
    found = codebook.bits_per_code(s.found.array("rate"), seed=s.seed)
    s.put("prior_bits_per_code", found, "bits per code", "-log2 p of each code given those before it", beside)


def _bounds(s: _Summary) -> None:
    found = s.found
    if not found.samples:
        return
    k, n = found.samples, len(found.bound_items)
    bound, elbo, ess = found.array(f"bound_{k}"), found.array("bound_elbo"), found.array(f"ess_{k}")
    error = {j: float(np.sqrt(np.square(found.array(f"error_{j}")).sum()) / n) for j in sample_grid(k)}
    which = "all examples" if n == found.n else f"{n:,} of {found.n:,} examples at random"
    how = f"importance-weighted, K = {k:,}, effective samples {np.median(ess):.3g} (median), {which}"
    if not found.discrete:
        how += "; density or cross-entropy"
    beside = [Reference.of("ELBO", s.mean(elbo), f"the same examples, {k:,} draws")]
    beside += s.measures["elbo_nats"].references
    s.put("log_likelihood_nats", s.mean(bound), "nats per example", how, beside, n)
    gap = difference_interval(bound, elbo, seed=s.seed)
    s.put("posterior_gap_nats", gap, "nats per example", f"bound at K = {k:,} minus ELBO, same draws, {which}", n=n)
    curve = []
    for j in sample_grid(k):
        at = s.mean(found.array(f"bound_{j}"))
        median = finite(float(np.median(found.array(f"ess_{j}"))))
        curve.append(
            {"k": j}
            | {end: finite(getattr(at, end)) for end in ("value", "low", "high")}
            | {"ess": median, "error": finite(error[j])}
        )
    worst = np.argsort(ess, kind="stable")[:10]
    s.details["bound_by_samples"] = curve
    s.details["bound"] = {
        "samples": k,
        "n": n,
        "monte_carlo_error_nats": finite(error[k]),
        "effective_samples": {"median": finite(float(np.median(ess))), "lowest": finite(float(ess.min()))},
        "least_trusted": [
            {"row": int(found.index[found.bound_items[i]]), "effective_samples": finite(float(ess[i]))} for i in worst
        ],
    }


def _reconstruction(s: _Summary) -> None:
    found = s.found
    cells = found.array("cells")
    numeric = found.array("numeric_cells") if found.has("numeric_cells") else cells
    mean_told = f"the training part's mean of each {found.thing}"
    pca_told = f"{found.pca_width} numbers, fitted on {found.pca_rows:,} training rows"
    if found.in_unit_range() and found.has("bce"):
        floor = s.ratio(found.array("floor"), cells)
        excess = s.ratio(found.array("bce") - found.array("floor"), cells)
        beside = [Reference.of("entropy floor", floor, "the target's own entropy; nothing can be lower")]
        if found.has("mean_bce"):
            beside.append(
                Reference.of("constant per " + found.thing, s.ratio(found.array("mean_bce"), cells), mean_told)
            )
        s.put(
            "reconstruction_bce",
            s.ratio(found.array("bce"), cells),
            f"nats per {found.thing}",
            f"cross-entropy of x and the decoded mean; {excess.value:.4f} above the entropy floor",
            beside,
        )
        s.details["entropy_floor"] = finite(floor.value)
        s.details["bce_excess"] = {
            "value": finite(excess.value),
            "low": finite(excess.low),
            "high": finite(excess.high),
        }
    scale = found.step**2
    beside = []
    if found.pca_width:
        pca = s.ratio(found.array("pca_square") * scale, numeric)
        beside.append(Reference.of(f"PCA, {found.pca_width} dimensions", pca, pca_told))
    if found.has("mean_square"):
        constant = s.ratio(found.array("mean_square") * scale, numeric)
        beside.append(Reference.of("constant per " + found.thing, constant, mean_told))
    unit = f"squared, per {found.thing}"
    told = f"decoded mean code against x, {_space(found)}"
    s.put("reconstruction_mse", s.ratio(found.array("square") * scale, numeric), unit, told, beside)
    if found.spec.kind == "images":
        _psnr(s, cells, scale, pca_told)


def _psnr(s: _Summary, cells: Array, scale: float, pca_told: str) -> None:
    found = s.found
    width = 1.0 if found.spec.levels > 1 else found.spec.high - found.spec.low
    if not math.isfinite(width):
        return

    def decibels(name: str) -> Array:
        mse = torch.from_numpy(found.array(name) * scale / np.maximum(cells, 1))
        values: Array = psnr_db(mse, width).numpy()
        return values

    found.by_item["psnr_db"] = decibels("square")
    beside = []
    if found.pca_width:
        beside.append(Reference.of(f"PCA, {found.pca_width} dimensions", s.mean(decibels("pca_square")), pca_told))
    how = f"mean over images of 10 log10({width:g}^2 / squared error)"
    s.put("psnr_db", s.mean(found.by_item["psnr_db"]), "dB", how, beside)


def _space(found: Found) -> str:
    """In what numbers errors are stated."""
    spec = found.spec
    if spec.kind == "images":
        if spec.levels > 2:
            return f"{spec.levels} grey levels put on [0, 1]"
        return f"pixels in [{spec.low:g}, {spec.high:g}]" if math.isfinite(spec.high) else f"scale {spec.scale}"
    return f"scale {spec.scale}, observed cells"


def _latent(s: _Summary) -> None:
    found = s.found
    code = found.array("code")
    if not found.codes:
        _active(s, code)
    if found.has("item_x") and len(found.items) > 4:
        _neighbours(s, code[found.items])


def _active(s: _Summary, code: Array) -> None:
    found, width = s.found, code.shape[1]
    by_variance = latent.active_by_variance(code)
    s.details["active_by_variance"] = int(by_variance.value)
    beside = [Reference(name="dimensions of the code", value=float(width))]
    if found.has("rate"):
        active, how = latent.active_by_rate(found.array("rate")), f"mean rate above {latent.ACTIVE} nats"
        s.details["active_by_rate"] = int(active.value)
    else:
        active, how = by_variance, f"variance of the code above {latent.ACTIVE}"
    s.put("active_units", active, "dimensions", f"{how}, of {width}", beside)


def _neighbours(s: _Summary, code: Array) -> None:
    found = s.found
    x = found.array("item_x")
    n = len(x)
    k = min(10, (n - 1) // 3)
    which = "all items" if n == found.n else f"{n:,} items at random"
    pca = found.array("item_pca") if found.has("item_pca") else None
    name = f"PCA, {found.pca_width} dimensions"
    beside = [] if pca is None else [Reference.of(name, s.mean(latent.trust(x, pca, neighbours=k)))]
    trusted = latent.trust(x, code, neighbours=k)
    found.by_item["trustworthiness"] = found.spread(trusted, found.items)
    s.put("trustworthiness", s.mean(trusted).within(high=1), "share", f"{k} neighbours, {which}", beside, n)
    if found.has("label"):
        _labelled(s, x, code, pca)


def _labelled(s: _Summary, x: Array, code: Array, pca: Array | None) -> None:
    """Whether the nearest other item has the same label; items without one (negative) are left out."""
    found = s.found
    label = found.array("label")[found.items]
    known = label >= 0
    label = label[known]
    if len(np.unique(label)) < 2:
        return
    beside = []
    if pca is not None:
        name = f"PCA, {found.pca_width} dimensions"
        beside.append(Reference.of(name, share_interval(latent.neighbour_hits(pca[known], label))))
    beside.append(Reference.of("x itself", share_interval(latent.neighbour_hits(x[known], label))))
    beside.append(Reference.of("largest class", share_interval(label == np.bincount(label).argmax())))
    hits = latent.neighbour_hits(code[known], label)
    found.by_item["neighbour_accuracy"] = found.spread(hits, found.items[known])
    which = f"{len(label):,} items" + ("" if found.n == len(label) else f" of {found.n:,} at random")
    how = f"label of the nearest other item by code, {which}"
    s.put("neighbour_accuracy", share_interval(hits), "share", how, beside, len(label))


def _factors(s: _Summary) -> None:
    """Disentanglement of the items' mean codes, where the factors behind the data are known."""
    found = s.found
    simple = {f"PCA, {found.pca_width} dimensions": found.array("item_pca")} if found.has("item_pca") else {}
    code, known = found.array("code")[found.items], found.array("item_factors")
    scored = factor_scores(code, known, list(found.factor_names), simple, seed=s.seed)
    if scored is None:
        return
    for key, (interval, how, beside) in scored.entries.items():
        s.put(key, interval, "share" if key == "factor_vae_score" else "score, 0 to 1", how, beside, len(code))
    s.details["factors"] = scored.details


def _table(s: _Summary) -> None:
    found = s.found
    cells = found.array("numeric_cells")
    if cells.sum() == 0:
        return
    if found.has("mean_square"):
        spread = found.array("mean_square")

        def explained(name: str) -> Interval:
            lost = s.ratio(found.array(name), spread)
            return Interval(1 - lost.value, 1 - lost.high, 1 - lost.low, lost.how).within(high=1)

        beside = [Reference(name="mean of each column", value=0.0)]
        if found.pca_width:
            beside.append(Reference.of(f"PCA, {found.pca_width} dimensions", explained("pca_square")))
        told = f"1 - squared error / squared distance to the training part's column means, {_space(found)}"
        s.put("r2", explained("square"), "share of variance", told, beside)
    beside = []
    for key, name in (("mean_absolute", "mean of each column"), ("pca_absolute", f"PCA, {found.pca_width} dimensions")):
        if found.has(key):
            beside.append(Reference.of(name, s.ratio(found.array(key), cells)))
    unit = {"standard": "standard deviations", "robust": "robust deviations", "log1p": "log(1 + x)"}.get(
        found.spec.scale, "column's unit"
    )
    told = f"mean over cells, {_space(found)}; each column in its own unit in the report"
    s.put("mae", s.ratio(found.array("absolute"), cells), unit, told, beside)
    if found.columns is not None:
        s.details["columns"] = found.columns.table()
