"""Held-out cells told from those beside them: error, variance explained, information recovered, interval coverage.

Beside the model stand the mean of each column, the nearest training rows and ridge regression, fitted on the same
training rows and asked the same question; their one setting each is chosen on validation rows. See `imputation` for the
question.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.baselines.filling import ColumnMeans, Filler, fitted
from elboroom.core.abilities import Imputes
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.evaluate import Reader
from elboroom.imputation import HIDDEN, ROWS, Answers, answers, rows_at_most
from elboroom.metrics.imputation import NORMAL_90, Recovered, information_recovered
from elboroom.metrics.interval import Interval, Measure, Reference, finite, ratio_interval
from elboroom.metrics.table import ColumnSums, numeric_columns

if TYPE_CHECKING:
    from elboroom.data.rows import Rows
    from elboroom.data.source import Dataset
    from elboroom.data.transforms import Transform

__all__ = ["Filled", "evaluate_imputation"]

CHOOSING = 300
"""Validation rows that the baselines' settings are chosen on, at most."""
Array = NDArray[Any]


@dataclass
class Filled:
    """Measures of metrics.json, what details.json holds beside them, and errors by row."""

    measures: dict[str, Measure] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    per_example: dict[str, Array] = field(default_factory=dict)


def evaluate_imputation(
    model: Imputes, transform: Transform, spec: Spec, dataset: Dataset, *, part: str, train: Rows | None, seed: int
) -> Filled:
    """Ask for cells of the rows of `part`; `train` are the rows that baselines are fitted on (None: no baselines)."""
    assert isinstance(model, Model)
    reader = Reader(dataset.parts[part], transform, model, seed)
    which = reader.choose(rows_at_most(spec), "imputation")
    found = answers(model, reader.batches("imputation", ROWS, which), spec.observed)
    told: dict[str, Array] = {"model": found.told}
    names = {"model": "this run"}
    numeric = numeric_columns(spec.columns).numpy()
    if train is not None and len(train):
        for filler in _beside(model, transform, spec, dataset, train, found, seed):
            key = "mean" if isinstance(filler, ColumnMeans) else filler.name.split()[0]
            told[key] = np.where(found.asked, _back(filler(_forth(found.shown, spec)), spec), np.nan)
            names[key] = filler.told
    out = Filled()
    summary = _Summary(spec, found, told, names, numeric, part, seed, out)
    summary.errors()
    summary.recovered()
    summary.coverage()
    out.details["columns"] = summary.columns(transform)
    n = np.zeros(len(dataset.parts[part]))
    cells = (found.asked & numeric).sum(1)
    out.per_example = {"mae": np.full(len(n), np.nan), "numeric_cells": n}
    out.per_example["mae"][which] = summary.sums(np.abs, "model") / np.maximum(cells, 1)
    out.per_example["numeric_cells"][which] = cells
    return out


def _beside(
    model: Model, transform: Transform, spec: Spec, dataset: Dataset, train: Rows, found: Answers, seed: int
) -> list[Filler]:
    """The baselines, fitted; without a validation part their settings are chosen on a tenth of the training rows."""
    reader = Reader(train, transform, model, seed)
    rows = _matrix(reader, reader.choose(rows_at_most(spec), "filling"))
    valid = dataset.parts.get("valid")
    if valid is not None and len(valid):
        aside = Reader(valid, transform, model, seed)
        held = _matrix(aside, aside.choose(min(CHOOSING, rows_at_most(spec)), "choosing"))
    else:
        last = np.arange(len(rows)) % 10 == 9 if len(rows) >= 10 else np.ones(len(rows), bool)
        held, rows = rows[last], rows[~last] if not last.all() else rows
    if spec.observed:
        hidden = np.ones(held.shape, bool)
        hidden[:, list(spec.observed)] = False
    else:
        hidden = np.random.default_rng(seed & 0x7FFFFFFF).random(held.shape) < HIDDEN
    numeric = numeric_columns(spec.columns).numpy()
    truth = np.where(hidden & numeric, held, np.nan)
    question = np.where(hidden, np.nan, held)
    given = _forth(found.shown, spec)
    return fitted(_forth(rows, spec), _forth(question, spec), _forth(truth, spec), given)


def _matrix(reader: Reader, which: torch.Tensor) -> NDArray[np.float32]:
    """(rows, columns) in the model's space, NaN where a cell is missing."""
    parts = []
    for batch in reader.batches("rows", 1024, which):
        x = batch.x if batch.observed is None else torch.where(batch.observed, batch.x, torch.nan)
        parts.append(x.float().cpu())
    return torch.cat(parts).numpy()


def _forth(x: NDArray[np.float32], spec: Spec) -> NDArray[np.float32]:
    """Counts as log(1 + x), as the models' networks see them."""
    counts = np.array([column.kind == "count" for column in spec.columns])
    return np.where(counts, np.log1p(x, where=counts, out=np.zeros_like(x)), x) if counts.any() else x


def _back(x: Array, spec: Spec) -> Array:
    counts = np.array([column.kind == "count" for column in spec.columns])
    if not counts.any():
        return x
    return np.where(counts, np.expm1(np.minimum(x, 15), where=counts, out=np.zeros(x.shape)), x)


