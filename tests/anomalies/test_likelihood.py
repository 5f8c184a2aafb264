"""Return periods against the laws they are drawn from; the score's causality, holding back, and state over a stop."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from elboroom.anomalies.likelihood import HOLD, SPELL, Likelihood, ReturnPeriod
from elboroom.core.errors import InputError

DRAWS = {
    "normal": lambda rng, n: np.abs(rng.normal(size=n)),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "t with 3 degrees of freedom": lambda rng, n: np.abs(rng.standard_t(3, size=n)),
}


def periods(values: np.ndarray, train: int = 500) -> np.ndarray:
    """log10 of the rows, of each value behind the first `train`."""
    period = ReturnPeriod.fit(values[:train])
    return np.array([period.update(v) for v in values[train:].tolist()])


def noisy(rows: int = 1500, channels: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Errors and values (rows, channels), with a fault in channel 0 at row 1,000."""
    rng = np.random.default_rng(seed)
    errors, values = rng.normal(size=(rows, channels)), rng.normal(size=(rows, channels))
    errors[1000:1020, 0] += 6
    return errors, values


def made(channels: int = 2, hold: int = HOLD, train: int = 300) -> tuple[Likelihood, np.ndarray, np.ndarray]:
    """Calibrated on the first rows, and the rows after them."""
    errors, values = noisy(channels=channels)
    return Likelihood.fit(errors[:train], values[:train], hold=hold), errors[train:], values[train:]


