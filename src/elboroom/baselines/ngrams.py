"""Labelled texts without a network: counts of short runs of tokens, and a ridge classifier on them.

Runs of one to four tokens are counted in as many places as a hash gives (Weinberger et al. 2009, arXiv 0902.2206);
square roots of the counts over their length: a text counts by what it is made of, not by its length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .ridge import Ridge

__all__ = ["GramClassifier", "grams"]

PLACES = 1 << 13
LONGEST = 4
PRIME = 1_000_003
ROWS = 4000
"""Most training texts that the ridge classifier sees."""


def grams(tokens: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
    """tokens (n, T), of which the first `lengths` of each row count, to (n, 8192) of norm 1."""
    n, steps = tokens.shape
    at = np.arange(n)[:, None] * PLACES
    found = np.zeros(n * PLACES)
    code = np.zeros((n, steps), np.int64)
    for length in range(1, LONGEST + 1):
        if length > steps:
            break
        code = (code[:, : steps - length + 1] * PRIME + tokens[:, length - 1 :] + 1) % (2**31 - 1)
        inside = np.arange(steps - length + 1) < lengths[:, None] - length + 1
        places = (at + (code + length * 7919) % PLACES)[inside]
        found += np.bincount(places, minlength=len(found))
    out = np.sqrt(found.reshape(n, PLACES))
    norm = np.linalg.norm(out, axis=1, keepdims=True)
    held: NDArray[np.float32] = (out / np.where(norm > 0, norm, 1)).astype(np.float32)
    return held


class GramClassifier:
    """`fit` and `predict` on rows of tokens."""

    def __init__(self, *, seed: int = 0) -> None:
        self.ridge, self.seed, self.rows = Ridge(), seed, 0

    def fit(
        self, tokens: NDArray[np.integer], label: NDArray[np.integer], classes: int, lengths: NDArray[np.integer]
    ) -> GramClassifier:
        """tokens (n, T), label (n,); of more than 4,000 texts that many are drawn."""
        if len(tokens) > ROWS:
            some = np.sort(np.random.default_rng(self.seed).choice(len(tokens), ROWS, replace=False))
            tokens, label, lengths = tokens[some], label[some], lengths[some]
        self.rows = len(tokens)
        self.ridge.fit(grams(tokens, lengths), label, classes)
        return self

    def predict(self, tokens: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.int64]:
        """(n,) the class named."""
        parts = [
            self.ridge.decide(grams(tokens[i : i + 1000], lengths[i : i + 1000])).argmax(1)
            for i in range(0, len(tokens), 1000)
        ]
        return np.concatenate(parts)
