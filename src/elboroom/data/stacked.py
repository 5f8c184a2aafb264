"""`stacked_mnist`: three hand-written digits as the three colours of a picture, a thousand classes that are known.

Each channel is a digit of MNIST drawn at random, and the class is the number that the three make, 000 to 999, the first
channel counting hundreds (Metz et al. 2017, arXiv 1611.02163; 128,000 pictures in PacGAN, arXiv 1712.04086). A net that
names single digits thus counts how many of the thousand a model draws.

No part shares a digit with another: training pictures are made of 54,000 of MNIST's training digits, validation
pictures of the other 6,000, test pictures of its test digits. (PacGAN made one set of all 70,000.) A picture takes
2,352 bytes, so the default is 50,000 for training, 153 MB with the parts held out and twice that while they are read;
`n=128000` is the published number, and takes 391 MB.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .content import Array, Content, Csr
from .options import numbers, whole
from .pixels import fit_pixels
from .reading import Reading
from .storage import allocate, release

__all__ = ["read_stacked"]

DEFAULTS = {"n": 50_000.0}
LEAST, MOST = 1000, 1_000_000
CHANNELS, DIGITS = 3, 10
HELD = {1: 10, 2: 5}
"""For every so many pictures to train on there is one for validation (1), and one for the test (2)."""
VALIDATION = 10
"""Every so manieth of MNIST's training digits is kept for validation."""
BLOCK = 10_000


def read_stacked(options: str, size: tuple[int, int] | None, mnist: Content) -> Content:
    """The set for options such as "n=128000", made of `mnist`, whose digits are first brought to `size`."""
    n = whole("stacked_mnist", "n", numbers("stacked_mnist", options, DEFAULTS)["n"], LEAST, MOST)
    fitted = fit_pixels(mnist, "stacked_mnist", Reading(size=size))
    assert mnist.label is not None and mnist.own is not None and not isinstance(fitted.x, Csr)
    part = mnist.own.copy()
    train = np.flatnonzero(part == 0)
    part[train[VALIDATION - 1 :: VALIDATION]] = 1
    counts = [n, n // HELD[1], n // HELD[2]]
    own = np.repeat(np.arange(3, dtype=np.int8), counts)
    rng = np.random.default_rng(0)
    chosen = np.concatenate([
        rng.choice(np.flatnonzero(part == k), (count, CHANNELS)) for k, count in enumerate(counts)
    ])  # fmt: skip
    factors = mnist.label[chosen]
    return dataclasses.replace(
        fitted,
        x=_stacked(fitted.x, chosen),
        label=factors @ DIGITS ** np.arange(CHANNELS)[::-1],
        classes=tuple(f"{k:0{CHANNELS}d}" for k in range(DIGITS**CHANNELS)),
        own=own,
        factors=tuple((f"channel_{i + 1}", DIGITS) for i in range(CHANNELS)),
        beside={"factors": factors},
        channelwise=True,
    )


def _stacked(digits: Array, chosen: Array) -> Array:
    """(n, 3, height, width) bytes: the digits (N, 1, height, width) at the places `chosen` (n, 3)."""
    out = allocate((*chosen.shape, *digits.shape[2:]), digits.dtype, "stacked_mnist")
    for at in range(0, len(chosen), BLOCK):
        out[at : at + BLOCK] = digits[chosen[at : at + BLOCK], 0]
        release(out)
    return out
