"""Numbers that answer different questions stand in one table and are not judged against each other."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from elboroom.comparison import compare, table
from elboroom.comparison_codes import compared_codes
from elboroom.comparison_measures import Side
from elboroom.comparison_quality import compared_quality
from elboroom.core.errors import InputError
from elboroom.data.reading import Reading
from elboroom.evaluate import Evaluation
from elboroom.fitting import fit
from elboroom.report import compare_html
from elboroom.sweeping import sweep

SMALL = {"latent": 2, "hidden": (8,)}


def by_key(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {measure["key"]: measure for measure in found["measures"]}


def judges_nothing(measure: dict[str, Any]) -> bool:
    """Both runs keep their value; nothing is said of which is better."""
    kept = all(cell["value"] is not None for cell in measure["cells"])
    return kept and not measure["differences"] and measure["best"] is None and "better" not in measure["said"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("questions")

    def made(name: str, seed: int = 0, reading: Reading | None = None, **settings: Any) -> Any:
        given = {**SMALL, **settings}
        return fit("vae", "digits", run=place / name, reading=reading, steps=2, settings=given, seed=seed, threads=1)

    return {
        "grey": made("grey"),
        "normal": made("normal", likelihood="gaussian"),
        "wide": made("wide", latent=3),
        "levels": made("levels", reading=Reading(scale="levels:16")),
    }


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A table of six columns and two columns of labels, told from other landmarks."""
    place, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    x = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    lines = [",".join([*(f"{v:.4f}" for v in row), "ab"[i % 2], "cde"[i % 3]]) for i, row in enumerate(x)]
    file = place / "t.csv"
    file.write_text("p,q,r,s,t,u,kind,group\n" + "\n".join(lines) + "\n")

    def made(name: str, model: str, settings: dict[str, Any], **reading: Any) -> Any:
        given = Reading(columns=tuple("pqrstu"), **reading)
        return fit(model, file, run=place / name, reading=given, steps=2, settings=settings, threads=1)

    return {
        "from p": made("from-p", "imputer", {}, observed=("p", "q")),
        "from r": made("from-r", "imputer", {}, observed=("r", "s")),
        "vae": made("vae", "vae", SMALL),
        "kind": made("kind", "vae", SMALL, label="kind"),
        "group": made("group", "vae", SMALL, label="group"),
        "file": file,
    }


def test_a_density_is_not_judged_against_a_cross_entropy(runs: dict[str, Any]) -> None:
    found = compare([runs["grey"], runs["normal"]])
    measures = by_key(found)
    for key in ("elbo_nats", "log_likelihood_nats", "distortion_nats"):
        assert judges_nothing(measures[key]), key
        assert measures[key]["said"] == "not comparable: normal (its likelihood is a density)"
    assert measures["reconstruction_mse"]["differences"]
    row = next(line for line in table(found).splitlines() if line.startswith("elbo_nats"))
    assert "not comparable: normal (its likelihood is a density)" in row and row.count(" (-") == 1
    assert "not comparable: normal (its likelihood is a density)" in compare_html(found)


def test_cells_told_from_others_are_judged_only_where_the_question_is_one(tables: dict[str, Any]) -> None:
    measure = by_key(compare([tables["from p"], tables["from r"]]))["mae"]
    assert judges_nothing(measure) and "4 columns told from 2 (r, s)" in measure["said"]
    measure = by_key(compare([tables["vae"], tables["from p"]]))["mae"]
    assert judges_nothing(measure) and "4 columns told from 2 (p, q)" in measure["said"]
    assert by_key(compare([tables["from p"], tables["from p"]]))["mae"]["said"] == "no difference"


def test_neighbours_in_x_are_judged_only_in_one_x(runs: dict[str, Any]) -> None:
    measures = by_key(compare([runs["grey"], runs["levels"]]))
    assert judges_nothing(measures["trustworthiness"])
    assert measures["neighbour_accuracy"]["differences"]
    assert measures["elbo_nats"]["said"].startswith("not comparable: levels (read with scale levels:16")


def test_shares_of_right_labels_are_judged_only_where_the_labels_are_one(tables: dict[str, Any]) -> None:
    measure = by_key(compare([tables["kind"], tables["group"]], tables["file"]))["neighbour_accuracy"]
    assert judges_nothing(measure) and "labels" in measure["said"]
    assert by_key(compare([tables["kind"], tables["kind"]]))["neighbour_accuracy"]["differences"]


