"""From a table to the channels of series: which columns are measured, which tell series apart, which name anomalies.

A channel is a column of numbers that varies. Text, numberings of the rows, columns without a value and columns of one
value are left out, and told. Numbers written with a percent sign or with separated thousands are read as numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from elboroom.core.errors import InputError, nearest

from .columns import NUMBERINGS, RawTable, unique_names
from .content import Array
from .limits import CLASSES
from .reading import Reading
from .series import Measured
from .times import CLOCKS, Clock, find_clock, looks_like_epoch, numbers_of, place, plain, with_index

__all__ = ["as_rows", "measured", "measured_like", "series_clock"]

LARGEST = 1e30
"""Squares and sums of larger numbers leave single precision, and soon double."""
SAMPLE = 100
FEW = 20
"""Different texts of a column that may be names of series."""
LABELS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
SEPARATED = (
    (re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"), ",", "."),
    (re.compile(r"[+-]?(?:\d{1,3}(?:[. ]\d{3})+|\d+)(?:,\d+)?"), ". ", ","),
)
"""A form of numbers, what separates its thousands, and its decimal mark."""


def as_rows(source: Any) -> Any:
    """Data from memory with the time axis first and the channels second: (T,) numbers become (T, 1)."""
    source = with_index(source)
    library = type(source).__module__.partition(".")[0]
    if library in ("pandas", "polars") and not hasattr(source, "columns") and hasattr(source, "to_frame"):
        return source.to_frame()
    if isinstance(source, list) and source and all(isinstance(v, int | float) for v in source):
        source, library = np.array(source, np.float64), "numpy"
    return source[:, None] if library in ("numpy", "torch") and source.ndim == 1 else source


def series_clock(raw: RawTable, reading: Reading) -> tuple[bool, Clock | None]:
    """Whether a table is read as a series, and its clock; what speaks against it is added to the table's problems."""
    names, _ = unique_names(raw.names, [])
    apart = [name for name in (reading.group_by, reading.label) if name]
    if reading.time or reading.kind == "series":
        return True, find_clock(raw, names, reading.time, apart=apart)
    if raw.label is not None and not _zero_one(raw.label):
        return False, None
    clock = find_clock(raw, names, apart=apart)
    if clock is None:
        return False, None
    others = [i for i, name in enumerate(names) if i != clock.slot and name not in apart]
    if not any(i not in raw.text or _mostly_numbers(raw.text[i][:SAMPLE]) for i in others):
        return False, None
    if reading.label in names and not _tells_anomalies(raw, names.index(reading.label)):
        raw.problems.append(
            f"column {clock.name!r} holds times and column {reading.label!r} labels other than 0 and 1: read as a "
            "table; --kind series without --label reads a series"
        )
        return False, None
    different = len(np.unique(clock.ns[clock.read]))
    if not reading.group_by and different <= len(clock.ns) / 2:
        raw.problems.append(
            f"column {clock.name!r} holds times, and only {different:,} of {len(clock.ns):,} are different: read as a "
            "table; --kind series reads a series, with --group-by COLUMN one for each value of a column"
        )
        return False, None
    return True, clock


def measured(raw: RawTable, reading: Reading, clock: Clock | None) -> Measured:
    """The channels of data that are read for the first time."""
    names, problems = unique_names(raw.names, raw.problems)
    _headed(raw, names, clock)
    taken, label, group, groups, beside = _apart(raw, names, reading, clock, problems)
    if reading.columns:
        for name in reading.columns:
            if name not in names:
                raise InputError(f"{raw.where}: --columns {name}: there is no such column{nearest(name, names)}")
            if names.index(name) in taken:
                raise InputError(f"{raw.where}: --columns {name}: the column has another use, times, labels or groups")
        keep = {name: _asked(raw, names, name, problems) for name in reading.columns}
    else:
        keep = _chosen(raw, names, taken, beside, problems, timed=clock is not None)
    if not keep:
        raise InputError(f"{raw.where}: there is no column of numbers to make a series of; columns: {', '.join(names)}")
    return Measured(tuple(keep), _checked(raw, keep, reading, problems), label, group, groups, beside, problems)


