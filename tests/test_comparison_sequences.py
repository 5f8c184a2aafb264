"""Runs of text, of classes and of series set side by side: what is paired, and what may not be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.comparison import Picked, compare, table
from elboroom.core.errors import InputError
from elboroom.data.reading import Reading
from elboroom.data.source import read
from elboroom.fitting import fit
from elboroom.report import compare_html
from text_toys import few_drawn

SMALL = {"layers": 1, "batch_size": 4}


def made(
    model: str, data: Any, place: Path, reading: Reading, *, steps: int = 2, seed: int = 0, **settings: Any
) -> Any:
    given = {**SMALL, **settings}
    return fit(model, data, run=place, reading=reading, settings=given, steps=steps, threads=1)


def by_key(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {measure["key"]: measure for measure in found["measures"]}


# -- text --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("texts")
    words = np.random.default_rng(0).choice(["the", "sea", "ship", "far", "wind,", "a"], 2500)
    text = [" ".join(words)]

    def of(name: str, model: str, split: tuple[float, ...] | None = None, **reading: Any) -> Any:
        cells = {"hidden": 8, "embedding": 8} if model == "charnn" else {"width": 8, "heads": 1}
        given = Reading(kind="text", split=split, **reading)
        return made(model, text, place / name, given, steps=reading.pop("steps", 2), **cells)

    with few_drawn():
        return {
            "gpt": of("gpt", "gpt", window=16, tokenizer="char"),
            "cells": of("cells", "charnn", window=40, tokenizer="char"),
            "pairs": of("pairs", "charnn", window=16, tokenizer="bpe:270"),
            "other": of("other", "gpt", split=(0.5, 0.25, 0.25), window=16, tokenizer="char"),
        }


def test_two_models_of_text_are_paired_over_the_same_bytes_whatever_their_windows(texts: dict[str, Any]) -> None:
    found = compare([texts["gpt"], texts["cells"]])
    measures = by_key(found)
    assert {"bits_per_byte", "loss_nats_per_token", "perplexity", "token_accuracy"} <= set(measures)
    for measure in measures.values():
        (difference,), (one, two) = measure["differences"], measure["cells"]
        assert difference["value"] == pytest.approx(one["value"] - two["value"])
        assert difference["low"] < difference["value"] < difference["high"]
    loss, bits, tangle = (measures[k]["cells"][0] for k in ("loss_nats_per_token", "bits_per_byte", "perplexity"))
    assert bits["value"] == pytest.approx(loss["value"] / math.log(2))  # a character is a byte here
    assert tangle["value"] == pytest.approx(math.exp(loss["value"]))
    assert found["data"]["unit"] == "bytes" and "bytes of" in found["notes"][0]


def test_of_different_tokenizers_only_bits_per_byte_compare(texts: dict[str, Any]) -> None:
    measures = by_key(compare([texts["gpt"], texts["cells"], texts["pairs"]]))
    assert len(measures["bits_per_byte"]["differences"]) == 3
    for key in ("loss_nats_per_token", "perplexity", "token_accuracy"):
        assert len(measures[key]["differences"]) == 1
        cell = measures[key]["cells"][2]
        assert (cell["apart"], cell["why"]) == (True, "its tokens are others: only bits per byte compare")


def test_a_text_held_out_elsewhere_is_refused(texts: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no stretch of the text is held out in all"):
        compare([texts["gpt"], texts["other"]])


def test_a_text_model_against_itself_is_no_difference(texts: dict[str, Any]) -> None:
    for measure in compare([texts["pairs"], texts["pairs"]])["measures"]:
        assert measure["said"] == "no difference"


# -- classes -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Slow and quick waves of many lengths; each step's label is the sign of its slope in `steps`."""
    place, rng = tmp_path_factory.mktemp("waves"), np.random.default_rng(0)
    lengths = rng.integers(8, 17, 120)
    phase = rng.uniform(0, 6, 120)
    x = [np.sin((0.5, 1.5)[i % 2] * np.arange(n) + phase[i]) for i, n in enumerate(lengths)]
    up = [(np.cos((0.5, 1.5)[i % 2] * np.arange(n) + phase[i]) > 0).astype(int) for i, n in enumerate(lengths)]
    np.savez(place / "whole.npz", x=np.concatenate(x)[:, None], lengths=lengths, y=np.arange(120) % 2)
    np.savez(place / "steps.npz", x=np.concatenate(x)[:, None], lengths=lengths, y=np.concatenate(up))

    def of(name: str, data: str, steps: int, held: float = 0.4, **settings: Any) -> Any:
        split = Reading(kind="sequences", split=(0.9 - held, 0.1, held))
        return made("classifier", place / data, place / name, split, steps=steps, hidden=8, **settings)

    return {
        "begun": of("begun", "whole.npz", 1),
        "learnt": of("learnt", "whole.npz", 150, lr=0.02, batch_size=16),
        "elsewhere": of("elsewhere", "whole.npz", 60, held=0.3),
        "of steps": of("steps", "steps.npz", 40, target="step"),
        "of steps, elsewhere": of("steps-1", "steps.npz", 2, held=0.3, target="step"),
        "data": place / "whole.npz",
    }


