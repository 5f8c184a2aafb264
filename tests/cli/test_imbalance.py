"""`diagnose imbalance`: as JSON, as text, its page and its weights; no answer is no failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.pages import Page

import elboroom as elbo

Call = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    """180 and 60 rows, ten deviations apart."""
    x = np.random.default_rng(0).normal(size=(240, 4))
    x[:60, 0] += 10
    place = tmp_path / "blobs.npy"
    np.save(place, x)
    return place


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    place = tmp_path / "cloud.npy"
    np.save(place, np.random.default_rng(0).normal(size=(240, 4)))
    return place


def test_json_page_and_weights(answer: Answer, blobs: Path, tmp_path: Path) -> None:
    page, weights = tmp_path / "page.html", tmp_path / "weights.csv"
    found = answer("diagnose", "imbalance", blobs, "--seeds", 1, "--out", page, "--weights", weights)
    assert found["identifiable"]
    assert found["groups"] == 2
    assert found["index"]["low"] <= 0.189 <= found["index"]["high"]
    assert {entry["name"] for entry in found["baselines"]} >= {"k-means", "latent uniformity"}
    table = np.genfromtxt(weights, delimiter=",", names=True)
    assert len(table) == 240
    assert table["weight"][:60].mean() == pytest.approx(3 * table["weight"][60:].mean(), rel=0.1)
    made = Page(page.read_text(encoding="utf-8"))
    shown = {e["data-key"]: float(e["data-value"]) for _, e in made.elements if "data-value" in e}
    assert shown == {key: found[key]["value"] for key in ("index", "effective_groups", "ratio")}
    assert "2 groups in 240 rows" in made.text
    assert not [e for e in made.all("img") if not e["src"].startswith("data:")]
    assert made.all("svg")


def test_no_answer_ends_with_0_says_why_and_writes_no_weights(call: Call, cloud: Path, tmp_path: Path) -> None:
    page, weights = tmp_path / "page.html", tmp_path / "weights.csv"
    code, out, err = call("diagnose", "imbalance", cloud, "--seeds", 1, "--out", page, "--weights", weights)
    assert code == 0
    assert "no separable groups" in out
    assert "training model 1 of 1" in err
    assert "is not written" in err
    assert not weights.exists()
    made = Page(page.read_text(encoding="utf-8"))
    assert "No answer" in made.text
    assert not [e for _, e in made.elements if "data-value" in e]


def test_a_run_is_diagnosed_by_its_own_model_with_pictures(answer: Answer, tmp_path: Path) -> None:
    x = np.zeros((240, 8, 8), np.uint8)
    rng = np.random.default_rng(0)
    x[:180, :4] = rng.integers(150, 255, size=(180, 4, 8))
    x[180:, 4:] = rng.integers(150, 255, size=(60, 4, 8))
    np.save(tmp_path / "x.npy", x)
    run = elbo.fit("autoencoder", tmp_path / "x.npy", latent=4, steps=300, run=tmp_path / "run", threads=1, seed=0)
    found = answer("diagnose", "imbalance", run.folder.path, "--out", tmp_path / "page.html")
    assert found["models"] == 1
    assert found["rows"] == 240
    made = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert found["groups"] == 2
    assert made.all("img")  # the middle of each group


def test_diagnose_of_a_run_is_what_it_was(call: Call, tmp_path: Path) -> None:
    code, _, err = call("diagnose", tmp_path / "nowhere")
    assert code == 2
    assert "no such run folder" in err
