"""How steady a series is: walks, lines, shifts and seasons that are none of these."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from elboroom.data.series import Series, SeriesSet
from elboroom.stretches import BLOCKS, LOOKED_AT, steadiness

N = 600
PARTS = {"train": (0, 400), "valid": (420, 480), "test": (500, 600)}
NOISE = np.random.default_rng(0).normal(size=N)


def found(values: Any, period: int = 0, parts: Any = PARTS) -> list[dict[str, Any]]:
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    rows = np.arange(len(table))
    one = Series("", None, table, [(0, len(table))], 1, rows, rows)
    names = tuple(f"c{i}" for i in range(table.shape[1]))
    return steadiness(SeriesSet([one], names, 1, period=period, stretches=[parts]))


def test_noise_is_stationary_by_both_tests_and_stays_at_its_level() -> None:
    (entry,) = found(NOISE)
    assert entry["unit_root_p"] < 0.01
    assert entry["stationary_p"] >= 0.05
    assert all(abs(shift) < 0.3 for shift in entry["shifts"].values())


def test_a_walk_is_told_by_both_tests_and_its_differences_are_none() -> None:
    walk = np.cumsum(NOISE)
    (entry,) = found(walk)
    assert entry["unit_root_p"] > 0.05
    assert entry["stationary_p"] <= 0.01
    (entry,) = found(np.diff(walk, prepend=0.0))
    assert entry["unit_root_p"] < 0.01


def test_a_jump_is_measured_in_training_standard_deviations() -> None:
    jumped = NOISE.copy()
    jumped[500:] += 5.0
    (entry,) = found(jumped)
    expected = (jumped[500:].mean() - jumped[:400].mean()) / jumped[:400].std()
    assert entry["shifts"]["test"] == pytest.approx(expected, rel=1e-3)
    assert abs(entry["shifts"]["valid"]) < 0.3


def test_a_part_shorter_than_its_season_lies_at_no_other_level() -> None:
    season = 3 * np.sin(2 * np.pi * np.arange(N) / 100) + 0.1 * NOISE
    parts = {"train": (0, 400), "test": (500, 530)}
    assert abs(found(season, 100, parts)[0]["shifts"]["test"]) < 0.1
    assert found(season, 0, parts)[0]["shifts"]["test"] > 0.5


def test_missing_rows_are_left_out_and_what_does_not_vary_is_not_looked_at() -> None:
    holes = NOISE.copy()
    holes[::7] = np.nan
    entries = found(np.stack([holes, np.full(N, 3.0), np.full(N, np.nan)], 1))
    assert [entry["channel"] for entry in entries] == ["c0"]
    assert entries[0]["rows"] == int((~np.isnan(holes[:400])).sum())


def test_a_part_without_a_value_has_no_level() -> None:
    holes = NOISE.copy()
    holes[500:] = np.nan
    assert set(found(holes)[0]["shifts"]) == {"valid"}


def test_many_channels_and_rows_are_looked_at_in_part() -> None:
    assert len(found(np.tile(NOISE[:, None], (1, 40)))) == LOOKED_AT
    long = np.cumsum(np.random.default_rng(0).normal(size=5 * BLOCKS))
    (entry,) = found(long, parts={"train": (0, len(long))})
    assert entry["unit_root_p"] > 0.05
    assert entry["shifts"] == {}


def test_a_series_too_short_to_be_tested_has_no_p() -> None:
    (entry,) = found(NOISE[:12], parts={"train": (0, 12)})
    assert entry["unit_root_p"] is None
    assert entry["stationary_p"] is None
