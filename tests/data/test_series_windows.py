"""Windows of series, the parts in time, the season and the scaling: nothing held out is seen, nothing is lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.data import Reading, Stream, in_order, read
from elboroom.data.columns import RawTable
from elboroom.data.series_parts import by_shares, by_stop
from elboroom.data.series_windows import SeriesWindows


def counted(*lengths):
    """Runs whose values are their own places among all rows."""
    ends = np.cumsum(lengths)
    return [np.arange(e - n, e, dtype=np.float64)[:, None] for n, e in zip(lengths, ends, strict=True)]


def windows(lengths, window=8, stride=0):
    runs = counted(*lengths)
    return SeriesWindows(runs, [int(run[0, 0]) for run in runs], window, stride=stride)


def rows(found):
    return found.take(torch.arange(len(found), device=found.device))


def values(found):
    return rows(found)["x"][..., 0]


LENGTHS = ([40], [41, 3, 8, 1, 19], [5], [8], [9, 7, 16])


@pytest.mark.parametrize("lengths", LENGTHS)
def test_windows_side_by_side_hold_every_row_once(lengths):
    x = values(windows(lengths))
    seen = x[~x.isnan()]
    assert seen.tolist() == list(range(sum(lengths)))
    assert len(x) == sum(-(-n // 8) for n in lengths)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("seed", [None, 0, 1, 2, 5])
def test_a_window_is_consecutive_rows_of_one_run_filled_up_only_in_front(lengths, seed):
    run_of = np.repeat(np.arange(len(lengths)), lengths)
    for stride in (0, 2, 3):
        found = windows(lengths, stride=stride)
        found = found if seed is None else found.epoch(seed)
        for x in values(found).numpy():
            real = x[~np.isnan(x)].astype(int)
            assert np.isnan(x[: 8 - len(real)]).all(), "what is not there comes first"
            assert (np.diff(real) == 1).all()
            assert len(set(run_of[real])) == 1
            assert len(real) == 8 or lengths[run_of[real[0]]] < 8 or stride == 0


@pytest.mark.parametrize("stride", [1, 2, 3, 8])
def test_training_windows_start_every_stride_and_reach_the_end(stride):
    found = windows([41], stride=stride)
    first = values(found)[:, 0].tolist()
    assert first[:-1] == list(range(0, 41 - 8, stride))[: len(first) - 1]
    assert first[-1] == 41 - 8
    covered = set(values(found).flatten().int().tolist())
    assert covered == set(range(41))


def test_each_epoch_begins_elsewhere_by_its_seed_alone():
    found = windows([400, 60], window=16, stride=4)
    starts = [values(found.epoch(seed))[0, 0].item() for seed in range(8)]
    assert starts == [0, 1, 2, 3, 0, 1, 2, 3]
    assert torch.equal(values(found.epoch(7)), values(found.epoch(3)))
    assert values(found)[0, 0] == 0, "the rows themselves stay"
    held = windows([400, 60], window=16)
    assert torch.equal(values(held.epoch(3)).nan_to_num(-1), values(held).nan_to_num(-1)), "held-out windows never move"


def test_a_stream_taken_up_in_the_middle_gives_the_same_batches():
    found = windows([2001], window=16, stride=4)
    whole, resumed = Stream(found, 16, seed=9), Stream(found, 16, seed=9)
    steps = range(2 * whole.steps_per_epoch)
    every = [whole.rows(step)["x"] for step in steps]
    for step in reversed(steps):
        assert torch.equal(resumed.rows(step)["x"], every[step])
    assert not torch.equal(every[0], every[whole.steps_per_epoch])


def test_missing_cells_are_not_observed_and_windows_of_nothing_are_no_rows():
    run = np.column_stack([np.arange(40.0), np.arange(40.0)])
    run[8:16] = np.nan
    run[20, 1] = np.nan
    found = SeriesWindows([run], [100], 8)
    raw = rows(found)
    assert found.fields == ("x", "observed")
    assert raw["x"].shape == raw["observed"].shape == (4, 8, 2)
    assert found.index.tolist() == [100, 116, 124, 132]
    assert int((~raw["observed"]).sum()) == 1
    assert bool(raw["x"][1, 4, 1].isnan())
    assert torch.equal(raw["observed"], ~raw["x"].isnan())


def test_places_are_those_of_the_first_row_that_is_there():
    found = windows([19, 3])
    assert found.index.tolist() == [0, 3, 11, 19]
    assert torch.equal(
        torch.cat([raw["x"] for raw in in_order(found, 2)]).nan_to_num(-1), rows(found)["x"].nan_to_num(-1)
    )


def test_rows_brought_to_a_device_are_the_same_rows():
    found = windows([41, 5], stride=2).epoch(1)
    moved = found.to("cpu")
    assert moved.device == torch.device("cpu")
    assert torch.equal(values(moved).nan_to_num(-1), values(found).nan_to_num(-1))
    assert moved.index.tolist() == found.index.tolist()


# ---- parts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [20, 30, 100, 1000, 4032])
@pytest.mark.parametrize("asked", [(0.8, 0.1, 0.1), (0.5, 0, 0.5), (0.9, 0.1, 0), (1, 0, 0), (0.3, 0.1, 0.2)])
def test_parts_are_in_order_a_window_apart_and_held_out_ones_keep_their_share(n, asked):
    gap = max(4, min(128, n // 10))
    parts = by_shares(n, asked, gap)
    assert list(parts) == [p for p, share in zip(("train", "valid", "test"), asked, strict=True) if share]
    edges = list(parts.values())
    assert edges[0][0] == 0
    assert edges[-1][1] <= n
    for (_, stop), (start, _) in pairwise(edges):
        assert start - stop >= gap
    for part, share in zip(("valid", "test"), asked[1:], strict=True):
        if share:
            assert parts[part][1] - parts[part][0] == max(1, round(share * n))
    if asked[0] + asked[1] + asked[2] == 1:
        assert edges[-1][1] == n
        held = sum(b - a for a, b in edges[1:])
        assert edges[0][1] == n - held - gap * (len(edges) - 1)


def test_counts_are_rows_and_a_series_too_short_is_not_cut():
    assert by_shares(1000, (500, 100, 50), 20) == {"train": (0, 500), "valid": (830, 930), "test": (950, 1000)}
    assert by_shares(10, (0.8, 0.1, 0.1), 4) == {}
    assert by_shares(100, (90, 10, 10), 4) == {}


def test_training_until_a_row_keeps_its_last_tenth_for_validation():
    assert by_stop(1000, 500, 20) == {"train": (0, 410), "valid": (430, 480), "test": (500, 1000)}
    assert by_stop(1000, 30, 20) == {"test": (30, 1000)}
    assert by_stop(500, 500, 20) == {"train": (0, 410), "valid": (430, 480)}


MINUTE = np.timedelta64(1, "m")
START = np.datetime64("2026-01-01T00:00")


def given(x, at=None):
    """A table of these channels, a row a minute."""
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    at = np.arange(len(x)) if at is None else at
    cells = np.array([str(START + int(m) * MINUTE) for m in at], dtype=object)
    names = ["time", *(f"c{i}" for i in range(x.shape[1]))]
    return RawTable("given", names, np.column_stack([np.full(len(x), np.nan), x]), {0: cells})


def from_table(raw, **reading):
    from elboroom.data.series_columns import series_clock
    from elboroom.data.series_reading import read_series

    asked = Reading(**reading)
    timed, clock = series_clock(raw, asked)
    assert timed
    return read_series(raw, asked, clock)


@pytest.mark.parametrize(
    ("until", "stop"),
    [
        ("2026-01-01T08:20", 500),
        ("2026-01-01 08:19:30", 500),
        ("500", 500),
        ("0.5", 500),
        ("0.25", 250),
        ("2025-12-31", None),
        ("1000", None),
        ("2027-01-01", None),
        ("0", None),
        ("1.5", None),
        ("soon", None),
        ("1001", None),
    ],
)
def test_training_ends_at_a_time_a_row_or_a_share(until, stop):
    raw = given(np.arange(1000.0))
    if stop is None:
        with pytest.raises(InputError):
            from_table(raw, train_until=until)
        return
    data = from_table(raw, train_until=until, window=16)
    (parts,) = data.series.stretches
    assert parts == by_stop(1000, stop, 16)
    assert parts["test"] == (stop, 1000)
    assert f"training until {until}" in data.split_how


def test_no_held_out_row_is_in_a_training_window_and_none_is_nearer_than_a_window():
    data = from_table(given(np.arange(2000.0)), window=32)
    seen = set()
    for seed in range(8):
        seen |= set(values(data.parts["train"].epoch(seed)).flatten().int().tolist())
    for part in ("valid", "test"):
        held = values(data.parts[part])
        held = set(held[~held.isnan()].int().tolist())
        assert len(held) == 200
        assert min(held) - max(r for r in seen if r < max(held)) > 32
    assert seen == set(range(2000 - 400 - 64))


def test_a_window_never_crosses_a_gap():
    at = np.concatenate([np.arange(300), np.arange(400, 420), np.arange(1000, 1700)])
    data = from_table(given(at.astype(float), at), window=32, split=(1, 0, 0))
    assert [b - a for a, b in data.series.series[0].segments] == [300, 20, 700]
    for seed in range(9):
        x = values(data.parts["train"].epoch(seed))
        assert bool((x.diff(dim=1)[~x.diff(dim=1).isnan()] == 1).all())
    short = [x for x in values(data.parts["train"]) if x.isnan().any()]
    assert len(short) == 1
    assert short[0][12:].tolist() == list(range(400, 420)), "the short segment is not lost"


def test_each_series_of_a_group_is_cut_alike_and_short_ones_are_trained_on():
    lengths = [600, 400, 12]
    x = np.concatenate([np.arange(n) for n in lengths]).astype(float)
    raw = given(x, np.concatenate([np.arange(n) for n in lengths]))
    raw.names.append("who")
    raw.numbers = np.column_stack([raw.numbers, np.repeat([1.0, 2.0, 3.0], lengths)])
    data = from_table(raw, group_by="who", window=16)
    assert data.series.stretches == [
        by_shares(600, (0.8, 0.1, 0.1), 16),
        by_shares(400, (0.8, 0.1, 0.1), 16),
        {"train": (0, 12)},
    ]
    assert "series too short to be cut, trained on as a whole: 1 of 3" in data.problems
    known = data.parts["valid"].index
    assert known.min() >= data.series.stretches[0]["valid"][0]
    assert known.max() >= 600 + data.series.stretches[1]["valid"][0], "places go on from series to series"
    with pytest.raises(InputError, match="12 rows are too few to train on, with a window of 16 rows left out"):
        from_table(given(np.arange(12.0)), window=16)


def test_times_to_train_until_hold_for_every_series_by_its_own_clock():
    raw = given(np.arange(1000.0) % 500, np.concatenate([np.arange(500), np.arange(500) + 100]))
    raw.names.append("who")
    raw.numbers = np.column_stack([raw.numbers, np.repeat([1.0, 2.0], 500)])
    data = from_table(raw, group_by="who", window=16, train_until="2026-01-01T05:00")
    assert [s["test"][0] for s in data.series.stretches] == [300, 200]
    assert data.series.train_stop(1) == by_stop(500, 200, 16)["train"][1]


# ---- scaling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["standard", "robust", "none"])
def test_scaling_is_fitted_on_the_observed_training_rows_alone_and_undone(scale):
    rng = np.random.default_rng(0)
    x = rng.normal([5, -3e6, 0], [2, 10, 1], (1500, 3))
    x[rng.random(x.shape) < 0.1] = np.nan
    x[1200:] += 1e4  # what comes later has no say
    data = from_table(given(x), window=20, scale=scale)
    train = x[slice(*data.series.stretches[0]["train"])]
    middle, width = {
        "standard": (np.nanmean(train, axis=0), np.nanstd(train, axis=0)),
        "robust": (
            np.nanmedian(train, axis=0),
            1.4826 * np.nanmedian(np.abs(train - np.nanmedian(train, axis=0)), axis=0),
        ),
        "none": (np.zeros(3), np.ones(3)),
    }[scale]
    assert data.transform.center.numpy() == pytest.approx(middle, rel=1e-12)
    assert data.transform.spread.numpy() == pytest.approx(width, rel=1e-6)
    raw = rows(data.parts["test"])
    batch = data.transform(raw)
    assert batch.x.dtype == torch.float32
    assert torch.equal(batch.observed, ~raw["x"].isnan())
    assert bool((batch.x[~batch.observed] == 0).all()), "what is missing holds 0"
    back = data.transform.undo(batch.x)[batch.observed].numpy()
    assert back == pytest.approx(raw["x"][batch.observed].numpy(), rel=1e-6)


def test_a_channel_that_mostly_stands_still_is_scaled_by_its_standard_deviation():
    x = np.zeros((400, 2))
    x[::10, 0] = 1
    x[:, 1] = np.r_[np.zeros(350), np.ones(50)]
    data = from_table(given(x), window=16, scale="robust")
    train = x[slice(*data.series.stretches[0]["train"])]
    assert float(data.transform.spread[0]) == pytest.approx(train[:, 0].std(), rel=1e-6)
    assert float(data.transform.spread[1]) == 1
    assert "1 column never vary in the training part: 'c1'" in data.problems


# ---- real series ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "step", "day"),
    [
        ("realKnownCause/nyc_taxi", 10320, "30 min", 48),
        ("artificialWithAnomaly/art_daily_jumpsup", 4032, "5 min", 288),
        ("realKnownCause/ambient_temperature_system_failure", None, "1 h", None),
        ("realTraffic/speed_7578", None, "5 min", None),
        ("realTweets/Twitter_volume_AAPL", None, "5 min", None),
    ],
)
def test_series_of_the_numenta_benchmark_are_read_as_they_are(real_data, name, rows, step, day):
    path = real_data / "nab" / f"{name}.csv"
    data = read(path)
    (found,) = data.series.series
    assert data.series.step_words == step
    assert rows is None or len(found) == rows
    assert day is None or data.series.period in (day, 7 * day)
    written = [line.partition(",") for line in path.read_text().splitlines()[1:]]
    v = np.array([float(b) for _, _, b in written])
    if not any("averaged" in said for said in data.problems):
        assert np.array_equal(found.values[found.row_of, 0], v)


def test_a_labelled_series_without_times_is_read(real_data):
    (path,) = (real_data / "tsb_ad_u").glob("001_*.csv")
    data = read(path, Reading(kind="series", label="Label", train_until="1007"))
    (found,) = data.series.series
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    assert np.array_equal(found.values[:, 0], table[:, 0])
    assert np.array_equal(found.labels, table[:, 1] == 1)
    assert data.series.stretches[0]["test"] == (1007, 4031)
