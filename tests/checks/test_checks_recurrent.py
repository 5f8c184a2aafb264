"""Rules over how far back a gradient reaches."""

from __future__ import annotations

import math
from typing import Any

import pytest

from elboroom.checks.recurrent import exploding_gradients, short_memory, vanishing_gradients
from records_by_hand import reach, record

RULES = (vanishing_gradients, exploding_gradients, short_memory)


@pytest.mark.parametrize(("slope", "horizon", "level"), [(-0.1, 40, "ok"), (-0.4, 12, "warn"), (-0.9, 6, "alarm")])
def test_the_steeper_the_fall_the_worse(slope: float, horizon: int, level: str) -> None:
    found = vanishing_gradients(record(details=reach(slope, horizon)))
    assert found is not None
    assert (found.level, found.value) == (level, slope)
    assert f"{horizon} of 119 steps back" in found.why
    assert bool(found.try_) is (level != "ok")


def test_a_steep_fall_within_a_window_that_is_reached_is_no_fault() -> None:
    found = vanishing_gradients(record(details=reach(-0.9, horizon=6, span=6)))
    assert found is not None
    assert found.level == "ok"
    assert "whole window" in found.why


@pytest.mark.parametrize(("times", "level"), [(0.5, "ok"), (5, "ok"), (20, "warn"), (300, "alarm")])
def test_growth_over_the_window_is_told_by_its_factor(times: float, level: str) -> None:
    found = exploding_gradients(record(details=reach(math.log(times) / 118)))
    assert found is not None
    assert found.level == level
    assert found.value == pytest.approx(times)


def test_a_growth_beyond_all_numbers_is_still_a_number() -> None:
    found = exploding_gradients(record(details=reach(100.0)))
    assert found is not None
    assert found.level == "alarm"
    assert found.value is not None
    assert math.isfinite(found.value)


def test_a_huge_gradient_is_a_warning_even_where_no_lag_stands_out() -> None:
    found = exploding_gradients(record(details=reach(gradient={"norms": [2.0, 450.0], "clip": 0.0})))
    assert found is not None
    assert found.level == "warn"
    assert "450" in found.why
    assert "not clipped" in found.why


def test_a_run_that_ended_on_an_infinite_gradient_of_a_finite_loss_exploded() -> None:
    why = "step 12: the gradient of net.weight_hh_l0 is not finite; no update was made"
    found = exploding_gradients(record(state="failed", why=why, step=11))
    assert found is not None
    assert (found.level, found.since_step) == ("alarm", 11)
    assert "--clip" in found.try_
    why = "step 12: the loss of phase 'classes' is nan, the gradient of net.weight_hh_l0 is not finite"
    assert exploding_gradients(record(state="failed", why=why, step=11)) is None


def series(mae: tuple[float, float], naive: float) -> dict[str, Any]:
    low, value = mae
    return {"mae": {"low": low, "value": value, "references": [{"name": "seasonal naive", "value": naive}]}}


def test_a_horizon_short_of_the_season_is_a_fault_where_the_season_alone_does_better() -> None:
    details = {**reach(horizon=5, span=5), "series": {"period": 24}}
    found = short_memory(record(details=details, metrics=series((0.48, 0.5), 0.39)))
    assert found is not None
    assert (found.level, found.value, found.threshold) == ("alarm", 5.0, 24.0)
    assert "--window" in found.try_
    better = short_memory(record(details=details, metrics=series((0.28, 0.3), 0.39)))
    assert better is not None
    assert better.level == "ok"
    assert "does worse" in better.why


def test_a_horizon_of_a_season_or_more_is_fine() -> None:
    found = short_memory(record(details={**reach(horizon=24), "series": {"period": 24}}))
    assert found is not None
    assert (found.level, found.value) == ("ok", 24.0)


def test_without_a_season_nothing_is_said_of_a_short_memory() -> None:
    assert short_memory(record(details={**reach(), "series": {"period": 0}})) is None
    assert short_memory(record(details=reach())) is None


@pytest.mark.parametrize("details", [{}, {"memory": None}, {"memory": {"slope": "steep", "horizon": 3, "span": 9}}])
def test_a_run_without_a_memory_has_none_of_these_lights(details: dict[str, Any]) -> None:
    assert [rule(record(details={**details, "series": {"period": 24}})) for rule in RULES] == [None] * 3
