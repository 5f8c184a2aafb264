"""Tensors to PNG sheets: whole multiples of the pixel, no smoothing, the same bytes for the same numbers.

Pictures are data: grey stays grey, nothing is tinted or inverted. Each file carries its caption in a text chunk and
stands alone. Differences are drawn in the diverging map of the house (interpolated in OKLab, 0 is neutral).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from elboroom.core.abilities import Decodes, Encodes, Samples
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.engine.runtime import mix, seed_draws, seeded

if TYPE_CHECKING:
    from elboroom.data.rows import Rows
    from elboroom.data.transforms import Transform

__all__ = [
    "DIVERGING",
    "Sheet",
    "diverging",
    "gap_of",
    "grid",
    "png",
    "reconstruction_sheet",
    "sample_sheet",
    "shown",
    "zoom",
]

Bytes = NDArray[np.uint8]

# `light.div` of look/tokens.json: from -1 over 0 to +1. A test keeps the two equal.
DIVERGING = (
    *("#163c89", "#2f61ae", "#5288cd", "#81afe2", "#b9d4f0", "#f6f5f1"),
    *("#eacab3", "#d89b75", "#bf6e40", "#9f4413", "#791c00"),
)
PAPER = 251  # grey of the space between pictures, the page's own
TARGET = 56  # a picture is magnified by whole numbers until it is about as wide as this many screen pixels


@dataclass(frozen=True)
class Sheet:
    """Pixels (height, width, 3) or (height, width) and the sentence that says what they are."""

    pixels: Bytes
    caption: str

    def png(self) -> bytes:
        """The file's bytes."""
        return png(self.pixels, self.caption)


def zoom(height: int, width: int) -> int:
    """The whole factor at which pictures of this size are shown, 1 to 12."""
    return max(1, min(12, TARGET // max(height, width)))


def shown(x: Tensor | NDArray[Any], spec: Spec) -> Bytes:
    """(n, channels, height, width) in the model's space to bytes: its own range, black to white, no stretching."""
    held = torch.as_tensor(x).detach().float().cpu().numpy()
    if spec.levels > 1:
        low, high = 0.0, float(spec.levels - 1)
    elif np.isfinite([spec.low, spec.high]).all():
        low, high = spec.low, spec.high
    else:
        low, high = float(np.nanmin(held)), float(np.nanmax(held))
    unit = (held - low) / (high - low if high > low else 1.0)
    out: Bytes = np.rint(np.nan_to_num(unit.clip(0, 1)) * 255).astype(np.uint8)
    return out


def colours(pictures: Bytes) -> Bytes:
    """(n, channels, height, width) to (n, height, width, 3): one channel is grey, of two or more the first three."""
    if pictures.shape[1] < 3:
        pictures = np.repeat(pictures[:, :1], 3, axis=1)
    return np.ascontiguousarray(np.moveaxis(pictures[:, :3], 1, -1))


def diverging(difference: ArrayLike) -> Bytes:
    """(..., ) in [-1, 1] to (..., 3)."""
    at = (np.asarray(difference, dtype=np.float64).clip(-1, 1) + 1) / 2 * (len(DIVERGING) - 1)
    stops = _oklab(np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in DIVERGING]) / 255)
    below = np.minimum(at.astype(int), len(DIVERGING) - 2)
    share = (at - below)[..., None]
    return _from_oklab(stops[below] * (1 - share) + stops[below + 1] * share)


# Ottosson 2020, "A perceptual color space for image processing": linear sRGB -> cone response -> Lab.
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lab: NDArray[np.float64] = np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T
    return lab


def _from_oklab(lab: NDArray[np.float64]) -> Bytes:
    linear = ((lab @ np.linalg.inv(_TO_LAB).T) ** 3) @ np.linalg.inv(_TO_LMS).T
    linear = linear.clip(0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    out: Bytes = np.rint(rgb.clip(0, 1) * 255).astype(np.uint8)
    return out


def grid(pictures: Bytes, columns: int, *, gap: int = 0, factor: int = 1) -> Bytes:
    """(n, height, width, 3) in rows of `columns`, each pixel `factor` wide; the last row may be short."""
    n, height, width, _ = pictures.shape
    rows = -(-n // columns)
    big = pictures.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = height * factor, width * factor
    out = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), PAPER, dtype=np.uint8)
    for i in range(n):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        out[top : top + height, left : left + width] = big[i]
    return out


