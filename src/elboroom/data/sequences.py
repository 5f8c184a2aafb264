"""Sequences with labels, as every reader gives them, and how they become a Dataset: split, scaled, padded in batches.

A sequence is an example of its own: T steps of C channels, or T tokens, where T may differ from one to the next. The
label belongs to the whole sequence, or each step has one. Readers: `sequences_files`; labelled texts: `sequences_text`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec

from .content import Array
from .fingerprint import _canonical, repeated
from .reading import Reading
from .scaling import fit_series
from .sequences_rows import SequenceRows
from .splits import split

if TYPE_CHECKING:
    from .transforms import Transform

__all__ = ["ReadSequences", "Sequences", "laid_out", "read_sequences", "read_sequences_like"]

SCALES = ("auto", "standard", "robust", "none")
LONGEST = 1 << 28
"""Cells of all sequences padded to the longest, from which on the padding is told to be a waste."""


@dataclass
class Sequences:
    """Sequences as read, in the order of the input."""

    where: str
    values: Array
    """(steps of all, C) float64, NaN where missing; of texts (steps of all,) int64."""
    lengths: Array
    """(n,) int64, each at least 1."""
    channels: tuple[str, ...]
    named: bool = True
    """False where the channels have no names of their own and are matched by position."""
    label: Array | None = None
    """(n,) int64, or (steps of all,) with `per_step`, -1 where a step has none."""
    classes: tuple[str, ...] = ()
    per_step: bool = False
    own: Array | None = None
    """(n,) int8: the part the input itself gives a sequence, 0 train, 1 valid, 2 test."""
    identifiers: dict[str, Array] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def longest(self) -> int:
        return int(self.lengths.max())

    @property
    def starts(self) -> Array:
        """(n + 1,): where each sequence begins among all steps, and the end."""
        out: Array = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        return out

    def steps_of(self, index: Array) -> Array:
        """Places of the steps of some sequences, one after the other."""
        starts, lengths = self.starts[:-1][index], self.lengths[index]
        ends = np.cumsum(lengths)
        out: Array = np.repeat(starts - (ends - lengths), lengths) + np.arange(int(ends[-1]) if len(ends) else 0)
        return out

    def rows(self, index: Array, steps: int) -> SequenceRows:
        """Some of them, padded to `steps` when they are taken."""
        at = self.steps_of(index)
        label = None if self.label is None else self.label[at if self.per_step else index]
        values = self.values[at]
        masked = values.dtype.kind == "f" and bool(np.isnan(values).any())
        return SequenceRows(
            values, self.lengths[index], index, steps, label=label, per_step=self.per_step, masked=masked
        )


@dataclass
class ReadSequences:
    """What a Dataset of sequences is made of."""

    parts: dict[str, SequenceRows]
    spec: Spec
    transform: Transform
    reading: Reading
    fingerprint: str
    problems: list[str]
    split_how: str
    identifiers: dict[str, Array]
    named: bool


def laid_out(where: str, rows: list[Array], problems: list[str] | None = None) -> tuple[Array, Array, list[str]]:
    """(steps of all, C) float64 and (n,) lengths of sequences (T,) or (T, C), and what was found.

    Steps at the end at which every channel is missing are padding, and left out.
    """
    said = list(problems or [])
    if not rows:
        raise InputError(f"{where}: holds no sequences")
    out, padded = [], 0
    width = -1
    for i, row in enumerate(rows):
        x = np.asarray(row)
        if x.dtype.kind not in "biuf":
            raise InputError(f"{where}: sequence {i} holds values of type {x.dtype}; numbers are needed")
        x = x.astype(np.float64)
        x = x[:, None] if x.ndim == 1 else x
        if x.ndim != 2 or 0 in x.shape:
            raise InputError(f"{where}: sequence {i} has shape {x.shape}; give (steps, channels), none of them 0")
        width = x.shape[1] if width < 0 else width
        if x.shape[1] != width:
            raise InputError(f"{where}: sequence {i} has {x.shape[1]} channels and the first one {width}")
        if np.isinf(x).any():
            step, channel = np.argwhere(np.isinf(x))[0]
            raise InputError(f"{where}: sequence {i}, step {step}, channel {channel}: the value is infinite")
        there = np.flatnonzero(~np.isnan(x).all(axis=1))
        stop = int(there[-1]) + 1 if len(there) else 1
        padded += stop < len(x)
        out.append(x[:stop])
    if padded:
        said.append(f"sequences that end in missing steps, which are taken for padding: {padded:,} of {len(rows):,}")
    return np.concatenate(out), np.array([len(x) for x in out], np.int64), said


def read_sequences(found: Sequences, reading: Reading, *, seed: int) -> ReadSequences:
    """Split by `seed` and fit the scaling on the training part."""
    reading.refuse_unused("sequences")
    if reading.scale not in SCALES:
        raise InputError(f"--scale {reading.scale}: no scale for sequences; known: {', '.join(SCALES[1:])}")
    if found.label is None:
        raise InputError(f"{found.where}: the sequences have no labels; name them with --label, or give (X, y)")
    problems, masked = [*found.problems], _missing(found, reading)
    problems += masked
    index, how = split(len(found), reading.split, seed=seed, own=found.own, row="sequence")
    scale = "standard" if reading.scale == "auto" else reading.scale
    transform, unvarying = fit_series(found.values[found.steps_of(index["train"])], found.channels, scale)
    problems += unvarying
    spec = Spec(
        kind="sequences",
        shape=(found.longest, len(found.channels)),
        scale=scale,
        columns=tuple(Column(name=name) for name in found.channels),
        classes=found.classes,
        masked=bool(masked),
        per_step=found.per_step,
    )
    return ReadSequences(
        parts={part: found.rows(rows, found.longest) for part, rows in index.items()},
        spec=spec,
        transform=transform,
        reading=dataclasses.replace(reading, kind="sequences", scale=scale),
        fingerprint=sequences_fingerprint(found),
        problems=[*problems, *lengths_told(found), *checked_parts(found, index)],
        split_how=how,
        identifiers=found.identifiers,
        named=found.named,
    )


def read_sequences_like(found: Sequences, reading: Reading, spec: Spec, transform: Transform) -> ReadSequences:
    """All of new sequences as the part "all", for an existing run. Labels are used where they are the run's own."""
    width = len(spec.columns)
    if len(found.channels) != width:
        raise InputError(f"{found.where}: sequences of {len(found.channels)} channels; the run was trained on {width}")
    said = _missing(found, reading)
    problems = [*found.problems, *said]
    if said and not spec.masked:
        problems.append("the run was trained without missing cells: each stands for the mean of its channel")
    return conformed(found, reading, spec, transform, problems)


