"""The matrix profile against all pairs of windows, one by one; flat and missing stretches; accuracy and speed."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from elboroom.baselines import matrix_profile as file
from elboroom.baselines.channels import Array
from elboroom.baselines.matrix_profile import EXACT, matrix_profile, matrix_profile_left, profile, stride_for
from elboroom.core.errors import InputError


def brute(x: Array, m: int, exclusion: int, *, earlier: bool = False, stride: int = 1) -> Array:
    """Every pair by the definition."""
    windows = np.lib.stride_tricks.sliding_window_view(x, m)
    references = windows[::stride]
    flat = (np.ptp(windows, 1) == 0).astype(int)
    shapes = (windows - windows.mean(1, keepdims=True)) / np.where(flat, 1, windows.std(1))[:, None]
    distance = np.stack([np.linalg.norm(shapes - shape, axis=1) for shape in shapes[::stride]], 1)
    pairs = flat[:, None] + flat[::stride]
    distance = np.where(pairs == 2, 0.0, np.where(pairs == 1, math.sqrt(m), distance))
    lag = np.arange(len(windows))[:, None] - np.arange(0, len(windows), stride)
    left_out = (lag if earlier else np.abs(lag)) <= exclusion
    left_out |= np.isnan(windows).any(1)[:, None] | np.isnan(references).any(1)
    nearest = np.where(left_out, np.inf, distance).min(1)
    return np.where(np.isinf(nearest), np.nan, nearest)


def series(kind: str, rows: int = 160) -> Array:
    rng = np.random.default_rng(7)
    x = rng.normal(size=rows) + 2 * np.sin(np.arange(rows) / 4)
    if kind == "walk":
        x = x.cumsum() + 1e4
    if kind == "flat":
        x[40:70] = 1.5
        x[100:130] = -2.0
    if kind == "missing":
        x[[50, 51, 120]] = np.nan
    if kind == "both":
        x[40:70], x[90] = 1.5, np.nan
    return np.asarray(x)


@pytest.mark.parametrize("stride", [1, 3, 7])
@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("kind", ["noise", "walk", "flat", "missing", "both"])
@pytest.mark.parametrize(("m", "exclusion"), [(8, 4), (9, 0), (30, 15)])
def test_the_profile_is_the_least_distance_over_all_pairs(
    kind: str, m: int, exclusion: int, earlier: bool, stride: int
) -> None:
    x = series(kind)
    found = profile(x, m, exclusion, earlier=earlier, stride=stride)
    wanted = brute(x, m, exclusion, earlier=earlier, stride=stride)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    assert np.isfinite(wanted).sum() > 20


def test_the_two_ways_of_computing_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    x = series("both", 900)
    slow = profile(x, 20, 10, stride=3)
    monkeypatch.setattr(file, "BLOCK", 32)
    np.testing.assert_allclose(profile(x, 20, 10, stride=3), slow, atol=1e-6)
    every = np.fmin.reduce([_shifted(x, 20, 10, shift) for shift in range(3)])
    np.testing.assert_allclose(profile(x, 20, 10), every, atol=1e-6)


def _shifted(x: Array, m: int, exclusion: int, shift: int) -> Array:
    """Distances to the windows shift, shift + 3, shift + 6 ...: missing rows in front move the references."""
    front = (-shift) % 3
    return profile(np.concatenate([np.full(front, np.nan), x]), m, exclusion, stride=3)[front:]


def test_rounding_does_not_build_up_over_thousands_of_steps() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=6000).cumsum() + 1e3
    x[3000:] += 1e4  # a level shift of hundreds of standard deviations
    m = 25
    found = profile(x, m, 12)
    windows = np.lib.stride_tricks.sliding_window_view(x, m)
    shapes = windows - windows.mean(1, keepdims=True)
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    for i in (0, 1000, 2990, 3100, 4500, 5975):
        r = shapes @ shapes[i]
        r[max(0, i - 12) : i + 13] = -1
        assert found[i] == pytest.approx(math.sqrt(2 * m * (1 - r.max())), abs=1e-5)


def test_a_planted_motif_is_at_distance_nought_whatever_its_scale() -> None:
    x = np.random.default_rng(1).normal(size=500)
    x[300:340] = 5 + 3 * x[100:140]
    found = profile(x, 40, 20)
    assert found[100] == pytest.approx(0, abs=1e-5)
    assert found[300] == pytest.approx(0, abs=1e-5)
    assert np.isnan(profile(x, 40, 20, earlier=True)[:21]).all()
    assert profile(x, 40, 20, earlier=True)[100] > 2
    assert profile(x, 40, 20, earlier=True)[300] == pytest.approx(0, abs=1e-5)


def test_the_left_profile_sees_the_first_of_two_equal_oddities() -> None:
    rng = np.random.default_rng(2)
    x = np.sin(np.arange(1200) / 5) + 0.05 * rng.normal(size=1200)
    odd = rng.normal(size=30)
    x[600:630], x[900:930] = odd, odd
    left = matrix_profile_left(x[:, None], 300, period=30)
    full = matrix_profile(x[:, None], 300, period=30)
    assert left[629] > 3 * np.nanmedian(left[300:590])
    assert left[929] < 0.5 * left[629]
    assert full[615] < 0.5 * left[629], "each is the other's neighbour"


def test_scores_stand_at_the_end_or_in_the_middle_of_their_windows() -> None:
    x = series("noise")
    for m in (8, 9):
        distance, left = (profile(x, m, m // 2, earlier=earlier, like=x[:50]) for earlier in (False, True))
        placed = matrix_profile(x[:, None], 50, period=m)
        np.testing.assert_array_equal(placed[m // 2 : m // 2 + len(distance)], distance)
        np.testing.assert_array_equal(matrix_profile_left(x[:, None], 50, period=m)[m - 1 :], left)


def test_ten_thousand_rows_take_less_than_five_seconds() -> None:
    x = np.random.default_rng(0).normal(size=10_000)
    began = time.process_time()
    profile(x, 125, 62)
    assert time.process_time() - began < 5


def test_long_series_are_compared_with_every_kth_window_and_all_phases() -> None:
    assert stride_for(EXACT, 24) == 1
    assert stride_for(EXACT + 1, 30) == 7  # of 5 and 6 whole phases of 30 are never seen
    assert stride_for(100_000, 125) == 26
    assert 1_000_000**2 / stride_for(1_000_000, 288) <= 4e8
    assert math.gcd(stride_for(1_000_000, 288), 288) == 1


def test_series_beyond_the_limit_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "EXACT", 100)
    x = series("noise", 240)
    m = 9
    stride = stride_for(240 - m + 1, m)
    assert stride == 4
    np.testing.assert_allclose(
        matrix_profile_left(x[:, None], 50, period=m)[m - 1 :],
        brute(x, m, m // 2, earlier=True, stride=stride),
        atol=2e-6,
    )


@pytest.mark.parametrize(("shape", "m"), [((10, 2), 4), ((10,), 1)])
def test_a_wrong_call_is_refused(shape: tuple[int, ...], m: int) -> None:
    with pytest.raises(InputError, match="one channel"):
        profile(np.zeros(shape), m, 2)


def test_windows_longer_than_the_series_and_series_without_a_whole_window_have_no_profile() -> None:
    assert profile(np.zeros(5), 6, 3).shape == (0,)
    assert np.isnan(profile(np.array([1.0, np.nan, 2.0, np.nan, 3.0]), 2, 1)).all()
