"""`detect` from data to answer: files as promised, the same twice, and words that do not say more than is known."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.core.errors import InputError, Unable
from elboroom.data.reading import Reading
from elboroom.detecting import Asked, Found, detect, judge
from elboroom.detecting import _baselines as baselines
from elboroom.detecting_answer import headline, injected, page
from elboroom.forecasting import forecast
from elboroom.outputs import frame
from elboroom.report.detection import detection_html
from elboroom.run import load
from elboroom.series_files import events_table, forecast_result, scores_table

ROWS, FAULT = 900, (700, 730)


def values() -> np.ndarray:
    rng = np.random.default_rng(0)
    t = np.arange(ROWS)
    x = np.stack([np.sin(t / 4), 10 + 3 * np.cos(t / 4), t * 0 + 5.0], 1) + rng.normal(size=(ROWS, 3)) / 10
    x[slice(*FAULT), 1] += 12
    x[rng.random(x.shape) < 0.02] = np.nan
    return x


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of ten minutes, one swapped with its neighbour, one given twice, a text column, and labels."""
    path = tmp_path_factory.mktemp("series") / "plant.csv"
    start = np.datetime64("2026-01-01T00:00")
    lines = []
    for i, row in enumerate(values()):
        cells = ["" if math.isnan(v) else f"{v:.5f}" for v in row]
        label = int(FAULT[0] <= i < FAULT[1])
        lines.append(",".join([str(start + np.timedelta64(10 * i, "m")), *cells, "ok", str(label)]))
    lines[3], lines[4] = lines[4], lines[3]
    lines.insert(10, lines[10])
    path.write_text("time,a,b,c,note,fault\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(table: Path) -> Found:
    return detect(table, reading=Reading(label="fault"), settings={"hidden": 32}, asked=Asked(), threads=1)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_fault_is_an_event_blamed_on_its_channel(found: Found) -> None:
    (one,) = found.judged
    hit = [e for e in one.events if e.start < FAULT[1] and e.stop > FAULT[0]]
    assert len(hit) == 1
    channel, share = one.channels(hit[0])[0]
    assert found.series.channels[channel] == "b"
    assert share > 0.5
    assert all(event.start >= one.train for event in one.events)


def test_scores_have_one_line_for_each_input_row_in_input_order(found: Found) -> None:
    lines = rows_of(scores_table(found))
    assert list(lines[0]) == [
        "row", "time", "score", "threshold", "is_event", "event", "reason", "blame:a", "blame:b", "blame:c",
    ]  # fmt: skip
    assert [line["row"] for line in lines] == [str(i) for i in range(ROWS + 1)]
    assert (lines[3]["time"], lines[4]["time"]) == ("2026-01-01T00:40:00", "2026-01-01T00:30:00")
    assert lines[10]["time"] == lines[11]["time"]
    (one,) = found.judged
    assert {line["reason"] for line in lines} <= {"ok", "warm-up", "gap", "missing", "training"}
    assert [line["reason"] == "training" for line in lines].count(True) == pytest.approx(one.train, abs=1)
    inside = [line for line in lines if line["is_event"] == "1"]
    assert inside
    assert all(float(line["score"]) > 0 and line["event"] for line in inside)
    assert {line["threshold"] for line in lines} == {f"{found.threshold:.6g}"}


def test_events_name_input_rows_and_channels(found: Found) -> None:
    (one,) = found.judged
    lines = rows_of(events_table(found))
    assert list(lines[0]) == ["event", "start_row", "end_row", "start", "end", "peak_row", "peak_score", "channels"]
    assert len(lines) == len(one.events)
    scores = {line["row"]: line for line in rows_of(scores_table(found))}
    for line in lines:
        assert scores[line["start_row"]]["event"] == line["event"] == scores[line["end_row"]]["event"]
        assert scores[line["start_row"]]["time"] == line["start"]
        assert scores[line["peak_row"]]["score"] == line["peak_score"]
    assert any(line["channels"].startswith("b ") for line in lines)


def test_events_say_which_are_shifts_in_a_last_column_where_there_is_one(found: Found) -> None:
    rng, rows, step = np.random.default_rng(1), 1600, 1000
    t = np.arange(rows)
    x = np.sin(t / 4)[:, None] + rng.normal(size=(rows, 1)) * 0.1
    x[step:] += 2
    asked = Asked(smoothing="causal")
    moved = detect(x, reading=Reading(train_until="700", period=25), settings={"hidden": 32}, asked=asked, threads=1)
    lines = rows_of(events_table(moved))
    assert list(lines[0])[-2:] == ["channels", "kind"]
    (line,) = [line for line in lines if step - 25 <= int(line["start_row"]) <= step + 50]
    assert line["kind"] == "shift"
    assert int(line["end_row"]) < step + 50
    assert any("of the level" in words for words in page(moved, "elboroom detect x.npy")["headline_more"])
    assert not any("of the level" in words for words in page(found, "elboroom detect plant.csv")["headline_more"])
    assert "kind" not in rows_of(events_table(found))[0]
    (other,) = detect(
        x, reading=Reading(train_until="700", period=25), settings={"hidden": 32}, threads=1,
        asked=Asked(smoothing="causal", follow_shifts=False),
    ).judged  # fmt: skip
    assert other.events[-1].stop == rows


def test_with_labels_the_answer_says_who_won_and_how_surely(found: Found) -> None:
    said = page(found, "elboroom detect plant.csv")
    best = next(row for row in said["beside"] if row["difference"])
    assert said["ours"]["vus_pr"] is not None
    assert not best["transductive"]
    assert best["vus_pr"] == max(row["vus_pr"] for row in said["beside"] if not row["transductive"])
    words = said["headline"]
    gap = best["difference"]
    if not math.isfinite(gap["low"]):
        assert "cannot say who is better" in words
    else:
        assert words.startswith(("No winner", said["ours"]["title"], best["title"]))


@pytest.mark.parametrize(
    ("low", "high", "begins"), [(0.01, 0.2, "net wins"), (-0.2, -0.01, "PCA wins"), (-0.1, 0.1, "No winner")]
)
def test_a_winner_is_named_only_where_the_interval_is_clear_of_zero(
    found: Found, low: float, high: float, begins: str
) -> None:
    rival = {"title": "PCA", "vus_pr": 0.3, "difference": {"value": (low + high) / 2, "low": low, "high": high}}
    assert headline(found, {"title": "net", "vus_pr": 0.4}, [rival], None).startswith(begins)


def test_without_labels_no_winner_is_named(found: Found) -> None:
    faults = {"found": 3, "of": 20, "kinds": {}}
    words = headline(found, {"title": "net", "vus_pr": None}, [], faults)
    assert "no winner can be named" in words
    assert "of 20 faults injected into the calibration stretch 3 were found" in words


def test_the_answer_says_what_was_not_judged_after_gaps(found: Found, table: Path) -> None:
    lines = table.read_text(encoding="utf-8").splitlines()
    torn = table.with_name("torn.csv")
    torn.write_text("\n".join([*lines[:300], *lines[350:600], *lines[650:]]) + "\n", encoding="utf-8")
    again = judge(found.run, torn, Asked())
    (one,) = again.judged
    lines_of_scores = rows_of(scores_table(again))
    silent = sum(line["reason"] == "warm-up" for line in lines_of_scores)
    assert silent >= 3 * again.detector.warm_up - 5 > 0, "all but a few rows that are missing anyway"
    said = page(again, "")
    words = f"{silent} of {len(lines_of_scores)} measurements were not judged: too soon after a gap."
    assert words in said["headline_more"]
    assert words in detection_html(said)
    assert len(one.series.segments) == 3


def test_with_labels_the_answer_counts_what_events_overlap(found: Found) -> None:
    (one,) = found.judged
    elsewhere = sum(e.stop <= FAULT[0] or e.start >= FAULT[1] for e in one.events)
    said = f"Events overlap 1 of 1 labelled stretch; {elsewhere:,} of {found.events:,} events lie elsewhere."
    assert page(found, "")["headline_more"] == [said]
    bare = dataclasses.replace(
        found, judged=[dataclasses.replace(one, series=dataclasses.replace(one.series, labels=None))]
    )
    assert page(bare, "")["headline_more"] == []


def test_headline_and_page_count_the_same_rows(found: Found) -> None:
    (one,) = found.judged
    rows = int(np.isfinite(one.score[one.train :]).sum())
    said = page(found, "")
    assert f" in {rows:,} judged rows" in said["headline"]
    assert f"in {rows:,} judged rows" in detection_html(said)


def test_differences_in_the_headline_have_a_minus_not_a_hyphen(found: Found) -> None:
    rival = {"title": "PCA", "vus_pr": 0.5, "difference": {"value": -0.1, "low": -0.2, "high": 0.1}}
    words = headline(found, {"title": "net", "vus_pr": 0.4}, [rival], None)
    assert "\N{MINUS SIGN}0.100 (\N{MINUS SIGN}0.200 to +0.100)" in words


def test_faults_as_large_as_the_series_itself_are_found_and_none_twice(found: Found) -> None:
    counted = injected(found)
    assert counted is not None
    assert counted["of"] == 20 == sum(of for _, of in counted["kinds"].values())
    assert counted["found"] == sum(got for got, _ in counted["kinds"].values())
    assert counted["kinds"]["shift"][0] >= 3


def test_data_just_trained_on_are_not_read_again_and_those_of_a_folder_are(found: Found) -> None:
    assert found.run.dataset() is found.run.dataset()
    again = load(found.run.path, source=found.run.meta["data"]["source"])
    assert again.dataset() is not again.dataset()
    assert again.dataset().fingerprint == found.run.dataset().fingerprint


def test_twice_is_the_same(found: Found, table: Path) -> None:
    again = detect(table, reading=Reading(label="fault"), settings={"hidden": 32}, asked=Asked(), threads=1)
    assert scores_table(again) == scores_table(found)
    assert events_table(again) == events_table(found)


def test_a_run_judges_new_rows_of_the_same_channels(found: Found, table: Path, tmp_path: Path) -> None:
    other = judge(found.run, table, Asked(smoothing="causal"))
    assert other.judged[0].train == 0
    assert not other.judged[0].beside
    path = tmp_path / "less.csv"
    path.write_text("time,a,b\n2026-01-01T00:00,1,2\n2026-01-01T00:10,1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"'?c'?"):
        judge(found.run, path, Asked())


def test_a_forecast_goes_on_from_the_last_row(found: Found, table: Path) -> None:
    (one,) = forecast(found.run, table, 30, seed=1)
    assert one.middle.shape == (30, 3)
    assert one.times is not None
    assert str(one.times[0]) == "2026-01-07T06:00:00.000000000"
    assert (one.low <= one.middle).all()
    assert (one.middle <= one.high).all()
    (same,), (other,) = forecast(found.run, table, 30, seed=1), forecast(found.run, table, 30, seed=2)
    np.testing.assert_array_equal(one.low, same.low)
    assert (one.low != other.low).any()
    wide, narrow = (forecast(found.run, table, 30, seed=1, level=level)[0] for level in (0.95, 0.5))
    assert (wide.high >= narrow.high).all()
    assert (wide.low <= narrow.low).all()
    columns = frame(forecast_result([one], wide=True))
    assert list(columns) == ["step", "time", "a", "a:low", "a:high", "b", "b:low", "b:high", "c", "c:low", "c:high"]
    assert list(columns["step"]) == list(range(1, 31)) and columns["time"][0] == "2026-01-07T06:00:00"
    np.testing.assert_array_equal(columns["b:high"], one.high[:, 1].astype(np.float32))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ({"horizon": 0}, InputError, "--horizon 0"),
        ({"horizon": 3, "level": 1.5}, InputError, "--level"),
    ],
)
def test_forecasts_that_cannot_be_are_refused(
    found: Found, table: Path, call: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        forecast(found.run, table, **call)


def test_subspaces_of_too_long_a_window_are_left_out_and_said(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they cost grows with the square of the window, and a season may have thousands of rows."""
    one = dataclasses.replace(found.judged[0], beside=[])
    period = found.series.period
    monkeypatch.setattr("elboroom.detecting.PRODUCTS", one.series.values.size * period**2 - 1)
    left_out = baselines([one], found.series, found.asked)
    assert set(left_out) == {"Sub-PCA", "Sub-PCA, centred", "Sub-PCA, transductive"}
    assert all(f"windows of {period:,} rows" in why for why in left_out.values())
    beside = {other.baseline.title for other in one.beside}
    assert "moving z-score" in beside and not beside & set(left_out)
    assert not found.left_out


def test_lines_of_several_series_lie_in_the_order_of_the_input(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of two series in turns, some of them without a place in time, whichever piece a line is made in."""
    one = found.judged[0]
    n = len(one.series.rows)
    places = one.series.row_of.copy()
    places[5] = -1
    first = dataclasses.replace(one, series=dataclasses.replace(one.series, rows=2 * np.arange(n), row_of=places))
    second = dataclasses.replace(one, series=dataclasses.replace(one.series, rows=2 * np.arange(n) + 1))
    lines = rows_of(scores_table(dataclasses.replace(found, judged=[first, second])))
    assert [line["row"] for line in lines] == [str(i) for i in range(2 * n)]
    alone = rows_of(scores_table(found))
    assert lines[10]["reason"] == "missing" and lines[10]["time"] == lines[10]["score"] == ""
    for i in (0, 700, n - 1):
        assert {**lines[2 * i], "row": "", "event": ""} == {**alone[i], "row": "", "event": ""}
    monkeypatch.setattr("elboroom.series_files.PIECE", 13)
    assert rows_of(scores_table(dataclasses.replace(found, judged=[first, second]))) == lines


def test_rates_need_days(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no days"):
        detect(values(), settings={"hidden": 8}, asked=Asked(alarms_per_day=1), threads=1)
    with pytest.raises(InputError, match="expected a rate above 0"):
        Asked(alarms_per_day=math.nan)


def test_a_run_that_knows_no_series_is_refused(tmp_path: Path) -> None:
    import elboroom as elbo

    run = elbo.fit("vae", np.random.default_rng(0).normal(size=(60, 4)), epochs=1, threads=1)
    with pytest.raises(Unable, match="cannot detect"):
        judge(run, values(), Asked())
