"""Runs made by fit on digits, a few steps each: what is compared is the comparing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.comparison import Picked, compare, table
from elboroom.comparison_words import judged
from elboroom.core.errors import InputError
from elboroom.data.reading import Reading
from elboroom.data.source import read
from elboroom.fitting import fit
from elboroom.metrics.interval import difference_interval


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("runs")

    def made(name: str, model: str = "vae", steps: int = 60, seed: int = 0, **reading: Any) -> Any:
        settings = {"latent": 4, **({"hidden": (32,)} if model == "vae" else {})}
        given = Reading(**reading)
        return fit(
            model, "digits", run=place / name, steps=steps, settings=settings, reading=given, seed=seed, threads=1
        )

    return {
        "short": made("short", steps=10),
        "long": made("long"),
        "plain": made("plain", "autoencoder"),
        "other": made("other", scale="levels:16"),
        "split": made("split", seed=1, split=(0.8, 0.15, 0.05)),
    }


@pytest.fixture(scope="module")
def found(runs) -> dict[str, Any]:
    """Ten steps beside sixty."""
    return compare([runs["short"], runs["long"]])


def test_what_is_said_is_the_paired_difference_over_the_same_items(found):
    elbo = next(m for m in found["measures"] if m["key"] == "elbo_nats")
    assert elbo["best"] == "long"
    difference = elbo["differences"][0]
    cells = {c["run"]: c for c in elbo["cells"]}
    assert difference["value"] == pytest.approx(cells["short"]["value"] - cells["long"]["value"])
    unpaired = (cells["short"]["high"] - cells["short"]["low"]) + (cells["long"]["high"] - cells["long"]["low"])
    assert difference["high"] - difference["low"] < unpaired
    assert difference["verdict"] == "long is better"
    assert elbo["said"].startswith("long is better by")


def test_a_run_against_itself_is_no_difference_in_any_measure(runs):
    found = compare([runs["long"], runs["long"]])
    assert [run["name"] for run in found["runs"]] == ["long", "long (2)"]
    for measure in found["measures"]:
        is_count = measure["key"] == "modes_found"  # it has no interval, so nothing can be told
        assert measure["differences"][0]["verdict"] == ("" if is_count else "no difference")
        assert measure["differences"][0]["value"] == 0
        told = "equal; no interval, no verdict" if is_count else "no difference"
        assert (measure["best"], measure["said"]) == (None, told)


def test_models_without_a_likelihood_say_so_and_are_compared_by_what_they_have(runs):
    found = compare([runs["long"], runs["plain"]])
    by_key = {m["key"]: m for m in found["measures"]}
    assert by_key["elbo_nats"]["said"] == "only long can answer"
    missing = by_key["elbo_nats"]["cells"][1]
    assert (missing["value"], missing["lacks"]) == (None, "has no likelihood")
    assert missing["why"].startswith("autoencoder has no likelihood; ") and missing["why"].endswith(" have one")
    assert by_key["reconstruction_mse"]["differences"][0]["n"] == 180


def test_runs_that_read_pixels_differently_are_compared_on_the_pixels_as_read(runs):
    found = compare([runs["long"], runs["other"]])
    by_key = {m["key"]: m for m in found["measures"]}
    assert "pixels as read" in by_key["reconstruction_mse"]["unit"]
    assert len(by_key["reconstruction_mse"]["differences"]) == 1
    assert by_key["elbo_nats"]["differences"] == []
    assert "scale" in by_key["elbo_nats"]["cells"][1]["why"]


def test_with_different_splits_only_rows_held_out_in_both_are_used(runs):
    found = compare([runs["long"], runs["split"]])
    parts = [run.dataset().parts for run in (runs["long"], runs["split"])]
    both = set(parts[0]["test"].index) & set(parts[1]["test"].index)
    assert 0 < found["data"]["n"] == len(both) < 180


def test_new_data_can_be_given_and_seen_data_are_remarked(runs):
    x = read("digits", seed=0).parts["test"].data.numpy()[:, 0]
    found = compare([runs["short"], runs["long"]], x)
    assert (found["data"]["split"], found["data"]["n"]) == ("all", 180)
    seen = compare([runs["short"], runs["long"]], "digits")
    assert any("was trained on" in note for note in seen["notes"])
    assert [run["favoured"] for run in seen["runs"]] == [True, True]
    assert {measure["best"] for measure in seen["measures"]} == {None}, "none is bold that saw the answers"


def test_a_run_that_saw_the_data_is_left_out_of_what_is_best():
    ends = {"n": 9, "low": -2.0, "value": -1.0, "high": -0.5}
    differences = [{"a": "a", "b": "b", **ends, "verdict": "b is better"}]
    differences += [{"a": x, "b": "seen", **ends, "verdict": "seen is better"} for x in ("a", "b")]
    names = ["a", "b", "seen"]
    assert judged(names, 3, differences, 1)[0] == "seen"
    best, said = judged(names, 3, differences, 1, {"seen"})
    assert best == "b" and said == "b is better by 1 ± 1; seen left out: trained on these data"
    assert judged(["b", "seen"], 2, differences[2:], 1, {"seen"})[0] is None


def test_it_says_what_it_does_and_a_refusal_begins_with_the_run_it_is_about(runs, tmp_path):
    told: list[str] = []
    compare([runs["short"], runs["long"]], progress=told.append)
    assert told[0] == "reading the data of 2 runs"
    assert told[2] == "2 of 2: measuring long on 180 rows" and len(told) == 4
    (tmp_path / "text.txt").write_text("no picture")
    with pytest.raises(InputError, match=rf"^{runs['short'].path}: "):
        compare([runs["short"], runs["long"]], tmp_path / "text.txt")


def test_the_answer_is_plain_json_and_repeats(runs):
    one, two = (compare([runs["short"], runs["plain"], runs["other"]]) for _ in range(2))
    assert json.dumps(one, allow_nan=False) == json.dumps(two, allow_nan=False)


def test_settings_that_differ_come_first(found):
    assert found["settings"][0]["differs"]
    assert {"name": "steps", "values": [10, 60], "differs": True} in found["settings"]
    assert not found["settings"][-1]["differs"]


def test_the_text_has_one_row_a_measure_and_marks_the_best(found):
    lines = table(found).splitlines()
    assert lines[0].startswith("All measured anew on the same 180 rows")
    row = next(line for line in lines if line.startswith("elbo_nats (more is better)"))
    assert row.count("±") == 3
    assert row.count("*") == 1


def test_one_run_or_different_data_are_refused(runs, tmp_path):
    with pytest.raises(InputError, match="two runs"):
        compare([runs["long"]])
    x = np.random.default_rng(0).random((60, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    stranger = fit("vae", tmp_path / "x.npy", run=tmp_path / "run", steps=2, settings={"latent": 2}, threads=1)
    with pytest.raises(InputError, match="--data"):
        compare([runs["long"], stranger])


def test_picked_rows_are_those_asked_for_in_their_order():
    rows = read("digits", seed=0).parts["test"]
    picked = Picked(rows, np.array([5, 2, 9]))
    got = picked.take(torch.tensor([0, 2]))
    want = rows.take(torch.tensor([5, 9]))
    assert torch.equal(got["x"], want["x"])
    assert torch.equal(got["label"], want["label"])
    assert picked.index.tolist() == rows.index[[5, 2, 9]].tolist()


def test_the_interval_of_a_difference_is_that_of_the_item_by_item_differences():
    a, b = np.random.default_rng(0).normal(size=(2, 150))
    got = difference_interval(a, b)
    assert got.value == pytest.approx((a - b).mean())