def measured_like(raw: RawTable, reading: Reading, clock: Clock | None, known: Sequence[str], named: bool) -> Measured:
    """The channels of an existing run in new data: matched by name, or by position where there are no names."""
    names, problems = unique_names(raw.names, raw.problems)
    _headed(raw, names, clock)
    taken, label, group, groups, beside = _apart(raw, names, reading, clock, problems, like=True)
    free = [i for i in range(len(names)) if i not in taken]
    if named and raw.named:
        lost = [name for name in known if name not in names]
        if lost:
            shown = ", ".join(map(repr, lost[:5])) + (" ..." if len(lost) > 5 else "")
            raise InputError(f"{raw.where}: {len(lost)} of the run's {len(known)} channels are not here: {shown}")
        extra = [names[i] for i in free if names[i] not in known]
        if extra:
            shown = ", ".join(map(repr, extra[:5])) + (" ..." if len(extra) > 5 else "")
            problems.append(f"columns unknown to the run, left out: {shown}")
        slots = {name: names.index(name) for name in known}
    else:
        if len(free) != len(known):
            raise InputError(f"{raw.where}: has {len(free)} channels and the run was trained on {len(known)}")
        slots = dict(zip(known, free, strict=True))
    keep = {name: _asked(raw, names, names[slot], problems) for name, slot in slots.items()}
    return Measured(tuple(keep), _checked(raw, keep, reading, problems), label, group, groups, beside, problems)


def _headed(raw: RawTable, names: list[str], clock: Clock | None) -> None:
    """Refuse a first line that was taken for names of columns and holds a time."""
    if raw.named and clock is not None and find_clock(_line(raw, names[clock.slot]), ["time"]) is not None:
        raise InputError(
            f"{raw.where}: its first line holds the time {names[clock.slot]!r} and no names; add a line with the names "
            "of the columns above it"
        )


def _line(raw: RawTable, cell: str) -> RawTable:
    return RawTable(raw.where, ["time"], np.zeros((1, 1)), {0: np.array([cell], dtype=object)})


def _apart(
    raw: RawTable, names: list[str], reading: Reading, clock: Clock | None, problems: list[str], *, like: bool = False
) -> tuple[set[int], Array | None, Array, tuple[str, ...], dict[str, Array]]:
    """Columns that are no channel: their slots, labels, groups with their names, and cells to name rows by."""
    n = len(raw.numbers)
    taken: set[int] = set()
    beside = dict(raw.identifiers)
    if clock is not None:
        taken.add(clock.slot)
        beside[clock.name] = raw.text[clock.slot] if clock.slot in raw.text else numbers_of(raw, clock.slot)
        problems += clock.problems
    label: Array | None = None
    group: Array = np.zeros(n, np.int64)
    groups: tuple[str, ...] = ("",)
    if reading.label and not (like and reading.label not in (*names, *raw.beside)):
        values = _column(raw, names, reading.label, "--label", taken)
        label = _labels(raw, values, reading.label)
    elif raw.label is not None:
        label = raw.label.astype(bool) if _zero_one(raw.label) else None
        if label is None:
            problems.append("the labels that come with the data are not 0 and 1, normal and anomaly: left out")
    if reading.group_by and like and reading.group_by not in (*names, *raw.beside):
        problems.append(f"there is no column {reading.group_by!r} to tell series apart: read as one")
    elif reading.group_by:
        values = _column(raw, names, reading.group_by, "--group-by", taken)
        group, groups = _groups(raw, values, reading.group_by, problems)
        beside[reading.group_by] = values
    return taken, label, group, groups, beside


def _column(raw: RawTable, names: list[str], name: str, flag: str, taken: set[int]) -> Array:
    """The cells of the column that a flag names."""
    if name in raw.beside:
        return raw.beside[name]
    if name not in names:
        listed = f"; columns: {', '.join(names[:12])}"
        raise InputError(f"{raw.where}: {flag} {name}: there is no such column{nearest(name, names) or listed}")
    slot = names.index(name)
    if slot in taken:
        raise InputError(f"{raw.where}: {flag} {name}: the column has another use already")
    taken.add(slot)
    return raw.text[slot] if slot in raw.text else numbers_of(raw, slot)


