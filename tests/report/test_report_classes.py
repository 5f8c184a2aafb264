"""The sections of a report on classes: true to the run's files, whole on every page, calm about what is damaged."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elboroom.report as report
from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.report.classes import class_by_class, classes, mistakes
from elboroom.report.confusion import confusion_matrix
from elboroom.report.contents import read_run
from elboroom.report.verdict import verdict
from pages import EVIL, Page, assert_loads_nothing

Rewrite = Callable[..., None]


def sequences(n: int, channels: int, classes: tuple[str, ...]) -> tuple[list[np.ndarray], list[str]]:
    """Levels under noise as large as their distance, so that some are named wrong."""
    rng = np.random.default_rng(0)
    x = [rng.normal(i % len(classes), 1.6, (int(rng.integers(5, 9)), channels)) for i in range(n)]
    return x, [classes[i % len(classes)] for i in range(n)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: two channels, twelve channels, and a label a step."""
    place = tmp_path_factory.mktemp("classes")
    reading = Reading(kind="sequences", split=(0.5, 0, 0.5))
    few = {"settings": {"hidden": 8}, "epochs": 3, "threads": 1, "seed": 0}
    fit("classifier", sequences(90, 2, ("low", "middle", EVIL[0])), run=place / "few", reading=reading, **few)
    fit("classifier", sequences(60, 12, ("low", "high")), run=place / "many", reading=reading, **few)
    step = {**few, "settings": {"hidden": 8, "target": "step"}}
    fit("classifier", "future:sequences=40", run=place / "step", reading=Reading(split=(1, 0, 1)), **step)
    return place


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "few", tmp_path / "few"))


def details(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "details.json").read_text())
    return found


@pytest.mark.parametrize("name", ["few", "many", "step"])
def test_the_page_of_a_run_with_classes_has_its_sections_and_loads_nothing(made: Path, name: str) -> None:
    text = report.build(made / name)
    assert_loads_nothing(Page(text))
    headings = re.findall(r"<h2>([^<]+)</h2>", text)
    wanted = ["Training", "Classes", "Class by class", "Worst mistakes", "All measures"]
    assert [h for h in headings if h in wanted] == wanted
    assert "nan" not in Page(text).text.lower().split()
    assert len(text.encode()) < 400_000


def test_the_matrix_holds_the_counts_of_the_run(run: Path) -> None:
    counts = np.array(details(run)["confusion"]["counts"])
    section = classes(read_run(run))
    assert section is not None
    (figure,) = section.figures
    rows = list(csv.reader(io.StringIO(b64decode(figure.csv.partition(",")[2]).decode())))
    np.testing.assert_array_equal([[int(v) for v in row[1:]] for row in rows[1:]], counts)
    shown = re.findall(r'<text class="on-q\d+ small"[^>]*>([^<]+)</text>', str(figure.wide[0]))
    assert [int(t) for t in shown if "%" not in t] == [int(n) for n in counts.ravel() if n]
    assert f"{np.trace(counts)} of {counts.sum()} held-out sequences named right" in figure.caption
    table = figure.table
    assert table is not None
    assert [int(row[2].text) for row in table.rows] == sorted(
        (counts - np.diag(np.diag(counts))).ravel(), reverse=True
    )[: len(table.rows)]


def test_each_class_stands_beside_what_is_simpler_with_intervals(run: Path) -> None:
    section, found = class_by_class(read_run(run)), details(run)
    assert section is not None
    head, *rows = section.tables[0].rows
    assert head[0].text == "All classes" and len(rows) == 3
    for row, one in zip(rows, found["by_class"], strict=True):
        assert one["low"] <= one["recall"] <= one["high"] and row[1].title == repr(one["recall"])
        assert [r["name"] for r in one["beside"]] == ["largest class", "MiniRocket + ridge"]
        assert "largest class" in row[5].text and "MiniRocket + ridge" in row[5].text and " to " in row[5].text
    n = np.array([one["n"] for one in found["by_class"]])
    recall = np.array([one["recall"] for one in found["by_class"]])
    assert (n * recall).sum() / n.sum() == pytest.approx(read_run(run).metrics["accuracy"]["value"])
    largest = [one["beside"][0]["value"] for one in found["by_class"]]
    assert sorted(largest) == [0, 0, 1], "the largest class is named always: right for one class and for no other"


