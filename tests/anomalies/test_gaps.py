"""Missing values and gaps cost little and raise no alarm: a tenth of the cells and three stretches are taken away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import elboroom as elbo
from elboroom.detecting import Asked, Judged, judge
from elboroom.metrics.detection import vus

PERIOD, LEARNT, ROWS, CHANNELS = 48, 3000, 6000, 2
GAPS = ((3300, 30), (4450, 100), (5210, 60))
"""First row and rows of each; no fault is near."""
FAULTS = tuple(3200 + 230 * k for k in range(12))
START = np.datetime64("2026-01-01T00:00")


def series(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Values (rows, channels), and where the faults are: a level, a sensor that stands still, noise, a mirror."""
    rng, t = np.random.default_rng(seed), np.arange(ROWS)[:, None] * 2 * np.pi / PERIOD
    x = np.sin(t + np.arange(CHANNELS)) + 0.4 * np.sin(2 * t) + rng.normal(size=(ROWS, CHANNELS)) * 0.2
    faulty = np.zeros(ROWS, bool)
    for k, start in enumerate(FAULTS):
        where, channel = slice(start, start + 24), k % CHANNELS
        cells = x[where, channel]
        changed = (cells + 1, np.full(24, cells[0]), cells + rng.normal(size=24), -cells)
        x[where, channel], faulty[where] = changed[k // 2 % 4], True
    return x, faulty


def written(path: Path, x: np.ndarray, keep: np.ndarray, first: int, stop: int) -> Path:
    """Those of rows first to stop that were kept, one a minute."""
    lines = [
        ",".join([str(START + np.timedelta64(i, "m")), *("" if np.isnan(v) else repr(float(v)) for v in x[i])])
        for i in range(first, stop)
        if keep[i]
    ]
    path.write_text("time,a,b\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def found(folder: Path, x: np.ndarray, keep: np.ndarray, smoothing: str) -> tuple[Judged, np.ndarray, int]:
    """What is said of the rows, the row of the full grid of each that was judged, and the width of the mean."""
    run = elbo.fit(
        "forecaster", written(folder / "learnt.csv", x, keep, 0, LEARNT), kind="series", hidden=24,
        period=PERIOD, split=(0.5, 0.5, 0), steps=100, threads=1,
    )  # fmt: skip
    got = judge(run, written(folder / "new.csv", x, keep, LEARNT, ROWS), Asked(smoothing=smoothing))  # type: ignore[arg-type]
    (one,) = got.judged
    assert one.series.times is not None
    return one, ((one.series.times - START) // np.timedelta64(1, "m")).astype(int), got.detector.width


@pytest.mark.parametrize(("seed", "smoothing"), [(0, "causal"), pytest.param(1, "centred", marks=pytest.mark.slow)])
def test_a_tenth_of_the_cells_and_three_gaps_cost_at_most_three_hundredths(
    seed: int, smoothing: str, tmp_path: Path
) -> None:
    x, faulty = series(seed)
    keep = np.ones(ROWS, bool)
    for start, rows in GAPS:
        keep[start : start + rows] = False
    holes = x.copy()
    holes[np.random.default_rng(seed).random(x.shape) < 0.1] = np.nan
    values, events = [], []
    for name, given, there in (("whole", x, np.ones(ROWS, bool)), ("holes", holes, keep)):
        (tmp_path / name).mkdir()
        one, rows, width = found(tmp_path / name, given, there, smoothing)
        shared = keep[rows] & ~np.isnan(one.score)
        events.append([(int(rows[e.start]), int(rows[e.stop - 1])) for e in one.events])
        values.append(float(vus(faulty[rows[shared]], one.score[shared], width).pr))
    assert values[1] >= values[0] - 0.03
    assert len(one.series.segments) == len(GAPS) + 1
    known = [(a - width, b + width) for a, b in events[0]] + [(f - width, f + 24 + width) for f in FAULTS]
    for first, last in events[1]:
        at_an_edge = any(first < start + rows + width and last > start - width for start, rows in GAPS)
        assert not at_an_edge or any(first < b and last > a for a, b in known)
    assert sum(any(first < f + 24 + width and last >= f for first, last in events[1]) for f in FAULTS) >= 10


@pytest.mark.parametrize("smoothing", ["causal", "centred"])
def test_an_ordinary_series_in_many_pieces_raises_no_more_alarms_than_in_one(smoothing: str) -> None:
    from elboroom.anomalies.detector import Detector

    rng, rows, piece = np.random.default_rng(3), 60_000, 100
    e = rng.normal(size=(rows, 2, 2))
    whole = Detector.fit(e[:10_000], period=50, smoothing=smoothing, warm_up=2)  # type: ignore[arg-type]
    ready = whole.calibrated(whole.scores(e[10_000:30_000]).score, 1 / 2000)
    at_once = ready.scores(e[30_000:]).score
    cut = ready.scores(e[30_000:], [(a, a + piece) for a in range(0, 30_000, piece)]).score
    assert ready.tail is not None
    assert np.nanmean(cut > ready.tail.threshold) <= np.nanmean(at_once > ready.tail.threshold) + 1e-4
    few = np.nanmean((e[30_000:] / np.asarray(ready.unit)) ** 2, axis=(1, 2))
    assert (few > ready.tail.threshold).mean() > 0.1  # a mean of one row only would alarm all the time