def test_classes_are_compared_sequence_by_sequence(waves: dict[str, Any]) -> None:
    found = compare([waves["begun"], waves["learnt"]])
    measures = by_key(found)
    assert {"accuracy", "balanced_accuracy", "macro_f1", "log_loss_nats"} == set(measures)
    assert measures["accuracy"]["best"] == "learnt"
    assert measures["log_loss_nats"]["best"] == "learnt"
    right, counted = measures["accuracy"]["differences"][0], waves["begun"].dataset().parts["test"]
    assert right["n"] == len(counted) == found["data"]["n"]
    ours = waves["learnt"].classify(waves["data"])
    label = np.arange(120) % 2
    assert ours.index.tolist() == list(range(120))
    share = (ours.label == label)[counted.index].mean()
    assert measures["accuracy"]["cells"][1]["value"] == pytest.approx(share)


def test_of_different_splits_only_sequences_held_out_in_both_count_with_their_lengths(waves: dict[str, Any]) -> None:
    found = compare([waves["learnt"], waves["elsewhere"]])
    parts = [waves[name].dataset().parts["test"].index for name in ("learnt", "elsewhere")]
    assert 0 < found["data"]["n"] == len(np.intersect1d(*parts)) < len(parts[0])
    assert by_key(found)["accuracy"]["differences"][0]["n"] == found["data"]["n"]


def test_where_each_step_has_a_label_sequences_are_the_sample_and_steps_count(waves: dict[str, Any]) -> None:
    measures = by_key(compare([waves["of steps"], waves["of steps, elsewhere"]]))
    assert {"accuracy", "log_loss_nats"} == set(measures)
    difference, (one, two) = measures["accuracy"]["differences"][0], measures["accuracy"]["cells"]
    assert difference["value"] == pytest.approx(one["value"] - two["value"])
    own = waves["of steps"].evaluate()
    weighed = own.per_example["accuracy"] @ own.per_example["steps"] / own.per_example["steps"].sum()
    assert own.metrics["accuracy"]["value"] == pytest.approx(weighed)


def test_picked_sequences_keep_lengths_and_the_labels_of_their_steps(waves: dict[str, Any]) -> None:
    rows = waves["of steps"].dataset().parts["test"]
    picked = Picked(rows, np.array([7, 2, 4]))
    got, want = picked.take(torch.tensor([2, 0])), rows.take(torch.tensor([4, 7]))
    assert set(got) == set(want) == set(picked.fields) == {"x", "label", "observed", "lengths"}
    for key in want:
        np.testing.assert_array_equal(got[key].numpy(), want[key].numpy())


# -- series ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place, rng = tmp_path_factory.mktemp("series"), np.random.default_rng(0)
    rows = [f"2026-01-{1 + k // 24:02d} {k % 24:02d}:00,{math.sin(k / 4) + rng.normal(0, 0.1):.3f}" for k in range(600)]
    (place / "pump.csv").write_text("time,load\n" + "\n".join(rows) + "\n")

    def of(name: str, steps: int, horizon: int = 4, **reading: Any) -> Any:
        given = Reading(kind="series", **{"window": 24, **reading})
        return made("forecaster", place / "pump.csv", place / name, given, steps=steps, horizon=horizon, hidden=8)

    return {
        "begun": of("begun", 1),
        "learnt": of("learnt", 150),
        "wider": of("wider", 2, window=40),
        "farther": of("farther", 2, horizon=6),
        "more": of("more", 2, split=(0.5, 0.1, 0.4)),
    }


