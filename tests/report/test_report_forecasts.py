"""The section of a report on forecasts: the numbers of the run, the units of the data, calm about what is damaged."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elboroom.report as report
from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.report.contents import read_run
from elboroom.report.forecasts import forecasts
from elboroom.report.verdict import verdict
from pages import Page, assert_loads_nothing

Rewrite = Callable[..., None]
PERIOD, HORIZON, ROWS = 12, 15, 900


def table() -> tuple[list[str], np.ndarray]:
    """Times, an hour apart, and two channels far from mean 0 and spread 1; some rows of the end are missing."""
    rng, at = np.random.default_rng(0), np.arange(ROWS)
    season = np.sin(2 * np.pi * at / PERIOD)
    values = np.stack(
        [500 + 40 * season + 8 * rng.normal(size=ROWS), -3 - 0.5 * season + 0.1 * rng.normal(size=ROWS)], 1
    )
    values[ROWS - 100 : ROWS - 97, 0] = np.nan
    times = (np.datetime64("2026-03-01T00:00") + at * np.timedelta64(60, "m")).astype(str)
    return times.tolist(), values


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("forecasts")
    times, values = table()
    lines = [f"{t},{a:.6f},{b:.6f}".replace("nan", "") for t, (a, b) in zip(times, values.tolist(), strict=True)]
    (place / "plant.csv").write_text("time,flow,level\n" + "\n".join(lines) + "\n")
    settings = {"hidden": 16, "horizon": HORIZON, "window": 48}
    reading = Reading(kind="series", period=PERIOD, split=(0.7, 0.1, 0.2))
    known = {k: v for k, v in settings.items() if k != "window"}
    fit("forecaster", str(place / "plant.csv"), run=place / "run", reading=reading, settings=known, epochs=4,
        threads=1, seed=0)  # fmt: skip
    return place / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def held(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "details.json").read_text())["forecasts"]
    return found


def test_the_page_of_a_forecaster_has_its_section_and_loads_nothing(made: Path) -> None:
    text = report.build(made)
    assert_loads_nothing(Page(text))
    headings = re.findall(r"<h2>([^<]+)</h2>", text)
    wanted = ["Training", "Forecasts", "All measures"]
    assert [h for h in headings if h in wanted] == wanted
    assert "nan" not in Page(text).text.lower().split()
    assert len(text.encode()) < 600_000


def test_the_lines_by_step_end_at_the_measures_of_the_run(made: Path) -> None:
    metrics, by = read_run(made).metrics, held(made)["by_ahead"]
    assert [one["ahead"] for one in by] == list(range(1, HORIZON + 1))
    for key, place, name in (("mae", 0, "error"), ("mae_horizon", -1, "error"), ("coverage_90", 0, "inside_90")):
        for end in ("value", "low", "high"):
            assert by[place][name][end] == pytest.approx(metrics[key][end]), (key, end)
    beside = {r["name"]: r["value"] for r in metrics["mae"]["references"]}
    assert by[0]["last value"]["value"] == pytest.approx(beside["last value"])
    assert by[0]["seasonal naive"]["value"] == pytest.approx(beside["seasonal naive"])
    for one in by:
        assert one["inside_50"]["value"] <= one["inside_90"]["value"]


def test_the_naive_forecasts_use_only_rows_that_are_known_by_then(made: Path) -> None:
    """Beyond one period the season before is not known yet: seasonal naive takes the one before that."""
    _, values = table()
    start = held(made)["stretch"]["start"]
    train = values[: json.loads((made / "run.json").read_text())["data"]["series"]["series"][0]["train_stop"]]
    z = (values - np.nanmean(train, 0)) / np.nanstd(train, 0)
    by = {one["ahead"]: one for one in held(made)["by_ahead"]}
    for ahead in (1, PERIOD, PERIOD + 1, HORIZON):
        for name, lag in (("last value", ahead), ("seasonal naive", PERIOD if ahead <= PERIOD else 2 * PERIOD)):
            missed = np.abs(z[start:] - z[start - lag : ROWS - lag])
            there = ~np.isnan(missed)
            rows = np.where(there, missed, 0).sum(1) / np.maximum(there.sum(1), 1)
            assert by[ahead][name]["value"] == pytest.approx(rows[there.any(1)].mean(), rel=1e-3)


def test_the_stretch_is_in_the_units_of_the_data(made: Path) -> None:
    _, values = table()
    stretch = held(made)["stretch"]
    start, (flow, level) = stretch["start"], stretch["channels"]
    assert [flow["name"], level["name"]] == ["flow", "level"]
    for c, one in enumerate((flow, level)):
        shown = np.array(one["values"], dtype=np.float64)
        np.testing.assert_allclose(shown, values[start : start + len(shown), c], rtol=1e-3)
        assert [f["ahead"] for f in one["forecasts"]] == [1, 8, HORIZON]
        mean, sd = (np.array(one["forecasts"][0][k], dtype=np.float64) for k in ("mean", "sd"))
        z = (shown - mean) / sd
        assert 0.3 < np.nanstd(z) < 3, "mean and standard deviation are on one scale with the values"
    assert np.isnan(np.array(flow["values"], dtype=np.float64)).sum() == 3
    assert stretch["times_ns"][1] - stretch["times_ns"][0] == 3_600_000_000_000


def test_residuals_are_counted_once_each(made: Path) -> None:
    for one in held(made)["residuals"]:
        assert sum(one["counts"]) + sum(one["beyond"]) == one["n"] and len(one["edges"]) == len(one["counts"]) + 1


def test_the_verdict_speaks_of_forecasts(made: Path) -> None:
    said = verdict(read_run(made))
    assert said.startswith("One row ahead it is wrong by ") and "standard deviations on rows it has not seen" in said


def test_every_figure_is_drawn_for_wide_and_narrow_pages_and_stays_inside(made: Path) -> None:
    section = forecasts(read_run(made))
    assert section is not None and len(section.figures) == 4
    for figure in section.figures:
        assert len(figure.wide) == len(figure.narrow) > 0
        for drawn in map(str, [*figure.wide, *figure.narrow]):
            width = float(re.search(r'width="([\d.]+)"', drawn)[1])  # type: ignore[index]
            assert "nan" not in drawn
            places = [float(x) for x in re.findall(r'<text[^>]*? x="(-?[\d.]+)"', drawn)]
            assert min(places) >= 0 and max(places) <= width


@pytest.mark.parametrize(
    "damage",
    [
        {"by_ahead": 3, "stretch": [], "residuals": {}},
        {"by_ahead": [{"ahead": 1, "error": {"value": None}}, {"ahead": "x"}, 4]},
        {"by_ahead": [{"ahead": 2, "error": {"value": 1.0, "low": "x"}}]},
        {"stretch": {"channels": [{"name": 1, "values": ["a"]}, {"values": [1.0, 2.0], "forecasts": [{"ahead": 1}]}]}},
        {"stretch": {"channels": [{"name": "a", "values": [None, 2.0], "forecasts": [
            {"ahead": 1, "mean": [1.0, None], "sd": [1.0, None]}]}], "times_ns": ["x"], "start": "y"}},
        {"residuals": [{"ahead": 1, "edges": [0, 1], "counts": [3], "beyond": [0, 0]},
            {"ahead": 2, "edges": [2, 1, 0], "counts": [1, 1], "beyond": [0]}]},
        {"residuals": [{"edges": [0, 1, 2], "counts": [1, 1], "beyond": [0, 0]}]},
    ],
)  # fmt: skip
def test_damaged_forecasts_leave_out_a_figure_and_never_stop_the_page(run: Path, rewrite: Rewrite, damage: Any) -> None:
    rewrite(run, "details.json", lambda d: d["forecasts"].update(damage))
    assert_loads_nothing(Page(report.build(run)))
