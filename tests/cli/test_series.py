"""`detect` and `forecast` through the program."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.cli import series
from elboroom.cli.console import STARTED
from elboroom.cli.main import main
from elboroom.cli.series import JUDGING_S

Call = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    t = np.arange(700)
    x = np.stack([np.sin(t / 3), np.cos(t / 3)], 1) + rng.normal(size=(700, 2)) / 10
    x[600:615, 0] += 9
    path = tmp_path_factory.mktemp("tables") / "pump.csv"
    lines = [f"{a:.4f},{b:.4f}" for a, b in x]
    path.write_text("flow,heat\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


QUICK = ("--threads", 1, "--hidden", 16, "--window", 16, "--kind", "series")


@pytest.fixture(scope="module")
def found(table: Path) -> tuple[Path, Any]:
    """The folder that `detect` made, and the document it printed."""
    out, said = table.parent / "found", io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["detect", str(table), "--out", str(out), *map(str, QUICK), "--json"]) == 0
    return out, json.loads(said.getvalue())


def test_detect_writes_scores_events_page_and_the_model(found: tuple[Path, Any]) -> None:
    out, document = found
    assert {"out", "events", "threshold", "headline", "problems"} <= document.keys()
    assert {path.name for path in out.iterdir()} == {"scores.csv", "events.csv", "report.html", "run"}
    with (out / "scores.csv").open(encoding="utf-8", newline="") as file:
        scores = list(csv.DictReader(file))
    assert len(scores) == 700
    assert any(line["is_event"] == "1" for line in scores[600:615])
    with (out / "events.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == document["events"] > 0
    assert json.loads((out / "run" / "run.json").read_text(encoding="utf-8"))["state"] == "done"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "no winner can be named" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_model_beside_the_answer_can_be_used_again(
    answer: Answer, table: Path, found: tuple[Path, Any], tmp_path: Path
) -> None:
    run = found[0] / "run"
    again = answer("detect", table, "--run", run, "--out", tmp_path / "again", "--smoothing", "causal")
    assert {path.name for path in (tmp_path / "again").iterdir()} == {"scores.csv", "events.csv", "report.html"}
    assert again["events"] > 0
    made = answer("forecast", run, table, "--horizon", 12, "--out", tmp_path / "next.csv")
    assert made["rows"] == 12
    first = (tmp_path / "next.csv").read_text(encoding="utf-8").splitlines()[0]
    assert first == "step,flow,flow:low,flow:high,heat,heat:low,heat:high"


def test_a_forecast_is_the_same_numbers_in_every_form(
    call: Call, answer: Answer, table: Path, found: tuple[Path, Any], tmp_path: Path
) -> None:
    def write(ending: str) -> Path:
        path = tmp_path / f"next{ending}"
        answer("forecast", found[0] / "run", table, "--horizon", 5, "--out", path)
        return path

    with write(".csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    low = np.array([[row["flow:low"], row["heat:low"]] for row in rows], np.float32)
    middle = np.array([[row["flow"], row["heat"]] for row in rows], np.float32)
    with np.load(write(".npz")) as arrays:
        assert arrays["step"].tolist() == [1, 2, 3, 4, 5]
        np.testing.assert_array_equal(arrays["x"], middle)
        np.testing.assert_array_equal(arrays["low"], low)
    np.testing.assert_array_equal(np.load(write(".npy")), middle)
    assert write(".tsv").read_text().replace("\t", ",") == (tmp_path / "next.csv").read_text()
    lines = [json.loads(line) for line in write(".jsonl").read_text().splitlines()]
    assert [line["heat"] for line in lines] == [float(x) for x in middle[:, 1]]
    code, _, said = call("forecast", found[0] / "run", table, "--horizon", 5, "--out", tmp_path / "next.png")
    assert code == 2 and "no pictures" in said and not (tmp_path / "next.png").exists()


def test_events_can_be_an_exit_code(call: Call, table: Path, found: tuple[Path, Any], tmp_path: Path) -> None:
    by = ("detect", table, "--run", found[0] / "run", "--out", tmp_path / "a")
    assert call(*by, "--fail-on-event")[0] == 5
    code, _, said = call(*by)
    assert code == 2
    assert "--force" in said
    assert call(*by, "--force")[0] == 0
    code, _, said = call(*by, "--force", "--hidden", 8)
    assert code == 2
    assert "trained already" in said


def test_force_replaces_an_answer_whose_run_was_trained_for_another_number_of_steps(
    call: Call, table: Path, found: tuple[Path, Any], tmp_path: Path
) -> None:
    out = tmp_path / "found"
    shutil.copytree(found[0], out)
    (out / "run" / "checkpoints" / "step-0000000007").mkdir()
    (out / "run" / "checkpoints" / "step-0000000007" / "state.json").write_text("{}", encoding="utf-8")
    code, said, err = call("detect", table, "--out", out, "--force", *QUICK)
    assert code == 0, err
    assert not (out / "run" / "checkpoints" / "step-0000000007").exists()
    assert (out / "scores.csv").read_bytes() == (found[0] / "scores.csv").read_bytes()
    assert re.search(r"^threshold [\d.]+; highest score of each event:$", said, re.MULTILINE)
    assert re.search(r"^  row \d+ to \d+, score [\d.]+, flow \d+%", said, re.MULTILINE)


def test_a_folder_that_holds_something_else_is_refused_before_anything_is_read(
    call: Call, table: Path, found: tuple[Path, Any], tmp_path: Path
) -> None:
    out = tmp_path / "found"
    shutil.copytree(found[0], out)
    code, _, said = call("detect", table, "--run", out / "run", "--out", out, "--force")
    assert code == 2
    assert said == f"elboroom: --out {out}: holds run, which would be lost; move it away or name another folder\n"
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    code, _, said = call("detect", table, "--out", out, "--force", *QUICK)
    assert code == 2
    assert said == f"elboroom: --out {out}: holds notes.txt, which would be lost; move it away or name another folder\n"
    assert (out / "run" / "run.json").is_file()


def test_minutes_leave_room_for_judging_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    assert series._since(str(path), 1) == pytest.approx(STARTED - (JUDGING_S * 100 - 6))
    assert series._since(str(path), 60) == STARTED  # a tenth of an hour is enough
    assert series._since("machine", 1) == STARTED


@pytest.mark.slow
def test_an_interrupt_leaves_nothing_behind(table: Path, tmp_path: Path) -> None:
    words = ["detect", str(table), "--out", str(tmp_path / "out"), "--minutes", "5", *map(str, QUICK)]
    with subprocess.Popen(
        [sys.executable, "-m", "elboroom", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:  # the first step was made
            if " steps" in line and line[0].isdigit():
                break
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 4, said
    assert not out
    assert "Traceback" not in said
    assert "resume" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("detect", "{table}", "--out", "{out}", "--alarms-per-day", "0"), 2, "--alarms-per-day"),
        (("detect", "{table}", "--out", "{out}", "--alarms-per-day", "1", "--kind", "series"), 2, "no days"),
        (("detect", "{table}", "--out", "{out}", "--smoothing", "none"), 2, "centred, causal"),
        (("detect", "{table}", "--out", "{out}", "--hiden", "3"), 2, "--hidden"),
        (("detect", "{table}", "--out", "{out}", "--model", "nonsense"), 2, "nonsense"),
        (("detect", "nowhere.csv", "--out", "{out}"), 2, "nowhere.csv"),
        (("detect", "{table}", "--out", "{out}", "--train-until", "5", "--kind", "series"), 2, "train"),
        (("forecast", "{out}", "{table}", "--horizon", "3", "--out", "{out}.csv"), 2, "run"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_left(
    call: Call, table: Path, tmp_path: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    out = tmp_path / "out"
    given = [word.format(table=table, out=out) for word in words]
    found, printed, said = call(*given)
    assert found == code, said
    assert says in said
    assert "Traceback" not in said
    assert not printed
    assert not list(tmp_path.iterdir())
