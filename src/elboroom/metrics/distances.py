"""Distances between all rows of one array."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["squared_distances"]

Real = TypeVar("Real", np.float32, np.float64)


def squared_distances(x: NDArray[Real]) -> NDArray[Real]:
    """(n, n) for x (n, d), of its type, never below 0; the rows are centred, which keeps the rounding small."""
    x = x - x.mean(0)
    norm = np.einsum("nd,nd->n", x, x)
    distance: NDArray[Real] = np.maximum(norm[:, None] + norm[None, :] - 2 * (x @ x.T), 0)
    return distance
