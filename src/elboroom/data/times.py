"""The clock of a series: which column holds times, and what its cells say.

Read are ISO 8601 dates and date-times, with a zone or without; day, month and year with the year last; and, in a column
of numbers that is called after time, seconds, ms, us or ns since 1 January 1970, or dates of eight digits. A column is
a clock where 95 % of its cells can be read. What two readings fit, such as 02/03/2026, is asked about, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.core.errors import InputError, nearest

from .columns import RawTable
from .content import Array, Csr
from .tables import _Form

__all__ = ["CLOCKS", "Clock", "find_clock", "looks_like_epoch", "numbers_of", "place", "plain", "read_time", "settled",
    "span", "with_index"]  # fmt: skip

CLOCKS = ("timestamp", "datetime", "date_time", "time", "date", "ds", "epoch", "unix", "unixtime", "unix_time", "ts",
    "time_stamp", "timestamps", "times", "utc", "epoch_s", "epoch_ms", "time_ms", "timestamp_ms")  # fmt: skip
"""Names of columns that hold times, in lower case."""
ENOUGH = 0.95
SAMPLE = 50
YEARS = (1678, 2261)
"""What nanoseconds since 1970 can hold in 64 bits, in whole years."""
FORMS = "2026-01-31, 2026-01-31T12:30:05+01:00, 31/01/2026 12:30, or seconds, ms, us or ns since 1970"
ORDERS = ("dayfirst", "monthfirst")
NO_ZONE = 10**6
EPOCHS = ((1e8, 9.2e9, 10**9), (1e11, 9.2e12, 10**6), (1e14, 9.2e15, 10**3), (1e17, 9.2e18, 1))
"""From, to and nanoseconds of one: seconds, ms, us and ns of the years 1973 to 2261."""
SPANS = (("d", 86_400 * 10**9), ("h", 3600 * 10**9), ("min", 60 * 10**9), ("s", 10**9), ("ms", 10**6), ("us", 1000))
BINARY = (".parquet", ".pq", ".npy", ".npz", ".h5", ".h5ad", ".hdf5")

_HOURS = r"(?:[Tt ] *(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,12}))?)?(?: ?([AaPp])[Mm])?)?"
_ZONE = r"(?: ?([Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
YEAR_FIRST = re.compile(r"(\d{4,6})([-/.])(\d{1,2})\2(\d{1,2})" + _HOURS + _ZONE, re.ASCII)
YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + _HOURS + _ZONE, re.ASCII)


@dataclass
class Clock:
    """What one column says of the time of each row."""

    ns: Array
    """(rows,) int64: nanoseconds since 1970 by the clock of `zone`; of no meaning where not `read`."""
    read: Array
    """(rows,) bool: the cell could be read."""
    zone: str = ""
    """UTC or +HH:MM; empty where the cells name none."""
    order: str = ""
    """dayfirst or monthfirst, where the year is written last."""
    doubt: str = ""
    """A cell that may be meant in two ways, where nothing in the column tells which."""
    problems: list[str] = field(default_factory=list)
    name: str = ""
    slot: int = 0
    """The column's place in the table."""


def find_clock(
    raw: RawTable, names: list[str], asked: str = "", *, apart: Sequence[str] = (), whole: bool = True
) -> Clock | None:
    """The clock of a table; None where no column is one. See `settled`.

    `asked` is `--time`: NAME, NAME:dayfirst or NAME:monthfirst. Every cell of that column must be a time; without
    `whole`, 95 % of them. Columns named in `apart` have another use.
    """
    if asked:
        name, order = _asked(asked, names)
        if name not in names:
            listed = f"; columns: {', '.join(names[:12])}"
            raise InputError(f"{raw.where}: --time {name}: there is no such column{nearest(name, names) or listed}")
        clock = _read(raw, names.index(name), name, order)
        if not clock.read.all() and (whole or clock.read.mean() < ENOUGH):
            raise InputError(_unread(raw, clock))
        return clock
    found = []
    for slot, name in enumerate(names):
        if name not in apart and _likely(raw, slot, name):
            clock = _read(raw, slot, name, "")
            if clock.read.mean() >= ENOUGH:
                found.append(clock)
    if len(found) > 1:
        return _best(raw, found)
    return found[0] if found else None


