"""A stream says what the whole series says, row by row; saved and restored it goes on to the bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

import elboroom as elbo
from elboroom.anomalies.detector import Detector
from elboroom.anomalies.expected import expected
from elboroom.anomalies.likelihood import Likelihood, rows_of_day
from elboroom.anomalies.stream import Stream
from elboroom.core.errors import InputError
from elboroom.detecting import Asked, judge, rarity

MINUTE = 60 * 10**9
CELLS = ("gru", "peephole", "transformer")


def series(rows: int = 500) -> np.ndarray:
    rng = np.random.default_rng(0)
    t = np.arange(rows)
    x = np.stack([np.sin(t / 4), np.cos(t / 4) * 3], 1) + rng.normal(size=(rows, 2)) / 10
    x[rng.random(x.shape) < 0.05] = np.nan
    x[400:404] += 6
    x[300:303] = np.nan
    return x


@pytest.fixture(scope="module", params=CELLS)
def run(request: pytest.FixtureRequest) -> Any:
    return elbo.fit(
        "forecaster", series(), kind="series", cell=request.param, hidden=32, horizon=3, window=20, period=25,
        train_until="250", epochs=2, threads=1,
    )  # fmt: skip


def test_it_equals_the_whole_series(run: Any) -> None:
    found = judge(run, series(), Asked(smoothing="causal"), own=True)
    stream, verdicts = run.stream(), []
    for row in series():
        verdicts.append(stream.update(None, row))
    score = np.array([v.score for v in verdicts])
    np.testing.assert_allclose(score, found.judged[0].score, rtol=1e-5, atol=1e-6)
    assert [v.reason for v in verdicts[:3]] == ["warm-up"] * 3
    assert verdicts[301].reason == "missing"
    ends = [v.ended for v in verdicts if v.ended] + [e for e in [stream.finish()] if e]
    judged = {(e.start, e.stop) for e in found.judged[0].events}
    assert judged
    assert judged <= {(e.start, e.stop) for e in ends}  # the stream also judges the rows it was trained on


def test_saved_and_restored_it_goes_on_to_the_bit(run: Any) -> None:
    x, one = series(), run.stream()
    for row in x[:210]:
        one.update(None, row)
    tensors, plain = one.state()
    held, text = save({name: t.contiguous() for name, t in tensors.items()}), json.dumps(plain)
    two = run.stream()
    two.update(None, x[0])
    two.restore(load(held), json.loads(text), like=two.memory)
    for row in x[210:300]:
        a, b = one.update(None, row), two.update(None, row)
        assert (a.score == b.score or np.isnan([a.score, b.score]).all()) and a.shares == b.shares


def test_rarity_is_that_of_whole_arrays_row_by_row_in_pieces_and_after_a_restore(run: Any) -> None:
    """The series has no times, so rows have no place in a day."""
    x, known = series(), run.dataset().series
    found = expected(run.model, run.transform, x)
    whole = rarity(known, [found])
    assert whole is not None
    want = whole.scores(found.errors[:, 0], found.x)
    one, two = run.stream(follow_shifts=False), run.stream(follow_shifts=False)
    said = [one.update(None, row).rarity for row in x]
    pieces = [v.rarity for part in np.split(x, [7, 301]) for v in two.update_many(None, part)]
    np.testing.assert_allclose(said, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(said, pieces, rtol=1e-4, atol=1e-4)
    assert np.nanmax(want[399:405]) > np.nanmax(want[320:399])
    three, four = run.stream(), run.stream()
    three.update_many(None, x[:350])
    tensors, plain = three.state()
    four.update(None, x[0])
    four.restore(tensors, json.loads(json.dumps(plain)), like=four.memory)
    assert three.likelihood.to_json() == four.likelihood.to_json()
    on, again = ([v.rarity for v in stream.update_many(None, x[350:])] for stream in (three, four))
    np.testing.assert_allclose(on, again, rtol=1e-4, atol=1e-4)


def test_the_place_in_the_day_follows_the_clock_over_gaps() -> None:
    e = np.random.default_rng(0).normal(size=(400, 1))
    likelihood = Likelihood.fit(e, e, np.arange(400) % 1440, season=rows_of_day(MINUTE))
    stream = plain()
    stream.likelihood = likelihood
    stream.update_many(["2026-01-01T23:58", "2026-01-01T23:59:10"], [[1.0], [1.0]])
    assert stream._place() == 1439
    stream.update("2026-01-02T00:01", [1.0])
    assert stream._place() == 1
    stream.update("2026-01-02T06:00", [1.0])
    assert stream._place() == 360
    assert rows_of_day(7 * MINUTE) == 0


class Constant(torch.nn.Module):
    """Expects 0 with standard deviation 1, and counts what it has read."""

    horizon = 1

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def expect(self, batch: Any, memory: Any = None) -> Any:
        mean = torch.zeros(*batch.x.shape[:2], 1, batch.x.shape[2])
        return mean, torch.ones_like(mean), (memory or 0) + batch.x.shape[1]


class Plain(torch.nn.Module):
    def forward(self, raw: dict[str, torch.Tensor]) -> Any:
        from elboroom.core.batch import Batch

        return Batch(x=torch.nan_to_num(raw["x"]).float(), observed=raw["observed"])


def plain(step: int = MINUTE) -> Stream:
    e = np.random.default_rng(0).normal(size=(400, 1, 1))
    detector = Detector.fit(e, period=3, smoothing="causal")
    ready = detector.calibrated(detector.scores(e).score, 0.01)
    return Stream(Constant(), Plain(), ready, step)  # type: ignore[arg-type]


def test_rows_that_did_not_come_are_missing_and_a_gap_begins_anew() -> None:
    stream, start = plain(), np.datetime64("2026-01-01T00:00", "ns")
    for minute in (0, 1, 2):
        verdict = stream.update(start + np.timedelta64(minute, "m"), [1.0])
    assert verdict.row == 2
    assert stream.memory == 3
    assert stream.update("2026-01-01T00:06", [1.0]).row == 6
    assert stream.memory == 7  # three missing rows were read as such
    verdict = stream.update("2026-01-01T01:00", [1.0])
    assert verdict.row == 60
    assert stream.memory == 1
    assert np.isnan(verdict.score)


@pytest.mark.parametrize(
    ("t", "x", "words"),
    [
        (None, [1.0], "give one with each row"),
        ("2026-01-01T00:00", [1.0], "not after the row before"),
        ("2026-01-01T00:05", [1.0, 2.0], "2 values"),
        ("2026-01-01T00:05", [np.inf], "infinite"),
        ("2026-01-01T00:01", {"a": 1.0}, "not made of numbers"),
        ("2026-01-01T00:01", ["warm"], "not made of numbers"),
    ],
)
def test_rows_that_cannot_be_are_refused(t: Any, x: Any, words: str) -> None:
    stream = plain()
    stream.update("2026-01-01T00:00", [1.0])
    with pytest.raises(InputError, match=words):
        stream.update(t, x)


def test_a_stream_needs_the_causal_mean() -> None:
    e = np.zeros((100, 1, 1))
    with pytest.raises(InputError, match="causal"):
        Stream(Constant(), Plain(), Detector.fit(e, period=3), MINUTE)  # type: ignore[arg-type]
