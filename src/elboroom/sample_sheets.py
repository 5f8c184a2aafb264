"""Pictures of what a model makes: a row a class, a row a truncation, walks between samples, samples over their nearest
training rows.

All through sheets.py: pixels as they are, the same bytes for the same seed. In a column of the first two sheets one
draw of z comes back in every row, so what changes down a column is the class, or the truncation, alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Draws
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.drawing import standing
from elboroom.engine.runtime import mix, seed_draws, seeded
from elboroom.nn.truncated import truncated_normal
from elboroom.sheets import Bytes, Sheet, colours, gap_of, grid, shown, stack, zoom

__all__ = [
    "TRUNCATIONS",
    "class_sheet",
    "draw",
    "interpolation_sheet",
    "neighbour_sheet",
    "sample_media",
    "spherical",
    "truncation_sheet",
]

TRUNCATIONS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, math.inf)
"""Limits of |z|; the last leaves the whole prior."""
COLUMNS = 10
MOST_CLASSES = 20
WALKS = 6
AT_ONCE = 500


def draw(model: Draws, n: int, *, seed: int, limit: float = math.inf, label: Tensor | None = None) -> Tensor:
    """(n, *shape) in the model's space, from z whose numbers lie within `limit`; always the same for one seed.

    Where the model has classes and none are asked for they come in turn. Batch statistics are those of such z.
    """
    device = device_of(model)
    model = standing(model, limit) if math.isfinite(limit) else model
    parts = []
    with torch.no_grad(), seeded(0):
        for i, start in enumerate(range(0, n, AT_ONCE)):
            seed_draws(mix(seed, "draw", i))
            count = min(AT_ONCE, n - start)
            z = truncated_normal(AT_ONCE, model.noise, limit, device=device)[:count]
            asked = in_turn(model, start, count) if label is None else label[start : start + count]
            parts.append(model.draw(z, None if asked is None else asked.to(device)))
    return torch.cat(parts)


def in_turn(model: Draws, start: int, count: int) -> Tensor | None:
    """(count,) int64: classes 0, 1, 2, ... again and again; None where the model has none."""
    return torch.arange(start, start + count) % model.classes if model.classes else None


def sample_media(
    model: Model, spec: Spec, arrays: dict[str, NDArray[Any]], *, seed: int
) -> dict[str, Sheet | dict[str, NDArray[Any]]]:
    """What stands under media/ by file name: sheets, and for points in the plane the points themselves.

    `arrays` are those of an evaluation: "made" and "nearest", or "real" and "made".
    """
    out: dict[str, Sheet | dict[str, NDArray[Any]] | None] = {
        "classes.png": class_sheet(model, spec, seed=seed),
        "truncation.png": truncation_sheet(model, spec, seed=seed),
        "interpolation.png": interpolation_sheet(model, spec, seed=seed),
        "neighbours.png": neighbour_sheet(arrays["made"], arrays["nearest"], spec) if "nearest" in arrays else None,
        "points.npz": arrays if "real" in arrays else None,
    }
    return {name: content for name, content in out.items() if content is not None}


def class_sheet(model: Model, spec: Spec, *, seed: int) -> Sheet | None:
    """One row a class; None where no class can be asked for or the data are no pictures."""
    if spec.kind != "images" or not isinstance(model, Draws) or not model.classes:
        return None
    rows = min(model.classes, MOST_CLASSES)
    with torch.no_grad(), seeded(mix(seed, "classes")):
        z = torch.randn(COLUMNS, model.noise, device=device_of(model))
        parts = [model.draw(z, torch.full((COLUMNS,), k, device=z.device)) for k in range(rows)]
    names = ", ".join(spec.classes[:rows]) if len(spec.classes) >= rows else f"the first {rows} classes"
    some = "" if rows == model.classes else f" (the first {rows} of {model.classes:,})"
    caption = f"A row a class: {names}{some}; a column is one z, seed {seed}"
    return sheet(torch.cat(parts), spec, COLUMNS, caption)


def truncation_sheet(model: Model, spec: Spec, *, seed: int) -> Sheet | None:
    """One row a truncation, from the middle of the prior to the whole of it."""
    if spec.kind != "images" or not isinstance(model, Draws):
        return None
    parts = [draw(model, COLUMNS, seed=mix(seed, "truncation"), limit=limit) for limit in TRUNCATIONS]
    listed = ", ".join("whole prior" if math.isinf(limit) else f"{limit:g}" for limit in TRUNCATIONS)
    caption = f"A row a truncation of z, from the top: |z| up to {listed}; a column is one draw, seed {seed}"
    return sheet(torch.cat(parts), spec, COLUMNS, caption)


def interpolation_sheet(model: Model, spec: Spec, *, seed: int) -> Sheet | None:
    """Each row walks from one z to another on the sphere; both ends are samples."""
    if spec.kind != "images" or not isinstance(model, Draws):
        return None
    with torch.no_grad(), seeded(mix(seed, "interpolation")):
        ends = torch.randn(WALKS, 2, model.noise, device=device_of(model))
        z = spherical(ends[:, 0], ends[:, 1], COLUMNS)
        label = in_turn(model, 0, WALKS)
        asked = None if label is None else label.to(z.device).repeat_interleave(COLUMNS)
        x = model.draw(z.reshape(WALKS * COLUMNS, -1), asked)
    held = "; the class stays" if model.classes else ""
    return sheet(x, spec, COLUMNS, f"Each row goes from one z to another on the sphere{held}, seed {seed}")


def neighbour_sheet(made: NDArray[Any], nearest: NDArray[Any], spec: Spec) -> Sheet:
    """Samples (n, channels, height, width) over the training rows nearest to them (k, n, ...), pixels in [0, 1]."""
    rows = [colours(np.rint(x.clip(0, 1) * 255).astype(np.uint8)) for x in (made, *nearest)]
    factor = zoom(*rows[0].shape[1:3])
    parts = [grid(x, len(made), gap=gap_of(spec), factor=factor) for x in rows]
    caption = f"Top: samples. Below: the training rows nearest to each, the nearest first. Each pixel {factor}x."
    return Sheet(stack(parts), caption)


def spherical(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """(n, steps, width) from a to b, both (n, width): directions along the great circle, lengths in equal steps.

    Between two points of a wide normal law a straight line runs through lengths the law never has (White 2016,
    1609.04468).
    """
    share = torch.linspace(0, 1, steps, device=a.device, dtype=a.dtype)[None, :, None]
    long_a, long_b = (x.norm(dim=-1, keepdim=True)[:, None] for x in (a, b))
    unit_a, unit_b = a[:, None] / long_a, b[:, None] / long_b
    # of two unit vectors, by their chord: exact where they are near each other, too
    angle = 2 * torch.asin(((unit_a - unit_b).norm(dim=-1, keepdim=True) / 2).clamp(max=1))
    sine = angle.sin()
    flat = sine < 1e-6
    safe = torch.where(flat, torch.ones_like(sine), sine)
    first = torch.where(flat, 1 - share, ((1 - share) * angle).sin() / safe)
    second = torch.where(flat, share.expand_as(first), (share * angle).sin() / safe)
    points: Tensor = (first * unit_a + second * unit_b) * (long_a + share * (long_b - long_a))
    return points


def sheet(x: Tensor, spec: Spec, columns: int, caption: str) -> Sheet:
    """Examples in the model's space in rows of `columns`, the rows set apart."""
    pictures = pictures_of(x, spec)
    factor = zoom(*pictures.shape[1:3])
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    pixels = stack([grid(row, columns, gap=gap_of(spec), factor=factor) for row in rows])
    return Sheet(pixels, f"{caption}. Each pixel {factor}x.")


def pictures_of(x: Tensor, spec: Spec) -> Bytes:
    """(n, height, width, 3)."""
    return colours(shown(x, spec))


def device_of(model: object) -> torch.device:
    """Where the model's tensors are."""
    found = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    return torch.device("cpu") if found is None else found.device
