"""A level shift is one event and is then followed; an anomaly is never learnt; a stream says what the array says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load, save

import elboroom as elbo
from elboroom.anomalies.events import Event
from elboroom.anomalies.shifts import Rule, Shift, mark
from elboroom.detecting import Asked, Judged, judge

PERIOD, NOISE, STEP, ROWS = 60, 0.3, 1200, 2000
LEARNT = 3000
MINUTE = 60 * 10**9


def series(seed: int, rows: int = ROWS) -> np.ndarray:
    """Two channels with one period, and noise; the second is the first, later and larger."""
    rng, t = np.random.default_rng(seed), np.arange(rows) * 2 * np.pi / PERIOD
    x = np.stack([np.sin(t) + 0.5 * np.sin(2 * t + 1), 2 * np.sin(t - 1)], 1)
    return x + rng.normal(size=x.shape) * NOISE


def stepped(seed: int, size: float, channel: int = 0) -> np.ndarray:
    """A level that moves by so many standard deviations of the noise, for good."""
    x = series(seed)
    x[STEP:, channel] += size * NOISE
    return x


@pytest.fixture(scope="module")
def run() -> Any:
    return elbo.fit(
        "forecaster", series(0, LEARNT), kind="series", hidden=24, period=PERIOD, split=(0.4, 0.5, 0.1),
        steps=150, threads=1,
    )  # fmt: skip


def judged(run: Any, x: np.ndarray, smoothing: Any = "causal", *, follow: bool = True) -> tuple[Judged, float]:
    found = judge(run, x, Asked(smoothing=smoothing, follow_shifts=follow))
    return found.judged[0], found.threshold


def near(one: Judged, start: int = STEP - PERIOD, stop: int = STEP + 4 * PERIOD) -> list[Event]:
    return [event for event in one.events if event.start < stop and event.stop > start]


@pytest.mark.parametrize("smoothing", ["causal", "centred"])
@pytest.mark.parametrize(("seed", "size"), [(1, 5.0), (3, -5.0), (4, -5.0), (5, 20.0), (6, -60.0)])
def test_a_shift_is_one_event_so_called_and_over_within_two_periods(
    run: Any, smoothing: str, seed: int, size: float
) -> None:
    one, threshold = judged(run, stepped(seed, size), smoothing)
    (event,) = near(one)
    assert event.kind == "shift"
    assert STEP - PERIOD < event.start <= STEP + 10
    assert event.stop <= STEP + 2 * PERIOD
    assert (one.score[STEP + 2 * PERIOD : STEP + 4 * PERIOD] < threshold).all()
    (shift,) = one.shifts
    assert abs(shift.start - STEP) < PERIOD
    unit = series(0, LEARNT)[: int(0.4 * LEARNT), 0].std()  # the series is read in standard deviations
    assert shift.sizes[0] == pytest.approx(size * NOISE / unit, rel=0.25)
    assert shift.sizes[1] == 0
    expected = one.expected[STEP + 2 * PERIOD :, 0]
    assert np.abs(expected - one.series.values[STEP + 2 * PERIOD :, 0]).mean() < 2 * NOISE  # in the rows' own units


@pytest.mark.parametrize("size", [5.0, -20.0])
def test_a_model_that_does_not_follow_alarms_for_ever(run: Any, size: float) -> None:
    one, threshold = judged(run, stepped(1, size), follow=False)
    assert one.shifts == []
    assert near(one)[-1].stop == ROWS
    assert near(one)[-1].kind == "anomaly"
    assert (one.score[STEP + PERIOD :] > threshold).all()


def test_a_shift_back_is_a_shift_and_ends_at_the_old_level(run: Any) -> None:
    x = stepped(6, 8.0, channel=1)
    x[STEP + 400 :, 1] -= 8.0 * NOISE
    one, _ = judged(run, x)
    there, back = one.shifts
    assert there.sizes[0] == back.sizes[0] == 0
    assert there.sizes[1] == pytest.approx(-back.sizes[1], rel=0.15)
    assert [event.kind for event in near(one, STEP, STEP + 500)] == ["shift", "shift"]


def test_a_level_that_climbs_is_followed_once_it_has_come_to_rest(run: Any) -> None:
    x = series(7)
    x[:, 0] += np.interp(np.arange(ROWS), [STEP, STEP + 150], [0, 12 * NOISE])
    one, threshold = judged(run, x)
    assert one.shifts
    assert (one.score[STEP + 150 + 3 * PERIOD :] < threshold).mean() > 0.9


def burst(x: np.ndarray, rng: np.random.Generator) -> None:
    x[STEP : STEP + 50, 0] += 6 * NOISE


def wide(x: np.ndarray, rng: np.random.Generator) -> None:
    x[STEP : STEP + 400, 0] += rng.normal(size=400)


def stuck(x: np.ndarray, rng: np.random.Generator) -> None:
    x[STEP : STEP + 400, 0] = 2.0


def faster(x: np.ndarray, rng: np.random.Generator) -> None:
    x[STEP : STEP + 400, 0] = 1 + np.sin(np.arange(400) / 3) + rng.normal(size=400) * NOISE


def louder(x: np.ndarray, rng: np.random.Generator) -> None:
    x[STEP : STEP + 400, 0] = 3 * x[STEP : STEP + 400, 0] + 1


@pytest.mark.parametrize("fault", [burst, wide, stuck, faster, louder])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_no_shift_is_an_alarm_and_not_learnt(run: Any, fault: Any, seed: int) -> None:
    x = series(seed)
    fault(x, np.random.default_rng(seed))
    one, _ = judged(run, x)
    frozen, _ = judged(run, x, follow=False)
    assert one.shifts == []
    assert near(one)
    assert {event.kind for event in one.events} == {"anomaly"}
    np.testing.assert_array_equal(one.score, frozen.score)


def test_an_ordinary_series_has_no_shifts(run: Any) -> None:
    assert judged(run, series(8, 20_000))[0].shifts == []


def test_a_shift_is_found_where_values_are_missing(run: Any) -> None:
    x = stepped(1, 6.0)
    x[np.random.default_rng(0).random(x.shape) < 0.1] = np.nan
    one, threshold = judged(run, x)
    assert [event.kind for event in near(one)] == ["shift"]
    late = one.score[STEP + 2 * PERIOD : STEP + 4 * PERIOD]
    assert (late[~np.isnan(late)] < threshold).all()


# -- row by row --------------------------------------------------------------------------------------------------------


def moving() -> np.ndarray:
    """A shift there, missing values, a fault, and a shift of the other channel."""
    x = stepped(9, 7.0)
    x[np.random.default_rng(1).random(x.shape) < 0.03] = np.nan
    x[700:720] += 3
    x[1300:1304] = np.nan
    x[1600:, 1] -= 3
    return x


def verdicts(run: Any, x: np.ndarray, *blocks: int) -> tuple[np.ndarray, list[Event], list[Shift]]:
    """Of a stream that is given the rows in blocks of these sizes in turn."""
    stream, said, at = run.stream(), [], 0
    while at < len(x):
        size = blocks[len(said) % len(blocks)]
        said += stream.update_many(None, x[at : at + size])
        at += size
    ended = [v.ended for v in said if v.ended] + [event for event in [stream.finish()] if event]
    return np.array([v.score for v in said]), ended, [v.shift for v in said if v.shift]


def test_a_stream_follows_as_the_whole_series_does_row_by_row_and_in_blocks(run: Any) -> None:
    x = moving()
    one, _ = judged(run, x)
    assert len(one.shifts) == 2
    for blocks in ((1,), (97, 1, 13, 400), (len(x),)):
        score, events, shifts = verdicts(run, x, *blocks)
        np.testing.assert_allclose(score, one.score, rtol=1e-6, atol=1e-6)
        assert [(e.start, e.stop, e.kind) for e in events] == [(e.start, e.stop, e.kind) for e in one.events]
        assert [(s.start, s.row) for s in shifts] == [(s.start, s.row) for s in one.shifts]
        for a, b in zip(shifts, one.shifts, strict=True):
            np.testing.assert_allclose(a.sizes, b.sizes, rtol=1e-6)


def test_the_level_goes_on_over_a_gap(run: Any) -> None:
    x, first = stepped(10, 8.0), STEP + 3 * PERIOD
    late = np.datetime64("2026-01-01", "ns") + np.timedelta64(1, "m") * np.where(np.arange(ROWS) < first, 0, 500)
    stream = run.stream()
    stream.step = MINUTE
    times = late + np.arange(ROWS) * np.timedelta64(1, "m")
    said = stream.update_many(times, x)
    assert sum(v.shift is not None for v in said) == 1
    after = np.array([v.score for v in said[first:]])
    assert np.isnan(after[:16]).all()
    assert said[first].row == first + 500
    assert (after[16:200] < stream.threshold).all()


@pytest.mark.parametrize("stop", [STEP + 30, STEP + 200, 1650])
def test_saved_within_a_trial_or_after_a_shift_it_goes_on_to_the_bit(run: Any, stop: int) -> None:
    x, one, two = moving(), run.stream(), run.stream()
    one.update_many(None, x[:stop])
    tensors, plain = one.state()
    held, text = save({name: t.contiguous() for name, t in tensors.items()}), json.dumps(plain, allow_nan=False)
    two.update(None, x[0])
    two.restore(load(held), json.loads(text), like=two.memory)
    for a, b in zip(one.update_many(None, x[stop:]), two.update_many(None, x[stop:]), strict=True):
        assert a.score == b.score or np.isnan([a.score, b.score]).all()
        assert (a.row, a.alarm, a.shares, a.shift, a.ended) == (b.row, b.alarm, b.shares, b.shift, b.ended)
        assert a.ended is None or b.ended is None or a.ended.kind == b.ended.kind


@pytest.mark.parametrize("now", [STEP + 20, STEP + 60, STEP + 90, 1655])
def test_shuffling_the_future_changes_no_causal_score(run: Any, now: int) -> None:
    x = moving()
    other = x.copy()
    other[now:] = np.random.default_rng(2).permutation(x[now:])
    before, after = judged(run, x)[0], judged(run, other)[0]
    np.testing.assert_allclose(after.score[:now], before.score[:now], rtol=1e-6, atol=1e-6)
    assert [s for s in after.shifts if s.row < now] == [s for s in before.shifts if s.row < now]
    assert not np.allclose(after.score[now:], before.score[now:], equal_nan=True)
    block = verdicts(run, other, len(other))[0]
    np.testing.assert_allclose(block[:now], before.score[:now], rtol=1e-6, atol=1e-6)


def test_a_stream_holds_no_more_with_time(run: Any) -> None:
    stream, sizes = run.stream(), []
    x = series(11, 3000)
    x[500:, 0] += np.arange(2500) * 0.02  # climbs for ever: an alarm that is never explained
    for part in np.array_split(x, 10):
        stream.update_many(None, part)
        tensors, plain = stream.state()
        sizes.append(sum(t.numel() for t in tensors.values()) + len(json.dumps(plain)))
    assert max(sizes[3:]) < 1.3 * min(sizes[3:])
    assert tensors["held"].shape[0] == Rule(run.model, stream.detector).held


def test_events_that_a_shift_lies_in_are_of_that_kind() -> None:
    events = [Event(0, 10, 3, 9.0), Event(50, 90, 60, 9.0)]
    assert [e.kind for e in mark(events, [Shift(45, 80, (1.0,))])] == ["anomaly", "shift"]
    assert [e.kind for e in mark(events, [Shift(10, 49, (1.0,))])] == ["anomaly", "anomaly"]
    back = [Shift(45, 60, (1.0, 0.0)), Shift(62, 80, (-1.1, 0.0))]
    assert [e.kind for e in mark(events, back)] == ["anomaly", "anomaly"]  # it came back within the event