def settled(raw: RawTable, clock: Clock) -> Clock:
    """The clock, where there is one way only to read it; else both ways are named and it is refused."""
    if clock.doubt:
        one, other = re.split(r"[-/.]", clock.doubt)[:2]
        raise InputError(
            f"{raw.where}: column {clock.name!r} holds dates such as {clock.doubt!r}: day {one} of month {other}, or "
            f"day {other} of month {one}? Say --time {clock.name}:dayfirst or --time {clock.name}:monthfirst"
        )
    return clock


def looks_like_epoch(name: str, values: Array) -> bool:
    """Whether a column of numbers, by its name and size, counts from 1970."""
    return plain(name) in CLOCKS and bool(_counts(values)[1].mean() >= ENOUGH)


def read_time(text: str) -> tuple[int, int | None] | None:
    """Of one time, year first: nanoseconds since 1970 by its own clock, and that clock's minutes from UTC, if named."""
    fields = _fields([text], YEAR_FIRST)
    ns, good = _since(fields[:, 0], fields[:, 1], fields[:, 2], fields)
    zone = int(fields[0, 7])
    return (int(ns[0]), None if zone == NO_ZONE else zone) if good[0] else None


def numbers_of(raw: RawTable, slot: int) -> Array:
    """(rows,) float64: one column of numbers."""
    if isinstance(raw.numbers, Csr):
        raise InputError(f"{raw.where}: a sparse table is no series; give its numbers as a dense one")
    return np.asarray(raw.numbers[:, slot], np.float64)


def place(raw: RawTable, row: int) -> str:
    """`line 7` of a file of text, else `row 5`, counted from 0."""
    path = Path(raw.where)
    if path.suffix.lower() not in BINARY and path.is_file():
        for at, (line, _) in enumerate(_Form(path)._rows()):
            if at == row:
                return f"line {line}"
    return f"row {row}"


def span(ns: float) -> str:
    """A length of time in the largest unit that it fills: 300 * 10**9 is `5 min`."""
    name, size = next(((n, s) for n, s in SPANS if ns >= s), ("ns", 1))
    return f"{ns / size:.4g} {name}"


