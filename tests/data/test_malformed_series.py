"""Badly written series: each is refused in one sentence that says what, where and what to do, or read and said how."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.data import Reading, read

N = 60


def clock(i, step=1):
    """Minute i of the year, in steps."""
    return str(np.datetime64("2026-01-01T00:00") + i * step).replace("T", " ")


def lines(cells, head="time,v"):
    return "\n".join([head, *(",".join(map(str, row)) for row in cells)]) + "\n"


def good(n=N):
    return [(clock(i), i % 7) for i in range(n)]


def with_row(i, *row):
    rows = good()
    rows[i] = row
    return rows


SERIES = Reading(kind="series")
NAMED = Reading(time="time")

REFUSED = {
    # name: content, reading, what the message must hold
    "empty file": ("", SERIES, ["t.csv", "the file is empty"]),
    "blank lines": ("\n\n\n", SERIES, ["t.csv", "only blank lines"]),
    "header only": ("time,v\n", SERIES, ["t.csv", "a header but no rows"]),
    "one row": ("time,v\n2026-01-01,5\n", SERIES, ["t.csv", "only one time in it; a series needs two or more"]),
    "no column of numbers": (
        lines([(clock(i), "red") for i in range(N)]),
        SERIES,
        ["t.csv", "no column of numbers", "time, v"],
    ),
    "only times": (lines([(clock(i),) for i in range(N)], "time"), SERIES, ["t.csv", "no column of numbers"]),
    "only times, kind not said": (
        lines([(clock(i),) for i in range(N)], "time"),
        Reading(),
        ["t.csv", "no column is left"],
    ),
    "a column without a value": (lines([(clock(i), "") for i in range(N)]), SERIES, ["t.csv", "no column of numbers"]),
    "named column without a value": (
        lines([(clock(i), "") for i in range(N)]),
        Reading(columns=("v",), time="time"),
        ["t.csv", "every one of the 60 cells is missing"],
    ),
    "two columns of times": (
        lines([(clock(i), clock(i + 1), i % 7) for i in range(N)], "begin,end,v"),
        Reading(),
        ["t.csv", "columns 'begin' and 'end' hold times", "--time"],
    ),
    "time cell that is none": (
        lines(with_row(30, "noon", 3)),
        NAMED,
        ["t.csv", "line 32", "'time'", "'noon'", "give 2026-01-31"],
    ),
    "empty time cell": (lines(with_row(30, "", 3)), NAMED, ["t.csv", "line 32", "'time'", "an empty cell"]),
    "year 0": (lines(with_row(5, "0000-01-01", 3)), NAMED, ["t.csv", "line 7", "'0000-01-01'", "years 1678 to 2261"]),
    "year 99999": (lines(with_row(5, "99999-01-01 00:00", 3)), NAMED, ["t.csv", "line 7", "'99999-01-01 00:00'"]),
    "no such day": (lines(with_row(5, "2026-02-30 00:00", 3)), NAMED, ["t.csv", "line 7", "'2026-02-30 00:00'"]),
    "no column of that name": (lines(good()), Reading(time="tme"), ["t.csv", "--time tme", "did you mean 'time'"]),
    "numbers that are no times": (lines([(i, i % 7) for i in range(N)]), NAMED, ["t.csv", "line 2", "'0'", "no time"]),
    "all times equal": (lines([(clock(3), i) for i in range(N)]), SERIES, ["t.csv", "only one time in it"]),
    "ragged row": (lines(with_row(20, clock(20), 3, 4)), SERIES, ["t.csv", "line 22 has 3 cells and the header 2"]),
    "short row": (lines(with_row(20, clock(20))), SERIES, ["t.csv", "line 22 has 1 cells and the header 2"]),
    "trailing commas without a name": (lines([(*row, "") for row in good()]), SERIES, ["t.csv", "line 2 has 3 cells"]),
    "NUL bytes": (lines(good())[:200] + "\0" + lines(good())[200:], SERIES, ["t.csv", "NUL"]),
    "open quote": (lines(with_row(20, '"' + clock(20), 3)), SERIES, ["t.csv"]),
    "infinite": (lines(with_row(20, clock(20), "inf")), SERIES, ["t.csv", "line 22", "'v'", "infinite", "mend it"]),
    "1e308": (lines(with_row(20, clock(20), "1e308")), SERIES, ["t.csv", "line 22", "'v'", "too large", "mend it"]),
    "text among numbers": (
        lines(with_row(20, clock(20), "broken")),
        SERIES,
        ["t.csv", "line 22", "'v'", "'broken' is no number", "leave it empty"],
    ),
    "text among many numbers": (
        lines([(clock(i), i if i != 44 else "err") for i in range(N)]),
        SERIES,
        ["t.csv", "line 46", "'v'", "'err' is no number"],
    ),
    "a comment before the header": (
        "# from the pump\n" + lines(good()),
        SERIES,
        ["t.csv", "line 2 has 2 cells and the header 1"],
    ),
    "no header": (
        "\n".join(lines(good()).splitlines()[1:]),
        SERIES,
        ["t.csv", "first line holds the time '2026-01-01 00:00'", "add a line"],
    ),
    "day or month first": (
        lines([(f"0{1 + i % 9}/0{1 + i // 9}/2026", i) for i in range(54)], "date,v"),
        Reading(),
        ["t.csv", "column 'date'", "day 02 of month 01, or day 01 of month 02", "--time date:dayfirst"],
    ),
    "label that is none": (
        lines([(*row, "maybe") for row in good()], "time,v,bad"),
        Reading(kind="series", label="bad"),
        ["t.csv", "line 2", "'maybe'"],
    ),
    "groups of different steps": (
        lines([(clock(i, 1 + 4 * g), g, i % 7) for g in (0, 1) for i in range(30)], "time,g,v"),
        Reading(group_by="g"),
        ["t.csv", "series '", "bring them to one step"],
    ),
    "empty group column": (
        lines([(clock(i), "", i % 7) for i in range(N)], "time,g,v"),
        Reading(group_by="g"),
        ["t.csv", "the column is empty"],
    ),
    "repeated times, strict": (
        lines([*good(), good()[3]]),
        Reading(strict=True),
        ["t.csv", "that repeat the time of another: 1", "--strict"],
    ),
    "unread times, strict": (
        lines(with_row(30, "noon", 3)),
        Reading(strict=True),
        ["t.csv", "1 row has no time", "line 32", "--strict"],
    ),
    "too few rows": (lines(good(9)), SERIES, ["t.csv", "9 rows are too few", "--split 1,0,0"]),
}


def written(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_what_where_and_what_to_do(tmp_path, case):
    content, reading, said = REFUSED[case]
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, content), reading)
    for words in said:
        assert words in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


def spring_and_autumn():
    """Half hours of local clock time over the end of summer time: 02:00 and 02:30 come twice."""
    t = [f"2026-10-25 0{h}:{m}0" for h in (0, 1, 2, 2, 3, 4, 5, 6) for m in (0, 3)]
    return [(stamp, i) for i, stamp in enumerate(t)]


READ = {
    # name: content, file name, reading, rows of the grid, what a problem must say
    "byte order mark": ("\ufeff" + lines(good()), "t.csv", Reading(), 60, ""),
    "semicolon and decimal comma": (
        lines(good(), "time;v").replace(",", ";").replace(";3", ";3,5"),
        "t.csv",
        Reading(),
        60,
        "decimal comma",
    ),
    "tab": (lines(good()).replace(",", "\t"), "t.tsv", Reading(), 60, ""),
    "tab in a .csv": (lines(good()).replace(",", "\t"), "t.csv", Reading(), 60, ""),
    "bar": (lines(good()).replace(",", "|"), "t.csv", Reading(), 60, "separated by '|'"),
    "gzip": (gzip.compress(lines(good()).encode()), "t.csv.gz", Reading(), 60, ""),
    "Latin-1": (lines(good(), "time,größe").encode("latin-1"), "t.csv", Reading(), 60, "Latin-1"),
    "UTF-16": (lines(good()).encode("utf-16"), "t.csv", Reading(), 60, ""),
    "CR LF": (lines(good()).replace("\n", "\r\n"), "t.csv", Reading(), 60, ""),
    "quotes": ("\n".join(f'"{a}","{b}"' for a, b in [("time", "v"), *good()]), "t.csv", Reading(), 60, ""),
    "spaces": (lines(good()).replace(",", " , "), "t.csv", Reading(), 60, ""),
    "duplicate header": (
        lines([(*row, row[1] + 1) for row in good()], "time,v,v"),
        "t.csv",
        Reading(),
        60,
        "told apart by .2",
    ),
    "header with an empty name": (lines([(*row, row[1] + 1) for row in good()], "time,v,"), "t.csv", Reading(), 60, ""),
    "trailing commas": (
        lines([(*row, "") for row in good()], "time,v,"),
        "t.csv",
        Reading(),
        60,
        "'column_3' has no value: left out",
    ),
    "text column": (
        lines([(*row, f"note {i % 30}") for i, row in enumerate(good())], "time,v,note"),
        "t.csv",
        Reading(),
        60,
        "column 'note' holds text (30 different): left out",
    ),
    "percent signs": (
        lines([(a, f"{b}.5 %") for a, b in good()]),
        "t.csv",
        Reading(),
        60,
        "percent sign, which is dropped",
    ),
    "separated thousands": (
        lines([(a, f'"{b + 1},234.5"') for a, b in good()]),
        "t.csv",
        Reading(),
        60,
        "thousands are separated",
    ),
    "thousands with points": (
        "\n".join(["time;v", *(f"{a};{b + 1}.234,5" for a, b in good())]),
        "t.csv",
        Reading(),
        60,
        "marked by ','",
    ),
    "unread times": (
        lines(with_row(30, "noon", 3)),
        "t.csv",
        Reading(),
        60,
        "1 row has no time that can be read in column 'time'",
    ),
    "descending": (lines(good()[::-1]), "t.csv", Reading(), 60, "sorted: 59"),
    "shuffled": (
        lines([good()[i] for i in np.random.default_rng(0).permutation(N)]),
        "t.csv",
        Reading(),
        60,
        "out of the order of time",
    ),
    "repeated": (lines([*good(), *good()[:10]]), "t.csv", Reading(), 60, "averaged with it: 10"),
    "the hour that comes twice": (
        lines(spring_and_autumn()),
        "t.csv",
        Reading(split=(1, 0, 0)),
        14,
        "averaged with it: 2",
    ),
    "several zones": (
        lines([(a.replace(" ", "T") + ("+00:00", "+01:00")[i > 29], b) for i, (a, b) in enumerate(good())]),
        "t.csv",
        Reading(split=(1, 0, 0)),
        60,
        "2 time zones: brought to UTC",
    ),
    "zones for some": (
        lines([(a + ("Z" if i < 29 else ""), b) for i, (a, b) in enumerate(good())]),
        "t.csv",
        Reading(),
        60,
        "taken for UTC",
    ),
    "day first, seen from the data": (
        lines([(f"{1 + i % 28:02d}/{1 + i // 28:02d}/2026", i) for i in range(56)], "date,v"),
        "t.csv",
        Reading(),
        59,
        "masked: 3",
    ),
    "day first, said": (
        lines([(f"0{1 + i % 9}/0{1 + i // 9}/2026", i) for i in range(54)], "date,v"),
        "t.csv",
        Reading(time="date:dayfirst", split=(1, 0, 0)),
        54,
        "gaps of more than 10 missing rows, where the series is cut: 5",
    ),
    "epoch in ms": (
        lines([(1_767_225_600_000 + 60_000 * i, i % 7) for i in range(N)], "timestamp,v"),
        "t.csv",
        Reading(),
        60,
        "one every 1 min",
    ),
    "dates of eight digits": (
        lines([(20260101 + i % 28, i) for i in range(28)], "date,v"),
        "t.csv",
        Reading(),
        28,
        "one every 1 d",
    ),
    "a gap of a year": (
        lines([*good(), *((clock(525_600 + i), i) for i in range(N))]),
        "t.csv",
        Reading(split=(1, 0, 0)),
        120,
        "365 d",
    ),
    "date and word": (lines([(*row, i) for i, row in enumerate(good())], "time,v,time_ms"), "t.csv", Reading(), 60, ""),
    "missing words": (
        lines([(a, b if i % 9 else "n/a") for i, (a, b) in enumerate(good())]),
        "t.csv",
        Reading(),
        60,
        "missing cells: 7",
    ),
    "fractions of a second": (
        lines([(f"2026-01-01 00:00:{i:02d}.5", i) for i in range(N)]),
        "t.csv",
        Reading(),
        60,
        "one every 1 s",
    ),
    "am and pm": (
        lines([(f"2026-01-01 {(i - 1) % 12 + 1}:00 {'AM' if i % 24 < 12 else 'PM'}", i) for i in range(24)]),
        "t.csv",
        Reading(),
        24,
        "one every 1 h",
    ),
}


@pytest.mark.parametrize("case", READ)
def test_what_can_be_read_is_read_and_every_repair_is_said(tmp_path, case):
    content, name, reading, rows, said = READ[case]
    data = read(written(tmp_path, content, name), reading)
    assert data.spec.kind == "series"
    assert data.series.rows == rows
    assert said in " | ".join(data.problems), data.problems
    known = np.concatenate([one.values for one in data.series.series])
    assert np.isfinite(known[~np.isnan(known)]).all()


def test_numbers_written_in_other_ways_are_the_same_numbers(tmp_path):
    known = [(b + 1) * 1000 + 234.5 for _, b in good()]
    for case in ("separated thousands", "thousands with points"):
        content, name, reading, *_ = READ[case]
        assert read(written(tmp_path, content, name), reading).series.series[0].values[:, 0].tolist() == known
    content, name, reading, *_ = READ["percent signs"]
    assert read(written(tmp_path, content, name), reading).series.series[0].values[:, 0].tolist() == [
        b + 0.5 for _, b in good()
    ]


def mutated(data, rng):
    out = bytearray(data)
    match int(rng.integers(4)):
        case 0:
            del out[int(rng.integers(len(out))) :]
        case 1:
            for _ in range(int(rng.integers(1, 6))):
                out[int(rng.integers(len(out)))] = int(rng.integers(256))
        case 2:
            at, to = sorted(rng.integers(0, len(out), 2).tolist())
            out[at:at] = out[at:to]
        case _:
            at = int(rng.integers(len(out)))
            out[at:at] = bytes(rng.choice(list(b',;\n"0129-:. eE+%'), int(rng.integers(1, 9))).tolist())
    return bytes(out)


@pytest.mark.parametrize("reading", [Reading(), SERIES, NAMED, Reading(kind="series", strict=True, scale="robust")])
def test_a_mutated_series_is_read_or_refused_and_nothing_else(tmp_path, reading):
    rng = np.random.default_rng(5)
    data = lines([(a, b, f"{np.sin(i):.3f}") for i, (a, b) in enumerate(good(40))], "time,v,w").encode()
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(150):
            said = ""
            path = written(tmp_path, mutated(data, rng))
            try:
                read(path, reading)
            except InputError as error:
                refused += 1
                said = str(error)
            except Exception as error:
                raise AssertionError(f"mutation {i}: {type(error).__name__}: {error}; kept in {path}") from error
            assert "\n" not in said
    assert 0 < refused < 150
