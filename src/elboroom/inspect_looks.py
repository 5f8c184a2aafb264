"""Where the pixels of made images look: maps of attention of a few pixels over the image that they are part of.

A row is one sample: first the sample with the chosen places marked, then for each place the sample again, under the
weights with which that place looks at every other (Zhang et al. 2019, 1805.08318, figures 1 and 6).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Draws, Looks
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.data.transforms import Transform
from elboroom.engine.runtime import mix, seeded
from elboroom.outputs import Result
from elboroom.sheets import Bytes, Sheet, colours, grid, shown, zoom

if TYPE_CHECKING:
    from elboroom.run import Run

__all__ = ["Looking", "look", "looking"]

SHOWN = 6
PLACES = ((0.5, 0.5), (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75))
"""Shares of height and width at which a pixel is asked where it looks."""
OUTLINE, HEAT = (47, 97, 174), (159, 68, 19)
"""Blue and brown of the house (sheets.DIVERGING)."""
STRENGTH = 0.85
"""How much of the picture the largest weight covers."""


@dataclass(frozen=True)
class Looking:
    """Samples and what some of their pixels look at."""

    kind: ClassVar[str] = "looks"
    x: NDArray[np.float32]
    """(n, *shape): samples in the model's space."""
    units: NDArray[Any]
    """The same in the user's units."""
    maps: NDArray[np.float32]
    """(n, places, keys down, keys across): weights of each place, summing to 1."""
    query: NDArray[np.int64]
    """(places, 2): row and column of each place in the grid of the layer that looks."""
    size: tuple[int, int]
    """Rows and columns of that grid."""
    label: NDArray[np.int64] | None
    spec: Spec

    @property
    def caption(self) -> str:
        """What the picture is."""
        return (
            f"A row a sample: the sample with {len(self.query)} places marked in blue, then where each of them looks; "
            f"the browner, the larger the weight, the largest of a map in full. The layer sees "
            f"{self.size[0]} x {self.size[1]} pixels and looks at {self.maps.shape[2]} x {self.maps.shape[3]}."
        )

    def sheet(self, factor: int = 0) -> Sheet:
        """One row a sample; each pixel `factor` times, or where that is 0 as often as the picture is small."""
        pictures = colours(shown(self.x, self.spec))
        factor = factor or zoom(*pictures.shape[1:3])
        big = pictures.repeat(factor, axis=1).repeat(factor, axis=2)
        cells = []
        for picture, maps in zip(big, self.maps, strict=True):
            marked = picture.copy()
            for place in self.query:
                outline_(marked, place, self.size)
            cells.append(marked)
            for place, weights in zip(self.query, maps, strict=True):
                covered = cover(picture, weights)
                outline_(covered, place, self.size)
                cells.append(covered)
        return Sheet(grid(np.stack(cells), 1 + len(self.query), gap=2), f"{self.caption} Each pixel {factor}x.")

    def png(self) -> bytes:
        """The sheet as a PNG file."""
        return self.sheet().png()

    def svg(self) -> bytes:
        """The sheet in an SVG."""
        sheet = self.sheet()
        height, width = sheet.pixels.shape[:2]
        data = base64.b64encode(sheet.png()).decode()
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
            f"<title>{sheet.caption}</title>"
            f'<image width="{width}" height="{height}" style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{data}"/></svg>\n'
        ).encode()

    def forms(self) -> dict[str, Callable[[], bytes]]:
        """The endings of files that hold the pictures, and what makes them."""
        return {".png": self.png, ".svg": self.svg}

    def result(self, ending: str) -> Result:
        """Samples, maps and places, for every other ending."""
        query = np.tile(self.query, (len(self.x), 1, 1))
        beside: dict[str, NDArray[Any]] = {"maps": self.maps, "query": query}
        if self.label is not None:
            beside["label"] = self.label
        return Result(name="x", values=self.units, beside=beside, classes=self.spec.classes)


def look(run: Run, *, n: int = SHOWN, seed: int = 0) -> Looking:
    """Of a run whose model `Looks`; see `looking`."""
    return looking(run.model, run.transform, run.spec, n=n, seed=seed)


def looking(model: Model, transform: Transform, spec: Spec, *, n: int = SHOWN, seed: int = 0) -> Looking:
    """Samples, classes in turn, and the maps of a few places of each; refused (Unable) where nothing looks."""
    assert isinstance(model, Looks) and isinstance(model, Draws)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with torch.no_grad(), seeded(mix(seed, "looks")):
        z = torch.randn(n, model.noise).to(device)
        label = torch.arange(n, device=device) % model.classes if model.classes else None
        x, beta = model.look(z, label)
    rows, columns = beta.shape[1:3]
    query = [(min(int(a * rows), rows - 1), min(int(b * columns), columns - 1)) for a, b in PLACES]
    maps: Tensor = torch.stack([beta[:, i, j] for i, j in query], 1)
    return Looking(
        x=x.float().cpu().numpy(),
        units=transform.undo(x.cpu()).numpy(),
        maps=maps.float().cpu().numpy(),
        query=np.array(query, dtype=np.int64),
        size=(rows, columns),
        label=None if label is None else label.cpu().numpy(),
        spec=spec,
    )


def cover(picture: Bytes, weights: NDArray[np.float32]) -> Bytes:
    """(height, width, 3) under weights (keys down, keys across): the heavier a key, the browner its part."""
    height, width = picture.shape[:2]
    down = np.arange(height) * weights.shape[0] // height
    across = np.arange(width) * weights.shape[1] // width
    share = STRENGTH * (weights / weights.max())[down[:, None], across[None, :], None]
    covered: Bytes = np.rint(picture * (1 - share) + np.array(HEAT) * share).astype(np.uint8)
    return covered


def outline_(picture: Bytes, place: NDArray[np.int64], size: tuple[int, int]) -> None:
    """A frame, two pixels wide, around the part of (height, width, 3) that the place stands for, in place."""
    (top, bottom), (left, right) = (
        (int(at) * length // count, (int(at) + 1) * length // count)
        for at, length, count in zip(place, picture.shape[:2], size, strict=True)
    )
    inner = picture[top + 2 : bottom - 2, left + 2 : right - 2].copy()
    picture[top:bottom, left:right] = OUTLINE
    picture[top + 2 : bottom - 2, left + 2 : right - 2] = inner
