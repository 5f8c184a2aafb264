"""The smallest type that holds the same numbers: a quarter of the memory, and a quarter of the time to pick a batch."""

from __future__ import annotations

import numpy as np

from elboroom.core.errors import InputError

from .content import Array
from .storage import blocks

__all__ = ["smallest"]


def smallest(x: Array, where: str) -> Array:
    """The same values in the smallest type that holds them; float64 stays where float32 would blur a column."""
    if x.dtype.kind not in "biuf":
        raise InputError(f"{where}: holds values of type {x.dtype}; numbers are needed")
    if x.dtype.kind == "b":
        return x.astype(np.uint8)
    if x.dtype.kind == "f":
        if x.dtype.itemsize <= 4 and x.dtype.itemsize != 4:
            return x.astype(np.float32)
        x = x.astype(x.dtype.newbyteorder("="), copy=False)
        if x.dtype.itemsize > 8:
            x = x.astype(np.float64)
        if not _whole(x):
            return x if x.dtype == np.float32 else _narrow(x, where)
    return _integers(x, where)


def _whole(x: Array) -> bool:
    """Whether a float array holds only whole numbers, none of them missing."""
    head = x.ravel()[:4096]
    return bool(np.isfinite(head).all() and (head == np.rint(head)).all()) and all(
        bool(np.isfinite(b).all() and (b == np.rint(b)).all()) for b in blocks(x)
    )


def _integers(x: Array, where: str) -> Array:
    if x.size == 0:
        return x.astype(np.uint8)
    low, high = x.min(), x.max()
    for dtype in (np.uint8, np.int16, np.int32):
        if low >= np.iinfo(dtype).min and high <= np.iinfo(dtype).max:
            return x.astype(dtype, copy=False)
    return _narrow(x.astype(np.float64), where)


def _narrow(x: Array, where: str) -> Array:
    """float32, unless its rounding exceeds a thousandth of some column's spread."""
    with np.errstate(invalid="ignore"):
        top = np.abs(x).reshape(len(x), -1)
        peak = np.where(np.isnan(top), 0, top).max(axis=0)
        if peak.max(initial=0) > 1e30:
            row, column = np.unravel_index(int(np.nanargmax(top)), top.shape)
            raise InputError(
                f"{where}: row {row}, column {column}: {x.reshape(len(x), -1)[row, column]:g} is too large "
                "for single precision; rescale the column"
            )
        filled = np.where(np.isnan(x), 0, x).reshape(len(x), -1)
        spread = filled.max(axis=0) - filled.min(axis=0)
    blurred = (peak * 2.0**-24 > 1e-4 * spread) & (spread > 0)
    return x.astype(np.float64) if blurred.any() else x.astype(np.float32)
