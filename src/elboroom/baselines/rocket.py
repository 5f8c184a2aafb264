"""MiniRocket: fixed convolutions, the share of their outputs above a threshold, and a ridge classifier on those shares.

Dempster, Schmidt & Webb 2021 (arXiv 2012.08791): 84 kernels of nine weights, six of them -1 and three 2, at dilations
that double; thresholds are quantiles of the outputs on training sequences, so nothing else is learnt before the ridge.
Several channels, as in the authors' multivariate form: each kernel at each dilation adds up a few channels drawn at
random. Sequences of different lengths are padded with zeros at their own two ends, and shares are over their own steps.

Shapes: B sequences, T steps, C channels, L a sequence's own length. Outputs: F features, about 10,000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .ridge import Ridge

__all__ = ["MiniRocket", "RocketClassifier"]

WIDTH = 9
TRIPLES = tuple(combinations(range(WIDTH), 3))
"""Where the 84 kernels have their weight 2."""
KERNELS = len(TRIPLES)
DILATIONS = 32
GOLDEN = (math.sqrt(5) + 1) / 2
AT_ONCE = 1 << 20
"""Outputs of kernels held at a time: 4 MiB stay in a processor's cache."""
ROWS = 4000
"""Most training sequences that the ridge classifier sees: its time grows with their cube."""


@dataclass
class _Scale:
    """All kernels at one dilation."""

    dilation: int
    weight: Tensor
    """(84, C, 9): 0 for the channels that a kernel leaves out."""
    padded: Tensor
    """(84,): whether the shares are over all steps, or over those where the kernel lies inside."""
    bias: Tensor
    """(84, thresholds)"""