class _Summary:
    """From what was told to measures; `told` and `names` by key: model, mean, nearest, ridge."""

    def __init__(
        self, spec: Spec, found: Answers, told: dict[str, Array], names: dict[str, str], numeric: Array, part: str,
        seed: int, out: Filled,
    ) -> None:  # fmt: skip
        self.spec, self.found, self.told, self.names = spec, found, told, names
        self.asked = found.asked & numeric
        self.part, self.seed, self.out = part, seed & 0x7FFFFFFF, out
        targets = int(self.asked.any(0).sum())
        share = f"{HIDDEN:.0%} of the measured cells of each row hidden at random"
        self.asked_for = f"{targets:,} columns told from {len(spec.observed):,}" if spec.observed else share
        out.details["imputation"] = {
            "question": self.asked_for,
            "landmarks": [spec.columns[i].name for i in spec.observed],
            "targets": targets,
            "rows": len(found.told),
            "beside": {key: name for key, name in names.items() if key != "model"},
        }

    def sums(self, of: Any, key: str) -> Array:
        """(rows,): sum over asked cells of a function of the error."""
        off = np.where(self.asked, self.told[key] - self.found.measured, 0)
        out: Array = of(off).sum(1, dtype=np.float64)
        return out

    def put(self, key: str, interval: Interval, unit: str, how: str, beside: list[Reference], n: int = 0) -> None:
        self.out.measures[key] = Measure.of(
            interval, unit=unit, n=n or len(self.found.told), split=self.part, how=how, references=tuple(beside)
        )

    def references(self, values: dict[str, Interval]) -> list[Reference]:
        return [Reference.of(self.names[key], value) for key, value in values.items() if key != "model"]

    def errors(self) -> None:
        """r2 and mae over all asked cells."""
        if not self.asked.any():
            return
        space = f"scale {self.spec.scale}; {self.asked_for}"
        cells = self.asked.sum(1)
        mae = {key: ratio_interval(self.sums(np.abs, key), cells, seed=self.seed) for key in self.told}
        unit = {"standard": "standard deviations", "robust": "robust deviations", "log1p": "log(1 + x)"}
        how = f"mean over asked cells, {space}; each column in its own unit in the report"
        self.put("mae", mae["model"], unit.get(self.spec.scale, "column's unit"), how, self.references(mae))
        if "mean" not in self.told or not (spread := self.sums(np.square, "mean")).any():
            return
        r2 = {key: self._explained(key, spread) for key in self.told}
        how = f"1 - squared error / squared distance to the training part's column means, {space}"
        self.put("r2", r2["model"], "share of variance", how, self.references(r2))

    def _explained(self, key: str, spread: Array) -> Interval:
        if key == "mean":
            return Interval(0.0, 0.0, 0.0)
        lost = ratio_interval(self.sums(np.square, key), spread, seed=self.seed)
        return Interval(1 - lost.value, 1 - lost.high, 1 - lost.low, lost.how).within(high=1)

    def recovered(self) -> None:
        """information_recovered, and the correlation of each column."""
        found: dict[str, Recovered] = {}
        for key, told in self.told.items():
            found[key] = information_recovered(told, self.found.measured, self.asked, seed=self.seed)
        self.correlation = {key: f.correlation for key, f in found.items()}
        judged = found["model"].columns
        if not judged:
            return
        how = (
            "share of columns whose correlation of told and measured lies above the 95th percentile of the column's "
            f"correlations with the others, over the same rows; {judged:,} columns that vary; {self.asked_for}"
        )
        shares = {key: f.share for key, f in found.items()}
        self.put("information_recovered", shares["model"], "share of columns", how, self.references(shares), judged)
        middle = {key: finite(float(np.nanmedian(c))) for key, c in self.correlation.items() if np.isfinite(c).any()}
        self.out.details["imputation"]["median_correlation"] = middle

    def coverage(self) -> None:
        """How often a number lies within the interval that should hold nine of ten."""
        numbers = np.array([column.kind in ("real", "count") for column in self.spec.columns])
        with np.errstate(invalid="ignore"):
            varies = np.nanmax(self.found.measured, 0, initial=-np.inf) > np.nanmin(
                self.found.measured, 0, initial=np.inf
            )
        asked = self.asked & numbers & varies  # what never varies is told exactly, and would lift the share
        if not asked.any():
            return
        off = np.abs(np.where(asked, self.found.told - self.found.measured, np.inf))
        inside = off <= NORMAL_90 * np.where(asked, self.found.sd, 0)
        interval = ratio_interval(inside.sum(1), asked.sum(1), seed=self.seed).within(0, 1)
        how = f"share of asked numbers inside told +- 1.645 sd, of columns that vary in these rows; {self.asked_for}"
        self.put("interval_coverage", interval, "share of cells", how, [Reference(name="meant", value=0.9)])

    def columns(self, transform: Transform) -> list[dict[str, Any]]:
        """One entry a column that was asked for: errors in the user's units beside the baselines'."""
        sums = ColumnSums(self.spec.columns)
        measured = torch.from_numpy(np.nan_to_num(self.found.measured))
        units = {k: transform.undo(torch.from_numpy(np.nan_to_num(told)).float()) for k, told in self.told.items()}
        sums.add(transform.undo(measured), units, torch.from_numpy(self.found.asked))
        entries = []
        for i, entry in enumerate(sums.table()):
            if entry["n"]:
                said = {
                    f"correlation_{key}": finite(float(c[i])) for key, c in self.correlation.items() if key != "mean"
                }
                entries.append(entry | said)
        r2 = {key: [e[f"r2_{key}"] for e in entries if e.get(f"r2_{key}") is not None] for key in self.told}
        self.out.details["imputation"]["median_r2"] = {k: float(np.median(v)) for k, v in r2.items() if v}
        return entries