def test_forecasts_are_compared_row_by_row_with_blocks_as_the_sample(series: dict[str, Any]) -> None:
    found = compare([series["begun"], series["learnt"]])
    measures = by_key(found)
    assert {"mae", "mae_horizon", "coverage_90"} == set(measures)
    for key in ("mae", "mae_horizon"):
        assert measures[key]["best"] == "learnt"
        assert {r["name"] for r in measures[key]["references"]} >= {"last value"}
    difference, (one, two) = measures["mae"]["differences"][0], measures["mae"]["cells"]
    assert difference["value"] == pytest.approx(one["value"] - two["value"])
    assert difference["n"] == found["data"]["n"] and found["data"]["unit"] == "rows"
    evaluations = [series[name].evaluate() for name in ("begun", "learnt")]
    assert {e.block for e in evaluations} == {max(16, evaluations[0].details["series"]["period"])}
    apart = evaluations[0].per_example["mae"] - evaluations[1].per_example["mae"]
    blocks = np.add.reduceat(apart, np.arange(0, len(apart), evaluations[0].block))
    assert len(blocks) < len(apart) / 10
    assert difference["value"] == pytest.approx(apart.mean())


def test_forecasts_of_other_horizons_are_compared_one_row_ahead_only(series: dict[str, Any]) -> None:
    measures = by_key(compare([series["begun"], series["learnt"], series["farther"]]))
    assert len(measures["mae"]["differences"]) == 3
    assert len(measures["mae_horizon"]["differences"]) == 1
    assert "forecasts 6 rows ahead" in measures["mae_horizon"]["cells"][2]["why"]


def test_of_series_only_rows_held_out_in_both_runs_are_measured(series: dict[str, Any]) -> None:
    own = [series[name].dataset().series.stretches[0]["test"] for name in ("begun", "more")]
    found = compare([series["begun"], series["more"]])
    assert found["data"]["n"] == min(b for _, b in own) - max(a for a, _ in own)
    assert by_key(found)["coverage_90"]["differences"][0]["n"] == found["data"]["n"]


def test_runs_that_scale_a_series_differently_are_compared_on_its_values_as_read(series: dict[str, Any]) -> None:
    found = compare([series["begun"], series["wider"]])  # other windows leave other rows to fit the scale on
    measure = by_key(found)["mae"]
    assert "as read" in measure["unit"]
    own = series["begun"].evaluate()
    scale = series["begun"].transform.undo(torch.eye(2)[0][:, None, None])[:, 0, 0]
    values = np.concatenate([one.values for one in series["begun"].dataset().series.series])
    raw = own.per_example["mae"] * float(scale[0] - scale[1]) / values.std()
    kept = np.isin(own.per_example["index"], np.arange(600 - found["data"]["n"], 600))
    assert measure["cells"][0]["value"] == pytest.approx(raw[kept].mean(), rel=1e-6)


def test_comparing_leaves_the_runs_as_they_were(series: dict[str, Any]) -> None:
    before = series["begun"].evaluate().metrics
    compare([series["begun"], series["more"]])
    assert series["begun"].evaluate().metrics == before


# -- the page and the table --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "names", "heading"),
    [
        ("texts", ("gpt", "pairs"), "How well it knows the data"),
        ("waves", ("begun", "learnt"), "How well it names classes"),
        ("series", ("begun", "learnt"), "How well it forecasts"),
    ],
)
def test_page_and_table_show_every_measure(
    request: pytest.FixtureRequest, kind: str, names: tuple[str, str], heading: str
) -> None:
    runs = request.getfixturevalue(kind)
    found = compare([runs[name] for name in names])
    page, told = compare_html(found), table(found)
    assert heading in page
    for measure in found["measures"]:
        assert f'data-key="{measure["key"]}"' in page
        assert measure["key"] in told
    for cost in ("Parameters", "Training time", "A step"):
        assert cost in page


def test_new_sequences_can_be_given(waves: dict[str, Any], series: dict[str, Any], tmp_path: Path) -> None:
    found = compare([waves["begun"], waves["learnt"]], waves["data"])
    assert (found["data"]["split"], found["data"]["n"]) == ("all", 120)
    assert len(read(waves["data"], Reading(kind="sequences")).fingerprint) > 10
    rows = [f"2026-03-{1 + k // 24:02d} {k % 24:02d}:00,{math.sin(k / 4):.3f}" for k in range(200)]
    (tmp_path / "later.csv").write_text("time,load\n" + "\n".join(rows) + "\n")
    later = compare([series["begun"], series["learnt"]], tmp_path / "later.csv")
    assert by_key(later)["mae"]["best"] == "learnt" and later["data"]["n"] == 200
