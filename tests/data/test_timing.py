"""The generators of timing tasks against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.data.timing import WAVES, adding, periodic, spike_delays, timed_spikes


def test_timed_spikes_stand_at_the_multiples_of_the_period_and_go_on_where_they_left_off() -> None:
    whole = timed_spikes(7, 1, 50)
    np.testing.assert_array_equal(np.flatnonzero(whole) + 1, [7, 14, 21, 28, 35, 42, 49])
    np.testing.assert_array_equal(np.concatenate([timed_spikes(7, 1, 20), timed_spikes(7, 21, 30)]), whole)


@pytest.mark.parametrize("wave", WAVES)
def test_a_wave_repeats_itself_stays_in_the_unit_interval_and_goes_on_where_it_left_off(wave: str) -> None:
    whole = periodic(wave, 10, 1, 40)
    np.testing.assert_array_equal(whole[:30], whole[10:])
    assert whole.min() == 0
    assert whole.max() == 1
    np.testing.assert_array_equal(np.concatenate([periodic(wave, 10, 1, 13), periodic(wave, 10, 14, 27)]), whole)


def test_the_waves_are_those_of_the_paper() -> None:
    t = np.arange(1, 11)
    np.testing.assert_allclose(periodic("cosine", 10, 1, 10), 0.5 * (1 - np.cos(2 * np.pi * t / 10)), atol=1e-6)
    np.testing.assert_allclose(
        periodic("triangle", 10, 1, 10), [0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2, 0], atol=1e-6
    )
    np.testing.assert_array_equal(periodic("rectangle", 10, 1, 10), [0, 0, 0, 0, 0, 1, 1, 1, 1, 0])


def test_each_delay_is_what_its_interval_has_beyond_the_period() -> None:
    spikes, answers, asked = spike_delays(np.random.default_rng(0), 9, 50, 200)
    np.testing.assert_array_equal(spikes > 0, asked)
    assert not answers[~asked].any()
    for row in range(50):
        at = np.flatnonzero(spikes[row]) + 1
        np.testing.assert_array_equal(np.diff(at, prepend=0) - 9, answers[row, at - 1])
        assert 200 - at[-1] <= 10  # the next spike would lie beyond the end
    assert 0.45 < answers[asked].mean() < 0.55


def test_a_sum_is_that_of_the_two_marked_numbers_one_in_each_half() -> None:
    x, y = adding(np.random.default_rng(0), 3000, 21)
    np.testing.assert_array_equal(x[..., 1].sum(1), 2)
    np.testing.assert_array_equal(x[:, :10, 1].sum(1), 1)
    np.testing.assert_allclose((x[..., 0] * x[..., 1]).sum(1), y, atol=1e-6)
    assert np.square(y - 1).mean() == pytest.approx(1 / 6, abs=0.01)
    assert (x[:, :, 1].sum(0) > 0).all()  # every step is marked somewhere


def test_tasks_without_room_for_a_spike_or_a_mark_are_refused() -> None:
    with pytest.raises(InputError, match="period of 1"):
        timed_spikes(1, 1, 5)
    with pytest.raises(InputError, match="cosine"):
        periodic("cosin", 10, 1, 5)
    with pytest.raises(InputError, match="two steps"):
        adding(np.random.default_rng(0), 4, 1)
