"""From raw columns to a table: what each column is, what is a label, what only names a row.

The rules, in order: a column asked for as label or group leaves x. Text that is different in (nearly) every row, and a
numbering of the rows, names them and is kept apart. Other text is categorical. Numbers are binary where they are 0 or
1, counts where they are whole, reach 2 and include 0 but nothing below, else real.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elboroom.core.errors import InputError, nearest
from elboroom.core.spec import Column

from .content import Array, Content, Csr, Mixture
from .limits import CLASSES, COLUMNS
from .narrow import smallest
from .storage import blocks, mapped

__all__ = ["RawTable", "assemble", "encode_labels", "kinds_of", "unique_names"]

CATEGORIES = 1000
NUMBERINGS = {"", "id", "index", "row", "unnamed: 0", "rowid", "row_id"}


@dataclass
class RawTable:
    """A table as a format gives it."""

    where: str
    names: list[str]
    numbers: Array | Csr
    text: dict[int, Array] = field(default_factory=dict)
    """Slot to (n,) object array of str or None (missing), for columns that are not numbers."""
    named: bool = True
    identifiers: dict[str, Array] = field(default_factory=dict)
    """Names of the rows that the format itself carries."""
    beside: dict[str, Array] = field(default_factory=dict)
    """Columns that describe a row and are no part of x, such as `obs` of an .h5ad; labels may be taken from them."""
    label: Array | None = None
    """Labels that the format itself carries."""
    classes: tuple[str, ...] = ()
    """All names that `label` can hold, in their order, where the format knows it."""
    own: Array | None = None
    """(n,) int8: the part the input itself gives a row, 0 train, 1 valid, 2 test."""
    mixture: Mixture | None = None
    """What all the columns together were drawn from."""
    problems: list[str] = field(default_factory=list)


def assemble(
    raw: RawTable, *, label: str = "", group: str = "", columns: tuple[str, ...] = (), strict: bool = False
) -> Content:
    """The Content of a table read for the first time; new data of an existing run go through `conform`."""
    n, width = raw.numbers.shape
    if n == 0:
        raise InputError(f"{raw.where}: the table has no rows")
    if width > COLUMNS:
        raise InputError(f"{raw.where}: {width:,} columns, above {COLUMNS:,}; choose some with --columns")
    names, problems = unique_names(raw.names, raw.problems)
    slots = dict(zip(names, range(width), strict=True))
    out = Content("table", raw.numbers, named=raw.named, identifiers=dict(raw.identifiers), problems=problems)
    out.own = raw.own
    taken: set[int] = set()
    if label:
        values, slot = _column(raw, slots, label, "--label")
        out.label, out.classes = encode_labels(values, f"{raw.where}: column {label!r}")
        taken |= slot
    elif raw.label is not None:
        out.label, out.classes = encode_labels(raw.label, f"{raw.where}: labels", raw.classes)
        if len(out.label) != n:
            raise InputError(f"{raw.where}: {len(out.label):,} labels for {n:,} rows")
    if group:
        values, slot = _column(raw, slots, group, "--group-by")
        out.group = np.unique(values.astype(str), return_inverse=True)[1].astype(np.int64)
        taken |= slot
    keep = _asked(raw.where, slots, columns) if columns else [i for i in range(width) if i not in taken]
    keep = [i for i in keep if i not in taken]
    for i in keep.copy():
        if not columns and _names_rows(raw, i, names[i]):
            kind = "texts" if i in raw.text else "numbers"
            out.problems.append(f"column {names[i]!r} holds a different one of {n:,} {kind} in each row: kept apart")
            out.identifiers[names[i]] = raw.text[i] if i in raw.text else np.asarray(_numbers(raw, i))
            keep.remove(i)
    if not keep:
        raise InputError(f"{raw.where}: no column is left for x; --label, --group-by and row names took all {width}")
    _fill(out, raw, names, keep)
    out.mixture = raw.mixture if keep == list(range(width)) else None
    if not isinstance(out.x, Csr):
        _check_cells(out, raw.where, strict)
    return out


def unique_names(names: list[str], problems: list[str]) -> tuple[list[str], list[str]]:
    """The names with empty ones numbered and repeated ones told apart by .2, .3; and the problems so far."""
    said = list(problems)
    names = [name if name.strip() else f"column_{i + 1}" for i, name in enumerate(names)]
    counts = Counter(names)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        said.append(
            f"some column names occur more than once ({len(twice)}, such as {twice[0]!r}): told apart by .2, .3 ..."
        )
        seen: Counter[str] = Counter()
        out, used = [], set(counts)
        for name in names:
            seen[name] += 1
            new = name
            while seen[name] > 1 and new in used:
                new = f"{name}.{seen[name]}"
                seen[name] += new in used
            used.add(new)
            out.append(new)
        names = out
    return names, said


def kinds_of(x: Array | Csr) -> list[str]:
    """real, count or binary for each column of numbers."""
    width = x.shape[1]
    whole = np.ones(width, bool)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for block in blocks(x):
        if block.dtype.kind == "f":
            missing = np.isnan(block)
            whole &= ((block == np.rint(block)) | missing).all(axis=0)
            low = np.minimum(low, np.where(missing, np.inf, block).min(axis=0))
            high = np.maximum(high, np.where(missing, -np.inf, block).max(axis=0))
        else:
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    binary = whole & (low >= 0) & (high <= 1) & (high >= 0)
    count = whole & (low == 0) & (high >= 2)
    return ["binary" if b else "count" if c else "real" for b, c in zip(binary, count, strict=True)]


def encode_labels(values: Array, where: str, known: tuple[str, ...] = ()) -> tuple[Array, tuple[str, ...]]:
    """(n,) int64 and the class names: `known` ones, else numbers in numerical, texts in alphabetical order."""
    if values.ndim != 1:
        raise InputError(f"{where}: labels have shape {values.shape}; one label a row is needed")
    if values.dtype.kind in "OUS":
        lost = [i for i, v in enumerate(values) if v is None or v != v]
        texts = np.array([str(v) for v in values])
    elif values.dtype.kind in "biuf":
        lost = np.flatnonzero(np.isnan(values)).tolist() if values.dtype.kind == "f" else []
        odd = np.flatnonzero(values != np.rint(values))
        if len(odd) and not lost:
            raise InputError(f"{where}: row {odd[0]} holds {values[odd[0]]:g}; labels are whole numbers or text")
        texts = values
    else:
        raise InputError(f"{where}: labels of type {values.dtype}; whole numbers or text are needed")
    if lost:
        raise InputError(
            f"{where}: {len(lost)} rows have no label (first: row {lost[0]}); label them or leave them out"
        )
    found, label = np.unique(texts, return_inverse=True)
    if len(found) > CLASSES:
        raise InputError(f"{where}: {len(found):,} different labels, above {CLASSES:,}; is this the label column?")
    names = tuple(str(v) if found.dtype.kind in "US" else str(int(v)) for v in found)
    if known:
        return np.array([known.index(name) for name in names], np.int64)[label], known
    return label.astype(np.int64), names


def _numbers(raw: RawTable, slot: int) -> Array:
    if isinstance(raw.numbers, Csr):
        return np.concatenate([block[:, slot] for block in blocks(raw.numbers)])
    return np.asarray(raw.numbers[:, slot])


def _column(raw: RawTable, slots: dict[str, int], name: str, flag: str) -> tuple[Array, set[int]]:
    """The values of a column by name, and the slot of x it takes up, if any."""
    if name in raw.beside:
        return raw.beside[name], set()
    if name in raw.identifiers:
        return raw.identifiers[name], set()
    if name not in slots:
        known = [*slots, *raw.beside]
        listed = f"; columns: {', '.join(known[:12])}" + (" ..." if len(known) > 12 else "")
        raise InputError(f"{raw.where}: {flag} {name}: there is no such column{nearest(name, known) or listed}")
    slot = slots[name]
    return (raw.text[slot] if slot in raw.text else _numbers(raw, slot)), {slot}


def _asked(where: str, slots: dict[str, int], columns: tuple[str, ...]) -> list[int]:
    for name in columns:
        if name not in slots:
            raise InputError(f"{where}: --columns {name}: there is no such column{nearest(name, slots)}")
    return [slots[name] for name in columns]


def _names_rows(raw: RawTable, slot: int, name: str) -> bool:
    n = raw.numbers.shape[0]
    if slot in raw.text:
        present = [v for v in raw.text[slot] if v is not None]
        distinct = len(set(present))
        return distinct > CATEGORIES or (n > 1 and distinct == n) or (distinct > 50 and distinct > len(present) / 2)
    if name.strip().lower() not in NUMBERINGS or isinstance(raw.numbers, Csr):
        return False
    values = _numbers(raw, slot)
    return n > 1 and len(np.unique(values)) == n and bool((values == np.rint(values)).all())


def _fill(out: Content, raw: RawTable, names: list[str], keep: list[int]) -> None:
    """x and its columns: numbers as they are, text as the index of its category."""
    every = keep == list(range(raw.numbers.shape[1]))
    numbers: Any = raw.numbers
    if isinstance(numbers, Csr):
        out.x = numbers if every else _csr_columns(numbers, keep)
        out.columns = tuple(_column_of(names[i], k) for i, k in zip(keep, kinds_of(out.x), strict=True))
        return
    x = numbers if every and not raw.text else numbers[:, keep]
    categories: dict[int, tuple[str, ...]] = {}
    for place, slot in enumerate(keep):
        if slot in raw.text:
            values = raw.text[slot]
            known = sorted({str(v) for v in values if v is not None})
            code = {v: float(i) for i, v in enumerate(known)}
            if x.dtype.kind != "f":
                x = x.astype(np.float64)
            x[:, place] = [np.nan if v is None else code[str(v)] for v in values]
            categories[place] = tuple(known)
    kinds = kinds_of(x)
    out.columns = tuple(
        Column(name=names[slot], kind="categorical", categories=categories[place])
        if place in categories
        else _column_of(names[slot], kinds[place])
        for place, slot in enumerate(keep)
    )
    out.x = x


def _column_of(name: str, kind: str) -> Column:
    return Column(name=name, kind=kind)  # type: ignore[arg-type]


def _csr_columns(x: Csr, keep: list[int]) -> Csr:
    place = np.full(x.shape[1], -1)
    place[keep] = np.arange(len(keep))
    new = place[x.indices]
    rows = np.repeat(np.arange(len(x)), np.diff(x.indptr))[new >= 0]
    order = np.lexsort((new[new >= 0], rows))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(x)))]).astype(np.int64)
    return Csr(x.data[new >= 0][order], new[new >= 0][order].astype(np.int32), indptr, (len(x), len(keep)))


def _check_cells(out: Content, where: str, strict: bool) -> None:
    """Refuse infinities, count what is missing, keep the rest in the smallest type."""
    x = out.x
    assert not isinstance(x, Csr)
    if x.dtype.kind == "f":
        missing = at = 0
        first: tuple[int, int] | None = None
        for block in blocks(x):
            endless = np.argwhere(np.isinf(block))
            if len(endless):
                row, column = endless[0]
                raise InputError(
                    f"{where}: row {at + row}, column {out.columns[column].name!r}: the value is infinite "
                    f"({len(endless)} such cells); mend it, or leave the cell empty if it is missing"
                )
            lost = np.isnan(block)
            if first is None and lost.any():
                row, column = np.argwhere(lost)[0]
                first = (at + int(row), int(column))
            missing += int(lost.sum())
            at += len(block)
        if missing and first is not None:
            place = f"first: row {first[0]}, column {out.columns[first[1]].name!r}"
            if missing == x.size:
                raise InputError(f"{where}: every one of the {missing:,} cells is missing")
            if strict:
                raise InputError(f"{where}: missing cells: {missing:,} ({place}); --strict refuses them")
            out.masked = True
            out.problems.append(f"missing cells: {missing:,} ({missing / x.size:.2%}; {place}): masked")
    if not mapped(x):
        out.x = smallest(x, where)