def test_the_worst_mistakes_are_those_with_the_largest_log_loss(run: Path) -> None:
    contents, found = read_run(run), details(run)["mistakes"]
    table = np.load(run / "per_example.npz")
    wrong = np.flatnonzero(table["label"] != table["predicted"])
    worst = wrong[np.argsort(-table["log_loss_nats"][wrong])][:6]
    assert [one["index"] for one in found] == table["index"][worst].tolist()
    np.testing.assert_allclose([-np.log(one["p_true"]) for one in found], table["log_loss_nats"][worst], rtol=1e-2)
    names = contents.spec["classes"]
    assert [one["true"] for one in found] == [names[k] for k in table["label"][worst]]
    x = sequences(90, 2, ("a", "b", "c"))[0]
    for one in found:
        np.testing.assert_allclose(np.array(one["values"]), x[one["index"]].T, rtol=1e-4)
    section = mistakes(contents)
    assert section is not None and len(section.figures[0].wide) == len(found)


def test_wrong_steps_are_marked_where_each_step_has_a_label(made: Path) -> None:
    for one in details(made / "step")["mistakes"]:
        assert 0 < len(one["wrong"]) <= one["labelled"] <= one["steps"] == len(one["values"][0])
        assert max(one["wrong"]) < one["steps"]
    section = mistakes(read_run(made / "step"))
    assert section is not None
    first = details(made / "step")["mistakes"][0]
    assert str(section.figures[0].wide[0]).count('class="line mean c2"') == len(first["wrong"])
    assert "named wrong" in str(section.figures[0].wide[0])


def test_the_verdict_names_the_share_right_and_the_best_of_what_is_simpler(run: Path, rewrite: Rewrite) -> None:
    references = [
        {"name": "largest class", "value": 0.34, "low": 0.2, "high": 0.5},
        {"name": "MiniRocket + ridge", "value": 0.6, "low": 0.5, "high": 0.7},
    ]
    rewrite(run, "metrics.json", lambda m: m["accuracy"].update(value=0.9, low=0.8, high=0.95, references=references))
    said = verdict(read_run(run))
    assert said.startswith("It names the right class for a share of 0.90 (0.80 to 0.95) of sequences it has not seen, ")
    assert "more than MiniRocket + ridge" in said
    rewrite(run, "metrics.json", lambda m: m["accuracy"].update(value=0.4, low=0.3, high=0.45))
    assert "; MiniRocket + ridge does better with 0.6" in verdict(read_run(run))


@pytest.mark.parametrize(
    "damage",
    [
        {"confusion": {"classes": ["a"], "counts": [[1, 2], [3, 4]]}},
        {"confusion": {"classes": ["a", "b"], "counts": [[1, "x"], [3, 4]]}},
        {"confusion": {"classes": ["a", "b"], "counts": [[1, -2], [3, 4]]}},
        {"confusion": 3, "by_class": 7, "mistakes": "none"},
        {"by_class": [3, {"class": "a"}, {"class": "b", "n": 3, "recall": None, "beside": [4, {"name": "x"}]}]},
        {"mistakes": [{"values": [["a"]]}, {"values": [[None, None]]}, 5, {}]},
        {"mistakes": [{"index": 1, "values": [[None, 1.0, 2.0], [None, None, None]], "wrong": ["x", 99]}]},
    ],
)
def test_damaged_details_leave_out_a_section_and_never_stop_the_page(run: Path, rewrite: Rewrite, damage: Any) -> None:
    rewrite(run, "details.json", lambda d: d.update(damage))
    assert_loads_nothing(Page(report.build(run)))


@pytest.mark.parametrize("many", [1, 9, 25, 60])
@pytest.mark.parametrize("width", [358.0, 680.0])
def test_no_matrix_is_wider_than_its_page(many: int, width: float) -> None:
    names = [f"class with a long name {k}" for k in range(many)]
    drawn = str(confusion_matrix(np.full((many, many), 12345.0), names, width, "all"))
    places = [(float(x), float(w)) for x, w in re.findall(r'<rect[^>]*? x="([\d.]+)"[^>]*? width="([\d.]+)"', drawn)]
    assert len(places) == many**2 + 1 and max(x + w for x, w in places) < width
    assert min(w for _, w in places) > 2


def test_texts_named_wrong_are_shown_as_they_were_read_and_cut(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [f"{i} " + " ".join(rng.choice(["warm", "cold", "dry", "<b>wet</b>"], 200)) for i in range(24)]
    labels = ["good" if i % 2 else "bad" for i in range(24)]  # chance: some are wrong
    reading = Reading(kind="sequences", split=(0.5, 0, 0.5), tokenizer="byte")
    few = {"settings": {"hidden": 4}, "epochs": 1, "threads": 1, "seed": 0}
    fit("classifier", (texts, labels), run=tmp_path / "run", reading=reading, **few)
    found = details(tmp_path / "run")["mistakes"]
    assert found
    for one in found:
        read = one["text"]
        assert texts[one["index"]].startswith(read) and len(read) <= 400
        assert one["cut"] == one["steps"] - len(read) >= 0 and "values" not in one
    page = Page(report.build(tmp_path / "run"))
    assert_loads_nothing(page)
    assert found[0]["text"][:300] in page.text