def test_codes_of_other_widths_are_not_judged(runs: dict[str, Any]) -> None:
    measures = by_key(compare([runs["grey"], runs["wide"]]))
    for key in ("code_mmd", "code_gap", "code_auc"):
        assert judges_nothing(measures[key]), key
        assert measures[key]["said"] == "not comparable: wide (codes of 3 numbers, not 2 numbers)"
    assert by_key(compare([runs["grey"], runs["normal"]]))["code_mmd"]["differences"]


def test_three_runs_of_two_questions_are_judged_where_they_agree(runs: dict[str, Any]) -> None:
    found = compare([runs["grey"], runs["normal"], runs["wide"]])
    measure = by_key(found)["elbo_nats"]
    assert [(d["a"], d["b"]) for d in measure["differences"]] == [("grey", "wide")]
    assert [cell.get("apart", False) for cell in measure["cells"]] == [False, True, False]
    assert "not comparable: normal" in measure["said"] and measure["best"] != "normal"
    assert "In brackets: not comparable" in table(found)


def test_data_that_were_read_differently_are_named_by_what_differs(tables: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"read t differently \(label: kind kind, group group\)"):
        compare([tables["kind"], tables["group"]])


# -- counts and costs --------------------------------------------------------------------------------------------------


def stub(name: str, metrics: dict[str, Any]) -> Side:
    quality = {"quality": {"extractors": [{"hash": "f"}], "n_real": 100}}
    run = SimpleNamespace(name="stub", model=object())
    return Side(name, run, None, None, Evaluation(metrics, quality, {}))  # type: ignore[arg-type]


def test_a_count_without_an_interval_gives_a_difference_and_no_verdict() -> None:
    def counted(name: str, value: float) -> Side:
        return stub(name, {"modes_found": {"value": value, "low": value, "high": value, "unit": "modes", "n": 100}})

    (row,) = compared_quality([counted("a", 10.0), counted("b", 5.0)])
    (one,) = row["differences"]
    assert (one["value"], one["low"], one["high"], one["verdict"]) == (5.0, None, None, "")
    assert (row["best"], row["said"]) == (None, "differ by 5; no interval, no verdict")
    assert [cell["low"] for cell in row["cells"]] == [None, None]
    (row,) = compared_quality([counted("a", 10.0), counted("b", 5.0), counted("c", 5.0)])
    assert (row["best"], row["said"]) == (None, "no interval, no verdict")
    assert compared_codes([counted("a", 1.0)]) == []


def costs(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {cost["key"]: cost["cells"] for cost in found["costs"]}


def test_training_time_is_that_of_the_steps_alone(runs: dict[str, Any]) -> None:
    rows = [json.loads(line) for line in (runs["grey"].path / "history.jsonl").read_text().splitlines()]
    meta = runs["grey"].meta
    assert meta["trained_s"] == rows[-1]["time_s"] < meta["took_s"]
    found = costs(compare([runs["grey"], runs["normal"]]))
    assert found["took_s"][0]["value"] == rows[-1]["time_s"]
    assert found["step_s"][0]["value"] == pytest.approx(rows[-1]["time_s"] / 2)
    del runs["grey"].meta["trained_s"]  # as of an older run
    assert costs(compare([runs["grey"], runs["normal"]]))["took_s"] == found["took_s"]


def test_a_run_trained_in_one_pass_with_others_says_so(tmp_path: Path) -> None:
    made = sweep("beta_vae", "digits", over={"beta": [1, 4]}, run=tmp_path / "s", steps=2, settings=SMALL, threads=1)
    first, second = (member.path for member in made.runs)
    from elboroom.run import load

    pair = [load(first), load(second)]
    found = compare(pair)
    cells = costs(found)
    for key in ("took_s", "step_s", "peak_bytes"):
        for cell, run in zip(cells[key], pair, strict=True):
            if "stack" in run.meta["choices"] and cell["value"] is not None:
                assert cell["together"] == 2 and "one pass" in cell["why"]
    assert "stack" in pair[0].meta["choices"]
    assert "2 runs in one pass" in table(found) and "2 runs in one pass" in compare_html(found)
    assert abs(cells["took_s"][0]["value"] - cells["took_s"][1]["value"]) < 1, "none holds the finishing of the other"
    assert "together" not in cells["parameters"][0]


def test_the_table_and_the_page_say_of_what_verdicts_hold(runs: dict[str, Any]) -> None:
    found = compare([runs["grey"], runs["wide"]])
    assert "another seed may differ" in table(found).splitlines()[-1]
    assert "another seed may differ" in compare_html(found)
