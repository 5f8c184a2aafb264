"""`shapes`: pictures drawn from known factors, every combination once; for measures that need the truth.

Ours alone, no copy of another set. Factors, slowest first: shape, scale, rotation, x, y. No shape has a rotational
symmetry and positions are whole pixels, so that no two combinations give the same picture. Each sprite is drawn once
by counting 4 x 4 points a pixel; a position is then a window on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from elboroom.core.errors import InputError, nearest

from .content import Array, Content
from .storage import allocate, release

__all__ = ["SHAPES", "draw_shapes", "read_shapes"]

DEFAULTS = {"shape": 3, "scale": 4, "rotation": 8, "x": 8, "y": 8, "size": 32}
POINTS = 4


def _heart(u: Array, v: Array) -> Array:
    a, b = 1.25 * u, 1.25 * v + 0.15
    return (a * a + b * b - 1) ** 3 - a * a * b**3 <= 0


def _angle(u: Array, v: Array) -> Array:
    upright = (np.abs(u + 0.45) < 0.25) & (np.abs(v) < 0.8)
    foot = (np.abs(u - 0.1) < 0.8) & (np.abs(v + 0.55) < 0.25) & (u < 0.6)
    return upright | foot


def _drop(u: Array, v: Array) -> Array:
    bulb = u * u + (v + 0.35) ** 2 < 0.55**2
    tip = (v >= -0.1) & (v < 0.9) & (np.abs(u) < 0.5 * (0.9 - v))
    return bulb | tip


def _half(u: Array, v: Array) -> Array:
    inside: Array = (u * u + v * v < 0.8**2) & (v > -0.15)
    return inside


def _flag(u: Array, v: Array) -> Array:
    pole = (np.abs(u + 0.5) < 0.12) & (np.abs(v) < 0.85)
    cloth = (u > -0.5) & (v < 0.85) & (v > 0.85 - 0.75 * (0.7 - u)) & (u < 0.7)
    return pole | cloth


SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "heart": _heart,
    "angle": _angle,
    "drop": _drop,
    "half disc": _half,
    "flag": _flag,
}


def read_shapes(options: str, size: tuple[int, int] | None) -> Content:
    """The set for options such as "3x4x8x8x8" or "shape=2,rotation=40,size=64"; `size` is the picture's side."""
    grid = dict(DEFAULTS)
    if size is not None:
        if size[0] != size[1]:
            raise InputError(f"shapes: pictures are square; --size {size[0]}x{size[1]} is not")
        grid["size"] = size[0]
    grid.update(_parsed(options))
    return draw_shapes(**grid)


def _parsed(options: str) -> dict[str, int]:
    """Numbers by factor, checked for their form."""
    given: dict[str, str] = {}
    if "=" in options:
        for part in options.split(","):
            key, _, value = part.partition("=")
            if key.strip() not in DEFAULTS:
                raise InputError(
                    f"shapes: there is no factor {key.strip()!r}{nearest(key, DEFAULTS)}; {', '.join(DEFAULTS)}"
                )
            given[key.strip()] = value.strip()
    elif options:
        values = options.lower().split("x")
        if len(values) != 5:
            raise InputError(f"shapes:{options}: give five numbers, SHAPExSCALExROTATIONxXxY, as in shapes:3x4x8x8x8")
        given = dict(zip(DEFAULTS, values, strict=False))
    for key, text in given.items():
        if not text.isdecimal() or int(text) < 1:
            raise InputError(f"shapes: {key}={text}: give a whole number from 1")
    return {key: int(text) for key, text in given.items()}


def draw_shapes(*, shape: int, scale: int, rotation: int, x: int, y: int, size: int) -> Content:
    """Every combination of that many values of each factor, as bytes (n, 1, size, size)."""
    reach = size // 2
    if shape > len(SHAPES):
        raise InputError(f"shapes: {shape} shapes asked for; there are {len(SHAPES)}: {', '.join(SHAPES)}")
    if not 16 <= size <= 512:
        raise InputError(f"shapes: size={size}: pictures are 16 to 512 pixels wide")
    if max(x, y) > reach + 1:
        raise InputError(
            f"shapes: {max(x, y)} positions asked for; pictures of {size} pixels have room for {reach + 1}"
        )
    counts = (shape, scale, rotation, x, y)
    n = math.prod(counts)
    out = allocate((n, 1, size, size), np.uint8, "shapes")
    left, down = (np.rint(np.linspace(0, reach, c)).astype(int) if c > 1 else np.array([reach // 2]) for c in (x, y))
    radii = np.linspace(0.14, 0.24, scale) * size if scale > 1 else np.array([0.2 * size])
    at = 0
    for inside in list(SHAPES.values())[:shape]:
        for radius in radii:
            for turn in range(rotation):
                canvas = _sprite(inside, float(radius), 2 * math.pi * turn / rotation, size + reach)
                # the sprite's centre is the canvas's; moving the window left moves the shape right
                windows = np.lib.stride_tricks.sliding_window_view(canvas, (size, size))
                out[at : at + x * y, 0] = windows[reach - down][:, reach - left].swapaxes(0, 1).reshape(-1, size, size)
                at += x * y
            release(out)
    factors = np.stack(np.unravel_index(np.arange(n), counts), axis=1).astype(np.int64)
    return Content(
        "images",
        out,
        label=factors[:, 0].copy(),
        classes=tuple(SHAPES)[:shape],
        factors=tuple(zip(DEFAULTS, counts, strict=False)),
        beside={"factors": factors},
    )


def _sprite(inside: Callable[[Array, Array], Array], radius: float, angle: float, side: int) -> Array:
    """(side, side) bytes: the share of each pixel that the shape covers, the shape in the middle."""
    points = (np.arange(side * POINTS, dtype=np.float32) + 0.5) / POINTS - side / 2
    u, v = points[None, :] / radius, -points[:, None] / radius
    turned = inside(math.cos(angle) * u + math.sin(angle) * v, math.cos(angle) * v - math.sin(angle) * u)
    share = turned.reshape(side, POINTS, side, POINTS).mean(axis=(1, 3))
    out: Array = np.rint(share * 255).astype(np.uint8)
    return out
