"""How good samples are, in the features of one extractor, with what bounds every number beside it.

No number of sample quality means anything alone: it depends on the features and on how many examples were compared. So
each stands beside the same number for other real examples (the ceiling: what a perfect model would get) and for what
every model should beat (the floors): noise, one example again and again, and the training set itself, which these
measures cannot tell from a perfect model.

Real examples are held-out ones; as many are made as there are real ones. Images come as pixels in [0, 1] (n, channels,
height, width), tables in the units they were read in (n, columns).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from elboroom.engine.runtime import mix, seeded
from elboroom.extractors.extractor import Extractor, features_of
from elboroom.extractors.labels import LabelNetwork
from elboroom.metrics.images import frechet_interval, frechet_over_n, kernel_distance
from elboroom.metrics.interval import Interval, Reference, finite
from elboroom.metrics.neighbours import neighbourhood

__all__ = ["MEASURES", "Compared", "Row", "compare_samples", "ends", "floors", "scored"]

MEASURES = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage")
REMEMBERED = 16
NOISE = 1e-3
"""Standard deviations, of each value over the training rows, by which a repeated example varies."""


@dataclass(frozen=True)
class Row:
    """One line of the table: some examples taken for samples."""

    name: str
    kind: str
    """model, ceiling or floor."""
    values: dict[str, Interval]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind} | {key: ends(found) for key, found in self.values.items()}


@dataclass
class Compared:
    """What one extractor says."""

    extractor: Extractor
    rows: list[Row]
    over_n: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> Row:
        return self.rows[0]

    def references(self, key: str) -> tuple[Reference, ...]:
        """The rows beside the model's, for one measure."""
        return tuple(Reference.of(row.name, row.values[key]) for row in self.rows[1:])

    def to_json(self) -> dict[str, Any]:
        """One entry of details.json's quality.extractors."""
        accuracy = self.extractor.accuracy if isinstance(self.extractor, LabelNetwork) else None
        return {
            "name": self.extractor.name,
            "hash": self.extractor.hash,
            "width": self.extractor.width,
            "how": self.extractor.how,
            "accuracy": None if accuracy is None else ends(accuracy),
            "rows": [row.to_json() for row in self.rows],
            "frechet_over_n": self.over_n,
        }


def compare_samples(
    real: Tensor, made: Tensor, extractor: Extractor, *, train: Tensor, seed: int, references: bool = True
) -> Compared:
    """Measure `made` against `real`, equally many, and the rows that bound it, made of `train`.

    `train` holds up to twice as many training rows: the first half is the ceiling, the second the copied training set.
    """
    if len(real) != len(made):
        raise ValueError(f"{len(real)} real and {len(made)} made examples: measures of unequal numbers do not compare")
    theirs, mine = features_of(extractor, real), features_of(extractor, made)
    rows = [Row("model", "model", scored(theirs, mine, seed))]
    if references:
        rows += _bounds(extractor, real, theirs, train, seed)
    curve = frechet_over_n(theirs, mine, mix(seed, "quality", "over n"))
    points = [[int(n), float(value)] for n, value in curve.points]
    return Compared(extractor, rows, {"points": points, "limit": finite(curve.limit), "error": finite(curve.error)})


def scored(real: Tensor, made: Tensor, seed: int) -> dict[str, Interval]:
    """The six measures of features (n, width) with their intervals."""
    near = neighbourhood(real, made)
    return {
        "frechet_distance": frechet_interval(real, made, mix(seed, "quality", "frechet")),
        "kernel_distance": kernel_distance(real, made, mix(seed, "quality", "kernel")),
        "precision": near.precision,
        "recall": near.recall,
        "density": near.density,
        "coverage": near.coverage,
    }


def floors(train: Tensor, n: int, seed: int) -> list[tuple[str, str, Tensor]]:
    """(name, kind, examples) of the rows that bound a model, each of at most `n` examples."""
    mean, sd = train.mean(0), train.std(0)
    with seeded(mix(seed, "quality", "floors")):
        noise = mean + sd * torch.randn(n, *train.shape[1:], dtype=train.dtype, device=train.device)
        little = NOISE * sd * torch.randn(n, *train.shape[1:], dtype=train.dtype, device=train.device)
    return [
        ("real against real", "ceiling", train[:n]),
        ("noise", "floor", torch.maximum(torch.minimum(noise, train.amax(0)), train.amin(0))),
        ("one example repeated", "floor", train[:1] + little),
        ("training set copied", "floor", train[-n:]),
    ]


def _bounds(extractor: Extractor, real: Tensor, theirs: Tensor, train: Tensor, seed: int) -> list[Row]:
    """Ceiling and floors; they do not depend on the model, so the last few are remembered: runs come in numbers."""
    told = hashlib.sha256(f"{extractor.hash} {seed} {tuple(real.shape)}".encode())
    for x in (theirs, train):
        told.update(x.contiguous().numpy().tobytes())
    key = told.hexdigest()
    if key not in _KNOWN:
        if len(_KNOWN) >= REMEMBERED:
            _KNOWN.pop(next(iter(_KNOWN)))
        _KNOWN[key] = [
            Row(name, kind, scored(theirs, features_of(extractor, examples), seed))
            for name, kind, examples in floors(train, len(real), seed)
        ]
    return _KNOWN[key]


_KNOWN: dict[str, list[Row]] = {}


def ends(found: Interval) -> dict[str, float | None]:
    """An interval as plain JSON."""
    return {"value": finite(found.value), "low": finite(found.low), "high": finite(found.high)}
