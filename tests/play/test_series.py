"""Play with a series: the scores, thresholds and curves that a page gets are those of `elboroom detect`."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.anomalies.events import find_events
from elboroom.core.errors import InputError, Unable
from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.play.answers import Player
from elboroom.play.series import ASKS
from elboroom.run import Run, load
from series_toys import CHANNELS, STEP_S, pump_run, write_pump

DAY_S = 86_400


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Player:
    return Player(pump_run(tmp_path_factory.mktemp("series")))


@pytest.fixture(scope="module")
def dropped(player: Player) -> Path:
    """New rows, 600 of them, with two bumps."""
    return write_pump(player.run.path.parent / "new.csv", 600, [(200, 2), (420, 0)], seed=1)


def numbers(packed: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(packed["bytes"]), packed["dtype"]).reshape(packed["shape"])


def judged(player: Player, path: Path | None = None, **more: Any) -> dict[str, Any]:
    """The last part of judging, after parts that say what is done."""
    *before, last = ASKS["series/judge"](player, {**({"path": str(path)} if path else {}), **more})
    assert before
    found: dict[str, Any] = last["judged"]
    return found


def events(answer: dict[str, Any], place: int) -> list[tuple[int, int, int]]:
    """As the page finds them."""
    one, threshold = answer["series"][0], answer["thresholds"][place]["threshold"]
    score = numbers(one["score"])
    found = find_events(score, threshold, usable=np.arange(len(score)) >= one["first"], merge=answer["merge"])
    return [(event.start, event.stop, event.peak) for event in found]


def test_new_rows_have_the_events_and_blame_of_detect(player: Player, dropped: Path) -> None:
    answer, found = judged(player, dropped), player.run.detect(dropped)
    one = found.judged[0]
    assert not answer["own"]
    assert len(one.events) >= 2
    assert answer["thresholds"][answer["usual"]]["threshold"] == found.threshold
    assert events(answer, answer["usual"]) == [(e.start, e.stop, e.peak) for e in one.events]
    np.testing.assert_array_equal(numbers(answer["series"][0]["score"]), one.score)
    shares = numbers(answer["series"][0]["shares"])
    there = ~np.isnan(one.shares)
    np.testing.assert_allclose(shares[there] / 250, one.shares[there], atol=0.5 / 250 + 1e-9)
    assert (shares[~there] == 255).all()


def test_reading_is_told_piece_by_piece_and_can_be_left_between_two(player: Player, dropped: Path) -> None:
    path = write_pump(dropped.with_name("long.csv"), 5000, [(3000, 1)], seed=2)
    parts = list(ASKS["series/judge"](player, {"path": str(path)}))
    assert [part["rows"] for part in parts if part.get("doing") == "judging"] == [0, 2048, 4096, 5000]
    kinds = [part.get("doing") or next(iter(part)) for part in parts]
    read, first = kinds.index("read"), kinds.index("judging")
    assert read < first, "how a file was read is told before it is judged"
    assert kinds[-2:] == ["looking for events and shifts of the level", "judged"]
    assert parts[read]["read"].items() <= parts[-1]["judged"].items()
    score = numbers(parts[-1]["judged"]["series"][0]["score"])
    np.testing.assert_array_equal(score, player.run.detect(path).judged[0].score)
    other = write_pump(dropped.with_name("left.csv"), 5000, seed=4)
    reading = ASKS["series/judge"](player, {"path": str(other)})
    while next(reading).get("rows") != 2048:
        pass
    reading.close()
    assert not any("left" in kept.data.name for kept in player.held["series/kept"].values())


def test_what_was_judged_is_not_judged_again(player: Player, dropped: Path) -> None:
    for path in (dropped, None):
        before = judged(player, path)
        parts = list(ASKS["series/judge"](player, {"path": str(path)} if path else {}))
        assert "judging" not in [part.get("doing") for part in parts]
        assert parts[-1]["judged"] == before
    lines = dropped.read_text(encoding="utf-8").splitlines()
    changed = dropped.with_name("changed.csv")
    changed.write_text("\n".join([*lines[:300], *lines[301:]]) + "\n", encoding="utf-8")
    parts = list(ASKS["series/judge"](player, {"path": str(changed)}))
    assert "judging" in [part.get("doing") for part in parts]


def test_each_rate_of_the_ladder_has_the_threshold_of_detect(player: Player, dropped: Path) -> None:
    answer = judged(player, dropped)
    ladder = answer["thresholds"]
    assert len(ladder) >= 2
    assert [t["threshold"] for t in ladder] == sorted(t["threshold"] for t in ladder)
    for rung in (ladder[0], ladder[-1]):
        found = player.run.detect(dropped, alarms_per_day=DAY_S / (rung["rows"] * STEP_S))
        assert found.threshold == rung["threshold"]
        assert found.detector.tail.how == rung["how"]


def test_rows_of_the_run_itself_are_judged_after_those_it_learnt_from(player: Player) -> None:
    answer = judged(player)
    one = answer["series"][0]
    assert answer["own"]
    assert one["first"] == max(stop for part, (_, stop) in one["stretches"].items() if part in ("train", "valid"))
    assert one["unscored"]["training"] == one["first"] < one["rows"] == 900
    found = events(answer, answer["usual"])
    assert all(start >= one["first"] for start, _, _ in found)
    assert any(start <= 800 < stop for start, stop, _ in found)


def test_the_whole_of_its_own_file_is_judged_as_if_it_was_dropped(player: Player) -> None:
    before, whole = judged(player), judged(player, whole=True)
    dropped = judged(player, Path(player.run.meta["data"]["source"]))
    one, other = whole["series"][0], dropped["series"][0]
    assert (whole["own"], whole["whole"], before["whole"], dropped["own"]) == (True, True, False, False)
    assert whole["file"] == dropped["file"] == "pump.csv"
    assert one["first"] == 0 < before["series"][0]["first"]
    np.testing.assert_array_equal(numbers(one["score"]), numbers(other["score"]))
    assert one["unjudged"] == other["unjudged"]
    assert events(whole, whole["usual"]) == events(dropped, dropped["usual"])
    frame = json.dumps(ASKS["series/window"](player, {"key": whole["key"], "stop": 900, "channels": [0]})["frame"])
    assert "learnt from" in frame
    assert "judged" in frame


def test_measurements_too_soon_after_a_gap_are_counted_in_rows_of_the_file(player: Player, dropped: Path) -> None:
    lines = dropped.read_text(encoding="utf-8").splitlines()
    torn = dropped.with_name("torn.csv")
    torn.write_text("\n".join([*lines[:201], *lines[251:401], *lines[461:]]) + "\n", encoding="utf-8")
    answer = judged(player, torn)
    one = answer["series"][0]
    assert len(one["segments"]) == 3
    assert one["unjudged"] == [3 * answer["warm_up"], 600 - 110]
    missing = np.isnan(numbers(one["score"])).sum()
    assert missing == one["unscored"]["warm-up"] == 3 * answer["warm_up"]
    assert judged(player)["series"][0]["unjudged"][0] == 0


def test_a_rate_says_whether_rows_are_too_few_to_show_it(player: Player) -> None:
    few = [t["few"] for t in judged(player)["thresholds"]]
    assert few[-1], "540 rows cannot show one alarm in 2,000"
    assert few == sorted(few)


def test_a_table_has_the_row_of_the_file_and_what_was_measured(player: Player, dropped: Path) -> None:
    lines = dropped.read_text(encoding="utf-8").splitlines()
    holed = dropped.with_name("holed.csv")
    holed.write_text("\n".join([*lines[:51], *lines[54:]]) + "\n", encoding="utf-8")
    told = ASKS["series/table"](player, {"key": judged(player, holed)["key"]})
    rows, values = numbers(told["rows"]), numbers(told["values"])
    assert rows.dtype == np.int32
    assert rows[:50].tolist() == list(range(50))
    assert rows[50:53].tolist() == [-1, -1, -1]
    assert rows[53] == 50
    assert np.isnan(values[50:53]).all()
    cells = lines[54].split(",")
    assert told["given"][50:54] == ["", "", "", cells[0]]
    assert values[53].tolist() == [float(cell) for cell in cells[1:]]


def test_a_column_of_a_window_holds_the_lowest_and_highest_of_its_rows(player: Player, dropped: Path) -> None:
    answer = judged(player, dropped)
    given = {"key": answer["key"], "start": 100, "stop": 555, "width": 200, "channels": [2, 0]}
    window = ASKS["series/window"](player, given)
    values = player.run.read(str(dropped)).series.series[0].values
    low, high, every = numbers(window["low"]), numbers(window["high"]), window["every"]
    assert (window["start"], window["stop"], every) == (100, 555, 3)
    for k in range(low.shape[1]):
        rows = values[100 + k * every : min(555, 103 + k * every), [2, 0]]
        np.testing.assert_allclose(low[:2, k], rows.min(0), rtol=1e-6)
        np.testing.assert_allclose(high[:2, k], rows.max(0), rtol=1e-6)
    score = numbers(answer["series"][0]["score"])[100:103]
    np.testing.assert_allclose([low[2, 0], high[2, 0]], [score.min(), score.max()], rtol=1e-6)
    below, expected, above = (numbers(window[name]) for name in ("below", "expected", "above"))
    assert (below < expected).all()
    assert (expected < above).all()
    assert len(window["panels"]) == 3
    for panel, least, most in zip(window["panels"], low, high, strict=True):
        assert panel["y"][0] <= np.nanmin(least) <= np.nanmax(most) <= panel["y"][1]
        assert panel["x"] == window["panels"][0]["x"]
    texts = json.dumps(window["frame"])
    assert texts.index('"heat"') < texts.index('"flow"') < texts.index('"Score"')


def test_an_event_close_up_says_when_and_in_which_channel(player: Player, dropped: Path) -> None:
    answer = judged(player, dropped)
    start, stop, _ = next(e for e in events(answer, answer["usual"]) if e[0] <= 425 < e[1])
    level = answer["thresholds"][answer["usual"]]["threshold"]
    near = ASKS["series/close"](
        player, {"key": answer["key"], "start": start, "stop": stop, "number": 2, "threshold": level}
    )
    assert near["said"].startswith("Event 2: 2026-01-0")
    assert "flow was 2" in near["said"]
    assert near["wide"][0] == near["narrow"][0] == "svg"
    assert float(near["narrow"][1]["width"]) < 390 < float(near["wide"][1]["width"])


def test_columns_that_differ_are_given_beside_those_of_training(player: Player) -> None:
    path = write_pump(player.run.path.parent / "other.csv", 300, names=("flow", "pressure", "heat"))
    *_, last = ASKS["series/judge"](player, {"path": str(path)})
    assert last["differs"] == {
        "why": "other.csv: 1 of the run's 3 channels are not here: 'load'",
        "trained": ["time", *CHANNELS],
        "here": ["time", "flow", "pressure", "heat"],
    }


def test_a_cell_that_is_no_number_is_told_with_its_line_and_column(player: Player, dropped: Path) -> None:
    lines = dropped.read_text(encoding="utf-8").splitlines()
    lines[40] = lines[40].replace(",", ",oops", 1)
    broken = dropped.with_name("broken.csv")
    broken.write_text("\n".join(lines) + "\n", encoding="utf-8")
    *_, last = ASKS["series/judge"](player, {"path": str(broken)})
    assert "broken.csv: line 41, column 'flow'" in last["differs"]["why"]
    assert str(broken.parent) not in last["differs"]["why"]


def test_a_channel_in_another_unit_stands_out_beside_its_range_in_training(player: Player, dropped: Path) -> None:
    lines = [line.split(",") for line in dropped.read_text(encoding="utf-8").splitlines()]
    fahrenheit = [lines[0], *([*cells[:3], f"{float(cells[3]) * 1.8 + 32:.3f}"] for cells in lines[1:])]
    path = dropped.with_name("fahrenheit.csv")
    path.write_text("\n".join(",".join(cells) for cells in fahrenheit) + "\n", encoding="utf-8")
    channels = judged(player, path)["reading"]
    assert [c["strange"] for c in channels] == [False, False, True]
    assert channels[2]["outside"] == 1.0
    assert channels[2]["trained"][1] < 30 < channels[2]["here"][0]


def test_data_without_times_have_a_ladder_in_rows(tmp_path: Path) -> None:
    lines = write_pump(tmp_path / "timed.csv", 700).read_text(encoding="utf-8").splitlines()
    plain = tmp_path / "plain.csv"
    plain.write_text("\n".join(line.partition(",")[2] for line in lines) + "\n", encoding="utf-8")
    reading = Reading(kind="series", window=24, train_until="0.7")
    run = fit("forecaster", str(plain), run=tmp_path / "run", reading=reading, settings={"hidden": 4}, steps=2)
    answer = judged(Player(run))
    assert answer["step_ms"] is None
    assert answer["series"][0]["times"] is None
    assert 2000 in [t["rows"] for t in answer["thresholds"]]


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("judge", {"file": "x"}, "no field 'file'"),
        ("window", {"key": "gone", "stop": 9, "channels": [0]}, "no longer held"),
        ("window", {"key": "own", "stop": 9, "channels": [3]}, "no channel 4"),
        ("window", {"key": "own", "stop": 9, "channels": []}, "channels"),
        ("window", {"key": "own", "start": 900, "stop": 950, "channels": [0]}, "the series has 900"),
        ("window", {"key": "own", "series": 1, "stop": 9, "channels": [0]}, "no series 2"),
        ("window", {"key": "own", "stop": 9, "channels": [0], "width": 10**9}, "width"),
        ("close", {"key": "own", "start": 9, "stop": 9, "number": 1, "threshold": 1.0}, "no event"),
        ("close", {"key": "own", "start": 9, "stop": 10, "number": 1, "threshold": float("nan")}, "threshold"),
    ],
)
def test_a_wrong_ask_is_told_in_a_sentence(player: Player, name: str, given: dict[str, Any], why: str) -> None:
    judged(player)
    with pytest.raises(InputError, match=why):
        list(ASKS[f"series/{name}"](player, given))


def test_a_run_that_cannot_forecast_says_which_models_can(digits_run: Run) -> None:
    with pytest.raises(Unable, match=r"cannot judge a series; .* can"):
        list(ASKS["series/judge"](Player(digits_run), {}))


def test_only_the_last_inputs_stay_in_memory(player: Player, dropped: Path) -> None:
    keys = []
    for seed in range(5):
        keys.append(judged(player, write_pump(dropped.with_name(f"seed-{seed}.csv"), 120, seed=seed + 10))["key"])
    given = {"stop": 50, "channels": [0]}
    assert ASKS["series/window"](player, {**given, "key": keys[-1]})["stop"] == 50
    with pytest.raises(InputError, match="no longer held"):
        ASKS["series/window"](player, {**given, "key": keys[0]})


@pytest.mark.slow
def test_the_process_answers_in_parts(player: Player, dropped: Path) -> None:
    asks = [{"id": 1, "ask": "series/judge", "with": {"path": str(dropped)}}]
    words = [sys.executable, "-m", "elboroom.play.worker", str(player.run.path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(json.dumps(ask) + "\n" for ask in asks))
        process.stdin.flush()
        lines = [json.loads(process.stdout.readline())]
        while not lines[-1].get("end"):
            lines.append(json.loads(process.stdout.readline()))
        process.stdin.close()
    assert "ready" in lines[0]
    assert "doing" in lines[1]["part"]
    assert "judged" in lines[-2]["part"]


@pytest.mark.slow
def test_ten_thousand_rows_of_ten_channels_are_judged_in_ten_seconds(tmp_path: Path) -> None:
    names = tuple(f"c{i}" for i in range(10))
    data = write_pump(tmp_path / "ten.csv", 4000, names=names)
    fit("forecaster", str(data), run=tmp_path / "run", reading=Reading(window=96), steps=20, threads=1)
    new = write_pump(tmp_path / "new.csv", 10_000, [(3000, 1), (7000, 4)], names=names, seed=1)
    begun = time.perf_counter()
    player = Player(load(tmp_path / "run"))
    answer = judged(player, new)
    took_s = time.perf_counter() - begun
    given = {"key": answer["key"], "start": 0, "stop": 10_000, "width": 1200, "channels": list(range(8))}
    begun = time.perf_counter()
    ASKS["series/window"](player, given)
    window_ms = 1000 * (time.perf_counter() - begun)
    print(f"10,000 x 10 rows from a file to events {took_s:.2f} s, a window of them {window_ms:.0f} ms")
    assert took_s < 10
    assert window_ms < 80
