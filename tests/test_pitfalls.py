"""Five pitfalls of recurrent nets: each light is red on the run built to fail and green on the mended one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from elboroom.cli.main import main
from elboroom.diagnose import diagnose
from elboroom.report.assembly import report_html
from elboroom.run import load

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.c5_pitfalls import PAIRS, Pair, finding, prepare  # noqa: E402

QUICK = {"exploding_gradients", "nonstationary"}
PAIR = [pytest.param(p, id=p.light, marks=[] if p.light in QUICK else pytest.mark.slow) for p in PAIRS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("pitfalls"))


def fitted(words: tuple[object, ...], run: str) -> list[dict[str, Any]]:
    assert main(["fit", *map(str, words), "--run", run, "--threads", "1", "--json"]) == 0
    return diagnose(run)


@pytest.mark.parametrize("pair", PAIR)
def test_the_light_is_red_on_the_run_built_to_fail_and_green_on_the_mended_one(
    pair: Pair, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    red = finding(fitted(pair.red, f"{pair.light}-red"), pair.light)
    green = finding(fitted(pair.green, f"{pair.light}-green"), pair.light)
    assert red["level"] in ("warn", "alarm"), red
    assert red["try"]
    assert green["level"] == "ok", green
    assert red["value"] != green["value"]


def test_what_only_the_end_of_a_training_measures_stays_when_the_run_is_measured_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    found = fitted((*PAIRS[-1].green, "--force"), "again")
    before = json.loads((folder / "again/details.json").read_text())
    assert {"memory", "stationarity", "series"} <= set(before)
    assert {one["name"] for one in found} >= {"vanishing_gradients", "exploding_gradients", "nonstationary"}
    load("again").evaluate(write=True)
    after = json.loads((folder / "again/details.json").read_text())
    assert {k: after[k] for k in ("memory", "stationarity", "checks")} == {
        k: before[k] for k in ("memory", "stationarity", "checks")
    }
    assert diagnose("again") == found
    page = report_html(folder / "again")
    assert 'id="memory"' in page
    assert f"after {before['memory']['horizon']} of {before['memory']['span']} steps" in page


def test_the_time_of_a_run_is_told_before_its_first_step_and_changes_none_of_its_bits(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    words = ["forecaster", "differences.csv", "--kind", "series", "--window", "16", "--hidden", "8", "--threads", "1"]
    assert main(["fit", *words, "--steps", "200", "--run", "told"]) == 0
    told = capsys.readouterr().err
    assert told.index("of training ahead: 200 steps") < told.index("of 200 steps,")
    monkeypatch.setattr("elboroom.pace.FORESEEN_STEPS", 1000)
    assert main(["fit", *words, "--steps", "200", "--run", "untold"]) == 0
    assert "of training ahead" not in capsys.readouterr().err
    assert (folder / "told/weights.safetensors").read_bytes() == (folder / "untold/weights.safetensors").read_bytes()


def test_a_transformer_inside_a_model_of_steps_reaches_back_directly(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    words = ("forecaster", "differences.csv", "--kind", "series", "--window", 48, "--steps", 3, "--cell", "transformer")
    found = {one["name"]: one for one in fitted(words, "attends")}
    assert found["vanishing_gradients"]["level"] == "ok"
    assert found["short_memory"]["value"] >= 24
