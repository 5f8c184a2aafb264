"""Shifts are learnt once and anomalies never: steps, ramps, bursts, spikes, wider noise, and noise alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal

from elboroom.anomalies.drift import Drift, PageHinkley, Recentring, Shift, limit_for, recentred, shift_in
from elboroom.anomalies.events import Event, find_events
from elboroom.anomalies.smoothing import CausalMean
from elboroom.anomalies.stationarity import long_run_variance
from elboroom.anomalies.tail import fit_tail
from elboroom.core.errors import InputError

PERIOD = 100


def noise(seed: int, rows: int = 2000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=rows)


def run(residuals: np.ndarray, **settings: float) -> tuple[np.ndarray, list[Shift], Recentring]:
    channel = Recentring(PERIOD, **settings)  # type: ignore[arg-type]
    z, shifts = recentred(residuals[:, None], [channel])
    return z[:, 0], shifts, channel


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [5.0, -5.0, 3.0, 50.0])
def test_a_step_is_one_shift_declared_within_a_period_and_learnt(seed: int, size: float) -> None:
    r = noise(seed)
    r[1000:] += size
    z, shifts, channel = run(r)
    assert len(shifts) == 1
    (shift,) = shifts
    assert 1000 <= shift.start < 1020 and shift.row - shift.start < 1.1 * PERIOD
    assert shift.size == pytest.approx(size, rel=0.15) and channel.centre == pytest.approx(size, abs=0.5)
    assert abs(z[shift.row + 1 :].mean()) < 0.4 and abs(z[1000 : shift.row].mean()) > 0.8 * abs(size)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_shift_of_five_deviations_is_one_event_over_within_two_periods(seed: int, smooth: bool) -> None:
    r, step = noise(seed, 11_000), 9000
    r[step:] += 5.0
    channel = Recentring.fit(r[:2000], PERIOD // 2 if smooth else PERIOD)
    mean, score, shifts = CausalMean(PERIOD), [], []
    for value in r.tolist():
        z, shift = channel.update(value)
        score.append(mean.update(z * z) if smooth else z * z)
        if shift is not None:
            shifts.append(shift)
    s = np.array(score)
    tail = fit_tail(s[:8000], 1 / 20_000, merge=PERIOD // 4)
    events = find_events(s[step - 500 :], tail.threshold, merge=PERIOD // 4, release=1.0 if smooth else 0.5)
    near = [e for e in events if e.stop > 500 and e.start < 500 + 3 * PERIOD]
    assert len(near) == 1 and len(shifts) == 1
    (event,) = near
    assert 490 <= event.start < 510 and event.stop <= 500 + 2 * PERIOD
    assert (s[step + 2 * PERIOD :] > tail.threshold).mean() < 0.002
    there = Event(event.start + step - 500, event.stop + step - 500, event.peak + step - 500, event.peak_score)
    assert shift_in(there, shifts) == shifts[0]
    assert shift_in(Event(100, 200, 150, 9.0), shifts) is None
    # without re-centring it would be an alarm for ever
    frozen = (r - channel.centre + shifts[0].size * channel.scale) ** 2
    assert (frozen[step + 500 :] > 12.0).mean() > 0.8


@pytest.mark.parametrize("seed", range(5))
def test_a_burst_that_returns_is_not_learnt(seed: int) -> None:
    r = noise(seed)
    r[700:780] += 8.0
    r[1000:1090] += np.random.default_rng(seed).normal(0, 8, 90)
    r[1300:1400] += 6 * np.sin(np.arange(100) * 2 * math.pi / 50)
    r[1600:1695] += 4.0
    before = Recentring(PERIOD, rate=0.0)
    z, shifts = recentred(r[:, None], [before])
    assert shifts == [] and before.centre == 0 and before.scale == 1
    np.testing.assert_array_equal(z[:, 0], r)


@pytest.mark.parametrize("spread", [0.0, 0.2, 4.0])
def test_residuals_on_one_side_that_are_stuck_or_wild_are_no_shift(spread: float) -> None:
    r = noise(1)
    r[1000:] = 9.0 + spread * r[1000:].clip(-2, 2)
    _, shifts, channel = run(r)
    assert shifts == [] and channel.centre == 0
    r[1000:] = 9.0 + noise(1)[1000:]
    assert len(run(r)[1]) == 1


def test_rows_of_a_trial_or_of_an_open_alarm_move_nothing() -> None:
    channel = Recentring(PERIOD)
    channel.update(0.1)
    centre, scale = channel.centre, channel.scale
    assert scale != 1.0
    for value in [9.0] * 50:
        channel.update(value)
    assert (channel.centre, channel.scale) == (centre, scale)
    other = Recentring(PERIOD)
    for value in noise(0, 500).clip(-3, 3):
        other.update(float(value), alarm=True)
    assert (other.centre, other.scale) == (0.0, 1.0)


def test_a_spike_is_no_shift_and_no_drift_and_is_not_learnt() -> None:
    r = noise(1)
    r[900] = 1000.0
    _, shifts, channel = run(r)
    _, _, calm = run(np.delete(r, 900))
    assert shifts == [] and channel.centre == 0
    assert channel.scale == pytest.approx(calm.scale, rel=0.02)
    detector = PageHinkley()
    assert [d for d in map(detector.update, r.tolist()) if d is not None] == []


def test_wider_noise_is_no_shift_and_the_scale_follows_at_the_stated_rate() -> None:
    r = noise(2, 20_000)
    r[2000:] *= 3
    channel, scales = Recentring(PERIOD, rate=0.002), []
    for value in r.tolist():
        assert channel.update(value)[1] is None
        scales.append(channel.scale)
    steps = np.abs(np.diff(np.log(scales)))
    assert steps.max() <= 0.002 + 1e-12
    assert scales[1999] == pytest.approx(1.0, rel=0.15) and np.mean(scales[15_000:]) == pytest.approx(3.0, rel=0.1)


def test_a_ramp_is_followed_once_it_has_come_to_rest() -> None:
    for seed in range(5):
        r = noise(seed, 3000)
        r += np.interp(np.arange(3000), [1000, 1200], [0, 20])
        z, shifts, channel = run(r)
        assert 1 <= len(shifts) <= 3 and channel.centre == pytest.approx(20, abs=1.0)
        assert (np.abs(z[1200 + 2 * PERIOD :]) > 3.5).mean() < 0.01
        assert not any(shift.row < 1150 for shift in shifts)  # not while it climbs by ten deviations a period


def white(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.normal(size=rows)


def heavy(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.standard_t(3, size=rows)


def autoregressive(rng: np.random.Generator, rows: int) -> np.ndarray:
    return signal.lfilter([math.sqrt(1 - 0.8**2)], [1.0, -0.8], rng.normal(size=rows + 100))[100:]


@pytest.mark.parametrize("draw", [white, heavy, autoregressive])
def test_stationary_noise_has_no_shifts(draw: Callable[[np.random.Generator, int], np.ndarray]) -> None:
    count, scales = 0, []
    for seed in range(20):
        r = draw(np.random.default_rng(seed), 10_500)
        channel = Recentring.fit(r[:500], PERIOD)
        start = channel.scale
        count += len(recentred(r[500:, None], [channel])[1])
        scales.append(channel.scale / start)
    assert count < 20  # fewer than one in 10,000 rows; 0 is usual
    assert 0.7 < np.mean(scales) < 1.4


def test_a_stream_that_is_saved_equals_the_array_also_within_a_trial() -> None:
    r = np.stack([noise(3, 900), noise(4, 900)], axis=1)
    r[400:, 0] += 5
    r[500:560, 1] -= 7
    r[np.random.default_rng(5).random(r.shape) < 0.1] = np.nan
    alarm = np.zeros(900, dtype=bool)
    alarm[100:150] = True
    z, shifts = recentred(r, [Recentring(PERIOD), Recentring(PERIOD)], alarm=alarm)
    channels, found, declared = [Recentring(PERIOD), Recentring(PERIOD)], [], []
    for row in range(900):
        if row % 13 == 0:
            channels = [Recentring.from_json(json.loads(json.dumps(c.to_json(), allow_nan=False))) for c in channels]
        both = [c.update(value, alarm=bool(alarm[row])) for c, value in zip(channels, r[row].tolist(), strict=True)]
        found.append([value for value, _ in both])
        declared += [shift for _, shift in both if shift is not None]
    np.testing.assert_array_equal(found, z)
    assert [(s.start, s.row, s.size) for s in declared] == [(s.start, s.row, s.size) for s in shifts]
    assert [s.channel for s in shifts] == [0] and np.isnan(z[np.isnan(r)]).all()


def test_a_trial_holds_no_more_than_its_patience() -> None:
    channel = Recentring(50)
    for row in range(3000):
        channel.update(5.0 + 0.5 * row)  # climbs for ever: never at one level
    assert len(channel.to_json()["trial"]["held"]) == 50


def test_page_hinkley_finds_a_slow_drift_soon_and_dates_it() -> None:
    delays, starts = [], []
    for seed in range(20):
        z = noise(seed, 6000)
        z[3000:] += 0.75
        detector = PageHinkley()
        found = [d for d in map(detector.update, z.tolist()) if d is not None]
        assert found and found[0].row >= 3000 and found[0].side == 1
        delays.append(found[0].row - 3000)
        starts.append(found[0].start - 3000)
    assert np.mean(delays) == pytest.approx(25 / (0.75 - 0.25), rel=0.25)
    assert abs(np.median(starts)) < 30
    ramp = -0.002 * np.arange(3000) + noise(1, 3000)
    first = next(d for d in map(PageHinkley().update, ramp.tolist()) if d is not None)
    assert first.side == -1 and 0.002 * first.row < 0.9  # well before the ramp is as high as the noise


def test_page_hinkley_is_the_recursion_of_page_and_survives_being_saved() -> None:
    z = noise(6, 3000) + 0.2
    z[np.random.default_rng(7).random(3000) < 0.1] = np.nan
    detector, found, sums, starts, expected = PageHinkley(drift=0.1, limit=10.0), [], [0.0, 0.0], [0, 0], []
    for row, value in enumerate(z.tolist()):
        if row % 50 == 0:
            detector = PageHinkley.from_json(json.loads(json.dumps(detector.to_json(), allow_nan=False)))
        drift = detector.update(value)
        found += [] if drift is None else [drift]
        if math.isnan(value):
            continue
        held = min(max(value, -4.0), 4.0)
        for k, side in enumerate((1, -1)):
            sums[k] = max(0.0, sums[k] + side * held - 0.1)
            starts[k] = starts[k] if sums[k] > 0 else row + 1
        if max(sums) > 10:
            k = sums.index(max(sums))
            expected.append(Drift(starts[k], row, (1, -1)[k]))
            sums, starts = [0.0, 0.0], [row + 1, row + 1]
    assert found == expected and {d.side for d in found} == {1, -1}


@pytest.mark.parametrize("drift", [0.25, 0.5])
def test_the_limit_for_a_rate_of_false_findings_keeps_it(drift: float) -> None:
    rows = 200_000
    z = noise(8, rows)
    detector = PageHinkley(drift=drift, limit=limit_for(1 / 1000, drift=drift))
    count = sum(detector.update(value) is not None for value in z.tolist())
    assert 0.7 < count / (rows / 1000) < 1.4


def test_correlated_residuals_need_a_higher_limit_which_the_long_run_variance_gives() -> None:
    rows = 300_000
    z = autoregressive(np.random.default_rng(9), rows)
    variance = long_run_variance(z[:20_000], lags=60)
    assert variance == pytest.approx((1 + 0.8) / (1 - 0.8), rel=0.25)
    counts = []
    for limit in (limit_for(1 / 5000, drift=0.5), limit_for(1 / 5000, drift=0.5, variance=variance)):
        detector = PageHinkley(drift=0.5, limit=limit)
        counts.append(sum(detector.update(value) is not None for value in z.tolist()))
    assert counts[0] > 10 * rows / 5000 and 0.4 < counts[1] / (rows / 5000) < 2.5


def test_after_a_reset_the_sums_begin_anew() -> None:
    detector = PageHinkley(limit=5.0)
    for _ in range(3):
        assert detector.update(1.75) is None
    detector.reset()
    for _ in range(3):
        assert detector.update(1.75) is None
    assert detector.update(1.75) == Drift(3, 6, 1)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="10 rows"):
        Recentring(5)
    with pytest.raises(InputError, match="above 0"):
        Recentring(20, scale=0.0)
    with pytest.raises(InputError, match="no scale"):
        Recentring.fit(np.zeros(50), 20)
    with pytest.raises(InputError, match="1 channels"):
        recentred(np.zeros((5, 2)), [Recentring(20)])
    with pytest.raises(InputError, match="limit above 0"):
        PageHinkley(limit=0.0)
    with pytest.raises(InputError, match="between 0 and 1"):
        limit_for(2.0)