class MiniRocket:
    """`fit` chooses dilations, channels and thresholds; `transform` gives (n, F) shares in float32."""

    def __init__(self, features: int = 10_000, *, seed: int = 0) -> None:
        self.each = max(1, features // KERNELS)
        """Thresholds of a kernel, over all dilations."""
        self.seed = seed
        self.scales: list[_Scale] = []

    @property
    def features(self) -> int:
        return KERNELS * self.each

    def fit(self, x: NDArray[np.floating], lengths: NDArray[np.integer] | None = None) -> MiniRocket:
        """x (n, T, C), what lies beyond a sequence's length is not looked at; a missing value counts as 0."""
        rng = np.random.default_rng(self.seed)
        rows, length = _clean(x, lengths)
        channels, quantile = x.shape[2], (np.arange(1, KERNELS * self.each + 1) * GOLDEN) % 1
        self.scales, used = [], 0
        for place, (dilation, count) in enumerate(_dilations(int(length.max()), self.each)):
            weight = _weights(channels, rng)
            bias = torch.zeros(KERNELS, count)
            drawn = torch.from_numpy(rng.integers(len(x), size=KERNELS))
            for some in torch.arange(KERNELS).split(max(1, AT_ONCE // (KERNELS * x.shape[1]))):
                out = _convolved(rows[drawn[some]], weight, dilation)
                for i, kernel in enumerate(some.tolist()):
                    own = out[i, kernel, : int(length[drawn[kernel]])].double().numpy()
                    bias[kernel] = torch.from_numpy(np.quantile(own, quantile[used : used + count])).float()
                    used += count
            padded = (torch.arange(KERNELS) + place) % 2 == 0
            self.scales.append(_Scale(dilation, weight, padded, bias))
        return self

    def transform(self, x: NDArray[np.floating], lengths: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """(n, F): the share of each kernel's outputs above each of its thresholds."""
        rows, length = _clean(x, lengths)
        size = max(1, AT_ONCE // (KERNELS * x.shape[1]))
        return np.concatenate(
            [
                torch.cat([_shares(some, own, scale) for scale in self.scales], 1).numpy()
                for some, own in zip(rows.split(size), length.split(size), strict=True)
            ]
        )


class RocketClassifier:
    """MiniRocket and ridge, as they stand beside a network."""

    def __init__(self, features: int = 10_000, *, seed: int = 0) -> None:
        self.rocket, self.ridge, self.seed = MiniRocket(features, seed=seed), Ridge(), seed
        self.rows = 0
        """Training sequences seen."""

    def fit(
        self, x: NDArray[np.floating], label: NDArray[np.integer], classes: int,
        lengths: NDArray[np.integer] | None = None,
    ) -> RocketClassifier:  # fmt: skip
        """x (n, T, C), label (n,); of more than 4,000 sequences that many are drawn."""
        if len(x) > ROWS:
            some = np.sort(np.random.default_rng(self.seed).choice(len(x), ROWS, replace=False))
            x, label, lengths = x[some], label[some], None if lengths is None else lengths[some]
        self.rows = len(x)
        self.ridge.fit(self.rocket.fit(x, lengths).transform(x, lengths), label, classes)
        return self

    def predict(self, x: NDArray[np.floating], lengths: NDArray[np.integer] | None = None) -> NDArray[np.int64]:
        """(n,) the class named."""
        named: NDArray[np.int64] = self.ridge.decide(self.rocket.transform(x, lengths)).argmax(1)
        return named


def _clean(x: NDArray[np.floating], lengths: NDArray[np.integer] | None) -> tuple[Tensor, Tensor]:
    """(n, C, T) float32, 0 where missing or beyond the end; and the lengths."""
    n, steps, _ = x.shape
    own = np.full(n, steps) if lengths is None else np.minimum(np.asarray(lengths), steps)
    inside = (np.arange(steps) < own[:, None])[..., None]
    rows = np.where(inside & np.isfinite(x), x, 0).astype(np.float32)
    return torch.from_numpy(rows).transpose(1, 2).contiguous(), torch.from_numpy(own.astype(np.int64))


def _dilations(longest: int, each: int) -> list[tuple[int, int]]:
    """Dilations up to which nine weights fit into the longest sequence, and how many thresholds each has of `each`."""
    most = min(each, DILATIONS)
    reach = max(0.0, math.log2(max(longest - 1, 1) / (WIDTH - 1)))
    found, count = np.unique(np.floor(2 ** np.linspace(0, reach, most)).astype(np.int64), return_counts=True)
    share = (count * (each / most)).astype(np.int64)
    share[np.arange(each - int(share.sum())) % len(share)] += 1
    return [(int(d), int(c)) for d, c in zip(found, share, strict=True)]


def _weights(channels: int, rng: np.random.Generator) -> Tensor:
    """(84, C, 9); the number of channels of a kernel is 2^u with u uniform up to that of all, nine at most."""
    weight = torch.full((KERNELS, channels, WIDTH), -1.0)
    for kernel, places in enumerate(TRIPLES):
        weight[kernel, :, list(places)] = 2.0
        count = int(2 ** rng.uniform(0, math.log2(min(channels, WIDTH) + 1)))
        out = rng.permutation(channels)[count:]
        weight[kernel, out] = 0.0
    return weight


def _convolved(rows: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """(B, 84, T), zeros beyond both ends."""
    return F.conv1d(rows, weight, padding=dilation * (WIDTH // 2), dilation=dilation)


def _shares(rows: Tensor, length: Tensor, scale: _Scale) -> Tensor:
    """(B, 84 thresholds): of each kernel one after the other."""
    out = _convolved(rows, scale.weight, scale.dilation)
    at, margin = torch.arange(rows.shape[2]), scale.dilation * (WIDTH // 2)
    whole = at < length[:, None]
    inner = (at >= margin) & (at < length[:, None] - margin)
    inner = torch.where(inner.any(1, keepdim=True), inner, whole)  # of a kernel longer than the sequence: all
    counted = torch.where(scale.padded[:, None], whole[:, None], inner[:, None])
    out = torch.where(counted, out, -torch.inf)
    # one threshold after the other, as numbers: ten times as quick as a sum of truths over a wider array
    above = torch.stack([(out - bias[:, None]).gt_(0).sum(2) for bias in scale.bias.unbind(1)], 2)
    return (above / counted.sum(2)[..., None]).flatten(1)
