"""The truth that the watch over two players is held against, and how it is scored."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.b8_watch import DEVELOPMENT, EVALUATION, by_neighbours, evenness, first_alarm, summarise  # noqa: E402
from benchmarks.record import Result  # noqa: E402

from elboroom.data.source import read  # noqa: E402


def test_evenness_is_the_share_of_the_modes_that_are_made_alike_and_nothing_made_far_from_all_counts() -> None:
    data = read("ring8:n=100")
    assert data.mixture is not None
    centres = np.asarray(data.mixture.centres)
    assert evenness(data, np.repeat(centres, 10, axis=0)) == pytest.approx(1.0)
    assert evenness(data, np.repeat(centres[:2], 10, axis=0)) == pytest.approx(2 / 8)
    assert evenness(data, np.concatenate([centres[:4], np.zeros((500, 2))])) == pytest.approx(4 / 8)
    assert evenness(data, np.zeros((500, 2))) == 0.0


def test_digits_are_named_by_their_neighbours() -> None:
    data = read("digits")
    rows = data.parts["test"]
    raw = rows.take(torch.arange(len(rows)))
    x, label = np.asarray(data.transform.undo(data.transform(raw).x)), raw["label"].numpy()
    assert (by_neighbours(data, x) == label).mean() > 0.95
    assert evenness(data, x[label < 5]) == pytest.approx(0.5, abs=0.03)


def looked(collapsed: list[bool]) -> list[dict[str, Any]]:
    """Lines of history of a game that no longer gets better, a look each, collapsed or not."""
    good, bad = (0.95, 1.0, 0.98, 0.01), (0.05, 0.1, 0.2, 0.9)
    names = ("coverage", "density", "spread", "doubles")
    return [
        {"step": i + 1, "valid/frechet_distance": 9.0, **{f"valid/{n}": v for n, v in zip(names, values, strict=True)}}
        for i, values in enumerate(bad if is_bad else good for is_bad in collapsed)
    ]


def test_the_first_alarm_is_found_by_replaying_the_history() -> None:
    assert first_alarm(looked([False] * 20)) is None
    at = first_alarm(looked([False] * 10 + [True] * 10))
    assert at is not None
    assert 0.5 < at < 0.8


def told(truth: str, watch: str) -> dict[str, Any]:
    first = 0.5 if watch == "alarm" else None
    return {"truth": truth, "watch": watch, "diagnosis": watch, "first_alarm": first, "other_alarms": []}


def test_alarms_are_scored_against_the_truth_and_warnings_do_not_count() -> None:
    result = Result("b8_watch", "", "")
    seen = [told("collapsed", "alarm")] * 9 + [told("collapsed", "warn")] + [told("between", "alarm")] * 5
    summarise(result, seen + [told("varied", "ok")] * 18 + [told("varied", "alarm"), told("varied", "warn")])
    rows = {row.measure: row for row in result.rows}
    sensitivity, false = rows["collapsed runs with an alarm"], rows["varied runs with an alarm"]
    assert (sensitivity.value, sensitivity.met) == (0.9, True)
    assert (false.value, false.met) == (0.05, True)
    assert sensitivity.low is not None
    assert sensitivity.low < 0.9 < (sensitivity.high or math.nan)
    assert rows["runs between the two, not judged"].value == 5


def test_no_case_of_the_evaluation_was_used_to_set_the_rules() -> None:
    assert not {(c.model, c.data, c.seed) for c in DEVELOPMENT} & {(c.model, c.data, c.seed) for c in EVALUATION}
    assert not {c.words[3:] for c in DEVELOPMENT} & {c.words[3:] for c in EVALUATION}
    assert not {c.seed for c in DEVELOPMENT} & {c.seed for c in EVALUATION}
    assert len({c.words for c in EVALUATION}) == len(EVALUATION)
    assert {c.model for c in EVALUATION} == {"gan", "wgan", "r3gan"}
