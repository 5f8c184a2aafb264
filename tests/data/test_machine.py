"""The set `machine`: the same in every version, healthy but for its faults, which are where and what they say."""

from __future__ import annotations

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.data import Reading, read
from elboroom.data.machine import CHANNELS, FAULTS, ROWS, draw_machine


@pytest.fixture(scope="module")
def drawn():
    """With faults and without."""
    return draw_machine()[0], draw_machine(faults=False)[0]


def fault(kind):
    found = next(f for f in FAULTS if f.kind == kind)
    return slice(found.start, found.stop), [CHANNELS.index(c) for c in found.channels]


def test_it_is_read_as_a_series_whose_first_half_is_clean_and_whose_second_is_the_test_part():
    data = read("machine")
    (found,) = data.series.series
    assert data.spec.kind == "series"
    assert data.series.channels == CHANNELS
    assert data.series.step_words == "5 min"
    assert data.series.period == 288
    assert len(found) == ROWS == 10_080
    assert len(found.segments) == 1
    assert data.series.stretches[0]["test"] == (ROWS // 2, ROWS)
    assert data.series.stretches[0]["valid"][1] < ROWS // 2
    assert not found.labels[: ROWS // 2].any()
    assert list(data.parts) == ["train", "valid", "test"]
    assert data.split_how.startswith("in time, the set's own test part")
    assert min(f.start for f in FAULTS) > ROWS // 2


def test_its_fingerprint_never_changes():
    assert read("machine").fingerprint.startswith(FINGERPRINT)


FINGERPRINT = "3eb151a2"


def test_labels_are_the_faults_rows():
    (found,) = read("machine").series.series
    known = np.zeros(ROWS, bool)
    for one in FAULTS:
        known[one.start : one.stop] = True
    last = FAULTS[6].stop - 7  # no row is written after the last one that is, so the rest cannot be labelled
    known[last : FAULTS[6].stop] = False
    assert np.array_equal(found.labels, known)
    assert len({f.kind for f in FAULTS}) == len(FAULTS) == 8


def test_beside_the_faults_rows_and_channels_it_is_the_healthy_pump(drawn):
    bad, good = drawn
    differs = bad != good
    allowed = np.zeros_like(differs)
    for one in FAULTS:
        allowed[one.start : one.stop, [CHANNELS.index(c) for c in one.channels]] = True
    assert not (differs & ~allowed).any()
    for one in FAULTS:
        if one.kind != "missing rows":
            changed = differs[one.start : one.stop, [CHANNELS.index(c) for c in one.channels]]
            assert (changed.mean(axis=0) > 0.9).all(), one.kind


def test_each_fault_is_of_its_kind(drawn):
    bad, good = drawn
    off = bad - good
    noise = np.std(np.diff(good[: ROWS // 2], axis=0), axis=0) / np.sqrt(2)
    rows, (c,) = fault("spike")
    assert off[rows, c].min() > 10 * noise[c]
    rows, (c,) = fault("level shift")
    assert off[rows, c] == pytest.approx(-0.6, abs=2e-3)
    rows, (c,) = fault("drift")
    assert off[rows, c] == pytest.approx(np.linspace(0, 9, 360), abs=0.02)
    rows, (c,) = fault("stuck sensor")
    assert len(set(bad[rows, c])) == 1
    assert good[rows, c].std() > 1
    rows, (c,) = fault("variance change")
    assert off[rows, c].std() > 4 * noise[c]
    assert abs(off[rows, c].mean()) < 0.5
    rows, channels = fault("lost coupling")
    for c in channels:
        together = np.corrcoef(good[rows, c], good[rows, CHANNELS.index("current")])[0, 1]
        assert together > 0.9
        assert np.corrcoef(bad[rows, c], bad[rows, CHANNELS.index("current")])[0, 1] < together - 0.3
    rows, (c,) = fault("phase shift")
    assert abs(off[rows, c].mean()) < 0.2
    assert np.abs(off[rows, c]).max() > 5
    _, there = draw_machine()
    rows, _ = fault("missing rows")
    assert there[rows].sum() == 8
    assert there.sum() == ROWS - 56


def test_the_sensors_are_coupled_and_follow_the_day(drawn):
    _, good = drawn
    at = {name: i for i, name in enumerate(CHANNELS)}
    together = np.corrcoef(good.T)
    assert together[at["current"], at["speed"]] > 0.9
    assert together[at["flow"], at["pressure"]] < -0.9
    assert together[at["vibration"], at["speed"]] > 0.9
    warm, current = good[:, at["temperature"]], good[:, at["current"]]
    lags = [np.corrcoef(current[: ROWS - k], warm[k:])[0, 1] for k in range(0, 60, 6)]
    assert np.argmax(lags) > 0, "the temperature lags behind the current"
    by_day = good.reshape(35, 288, 6).mean(axis=0)
    assert (by_day.std(axis=0) > 0.3 * good.std(axis=0)).all()


def test_flags_it_cannot_obey_are_refused_and_others_decide_its_parts():
    with pytest.raises(InputError, match="machine carries its own labels"):
        read("machine", Reading(label="fault"))
    with pytest.raises(InputError, match="takes no options"):
        read("machine:3")
    shares = read("machine", Reading(split=(0.5, 0.25, 0.25), window=64))
    assert shares.series.stretches[0]["test"] == (7560, 10_080)
    two = read("machine", Reading(columns=("flow", "speed"), train_until="2026-01-15"))
    assert two.series.channels == ("flow", "speed")
    assert two.series.stretches[0]["test"][0] == 10 * 288
    assert read("machine", Reading(kind="table")).spec.kind == "table"