def plain(name: str) -> str:
    """A column's name as `CLOCKS` writes it."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def with_index(source: Any) -> Any:
    """A pandas frame or column whose index holds times, with these as its first column; anything else as it is."""
    if type(source).__module__.partition(".")[0] != "pandas" or not hasattr(source, "index"):
        return source
    if source.index.dtype.kind != "M":
        return source
    frame = source if hasattr(source, "columns") else source.to_frame("value" if source.name is None else source.name)
    name = "time" if source.index.name is None else str(source.index.name)
    while name in frame.columns:
        name += "_index"
    return frame.reset_index(names=name)


def _asked(asked: str, names: list[str]) -> tuple[str, str]:
    """The column and how its dates are ordered."""
    name, _, order = asked.rpartition(":")
    if asked in names or not name:
        return asked, ""
    if order not in ORDERS:
        raise InputError(f"--time {asked}: after the colon comes dayfirst or monthfirst")
    return name, order


def _likely(raw: RawTable, slot: int, name: str) -> bool:
    """Whether a sample of the column can be read, so that a long one is not read in vain."""
    if isinstance(raw.numbers, Csr):
        return False
    if slot not in raw.text:
        return plain(name) in CLOCKS
    cells = raw.text[slot]
    some = [cells[i] for i in np.unique(np.linspace(0, len(cells) - 1, SAMPLE).astype(int))] if len(cells) else []
    present = [cell.strip() for cell in some if cell is not None]
    read = sum(bool(YEAR_FIRST.fullmatch(c) or YEAR_LAST.fullmatch(c)) for c in present)
    return read > 0 and read >= 0.8 * len(present)


def _best(raw: RawTable, found: list[Clock]) -> Clock:
    """Of several clocks the only one that is called after time."""
    called = [clock for clock in found if plain(clock.name) in CLOCKS]
    if len(called) == 1:
        return called[0]
    named = " and ".join(repr(clock.name) for clock in (called or found)[:3])
    raise InputError(f"{raw.where}: columns {named} hold times; say which one counts with --time, or --kind table")


def _unread(raw: RawTable, clock: Clock) -> str:
    """What is said of the first cell that is no time."""
    row = int(np.argmin(clock.read))
    cell = raw.text[clock.slot][row] if clock.slot in raw.text else f"{numbers_of(raw, clock.slot)[row]:g}"
    shown = "an empty cell" if cell in (None, "nan") else repr(cell)
    return (
        f"{raw.where}: {place(raw, row)}, column {clock.name!r}: {shown} is no time that can be read; give {FORMS}, "
        f"in the years {YEARS[0]} to {YEARS[1]}"
    )


def _read(raw: RawTable, slot: int, name: str, order: str) -> Clock:
    """The clock of one column, whatever share of its cells can be read."""
    clock = _texts(raw.text[slot], order) if slot in raw.text else Clock(*_counts(numbers_of(raw, slot)))
    clock.name, clock.slot = name, slot
    lost = int((~clock.read).sum())
    if 0 < lost <= (1 - ENOUGH) * len(clock.read):
        many = f"{lost:,} rows have" if lost > 1 else "1 row has"
        first = place(raw, int(np.argmin(clock.read)))
        clock.problems.append(f"{many} no time that can be read in column {name!r}: left out (first: {first})")
    return clock


def _texts(cells: Array, order: str) -> Clock:
    """The times of a column of text."""
    present = [cell.strip() for cell in cells[: 20 * SAMPLE] if cell is not None]
    first, last = (sum(bool(form.fullmatch(c)) for c in present) for form in (YEAR_FIRST, YEAR_LAST))
    doubt = ""
    if first >= last:
        order = ""
        fields = _fields(cells, YEAR_FIRST)
        ns, read = _since(fields[:, 0], fields[:, 1], fields[:, 2], fields)
    else:
        fields = _fields(cells, YEAR_LAST)
        one, other, year = fields[:, 0], fields[:, 1], fields[:, 2]
        order = order or _order(one, other)
        if not order:
            doubt = cells[int(np.argmax(one != other))].strip()
        day, month = (other, one) if order == "monthfirst" else (one, other)
        ns, read = _since(year, month, day, fields)
    zone, problems = _zoned(ns, fields[:, 7], read)
    return Clock(ns, read, zone, order, doubt, problems)


def _order(one: Array, other: Array) -> str:
    """Whether days or months come first; empty where both would do and would differ."""
    days, months = int((one > 12).sum()), int((other > 12).sum())
    if days == months == 0 and bool((one != other).any()):
        return ""
    return "monthfirst" if months > days else "dayfirst"


def _fields(cells: Sequence[str | None] | Array, form: re.Pattern[str]) -> Array:
    """(rows, 9) int64: the date's three numbers, hour, minute, second, ns, minutes from UTC, and 1 where it matched."""
    alike = _alike(cells, form)
    if alike is not None:
        return alike
    out = np.zeros((len(cells), 9), np.int64)
    out[:, 7] = NO_ZONE
    rows, found = [], []
    for row, cell in enumerate(cells):
        match = None if cell is None else form.fullmatch(cell.strip())
        if match is None:
            continue
        a, _, b, c, hour, minute, second, fraction, half, zone = match.groups()
        hours = int(hour or 0)
        if half:
            hours = hours % 12 + 12 * (half in "Pp") if 1 <= hours <= 12 else 99
        part = int(f"{fraction:0<9}"[:9]) if fraction else 0
        rows.append(row)
        found.append((int(a), int(b), int(c), hours, int(minute or 0), int(second or 0), part, _minutes(zone), 1))
    if rows:
        out[rows] = found
    return out


