"""New series for an existing run: its channels by name, its step, its way to read dates; all of them one part."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.data import Reading, read, read_like, transform_from_json

MINUTE = np.timedelta64(1, "m")
START = np.datetime64("2026-01-01T00:00")


def csv(folder, rows, head="time,v", name="t.csv"):
    path = folder / name
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def minutes(*at):
    return [str(START + int(m) * MINUTE) for m in at]


def wave(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(n) * 0.7) + 0.1 * rng.normal(size=n)


def run_of(source, reading=None):
    data = read(source, reading)
    saved = json.loads(json.dumps(data.to_json(), allow_nan=False))
    transform = transform_from_json(saved["transform"])
    transform.load_state_dict(data.transform.state_dict())
    return data, saved, transform


def two(n, start=0):
    return [
        (t, *v) for t, v in zip(minutes(*range(start, start + n)), np.column_stack([wave(n), wave(n, 1)]), strict=True)
    ]


def test_the_data_of_the_run_read_again_are_the_same_and_whole(tmp_path):
    path = csv(tmp_path, two(300), "time,a,b")
    data, saved, transform = run_of(path)
    again = read_like(path, saved, transform)
    assert list(again.parts) == ["all"]
    assert again.fingerprint == data.fingerprint
    assert again.series.period == data.series.period
    rows = again.parts["all"]
    x = rows.take(torch.arange(len(rows)))
    assert int(x["observed"].sum()) == 600, "every cell once"
    assert again.series.stretches == [{"all": (0, 300)}]


def test_new_series_are_matched_by_name_and_need_the_same_channels_and_step(tmp_path):
    _, saved, transform = run_of(csv(tmp_path, two(300), "time,a,b"))
    swapped = [(t, b, a, "x") for t, a, b in two(50, 1000)]
    new = read_like(csv(tmp_path, swapped, "time,b,a,note", "new.csv"), saved, transform)
    assert new.series.channels == ("a", "b")
    assert new.series.series[0].values.tolist() == [list(row[1:]) for row in two(50, 1000)]
    assert "columns unknown to the run, left out: 'note'" in new.problems
    with pytest.raises(InputError, match="1 of the run's 2 channels are not here: 'b'"):
        read_like(csv(tmp_path, [row[:2] for row in two(50)], "time,a"), saved, transform)
    slow = [(t, *row[1:]) for t, row in zip(minutes(*range(0, 250, 5)), two(50), strict=True)]
    with pytest.raises(InputError, match="the data have a row every 5 min and the run was trained on one every 1 min"):
        read_like(csv(tmp_path, slow, "time,a,b"), saved, transform)
    with pytest.raises(InputError, match="has no column of times, and the run was trained with one, 'time'"):
        read_like(csv(tmp_path, [row[1:] for row in two(50)], "a,b"), saved, transform)
    with pytest.raises(InputError, match="needs series"):
        read_like("digits", saved, transform)
    assert read_like(csv(tmp_path, two(1), "time,a,b"), saved, transform).series.rows == 1, "one row is enough"
    renamed = read_like(csv(tmp_path, two(50), "clock,a,b"), saved, transform)
    assert renamed.series.time == "clock"


def test_how_dates_were_read_is_remembered(tmp_path):
    def days(first, n):
        t = np.datetime64(first) + np.arange(n)
        return [(f"{str(d)[8:]}/{str(d)[5:7]}/{str(d)[:4]}", v) for d, v in zip(t, wave(n), strict=True)]

    _, saved, transform = run_of(csv(tmp_path, days("2026-01-01", 90), "date,v"))
    new = read_like(csv(tmp_path, days("2026-05-01", 9), "date,v"), saved, transform)
    assert new.series.series[0].times[0] == np.datetime64("2026-05-01")
    assert new.series.series[0].times[-1] == np.datetime64("2026-05-09")


def test_a_run_without_times_takes_numbers_alone():
    x = np.column_stack([wave(200), wave(200, 1)])
    _, saved, transform = run_of(x, Reading(kind="series"))
    assert read_like(x[:30], saved, transform).series.series[0].times is None
    with pytest.raises(InputError, match="has 1 channels and the run was trained on 2"):
        read_like(x[:, 0], saved, transform)


def test_what_the_run_keeps_of_its_series_is_plain(tmp_path):
    data, saved, _ = run_of(csv(tmp_path, two(300), "time,a,b"), Reading(period=24))
    kept = saved["series"]
    assert kept["step"] == 60 * 10**9
    assert kept["step_words"] == "1 min"
    assert kept["period"] == 24
    assert kept["channels"] == ["a", "b"]
    assert kept["rows"] == 300
    (only,) = kept["series"]
    assert only["start"] == "2026-01-01T00:00:00.000000000"
    assert only["train_stop"] == only["stretches"]["train"][1] == data.series.train_stop(0)
    assert saved["reading"]["window"] == data.spec.shape[0]
    assert Reading.from_json(saved["reading"]) == data.reading
