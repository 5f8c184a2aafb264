"""`ring8` and `grid25`: points of the plane around known centres, to count how many of them a model has found.

The protocol of PacGAN (Lin, Khetan, Fanti & Oh 2018, arXiv 1712.04086): eight Gaussians on the unit circle with
standard deviation 0.01, or 25 on {-4, -2, 0, 2, 4}^2 with 0.05, each as likely as the others, 100,000 points to train
on. A tenth as many more are the validation part, and as many again the test part. The label is the Gaussian that a
point was drawn from; `metrics/coverage.py` counts.
"""

from __future__ import annotations

import numpy as np

from elboroom.core.errors import InputError

from .columns import RawTable
from .content import Array, Mixture
from .options import numbers, whole

__all__ = ["draw_mixture", "grid_centres", "read_grid", "read_ring", "ring_centres"]

RING = {"n": 100_000.0, "sd": 0.01, "modes": 8.0}
GRID = {"n": 100_000.0, "sd": 0.05, "side": 5.0}
LEAST, MOST = 100, 1_000_000
"""Rows to train on."""
MODES, SIDE = 1000, 30
HELD = 10
"""A part in HELD more rows are for validation, as many for the test."""
STEP = 2.0
"""Between neighbouring centres of the grid."""


def read_ring(options: str, size: tuple[int, int] | None) -> RawTable:
    """The ring for options such as "modes=12,sd=0.02,n=5000"; a table has no `size`."""
    given = numbers("ring8", options, RING)
    modes = whole("ring8", "modes", given["modes"], 1, MODES)
    names = tuple(f"{360 * k / modes:.4g} degrees" for k in range(modes))
    return _table("ring8", given, ring_centres(modes), names)


def read_grid(options: str, size: tuple[int, int] | None) -> RawTable:
    """The grid for options such as "side=3,sd=0.1,n=5000"; a table has no `size`."""
    given = numbers("grid25", options, GRID)
    centres = grid_centres(whole("grid25", "side", given["side"], 1, SIDE))
    return _table("grid25", given, centres, tuple(f"({x:g}, {y:g})" for x, y in centres.tolist()))


def ring_centres(modes: int) -> Array:
    """(modes, 2), evenly on the unit circle, from the right and against the clock."""
    angle = 2 * np.pi * np.arange(modes) / modes
    return np.column_stack([np.cos(angle), np.sin(angle)])


def grid_centres(side: int) -> Array:
    """(side^2, 2), two apart and about the origin; x is the slower."""
    place = STEP * (np.arange(side) - (side - 1) / 2)
    return np.stack(np.meshgrid(place, place, indexing="ij"), axis=-1).reshape(-1, 2)


def draw_mixture(mixture: Mixture, n: int, seed: int = 0) -> tuple[Array, Array]:
    """(n, d) float32 points and (n,) the centre that each was drawn around, every one as likely."""
    rng = np.random.default_rng(seed)
    mode = rng.integers(0, len(mixture.centres), n)
    noise = rng.standard_normal((n, mixture.centres.shape[1]))
    return (mixture.centres[mode] + mixture.sd * noise).astype(np.float32), mode


def _table(name: str, given: dict[str, float], centres: Array, classes: tuple[str, ...]) -> RawTable:
    n, sd = whole(name, "n", given["n"], LEAST, MOST), given["sd"]
    if sd <= 0:
        raise InputError(f"{name}: sd={sd:g}: give a standard deviation above 0")
    mixture = Mixture(centres, sd)
    held = n // HELD
    x, mode = draw_mixture(mixture, n + 2 * held)
    return RawTable(
        name,
        ["x", "y"],
        x,
        label=np.array(classes)[mode],
        classes=classes,
        own=np.repeat(np.array([0, 1, 2], np.int8), [n, held, held]),
        mixture=mixture,
    )
