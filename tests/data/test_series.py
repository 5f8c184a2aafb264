"""Series on their grid: sorted, averaged, masked, cut, never filled; against direct counts of what was written."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError, Unable
from elboroom.data import Reading, read
from elboroom.data.series import GAP

ALL = Reading(split=(1, 0, 0), window=4)
MINUTE = np.timedelta64(1, "m")
START = np.datetime64("2026-01-01T00:00")


def csv(folder, rows, head="time,v", name="t.csv"):
    """A file of these rows; a cell of None is empty."""
    path = folder / name
    cells = [",".join("" if c is None else str(c) for c in row) for row in rows]
    path.write_text("\n".join([head, *cells]) + "\n")
    return path


def minutes(*at):
    return [str(START + int(m) * MINUTE) for m in at]


def one(data):
    assert len(data.series.series) == 1
    return data.series.series[0]


def wave(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(n) * 0.7) + 0.1 * rng.normal(size=n)


def test_an_even_series_is_kept_as_it_is(tmp_path):
    v = wave(50)
    data = read(csv(tmp_path, zip(minutes(*range(50)), v, strict=True)), ALL)
    found = one(data)
    assert found.values[:, 0].tolist() == v.tolist()
    assert found.times.tolist() == (START + np.arange(50) * MINUTE).astype("datetime64[ns]").tolist()
    assert found.segments == [(0, 50)]
    assert found.step == 60 * 10**9
    assert found.row_of.tolist() == found.rows.tolist() == list(range(50))
    assert found.labels is None
    assert data.spec.kind == "series"
    assert data.spec.shape == (4, 1)
    assert data.spec.masked
    assert [c.name for c in data.spec.columns] == ["v"]
    assert data.problems[0].startswith(
        "read as a series by the times in column 'time': 50 rows, one every 1 min, from "
    )
    assert len(data.problems) == 2, data.problems  # the second speaks of the period


def test_rows_out_of_order_are_sorted_and_repeated_times_averaged_both_counted(tmp_path):
    at = [0, 1, 3, 2, 4, 4, 5, 6, 4]
    v = [0, 1, 3, 2, 10, 20, 5, 6, None]
    data = read(csv(tmp_path, zip(minutes(*at), v, strict=True)), ALL)
    found = one(data)
    assert found.values[:, 0].tolist() == [0, 1, 2, 3, 15, 5, 6]
    assert found.row_of.tolist() == at
    assert "rows out of the order of time, sorted: 2" in data.problems
    assert "rows that repeat the time of another, averaged with it: 2" in data.problems
    with pytest.raises(InputError, match="rows that repeat the time of another: 2; --strict refuses them"):
        read(csv(tmp_path, zip(minutes(*at), [*v[:-1], 7], strict=True)), Reading(strict=True, split=(1, 0, 0)))


@pytest.mark.parametrize("seed", range(6))
def test_missing_rows_are_masked_up_to_ten_and_cut_the_series_beyond(tmp_path, seed):
    rng = np.random.default_rng(seed)
    there = np.ones(400, bool)
    for start in rng.choice(np.arange(20, 380), 8, replace=False):
        there[start : start + rng.integers(1, 2 * GAP)] = False
    there[[0, 1, 2, 399]] = True
    at, v = np.flatnonzero(there), wave(400, seed)
    data = read(csv(tmp_path, zip(minutes(*at), v[at], strict=True)), ALL)
    found = one(data)
    # run by run, without the code's arithmetic: a hole of k rows stays if k <= GAP
    expected, holes, masked, segments, begin = [v[at[0]]], 0, 0, [], 0
    for a, b in pairwise(at):
        hole = b - a - 1
        if hole > GAP:
            segments.append((begin, len(expected)))
            begin = len(expected)
            holes += 1
        else:
            expected += [np.nan] * hole
            masked += hole
        expected.append(v[b])
    segments.append((begin, len(expected)))
    assert np.array_equal(found.values[:, 0], expected, equal_nan=True)
    assert found.segments == segments
    assert holes > 0 and masked > 0
    assert any(p == f"rows missing in stretches of at most {GAP}, masked: {masked}" for p in data.problems)
    assert any(
        p.startswith(f"gaps of more than {GAP} missing rows, where the series is cut: {holes} (") for p in data.problems
    )
    assert np.array_equal(found.times[found.row_of], (START + at * MINUTE).astype("datetime64[ns]"))


def test_missing_cells_stay_missing_and_are_told_with_their_place(tmp_path):
    v = [None if i in (3, 4, 17) else i for i in range(30)]
    data = read(csv(tmp_path, zip(minutes(*range(30)), v, strict=True)), ALL)
    assert np.flatnonzero(np.isnan(one(data).values[:, 0])).tolist() == [3, 4, 17]
    assert "missing cells: 3 (10.00%; first: line 5, column 'v'): masked" in data.problems
    with pytest.raises(InputError, match=r"missing cells: 3 \(first: line 5, column 'v'\); --strict refuses them"):
        read(csv(tmp_path, zip(minutes(*range(30)), v, strict=True)), Reading(strict=True))


def seconds(t):
    """Times written to the millisecond."""
    return [str(START.astype("datetime64[ms]") + np.timedelta64(round(x * 1000), "ms")) for x in t]


@pytest.mark.parametrize(("drift", "jitter"), [(0.0, 2.5), (0.02, 0.0), (0.02, 2.5)])
def test_a_clock_that_trembles_or_drifts_gives_a_row_a_time_without_holes(tmp_path, drift, jitter):
    rng = np.random.default_rng(1)
    n = 3000
    t = np.arange(n) * (60 + drift) + rng.uniform(-jitter, jitter, n) + 10
    data = read(csv(tmp_path, zip(seconds(t), wave(n), strict=True)), ALL)
    found = one(data)
    assert len(found) == n
    assert found.row_of.tolist() == list(range(n))
    assert not np.isnan(found.values).any()
    off = (found.times.astype(np.int64) - START.astype("datetime64[ns]").astype(np.int64)) / 1e9 - t
    assert np.abs(off).max() <= 2 * jitter + 0.05
    assert abs(found.step / 1e9 - 60) < 0.5
    assert not any("off the grid" in p for p in data.problems)


def test_uneven_times_are_resampled_as_means_of_what_falls_into_a_row(tmp_path):
    rng = np.random.default_rng(2)
    t = np.cumsum(rng.exponential(60, 2000))
    t = np.round(t, 3)
    v = wave(2000)
    data = read(csv(tmp_path, zip(seconds(t), v, strict=True)), ALL)
    found = one(data)
    step = np.median(np.diff(t))
    assert found.step / 1e9 == pytest.approx(step, abs=1e-6)
    seen = 0
    for a, b in found.segments:
        first = t[found.row_of == a][0]
        for row in range(a, b):
            inside = found.row_of == row
            middle = first + (row - a) * step
            near = np.abs(t - middle) <= step / 2 + 1e-9
            assert np.array_equal(inside, inside & near)
            seen += inside.sum()
            mean = v[inside].mean() if inside.any() else np.nan
            assert found.values[row, 0] == pytest.approx(mean, abs=1e-12, nan_ok=True)
    assert seen == 2000
    assert any("fell together: averaged" in p for p in data.problems)


def test_a_gap_of_a_year_takes_no_memory(tmp_path):
    rows = [
        *zip(minutes(*range(40)), wave(40), strict=True),
        *zip(minutes(*range(525_600, 525_640)), wave(40), strict=True),
    ]
    found = one(data := read(csv(tmp_path, rows), ALL))
    assert found.values.shape == (80, 1)
    assert found.segments == [(0, 40), (40, 80)]
    assert found.times[40] == START + 525_600 * MINUTE
    assert any("the longest 365 d" in p for p in data.problems)


@pytest.mark.parametrize(("unit", "count"), [("M", 120), ("Y", 60), ("W", 80)])
def test_months_and_years_are_even_enough(tmp_path, unit, count):
    t = (np.datetime64("1950", unit) + np.arange(count)).astype("datetime64[D]")
    found = one(read(csv(tmp_path, zip(t, wave(count), strict=True)), ALL))
    assert len(found) == count
    assert found.segments == [(0, count)]
    assert np.abs(found.times - t).max() < np.timedelta64(4, "D")


def test_three_centuries_of_years_are_read(tmp_path):
    t = [f"{year}-01-01" for year in range(1700, 2009)]
    found = one(read(csv(tmp_path, zip(t, wave(309), strict=True)), ALL))
    assert len(found) == 309
    assert str(found.times[0])[:4] == "1700"
    assert str(found.times[-1])[:10] == "2008-01-01"


def test_working_days_leave_masked_weekends(tmp_path):
    days = np.arange(np.datetime64("2026-01-05"), np.datetime64("2026-03-30"))
    days = days[np.is_busday(days)]
    found = one(read(csv(tmp_path, zip(days, wave(len(days)), strict=True)), ALL))
    assert np.isnan(found.values[:, 0]).sum() == 2 * 11
    assert np.is_busday(found.times[~np.isnan(found.values[:, 0])].astype("datetime64[D]")).all()


def test_each_group_is_a_series_of_its_own_with_one_step(tmp_path):
    rows = []
    for i in range(40):
        rows.append((minutes(i)[0], "b", i))
        if i < 25:
            rows.append((minutes(i + 7)[0], "a", -i))
        if i < 3:
            rows.append((minutes(i)[0], None, 99))
    data = read(csv(tmp_path, rows, "time,who,v"), Reading(group_by="who", split=(1, 0, 0), window=4))
    a, b = data.series.series
    assert (a.name, b.name) == ("a", "b")
    assert a.values[:, 0].tolist() == [-i for i in range(25)]
    assert b.values[:, 0].tolist() == list(range(40))
    assert a.times[0] == START + 7 * MINUTE
    assert [rows[i][2] for i in a.rows] == a.values[a.row_of, 0].tolist()
    assert "rows without a value in column 'who', left out: 3" in data.problems
    assert data.series.identifiers["who"][b.rows].tolist() == ["b"] * 40
    rows += [(minutes(5 * i)[0], "c", i) for i in range(10)]
    with pytest.raises(InputError, match="series 'c' has a row every 5 min and others have one every 1 min"):
        read(csv(tmp_path, rows, "time,who,v"), Reading(group_by="who"))


def test_numbered_groups_are_in_numerical_order(tmp_path):
    rows = [(minutes(i)[0], g, i) for g in (10, 9, 2) for i in range(20)]
    data = read(csv(tmp_path, rows, "time,unit,v"), Reading(group_by="unit", split=(1, 0, 0), window=4))
    assert [s.name for s in data.series.series] == ["2", "9", "10"]


def test_what_is_no_channel_is_left_out_and_told(tmp_path):
    rows = [
        (t, i, v, 7, "ok" if i % 3 else "bad", None, i % 2)
        for i, (t, v) in enumerate(zip(minutes(*range(30)), wave(30), strict=True))
    ]
    data = read(csv(tmp_path, rows, "time,id,v,flat,state,none,switch"), ALL)
    assert data.series.channels == ("v", "switch")
    said = " | ".join(data.problems)
    assert "columns of one value, kept apart: 'flat' (7)" in said
    assert "column 'state' holds text (2 different; --group-by state reads a series for each): left out" in said
    assert "column 'none' has no value: left out" in said
    assert "column 'id' numbers the rows or holds times: left out" in said
    chosen = read(
        csv(tmp_path, rows, "time,id,v,flat,state,none,switch"), Reading(columns=("flat", "v"), split=(1, 0, 0))
    )
    assert chosen.series.channels == ("flat", "v")
    for wrong, why in (("state", "holds text"), ("vv", "no such column; did you mean 'v'"), ("time", "another use")):
        with pytest.raises(InputError, match=why):
            read(csv(tmp_path, rows, "time,id,v,flat,state,none,switch"), Reading(columns=(wrong,), time="time"))


def test_a_series_of_one_value_is_read_and_said_to_teach_nothing(tmp_path):
    data = read(csv(tmp_path, [(t, 3) for t in minutes(*range(40))]), ALL)
    assert data.series.channels == ("v",)
    assert "no column ever varies: there is nothing to learn" in data.problems


def test_labels_stay_beside_and_a_missing_row_within_an_anomaly_belongs_to_it(tmp_path):
    at = [i for i in range(40) if i not in (11, 12, 25)]
    for yes, no in (("1", "0"), ("true", "False"), ("1.0", "0")):
        rows = [(minutes(i)[0], i % 7, yes if 10 <= i <= 14 or i == 24 else no) for i in at]
        data = read(csv(tmp_path, rows, "time,v,bad"), Reading(label="bad", split=(1, 0, 0), window=4))
        assert data.series.channels == ("v",)
        assert np.flatnonzero(one(data).labels).tolist() == [10, 11, 12, 13, 14, 24]
        assert "rows of the training stretch that are labelled as anomalies: 6" in data.problems
    rows[3] = (*rows[3][:2], "maybe")
    with pytest.raises(InputError, match="line 5, column 'bad': 'maybe' says not whether the row is an anomaly"):
        read(csv(tmp_path, rows, "time,v,bad"), Reading(label="bad"))


def test_without_times_rows_are_one_step_apart(tmp_path):
    x = np.column_stack([wave(60), wave(60, 1)])
    path = csv(tmp_path, x, "a,b")
    assert read(path).spec.kind == "table", "numbers alone are a table unless a series is asked for"
    data = read(path, Reading(kind="series", split=(1, 0, 0)))
    assert one(data).times is None
    assert np.array_equal(one(data).values, x)
    assert data.series.step_words == "1 row"
    counted = csv(tmp_path, np.column_stack([np.arange(60) * 0.5, x]), "t,a,b")
    assert read(counted, Reading(kind="series", split=(1, 0, 0))).series.channels == ("a", "b")


@pytest.mark.parametrize(("cell", "said"), [("inf", "infinite"), ("-1e999", "infinite"), ("1e308", "above 1e[+]30")])
def test_numbers_that_cannot_be_computed_with_are_refused_with_line_and_column(tmp_path, cell, said):
    v = [*range(20), cell, *range(19)]
    with pytest.raises(InputError, match=rf"t\.csv: line 22, column 'v': the value is {said}"):
        read(csv(tmp_path, zip(minutes(*range(40)), v, strict=True)))


def test_a_table_of_repeated_times_stays_a_table_and_says_how_it_would_be_a_series(tmp_path):
    rows = [(minutes(i)[0], f"s{k}", wave(1, i)[0]) for i in range(30) for k in range(4)]
    path = csv(tmp_path, rows, "time,sensor,v")
    data = read(path)
    assert data.spec.kind == "table"
    assert any("only 30 of 120 are different: read as a table" in p for p in data.problems)
    assert len(read(path, Reading(group_by="sensor", split=(1, 0, 0))).series.series) == 4
    assert read(path, Reading(kind="series", split=(1, 0, 0))).series.rows == 30


def test_a_table_of_dated_rows_with_classes_stays_a_table(tmp_path):
    rows = [(minutes(i)[0], i % 7, "abc"[i % 3]) for i in range(60)]
    data = read(csv(tmp_path, rows, "time,v,class"), Reading(label="class"))
    assert data.spec.classes == ("a", "b", "c")
    assert any("labels other than 0 and 1: read as a table" in p for p in data.problems)


def test_kind_and_flags_decide_and_what_means_nothing_is_refused(tmp_path):
    path = csv(tmp_path, zip(minutes(*range(40)), wave(40), strict=True))
    assert read(path, Reading(kind="table")).spec.kind == "table"
    assert "--kind table reads a table" in read(path).problems[0]
    assert "--kind table" not in read(path, Reading(time="time")).problems[0]
    with pytest.raises(InputError, match="--tokenizer means nothing for series"):
        read(path, Reading(tokenizer="char"))
    with pytest.raises(InputError, match="--scale log1p: no scale for series; known: standard, robust, none"):
        read(path, Reading(scale="log1p"))
    with pytest.raises(
        InputError, match="--train-until means nothing for table; leave it out; --kind series reads one"
    ):
        read(np.ones((30, 2)), Reading(train_until="0.5"))
    with pytest.raises(Unable, match="--kind series: these data are read as text"):
        read(["all the words there are"], Reading(kind="series"))


def frames(values, times):
    """The same series as files and objects."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pandas.DataFrame({"time": times, "a": values[:, 0], "b": values[:, 1]})
    yield frame
    yield frame.set_index("time")
    yield polars.DataFrame({"time": times, "a": values[:, 0], "b": values[:, 1]})


