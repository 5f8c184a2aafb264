"""How a codebook is used on held-out data, and what its codes cost.

Usage: codes taken at least once, over all data and not over one batch. Perplexity: exp of the entropy of how often each
is taken, so K where all are alike. Bits per code: what a law of the codes pays for each on average, beside two simpler
laws: all alike, and each as often as here whatever stands before it (order 0), fitted on these very codes and so the
best of its kind.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .interval import Interval, mean_interval

__all__ = ["bits_per_code", "order_zero_bits", "perplexity", "usage"]

Array = NDArray[Any]


def usage(numbers: Array, codes: int) -> Interval:
    """Share of the codes that the rows (n, places) take at least once; of so many codes there is no sample."""
    return Interval(len(np.unique(numbers)) / codes, math.nan, math.nan, "all codes are looked at")


def surprisals(numbers: Array) -> Array:
    """(n, places): -log of each number's share of all, nats."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    held: Array = -np.log(counts / numbers.size)[inverse].reshape(numbers.shape)
    return held


def perplexity(numbers: Array, *, seed: int = 0) -> Interval:
    """exp of the entropy of the codes' shares (plug-in), numbers (n, places); rows are the sample."""
    entropy = mean_interval(surprisals(numbers).mean(1), seed=seed)
    return Interval(math.exp(entropy.value), math.exp(entropy.low), math.exp(entropy.high), f"exp of {entropy.how}")


def bits_per_code(nats: Array, *, seed: int = 0) -> Interval:
    """Mean of -log2 p of each code given those before it, nats (n, places)."""
    return mean_interval(nats.mean(1, dtype=np.float64) / math.log(2), seed=seed)


def order_zero_bits(numbers: Array, *, seed: int = 0) -> Interval:
    """Bits a code by the codes' own shares (n, places)."""
    return bits_per_code(surprisals(numbers), seed=seed)
