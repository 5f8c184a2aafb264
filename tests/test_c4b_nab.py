"""The recipe of the NAB score: what it may look at, and that its halves are what they are said to be."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import c4b_nab  # noqa: E402

from elboroom.metrics.nab import PROFILES, NabFile, nab_scores  # noqa: E402


def test_a_score_follows_from_the_probation_and_rows_up_to_its_own_alone() -> None:
    rng = np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(1200) / 50) + 0.1 * rng.normal(size=1200)
    other = values.copy()
    other[800:] = 100 * rng.normal(size=400)
    times = np.arange(1200) * 1800
    series = [c4b_nab.Series(v, (), t) for v, t in ((values, times), (other, np.where(times < times[800], times, 0)))]
    both = [c4b_nab.expectations(one, seed=0, steps=5) for one in series]
    for way in c4b_nab.WAYS:
        one, two = (c4b_nab.scored(*pair, way) for pair in zip(series, both, strict=True))
        np.testing.assert_array_equal(two[:800], one[:800], err_msg=way)
        assert (two[800:] != one[800:]).any(), way


@pytest.mark.parametrize("rows", [1000, 1127, 4032, 5000, 22695])
def test_the_probation_is_that_of_the_scorer(rows: int) -> None:
    learnt = c4b_nab.probation(rows)
    window = ((rows - 10, rows - 1),)
    for row, counts in ((learnt - 1, False), (learnt, True)):
        scores = np.zeros(rows)
        scores[row] = 1.0
        assert nab_scores({"": NabFile(scores, window)}, PROFILES["standard"], 0.5).false_rows == counts


def test_places_are_times_of_the_day_and_a_step_is_that_of_the_probation() -> None:
    times = 3 * 86_400 + 7200 + np.arange(200) * 3600
    times[150:] += 1800  # later rows come between the hours
    places, day = c4b_nab.Series(np.zeros(200), (), times).places()
    assert day == 24
    assert places[:24].tolist() == [*range(2, 24), 0, 1]
    assert places[150] == (150 + 2) % 24


def test_the_halves_are_fixed_share_no_file_and_leave_none_out(real_data: Path) -> None:
    names = list(c4b_nab.nab(real_data / "nab"))
    first, second = c4b_nab.halves(names)
    assert (len(first), len(second)) == (29, 29)
    assert sorted(first + second) == names
    assert c4b_nab.halves(names[::-1]) == (first, second)
    assert first[:2] == [
        "artificialNoAnomaly/art_daily_no_noise.csv",
        "artificialNoAnomaly/art_daily_perfect_square_wave.csv",
    ]
