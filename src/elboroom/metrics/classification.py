"""How well classes are told: shares that are right, what the probabilities are worth, and how far to trust them.

n examples, K classes; labels are 0 .. K-1, `p` (n, K) are probabilities. Balanced accuracy and macro F1: Sokolova &
Lapalme 2009. Calibration: Guo et al. 2017 (arXiv 1706.04599), with bins of equal numbers as in Nixon et al. 2019 (arXiv
1904.01685).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "balanced_accuracy",
    "calibration_curve",
    "calibration_error",
    "confusion",
    "log_losses",
    "macro_f1",
    "recalls",
]

Array = NDArray[np.float64]
BINS = 15
LEAST = 1e-15
"""Probabilities below count as this: 34.5 nats."""


def confusion(label: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """(K, K) counts: row the true class, column the one named."""
    pairs = np.asarray(label, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def recalls(counts: ArrayLike) -> Array:
    """(K,) share of each true class that is named right; NaN for a class of which there is none."""
    table = np.asarray(counts, np.float64)
    total = table.sum(1)
    out: Array = np.divide(np.diag(table), total, out=np.full(len(table), np.nan), where=total > 0)
    return out


def balanced_accuracy(counts: ArrayLike) -> float:
    """The mean of the recalls over the classes that there are; `counts` is (K, K) as `confusion` gives it."""
    there = recalls(counts)
    return float(np.nanmean(there)) if np.isfinite(there).any() else float("nan")


def macro_f1(counts: ArrayLike) -> float:
    """The mean over classes, of which there is one or one was named, of 2 hits / (named + there)."""
    table = np.asarray(counts, np.float64)
    both = table.sum(0) + table.sum(1)
    some = both > 0
    return float((2 * np.diag(table)[some] / both[some]).mean()) if some.any() else float("nan")


def log_losses(p: ArrayLike, label: ArrayLike) -> Array:
    """(n,) -log p of the true class, in nats."""
    p, label = np.asarray(p, np.float64), np.asarray(label, np.int64)
    out: Array = -np.log(np.maximum(p[np.arange(len(p)), label], LEAST))
    return out


def calibration_curve(p: ArrayLike, label: ArrayLike, bins: int = BINS) -> dict[str, NDArray[Any]]:
    """`confidence`, `accuracy` and `count` of each bin: examples by their largest probability, cut evenly."""
    p, label = np.asarray(p, np.float64), np.asarray(label, np.int64)
    sure, right = p.max(1), (p.argmax(1) == label).astype(np.float64)
    order = np.argsort(sure, kind="stable")
    cuts = [part for part in np.array_split(order, min(bins, max(1, len(order)))) if len(part)]
    return {
        "confidence": np.array([sure[part].mean() for part in cuts]),
        "accuracy": np.array([right[part].mean() for part in cuts]),
        "count": np.array([len(part) for part in cuts]),
    }


def calibration_error(p: ArrayLike, label: ArrayLike, bins: int = BINS) -> float:
    """The mean distance between the largest probability and the share right, over bins of equal numbers of examples."""
    curve = calibration_curve(p, label, bins)
    count = curve["count"]
    return float((np.abs(curve["confidence"] - curve["accuracy"]) * count).sum() / max(count.sum(), 1))
