"""Arrays of pixels: which raw value is white, the smallest type, another size or number of channels."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from elboroom.core.errors import InputError

from .content import Array, Content, Csr
from .reading import Reading
from .storage import allocate, blocks, mapped, release

__all__ = ["fit_pixels", "pixels"]

DIM = 31
"""Whole numbers up to this are taken as a picture with that many grey levels, not as a very dark one."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's convert("L")


def pixels(x: Array, where: str, white: float | None = None) -> tuple[Array, float, list[str]]:
    """The same images in the smallest type, the raw value of white, and problems.

    Whole numbers are bytes (or 16-bit values), fractions lie in 0..1; what is neither is refused. `white` is that of a
    run for which new images are read: numbers above 1 and up to it are in the run's own range.
    """
    if x.dtype == bool:
        return x.view(np.uint8), 1.0, []
    low, high, whole = _range(x, where)
    if low < 0:
        fix = "(x + 1) / 2 brings -1..1 to 0..1" if low >= -1 and high <= 1 else "undo their standardisation"
        raise InputError(f"{where}: pixels from {low:g} to {high:g}; give 0..1, or whole numbers 0..255: {fix}")
    if not whole or (x.dtype.kind == "f" and high <= 1):
        if white is not None and 1 < high <= white:  # samples in the run's own range
            return x.astype(np.float32), white, []
        if high > 1:
            raise InputError(f"{where}: pixels from {low:g} to {high:g}, not whole; give 0..1, or whole numbers 0..255")
        return _fractions(x)
    if high > 65535:
        raise InputError(f"{where}: pixels up to {high:g}; give 0..1, 0..255 or 0..65535")
    if high > 255:
        return x.astype(np.float32), 65535.0, ["16-bit pixels: 65535 is taken as white"]
    raw = x if x.dtype == np.uint8 else x.astype(np.uint8)
    if white is not None and high <= white:
        return raw, white, []
    if 1 <= high <= DIM:
        return raw, float(high), [f"the brightest pixel is {high:g}: taken as white"]
    return raw, 255.0, []


def _range(x: Array, where: str) -> tuple[float, float, bool]:
    low, high, whole, at = np.inf, -np.inf, True, 0
    for block in blocks(x):
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            place = np.argwhere(~np.isfinite(block))[0]
            raise InputError(
                f"{where}: image {at + place[0]} holds {block[tuple(place)]} at {tuple(place[1:].tolist())}"
            )
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        whole = whole and (block.dtype.kind != "f" or bool((block == np.rint(block)).all()))
        at += len(block)
    release(x)
    return low, high, whole


def _fractions(x: Array) -> tuple[Array, float, list[str]]:
    """0..1 as bytes where every value is a 255th, else as float32."""
    if all(bool((np.abs(block * 255.0 - np.rint(block * 255.0)) < 1e-3).all()) for block in blocks(x)):
        return np.rint(np.asarray(x, np.float32) * 255).astype(np.uint8), 255.0, []
    if mapped(x) and x.dtype == np.float32:
        return x, 1.0, []
    return x.astype(np.float32), 1.0, []


def fit_pixels(content: Content, where: str, reading: Reading) -> Content:
    """The images in the size and number of channels that were asked for."""
    x = content.x
    assert not isinstance(x, Csr)
    size = reading.size or (x.shape[2], x.shape[3])
    channels = reading.channels or x.shape[1]
    if (channels, *size) == x.shape[1:]:
        return content
    out = allocate((len(x), channels, *size), x.dtype, where)
    at = 0
    for block in blocks(x):
        part = block.astype(np.float32)
        if channels < part.shape[1]:
            part = np.tensordot(part, LUMA, axes=(1, 0))[:, None]
        if size != part.shape[2:]:
            part = torch.nn.functional.interpolate(
                torch.from_numpy(part), size=size, mode="bilinear", antialias=True, align_corners=False
            ).numpy()
        if channels > part.shape[1]:
            part = np.repeat(part, channels, axis=1)
        out[at : at + len(part)] = part if out.dtype.kind == "f" else np.rint(part).clip(0, 255)
        at += len(part)
    before, after = (" x ".join(map(str, a.shape[1:])) for a in (x, out))
    said = f"brought from {before} to {after} (channels, height, width)"
    return dataclasses.replace(content, x=out, problems=[*content.problems, said])
