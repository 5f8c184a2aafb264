"""Sample quality of a model: its samples beside held-out rows, by two extractors, with classes, modes and copies.

Images are compared as pixels in [0, 1] and tables in the units they were read in, whatever the model's own scale, so
that a model with a likelihood and one without stand in one table. The features follow the data alone, never the run's
seed. All draws follow (seed, "quality", purpose).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Bounds, Decodes, Draws, Samples
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.engine.runtime import mix, seeded
from elboroom.extractors.choosing import choose
from elboroom.extractors.extractor import Extractor, features_of
from elboroom.extractors.labels import LabelNetwork
from elboroom.metrics.images import frechet_distance
from elboroom.metrics.interval import Measure, Reference, share_interval
from elboroom.metrics.neighbours import memorised, neighbourhood
from elboroom.quality import MEASURES, Compared, compare_samples, ends
from elboroom.quality_modes import A_CLASS, MOST_COUNTED, OF_MIXTURE, Counted, by_class, by_mode
from elboroom.sample_sheets import TRUNCATIONS, draw, in_turn

if TYPE_CHECKING:
    from elboroom.data.rows import Rows
    from elboroom.data.source import Dataset
    from elboroom.data.transforms import Transform

__all__ = ["Maker", "Real", "SampleQuality", "assess", "can_be_compared", "evaluate_samples", "in_units"]

MOST = 2000
MOST_BESIDE = 1000
"""Examples compared, by default and where the model has other measures, too."""
FEWEST = 50
"""With fewer held-out rows sample quality is not measured."""
ENOUGH = 1000
"""Training rows from which on a classifier is trained for the features; a known mixture needs none."""
TRAIN_ROWS = 60_000
"""Training rows among which copies are looked for."""
VALUES = 1 << 27
"""Numbers of all compared examples together: large pictures are compared in smaller numbers."""
AT_ONCE = 500
SHOWN, BELOW = 10, 3
"""Samples of the picture, and training rows under each."""
POINTS = 2500
DATA_SEED = 0
"""Rows and features do not follow the run's seed: runs over several seeds are measured in one space."""
UNITS = {"frechet_distance": "squared feature distance", "kernel_distance": "squared kernel distance",
    "precision": "share", "recall": "share", "density": "relative to real", "coverage": "share"}  # fmt: skip


@dataclass
class SampleQuality:
    """What was found: measures of metrics.json, details["quality"], arrays for pictures; all may be empty."""

    measures: dict[str, Measure] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