def test_the_same_series_gives_the_same_fingerprint_whatever_holds_it(tmp_path):
    values = np.column_stack([wave(50), wave(50, 1)])
    times = (START + np.arange(50) * MINUTE).astype("datetime64[ns]")
    known = read(csv(tmp_path, zip(times, *values.T.tolist(), strict=True), "time,a,b"), ALL)
    assert known.series.rows == 50
    for given in frames(values, times):
        data = read(given, ALL)
        assert data.fingerprint == known.fingerprint
        assert data.spec == known.spec
    parquet = tmp_path / "t.parquet"
    next(iter(frames(values, times))).to_parquet(parquet)
    assert read(parquet, ALL).fingerprint == known.fingerprint
    values[7, 1] += 1e-9
    assert read(next(iter(frames(values, times))), ALL).fingerprint != known.fingerprint
    values[7, 1] -= 1e-9
    assert read(next(iter(frames(values, times + 1))), ALL).fingerprint != known.fingerprint


def test_numbers_from_memory_are_a_series_with_time_first():
    v = wave(60)
    kind = Reading(kind="series", split=(1, 0, 0))
    known = read(v[:, None], kind)
    for given in (v, v.tolist(), torch.from_numpy(v)):
        assert read(given, kind).fingerprint == known.fingerprint
    assert known.series.channels == ("x0",)
    assert not known.named
