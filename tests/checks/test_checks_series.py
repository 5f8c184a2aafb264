"""The rule over the levels of a series."""

from __future__ import annotations

from typing import Any

import pytest

from elboroom.checks.series import nonstationary
from records_by_hand import record


def channel(shift: float, root: float | None = 0.001, still: float | None = 0.1, name: str = "a") -> dict[str, Any]:
    shifts = {"valid": 0.1, "test": shift}
    return {"series": "", "channel": name, "shifts": shifts, "unit_root_p": root, "stationary_p": still}


@pytest.mark.parametrize(("shift", "level"), [(0.3, "ok"), (-1.4, "warn"), (2.5, "alarm")])
def test_the_distance_of_a_later_part_decides(shift: float, level: str) -> None:
    found = nonstationary(record(details={"stationarity": [channel(0.1, name="b"), channel(shift)]}))
    assert found is not None
    assert (found.level, found.value) == (level, abs(shift))
    assert f"test part lies {abs(shift):.2g}" in found.why
    assert ("above" if shift > 0 else "below") + " it in a" in found.why


def test_a_walk_is_a_warning_where_the_levels_happen_to_agree() -> None:
    found = nonstationary(record(details={"stationarity": [channel(0.2, 0.6, 0.01), channel(0.1, name="b")]}))
    assert found is not None
    assert found.level == "warn"
    assert "1 of 2 channels walk" in found.why


def test_one_test_alone_makes_no_walk() -> None:
    for root, still in ((0.6, 0.1), (0.001, 0.01), (None, None)):
        found = nonstationary(record(details={"stationarity": [channel(0.2, root, still)]}))
        assert found is not None
        assert found.level == "ok"


def test_what_is_no_series_has_no_such_light() -> None:
    assert nonstationary(record(details={})) is None
    assert nonstationary(record(details={"stationarity": []})) is None
    assert nonstationary(record(details={"stationarity": ["?"]})) is None


def test_a_series_without_later_parts_is_judged_by_its_tests() -> None:
    entry = {**channel(0, 0.6, 0.01), "shifts": {}}
    found = nonstationary(record(details={"stationarity": [entry]}))
    assert found is not None
    assert (found.level, found.value) == ("warn", 0.0)
