"""The season of a series and the window that follows from it: found where there is one, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from elboroom.data import Reading
from elboroom.data.columns import RawTable
from elboroom.data.series_columns import series_clock
from elboroom.data.series_parts import _correlation, calendar, season
from elboroom.data.series_reading import read_series

START = np.datetime64("2026-01-01T00:00")


def from_table(x, **reading):
    """Read one channel, a row a minute."""
    cells = np.array([str(START + i) for i in range(len(x))], dtype=object)
    raw = RawTable("given", ["time", "c0"], np.column_stack([np.full(len(x), np.nan), x]), {0: cells})
    asked = Reading(**reading)
    return read_series(raw, asked, series_clock(raw, asked)[1])


def noisy(n, period, sd, seed, shape=np.sin):
    rng = np.random.default_rng(seed)
    return shape(2 * np.pi * np.arange(n) / period) + sd * rng.normal(size=n)


@pytest.mark.parametrize("period", [5, 12, 24, 96, 288])
@pytest.mark.parametrize("sd", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_season_of_a_wave_is_found(period, sd, seed):
    x = noisy(max(20 * period, 600) + 7, period, sd, seed)
    assert season([x[:, None]]) == pytest.approx(period, abs=max(1, 0.1 * period * sd))


def test_the_season_is_found_through_missing_rows_gaps_a_trend_and_a_spiky_shape():
    x = noisy(3000, 48, 0.1, 0, lambda a: np.maximum(np.cos(a), 0.7)) + 0.002 * np.arange(3000)
    assert season([x[:, None]]) == pytest.approx(48, abs=1)
    x[np.random.default_rng(1).random(3000) < 0.4] = np.nan
    assert season([x[:1100, None], x[1113:2000, None], x[2040:, None]]) == pytest.approx(48, abs=1)
    still = np.full(3000, 7.0)
    assert season([np.column_stack([still, x])]) == pytest.approx(48, abs=1), (
        "channels that do not vary are passed over"
    )


def test_of_a_day_and_its_multiples_the_day_is_taken_but_a_stronger_week_wins():
    day = noisy(48 * 7 * 12, 48, 0.2, 0)
    assert season([day[:, None]]) == 48
    week = np.repeat(np.tile([1.0, 1, 1, 1, 1, -4, -4], 12), 48)
    assert season([(day + week)[:, None]]) == 48 * 7


def test_two_spikes_make_no_season():
    x = np.random.default_rng(5).normal(size=2000)
    x[[300, 700]] += 1000
    assert season([x[:, None]]) == 0


@pytest.mark.parametrize(
    ("rows", "minutes", "known"),
    [
        (287, 5, 288),
        (285, 5, 288),
        (270, 5, 270),
        (2010, 5, 2016),
        (12, 5, 12),
        (24, 60, 24),
        (163, 60, 168),
        (23, 7, 23),
        (7, 1440, 7),
    ],
)
def test_a_season_of_nearly_a_day_is_a_day(rows, minutes, known):
    assert calendar(rows, minutes * 60 * 10**9) == known


def test_noise_has_no_season():
    """White noise, noise with a memory and random walks, 60 of each: two false seasons at most."""
    rng = np.random.default_rng(3)
    false = 0
    for _ in range(60):
        white = rng.normal(size=1000)
        memory = np.zeros(1000)
        for i in range(1, 1000):
            memory[i] = 0.9 * memory[i - 1] + white[i]
        false += sum(season([x[:, None]]) > 0 for x in (white, memory, np.cumsum(white)))
    assert false <= 2
    assert season([np.zeros((500, 1))]) == 0
    assert season([np.full((500, 1), np.nan)]) == 0
    assert season([rng.normal(size=(8, 1))]) == 0
    assert season([]) == 0


def test_the_autocorrelation_is_that_of_pairs_of_observed_rows():
    rng = np.random.default_rng(4)
    runs = [rng.normal(size=n) for n in (60, 45, 9)]
    for run in runs:
        run[rng.random(len(run)) < 0.2] = np.nan
    r, pairs = _correlation(runs, 12)
    for lag in range(13):
        product = count = 0.0
        for run in runs:
            known = ~np.isnan(run)
            line = np.polyval(np.polyfit(np.flatnonzero(known), run[known], 1), np.arange(len(run)))
            off = run - line
            a, b = off[: max(0, len(off) - lag)], off[lag:]
            both = ~np.isnan(a) & ~np.isnan(b)
            product += float((a[both] * b[both]).sum())
            count += int(both.sum())
        assert pairs[lag] == count
        if lag == 0:
            power = product / count
        assert r[lag] == pytest.approx(product / count / power, abs=1e-10)


def test_the_season_comes_from_the_training_stretch_alone():
    x = np.r_[noisy(1200, 12, 0.1, 0), noisy(800, 50, 0.1, 1)]
    data = from_table(x, train_until="1200")
    assert data.series.period == 12
    assert any(
        p.startswith("period 12 rows (12 min): the autocorrelation of the training stretch") for p in data.problems
    )
    assert data.reading.period == 12
    assert from_table(x, train_until="1200", period=7).series.period == 7


@pytest.mark.parametrize(
    ("n", "period", "window"),
    [
        (5000, 50, 100),
        (5000, 5, 32),
        (9000, 300, 128),
        (1000, 100, 100),
        (600, 40, 60),
        (5000, 0, 128),
        (1000, 0, 100),
        (100, 0, 10),
        (30, 0, 4),
    ],
)
def test_the_window_is_two_periods_within_32_to_128_and_a_tenth_of_the_rows(n, period, window):
    x = np.random.default_rng(0).normal(size=n)
    data = from_table(x, **({"period": period} if period else {}))
    assert data.series.period == period
    assert data.spec.shape == (window, 1)
    assert data.parts["train"].window == window
    assert data.reading.window == window
