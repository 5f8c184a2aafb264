"""A threshold set for one false alarm a day is passed about once a day: between half as often and twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from elboroom.anomalies.detector import Detector
from elboroom.data.reading import Reading
from elboroom.detecting import Asked, detect

DAY = 1440


def autoregressive(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """(rows, size) with the standard deviation 1 and the correlation 0.8 from row to row."""
    noise = rng.normal(size=(rows + 100, size)) * 0.6
    return np.asarray(signal.lfilter([1.0], [1.0, -0.8], noise, axis=0)[100:])


@pytest.mark.parametrize("smoothing", ["causal", "centred"])
def test_errors_that_stay_as_they_are_alarm_once_a_day(smoothing: str) -> None:
    counts = []
    for seed in range(20):
        e = autoregressive(np.random.default_rng(seed), 15 * DAY, 3).reshape(-1, 3, 1)
        detector = Detector.fit(e[:DAY], period=60, smoothing=smoothing)  # type: ignore[arg-type]
        score = detector.scores(e[DAY:]).score
        ready = detector.calibrated(score[: 7 * DAY], 1 / DAY)
        counts.append(len(ready.events(score[7 * DAY :])) / 7)
    assert 0.5 <= np.mean(counts) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("smoothing", ["causal", "centred"])
def test_the_whole_detector_alarms_once_a_day_on_a_stationary_series(smoothing: str, tmp_path: Path) -> None:
    """14 days of minutes, 20 seeds: 40 % are learnt from and set the threshold, 8.5 days are judged."""
    days, counts, shifts = 14, [], 0
    for seed in range(20):
        t = np.arange(days * DAY)
        x = 20 + 3 * np.sin(2 * np.pi * t / 60) + autoregressive(np.random.default_rng(seed), len(t), 1)[:, 0]
        times = np.datetime64("2026-01-01T00:00") + t
        path = tmp_path / f"{seed}.csv"
        path.write_text("time,value\n" + "".join(f"{a},{b:.6f}\n" for a, b in zip(times, x, strict=True)))
        asked = Asked(alarms_per_day=1, smoothing=smoothing, seed=seed)  # type: ignore[arg-type]
        found = detect(path, reading=Reading(train_until="0.4"), settings={"hidden": 16}, asked=asked, threads=1)
        (one,) = found.judged
        shifts += len(one.shifts)
        counts.append(len(one.events) / ((len(one.series) - one.train) / DAY))
    assert shifts <= 4  # of some 170 alarms: noise that wanders is seldom taken for a level
    print(f"{smoothing}: {shifts} shifts, {np.mean(counts):.2f} events a day, sd over seeds {np.std(counts):.2f}")
    assert 0.5 <= np.mean(counts) <= 2
