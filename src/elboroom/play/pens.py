"""A picture from elsewhere, scaled and centred as the items of the data are.

Where the items stand on a plain ground, their size and their place are measured: the longer side of the box round what
differs from the ground, and the centre of its mass. A picture is cut to its own box, brought to that size and put at
that place; one that is dark on light where the data are light on dark is turned round. Items without such a ground,
as photographs are, fill the frame, and so does the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["commonest", "fitted"]

NEAR, PLAIN = 12.0, 0.5
"""A ground is plain where at least this share of the items' edges is within so many grey levels of one value."""
SEEN = 0.25
"""Share of the largest difference from the ground above which a pixel belongs to what is drawn."""
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Manner:
    """How the items stand in their frame."""

    ground: Floats
    """(channels,) levels."""
    brighter: bool
    """Whether what is drawn is lighter than its ground."""
    side: float
    """Pixels of the longer side."""
    centre: tuple[float, float]
    """Row and column of the centre of mass."""


def fitted(picture: Bytes, known: Bytes) -> tuple[Bytes, str]:
    """A picture (H, W, 3) as the items `known` (n, height, width) or (n, height, width, 3) are, and what was done."""
    items = known[..., None] if known.ndim == 3 else known
    channels = items.shape[-1]
    given = picture.astype(np.float64)
    if channels == 1:
        given = (given @ np.array([0.299, 0.587, 0.114]))[..., None]
    manner = _manner(items.astype(np.float64))
    made, said = _covering(given, items.shape[1:3]) if manner is None else _placed(given, items.shape[1:3], manner)
    out = np.rint(made).clip(0, 255).astype(np.uint8)
    return (out[..., 0] if channels == 1 else out), said


def commonest(known: Bytes) -> Bytes:
    """(channels,): the colour that most pixels of the items' edges have; of equally many the darkest."""
    edge = _edge(known[..., None] if known.ndim == 3 else known).reshape(-1, 1 if known.ndim == 3 else known.shape[-1])
    colour, count = np.unique(edge, axis=0, return_counts=True)
    found: Bytes = colour[count.argmax()]
    return found


def _edge(x: NDArray[Any]) -> NDArray[Any]:
    """(..., height, width, channels) to (..., pixels of the edge, channels)."""
    top, bottom, left, right = x[..., 0, :, :], x[..., -1, :, :], x[..., :, 0, :], x[..., :, -1, :]
    return np.concatenate([top, bottom, left, right], axis=-2)


def _manner(items: Floats) -> _Manner | None:
    """None where the items have no plain ground."""
    edge = _edge(items)
    ground = np.median(edge, axis=(0, 1))
    if (np.abs(edge - ground).max(-1) <= NEAR).mean() < PLAIN:
        return None
    sides, centres = [], []
    for item in items:
        ink = np.abs(item - ground).mean(-1)
        box = _box(ink)
        if box is None:
            continue
        sides.append(max(box[1] - box[0], box[3] - box[2]))
        centres.append(_centre(ink))
    if not sides:
        return None
    middle = np.median(centres, axis=0)
    return _Manner(ground, bool((items - ground).mean() >= 0), float(np.median(sides)), (middle[0], middle[1]))


def _box(ink: Floats) -> tuple[int, int, int, int] | None:
    """Top, bottom, left, right round what is drawn; bottom and right are one past it."""
    if ink.max() < 8:
        return None
    seen = ink > SEEN * ink.max()
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _centre(ink: Floats) -> tuple[float, float]:
    mass = ink.sum()
    return float(ink.sum(1) @ np.arange(len(ink)) / mass), float(ink.sum(0) @ np.arange(ink.shape[1]) / mass)


def _placed(given: Floats, frame: tuple[int, ...], manner: _Manner) -> tuple[Floats, str]:
    ground = np.median(_edge(given), axis=0)
    ink = np.abs(given - ground).mean(-1)
    box = _box(ink)
    if box is None:
        return np.tile(manner.ground, (*frame, 1)), "the picture is of one colour, so nothing of it is left"
    cut = given[box[0] : box[1], box[2] : box[3]]
    done = ""
    if given.shape[-1] == 1:
        strength = (cut - ground) / max(1e-9, np.abs(cut - ground).max())
        turned = bool(strength.sum() < 0) == manner.brighter
        room = 255 - manner.ground if manner.brighter else -manner.ground
        cut = np.abs(strength) * room + manner.ground
        done = ", light and dark exchanged" if turned else ""
    factor = min(manner.side / max(cut.shape[:2]), *(f / s for f, s in zip(frame, cut.shape[:2], strict=True)))
    size = [max(1, round(s * factor)) for s in cut.shape[:2]]
    small = _resized(cut, size)
    middle = _centre(np.abs(small - manner.ground).mean(-1) + 1e-9)
    top, left = (
        int(np.clip(round(want - have), 0, room - side))
        for want, have, room, side in zip(manner.centre, middle, frame, size, strict=True)
    )
    made = np.tile(manner.ground, (*frame, 1))
    made[top : top + size[0], left : left + size[1]] = small
    side = f"its longer side {max(size)} of {max(frame)} pixels"
    return made, f"cut to what is drawn, {side}, the centre of mass where the data have it{done}"


def _covering(given: Floats, frame: tuple[int, ...]) -> tuple[Floats, str]:
    height, width = given.shape[:2]
    scale = min(height / frame[0], width / frame[1])
    rows, columns = max(1, round(frame[0] * scale)), max(1, round(frame[1] * scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    cut = given[top : top + rows, left : left + columns]
    return _resized(cut, list(frame)), "cut to the data's shape about its middle: the data fill their frame, too"


def _resized(x: Floats, size: list[int]) -> Floats:
    """Each new pixel is the mean of what it covers; enlarged ones are drawn smoothly."""
    from PIL import Image

    planes = [Image.fromarray(x[..., c].astype(np.float32)) for c in range(x.shape[-1])]
    smooth = Image.Resampling.BOX if x.shape[0] >= size[0] else Image.Resampling.BILINEAR
    return np.stack([np.asarray(p.resize((size[1], size[0]), smooth), dtype=np.float64) for p in planes], axis=-1)
