"""Where the rows lie for a model that has learned them: their codes, beside their decoded means.

The code alone is no place to look for groups: its prior N(0, I) pulls the codes towards one cloud whatever the groups'
shares are, and any mixture can be carried onto N(0, I) by a map that the decoder undoes. What is decoded does not
depend on how the code is laid out: a density over decoded means is the code's density divided by the volume that the
decoder gives it, sqrt(det J^T J), without a Jacobian; and decoded means are free of the noise of the rows. Beside them
the code keeps apart what is small in pixels. A valley in either is one in both side by side.

Where the model's rate has a weight, it is set below 1: the prior then matters less and the groups stay apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.baselines.pca import PCA
from elboroom.core import registry
from elboroom.core.abilities import Decodes, Encodes
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable
from elboroom.core.model import Model
from elboroom.data.rows import Resident, Rows
from elboroom.data.source import Dataset
from elboroom.data.stream import Stream, in_order
from elboroom.data.transforms import Transform
from elboroom.engine.probe import cost_of
from elboroom.engine.programs import Eager, Program
from elboroom.engine.runtime import mix, seed_draws, seeded
from elboroom.engine.trace import Losses
from elboroom.engine.train import train
from elboroom.metrics.latent import ACTIVE
from elboroom.settings import build, checked

__all__ = ["Representation", "learned", "represent", "unlabelled"]

Array = NDArray[np.float64]
LATENT, HIDDEN, BATCH, RATE_WEIGHT = 10, 256, 128, 0.1
PASSES, FEWEST_STEPS, MOST_STEPS = 80, 500, 3000
HELD_OUT = 10
"""One row in so many is not trained on: does the model know more of a row than the mean of all?"""
AXES = 10
FITTED = 3000
"""Decoded rows that the axes are fitted to, and among which groups are later looked for."""
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Representation:
    """What one model says of N rows."""

    places: Array
    """(N, D): mean codes, then decoded means on at most ten principal axes of theirs; each in units of its spread."""
    again: Array
    """(N, D): the same after another turn: a draw of q(z given x) is decoded, encoded and decoded."""
    codes: Array
    """(N, latent): mean codes."""
    active: int
    """Dimensions of the code whose mean varies by more than 0.01."""
    unexplained: float
    """Squared error of held-out decoded means over the variance of the rows; 1 is what the mean of all leaves."""


def unlabelled(dataset: Dataset) -> Resident:
    """All rows of every part, without what is known beside them: labels and factors are never looked at."""
    if dataset.spec.kind not in ("images", "table"):
        raise Unable(f"{dataset.name} holds {dataset.spec.kind}; imbalance is diagnosed of images and tables")
    named = [column.name for column in dataset.spec.columns if column.kind == "categorical"]
    if named:
        raise Unable(f"{dataset.name}: column {named[0]!r} holds names; imbalance is diagnosed of numbers: --columns")
    parts = list(dataset.parts.values())
    x = torch.cat([raw["x"] for part in parts for raw in in_order(part, ROWS_AT_ONCE)])
    index = np.concatenate([np.asarray(part.index) for part in parts])
    order = np.argsort(index, kind="stable") if len(np.unique(index)) == len(index) else np.arange(len(index))
    return Resident(x[torch.from_numpy(order)], index[order], masked=any(part.masked for part in parts))


def learned(dataset: Dataset, rows: Rows, seed: int) -> Model:
    """A model of its own for these data, trained on nine rows in ten."""
    entry = _default()
    wanted = {"latent": LATENT, "hidden": [HIDDEN], "batch_size": BATCH, "backbone": "mlp", "beta": RATE_WEIGHT}
    known = {field.name for field in entry.fields}
    settings = checked(entry, {k: v for k, v in wanted.items() if k in known})
    kind = registry.load(entry.name)
    seed_draws(mix(seed, "imbalance", "init"))
    model: Any = kind(build(kind.Config, settings, entry.name), dataset.spec)
    losses = Losses(model, dataset.transform)
    kept = torch.from_numpy(np.flatnonzero(~_held_out(len(rows))))
    stream = Stream(
        Resident(rows.x(kept), rows.index[kept.numpy()], masked=rows.masked), BATCH, seed=mix(seed, "imbalance")
    )
    steps = int(np.clip(round(PASSES * len(rows) / BATCH), FEWEST_STEPS, MOST_STEPS))
    model.train()
    phases, raw = model.phases(), stream.rows(0)
    t = torch.zeros((), dtype=next(model.parameters()).dtype)
    programs: list[Program] = [Eager(losses, p, cost_of(losses, p, raw, t).logs) for p in phases]
    for tick in train(programs, stream, steps=steps, planned=steps, seed=mix(seed, "imbalance"), every=steps):
        if tick.failed:
            raise InputError(f"{dataset.name}: the loss of step {tick.step + 1:,} was not finite; look at its values")
    model.eval()
    found: Model = model
    return found


def represent(model: Model, transform: Transform, rows: Rows, seed: int) -> Representation:
    """Places, codes and the check on held-out rows; draws follow `seed`."""
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        able = ", ".join(sorted(set(registry.able("Encodes")) & set(registry.able("Decodes"))))
        raise Unable(f"this model cannot encode and decode, which imbalance is found by; {able} can")
    x, codes, coded, first, second = [], [], [], [], []
    with torch.no_grad(), seeded(mix(seed, "imbalance", "turn")):
        for batch in _batches(transform, rows):
            q = model.encode(batch)
            made = model.decode(q.mean).mean
            turned = model.encode(Batch(model.decode(q.rsample()).mean, observed=batch.observed)).mean
            x.append(batch.x.flatten(1))
            codes.append(q.mean)
            coded.append(turned)
            first.append(made.flatten(1))
            second.append(model.decode(turned).mean.flatten(1))
    flat, decoded, held = torch.cat(x), torch.cat(first), _held_out(len(rows))
    axes = PCA(AXES, seed=seed).fit([Batch(decoded[:: max(1, len(decoded) // FITTED)])])
    z, shown = _double(torch.cat(codes)), _double(axes.encode(decoded))
    units = float(z.std()) or 1.0, float(shown.std()) or 1.0
    return Representation(
        places=np.concatenate([z / units[0], shown / units[1]], 1),
        again=np.concatenate(
            [_double(torch.cat(coded)) / units[0], _double(axes.encode(torch.cat(second))) / units[1]], 1
        ),
        codes=z,
        active=int((z.var(0) > ACTIVE).sum()),
        unexplained=_unexplained(flat[held], decoded[held]),
    )


def _default() -> registry.Entry:
    """The first model that bounds a row's likelihood, encodes and decodes, if possible with a weight of the rate."""
    able = [e for e in registry.entries() if {"Encodes", "Decodes", "Bounds", "Assumes"} <= set(e.abilities)]
    if not able:
        raise Unable("there is no model that bounds, encodes and decodes; imbalance is found by one")
    return next((e for e in able if any(field.name == "beta" for field in e.fields)), able[0])


def _held_out(n: int) -> NDArray[np.bool_]:
    order = np.random.default_rng(mix(0, "imbalance", "held out")).permutation(n)
    held: NDArray[np.bool_] = order % HELD_OUT == 0
    return held


def _batches(transform: Transform, rows: Rows) -> Iterator[Batch]:
    for raw in in_order(rows, ROWS_AT_ONCE):
        yield transform(raw)


def _unexplained(x: Tensor, made: Tensor) -> float:
    variance = float((x - x.mean(0)).square().mean())
    return float((x - made).square().mean()) / variance if variance > 0 else 1.0


def _double(x: Tensor) -> Array:
    out: Array = x.double().cpu().numpy()
    return out
