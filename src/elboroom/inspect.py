"""What a code holds, as pictures: the 2-D manifold, or for wider codes what each of its busiest dimensions does.

Manifold: decoded means at the n x n points z = (inverse normal CDF of (i + 0.5)/n), each point standing for the same
share of N(0, I) (Kingma & Welling 2014, appendix A). A code without a law (an autoencoder's) takes the quantiles of the
codes of held-out data instead. Left to right the first dimension grows, bottom to top the second.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Assumes, Bounds, Decodes, Encodes
from elboroom.core.errors import Unable
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.outputs import Result
from elboroom.sheets import Sheet, colours, gap_of, grid, shown, zoom

if TYPE_CHECKING:
    from elboroom.run import Run

__all__ = ["Inspection", "inspect", "manifold", "normal_quantiles", "traversals"]

POINTS = 20
STEPS = 11
DIMENSIONS = 10
ROWS = 256


@dataclass(frozen=True)
class Inspection:
    """Codes on a grid and what they decode to."""

    kind: str
    """"manifold" or "traversals"."""
    z: NDArray[np.float32]
    """(rows, columns, latent), the top row first."""
    x: NDArray[np.float32]
    """(rows, columns, *shape): decoded means in the model's space."""
    spec: Spec
    caption: str
    units: NDArray[Any] | None = None
    """x in the user's units, where that is another array."""

    def sheet(self) -> Sheet:
        """The pictures; refused where examples are none."""
        if self.spec.kind != "images":
            raise Unable(
                f"a {self.spec.kind} decodes to numbers, not to pictures; write them with --out FILE.npz or .csv"
            )
        rows, columns = self.z.shape[:2]
        pictures = colours(shown(self.x.reshape(rows * columns, *self.spec.shape), self.spec))
        factor = max(1, min(zoom(*pictures.shape[1:3]), 1200 // (columns * pictures.shape[2])))
        gap = 2 if self.kind == "traversals" else gap_of(self.spec)
        return Sheet(grid(pictures, columns, gap=gap, factor=factor), f"{self.caption} Each pixel {factor}x.")

    def png(self) -> bytes:
        """The sheet as a PNG file."""
        return self.sheet().png()

    def svg(self) -> str:
        """The sheet in an SVG with the values of z at its edges."""
        sheet = self.sheet()
        height, width = sheet.pixels.shape[:2]
        rows, columns = self.z.shape[:2]
        left, below = 56, 40
        data = base64.b64encode(sheet.png()).decode()
        texts = []
        for j in sorted({0, columns // 4, columns // 2, 3 * columns // 4, columns - 1}):
            x = left + (j + 0.5) * width / columns
            texts.append(f'<text x="{x:.1f}" y="{height + 16}" text-anchor="middle">{self._column_value(j):.2f}</text>')
        for i in range(rows) if self.kind == "traversals" else sorted({0, rows // 2, rows - 1}):
            y = (i + 0.5) * height / rows + 4
            texts.append(f'<text x="{left - 6}" y="{y:.1f}" text-anchor="end">{self._row_name(i)}</text>')
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width} {height + below}" '
            f'width="{left + width}" height="{height + below}" font-family="sans-serif" font-size="11" fill="#5f656f">'
            f"<title>{self.caption}</title>"
            f'<image x="{left}" y="0" width="{width}" height="{height}" style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{data}"/>{"".join(texts)}</svg>\n'
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """One row a picture, for .npz and tables: z, and x as bytes of a picture or in the user's units."""
        x: NDArray[Any] = self.x.reshape(-1, *self.spec.shape)
        if self.spec.kind == "images":
            x = shown(x, self.spec)
        elif self.units is not None:
            x = self.units.reshape(x.shape)
        return {"z": self.z.reshape(-1, self.z.shape[-1]), "x": x}

    def forms(self) -> dict[str, Callable[[], bytes]]:
        """The endings of files that hold the pictures, and what makes them."""
        return {".png": self.png, ".svg": lambda: self.svg().encode()}

    def result(self, ending: str) -> Result:
        """The arrays, for every other ending."""
        arrays = self.arrays()
        return Result(name="x", values=arrays["x"], beside={"z": arrays["z"]}, columns=self.spec.columns)

    def _column_value(self, j: int) -> float:
        if self.kind == "manifold":
            return float(self.z[0, j, 0])
        return float(self.z[0, j, self._moved(0)])

    def _row_name(self, i: int) -> str:
        return f"{self.z[i, 0, 1]:.2f}" if self.kind == "manifold" else f"z{self._moved(i) + 1}"

    def _moved(self, i: int) -> int:
        return int(np.ptp(self.z[i], axis=0).argmax())


def normal_quantiles(n: int) -> NDArray[np.float64]:
    """The points (inverse normal CDF of (i + 0.5)/n), i = 0 .. n-1."""
    from scipy.special import ndtri

    points: NDArray[np.float64] = ndtri((np.arange(n) + 0.5) / n)
    return points


def is_normal(model: Model) -> bool:
    """Whether its codes shall follow N(0, I)."""
    return isinstance(model, Assumes) and model.law == "N(0, I)"


def manifold(model: Model, spec: Spec, *, codes: NDArray[Any] | None = None, n: int = POINTS) -> Inspection:
    """The n x n picture of a code of two dimensions; `codes` (items, 2) are needed where z is not of N(0, I)."""
    if not isinstance(model, Decodes):
        raise Unable("this model cannot decode, so its code has no picture")
    if is_normal(model):
        across = up = normal_quantiles(n)
        law = "at equal shares of N(0, I)"
    elif codes is not None and len(codes):
        at = (np.arange(n) + 0.5) / n
        across, up = np.quantile(codes[:, 0], at), np.quantile(codes[:, 1], at)
        law = "at equal shares of the codes of held-out data"
    else:
        raise Unable("the codes of this model follow no law of known shares; give data whose codes say where to look")
    columns, rows = np.meshgrid(across, up[::-1])
    z = np.stack([columns, rows], axis=-1).astype(np.float32)
    caption = f"Decoded means of z {law}, {n} x {n}: the first dimension from left to right, the second upwards."
    return Inspection("manifold", z, _decoded(model, z, spec), spec, caption)


def traversals(
    model: Model, spec: Spec, codes: NDArray[Any], usage: NDArray[Any], *, steps: int = STEPS, most: int = DIMENSIONS
) -> Inspection:
    """One row a dimension, the most used first: that dimension moves through its quantiles, the others keep their mean.

    codes (items, latent); usage (latent,): rate in nats, or variance of the codes.
    """
    if not isinstance(model, Decodes):
        raise Unable("this model cannot decode, so its code has no picture")
    order = np.argsort(-np.asarray(usage), kind="stable")[:most]
    at = (np.arange(steps) + 0.5) / steps
    middle = codes.mean(0)
    z = np.tile(middle, (len(order), steps, 1)).astype(np.float32)
    for row, dimension in enumerate(order):
        z[row, :, dimension] = normal_quantiles(steps) if is_normal(model) else np.quantile(codes[:, dimension], at)
    names = ", ".join(f"z{d + 1}" for d in order)
    caption = f"Decoded means while one dimension moves ({names}, the most used first), the others at their mean."
    return Inspection("traversals", z, _decoded(model, z, spec), spec, caption)


def inspect(run: Run, source: Any = None) -> Inspection:
    """The picture of a run's code: the manifold where it has two dimensions, else its most used dimensions."""
    model, spec = run.model, run.spec
    if not isinstance(model, Decodes) or not isinstance(model, Encodes):
        raise Unable(f"{run.name} has no code to look at; a model that encodes and decodes has")
    codes, usage = _codes(run, model, source)
    found = manifold(model, spec, codes=codes) if codes.shape[1] == 2 else traversals(model, spec, codes, usage)
    return replace(found, units=run.transform.undo(torch.from_numpy(found.x)).numpy())


def _codes(run: Run, model: Encodes, source: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean codes of held-out data (at most 2,000 rows) and how much each dimension is used."""
    from elboroom.evaluate import Reader, held_out
    from elboroom.metrics.likelihood import gaussian_rate

    dataset = run.dataset() if source is None else run.read(source)
    reader = Reader(dataset.parts[held_out(dataset)], run.transform, run.model, 0)
    means, rates = [], []
    with torch.no_grad():
        for batch in reader.batches("inspect", ROWS, reader.choose(2000, "inspect")):
            code = model.encode(batch)
            means.append(code.mean.float().cpu())
            if isinstance(model, Bounds):
                rates.append(gaussian_rate(code.mean, code.stddev).cpu())
    codes = torch.cat(means).numpy()
    return codes, torch.cat(rates).mean(0).numpy() if rates else codes.var(0)


def _decoded(model: Decodes, z: NDArray[np.float32], spec: Spec) -> NDArray[np.float32]:
    flat = torch.from_numpy(z.reshape(-1, z.shape[-1]))
    device = next((p.device for p in model.parameters()), torch.device("cpu")) if isinstance(model, Model) else None
    parts: list[Tensor] = []
    with torch.no_grad():
        for chunk in torch.split(flat, ROWS):
            parts.append(model.decode(chunk if device is None else chunk.to(device)).mean.float().cpu())
    return torch.cat(parts).numpy().reshape(*z.shape[:2], *spec.shape)
