"""The worst mistakes of a classifier, kept so that a report can show them: the sequences themselves, small.

A mistake is bad by the log loss of its sequence: the model was sure, and wrong. Where each step has a label, sequences
count by the mean over their labelled steps, and only those with a step that is named wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.data.sequences_text import TokenTransform

if TYPE_CHECKING:
    from elboroom.core.spec import Spec
    from elboroom.data.rows import Rows
    from elboroom.data.transforms import Transform

__all__ = ["Named", "worst_mistakes"]

Array = NDArray[Any]
MOST = 6
STEPS, CHANNELS, CHARACTERS = 300, 24, 400
"""Most of each that is kept of one sequence; of more steps every second, third ... is."""
DIGITS = 5


class Named:
    """What was named: for each unit its true class, the one named, and both their probabilities.

    `owner` and `place` (units,) say to which sequence a unit belongs and which of its steps it is.
    """

    def __init__(self, p: Array, label: Array, owner: Array, place: Array) -> None:
        self.label, self.owner, self.place = label, owner, place
        self.predicted = p.argmax(1)
        units = np.arange(len(p))
        self.p_true, self.p_named = p[units, label], p[units, self.predicted]

    def worst(self, sequences: int) -> list[int]:
        """Sequences with a wrong unit, the largest mean log loss first."""
        wrong = np.bincount(self.owner, weights=self.predicted != self.label, minlength=sequences)
        nats = -np.log(np.maximum(self.p_true, np.finfo(np.float64).tiny))
        total = np.bincount(self.owner, weights=nats, minlength=sequences)
        mean = total / np.maximum(np.bincount(self.owner, minlength=sequences), 1)
        order = np.argsort(-mean, kind="stable")
        return [int(i) for i in order if wrong[i]][:MOST]


def worst_mistakes(rows: Rows, transform: Transform, spec: Spec, named: Named) -> list[dict[str, Any]]:
    """Entries for details.json: index, what was named, and `text`, or `values` (channels, steps) as they were read."""
    out = []
    for i in named.worst(len(rows)):
        raw = rows.take(torch.tensor([i], device=rows.device))
        length = int(raw["lengths"][0]) if "lengths" in raw else int(raw["x"].shape[1])
        entry: dict[str, Any] = {"index": int(rows.index[i]), "steps": length, **_said(named, i, spec)}
        x = raw["x"][0, :length].cpu().numpy()
        if isinstance(transform, TokenTransform):
            text = transform.tokenizer.decode(x.tolist())
            entry["text"] = text[:CHARACTERS]
            entry["cut"] = max(0, len(text) - CHARACTERS)
        else:
            every = -(-length // STEPS)
            entry["every"] = every
            entry["values"] = [_numbers(channel) for channel in x[::every, :CHANNELS].T]
        out.append(entry)
    return out


def _said(named: Named, i: int, spec: Spec) -> dict[str, Any]:
    """Of a sequence with one label the classes and their probabilities; else how many steps are wrong, and which."""
    mine = np.flatnonzero(named.owner == i)
    if not spec.per_step:
        at = int(mine[0])
        return {
            "true": spec.classes[named.label[at]],
            "named": spec.classes[named.predicted[at]],
            "p_true": round(float(named.p_true[at]), DIGITS),
            "p_named": round(float(named.p_named[at]), DIGITS),
        }
    wrong = mine[named.predicted[mine] != named.label[mine]]
    return {"labelled": len(mine), "wrong": named.place[wrong].tolist()}


def _numbers(values: Array) -> list[float | None]:
    """Five digits each; a missing one as None."""
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in values.tolist()]
