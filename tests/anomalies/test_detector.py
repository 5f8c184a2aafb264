"""Errors become scores by the written rule, segment by segment, and a saved detector says the same."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from elboroom.anomalies.detector import FLOOR, Detector
from elboroom.anomalies.expected import Expected
from elboroom.core.errors import InputError

H, C = 3, 2


def errors(rows: int = 60, missing: float = 0.1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(rows, H, C)) * [[1.0, 5.0]]
    found[rng.random(found.shape) < missing] = np.nan
    return found


def by_hand(e: np.ndarray, unit: np.ndarray, width: int, centred: bool, warm_up: int) -> np.ndarray:
    """(T, C): mean square over the steps that are there, then over the window, where rows that have none count as 1."""
    rows = len(e)
    raw = np.full((rows, C), np.nan)
    for t in range(warm_up, rows):
        for c in range(C):
            there = [(e[t, h, c] / unit[h, c]) ** 2 for h in range(H) if not math.isnan(e[t, h, c])]
            raw[t, c] = sum(there) / len(there) if there else math.nan
    out = np.full((rows, C), np.nan)
    ahead = (width - 1) // 2 if centred else 0
    for t in range(rows):
        for c in range(C):
            window = [raw[i, c] if 0 <= i < rows else math.nan for i in range(t + ahead - width + 1, t + ahead + 1)]
            if not math.isnan(raw[t, c]):
                out[t, c] = sum(1.0 if math.isnan(value) else value for value in window) / width
    return out


@pytest.mark.parametrize("smoothing", ["centred", "causal"])
@pytest.mark.parametrize("width", [1, 5])
def test_scores_are_the_mean_over_steps_channels_and_the_period(smoothing: str, width: int) -> None:
    e = errors()
    detector = Detector.fit(e[:30], period=width, smoothing=smoothing, warm_up=4)  # type: ignore[arg-type]
    unit = np.sqrt(np.nanmean(e[:30] ** 2, 0))
    np.testing.assert_allclose(np.asarray(detector.unit), unit, rtol=1e-12)
    found = detector.scores(e)
    expected = by_hand(e, unit, width, smoothing == "centred", 4)
    np.testing.assert_allclose(found.channels, expected, rtol=1e-9)
    np.testing.assert_allclose(found.score[4:], np.nanmean(expected[4:], 1), rtol=1e-9)
    assert np.isnan(found.score[:4]).all()
    shares = found.shares[4:]
    np.testing.assert_allclose(np.nansum(shares, 1), 1.0, rtol=1e-12)


def test_nothing_is_averaged_over_a_gap() -> None:
    e = errors(missing=0.0)
    detector = Detector.fit(e, period=9, warm_up=2)
    whole = detector.scores(e, [(0, 25), (25, 60)]).score
    apart = [detector.scores(e[a:b]).score for a, b in ((0, 25), (25, 60))]
    np.testing.assert_array_equal(whole, np.concatenate(apart))
    assert np.isnan(whole[25:27]).all()
    assert not np.isnan(whole[27])


def test_a_channel_that_never_errs_has_a_smallest_unit() -> None:
    e = np.zeros((40, H, C))
    e[:, :, 1] = 1.0
    detector = Detector.fit(e, period=1)
    assert detector.unit == tuple((FLOOR, 1.0) for _ in range(H))


def test_a_threshold_needs_rows_and_is_saved_to_the_bit() -> None:
    e = errors(2000, missing=0.0)
    detector = Detector.fit(e[:1000], period=5)
    score = detector.scores(e).score
    with pytest.raises(InputError, match="--train-until"):
        detector.calibrated(score[:10], 0.01)
    ready = detector.calibrated(score[1000:], 0.01)
    again = Detector.from_json(json.loads(json.dumps(ready.to_json())))
    assert again == ready
    late = score.copy()
    late[1500:1510] = 100.0
    usable = np.arange(2000) >= 1400
    events = again.events(late, usable)
    assert any(event.start <= 1500 < event.stop and event.peak_score == 100.0 for event in events)
    assert all(event.start >= 1400 for event in events)


def test_errors_of_a_long_series_are_made_in_pieces_and_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, mean = rng.normal(size=(60, C)), rng.normal(size=(60, H, C)).astype(np.float32)
    found, whole = Expected(x, mean, mean).errors, x[:, None] - mean
    np.testing.assert_array_equal(found[10:20], whole[10:20])
    np.testing.assert_array_equal(found[:, 1], whole[:, 1])
    np.testing.assert_array_equal(found[5:50, np.array([0, 2])], whole[5:50][:, [0, 2]])
    detector = Detector.fit(whole, period=5)
    want = detector.missed(whole)
    monkeypatch.setattr("elboroom.anomalies.detector.ROWS", 7)
    np.testing.assert_array_equal(detector.missed(found), want)
