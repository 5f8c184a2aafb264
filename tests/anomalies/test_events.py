"""Events: cases by hand, then array and stream against each other on many random scores with holes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from elboroom.anomalies.events import GAP, Alarm, Event, blame, find_events, ranked, reasons
from elboroom.core.errors import InputError

NAN = math.nan


def rows_of(score: list[float], threshold: float = 1.0, **settings: float) -> list[tuple[int, int, int, float]]:
    found = find_events(score, threshold, **settings)  # type: ignore[arg-type]
    return [(e.start, e.stop, e.peak, e.peak_score) for e in found]


def test_an_event_is_what_lies_above_the_threshold_with_its_first_highest_row() -> None:
    assert rows_of([0, 2, 3, 3, 1, 0, 5]) == [(1, 4, 2, 3.0), (6, 7, 6, 5.0)]
    assert rows_of([1, 1, 1]) == [] and rows_of([]) == [] and rows_of([NAN, NAN]) == []


def test_short_rests_are_bridged_and_long_ones_part() -> None:
    score = [2, 0, 2, 0, 0, 2, 0, 0, 0]
    assert rows_of(score) == [(0, 1, 0, 2.0), (2, 3, 2, 2.0), (5, 6, 5, 2.0)]
    assert rows_of(score, merge=2) == [(0, 3, 0, 2.0), (5, 6, 5, 2.0)]
    assert rows_of(score, merge=3) == [(0, 6, 0, 2.0)]


def test_an_event_goes_on_above_the_release_level_but_does_not_begin_there() -> None:
    score = [0.7, 0.7, 1.5, 0.6, 0.7, 0.4, 0.7]
    assert rows_of(score, release=0.5) == [(2, 5, 2, 1.5)]
    assert rows_of(score, release=0.5, merge=2) == [(2, 7, 2, 1.5)]
    assert rows_of(score) == [(2, 3, 2, 1.5)]


def test_the_release_level_of_a_threshold_below_zero_lies_beneath_it() -> None:
    score = [-9.0, -3.0, -4.5, -5.5, -3.0]  # a log likelihood has any sign
    assert rows_of(score, -4.0, release=0.75) == [(1, 3, 1, -3.0), (4, 5, 4, -3.0)]


def test_events_of_too_few_rows_are_left_out() -> None:
    assert rows_of([0, 2, 0, 2, 2, 0, 2, 2, 2], least=2) == [(3, 5, 3, 2.0), (6, 9, 6, 2.0)]


def test_rows_without_a_score_do_not_end_an_event_but_a_gap_does() -> None:
    assert rows_of([2, NAN, NAN, 2, 0]) == [(0, 4, 0, 2.0)]
    assert rows_of([2, NAN, NAN, NAN, 2], gap=3) == [(0, 1, 0, 2.0), (4, 5, 4, 2.0)]
    assert rows_of([2] + [NAN] * (GAP - 1) + [2]) == [(0, GAP + 1, 0, 2.0)]
    assert rows_of([2] + [NAN] * GAP + [2]) == [(0, 1, 0, 2.0), (GAP + 1, GAP + 2, GAP + 1, 2.0)]
    # rests before and after a hole add up
    assert rows_of([2, 0, NAN, 0, 2], merge=2) == [(0, 1, 0, 2.0), (4, 5, 4, 2.0)]
    assert rows_of([2, 0, NAN, 0, 2], merge=3) == [(0, 5, 0, 2.0)]


def test_rows_that_are_not_usable_are_as_if_they_had_no_score() -> None:
    score = np.full(8, 5.0)
    usable = np.array([0, 0, 0, 1, 1, 0, 1, 1], dtype=bool)
    assert find_events(score, 1.0, usable=usable) == [Event(3, 8, 3, 5.0)]
    assert find_events(score, 1.0, usable=usable, gap=1) == [Event(3, 5, 3, 5.0), Event(6, 8, 6, 5.0)]


def stream(score: np.ndarray, alarm: Alarm, shares: np.ndarray | None = None) -> list[Event]:
    found = []
    for row, value in enumerate(score):
        ended = alarm.update(row, float(value), None if shares is None else shares[row].tolist())
        found += [] if ended is None else [ended]
    last = alarm.finish()
    return found + ([] if last is None else [last])


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 200))
    score = np.convolve(rng.normal(size=rows + 4), np.ones(5), "valid").round(1)
    score[rng.random(rows) < rng.choice([0.0, 0.1, 0.5])] = np.nan
    usable = rng.random(rows) < rng.choice([0.6, 1.0])
    settings = {
        "threshold": float(rng.choice([-2.0, 0.0, 1.0, 3.0])),
        "merge": int(rng.integers(1, 7)),
        "least": int(rng.integers(1, 5)),
        "release": float(rng.choice([0.3, 0.8, 1.0])),
        "gap": int(rng.integers(1, 6)),
    }
    return score, usable, settings


@pytest.mark.parametrize("block", range(4))
def test_the_stream_has_the_events_of_the_array(block: int) -> None:
    count = 0
    for seed in range(100 * block, 100 * block + 100):
        score, usable, settings = random_case(seed)
        found = find_events(score, usable=usable, **settings)  # type: ignore[arg-type]
        streamed = stream(np.where(usable, score, np.nan), Alarm(**settings))  # type: ignore[arg-type]
        assert streamed == found, f"seed {seed}"
        count += len(found)
    assert count > 100


def test_a_stream_that_is_saved_at_every_row_goes_on_as_if_it_had_not_been() -> None:
    for seed in range(20):
        score, _, settings = random_case(seed)
        rng = np.random.default_rng(seed)
        shares = rng.dirichlet(np.ones(3), size=len(score))
        expected = stream(score, Alarm(**settings), shares)  # type: ignore[arg-type]
        alarm, found = Alarm(**settings), []  # type: ignore[arg-type]
        for row, value in enumerate(score):
            alarm = Alarm.from_json(json.loads(json.dumps(alarm.to_json(), allow_nan=False)))
            ended = alarm.update(row, float(value), shares[row].tolist())
            found += [] if ended is None else [ended]
        found += [e for e in [alarm.finish()] if e is not None]
        assert found == expected
        assert [e.shares for e in found] == [e.shares for e in expected]


def test_rows_that_a_stream_passes_over_are_rows_without_a_score() -> None:
    for seed in range(100):
        score, _, settings = random_case(seed)
        alarm, found = Alarm(**settings), []  # type: ignore[arg-type]
        for row in np.flatnonzero(~np.isnan(score)).tolist():
            ended = alarm.update(row, float(score[row]))
            found += [] if ended is None else [ended]
        found += [e for e in [alarm.finish()] if e is not None]
        assert found == find_events(score, **settings)  # type: ignore[arg-type]


def test_an_open_event_can_be_seen_before_it_ends_once_it_is_long_enough() -> None:
    alarm = Alarm(1.0, least=2, merge=2)
    assert alarm.update(0, 3.0) is None and alarm.open is None
    assert alarm.update(1, 0.0) is None and alarm.open is None
    assert alarm.update(2, 2.0) is None and alarm.open == Event(0, 3, 0, 3.0)
    assert alarm.update(3, 0.0) is None and alarm.open == Event(0, 3, 0, 3.0)
    assert alarm.update(4, 0.0) == Event(0, 3, 0, 3.0) and alarm.open is None
    with pytest.raises(InputError, match="row 4 after row 4"):
        alarm.update(4, 1.0)


def test_blame_is_the_mean_share_over_the_event_in_the_stream_as_in_the_array() -> None:
    compared = 0
    for seed in range(100):
        score, _, settings = random_case(seed)
        rng = np.random.default_rng(seed)
        shares = rng.dirichlet(np.ones(4), size=len(score))
        shares[np.isnan(score)] = np.nan
        for event in stream(score, Alarm(**settings), shares):  # type: ignore[arg-type]
            rows = [row for row in shares[event.start : event.stop] if not np.isnan(row).any()]
            mean = np.mean(rows, axis=0)
            order = sorted(range(4), key=lambda channel: -mean[channel])
            assert [channel for channel, _ in blame(shares, event)] == order
            np.testing.assert_allclose([share for _, share in blame(shares, event)], mean[order], atol=1e-12)
            np.testing.assert_allclose(event.shares, mean, atol=1e-9)
            assert ranked(event.shares)[0][0] == order[0] and sum(event.shares) == pytest.approx(1.0)
            compared += 1
    assert compared > 100
    assert blame(np.full((5, 2), np.nan), Event(1, 3, 1, 2.0)) == []


def test_each_row_has_one_reason() -> None:
    score = [NAN, 1.0, NAN, 1.0, NAN, NAN, NAN, 2.0]
    gap = [False, False, False, False, True, True, False, True]
    missing = [False, False, False, False, True, False, True, False]
    expected = ["training", "training", "warm-up", "ok", "gap", "gap", "missing", "ok"]
    assert reasons(score, train=2, gap=gap, missing=missing).tolist() == expected
    assert reasons([NAN, 1.0]).tolist() == ["warm-up", "ok"]
    with pytest.raises(InputError, match="one mark a row"):
        reasons(score, gap=[True])


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"merge": 0}, {"least": 0}, {"gap": 0}, {"release": 0.0}, {"release": 1.1}):
        with pytest.raises(InputError, match="rows, 1 or more"):
            find_events([1.0], 1.0, **wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="rows, 1 or more"):
            Alarm(1.0, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not a number"):
        find_events([1.0], NAN)