def _zero_one(label: Array) -> bool:
    return label.dtype.kind in "biuf" and bool(np.isin(label, (0, 1)).all())


def _tells_anomalies(raw: RawTable, slot: int) -> bool:
    """Whether most of a column's cells are 0 or 1, false or true."""
    cells = raw.text[slot] if slot in raw.text else numbers_of(raw, slot)
    return 2 * sum(str(cell).strip().lower() in LABELS for cell in cells) > len(cells)


def _labels(raw: RawTable, values: Array, name: str) -> Array:
    """(n,) bool from 0 and 1, false and true."""
    texts = [str(v).strip().lower() for v in values]
    odd = next((row for row, text in enumerate(texts) if text not in LABELS), None)
    if odd is not None:
        shown = "an empty cell" if texts[odd] in ("none", "nan") else repr(str(values[odd]))
        raise InputError(
            f"{raw.where}: {place(raw, odd)}, column {name!r}: {shown} says not whether the row is an anomaly; labels "
            "of a series are 0 or 1, false or true"
        )
    return np.array([LABELS[text] for text in texts], dtype=bool)


def _groups(raw: RawTable, values: Array, name: str, problems: list[str]) -> tuple[Array, tuple[str, ...]]:
    """The number of each row's group, -1 where the cell is empty; and the groups' names in order."""
    lost = np.array([v is None or v != v for v in values], dtype=bool)
    if lost.all():
        raise InputError(f"{raw.where}: --group-by {name}: the column is empty")
    given = values[~lost]
    texts = given.astype(str) if given.dtype.kind == "O" else given
    found, which = np.unique(texts, return_inverse=True)
    if len(found) > CLASSES:
        raise InputError(f"{raw.where}: --group-by {name}: {len(found):,} different values, above {CLASSES:,}")
    if lost.any():
        problems.append(f"rows without a value in column {name!r}, left out: {int(lost.sum()):,}")
    group = np.full(len(values), -1, np.int64)
    group[~lost] = which
    return group, tuple(str(v) if isinstance(v, str) else f"{v:g}" for v in found.tolist())


def _asked(raw: RawTable, names: list[str], name: str, problems: list[str]) -> Array:
    """The numbers of a column that must have some."""
    values = _numbers(raw, names.index(name), name, problems)
    if values is None:
        raise InputError(f"{raw.where}: column {name!r} holds text; a series is made of numbers")
    return values


def _chosen(
    raw: RawTable, names: list[str], taken: set[int], beside: dict[str, Array], problems: list[str], *, timed: bool
) -> dict[str, Array]:
    """Every column of numbers that varies."""
    keep: dict[str, Array] = {}
    flat: list[str] = []
    for slot, name in enumerate(names):
        if slot in taken:
            continue
        values = _numbers(raw, slot, name, problems)
        if values is None:
            distinct = len({v for v in raw.text[slot] if v is not None})
            hint = f"; --group-by {name} reads a series for each" if 1 < distinct <= FEW else ""
            problems.append(f"column {name!r} holds text ({distinct:,} different{hint}): left out")
            beside[name] = raw.text[slot]
        elif np.isnan(values).all():
            problems.append(f"column {name!r} has no value: left out")
        elif _counts_rows(name, values, timed):
            problems.append(f"column {name!r} numbers the rows or holds times: left out")
            beside[name] = values
        else:
            keep[name] = values
            if np.nanmin(values) == np.nanmax(values):
                flat.append(name)
    if flat and len(flat) == len(keep):
        problems.append("no column ever varies: there is nothing to learn")
    elif flat:
        listed = ", ".join(f"{name!r} ({np.nanmin(keep[name]):g})" for name in flat[:5])
        problems.append(f"columns of one value, kept apart: {listed}" + (" ..." if len(flat) > 5 else ""))
        keep = {name: values for name, values in keep.items() if name not in flat}
    return keep


