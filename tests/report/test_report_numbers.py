"""The one function of numbers against its table of cases, and properties that hold for every interval."""

from __future__ import annotations

import json
import math
import random
import re
from importlib.resources import files
from typing import Any

import pytest

from elboroom.report.numbers import beside, column, decimals_for, parts, written

CASES = json.loads((files("elboroom.report") / "numbers.json").read_text(encoding="utf-8"))["cases"]


def plain(text: str) -> str:
    """Narrow and no-break spaces as spaces, so that a case can be typed."""
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["written"])
def test_each_case_of_the_table_is_written_as_it_says(case: dict[str, Any]) -> None:
    arguments = {k: v for k, v in case.items() if k not in ("value", "written")}
    assert plain(written(case["value"], **arguments)) == case["written"]


def as_number(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))


def test_the_written_interval_never_is_narrower_than_the_measured_one_and_keeps_its_middle() -> None:
    rng = random.Random(1)
    for _ in range(3000):
        half = 10 ** rng.uniform(-3.5, 3)
        value = rng.uniform(-1, 1) * 10 ** rng.uniform(-2, 5)
        shown = parts(value, value - half, value + half)
        if shown.unit or shown.skewed:
            continue
        margin = as_number(shown.interval.removeprefix("± "))
        assert half * (1 - 1e-5) <= margin <= 2 * half
        assert abs(as_number(shown.value) - value) <= margin / 2 + 1e-9


def test_value_and_half_width_end_at_the_same_decimal() -> None:
    rng = random.Random(2)
    for _ in range(2000):
        half, value = 10 ** rng.uniform(-3, 2), rng.uniform(-1000, 1000)
        shown = parts(value, value - half, value + half)
        ends = [len(re.split(r"\.", t)[1]) if "." in t else 0 for t in (shown.value, shown.interval)]
        assert shown.skewed or ends[0] == ends[1] == decimals_for(value, value - half, value + half)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "NaN"])
@pytest.mark.parametrize("form", ["number", "share", "count", "time", "size", "date", "ratio", "prose"])
def test_what_is_missing_is_a_word_in_every_form(value: Any, form: Any) -> None:
    assert written(value, form=form) == "none"


def test_an_interval_with_an_end_that_is_not_finite_is_no_interval() -> None:
    assert written(2.5, math.nan, 3.0) == written(2.5, None, 3.0) == written(2.5, -math.inf, 3.0) == "2.5"


def test_numbers_under_each_other_share_their_decimals() -> None:
    assert column([0.99884, 0.57612, 0.543, 0.52]) == ["0.9988", "0.5761", "0.5430", "0.5200"]
    assert column([1500.0, math.nan, 25.25]) == ["1,500", "none", "25"]
    assert column([math.nan, 0.0]) == ["none", "0"]


def test_a_number_beside_another_never_is_rounded_away() -> None:
    assert beside(0.97531, 3) == "0.975"
    assert beside(0.011, 1) == "0.011"
    assert beside(0.0026371, 3) == "0.0026"
    assert plain(beside(0.00001, 1)) == "1 × 10⁻⁵"
    assert beside(0.0, 2) == "0.00"
    assert beside(21.57, None) == "21.57"
