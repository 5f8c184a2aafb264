"""Which column holds times, and what its cells say: against Python's own datetime."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.data.columns import RawTable
from elboroom.data.times import YEAR_FIRST, _fields, find_clock, place, read_time, settled, span, with_index


def table(**columns):
    """A table of these columns, texts and numbers."""
    names = list(columns)
    n = len(next(iter(columns.values())))
    numbers, text = np.full((n, len(names)), np.nan), {}
    for i, cells in enumerate(columns.values()):
        if any(isinstance(c, str) for c in cells):
            text[i] = np.array(cells, dtype=object)
        else:
            numbers[:, i] = cells
    return RawTable("the table", names, numbers, text)


def clock(**columns):
    raw = table(**columns)
    return find_clock(raw, raw.names)


def since_1970(when):
    """Nanoseconds, by whole numbers."""
    whole = when.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * 10**9 + whole.microseconds * 1000


WHEN = [
    datetime(1678, 1, 1),
    datetime(1969, 12, 31, 23, 59, 59),
    datetime(2000, 2, 29, 12, 0, 1),
    datetime(2026, 1, 31, 8, 5, 9),
    datetime(2100, 3, 1, 0, 30),
    datetime(2261, 12, 31, 23, 59, 59),
]


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y/%m/%d %H:%M:%S",
        "%Y.%m.%d %H:%M:%S",
        "%Y-%m-%d %I:%M:%S %p",
        "%d/%m/%Y %H:%M:%S",
        "%d.%m.%Y %H:%M:%S",
        "%d-%m-%Y %I:%M:%S%p",
    ],
)
def test_times_are_those_of_the_calendar_however_they_are_written(form):
    found = clock(when=[t.strftime(form) for t in WHEN], v=range(len(WHEN)))
    assert found.read.all()
    assert found.ns.tolist() == [since_1970(t) for t in WHEN]
    assert found.zone == ""


def test_month_first_is_seen_from_a_day_above_12():
    found = clock(d=["01/31/2026", "02/01/2026", "02/02/2026"], v=[1, 2, 3])
    assert [str(t)[:10] for t in found.ns.astype("datetime64[ns]")] == ["2026-01-31", "2026-02-01", "2026-02-02"]
    assert found.order == "monthfirst"


def test_a_date_that_two_readings_fit_is_asked_about_with_both_named():
    raw = table(date=["01/02/2026", "02/02/2026", "03/02/2026"], v=[1, 2, 3])
    found = find_clock(raw, raw.names)
    with pytest.raises(InputError) as caught:
        settled(raw, found)
    assert "day 01 of month 02, or day 02 of month 01" in str(caught.value)
    assert "--time date:dayfirst or --time date:monthfirst" in str(caught.value)
    days = find_clock(raw, raw.names, "date:dayfirst")
    months = find_clock(raw, raw.names, "date:monthfirst")
    assert np.diff(settled(raw, days).ns).tolist() == [86_400 * 10**9] * 2
    assert [str(t)[:7] for t in settled(raw, months).ns.astype("datetime64[ns]")] == ["2026-01", "2026-02", "2026-03"]
    with pytest.raises(InputError, match="dayfirst or monthfirst"):
        find_clock(raw, raw.names, "date:yearfirst")


def test_the_same_number_twice_is_no_doubt():
    found = clock(date=["01/01/2026", "02/02/2026", "03/03/2026"], v=[1, 2, 3])
    assert not found.doubt


def test_fractions_of_a_second_are_kept_to_the_nanosecond():
    found = clock(
        time=["2026-01-01 00:00:00.5", "2026-01-01 00:00:00,123456789", "2026-01-01 00:00:00.1234567891"], v=[1, 2, 3]
    )
    assert (found.ns % 10**9).tolist() == [500_000_000, 123_456_789, 123_456_789]


@pytest.mark.parametrize("tail", ["", ":05", ":05.5", ":05.123456789012", "Z", ":05+02:00", ":05.25-0330", " PM"])
def test_cells_written_alike_are_read_at_once_as_they_are_one_by_one(tail):
    cells = [f"20{i % 100:02d}-{i % 14:02d}-{i % 33:02d} {i % 27:02d}:{i % 61:02d}{tail}" for i in range(500)]
    one_by_one = np.concatenate([_fields([cell], YEAR_FIRST) for cell in cells])
    assert np.array_equal(_fields(cells, YEAR_FIRST), one_by_one)
    cells[250] = "x" * len(cells[0])
    assert _fields(cells, YEAR_FIRST)[:, 8].tolist() == [1] * 250 + [0] + [1] * 249


def test_one_zone_is_kept_and_several_are_brought_to_utc_and_told():
    one = clock(time=["2026-01-01T10:00:00+02:00", "2026-01-01T11:00:00+0200", "2026-01-01T12:00:00+02"], v=[1, 2, 3])
    assert one.zone == "+02:00"
    assert one.ns[0] == since_1970(datetime(2026, 1, 1, 10))
    assert not one.problems
    zones = [timezone(timedelta(hours=h, minutes=m)) for h, m in ((2, 0), (-3, -30), (0, 0))]
    when = [datetime(2026, 1, 1, 10, tzinfo=zone) for zone in zones]
    several = clock(time=[t.isoformat() for t in when], v=[1, 2, 3])
    assert several.zone == "UTC"
    assert several.ns.tolist() == [int(t.timestamp()) * 10**9 for t in when]
    assert several.problems == ["times are written in 3 time zones: brought to UTC"]
    mixed = clock(time=["2026-01-01T10:00Z", "2026-01-01T11:00", "2026-01-01T12:00Z"], v=[1, 2, 3])
    assert mixed.zone == "UTC"
    assert "1 name none and are taken for UTC" in mixed.problems[0]


@pytest.mark.parametrize(
    "cell",
    [
        "2026-02-30",
        "2025-02-29 10:00",
        "2026-13-01",
        "0000-01-01",
        "99999-01-01",
        "1677-12-31",
        "2262-01-01",
        "2026-01-01 24:00",
        "2026-01-01 10:60",
        "2026-01-01 10:00:60",
        "2026-01-01 13:00 PM",
        "2026-01",
        "yesterday",
        "2026-01/02",
        "12:30",
        "",
    ],
)
def test_what_is_no_time_is_not_read_and_refused_where_it_was_named(cell):
    good = [f"2026-03-{d:02d}" for d in range(1, 30)]
    raw = table(when=[*good, cell or None, "2026-04-01"], v=range(31))
    found = find_clock(raw, raw.names)
    assert found.read.tolist() == [True] * 29 + [False, True]
    assert "1 row has no time that can be read in column 'when': left out (first: row 29)" in found.problems
    with pytest.raises(
        InputError, match=r"the table: row 29, column 'when': .* is no time that can be read; give 2026-01-31"
    ):
        find_clock(raw, raw.names, "when")


def test_a_column_is_a_clock_from_95_percent_on():
    cells = [f"2026-03-01 00:{i:02d}" for i in range(57)]
    assert clock(when=[*cells, "x", "y", "z"], v=range(60)).read.sum() == 57
    assert clock(when=[*cells[:56], "w", "x", "y", "z"], v=range(60)) is None


@pytest.mark.parametrize("unit", [1, 1e3, 1e6])
def test_counts_since_1970_are_told_by_their_size(unit):
    t = np.array([1_700_000_000.25, 1_700_000_060.5, 1_700_000_121.75])
    found = clock(timestamp=t * unit, v=[1, 2, 3])
    assert found.ns.tolist() == [int(x * 4) * 250_000_000 for x in t]
    assert clock(load=t * unit, v=[1, 2, 3]) is None, "by their name as well"
    assert find_clock(table(load=t * unit), ["load"], "load").ns.tolist() == found.ns.tolist()


def test_nanoseconds_and_dates_of_eight_digits_are_read():
    assert clock(ts=[1_700_000_000_000_000_000, 1_700_000_060_000_000_000], v=[1, 2]).ns[1] == 1_700_000_060 * 10**9
    days = clock(date=[20260131, 20260201, 20260202], v=[1, 2, 3])
    assert days.ns[0] == since_1970(datetime(2026, 1, 31))
    assert np.diff(days.ns).tolist() == [86_400 * 10**9] * 2


@pytest.mark.parametrize(
    "values", [[0, 1, 2], [0.1, 0.2, 0.3], [1e12, 1e15, 1e18], [-5, -4, -3], [20261301, 20261302, 20261303]]
)
def test_other_numbers_are_no_times_whatever_their_name(values):
    assert clock(time=values, v=[1, 2, 3]) is None
    raw = table(time=values, v=[1, 2, 3])
    with pytest.raises(InputError, match=r"row 0, column 'time': .* is no time"):
        find_clock(raw, raw.names, "time")


def test_of_two_clocks_the_one_called_time_counts_and_else_the_user_is_asked():
    a, b = (["2026-01-01", "2026-01-02"], ["2026-02-01", "2026-02-02"])
    assert clock(updated=b, timestamp=a, v=[1, 2]).name == "timestamp"
    for names in (("start", "end"), ("time", "date")):
        with pytest.raises(InputError, match=f"columns '{names[0]}' and '{names[1]}' hold times; say which one counts"):
            clock(**dict(zip(names, (a, b), strict=True)), v=[1, 2])
    raw = table(start=a, end=b, v=[1, 2])
    assert find_clock(raw, raw.names, "end").slot == 1
    assert find_clock(raw, raw.names, apart=["start"]).name == "end"
    with pytest.raises(InputError, match="there is no such column; did you mean 'start'"):
        find_clock(raw, raw.names, "stat")


def test_the_place_of_a_row_in_a_file_is_its_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"x\ny"\n\n2,z\n')
    raw = RawTable(str(path), ["a", "b"], np.zeros((2, 2)))
    assert [place(raw, row) for row in (0, 1)] == ["line 3", "line 5"]
    assert place(RawTable("memory", ["a"], np.zeros((2, 1))), 1) == "row 1"


@pytest.mark.parametrize(
    ("ns", "said"),
    [
        (300 * 10**9, "5 min"),
        (86_400 * 10**9, "1 d"),
        (5400 * 10**9, "1.5 h"),
        (10**8, "100 ms"),
        (2500, "2.5 us"),
        (7, "7 ns"),
    ],
)
def test_lengths_of_time_are_written_in_the_largest_unit_they_fill(ns, said):
    assert span(ns) == said


def test_a_time_on_its_own_is_read_with_its_zone():
    assert read_time("2026-01-01T12:00") == (since_1970(datetime(2026, 1, 1, 12)), None)
    assert read_time("2026-01-01T12:00-01:30") == (since_1970(datetime(2026, 1, 1, 12)), -90)
    assert read_time("noon") is None


def test_the_index_of_a_frame_becomes_its_first_column_where_it_holds_times():
    pandas = pytest.importorskip("pandas")
    when = pandas.date_range("2026-01-01", periods=3, freq="h")
    frame = pandas.DataFrame({"time": [1, 2, 3]}, index=when)
    assert list(with_index(frame).columns) == ["time_index", "time"]
    assert list(with_index(frame["time"]).columns) == ["time_index", "time"]
    plain = pandas.DataFrame({"v": [1, 2, 3]})
    assert with_index(plain) is plain
    assert list(frame.columns) == ["time"], "what was given is not changed"
