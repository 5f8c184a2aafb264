"""PCA of the same width as the model's code: the best linear autoencoder, fitted on the training part.

scikit-learn chooses the solver by the shape (randomised for wide data) and is imported only here.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from elboroom.core.batch import Batch

__all__ = ["PCA", "rows_for_pca"]

FLOATS = 1 << 25  # 134 MB of float32 at most are gathered for the fit
ROWS = 20_000


def rows_for_pca(size: int) -> int:
    """How many training rows the fit may see: at most 20,000, and 134 MB."""
    return max(2, min(ROWS, FLOATS // max(1, size)))


class PCA:
    """Mean and leading directions; codes and decoded examples are tensors on the device of what comes in."""

    def __init__(self, width: int, *, seed: int = 0) -> None:
        self.width = width
        self.seed = seed
        self.rows = 0
        self.mean = torch.zeros(0)
        self.directions = torch.zeros(0, 0)

    def fit(self, batches: Iterable[Batch]) -> PCA:
        """Batches of at most `rows_for_pca` rows in all; missing cells count as 0, as the model sees them."""
        from sklearn.decomposition import PCA as Fitted

        x = np.concatenate([batch.x.detach().reshape(len(batch), -1).cpu().float().numpy() for batch in batches])
        self.rows = len(x)
        self.width = min(self.width, *x.shape)
        if not np.ptp(x, axis=0).any():  # nothing varies: scikit-learn would divide by a variance of 0
            self.mean, self.directions = torch.from_numpy(x[0].copy()), torch.zeros(self.width, x.shape[1])
            return self
        fitted = Fitted(n_components=self.width, random_state=self.seed & 0x7FFFFFFF).fit(x)
        self.mean = torch.from_numpy(np.ascontiguousarray(fitted.mean_, dtype=np.float32))
        self.directions = torch.from_numpy(np.ascontiguousarray(fitted.components_, dtype=np.float32))
        return self

    def encode(self, x: Tensor) -> Tensor:
        """(batch, width)."""
        return (x.reshape(len(x), -1).float() - self.mean.to(x.device)) @ self.directions.T.to(x.device)

    def decode(self, z: Tensor, shape: torch.Size) -> Tensor:
        """(batch, *shape)."""
        return (z @ self.directions.to(z.device) + self.mean.to(z.device)).reshape(shape)

    def reconstruct(self, x: Tensor) -> Tensor:
        """x from its `width` numbers."""
        return self.decode(self.encode(x), x.shape)
