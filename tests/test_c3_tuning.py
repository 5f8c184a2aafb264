"""Tuning of the classifiers that are compared: the same draws for all, the hopeless stopped, nothing but validation."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.c3_classification import flags  # noqa: E402
from benchmarks.c3_tuning import CHOICES, DRAWS, KEPT, LR, draws, tuned, validation_nats  # noqa: E402

from elboroom.core import registry  # noqa: E402
from elboroom.settings import checked  # noqa: E402


def waves(path: Path, *, spoilt: bool = False) -> Path:
    """A set with a test part of its own: slow and quick waves; `spoilt`: the test part holds other numbers."""
    for part, count in (("TRAIN", 30), ("TEST", 12)):
        rng = np.random.default_rng(0)
        lines = []
        for i in range(count):
            x = np.sin((0.5, 1.5)[i % 2] * np.arange(12) + rng.uniform(0, 6))
            x = x * 0 + 7 if spoilt and part == "TEST" else x
            lines.append(",".join(f"{v:.4f}" for v in x) + f":{('slow', 'quick')[i % 2]}")
        head = "@problemName waves\n@univariate true\n@classLabel true slow quick\n@data\n"
        path.mkdir(exist_ok=True)
        (path / f"waves_{part}.ts").write_text(head + "\n".join(lines) + "\n")
    return path


def test_the_draws_are_the_same_each_time_and_lie_in_their_ranges() -> None:
    found = draws()
    assert found == draws() and len(found) == DRAWS and found[:3] == draws(3)
    assert len({one["lr"] for one in found}) == DRAWS
    fields = registry.entry("classifier")
    for one in found:
        assert LR[0] <= one["lr"] <= LR[1]
        assert all(one[name] in values for name, values in CHOICES.items())
        assert checked(fields, one)["lr"] == one["lr"], "every draw is a setting that the model takes"


def test_the_smallest_validation_loss_of_a_whole_training_comes_first(tmp_path: Path) -> None:
    source = waves(tmp_path / "waves")
    trials = tuned(source, {"hidden": 4}, 12, 1, 4)
    whole = [trial.second for trial in trials]
    assert whole[:KEPT] == sorted(whole[:KEPT]) and all(map(math.isfinite, whole[:KEPT]))
    assert whole[KEPT:] == [math.inf] * (4 - KEPT), "the others were stopped"
    assert max(t.first for t in trials[:KEPT]) <= min(t.first for t in trials[KEPT:])
    assert whole[0] == validation_nats(source, {"hidden": 4, **trials[0].settings}, 12, 1)


def test_tuning_does_not_see_the_test_part(tmp_path: Path) -> None:
    clean, spoilt = waves(tmp_path / "clean"), waves(tmp_path / "spoilt", spoilt=True)
    assert validation_nats(clean, {"hidden": 4}, 6, 1) == validation_nats(spoilt, {"hidden": 4}, 6, 1)


@pytest.mark.parametrize("wrong", [{"lr": 1e6, "noise": 0.0, "clip": 0.0}])
def test_a_setting_that_diverges_is_as_bad_as_can_be_and_stops_nothing(tmp_path: Path, wrong: dict[str, float]) -> None:
    loss = validation_nats(waves(tmp_path / "waves"), {"hidden": 4, **wrong}, 12, 1)
    assert loss > 10


def test_settings_are_said_as_the_command_line_takes_them() -> None:
    assert flags({"cell": "gru", "weight_decay": 0.1, "bidirectional": False}) == [
        "--cell", "gru", "--weight-decay", 0.1, "--no-bidirectional",
    ]  # fmt: skip
