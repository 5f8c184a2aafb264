"""A linear classifier by ridge regression on -1 and 1, its strength chosen by leaving out one example at a time.

The error of every example, had it been left out, follows from one fit: residual / (1 - leverage) (Allen 1974; Golub,
Heath & Wahba 1979). All strengths share one eigendecomposition, of the n x n products of the rows or of the p x p
products of the columns, whichever is smaller. n rows, p columns, K classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHAS", "Ridge"]

Array = NDArray[np.float64]
ALPHAS = tuple(10.0**e for e in np.linspace(-3, 3, 10))


class Ridge:
    """`alpha` is the strength chosen, `scores` (n, K) the left-out answers of the training rows with it."""

    def __init__(self, alphas: tuple[float, ...] = ALPHAS) -> None:
        self.alphas = alphas
        self.alpha = 0.0

    def fit(self, x: NDArray[np.floating], label: NDArray[np.integer], classes: int) -> Ridge:
        """x (n, p); columns are brought to mean 0 and standard deviation 1, which the strength is counted in."""
        x = np.asarray(x, np.float64)
        n, p = x.shape
        self.center = x.mean(0)
        spread = x.std(0)
        self.spread = np.where(spread > 0, spread, 1.0)
        x = (x - self.center) / self.spread
        y = np.where(np.asarray(label)[:, None] == np.arange(classes), 1.0, -1.0)
        self.offset = y.mean(0)
        off = y - self.offset
        wide = p > n
        values, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
        values = np.maximum(values, 0)
        # `basis`: orthonormal, (n, r); a strength shrinks what lies along column i by values / (values + alpha)
        some = values > values.max(initial=0.0) * 1e-12
        values, vectors = values[some], vectors[:, some]
        basis = vectors if wide else x @ vectors / np.sqrt(values)
        along, square = basis.T @ off, basis**2
        best = np.inf
        for alpha in self.alphas:
            shrink = values / (values + alpha)
            leverage = square @ shrink + 1 / n
            left = (off - basis @ (shrink[:, None] * along)) / np.maximum(1 - leverage, 1e-12)[:, None]
            error = float((left**2).mean())
            if error < best:
                best, self.alpha, self.scores = error, alpha, y - left
        if wide:
            self.weight = x.T @ (vectors @ (along / (values + self.alpha)[:, None]))
        else:
            self.weight = vectors @ ((np.sqrt(values) / (values + self.alpha))[:, None] * along)
        return self

    def decide(self, x: NDArray[np.floating]) -> Array:
        """(n, K): the answer for each class; the largest names it."""
        out: Array = (np.asarray(x, np.float64) - self.center) / self.spread @ self.weight + self.offset
        return out
