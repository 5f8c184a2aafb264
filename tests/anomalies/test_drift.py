"""A slow drift is found soon and dated, a spike is none, and false findings come at the stated rate."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import signal

from elboroom.anomalies.drift import Drift, PageHinkley, limit_for
from elboroom.anomalies.stationarity import long_run_variance
from elboroom.core.errors import InputError


def noise(seed: int, rows: int = 2000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=rows)


def autoregressive(rng: np.random.Generator, rows: int) -> np.ndarray:
    return signal.lfilter([math.sqrt(1 - 0.8**2)], [1.0, -0.8], rng.normal(size=rows + 100))[100:]


def test_a_spike_is_no_drift() -> None:
    r = noise(1)
    r[900] = 1000.0
    detector = PageHinkley()
    assert [d for d in map(detector.update, r.tolist()) if d is not None] == []


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
    with pytest.raises(InputError, match="limit above 0"):
        PageHinkley(limit=0.0)
    with pytest.raises(InputError, match="between 0 and 1"):
        limit_for(2.0)
