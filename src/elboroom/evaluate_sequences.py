"""The measures of a model that names classes, with what needs no network beside them, on the same held-out sequences.

Beside every run stand the largest class of the training part and, for sequences of numbers, MiniRocket with a ridge
classifier; for texts, counts of short runs of tokens with one; for labels of single steps, one on the values around the
step. Where each step has a label the sequences are still the sample: intervals are over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.baselines.ngrams import GramClassifier
from elboroom.baselines.ridge import Ridge
from elboroom.baselines.rocket import KERNELS, RocketClassifier
from elboroom.core.abilities import Classifies
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.engine.runtime import mix, seeded
from elboroom.evaluate import Evaluation, Reader, held_out
from elboroom.evaluate_mistakes import Named, worst_mistakes
from elboroom.metrics import classification
from elboroom.metrics.interval import (
    Interval,
    Measure,
    Reference,
    bootstrap_interval,
    difference_interval,
    finite,
    mean_interval,
    ratio_interval,
    share_interval,
)

if TYPE_CHECKING:
    from elboroom.core.spec import Spec
    from elboroom.data.rows import Rows
    from elboroom.data.source import Dataset
    from elboroom.data.transforms import Transform

__all__ = ["evaluate_sequences"]

Array = NDArray[Any]
BATCH = 256
LEARNT = 4000
"""Most training sequences that the baselines see."""
STEPS = 20_000
"""Most training steps, where each has a label."""
AROUND = 4
"""Steps on either side that the baseline for single steps sees."""
WORK = 3e10
"""Comparisons that MiniRocket may take, about half a minute; above, it gets fewer features."""


@dataclass
class _Held:
    """Sequences as arrays, in the model's space. Units are what carries a label: sequences, or single steps."""

    x: Array
    """(n, T, C), or (n, T) tokens."""
    lengths: Array
    """(n,)"""
    label: Array
    """(units,)"""
    owner: Array
    """(units,): the sequence of each."""
    place: Array
    """(units,): its step; 0 where the whole sequence has the label."""


def evaluate_sequences(
    model: Model,
    transform: Transform,
    spec: Spec,
    dataset: Dataset,
    *,
    part: str = "test",
    train: Rows | None = None,
    seed: int = 0,
    baselines: bool = True,
) -> Evaluation:
    """Measure `model` on a part of `dataset`; see `elboroom.evaluate.evaluate`, which calls this."""
    name = held_out(dataset, part)
    rows = dataset.parts[name]
    train = (dataset.parts.get("train") if train is None else train) if baselines else None
    if not isinstance(model, Classifies) or "label" not in rows.fields:
        raise InputError(
            f"{dataset.name}: the sequences have no labels to measure against; `elboroom classify` names their classes"
        )
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), seeded(seed):
            reader = Reader(rows, transform, model, seed)
            held = _arrays(reader, "classes", None, spec)
            logits = [model.classify(batch).double().cpu() for batch in reader.batches("classes", BATCH)]
            p = torch.cat(logits).softmax(-1).numpy()
            learnt = None
            if train is not None and len(train) and "label" in train.fields:
                reader = Reader(train, transform, model, seed)
                learnt = _arrays(reader, "learnt", reader.choose(LEARNT, "learnt"), spec)
    finally:
        model.train(was_training)
    if not len(held.label):
        raise InputError(f"the {name} part of {dataset.name} has no step with a label to measure against")
    units = p[held.owner, held.place] if spec.per_step else p
    out = _Summary(held, units, spec, name, seed & 0x7FFFFFFF)
    out.beside(learnt)
    out.shares()
    out.probabilities(learnt)
    named = Named(units, held.label, held.owner, held.place)
    out.details["mistakes"] = worst_mistakes(rows, transform, spec, named)
    return Evaluation(
        metrics={key: measure.to_json() for key, measure in out.measures.items()},
        details=out.details,
        per_example=out.per_example(np.asarray(rows.index)),
    )


def _arrays(reader: Reader, purpose: str, which: torch.Tensor | None, spec: Spec) -> _Held:
    xs: list[Array] = []
    lengths: list[Array] = []
    labels: list[Array] = []
    for batch in reader.batches(purpose, BATCH, which):
        assert batch.label is not None
        steps = torch.full((len(batch),), batch.x.shape[1]) if batch.lengths is None else batch.lengths
        for held, value in ((xs, batch.x), (lengths, steps), (labels, batch.label)):
            held.append(value.cpu().numpy())
    x, length, label = np.concatenate(xs), np.concatenate(lengths), np.concatenate(labels)
    if not spec.per_step:
        return _Held(x, length, label, np.arange(len(x)), np.zeros(len(x), np.int64))
    owner, place = np.nonzero(label >= 0)
    return _Held(x, length, label[owner, place], owner, place)


