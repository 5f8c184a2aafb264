"""Learned weights in the user's cache, so that ten runs on one set train one extractor.

The file's name is a hash of all that the weights follow from: extractor and recipe, data and training rows, seed,
version of torch, type of products. The file holds a SHA-256 of its own tensors: what does not agree with it is
trained anew. Files appear whole, so two processes may train the same one; the later replaces the earlier.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from elboroom.artifacts.files import make_folder
from elboroom.artifacts.tensors import load_tensors, save_tensors
from elboroom.core.errors import InputError, Stopped
from elboroom.data.source import Dataset

from .extractor import digest
from .inputs import training_rows
from .learning import precision

__all__ = ["cached", "place"]

CHECK = "sha256"
"""The tensor that holds the digest of the others."""


def place(name: str, recipe: object, dataset: Dataset, seed: int) -> Path:
    """The file for weights of this extractor."""
    rows = hashlib.sha256(np.asarray(training_rows(dataset).index, dtype="<i8").tobytes()).hexdigest()
    told = (name, recipe, dataset.fingerprint, rows, seed, torch.__version__, precision())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    key = hashlib.sha256(repr(told).encode()).hexdigest()[:32]
    return Path(base) / "elboroom" / "extractors" / f"{name}-{key}.safetensors"


def cached(path: Path, network: nn.Module, train: Callable[[], None]) -> None:
    """Fill `network` from the file, or by `train` where there is none that is whole; then write it.

    A cache that cannot be written costs time, never a result.
    """
    if _loaded(path, network):
        return
    train()
    state = network.state_dict()
    check = np.frombuffer(digest("", "", state).encode(), np.uint8)
    with suppress(InputError, Stopped, OSError):
        make_folder(path.parent)
        save_tensors(path, {**state, CHECK: check})


def _loaded(path: Path, network: nn.Module) -> bool:
    """Whether the file held weights that fit; `network` is as it was where they do not."""
    if not path.is_file():
        return False
    try:
        held = {name: _tensor(value) for name, value in load_tensors(path).items()}
        check = held.pop(CHECK, torch.zeros(0))
        shapes = {name: (t.shape, t.dtype) for name, t in network.state_dict().items()}
        whole = bytes(check.numpy()) == digest("", "", held).encode()
        if not whole or {name: (t.shape, t.dtype) for name, t in held.items()} != shapes:
            return False
    except (InputError, TypeError):
        return False
    network.load_state_dict(held)
    return True


def _tensor(value: object) -> Tensor:
    return value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
