"""Rules over curves: overfitting, a loss that never fell, values that are no numbers."""

from __future__ import annotations

from typing import Any

import pytest

from elboroom.checks.training import nonfinite, overfitting, stalled
from records_by_hand import FALLING, curve, record


def test_a_validation_loss_that_keeps_falling_is_no_overfitting():
    found = overfitting(record(curve(FALLING, FALLING)))
    assert found is not None
    assert (found.level, found.value, found.since_step) == ("ok", 0.0, None)


def test_a_validation_loss_that_rises_while_training_falls_is_overfitting_since_its_best_step():
    valid = FALLING[:10] + [FALLING[9] + 3 * i for i in range(1, 11)]
    found = overfitting(record(curve(valid, FALLING)))
    assert found is not None
    assert found.level == "alarm"
    assert found.since_step == 100
    gained = valid[0] - valid[9]
    assert found.value == pytest.approx((sum(valid[-3:]) / 3 - valid[9]) / gained)
    assert found.value > found.threshold == 0.2
    assert "--steps" in found.try_


def test_a_small_rise_is_a_warning():
    valid = FALLING[:10] + [FALLING[9] + 0.4 * i for i in range(1, 11)]
    found = overfitting(record(curve(valid, FALLING)))
    assert found is not None
    assert found.level == "warn"


def test_jitter_at_the_floor_is_no_overfitting():
    valid = [*FALLING, *[21 + 0.8 * (-1) ** i for i in range(20)]]
    train = [*FALLING, *[20.0 - 0.01 * i for i in range(20)]]
    found = overfitting(record(curve(valid, train)))
    assert found is not None
    assert found.level == "ok"


def test_a_rise_of_both_losses_is_something_else():
    both = FALLING[:10] + [FALLING[9] + 5 * i for i in range(1, 11)]
    found = overfitting(record(curve(both, both)))
    assert found is not None
    assert found.level == "ok"


def test_without_enough_validation_nothing_is_said_of_overfitting():
    assert overfitting(record(curve(FALLING[:4], FALLING[:4]))) is None
    assert overfitting(record([{"step": 1, "train/loss_nats": 3.0}] * 9)) is None


def test_a_bound_that_falls_counts_as_a_loss_that_rises():
    rows = [
        {"step": i, "valid/elbo_nats": -v, "train/elbo_nats": -t}
        for i, (v, t) in enumerate(zip(FALLING[:10] + [FALLING[9] + 3 * i for i in range(1, 11)], FALLING, strict=True))
    ]
    found = overfitting(record(rows))
    assert found is not None
    assert found.level == "alarm"


def test_a_value_that_is_not_finite_is_dated():
    rows = [*curve(FALLING[:3], FALLING[:3]), {"step": 40, "train/loss_nats": None, "valid/loss_nats": 3.0}]
    found = nonfinite(record(rows))
    assert found is not None
    assert (found.level, found.value, found.since_step) == ("alarm", 1.0, 40)
    assert "train/loss_nats" in found.why


def test_finite_runs_say_how_many_values_were_looked_at():
    found = nonfinite(record(curve(FALLING, FALLING)))
    assert found is not None
    assert found.level == "ok"
    assert "40" in found.why


def test_a_run_that_failed_on_a_loss_that_was_not_finite_says_so():
    why = "step 41: the loss of phase 'elbo' is nan; no update was made; not finite"
    found = nonfinite(record(curve(FALLING[:3], FALLING[:3]), state="failed", why=why, step=40))
    assert found is not None
    assert (found.level, found.since_step, found.why) == ("alarm", 40, why)


def test_a_measure_without_a_value_is_found():
    found = nonfinite(record(metrics={"elbo_nats": {"value": None}}))
    assert found is not None
    assert (found.level, found.since_step) == ("alarm", None)
    assert "elbo_nats" in found.why


def test_a_loss_that_falls_has_not_stalled():
    found = stalled(record(curve(FALLING, FALLING)))
    assert found is not None
    assert found.level == "ok"
    assert found.value == pytest.approx(FALLING[0] - sum(FALLING[-5:]) / 5)


def test_a_loss_that_only_jitters_has_stalled_since_its_start():
    jitter = [0.693 + 0.002 * (-1) ** i for i in range(20)]
    found = stalled(record(curve(jitter, jitter)))
    assert found is not None
    assert (found.level, found.since_step) == ("alarm", 10)
    assert found.value < found.threshold == pytest.approx(3 * 0.004)


def test_a_loss_that_rises_has_stalled():
    found = stalled(record(curve(FALLING, FALLING[::-1])))
    assert found is not None
    assert found.level == "alarm"


def losses(value: float, beside: float) -> dict[str, Any]:
    return {"log_loss_nats": {"value": value, "references": [{"name": "class shares", "value": beside}]}}


def test_what_was_learnt_before_the_first_logged_value_is_no_stall():
    flat = [0.1 + 0.002 * (-1) ** i for i in range(20)]
    found = stalled(record(curve(flat, flat), metrics=losses(0.1, 0.69)))
    assert found is not None
    assert found.level == "ok"
    assert "class shares is beaten" in found.why
    found = stalled(record(curve(flat, flat), metrics=losses(0.7, 0.69)))
    assert found is not None
    assert found.level == "alarm"


def test_a_hair_of_a_fall_that_beats_nothing_is_a_warning():
    slow = [0.693 - 0.0005 * i for i in range(20)]
    found = stalled(record(curve(slow, slow), metrics=losses(0.695, 0.69)))
    assert found is not None
    assert found.level == "warn"


def test_few_points_and_several_phases_say_nothing_of_a_stall():
    assert stalled(record(curve(FALLING[:4], FALLING[:4]))) is None
    assert stalled(record([{"step": i, "train/critic.loss_nats": 1.0} for i in range(9)])) is None
