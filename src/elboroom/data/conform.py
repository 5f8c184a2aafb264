"""New data for an existing run: brought to the columns, categories and pixel range the run was trained on.

Columns are matched by name where both sides have names, else by position; what is missing, extra or unheard of is told.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec

from .columns import RawTable, unique_names
from .content import Array, Content, Csr
from .narrow import smallest
from .storage import blocks, mapped

__all__ = ["WrongShape", "conform_images", "conform_table"]


class WrongShape(InputError):
    """Images of another shape than those they should be like."""


def conform_images(content: Content, spec: Spec, white: float) -> Content:
    """Images of the run's shape, in the run's raw range 0..white."""
    if tuple(content.x.shape[1:]) != spec.shape:
        raise WrongShape(
            f"the images have shape {_times(content.x.shape[1:])} (channels, height, width) and the run was trained on "
            f"{_times(spec.shape)}; resize them first"
        )
    if content.white == white:
        return content
    x = content.x
    assert not isinstance(x, Csr)
    scaled = x.astype(np.float32) * np.float32(white / content.white)
    return dataclasses.replace(content, x=scaled, white=white)


def conform_table(raw: RawTable, spec: Spec, *, named: bool, label: str, apart: list[str], masking: bool) -> Content:
    """The run's columns out of a new table, as they were counted when the run was trained."""
    names, problems = unique_names(raw.names, raw.problems)
    slots = dict(zip(names, range(len(names)), strict=True))
    aside = {label, *raw.identifiers, *apart}
    if named and raw.named:
        places = [slots.get(c.name) for c in spec.columns]
        _told(raw.where, spec, names, places, aside, problems, masking=masking or spec.masked)
    else:
        free: list[int | None] = [i for i, name in enumerate(names) if name not in aside]
        if masking and spec.observed and len(free) == len(spec.observed):
            # the columns that are always known, and nothing else
            free = [dict(zip(spec.observed, free, strict=True)).get(i) for i in range(len(spec.columns))]
        if len(free) != len(spec.columns):
            raise InputError(f"{raw.where}: has {len(free)} columns and the run was trained on {len(spec.columns)}")
        places = [*free]
    content = Content("table", raw.numbers, columns=spec.columns, named=named, identifiers=dict(raw.identifiers))
    content.problems = problems
    for name in apart:
        if name in slots:
            slot = slots[name]
            content.identifiers[name] = raw.text[slot] if slot in raw.text else _column(raw, slot)
    _labels(content, raw, spec, slots, label)
    if isinstance(raw.numbers, Csr) and not raw.text and places == list(range(raw.numbers.shape[1])):
        return content
    content.mixture = raw.mixture if places == list(range(raw.numbers.shape[1])) else None
    content.x = _numbers(raw, spec.columns, places, problems)
    _missing(content)
    if not mapped(content.x):
        content.x = smallest(content.x, raw.where)
    return content


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)


def _some(names: list[str]) -> str:
    return ", ".join(repr(n) for n in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _told(
    where: str,
    spec: Spec,
    names: list[str],
    places: list[int | None],
    aside: set[str],
    problems: list[str],
    *,
    masking: bool,
) -> None:
    lost = [c.name for c, place in zip(spec.columns, places, strict=True) if place is None]
    known = {c.name for c in spec.columns}
    extra = [name for name in names if name not in known and name not in aside]
    if len(lost) == len(spec.columns):
        raise InputError(f"{where}: none of the run's {len(lost)} columns is here, such as {_some(lost)}")
    if lost and not masking:
        raise InputError(f"{where}: {len(lost)} of the run's {len(spec.columns)} columns are not here: {_some(lost)}")
    if lost:
        problems.append(f"{len(lost)} of the run's columns are not here and count as missing: {_some(lost)}")
    if extra:
        problems.append(f"{len(extra)} columns are unknown to the run and left out: {_some(extra)}")


def _labels(content: Content, raw: RawTable, spec: Spec, slots: dict[str, int], label: str) -> None:
    """Labels where the new data have them; a class the run has not seen is refused."""
    if not spec.classes:
        return
    if label and label in raw.beside:
        values = raw.beside[label]
    elif label and label in slots:
        slot = slots[label]
        values = raw.text[slot] if slot in raw.text else np.asarray(_column(raw, slot))
    elif raw.label is not None and not label:
        values = raw.label
    else:
        return
    code = {name: i for i, name in enumerate(spec.classes)}
    texts = [_text(v) for v in values]
    for row, text in enumerate(texts):
        if text not in code:
            raise InputError(f"{raw.where}: row {row} has the label {text!r}, which the run does not know")
    content.label = np.array([code[t] for t in texts], np.int64)
    content.classes = spec.classes


def _text(value: object) -> str:
    """A label or category as it was named at training: whole numbers without a point."""
    if isinstance(value, float | np.floating) and value == np.rint(value):
        return str(int(value))
    return str(value)


def _column(raw: RawTable, slot: int) -> Array:
    if isinstance(raw.numbers, Csr):
        return np.concatenate([block[:, slot] for block in blocks(raw.numbers)])
    return np.asarray(raw.numbers[:, slot])


def _numbers(raw: RawTable, columns: tuple[Column, ...], places: list[int | None], problems: list[str]) -> Array:
    """(n, columns) float; NaN where a cell, a column or a known category is missing."""
    n = raw.numbers.shape[0]
    dense = raw.numbers.dense() if isinstance(raw.numbers, Csr) else raw.numbers
    wide = dense.dtype.itemsize > 4 or dense.dtype.kind in "iu"
    out = np.full((n, len(columns)), np.nan, np.float64 if wide else np.float32)
    for i, (column, slot) in enumerate(zip(columns, places, strict=True)):
        if slot is None:
            continue
        if column.categories:
            values = raw.text[slot] if slot in raw.text else dense[:, slot]
            out[:, i] = _codes(column, values, problems)
        elif slot in raw.text:
            row = next(i for i, v in enumerate(raw.text[slot]) if not _numeric(v))
            raise InputError(
                f"{raw.where}: row {row}, column {column.name!r}: {raw.text[slot][row]!r} is no number, and the run "
                f"was trained on numbers there"
            )
        else:
            out[:, i] = dense[:, slot]
    endless = np.argwhere(np.isinf(out))
    if len(endless):
        raise InputError(
            f"{raw.where}: row {endless[0][0]}, column {columns[endless[0][1]].name!r}: the value is infinite"
        )
    return out


def _numeric(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return value is None
    return True


def _codes(column: Column, values: Array, problems: list[str]) -> list[float]:
    code = {name: float(i) for i, name in enumerate(column.categories)}
    lost = [v is None or v != v for v in values]
    texts = [_text(v) for v in values]
    unheard = sorted({t for t, gone in zip(texts, lost, strict=True) if not gone and t not in code})
    if unheard:
        problems.append(f"column {column.name!r}: categories the run has not seen count as missing: {_some(unheard)}")
    return [code.get(t, np.nan) if not gone else np.nan for t, gone in zip(texts, lost, strict=True)]


def _missing(content: Content) -> None:
    x = content.x
    assert not isinstance(x, Csr)
    lost = np.isnan(x)
    if not lost.any():
        return
    row, column = np.argwhere(lost)[0]
    place = f"first: row {row}, column {content.columns[column].name!r}"
    content.masked = True
    content.problems.append(f"missing cells: {lost.sum():,} ({lost.mean():.2%}; {place}): masked")
