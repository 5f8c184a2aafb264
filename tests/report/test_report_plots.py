"""The rules of drawing: ticks, means, thinning, labels pushed apart."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from elboroom.report.figures import Dot, mark, mark_axis
from elboroom.report.latent import principal_axes
from elboroom.report.panels import Level, Panel, Series, drawn, fall, tail_start
from elboroom.report.plots import Axis, centred_mean, spread, thinned, tick_texts


def test_ticks_are_of_the_1_2_5_series_few_and_inside() -> None:
    rng = random.Random(3)
    for _ in range(2000):
        low = rng.uniform(-1000, 1000)
        axis = Axis(low, low + 10 ** rng.uniform(-4, 5), 0, 100)
        ticks = axis.ticks(6)
        assert 2 <= len(ticks) <= 7
        step = ticks[1] - ticks[0]
        first = f"{step:e}"[:3]
        assert first in ("1.0", "2.0", "5.0", "9.9")
        assert all(axis.low - step * 1e-6 <= t <= axis.high + step * 1e-6 for t in ticks)


def test_ticks_of_one_axis_have_the_same_decimals_and_differ() -> None:
    for ticks in ([0.48, 0.5, 0.52], [0.0, 20.0, 40.0], [-284.0, -282.0, -280.0], [0.5, 1.0, 2.0]):
        texts = tick_texts(ticks)
        assert len(set(texts)) == len(ticks)
        assert len({len(t.partition(".")[2]) for t in texts}) == 1


def test_a_log_axis_refuses_values_that_are_not_above_zero_and_places_them_nowhere() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Axis(0, 10, 0, 100, log=True)
    placed = Axis(1, 100, 0, 100, log=True).place(np.array([1.0, 10.0, 0.0, -3.0, np.nan]))
    assert placed[:2].tolist() == [0.0, 50.0]
    assert np.isnan(placed[2:]).all()


def test_the_mean_of_a_straight_line_is_the_line_and_its_width_is_shortened_at_the_ends() -> None:
    x = np.linspace(0, 10, 101)
    assert np.allclose(centred_mean(x, 3 * x - 1, 2.0), 3 * x - 1)
    noisy = np.random.default_rng(0).normal(size=101)
    mean = centred_mean(x, noisy, 2.0)
    assert mean[0] == noisy[0] and mean[-1] == noisy[-1]
    assert mean[50] == pytest.approx(noisy[40:61].mean())


def test_the_mean_leaves_gaps_out_and_depends_only_on_its_neighbourhood() -> None:
    x, y = np.arange(50.0), np.ones(50)
    y[10] = np.nan
    assert np.allclose(centred_mean(x, y, 4.0), 1.0)
    longer = centred_mean(np.arange(90.0), np.concatenate([y, np.full(40, 9.0)]), 4.0)
    assert np.allclose(longer[:46], 1.0), "a longer run changes no value before"


def test_thinning_keeps_the_extremes_of_every_pixel_column_the_ends_and_the_gaps() -> None:
    rng = np.random.default_rng(0)
    x, y = np.arange(20_000.0), rng.normal(size=20_000)
    y[777], y[5000], y[9000] = 40.0, -40.0, np.nan
    few_x, few_y = thinned(x, y, 200)
    assert len(few_x) <= 2 * 200 + 3
    assert np.nanmax(few_y) == 40.0 and np.nanmin(few_y) == -40.0
    assert np.isnan(few_y).sum() == 1
    assert few_x[0] == 0 and few_x[-1] == 19_999
    assert (np.diff(few_x) > 0).all()


def test_labels_are_pushed_apart_keep_their_order_and_stay_inside() -> None:
    rng = random.Random(4)
    for _ in range(500):
        wanted = [rng.uniform(0, 100) for _ in range(rng.randint(1, 6))]
        placed = spread(wanted, 13, 0, 100)
        order = sorted(range(len(wanted)), key=lambda i: wanted[i])
        ordered = [placed[i] for i in order]
        assert all(b - a >= 13 - 1e-9 for a, b in pairwise(ordered))
        assert min(ordered) >= -1e-9 and max(ordered) <= 100 + 1e-9


def curve(low: float, high: float, fast: float, n: int = 100) -> Series:
    x = np.linspace(0.1, 50, n)
    return Series("validation", "c1", x, low + (high - low) * np.exp(-x * fast))


def test_a_second_panel_appears_only_where_over_half_of_the_curve_lies_in_a_tenth_of_its_range() -> None:
    assert tail_start([curve(0.5, 4.0, 1.0)], []) is not None
    assert tail_start([curve(0.0, 1.0, 0.02)], []) is None
    assert tail_start([curve(0.0, 1.0, 0.02)], [Level("far away", 40.0)]) is not None


def test_a_panel_with_values_that_are_not_finite_marks_them_and_does_not_fail() -> None:
    series = curve(0.5, 4.0, 1.0)
    series.y[40:43] = np.nan
    text = drawn(Panel("Loss", "linear axis", [series]), 400, 240, "said")
    assert text.count('class="line mean c1"') == 4, "one line with a gap and three ticks at the upper edge"
    assert "nan" not in text


def test_a_line_is_summed_up_in_one_sentence() -> None:
    x = np.arange(1.0, 6.0)
    series = Series("validation", "c1", x, np.array([4.0, 1.0, 0.52, 0.5, 0.51]))
    assert fall(series) == "validation falls from 4.000 to 0.510 over 4 epochs, lowest at 4"


def test_a_mark_without_an_interval_is_hollow_and_one_with_it_has_a_band() -> None:
    axis = mark_axis([1.0, 2.0, 3.0], 100)
    assert "ring" in mark([Dot(2.0)], [], axis, 100) and "interval" not in mark([Dot(2.0)], [], axis, 100)
    assert "interval" in mark([Dot(2.0, 1.5, 2.5)], [], axis, 100)


def test_marks_that_span_more_than_a_factor_of_ten_share_a_log_axis() -> None:
    narrow, wide, negative = mark_axis([1.0, 5.0], 100), mark_axis([1.0, 50.0], 100), mark_axis([-1.0, 50.0], 100)
    assert narrow is not None and wide is not None and negative is not None
    assert (narrow.log, wide.log, negative.log) == (False, True, False)


def test_principal_axes_find_the_plane_that_holds_the_codes_and_their_shares() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(500, 2)) * [3.0, 1.0]
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    points, shares = principal_axes(plane @ turn[:2] + 5)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] > shares[1]
    assert np.allclose((points**2).sum(1), ((plane - plane.mean(0)) ** 2).sum(1))