def conformed(
    found: Sequences, reading: Reading, spec: Spec, transform: Transform, problems: list[str]
) -> ReadSequences:
    """New sequences with the run's numbers for their labels, padded to the run's longest or to their own."""
    found, said = _relabelled(found, spec)
    longer = int((found.lengths > spec.shape[0]).sum())
    if longer:
        said.append(f"sequences longer than the run's longest, {spec.shape[0]:,} steps: {longer:,} of {len(found):,}")
    return ReadSequences(
        parts={"all": found.rows(np.arange(len(found)), max(spec.shape[0], found.longest))},
        spec=spec,
        transform=transform,
        reading=reading,
        fingerprint=sequences_fingerprint(found),
        problems=[*problems, *said],
        split_how="all sequences in input order",
        identifiers=found.identifiers,
        named=found.named,
    )


def _relabelled(found: Sequences, spec: Spec) -> tuple[Sequences, list[str]]:
    if found.label is None:
        return found, []
    if found.per_step != spec.per_step or not set(found.classes) <= set(spec.classes):
        said = "the labels are not those of the run: left out"
        return dataclasses.replace(found, label=None, classes=(), per_step=spec.per_step), [said]
    code = np.array([spec.classes.index(name) for name in found.classes] + [-1], np.int64)
    return dataclasses.replace(found, label=code[found.label], classes=spec.classes), []


def _missing(found: Sequences, reading: Reading) -> list[str]:
    """A sentence on missing cells; none where there are none."""
    lost = np.isnan(found.values)
    if not lost.any():
        return []
    if lost.all():
        raise InputError(f"{found.where}: every one of the {lost.size:,} cells is missing")
    step, channel = (int(i) for i in np.argwhere(lost)[0])
    i = int(np.searchsorted(found.starts, step, "right")) - 1
    first = f"first: sequence {i}, step {step - found.starts[i]}, channel {found.channels[channel]!r}"
    if reading.strict:
        raise InputError(f"{found.where}: missing cells: {lost.sum():,} ({first}); --strict refuses them")
    return [f"missing cells: {lost.sum():,} ({lost.mean():.2%}; {first}): masked"]


def lengths_told(found: Sequences) -> list[str]:
    """A sentence on the lengths, where they differ."""
    shortest, longest = int(found.lengths.min()), found.longest
    if shortest == longest:
        return []
    said = [f"sequences of {shortest:,} to {longest:,} steps"]
    cells = len(found) * longest * max(1, len(found.channels))
    if cells > LONGEST and found.lengths.mean() < longest / 4:
        said.append("most of each batch is padding: leave out the few longest sequences, or cut them")
    return said


def checked_parts(found: Sequences, parts: dict[str, Array]) -> list[str]:
    """Held-out sequences that repeat training ones, and classes that training never sees."""
    said, starts = [], found.starts
    held = np.concatenate([np.zeros(0, np.int64), *[index for name, index in parts.items() if name != "train"]])
    each = np.empty(len(found), object)
    each[:] = [found.values[a:b] for a, b in pairwise(starts)]
    count = repeated(each, parts["train"], held)
    if count:
        said.append(f"{count:,} of {len(held):,} held-out sequences are equal to a training sequence")
    assert found.label is not None
    seen = found.label[found.steps_of(parts["train"]) if found.per_step else parts["train"]]
    there = np.bincount(seen[seen >= 0], minlength=len(found.classes))
    lost = [name for name, n in zip(found.classes, there, strict=True) if not n]
    if lost:
        said.append(f"{len(lost)} classes are not in the training part: {', '.join(lost[:5])}")
    return said


def sequences_fingerprint(found: Sequences, **further: Any) -> str:
    """64 hexadecimal digits of values, lengths, labels and names."""
    channels: Any = list(found.channels) if found.named else len(found.channels)
    head = {"kind": "sequences", "channels": channels, "classes": list(found.classes), "per_step": found.per_step}
    digest = hashlib.sha256(json.dumps({**head, **further}, ensure_ascii=True, sort_keys=True).encode())
    for array in (found.lengths, found.values, found.label):
        if array is not None:
            digest.update(_canonical(array))
    return digest.hexdigest()
