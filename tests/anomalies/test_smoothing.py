"""Moving means: what they are by definition, and that a stream makes the same numbers to the last bit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from elboroom.anomalies.smoothing import CausalMean, WindowSums, causal_mean, centred_mean, window_sums
from elboroom.core.errors import InputError


def scores(seed: int, rows: int, missing: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=rows)
    x[rng.random(rows) < missing] = np.nan
    return x


def mean_between(x: np.ndarray, first: int, last: int) -> float:
    part = x[max(first, 0) : last + 1]
    part = part[~np.isnan(part)]
    return float(part.mean()) if len(part) else math.nan


@pytest.mark.parametrize("width", [1, 2, 3, 7, 24, 97, 500])
@pytest.mark.parametrize("rows", [0, 1, 5, 97, 300])
def test_moving_means_are_the_means_of_what_lies_in_their_windows(rows: int, width: int) -> None:
    x = scores(width, rows)
    causal = [mean_between(x, t - width + 1, t) for t in range(rows)]
    centred = [mean_between(x, t - (width - 1) // 2, t + width // 2) for t in range(rows)]
    np.testing.assert_allclose(causal_mean(x, width), causal, rtol=1e-12)
    np.testing.assert_allclose(centred_mean(x, width), centred, rtol=1e-12)


def test_channels_are_smoothed_each_by_itself() -> None:
    x = np.stack([scores(1, 200), scores(2, 200, 0.9), np.full(200, np.nan)], axis=1)
    for smooth in (causal_mean, centred_mean):
        found = smooth(x, 12)
        for channel in range(3):
            np.testing.assert_array_equal(found[:, channel], smooth(x[:, channel], 12))
        assert np.isnan(found[:, 2]).all()


@pytest.mark.parametrize("width", [1, 2, 10, 64])
def test_a_stream_of_means_equals_the_array_to_the_last_bit_and_survives_being_saved(width: int) -> None:
    x = scores(3, 400)
    stream, found = CausalMean(width), []
    for row, score in enumerate(x):
        if row % 37 == 0:
            stream = CausalMean.from_json(json.loads(json.dumps(stream.to_json(), allow_nan=False)))
        found.append(stream.update(float(score)))
    np.testing.assert_array_equal(found, causal_mean(x, width))


def test_a_stream_holds_as_much_after_many_rows_as_at_the_beginning() -> None:
    stream = CausalMean(50)
    stream.update(1.0)
    before = len(json.dumps(stream.to_json()["sums"]["held"]))
    for _ in range(1999):
        stream.update(1.0)
    assert np.shape(stream.to_json()["sums"]["held"]) == (50, 2)
    assert len(json.dumps(stream.to_json()["sums"]["held"])) < 1.3 * before


def test_a_huge_score_leaves_nothing_behind_once_it_is_out_of_the_window() -> None:
    x = np.concatenate([[1e300, math.inf, 1e16], np.full(50, 0.1)])
    assert np.isinf(causal_mean(x, 5)[:6]).any()
    np.testing.assert_allclose(causal_mean(x, 5)[7:], 0.1, rtol=1e-15)


def test_sums_over_several_lanes_equal_those_row_by_row() -> None:
    x = np.random.default_rng(5).normal(size=(333, 4))
    stream = WindowSums(30, 4)
    np.testing.assert_array_equal([stream.update(row) for row in x], window_sums(x, 30))


def test_after_a_reset_earlier_rows_count_for_nothing() -> None:
    stream = CausalMean(10)
    for _ in range(25):
        stream.update(100.0)
    stream.reset()
    assert stream.update(1.0) == 1.0 and stream.update(3.0) == 2.0


def test_a_causal_mean_does_not_look_ahead_and_a_centred_one_does() -> None:
    x = scores(7, 100, 0.0)
    changed = x.copy()
    changed[60:] += 5
    np.testing.assert_array_equal(causal_mean(x, 9)[:60], causal_mean(changed, 9)[:60])
    assert (centred_mean(x, 9)[56:60] != centred_mean(changed, 9)[56:60]).all()
    assert (centred_mean(x, 9)[:56] == centred_mean(changed, 9)[:56]).all()


def test_windows_of_no_rows_and_scores_of_three_axes_are_refused() -> None:
    with pytest.raises(InputError, match="1 or more"):
        causal_mean(np.ones(3), 0)
    with pytest.raises(InputError, match="1 or more"):
        CausalMean(0)
    with pytest.raises(InputError, match="axes"):
        centred_mean(np.ones((3, 2, 2)), 2)
