"""Play with the gates of a cell: the numbers of a pass are those that the model computes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable
from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.play.answers import Player
from elboroom.play.drawn import tree
from elboroom.play.gates import ASKS
from elboroom.run import Run
from series_toys import CHANNELS, pump_run, write_pump
from text_toys import TRAIN, few_drawn


@pytest.fixture(scope="module")
def pump(tmp_path_factory: pytest.TempPathFactory) -> Player:
    return Player(pump_run(tmp_path_factory.mktemp("gates")))


@pytest.fixture(scope="module")
def tale(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """A peephole LSTM of two layers on letters."""
    path = tmp_path_factory.mktemp("gates") / "prose.txt"
    path.write_text(TRAIN[:3000], encoding="utf-8")
    settings = {"cell": "peephole", "hidden": 8, "layers": 2}
    with few_drawn():
        run = fit("charnn", str(path), run=path.parent / "run", reading=Reading(window=32), settings=settings, steps=4)
    return Player(run)


def numbers(packed: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(packed["bytes"]), packed["dtype"]).reshape(packed["shape"])


def test_a_pass_holds_every_gate_to_one_part_in_65535(pump: Player) -> None:
    found = ASKS["gates/pass"](pump, {"start": 40, "steps": 300})
    run = pump.run
    values = run.dataset().series.series[0].values[40:340]
    batch = run.transform({"x": torch.from_numpy(values)[None], "observed": torch.ones(1, 300, 3, dtype=torch.bool)})
    with torch.no_grad():
        layer = run.model.gates(Batch(batch.x, observed=batch.observed))[0]
    assert found["cell"] == "gru"
    assert set(found["values"]) == {"r", "z", "n", "h"}
    assert found["channels"] == list(CHANNELS)
    np.testing.assert_allclose(numbers(found["input"]), values, rtol=1e-6)
    for name, one in found["values"].items():
        seen = numbers(one["values"]) / 65535 * (one["high"] - one["low"]) + one["low"]
        np.testing.assert_allclose(seen, layer[name][0].numpy(), atol=0.51 * (one["high"] - one["low"]) / 65535)


def test_a_unit_holds_every_number_of_the_drawing_at_every_step(pump: Player) -> None:
    given = {"start": 40, "steps": 50}
    whole = ASKS["gates/pass"](pump, given)
    one = ASKS["gates/unit"](pump, {**given, "unit": 3})
    values = dict(zip(one["names"], numbers(one["values"]), strict=True))
    seen = pump.run.inspect(unit=3)
    assert set(seen.numbers(5).values) == set(values)
    assert one["said"]["kept"] == "z[t] h[t-1], what is kept"
    np.testing.assert_allclose(values["h"], values["kept"] + values["written"], atol=1e-6)
    np.testing.assert_allclose(values["h_before"][1:], values["h"][:-1])
    assert len(whole["lines"]) == len(whole["steps"]) == 50
    assert whole["steps"][0] == "2026-01-01 06:40"


def nodes(drawing: list[Any]) -> Iterator[list[Any]]:
    yield drawing
    for child in drawing[2:]:
        if isinstance(child, list):
            yield from nodes(child)


def test_the_drawing_has_a_place_for_every_number_that_it_names(tale: Player) -> None:
    found = ASKS["gates/pass"](tale, {"layer": 2, "steps": 40})
    names = set(ASKS["gates/unit"](tale, {"layer": 2, "steps": 40, "unit": 1})["names"])
    assert (found["layer"], found["layers"], found["units"], found["cell"]) == (2, 2, 8, "peephole")
    for form, drawings in (("wide", 1), ("narrow", 2)):
        everything = [node for one in found["drawing"][form] for node in nodes(one)]
        assert len(found["drawing"][form]) == drawings
        assert {node[0] for node in everything} <= {"svg", "g", "path", "rect", "circle", "text", "title"}
        assert [node[1]["data-step"] for node in everything if node[1].get("class") == "cell"] == [
            str(found["step"] - 1), str(found["step"])
        ]  # fmt: skip
        drawn = {node[1]["data-name"] for node in everything if node[1].get("class") == "value"}
        assert {"f", "i", "g", "o", "kept", "written", "c_before", "x_f", "c_o"} <= drawn <= names


def test_text_in_a_drawing_stays_text() -> None:
    drawn = tree('<svg class="a"><text x="1">&lt;b&gt; x<title>t &amp; u</title>tail</text></svg>')
    assert drawn == ["svg", {"class": "a"}, ["text", {"x": "1"}, "<b> x", ["title", {}, "t & u"], "tail"]]


def test_a_text_that_is_given_is_read_from_an_empty_state(tale: Player) -> None:
    found = ASKS["gates/pass"](tale, {"text": "the end", "steps": 2000})
    assert found["steps"] == ["t", "h", "e", "␣", "e", "n", "d"]
    assert found["input"] is None
    start = ASKS["gates/pass"](tale, {"text": "the", "steps": 2000})
    for name in ("f", "c", "h"):
        held, again = found["values"][name], start["values"][name]
        scales = [(one["high"] - one["low"]) / 65535 for one in (held, again)]
        seen = [numbers(one["values"]) * s + one["low"] for one, s in zip((held, again), scales, strict=True)]
        np.testing.assert_allclose(seen[0][:3], seen[1], atol=sum(scales))


def test_a_stretch_of_the_held_out_text_begins_where_it_is_asked_for(tale: Player) -> None:
    whole, later = (ASKS["gates/pass"](tale, {"start": start, "steps": 30}) for start in (0, 20))
    assert whole["steps"][20:] == later["steps"][:10]
    assert later["of"] == whole["of"] > 30
    assert "from token 21" in later["said"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"steps": 2001}, "at most 2,000 steps, and 2,001 were asked for; choose a stretch"),
        ({"steps": 1}, "two steps"),
        ({"layer": 2}, "layers go from 1 to 1"),
        ({"start": 900}, "no row 900"),
        ({"series": 1, "start": 0}, "no series 2"),
        ({"text": "a text"}, "cannot be read"),
        ({"unit": 9, "steps": 10}, "no unit 9"),
    ],
)
def test_a_wrong_pass_is_told_in_a_sentence(pump: Player, given: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        ASKS["gates/unit" if "unit" in given else "gates/pass"](pump, given)


def test_a_run_without_cells_says_which_models_have_them(digits_run: Run) -> None:
    with pytest.raises(Unable, match=r"cannot show what flows inside a cell; .* can"):
        ASKS["gates/pass"](Player(digits_run), {})


def test_a_dropped_file_is_read_in_place_of_the_data_of_the_run(pump: Player, tmp_path: Path) -> None:
    path = write_pump(tmp_path / "new.csv", 80, seed=3)
    found = ASKS["gates/pass"](pump, {"path": str(path), "steps": 60})
    assert len(found["steps"]) == 60
    assert found["of"] == 80
    assert "NaN" not in json.dumps(found)