def _counts_rows(name: str, values: Array, timed: bool) -> bool:
    """Whether a column numbers the rows, or counts time in a way of its own."""
    if looks_like_epoch(name, values):
        return True
    known = plain(name) in (*CLOCKS, "t") and not timed
    if not known and name.strip().lower() not in NUMBERINGS:
        return False
    return len(values) > 1 and bool((np.diff(values) > 0).all())


def _numbers(raw: RawTable, slot: int, name: str, problems: list[str]) -> Array | None:
    """(n,) float64 of one column; None where it holds text. A few texts among numbers are refused."""
    if slot not in raw.text:
        return numbers_of(raw, slot)
    cells = raw.text[slot]
    values, odd, how = _written(cells)
    present = sum(cell is not None for cell in cells)
    if not len(odd):
        if how:
            problems.append(f"column {name!r}: {how}")
        return values
    if 2 * len(odd) <= present:
        raise InputError(
            f"{raw.where}: {place(raw, int(odd[0]))}, column {name!r}: {cells[odd[0]]!r} is no number, and "
            f"{present - len(odd):,} other cells of the column are; mend the cell, or leave it empty if it is missing"
        )
    return None


def _mostly_numbers(cells: Array) -> bool:
    return 2 * len(_written(cells)[1]) <= sum(cell is not None for cell in cells)


def _written(cells: Array) -> tuple[Array, Array, str]:
    """The numbers that cells of text hold, NaN where missing; rows of those that hold none; how they are written."""
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    signs = sum(text.endswith("%") for text in texts)
    how = "numbers are written with a percent sign, which is dropped" if signs else ""
    texts = [text.removesuffix("%").rstrip() for text in texts]
    values, odd = _floats(texts)
    for form, separators, mark in SEPARATED:
        present = [text for text in texts if text]
        if not len(odd) or not all(form.fullmatch(text) for text in present):
            continue
        for separator in separators:
            texts = [text.replace(separator, "") for text in texts]
        values, odd = _floats([text.replace(mark, ".") for text in texts])
        said = f"thousands are separated and decimals marked by {mark!r}"
        return values, odd, f"{how}; {said}" if how else said
    return values, odd, how


def _floats(texts: list[str]) -> tuple[Array, Array]:
    values = np.full(len(texts), np.nan)
    odd = []
    for row, text in enumerate(texts):
        if not text:
            continue
        try:
            if "_" in text:  # float() would take 1_000 for a number
                raise ValueError
            values[row] = float(text)
        except ValueError:
            odd.append(row)
    return values, np.array(odd, np.int64)


def _checked(raw: RawTable, keep: dict[str, Array], reading: Reading, problems: list[str]) -> Array:
    """(n, C): the channels side by side; what is infinite or too large is refused, what is missing is counted."""
    values = np.stack(list(keep.values()), axis=1) if keep else np.zeros((len(raw.numbers), 0))
    names = list(keep)
    for wrong, said in (
        (np.isinf(values), "the value is infinite"),
        (np.abs(np.nan_to_num(values)) > LARGEST, f"the value is above {LARGEST:g}, too large to compute with"),
    ):
        if wrong.any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            raise InputError(
                f"{raw.where}: {place(raw, row)}, column {names[column]!r}: {said} ({int(wrong.sum()):,} such cells); "
                "mend it, or leave the cell empty if it is missing"
            )
    lost = np.isnan(values)
    if lost.all():
        raise InputError(f"{raw.where}: every one of the {values.size:,} cells is missing")
    if lost.any():
        row, column = (int(i) for i in np.argwhere(lost)[0])
        first = f"first: {place(raw, row)}, column {names[column]!r}"
        if reading.strict:
            raise InputError(f"{raw.where}: missing cells: {int(lost.sum()):,} ({first}); --strict refuses them")
        problems.append(f"missing cells: {int(lost.sum()):,} ({lost.mean():.2%}; {first}): masked")
    return values
