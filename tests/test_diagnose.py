from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest

from elboroom.core.errors import InputError
from elboroom.diagnose import Record, diagnose, findings, nonfinite, overfitting, posterior_collapse

META = {"state": "done", "why": "", "step": 100, "kept": None}


def record(history: Any = (), details: Any = None, metrics: Any = None, **meta: Any) -> Record:
    return Record({**META, **meta}, list(history), metrics or {}, details or {})


def curve(valid: list[float], train: list[float], every: int = 10) -> list[dict[str, Any]]:
    return [
        {"step": every * (i + 1), "epoch": i + 1, "train/loss_nats": t, "valid/loss_nats": v}
        for i, (v, t) in enumerate(zip(valid, train, strict=True))
    ]


FALLING = [100 * 0.8**i + 20 for i in range(20)]


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


def rates(*values: float) -> dict[str, Any]:
    return {"rate_by_dimension": [{"dimension": i, "value": v, "low": v, "high": v} for i, v in enumerate(values)]}


def test_dimensions_that_carry_nothing_are_counted():
    found = posterior_collapse(record(details=rates(2.0, 0.001, 1.0, 0.0)))
    assert found is not None
    assert (found.level, found.value) == ("warn", 0.5)
    assert "z2, z4" in found.why
    assert "--latent 2" in found.try_


def test_a_code_in_full_use_is_fine():
    found = posterior_collapse(record(details=rates(2.0, 0.5)))
    assert found is not None
    assert found.level == "ok"


def test_a_code_that_carries_nothing_is_a_collapse_since_the_rate_fell_for_good():
    rows = [{"step": 10 * i, "valid/rate_nats": r} for i, r in enumerate([3.0, 0.001, 0.5, 0.01, 0.002, 0.001])]
    found = posterior_collapse(record(rows, details=rates(0.001, 0.0, 0.002)))
    assert found is not None
    assert (found.level, found.value, found.threshold, found.since_step) == ("alarm", 1.0, 0.9, 30)


def test_a_model_without_a_rate_has_no_posterior_to_collapse():
    assert posterior_collapse(record(details={"active_by_variance": 3})) is None


def test_the_worst_finding_comes_first():
    rows = [*curve(FALLING, FALLING), {"step": 300, "train/loss_nats": None}]
    assert [f.level for f in findings(record(rows, details=rates(1.0, 0.0)))] == ["alarm", "warn", "ok"]


def write(folder, history: str) -> None:
    (folder / "run.json").write_text(json.dumps(META))
    (folder / "history.jsonl").write_text(history)
    (folder / "details.json").write_text(json.dumps(rates(1.0)))


def test_a_folder_gives_the_contracts_form_and_bears_a_cut_line(tmp_path):
    write(tmp_path, "\n".join(json.dumps(row) for row in curve(FALLING, FALLING)) + '\n{"step": 21')
    found = diagnose(tmp_path)
    assert [f["name"] for f in found] == ["nonfinite", "overfitting", "posterior_collapse"]
    assert all(set(f) == {"name", "level", "value", "threshold", "since_step", "why", "try"} for f in found)
    json.dumps(found, allow_nan=False)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"run\.json"):
        diagnose(tmp_path)


def test_a_damaged_run_is_refused_with_the_file(tmp_path):
    write(tmp_path, "")
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"metrics\.json"):
        diagnose(tmp_path)


def test_diagnosis_needs_no_torch():
    code = "import sys, elboroom.diagnose; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_values_never_are_numbers_json_lacks():
    for valid in ([5.0] * 10, [5.0, *[6.0 + i for i in range(9)]], [math.inf, *FALLING[:9]]):
        found = findings(record(curve(valid, FALLING[:10])))
        json.dumps([f.to_json() for f in found], allow_nan=False)
