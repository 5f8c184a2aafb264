"""A run that names classes, from data to files: fit, measures beside the baselines, `classify` in every form."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elboroom as elbo
from elboroom.cli.main import main
from elboroom.core.errors import InputError, Unable
from elboroom.data.reading import Reading
from elboroom.evaluate import evaluate
from elboroom.fitting import fit
from elboroom.run import Run, load


def waves(n: int = 60) -> tuple[list[np.ndarray], list[str]]:
    """Slow and quick waves of 10 to 24 steps, in two channels."""
    rng = np.random.default_rng(0)
    x = []
    for i in range(n):
        steps = int(rng.integers(10, 25))
        phase, speed = rng.uniform(0, 6), (0.4, 1.2)[i % 2]
        wave = np.sin(speed * np.arange(steps) + phase)
        x.append(np.stack([wave, rng.normal(size=steps)], 1) + 0.1 * rng.normal(size=(steps, 2)))
    return x, [("slow", "quick")[i % 2] for i in range(n)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("classify")
    reading = Reading(kind="sequences", split=(0.6, 0, 0.4))
    return fit("classifier", waves(), run=folder / "run", reading=reading, settings={"hidden": 16, "lr": 0.02},
               epochs=25, threads=1, seed=1)  # fmt: skip


def test_it_learns_and_is_measured_beside_what_needs_no_network(run: Run) -> None:
    metrics = run.metrics
    assert set(metrics) == {"accuracy", "balanced_accuracy", "macro_f1", "log_loss_nats", "calibration_error"}
    assert metrics["accuracy"]["value"] > 0.9 and metrics["accuracy"]["n"] == 24
    beside = {r["name"]: r["value"] for r in metrics["accuracy"]["references"]}
    assert set(beside) == {"largest class", "MiniRocket + ridge"}
    assert beside["MiniRocket + ridge"] > 0.9 and beside["largest class"] < 0.7
    assert metrics["log_loss_nats"]["value"] < metrics["log_loss_nats"]["references"][0]["value"]
    for found in metrics.values():
        assert found["low"] <= found["value"] <= found["high"]


def test_the_measures_are_those_of_the_probabilities_that_classify_gives(run: Run) -> None:
    x, y = waves()
    data = run.read((x, y))
    found = run.classify((x, y))
    measured = evaluate(run.model, run.transform, run.spec, data, baselines=False)
    true = np.array([run.spec.classes.index(name) for name in y])
    assert measured.metrics["accuracy"]["value"] == pytest.approx((found.label == true).mean())
    nats = -np.log(found.p[np.arange(len(true)), true].astype(np.float64))
    assert measured.metrics["log_loss_nats"]["value"] == pytest.approx(nats.mean(), rel=1e-4)
    counts = np.array(measured.details["confusion"]["counts"])
    assert counts.sum() == 60 and np.trace(counts) == (found.label == true).sum()
    np.testing.assert_allclose(measured.per_example["log_loss_nats"], nats, rtol=1e-3, atol=1e-6)
    assert "references" not in measured.metrics["accuracy"]


def test_classes_come_in_the_order_of_the_input_and_need_no_labels(run: Run) -> None:
    x, y = waves(700)
    found = run.classify(x)
    assert found.p.shape == (700, 2) and found.step is None
    np.testing.assert_allclose(found.p.sum(1), 1, rtol=1e-5)
    assert found.index.tolist() == list(range(700)) and (found.named == np.array(y)).mean() > 0.85
    some = [699, 3, 256]
    np.testing.assert_allclose(run.classify([x[i] for i in some]).p, found.p[some], atol=1e-5)
    np.testing.assert_array_equal(load(run.path).classify(x).p, found.p)


def test_without_labels_there_is_nothing_to_measure(run: Run) -> None:
    with pytest.raises(InputError, match="no labels to measure against"):
        run.evaluate(waves()[0])


def test_every_form_holds_the_same(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, _ = waves(9)
    np.savez(tmp_path / "new.npz", x=np.concatenate(x), lengths=[len(row) for row in x])
    found = run.classify(x)
    for ending in (".csv", ".jsonl", ".npz", ".npy"):
        out = tmp_path / f"out{ending}"
        assert main(["classify", str(run.path), str(tmp_path / "new.npz"), "--out", str(out), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["rows"] == 9 and said["classes"] == ["quick", "slow"]
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["index", "label", "p:quick", "p:slow"]
    lines: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    for i in range(9):
        assert int(rows[i]["index"]) == lines[i]["index"] == i
        assert rows[i]["label"] == lines[i]["label"] == found.named[i]
        assert [float(rows[i][f"p:{name}"]) for name in found.classes] == pytest.approx(found.p[i].tolist(), rel=1e-6)
    arrays = np.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(arrays["p"], found.p)
    np.testing.assert_array_equal(arrays["label"], found.label)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), found.p)


def test_a_model_that_names_no_classes_says_who_does(digits_run: Run) -> None:
    with pytest.raises(Unable, match=r"vae cannot classify; .*classifier"):
        digits_run.classify(np.zeros((2, 8, 8)))


def test_labels_of_single_steps_are_learnt_measured_and_named(tmp_path: Path) -> None:
    """Whether the last two values rose: a label a step, which the past alone decides."""
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(int(n), 1)) for n in rng.integers(5, 16, 60)]
    y = [np.where(np.diff(row[:, 0], prepend=row[0, 0]) > 0, "up", "down") for row in x]
    run = fit("classifier", (x, y), run=tmp_path / "run", reading=Reading(kind="sequences"), epochs=20, threads=1,
              settings={"target": "step", "bidirectional": False, "cell": "gru", "hidden": 16, "lr": 0.03})  # fmt: skip
    found = run.metrics["accuracy"]
    assert found["value"] > 0.85
    assert {r["name"] for r in found["references"]} == {"largest class", "ridge on steps around"}
    named = run.classify(x)
    assert named.step is not None and len(named) == sum(map(len, x))
    assert named.index.tolist() == [i for i, row in enumerate(x) for _ in range(len(row))]
    assert named.step.tolist() == [t for row in x for t in range(len(row))]
    alone = run.classify([x[7]])
    np.testing.assert_allclose(named.p[named.index == 7], alone.p, atol=1e-5)
    assert list(named.result(".csv").names) == ["index", "step", "label"]


def test_labelled_texts_are_told_apart_and_the_run_goes_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = {"sea": ["wave", "ship", "salt"], "land": ["road", "hill", "tree"]}
    kinds = [("sea", "land")[i % 2] for i in range(80)]
    texts = [" ".join(rng.choice([*words[k], "the", "a"], 5)) for k in kinds]
    path = tmp_path / "texts.csv"
    path.write_text("kind,text\n" + "".join(f"{k},{t}\n" for k, t in zip(kinds, texts, strict=True)), encoding="utf-8")
    run = elbo.fit("classifier", path, kind="sequences", label="kind", run=tmp_path / "run", epochs=12, threads=1,
                   hidden=16, lr=0.02)  # fmt: skip
    assert run.metrics["accuracy"]["value"] > 0.8
    assert {r["name"] for r in run.metrics["accuracy"]["references"]} == {"largest class", "token runs + ridge"}
    assert run.classify(["the ship the wave", "a tree road hill"]).named.tolist() == ["sea", "land"]
    assert run.evaluate().metrics["accuracy"]["value"] == run.metrics["accuracy"]["value"]
    further = run.resume(steps=2)
    assert further.meta["state"] == "done" and torch.is_tensor(next(further.model.parameters()))