def seasonal(rows: int, season: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors that say nothing, values with a season, and the place of each row in it."""
    rng = np.random.default_rng(8)
    places = np.arange(rows) % season
    values = 10 * np.sin(2 * np.pi * places / season) + 0.3 * rng.normal(size=rows)
    return rng.normal(size=(rows, 1)), values[:, None], places


# -- return periods ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", DRAWS)
def test_a_return_period_comes_about_as_often_as_it_says_whatever_the_law(law: str) -> None:
    found = periods(DRAWS[law](np.random.default_rng(1), 40_500))
    for decades, factor in ((1.5, 1.5), (2.0, 2.0), (2.5, 3.0)):
        rate = (found >= decades).mean() * 10**decades
        assert 1 / factor < rate < factor, (decades, rate)


def test_units_do_not_matter() -> None:
    x = np.abs(np.random.default_rng(2).standard_t(3, size=2000))
    np.testing.assert_allclose(periods(1e4 * x), periods(x), rtol=1e-6, atol=1e-9)


def test_what_returns_is_no_rarer_than_it_was_seen() -> None:
    x = np.abs(np.random.default_rng(3).normal(size=8000))
    x[700::100] = 50.0
    found = periods(x)
    at = np.arange(200, len(found), 100)
    assert found[at[0]] > 5  # nothing like it yet
    for spells, row in enumerate(at[1:], start=1):
        assert found[row] <= math.log10((500 + row) / spells) + 1e-9
    assert (found[at[40:]] < 2.3).all()


def test_rows_of_one_spell_count_once() -> None:
    x = np.abs(np.random.default_rng(4).normal(size=4000))
    x[1000 : 1000 + SPELL // 2] = 50.0
    x[3000] = 50.0
    assert periods(x)[2500] == pytest.approx(math.log10(3000))


def test_the_tail_follows_a_scale_that_has_changed_for_good() -> None:
    x = np.abs(np.random.default_rng(5).normal(size=12_000))
    x[2000:] *= 5
    found = periods(x)
    assert (found[1500:2000] >= 2).mean() > 0.1
    assert (found[6000:] >= 2).mean() < 0.02


def test_a_missing_value_changes_nothing() -> None:
    x = np.abs(np.random.default_rng(6).normal(size=900))
    holed = np.insert(x, [600, 700], np.nan)
    found = periods(holed)
    assert np.isnan(found).sum() == 2
    np.testing.assert_array_equal(found[~np.isnan(found)], periods(x))


def test_a_statistic_that_stood_still_speaks_when_it_moves() -> None:
    found = periods(np.concatenate([np.zeros(600), [1.0], np.zeros(10)]))
    assert (np.delete(found, 100) < 2).all()
    assert found[100] > 5


# -- the score ---------------------------------------------------------------------------------------------------------


def test_scores_lie_between_0_and_1_and_the_fault_has_the_largest() -> None:
    likelihood, errors, values = made()
    score = likelihood.scores(errors, values)
    assert ((score >= 0) & (score <= 1)).all()
    assert 700 <= int(np.argmax(score)) < 720 + 10


def test_whole_and_row_by_row_are_the_same_bits_also_over_a_stop() -> None:
    likelihood, errors, values = made()
    whole = likelihood.scores(errors, values)
    streamed, _, _ = made()
    first = [streamed.update(*row) for row in zip(errors[:710], values[:710], strict=True)]
    again = Likelihood.from_json(json.loads(json.dumps(streamed.to_json())))
    second = [again.update(*row) for row in zip(errors[710:], values[710:], strict=True)]
    np.testing.assert_array_equal(first + second, whole)
    assert again.to_json() == likelihood.to_json()


def test_a_season_is_carried_over_a_stop() -> None:
    errors, values, places = seasonal(900)
    whole = Likelihood.fit(errors[:300], values[:300], places[:300], season=24)
    stopped = Likelihood.from_json(json.loads(json.dumps(whole.to_json())))
    expected = whole.scores(errors[300:], values[300:], places[300:])
    found = [stopped.update(*row) for row in zip(errors[300:], values[300:], places[300:].tolist(), strict=True)]
    np.testing.assert_array_equal(found, expected)
    assert stopped.to_json() == whole.to_json()


def test_a_day_unlike_the_days_before_is_found_where_rows_have_places_alone() -> None:
    errors, values, places = seasonal(1500)
    values[1008:1032] = values[1020]  # the middle of the range, all day: no value is new
    scores = {}
    for known in (True, False):
        at = places if known else np.full(1500, -1)
        likelihood = Likelihood.fit(errors[:300], values[:300], at[:300], season=24)
        scores[known] = likelihood.scores(errors[300:], values[300:], at[300:])
    assert scores[True][708:740].max() > 0.5
    assert scores[True][708:740].max() == scores[True].max()
    assert scores[False][708:740].max() < 0.35


def test_a_place_is_learnt_from_after_it_was_judged_and_forgets() -> None:
    errors, values, places = seasonal(3000)
    values[1500:] += 4 * (places[1500:, None] == 5)
    scores = Likelihood.fit(errors[:300], values[:300], places[:300], season=24, hold=0).scores(
        errors[300:], values[300:], places[300:]
    )
    assert scores[1200:1240].max() > 0.4
    assert (scores[2200:] > 0.3).mean() < 0.01


def test_rows_to_come_change_no_score() -> None:
    likelihood, errors, values = made()
    other, _, _ = made()
    changed = errors.copy()
    changed[800:] = 100.0
    before = likelihood.scores(errors, values)
    after = other.scores(changed, values)
    np.testing.assert_array_equal(after[:800], before[:800])
    assert (after[800:] != before[800:]).any()


def test_after_a_report_only_what_is_rarer_is_reported_for_as_long_as_is_held_back() -> None:
    free, errors, values = made(hold=0)
    held, _, _ = made(hold=50)
    every, some = free.scores(errors, values), held.scores(errors, values)
    for row in range(len(every)):
        rarest = every[max(0, row - 50) : row].max(initial=0.0)
        assert some[row] == (every[row] if every[row] > rarest else 0.0), row
    assert 0 < (some > 0).sum() < 0.2 * (every > 0).sum()


def test_memory_does_not_grow() -> None:
    rng = np.random.default_rng(7)
    errors, values = rng.normal(size=(3000, 1)), rng.normal(size=(3000, 1))
    errors[300:, 0] *= np.linspace(3, 1, 2700)  # ever less rare: the longest list of rows that may still matter
    likelihood = Likelihood.fit(errors[:300], values[:300], hold=60)
    likelihood.scores(errors[300:1000], values[300:1000])
    early = len(likelihood.to_json()["rarest"])
    likelihood.scores(errors[1000:], values[1000:])
    assert max(early, len(likelihood.to_json()["rarest"])) <= 61


def test_missing_rows_have_no_score_and_a_channel_that_was_never_there_no_say() -> None:
    likelihood, errors, values = made()
    errors[5], values[5] = np.nan, np.nan
    errors[6, 0] = np.nan
    score = likelihood.scores(errors, values)
    assert np.flatnonzero(np.isnan(score)).tolist() == [5]
    errors, values = noisy()
    errors[:300, 1], values[:300, 1] = np.nan, np.nan
    silent = Likelihood.fit(errors[:300], values[:300])
    loud = errors[300:].copy()
    loud[:, 1] = 1e6
    np.testing.assert_array_equal(
        silent.scores(loud, values[300:]), Likelihood.fit(errors[:300], values[:300]).scores(errors[300:], values[300:])
    )


def test_the_rarest_of_many_channels_is_as_many_times_as_frequent() -> None:
    # the same in every channel, so that the rarest of four is that of one
    errors, values = noisy(channels=1)
    one = Likelihood.fit(errors[:300], values[:300], hold=0).scores(errors[300:], values[300:])
    fourfold = Likelihood.fit(errors[:300].repeat(4, 1), values[:300].repeat(4, 1), hold=0)
    four = fourfold.scores(errors[300:].repeat(4, 1), values[300:].repeat(4, 1))
    both = (one > 0.1) & (one < 1)
    assert both.sum() > 50
    np.testing.assert_allclose(one[both] - four[both], math.log10(4) / 10, rtol=1e-9)


def test_what_cannot_be_calibrated_is_said() -> None:
    errors, values = noisy()
    with pytest.raises(InputError, match="of 10 rows to calibrate on no channel has 20 errors or values"):
        Likelihood.fit(errors[:10], values[:10])
    with pytest.raises(InputError, match="of 300 rows to calibrate on no channel has 20"):
        Likelihood.fit(np.full((300, 1), np.nan), np.full((300, 1), np.nan))
    with pytest.raises(InputError, match="place 24 in a season of 24 rows"):
        Likelihood.fit(errors, values, np.arange(1500) % 25, season=24)
    with pytest.raises(InputError, match="place 0 in a season of 0 rows"):
        made()[0].update(errors[0], values[0], 0)
    with pytest.raises(InputError, match="-1 rows to hold back"):
        Likelihood.fit(errors, values, hold=-1)
    with pytest.raises(InputError, match="a tail needs 20 magnitudes"):
        ReturnPeriod.fit(np.ones(10))
    with pytest.raises(InputError, match=r"errors of the shape \(1500, 2\), values \(1500, 1\)"):
        Likelihood.fit(errors, values[:, :1])
    with pytest.raises(InputError, match="1 errors and 2 values for 2 channels"):
        made()[0].update(errors[0, :1], values[0])
    with pytest.raises(InputError, match="magnitudes"):
        ReturnPeriod.fit(np.linspace(-1, 1, 100))
