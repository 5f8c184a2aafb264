"""IDX, the format of MNIST: a train pair, a test pair, labels in files of their own.

A file is two zero bytes, a type byte, the number of axes, each length as a big-endian 32-bit number, then the values
(yann.lecun.com/exdb/mnist, "the IDX file format").
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from elboroom.core.errors import InputError

from .content import Array, Content
from .limits import CLASSES, expansion, named, readable
from .storage import allocate

__all__ = ["is_idx", "read_idx", "read_idx_folder"]

TYPES = {8: np.uint8, 9: np.int8, 11: np.int16, 12: np.int32, 13: np.float32, 14: np.float64}
TESTS = {"train": ("t10k", "test")}


def is_idx(path: Path) -> bool:
    """Whether the name is that of an IDX file of images."""
    return "-images-idx3-ubyte" in path.name or "-images.idx3-ubyte" in path.name


def read_idx_folder(folder: Path) -> Content:
    """A folder with a train pair and, where there is one, a test pair."""
    found = sorted(p for p in folder.iterdir() if is_idx(p))
    first = [p for p in found if p.name.startswith("train")] or found
    return read_idx(first[0], own_test=True)


def read_idx(path: Path, *, own_test: bool) -> Content:
    """A file of images and its labels; with `own_test` also the test pair beside a training file."""
    x, label = _pair(path)
    own = None
    test = _test_beside(path) if own_test else None
    if test is not None:
        more, more_label = _pair(test)
        if more.shape[1:] != x.shape[1:]:
            raise InputError(f"{test}: images of {more.shape[1:]}, but {path.name} has {x.shape[1:]}")
        own = np.repeat(np.array([0, 2], np.int8), [len(x), len(more)])
        x = np.concatenate([x, more])
        label = None if label is None or more_label is None else np.concatenate([label, more_label])
    problems = [] if label is not None else [f"no labels file beside {path.name}: no labels read"]
    classes: tuple[str, ...] = ()
    if label is not None:
        values, label = np.unique(label, return_inverse=True)
        if len(values) > CLASSES:
            raise InputError(f"{path}: {len(values):,} different labels, above {CLASSES:,}")
        classes = tuple(str(v) for v in values)
        label = label.astype(np.int64)
    return Content("images", x[:, None], label=label, classes=classes, own=own, problems=problems)


def _pair(path: Path) -> tuple[Array, Array | None]:
    x = _array(path)
    if x.ndim != 3 or x.dtype != np.uint8:
        raise InputError(f"{path}: holds {x.dtype} of shape {x.shape}; images are bytes with three axes")
    name = path.name.replace("-images-idx3", "-labels-idx1").replace("-images.idx3", "-labels.idx1")
    stem = name.removesuffix(".gz")
    beside = [p for p in (path.with_name(stem), path.with_name(stem + ".gz")) if p.exists()]
    if not beside:
        return x, None
    label = _array(beside[0])
    if label.shape != x.shape[:1]:
        raise InputError(
            f"{beside[0]}: {label.size:,} labels for the {len(x):,} images of {path.name}; are they a pair?"
        )
    return x, label


def _test_beside(path: Path) -> Path | None:
    for train, tests in TESTS.items():
        if path.name.startswith(train):
            for test in tests:
                stem = (test + path.name[len(train) :]).removesuffix(".gz")
                for name in (stem, stem + ".gz"):
                    if path.with_name(name).exists():
                        return path.with_name(name)
    return None


def _array(path: Path) -> Array:
    """One IDX file, its declared size checked against the stored one before anything is allocated."""
    readable(path)
    stored = path.stat().st_size
    with named(path, zlib.error, struct.error), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= head[3] <= 4:
            raise InputError(f"{path}: is no IDX file (it begins with {head.hex(' ') or 'nothing'})")
        shape = struct.unpack(f">{head[3]}I", file.read(4 * head[3]))
        dtype = np.dtype(TYPES[head[2]]).newbyteorder(">")
        size = math.prod(shape) * dtype.itemsize
        if path.suffix == ".gz":
            expansion(str(path), size, stored)
        elif size > stored:
            raise InputError(f"{path}: declares {shape} values but holds only {stored:,} bytes; it is cut short")
        if size == 0:
            raise InputError(f"{path}: declares no values (shape {shape})")
        out = allocate(shape, dtype, str(path))
        flat = out.reshape(-1).view(np.uint8)
        at = 0
        while at < size:
            part = file.read(min(2**22, size - at))
            if not part:
                raise InputError(
                    f"{path}: declares {shape} values but ends after {at:,} of {size:,} bytes; it is cut short"
                )
            flat[at : at + len(part)] = np.frombuffer(part, np.uint8)
            at += len(part)
    return out