class _Summary:
    """Collects measures; split and interval seed are said once."""

    def __init__(self, held: _Held, p: Array, spec: Spec, split: str, seed: int) -> None:
        self.held, self.p, self.spec, self.split, self.seed = held, p, spec, split, seed
        self.classes, self.predicted, self.n = len(spec.classes), p.argmax(1), len(held.x)
        self.unit = "step" if spec.per_step else "sequence"
        self.rivals: dict[str, tuple[Array, str]] = {}
        self.measures: dict[str, Measure] = {}
        self.details: dict[str, Any] = {}

    # -- what needs no network ----------------------------------------------------------------------------------------

    def beside(self, learnt: _Held | None) -> None:
        """The classes that simpler ways name, by their names, and how each was made."""
        if learnt is None:
            return
        held, units = self.held, len(self.held.label)
        largest = int(np.bincount(learnt.label, minlength=self.classes).argmax())
        told = f"{self.spec.classes[largest]!r}, the most frequent in the training part, always"
        self.rivals["largest class"] = (np.full(units, largest), told)
        if len(np.unique(learnt.label)) < 2:
            return
        if self.spec.per_step:
            if not self.spec.levels:
                self.rivals["ridge on steps around"] = self._around(learnt)
        elif self.spec.levels:
            gram = GramClassifier(seed=self.seed).fit(learnt.x, learnt.label, self.classes, learnt.lengths)
            how = f"counts of runs of 1 to 4 tokens, {gram.rows:,} training texts, strength {gram.ridge.alpha:.2g}"
            self.rivals["token runs + ridge"] = (gram.predict(held.x, held.lengths), how)
        else:
            cost = (len(learnt.x) + self.n) * held.x.shape[1]
            features = int(min(10_000, max(4 * KERNELS, WORK / cost)))
            rocket = RocketClassifier(features, seed=mix(self.seed, "rocket") & 0x7FFFFFFF)
            rocket.fit(learnt.x, learnt.label, self.classes, learnt.lengths)
            how = f"{rocket.rocket.features:,} features (arXiv 2012.08791), {rocket.rows:,} training sequences"
            self.rivals["MiniRocket + ridge"] = (rocket.predict(held.x, held.lengths), how)

    def _around(self, learnt: _Held) -> tuple[Array, str]:
        some = np.arange(len(learnt.label))
        if len(some) > STEPS:
            some = np.sort(np.random.default_rng(self.seed).choice(len(some), STEPS, replace=False))
        ridge = Ridge().fit(_windows(learnt)[some], learnt.label[some], self.classes)
        how = f"the values of {2 * AROUND + 1} steps, {len(some):,} training steps, strength {ridge.alpha:.2g}"
        return ridge.decide(_windows(self.held)).argmax(1), how

    # -- measures -----------------------------------------------------------------------------------------------------

    def put(self, name: str, interval: Interval, unit: str, how: str, references: tuple[Reference, ...] = ()) -> None:
        self.measures[name] = Measure.of(
            interval, unit=unit, n=len(self.held.label), split=self.split, how=how, references=references
        )

    def right(self, named: Array, of: int | None = None) -> Interval:
        """The share of units that are named right, of all or of one class."""
        which = np.ones(len(named), bool) if of is None else self.held.label == of
        hits = ((named == self.held.label) & which).astype(np.float64)
        if not self.spec.per_step:
            return share_interval(hits[which])
        total = self._sums(which.astype(np.float64))
        some = total > 0
        return ratio_interval(self._sums(hits)[some], total[some], seed=self.seed).within(0, 1)

    def resampled(self, statistic: Any, named: Array) -> Interval:
        """A statistic of the confusion matrix, with its interval over sequences."""
        pairs = self.held.label * self.classes + named

        def of(index: NDArray[np.int64]) -> float:
            times = np.bincount(index, minlength=self.n)[self.held.owner]
            counts = np.bincount(pairs, weights=times, minlength=self.classes**2)
            return float(statistic(counts.reshape(self.classes, self.classes)))

        return _around_value(bootstrap_interval(of, self.n, seed=self.seed))

    def shares(self) -> None:
        """Accuracy, balanced accuracy, macro F1, and the confusion matrix."""
        told = {name: (named, how) for name, (named, how) in self.rivals.items()}
        beside = tuple(Reference.of(name, self.right(named), how) for name, (named, how) in told.items())
        self.put("accuracy", self.right(self.predicted), "share", f"share of {self.unit}s named right", beside)
        for key, statistic, how in (
            ("balanced_accuracy", classification.balanced_accuracy, "mean of the shares right of each class"),
            ("macro_f1", classification.macro_f1, "mean over classes of the harmonic mean of precision and recall"),
        ):
            others = tuple(Reference.of(n, self.resampled(statistic, named), h) for n, (named, h) in told.items())
            self.put(key, self.resampled(statistic, self.predicted), "share", how, others)
        counts = classification.confusion(self.held.label, self.predicted, self.classes)
        self.details["confusion"] = {"classes": list(self.spec.classes), "counts": counts.tolist()}
        self.details["by_class"] = self._by_class(counts)
        self.details["baselines"] = [reference.to_json() for reference in beside]
        if beside:
            best = max(beside, key=lambda r: r.value)
            hits = [self._sums(named == self.held.label) for named in (self.predicted, told[best.name][0])]
            count = np.maximum(np.bincount(self.held.owner, minlength=self.n), 1)
            gap = difference_interval(hits[0] / count, hits[1] / count, seed=self.seed)
            ends = {"value": finite(gap.value), "low": finite(gap.low), "high": finite(gap.high)}
            self.details["against"] = {"name": best.name, "measure": "accuracy", **ends}

    def _by_class(self, counts: Array) -> list[dict[str, Any]]:
        """Of each class its size, the share named right with its interval, and the same of what is simpler."""
        named = counts.sum(0)
        return [
            {
                "class": name,
                "n": int(counts[k].sum()),
                **self._recall(self.predicted, k, "recall"),
                "precision": finite(float(counts[k, k] / named[k])) if named[k] else None,
                "beside": [{"name": n, **self._recall(other, k, "value")} for n, (other, _) in self.rivals.items()],
            }
            for k, name in enumerate(self.spec.classes)
        ]

    def _recall(self, named: Array, k: int, key: str) -> dict[str, float | None]:
        if not (self.held.label == k).any():
            return {key: None, "low": None, "high": None}
        found = self.right(named, k)
        return {key: finite(found.value), "low": finite(found.low), "high": finite(found.high)}

    def probabilities(self, learnt: _Held | None) -> None:
        """Log loss and calibration."""
        p, label = self.p, self.held.label
        nats = classification.log_losses(p, label)
        beside: tuple[Reference, ...] = ()
        if learnt is not None:
            share = np.bincount(learnt.label, minlength=self.classes) + 1.0
            prior = np.broadcast_to(share / share.sum(), p.shape)
            same = self._mean(classification.log_losses(prior, label))
            beside = (Reference.of("class shares", same, "those of the training part, each counted once more"),)
        self.put("log_loss_nats", self._mean(nats), f"nats per {self.unit}", "-log p of the true class", beside)
        starts = np.concatenate([[0], np.cumsum(np.bincount(self.held.owner, minlength=self.n))])

        def of(index: NDArray[np.int64]) -> float:
            picked = index if not self.spec.per_step else np.concatenate(
                [np.arange(starts[i], starts[i + 1]) for i in index]
            )  # fmt: skip
            return classification.calibration_error(p[picked], label[picked])

        error = _around_value(bootstrap_interval(of, self.n, seed=self.seed, draws=200))
        how = f"mean distance of the largest probability from the share right, {classification.BINS} bins alike in size"
        self.put("calibration_error", error, "share", how)
        curve = classification.calibration_curve(p, label)
        self.details["calibration"] = {key: values.tolist() for key, values in curve.items()}

    def _sums(self, values: Array) -> Array:
        """(n,) over the units of each sequence."""
        return np.bincount(self.held.owner, weights=values, minlength=self.n)

    def _mean(self, values: Array) -> Interval:
        if not self.spec.per_step:
            return mean_interval(values, seed=self.seed)
        total = np.bincount(self.held.owner, minlength=self.n).astype(np.float64)
        return ratio_interval(self._sums(values), total, seed=self.seed)

    def per_example(self, index: Array) -> dict[str, Array]:
        """One row a sequence; of single steps their mean."""
        count = np.bincount(self.held.owner, minlength=self.n)
        some = count > 0
        out = {"index": index[some]}
        if not self.spec.per_step:
            out |= {"label": self.held.label, "predicted": self.predicted}
        else:
            out["steps"] = count[some]
        hits, nats = self.predicted == self.held.label, classification.log_losses(self.p, self.held.label)
        for key, values in (("accuracy", hits), ("log_loss_nats", nats)):
            out[key] = self._sums(values)[some] / count[some]
        return out


def _windows(held: _Held) -> Array:
    """(units, (2 AROUND + 1) C): the values around each labelled step, 0 beyond the ends."""
    x = np.pad(held.x, ((0, 0), (AROUND, AROUND), (0, 0)))
    at = held.place[:, None] + np.arange(2 * AROUND + 1)
    out: Array = x[held.owner[:, None], at].reshape(len(at), -1)
    return out


def _around_value(found: Interval) -> Interval:
    """Ends that the value lies between: resamples of a few examples may all lie on one side of it."""
    return Interval(found.value, min(found.low, found.value), max(found.high, found.value), found.how)
