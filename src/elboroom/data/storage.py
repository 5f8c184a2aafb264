"""Where rows live while they are used: in memory when they are few, else in a file that the system pages in.

`allocate` gives an array either way, so a reader fills it without asking which. The scratch file has no name: it is
gone with the process, also when that is killed.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from elboroom.core.errors import InputError

from .content import Array, Csr

__all__ = ["RELEASE_BYTES", "RESIDENT_BYTES", "allocate", "blocks", "joined", "mapped", "release"]

RESIDENT_BYTES = 2**30
"""Data up to this size are copied into memory (and onto the device); larger ones are read from disk row by row."""
RELEASE_BYTES = 256 * 2**20
"""After this much of a mapped array was touched its pages are given back, so that the process stays small."""
BLOCK_BYTES = 32 * 2**20


def allocate(shape: tuple[int, ...], dtype: DTypeLike, where: str) -> Array:
    """Zeros of this shape: in memory up to RESIDENT_BYTES, else in a nameless file of the temporary folder."""
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if size <= RESIDENT_BYTES:
        return np.zeros(shape, dtype)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{where}: takes {size / 1e9:.1f} GB unpacked and {folder} has room for {free / 1e9:.1f} GB; "
            "set TMPDIR to a folder with more room"
        )
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)


def joined(chunks: Iterable[Array], dtype: DTypeLike, where: str) -> Array:
    """One array of all chunks (n,), whose number is not known before: kept as `allocate` keeps it."""
    kept: list[Array] = []
    size = 0
    with tempfile.TemporaryFile() as file:
        for chunk in chunks:
            kept.append(chunk.astype(dtype))
            size += kept[-1].nbytes
            if size > RESIDENT_BYTES:
                try:
                    file.writelines(part.tobytes() for part in kept)
                except OSError as error:
                    raise InputError(
                        f"{where}: more than {size / 1e9:.1f} GB of tokens and {tempfile.gettempdir()} is full; "
                        "set TMPDIR to a folder with more room"
                    ) from error
                kept = []
        if size <= RESIDENT_BYTES:
            return np.concatenate([np.zeros(0, dtype), *kept])
        file.flush()
        return np.memmap(file, dtype=dtype, mode="r+")


def mapped(x: Array | Csr) -> bool:
    """Whether an array should stay where it is and be read batch by batch."""
    return not isinstance(x, Csr) and x.nbytes > RESIDENT_BYTES


def release(x: Array) -> None:
    """Give back the pages of a mapped array that were touched; they stay in the system's cache, not in this process."""
    base: Any = x
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def blocks(x: Array | Csr, rows: Array | None = None) -> Iterator[Array]:
    """The rows (all, or those asked for) as dense arrays of at most 32 MiB as float64, so that no pass needs a copy."""
    n = len(x) if rows is None else len(rows)
    width = int(np.prod(x.shape[1:], dtype=np.int64)) * 8
    size = max(1, BLOCK_BYTES // max(width, 1))
    touched = 0
    for at in range(0, n, size):
        if isinstance(x, Csr):
            yield x.take(np.arange(at, min(at + size, n)) if rows is None else rows[at : at + size]).dense()
            continue
        block = x[at : at + size] if rows is None else x[rows[at : at + size]]
        yield block
        touched += block.nbytes
        if touched > RELEASE_BYTES:
            release(x)
            touched = 0