class Real:
    """Real examples in units: held-out ones, training ones, and the extractors that follow from them."""

    def __init__(
        self, dataset: Dataset, parts: Sequence[str], *, most: int, extractor: str = "auto", seed: int = DATA_SEED
    ) -> None:
        self.dataset, self.spec, self.transform = dataset, dataset.spec, dataset.transform
        self.split = "+".join(parts)
        self.train_rows = dataset.parts["train"]
        held = [dataset.parts[name] for name in parts]
        n = min(most, sum(map(len, held)), len(self.train_rows), max(FEWEST, VALUES // self.spec.size))
        self.held, self.label = self._drawn(held, n, mix(seed, "quality", "real"))
        self.train, _ = self._drawn([self.train_rows], min(2 * n, len(self.train_rows)), mix(seed, "quality", "train"))
        with torch.enable_grad():  # an extractor may have to be trained first
            main = choose(self._named(extractor), dataset, seed)
            self.extractors = [main, choose("random" if main.name == "pca" else "pca", dataset, seed)]

    @property
    def n(self) -> int:
        return len(self.held)

    @property
    def main(self) -> Extractor:
        return self.extractors[0]

    @property
    def space(self) -> Extractor:
        """Where copies are looked for: features that no label has shaped."""
        return next((e for e in self.extractors if e.name == "pca"), self.extractors[-1])

    def units(self, rows: Rows, which: Tensor) -> Tensor:
        """Some rows as extractors see them."""
        device = next(self.transform.buffers()).device
        raw = {key: value.to(device) for key, value in rows.take(which.to(rows.device)).items()}
        if self.spec.scale == "dynamic":  # the grey pixels that x is drawn from
            return raw["x"].float().cpu() / float(self.transform.to_json()["white"])
        return in_units(self.transform(raw).x, self.transform, self.spec)

    def train_features(self) -> tuple[Tensor, Tensor]:
        """(features of the training rows in `space`, their places): all, or as many spread evenly."""
        n = min(TRAIN_ROWS, len(self.train_rows))
        places = torch.arange(n) * len(self.train_rows) // n
        parts = [self.space.features(self.units(self.train_rows, part)) for part in places.split(AT_ONCE)]
        return torch.cat(parts), places

    def _named(self, extractor: str) -> str:
        if extractor != "auto":
            return extractor
        if self.dataset.mixture is None and len(self.train_rows) >= ENOUGH:
            return "auto"
        return "random" if self.spec.kind == "images" else "pca"

    def _drawn(self, several: list[Rows], n: int, seed: int) -> tuple[Tensor, Tensor | None]:
        """`n` rows in random order without return, and their labels."""
        lengths = [len(rows) for rows in several]
        chosen = torch.from_numpy(np.random.default_rng(seed).permutation(sum(lengths))[:n])
        out: Tensor | None = None
        labels: list[Tensor] = []
        start = 0
        for rows, length in zip(several, lengths, strict=True):
            here = torch.nonzero((chosen >= start) & (chosen < start + length)).flatten()
            for places in here.split(AT_ONCE):
                x = self.units(rows, chosen[places] - start)
                out = x.new_empty(n, *x.shape[1:]) if out is None else out
                out[places] = x
            start += length
        if all(rows.label is not None for rows in several):
            labels = [rows.label.cpu() for rows in several if rows.label is not None]
        assert out is not None
        return out, torch.cat(labels)[chosen] if labels else None


def in_units(x: Tensor, transform: Transform, spec: Spec) -> Tensor:
    """The model's space to pixels in [0, 1], or to a table's own units; on the CPU."""
    u = transform.undo(x)
    return (u / float(transform.to_json()["white"])).clamp(0, 1).cpu() if spec.kind == "images" else u.cpu()


class Maker(ABC):
    """Where made examples come from."""

    most: int = 1 << 30
    """How many there can be."""
    how: str

    @abstractmethod
    def parts(self, n: int) -> Iterator[Tensor]:
        """The first `n` in units, some at a time; always the same ones."""

    def first(self, n: int) -> Tensor:
        """The same as one tensor."""
        return torch.cat(list(self.parts(n)))


class ModelMaker(Maker):
    """Samples of a model, in the model's shares of classes."""

    def __init__(self, model: Samples, real: Real, seed: int) -> None:
        self.model, self.real, self.seed = model, real, seed
        spec = real.spec
        # noise on grey values says nothing of a picture; where x is countable, and in tables, x itself is drawn
        self.mean = spec.kind == "images" and not spec.levels and spec.scale != "binary"
        self.how = "decoded means" if self.mean and isinstance(model, Decodes) else "samples"

    def parts(self, n: int) -> Iterator[Tensor]:
        for i, start in enumerate(range(0, n, AT_ONCE)):
            with torch.no_grad(), seeded(mix(self.seed, "quality", "made", i)):
                x = self.model.sample(AT_ONCE, mean=self.mean)[: n - start]
            yield in_units(x, self.real.transform, self.real.spec)


def evaluate_samples(
    model: Model, dataset: Dataset, *, part: str, seed: int, most: int = 0, references: bool = True
) -> SampleQuality:
    """Everything that can be said of the model's samples; nothing where nothing can (see `can_be_compared`).

    `most` examples are compared; by default 2,000, or 1,000 where the model has other measures, too.
    """
    if not can_be_compared(model, dataset, part) or not isinstance(model, Samples):
        return SampleQuality()
    real = Real(dataset, [part], most=most or (MOST_BESIDE if isinstance(model, Bounds) else MOST))
    maker = ModelMaker(model, real, seed)
    found = assess(real, maker, seed=seed, references=references)
    if not found.details or not isinstance(model, Draws):
        return found
    found.details["truncation"] = [_truncated(model, real, limit, seed) for limit in TRUNCATIONS]
    if _labelled(model, real):
        found.measures["class_accuracy"] = _class_accuracy(model, real, seed)
    return found


def can_be_compared(model: Model, dataset: Dataset, part: str) -> bool:
    """Whether it makes examples of images, or of tables of plain numbers, and enough real ones are at hand."""
    spec, parts = dataset.spec, dataset.parts
    if not isinstance(model, Samples) or "train" not in parts or part == "train":
        return False
    plain = spec.kind == "table" and not spec.masked and all(column.kind == "real" for column in spec.columns)
    if not plain and not (spec.kind == "images" and dataset.transform.undoable):
        return False
    return min(len(parts[part]), len(parts["train"])) >= FEWEST


def assess(real: Real, maker: Maker, *, seed: int, references: bool = True) -> SampleQuality:
    """Made examples beside real ones by both extractors, modes or classes, copies; nothing where any is not finite."""
    n = min(real.n, maker.most)
    made = maker.first(n)
    if not bool(torch.isfinite(made).all()):
        return SampleQuality()
    compared = [
        compare_samples(real.held[:n], made, extractor, train=real.train, seed=DATA_SEED, references=references)
        for extractor in real.extractors
    ]
    measures = _measures(real, maker, compared[0])
    counted = _counted(real, maker)
    if counted is not None:
        measures |= counted.measures
    copies, arrays = _copies(real, made)
    measures["memorised_share"] = copies
    details = {
        "split": real.split,
        "n_real": n,
        "n_made": n,
        "seed": seed,
        "extractors": [found.to_json() for found in compared],
        "classes": counted.classes if counted else None,
        "modes": counted.modes if counted else None,
        "truncation": None,
        "memorised": {"share": copies.value, "low": copies.low, "high": copies.high, "how": copies.how},
    }
    if real.spec.kind == "table" and real.spec.shape == (2,):
        arrays = {"real": real.held[:POINTS].numpy(), "made": maker.first(min(POINTS, maker.most)).numpy()}
    return SampleQuality(measures, details, arrays)


def _measures(real: Real, maker: Maker, found: Compared) -> dict[str, Measure]:
    """Those of the main extractor, each beside its ceiling and floors."""
    by, n = found.extractor, min(real.n, maker.most)
    how = f"features of {by.name} {by.hash[:12]}, {n:,} real and {n:,} {maker.how}, not resized"
    return {
        key: Measure.of(
            found.model.values[key], unit=UNITS[key], n=n, split=real.split, how=how, references=found.references(key)
        )
        for key in MEASURES
        if math.isfinite(found.model.values[key].value)
    }


def _counted(real: Real, maker: Maker) -> Counted | None:
    """By the mixture the data were drawn from, else by the classifier of their labels."""
    mixture, main = real.dataset.mixture, real.main
    if mixture is not None:
        made = maker.parts(min(OF_MIXTURE, maker.most))
        return by_mode(made, real.held, mixture, split=real.split)
    label = real.train_rows.label
    if not isinstance(main, LabelNetwork) or label is None:
        return None
    n = min(maker.most, max(real.n, min(MOST_COUNTED, A_CLASS * len(real.spec.classes))))
    return by_class(maker.parts(n), real.held, main, real.spec.classes, label.cpu().numpy(), real.split)


def _copies(real: Real, made: Tensor) -> tuple[Measure, dict[str, NDArray[Any]]]:
    """The share of samples that are too near to training rows, and the nearest rows of the first few."""
    features, places = real.train_features()
    found = memorised(features, features_of(real.space, real.held), features_of(real.space, made), k=BELOW)
    all_rows = len(real.train_rows)
    among = "all" if len(places) == all_rows else f"{len(places):,} of"
    measure = Measure.of(
        found.share,
        unit="share",
        n=len(made),
        split=real.split,
        how=f"features of {real.space.name} {real.space.hash[:12]}, {among} {all_rows:,} training rows",
        references=(Reference.of("samples that copy nothing", found.honest),),
    )
    if real.spec.kind != "images":
        return measure, {}
    few = min(SHOWN, len(made))
    nearest = [real.units(real.train_rows, places[found.nearest_train[:few, i].cpu()]) for i in range(BELOW)]
    return measure, {"made": made[:few].numpy(), "nearest": torch.stack(nearest).numpy()}


def _truncated(model: Draws, real: Real, limit: float, seed: int) -> dict[str, Any]:
    """One point of the curve: the main extractor's measures of samples from a truncated z."""
    n = min(real.n, MOST_BESIDE)
    label = None
    if model.classes:  # in the shares of the data, where every real row has a class
        known = real.label is not None and bool((real.label >= 0).all())
        label = real.label[:n] if real.label is not None and known else in_turn(model, 0, n)
    x = in_units(draw(model, n, seed=mix(seed, "quality"), limit=limit, label=label), real.transform, real.spec)
    out: dict[str, Any] = {"truncation": None if math.isinf(limit) else limit}
    if not bool(torch.isfinite(x).all()):
        return out
    theirs, mine = features_of(real.main, real.held[:n]), features_of(real.main, x)
    near = neighbourhood(theirs, mine)
    out["frechet_distance"] = frechet_distance(theirs, mine)
    out |= {key: ends(getattr(near, key)) for key in ("precision", "recall", "density", "coverage")}
    out["class_accuracy"] = None
    if label is not None and isinstance(real.main, LabelNetwork) and _labelled(model, real):
        out["class_accuracy"] = ends(share_interval((real.main.classify(x).cpu() == label).numpy()))
    return out


def _labelled(model: Draws, real: Real) -> bool:
    """Whether the classes that can be asked for are those the classifier knows."""
    return isinstance(real.main, LabelNetwork) and 0 < model.classes == len(real.spec.classes)


def _class_accuracy(model: Draws, real: Real, seed: int) -> Measure:
    """Share of samples that the classifier puts into the class that was asked for, all classes alike."""
    main = real.main
    assert isinstance(main, LabelNetwork)
    n = max(real.n, min(MOST_COUNTED, A_CLASS * model.classes))
    asked = torch.arange(n) % model.classes
    x = in_units(draw(model, n, seed=mix(seed, "quality", "asked")), real.transform, real.spec)
    right = share_interval((main.classify(x).cpu() == asked).numpy())
    beside = [Reference(name="any class", value=1 / model.classes)]
    if main.accuracy is not None:
        beside.insert(0, Reference.of("held-out rows", main.accuracy))
    how = f"{n:,} samples, the class asked for against the one named by {main.name} {main.hash[:12]}"
    return Measure.of(right, unit="share", n=n, split=real.split, how=how, references=tuple(beside))
