"""A mixture whose code is exactly N(0, I): the case that no density of the code can tell from a balanced one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor, nn

from elboroom.core.abilities import Decodes, Encodes
from elboroom.core.batch import Batch
from elboroom.nn.posterior import DiagonalGaussian

CENTRES = np.array([-7.0, 0.0, 7.0])
SPREAD = 1e-3
"""Standard deviation of q(z given x): the code is as good as a point."""


def mixture(weights: list[float], n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows (n, 2) and the component of each: three modes along the first column, one Gaussian along the second."""
    rng = np.random.default_rng(seed)
    which = rng.choice(3, size=n, p=weights)
    return np.stack([CENTRES[which] + rng.normal(size=n), rng.normal(size=n)], 1), which


class Decoded:
    """p(x given z) as a point."""

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean


class Transport(nn.Module, Encodes, Decodes):
    """z = (F^-1_normal(F(x1)), x2) for the mixture's own F, and back: exact up to a fine grid."""

    code_size = 2

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.x = np.linspace(-12, 12, 40_001)
        f = sum(w * norm.cdf(self.x - c) for w, c in zip(weights, CENTRES, strict=True))
        self.z = norm.ppf(np.clip(f, 1e-12, 1 - 1e-12))

    def encode(self, batch: Batch) -> DiagonalGaussian:
        x = batch.x.double().numpy()
        z = np.stack([np.interp(x[:, 0], self.x, self.z), x[:, 1]], 1)
        mean = torch.from_numpy(z).float()
        return DiagonalGaussian(mean, torch.full_like(mean, float(np.log(SPREAD))))

    def decode(self, z: Tensor) -> Decoded:
        rows = z.double().numpy()
        x = np.stack([np.interp(rows[:, 0], self.z, self.x), rows[:, 1]], 1)
        return Decoded(torch.from_numpy(x).float())