def _alike(cells: Sequence[str | None] | Array, form: re.Pattern[str]) -> Array | None:
    """`_fields` of cells that differ in digits only, all at once, ten times faster; None where they differ in more."""
    match = form.fullmatch(cells[0]) if len(cells) and cells[0] is not None else None
    if match is None or match[9]:
        return None
    size = len(match[0])
    if any(cell is None or len(cell) != size for cell in cells):
        return None
    chars = np.array(cells, dtype=f"U{size}").view(np.uint32).reshape(len(cells), size).astype(np.int32) - ord("0")
    fixed = (chars[0] < 0) | (chars[0] > 9)
    fixed[slice(*match.span(10))] = True
    if (chars[:, fixed] != chars[0, fixed]).any() or (chars[:, ~fixed] < 0).any() or (chars[:, ~fixed] > 9).any():
        return None
    out = np.zeros((len(cells), 9), np.int64)
    for place, group in enumerate((1, 3, 4, 5, 6, 7, 8)):
        a, b = match.span(group)
        if group == 8:
            b = min(b, a + 9)
        places = b - a if group < 8 else 9
        out[:, place] = (chars[:, a:b] * 10 ** np.arange(places - 1, places - 1 - (b - a), -1)).sum(axis=1)
    out[:, 7], out[:, 8] = _minutes(match[10]), 1
    return out


def _minutes(zone: str | None) -> int:
    """Minutes from UTC."""
    if zone is None:
        return NO_ZONE
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    return (1 if zone[0] == "+" else -1) * (int(digits[:2]) * 60 + int(digits[2:] or 0))


def _since(year: Array, month: Array, day: Array, fields: Array) -> tuple[Array, Array]:
    """Nanoseconds since 1970, and which of them are times that the calendar has."""
    hour, minute, second, part = fields[:, 3], fields[:, 4], fields[:, 5], fields[:, 6]
    good = (fields[:, 8] == 1) & (year >= YEARS[0]) & (year <= YEARS[1]) & (month >= 1) & (month <= 12)
    good &= (day >= 1) & (day <= 31) & (hour < 24) & (minute < 60) & (second < 60)
    months = (np.where(good, year, 1970) - 1970) * 12 + np.where(good, month, 1) - 1
    first = months.astype("datetime64[M]")
    days = first.astype("datetime64[D]") + np.where(good, day, 1) - 1
    good &= days.astype("datetime64[M]") == first  # 31 April is no day
    seconds = days.astype(np.int64) * 86_400 + hour * 3600 + minute * 60 + second
    return np.where(good, seconds, 0) * 10**9 + part, good


def _zoned(ns: Array, minutes: Array, read: Array) -> tuple[str, list[str]]:
    """The zone of all times; where there are several, `ns` is brought to UTC in place."""
    bare = read & (minutes == NO_ZONE)
    zones = np.unique(minutes[read & ~bare])
    if not len(zones):
        return "", []
    if len(zones) == 1 and not bare.any():
        return _zone(int(zones[0])), []
    ns -= np.where(minutes == NO_ZONE, 0, minutes) * 60 * 10**9
    said = f"times are written in {len(zones)} time zone{'s' * (len(zones) > 1)}"
    if bare.any():
        return "UTC", [f"{said}, and {int(bare.sum()):,} name none and are taken for UTC: brought to UTC"]
    return "UTC", [f"{said}: brought to UTC"]


def _zone(minutes: int) -> str:
    if minutes == 0:
        return "UTC"
    return f"{'+' if minutes > 0 else '-'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _counts(values: Array) -> tuple[Array, Array]:
    """Nanoseconds since 1970 of counts since then, or of dates such as 20260131; and which of them are such."""
    known = ~np.isnan(values)
    many = max(1, int(known.sum()))
    for low, high, unit in EPOCHS:
        read = known & (values >= low) & (values <= high)
        if read.sum() >= ENOUGH * many:
            v = np.where(read, values, 0.0)
            count = np.floor(v)
            # a float64 of seconds is good for about a microsecond
            return count.astype(np.int64) * unit + np.rint((v - count) * (unit // 1000)).astype(np.int64) * 1000, read
    read = known & (values >= YEARS[0] * 10_000) & (values < (YEARS[1] + 1) * 10_000) & (values == np.floor(values))
    v = np.where(read, values, 0).astype(np.int64)
    fields = np.zeros((len(v), 9), np.int64)
    fields[:, 8] = read
    return _since(v // 10_000, v // 100 % 100, v % 100, fields)
