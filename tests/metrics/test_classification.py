"""Measures of classes against scikit-learn, and against cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elboroom.metrics.classification import (
    balanced_accuracy,
    calibration_curve,
    calibration_error,
    confusion,
    log_losses,
    macro_f1,
    recalls,
)


def drawn(classes: int, missing: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(classes)
    label = rng.integers(0, classes, 400)
    if missing is not None:
        label = np.where(label == missing, (missing + 1) % classes, label)
    p = rng.dirichlet(np.ones(classes), 400)
    p[np.arange(400), label] += rng.random(400)
    p /= p.sum(1, keepdims=True)
    return label, p, p.argmax(1)


@pytest.mark.parametrize(("classes", "missing"), [(2, None), (5, None), (5, 3)])
def test_they_are_those_of_scikit_learn(classes: int, missing: int | None) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    label, p, named = drawn(classes, missing)
    counts = confusion(label, named, classes)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(label, named, labels=range(classes)))
    there = np.unique(np.concatenate([label, named]))
    assert macro_f1(counts) == pytest.approx(metrics.f1_score(label, named, labels=there, average="macro"))
    found = np.unique(label)
    expected = metrics.recall_score(label, named, labels=found, average="macro", zero_division=0)
    assert balanced_accuracy(counts) == pytest.approx(expected)
    assert log_losses(p, label).mean() == pytest.approx(metrics.log_loss(label, p, labels=range(classes)))


def test_a_class_of_which_there_is_none_has_no_recall_and_does_not_count() -> None:
    counts = [[3, 1, 0], [0, 0, 0], [2, 0, 2]]
    np.testing.assert_allclose(recalls(counts), [0.75, np.nan, 0.5])
    assert balanced_accuracy(counts) == 0.625
    assert macro_f1(counts) == pytest.approx((6 / 9 + 0 + 4 / 6) / 3)
    assert math.isnan(balanced_accuracy(np.zeros((2, 2)))) and math.isnan(macro_f1(np.zeros((2, 2))))


def test_a_sure_mistake_costs_a_finite_number_of_nats() -> None:
    np.testing.assert_allclose(log_losses([[1.0, 0.0]], [1]), [-math.log(1e-15)])


def test_a_calibrated_law_has_no_error_and_a_boastful_one_its_excess() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 200_000)
    p = np.stack([sure, 1 - sure], 1)
    label = (rng.random(200_000) > sure).astype(int)
    assert calibration_error(p, label) < 0.01
    boast = np.stack([np.full(1000, 0.9), np.full(1000, 0.1)], 1)
    assert calibration_error(boast, np.arange(1000) % 2) == pytest.approx(0.4, abs=0.01)


def test_bins_hold_every_example_once() -> None:
    label, p, _ = drawn(4)
    curve = calibration_curve(p, label, bins=7)
    assert curve["count"].sum() == 400 and curve["count"].max() - curve["count"].min() <= 1
    assert (np.diff(curve["confidence"]) >= 0).all()
    assert (curve["accuracy"] * curve["count"]).sum() == pytest.approx((p.argmax(1) == label).sum())
