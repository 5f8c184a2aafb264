"""The images every contestant gets: read once, kept as two .npy files, with the hash that goes into the result.

The IDX reader and the column normalisation here are independent of elboroom's own on purpose: the entropy floor
that A1 is held against is computed from them.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workers.wire import column_normalised

__all__ = ["Images", "column_normalised", "digits", "entropy_floor", "mnist"]

Array = np.ndarray[Any, Any]


@dataclass
class Images:
    """(n, height, width) uint8 each."""

    name: str
    train: Array
    test: Array

    def save(self, folder: Path) -> Path:
        """train.npy and test.npy for the workers."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "train.npy", self.train)
        np.save(folder / "test.npy", self.test)
        return folder

    def words(self) -> dict[str, Any]:
        """Name, sizes and SHA-256 of the pixels."""
        return {
            "name": self.name,
            "train": list(self.train.shape),
            "test": list(self.test.shape),
            "sha256": {"train": _hash(self.train), "test": _hash(self.test)},
        }


def _hash(x: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()


def mnist() -> Images:
    """MNIST from $ELBOROOM_DATA/mnist, the four IDX files."""
    root = os.environ.get("ELBOROOM_DATA", "")
    folder = Path(root) / "mnist"
    if not root or not folder.is_dir():
        raise SystemExit(
            "MNIST is not here: set ELBOROOM_DATA to a folder that holds mnist/train-images-idx3-ubyte.gz ..."
        )
    return Images("mnist", *(_idx(folder / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k")))


def _idx(path: Path) -> Array:
    with gzip.open(path, "rb") as file:
        raw = file.read()
    sizes = np.frombuffer(raw, ">i4", count=3, offset=4)
    return np.frombuffer(raw, np.uint8, offset=16).reshape(tuple(int(s) for s in sizes))


def digits() -> Images:
    """scikit-learn's 1,797 digits of 8 x 8, as bytes; every tenth held out. For shortened runs."""
    from sklearn.datasets import load_digits

    x = (load_digits().images * (255 / 16)).astype(np.uint8)
    held = np.arange(len(x)) % 10 == 0
    return Images("digits", x[~held], x[held])


def entropy_floor(targets: Array) -> float:
    """Mean binary entropy of targets in [0, 1], nats a pixel: the least mean BCE that any predictor can have."""
    p = targets.astype(np.float64)
    inside = (p > 0) & (p < 1)
    q = p[inside]
    return float(-(q * np.log(q) + (1 - q) * np.log1p(-q)).sum() / p.size)
