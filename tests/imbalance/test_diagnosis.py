"""The diagnosis as a whole, on tables with known shares and on digits; models are trained by the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import elboroom as elbo
from elboroom.imbalance.diagnosis import diagnose_rows
from elboroom.imbalance.found import Imbalance
from elboroom.imbalance.representation import Representation

KEYS = {"identifiable", "groups", "shares", "ratio", "effective_groups", "index", "why"}


def bent(sizes: list[int], seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows (n, 6): Gaussians in two dimensions carried into six by a known bent map, and the group of each."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(sizes)), sizes)
    angle = 2 * np.pi * label / max(3, len(sizes))
    plane = 8 * np.stack([np.cos(angle), np.sin(angle)], 1) * (len(sizes) > 1) + rng.normal(size=(len(label), 2))
    turn = np.random.default_rng(9).normal(size=(2, 6))
    x = plane @ turn + 2 * np.tanh(plane @ turn[:, ::-1] / 4) + 0.1 * rng.normal(size=(len(label), 6))
    order = rng.permutation(len(label))
    return x[order], label[order]


@pytest.fixture(scope="module")
def unequal() -> Imbalance:
    found: Imbalance = elbo.diagnose_imbalance(bent([400, 200, 80]), seeds=2, count_labels=True)
    return found


def test_known_shares_are_found_within_three_standard_errors(unequal: Imbalance) -> None:
    truth = np.array([400, 200, 80]) / 680
    assert unequal["identifiable"]
    assert unequal["groups"] == 3
    error = np.sqrt(truth * (1 - truth) / 680)
    assert np.abs(np.array(unequal["shares"]) - truth).sum() < 3 * error.sum()
    counted = unequal["baselines"][-1]
    assert counted["name"] == "labels counted"
    assert unequal["index"]["low"] <= counted["index"] <= unequal["index"]["high"]
    assert unequal["index"]["value"] == pytest.approx(counted["index"], abs=0.02)
    assert all(s["low"] <= t <= s["high"] for s, t in zip(unequal["share_intervals"], truth, strict=True))


def test_the_document_has_the_promised_keys_and_is_plain_json(unequal: Imbalance) -> None:
    assert set(unequal.document) >= KEYS
    assert json.loads(json.dumps(unequal.document)) == unequal.document
    assert sum(unequal["shares"]) == pytest.approx(1)


def test_weights_make_the_groups_equal(unequal: Imbalance) -> None:
    w, label = unequal.weights, unequal.diagnosis.label
    assert w.mean() == pytest.approx(1)
    assert np.bincount(label, w) / w.sum() == pytest.approx([1 / 3] * 3, abs=0.01)


def test_weights_are_written_a_row_each_in_the_order_of_the_input(unequal: Imbalance, tmp_path: Path) -> None:
    place = unequal.write_weights(tmp_path / "weights.csv")
    table = np.genfromtxt(place, delimiter=",", names=True)
    assert table.dtype.names == ("row", "weight")
    assert table["row"].tolist() == list(range(680))
    assert table["weight"] == pytest.approx(unequal.weights)


@pytest.mark.slow
def test_permuted_labels_give_the_same_bytes() -> None:
    x, label = bent([120, 60])
    other = np.random.default_rng(1).permutation(label)
    found = [elbo.diagnose_imbalance(data, seeds=1) for data in ((x, label), (x, other))]
    assert json.dumps(found[0].document) == json.dumps(found[1].document)
    assert found[0].diagnosis.weights.tobytes() == found[1].diagnosis.weights.tobytes()


def test_a_balanced_set_keeps_0_in_its_interval() -> None:
    found = elbo.diagnose_imbalance(bent([150, 150])[0], seeds=1)
    assert found["identifiable"]
    assert found["index"]["low"] == 0.0
    assert found["ratio"]["low"] == 1.0


@pytest.mark.slow
def test_one_gaussian_is_not_answered() -> None:
    found = elbo.diagnose_imbalance(bent([300])[0], seeds=1)
    assert not found["identifiable"]
    assert found["index"]["value"] is None
    assert found["shares"] == []
    assert "no separable groups" in found["why"]
    with pytest.raises(elbo.Unable, match="no weights"):
        _ = found.weights


def placed(x: NDArray[np.float64], **other: Any) -> Representation:
    known: dict[str, Any] = {"again": x, "codes": x, "active": 2, "unexplained": 0.1}
    return Representation(places=x, **{**known, **other})


def two(n: int) -> NDArray[np.float64]:
    x = np.random.default_rng(0).normal(size=(n, 2))
    x[: n // 2, 0] += 12
    return x


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (placed(two(100)), "fewer than 150"),
        (placed(two(300), unexplained=0.95), "unexplained"),
        (placed(two(300), active=1), "two dimensions of the code"),
        (placed(two(300), again=np.random.default_rng(1).permutation(two(300))), "confuses its own groups"),
    ],
)
def test_an_unfit_model_or_too_few_rows_are_not_answered(seen: Representation, why: str) -> None:
    found = diagnose_rows([seen])
    assert not found.identifiable
    assert why in found.why


def test_models_that_disagree_are_not_answered() -> None:
    a, b = two(300), np.random.default_rng(3).permutation(two(300))
    found = diagnose_rows([placed(a), placed(b)])
    assert not found.identifiable
    assert "not stable" in found.why


def test_a_group_of_fewer_than_twenty_rows_is_named_and_not_measured() -> None:
    x = np.random.default_rng(0).normal(size=(400, 2))
    x[:12, 0] += 15
    found = diagnose_rows([placed(x)])
    assert not found.identifiable


def test_a_run_is_taken_with_its_own_model_and_its_own_reading() -> None:
    run = elbo.fit("vae", bent([150, 60])[0], latent=2, steps=200, threads=1, seed=0)
    found = elbo.diagnose_imbalance(run)
    assert (found["rows"], found["models"]) == (210, 1)
    with pytest.raises(elbo.InputError, match="its own reading"):
        elbo.diagnose_imbalance(run, scale="robust")


def test_text_is_refused_with_what_can_be_done() -> None:
    with pytest.raises(elbo.Unable, match="images and tables"):
        elbo.diagnose_imbalance(["one text here", "another text"] * 50)


@pytest.mark.slow
def test_digits_are_answered_and_their_balance_is_not_denied() -> None:
    """Ten classes of equal size; the groups found need not be the classes, so the interval is what must hold."""
    x = load_digits().images.astype(np.uint8) * 15
    found = elbo.diagnose_imbalance(x)
    assert not found["identifiable"] or found["index"]["low"] < 0.01
    zeros, ones = (np.flatnonzero(load_digits().target == k) for k in (0, 1))
    few = elbo.diagnose_imbalance(x[np.concatenate([zeros, ones[:60]])])
    if few["identifiable"]:
        truth = 0.19  # 178 to 60
        assert few["index"]["low"] <= truth <= few["index"]["high"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kinds", [1, 2])
def test_rows_that_are_equal_are_no_groups(kinds: int) -> None:
    x = np.repeat(np.arange(kinds, dtype=np.float64)[:, None] * [1.0, 0.0, 2.0, 1.0], 200 // kinds, axis=0)
    found = elbo.diagnose_imbalance(x, seeds=1)
    assert not found["identifiable"]
    assert f"{kinds} different rows among 200" in found["why"]
    beside = {entry["name"]: entry for entry in found["baselines"]}
    assert beside["k-means"]["groups"] == beside["Gaussian mixture"]["groups"] == kinds
    assert (beside["k-means"]["index"] is None) == (kinds == 1)