def stack(sheets: Sequence[Bytes], gap: int = 4) -> Bytes:
    """Sheets of one width under each other."""
    width = sheets[0].shape[1]
    between = np.full((gap, width, 3), PAPER, dtype=np.uint8)
    parts = [part for sheet in sheets for part in (sheet, between)]
    return np.concatenate(parts[:-1])


def png(pixels: Bytes, caption: str) -> bytes:
    """Bytes of a PNG with its caption; grey where all channels agree, which is a third of the size. No time inside."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    about = PngInfo()
    about.add_itxt("Description", caption)
    held = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(held, format="PNG", pnginfo=about)
    return held.getvalue()


def sample_sheet(model: Model, spec: Spec, *, seed: int, epoch: int, discrete: bool, n: int = 64) -> Sheet | None:
    """`n` samples in rows of eight, the same draws of z at every epoch; None where the model or data give no pictures.

    Where x is countable a draw of x is shown, else the decoder's mean: noise on grey values says nothing.
    """
    if spec.kind != "images" or not isinstance(model, Samples):
        return None
    with torch.no_grad(), seeded(mix(seed, "sheet")):
        x = model.sample(n, mean=not discrete)
    pictures = colours(shown(x, spec))
    factor = zoom(*pictures.shape[1:3])
    what = "draws of x" if discrete else "decoded means"
    caption = f"First {n} {what}, epoch {epoch}, seed {seed}, the same z at every epoch; each pixel {factor}x."
    return Sheet(grid(pictures, 8, gap=gap_of(spec), factor=factor), caption)


def reconstruction_sheet(
    model: Model, transform: Transform, spec: Spec, rows: Rows, *, seed: int, split: str, n: int = 10
) -> Sheet | None:
    """Originals over decoded means over their difference; None where the model or data give no pictures."""
    if spec.kind != "images" or not isinstance(model, Encodes) or not isinstance(model, Decodes):
        return None
    which, chosen = first_of_each(rows, n)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with torch.no_grad(), seeded(seed):
        seed_draws(mix(seed, "reconstructions"))
        raw = rows.take(which.to(rows.device))
        batch = transform({key: value.to(device) for key, value in raw.items()})
        decoded = model.decode(model.encode(batch).mean).mean
    x, made = shown(batch.x, spec), shown(decoded, spec)
    difference = diverging((made.astype(np.float64) - x).mean(1) / 255)
    factor = zoom(*x.shape[2:])
    parts = [grid(p, len(which), gap=gap_of(spec), factor=factor) for p in (colours(x), colours(made), difference)]
    caption = (
        f"Top: originals ({split}, {chosen}). Middle: decoded mean of their codes. Bottom: decoded minus original, "
        f"blue -1 over neutral 0 to brown +1 of the range. Each pixel {factor}x."
    )
    return Sheet(stack(parts), caption)


def first_of_each(rows: Rows, n: int = 10) -> tuple[Tensor, str]:
    """At most `n` row numbers and how they were chosen: the first of each class, or simply the first."""
    if rows.label is None:
        return torch.arange(min(n, len(rows))), f"the first {min(n, len(rows))}"
    label = rows.label.cpu().numpy()
    known, first = np.unique(label, return_index=True)
    first = first[known >= 0][:n]
    if len(first) < 2:
        return torch.arange(min(n, len(rows))), f"the first {min(n, len(rows))}"
    return torch.from_numpy(first), "the first of each class"


def gap_of(spec: Spec) -> int:
    """Photographs are kept apart; grey pictures on black are not."""
    return 2 if spec.shape[0] >= 3 else 0
