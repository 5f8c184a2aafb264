"""Image sheets as data URIs: whole multiples of the pixel, never smoothed, never tinted (LOOK section 6).

A sheet of the run folder is already magnified and may hold gaps. It is taken apart into its pictures, so that it can
be set anew at the factor that fits its place on the page, and cut to whole pictures where even 1x is too wide.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

__all__ = ["Cells", "Picture", "opened", "placed", "taken_apart"]

LARGEST_FACTOR = 12
MOST_PIXELS = 40_000_000
MOST_BYTES = 280_000
"""Of one picture; a report of five sheets then stays under 2 MB in base 64."""
FACTOR = re.compile(r"pixel (\d+)x", re.IGNORECASE)
GAPS = (0, 2)
Cells = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
"""(rows, columns, height, width, channels): the pictures of a sheet at their own size."""


@dataclass
class Picture:
    """One sheet in its place on the page."""

    uri: str
    width: int
    height: int
    """Pixels of the sheet itself."""
    factor: int
    """Screen pixels a pixel on a wide page."""
    narrow: int
    """The same on a phone."""
    alt: str
    label: str = ""
    id: str = ""
    """Given when the page is put together."""

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height on a wide page."""
        return self.width * self.factor, self.height * self.factor


def opened(path: Path) -> tuple[Image.Image | None, str]:
    """(picture, "") or (None, reason)."""
    name = "/".join(path.parts[path.parts.index("media") :]) if "media" in path.parts else path.name
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                return None, f"{name} is larger than {MOST_PIXELS:,} pixels"
            picture.load()
            kept = picture.convert("L" if picture.mode in ("1", "L") else "RGB")
            kept.info["said"] = str(picture.info.get("Description") or "").strip()
            return kept, ""
    except FileNotFoundError:
        return None, f"there is no {name} in the run folder"
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return None, f"{name} is damaged: {error}"


def taken_apart(picture: Image.Image, cell: tuple[int, int], between: int = 0) -> Cells:
    """The pictures of a sheet, `cell` (width, height) pixels each; `between` pixels lie between its rows.

    A sheet whose size does not fit the cell is one picture.
    """
    pixels = np.asarray(picture)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    found = FACTOR.search(picture.info.get("said", ""))
    factors = [max(1, int(found.group(1)))] if found else list(range(LARGEST_FACTOR, 0, -1))
    for factor in factors:
        for gap in GAPS:
            wide, tall = cell[0] * factor + gap, cell[1] * factor + (between or gap)
            width, height = picture.width + gap, picture.height + (between or gap)
            if width % wide == 0 and height % tall == 0:
                lefts = range(0, width - wide + 1, wide)
                down = [pixels[top : top + cell[1] * factor : factor] for top in range(0, height - tall + 1, tall)]
                return np.stack([
                    np.stack([row[:, left : left + cell[0] * factor : factor] for left in lefts])
                    for row in down
                ])  # fmt: skip
    return pixels[None, None]


def placed(
    cells: Cells, *, space: int, narrow: int, alt: str, label: str = "", gap: int = 0
) -> tuple[Picture, tuple[int, int]]:
    """The cells side by side at the largest whole factor that fits `space` pixels (`narrow` on a phone).

    Also gives how many (columns, rows) are shown: less than all where 1x is too wide or the file too heavy. `gap`
    pixels of the pictures' own size are left clear between them.
    """
    rows, columns, _, width, _ = cells.shape
    keep = max(1, min(columns, (space + gap) // (width + gap)))
    down = rows
    while True:
        sheet = _together(cells[:down, :keep], gap)
        kind, content = _encoded(sheet)
        if down <= 1 or len(content) <= MOST_BYTES:
            break
        down -= 1
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    factors = [max(1, min(LARGEST_FACTOR, room // sheet.width)) for room in (space, narrow)]
    return Picture(uri, sheet.width, sheet.height, factors[0], factors[1], alt, label), (keep, down)


def _together(cells: Cells, gap: int) -> Image.Image:
    """One sheet; the gaps are clear, so that the paper of either theme shows between the pictures."""
    rows, columns, height, width, channels = cells.shape
    out = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, channels + bool(gap)), dtype=np.uint8)
    for r in range(rows):
        for c in range(columns):
            top, left = r * (height + gap), c * (width + gap)
            out[top : top + height, left : left + width, :channels] = cells[r, c]
            out[top : top + height, left : left + width, channels:] = 255
    return Image.fromarray(out[..., 0] if out.shape[2] == 1 else out)


def _encoded(picture: Image.Image) -> tuple[str, bytes]:
    """PNG, or lossless WebP where PNG is heavy."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    if out.tell() <= MOST_BYTES // 4:
        return "png", out.getvalue()
    smaller = io.BytesIO()
    picture.convert("RGBA" if picture.mode in ("LA", "RGBA") else "RGB").save(
        smaller, "WEBP", lossless=True, quality=50, method=2
    )
    return ("webp", smaller.getvalue()) if smaller.tell() < out.tell() else ("png", out.getvalue())
