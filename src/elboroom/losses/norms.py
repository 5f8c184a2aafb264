"""Norms in which a critic may be told not to be steep, so that some features of an example weigh more than others.

Adler & Lunz 2018, Banach Wasserstein GAN (1806.06621), section 3. Where the distance of two examples is ||x - y||, a
function D has slopes of at most 1 if its gradient g has at most length 1 in the dual norm. Here, for g (B, ...):

    l2          (sum g^2)^(1/2)                                   its own dual
    lp:P        (sum |g|^Q)^(1/Q),  1/P + 1/Q = 1                 of ||x|| = (sum |x|^P)^(1/P); P from 1 to inf
    sobolev:S   (sum (1 + |f|^2)^(-S) |F g|^2)^(1/2)              of ||x||^2 = sum (1 + |f|^2)^S |F x|^2

F is the unitary Fourier transform of each channel of an image and f the frequency in radians a pixel, between 0 and pi
along an axis. S > 0 makes edges far apart and lets a critic look at them; S < 0 does so for what is large and soft.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from elboroom.core.errors import InputError

__all__ = ["dual_norm", "euclidean", "hartley"]

SMALLEST = 1e-12
"""At 0 a norm has no gradient; this is added to what its root is taken of."""


def dual_norm(name: str, shape: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """From gradients (B, *shape) to lengths (B,) in the dual of the norm called `l2`, `lp:P` or `sobolev:S`."""
    kind, _, number = name.partition(":")
    try:
        value = float(number or math.nan)
    except ValueError:
        value = math.nan
    if name == "l2":
        return euclidean
    if kind == "lp" and value >= 1:
        return partial(power, q=math.inf if value == 1 else 1.0 if value == math.inf else value / (value - 1))
    if kind == "sobolev" and math.isfinite(value):
        if len(shape) != 3:
            raise InputError(f"--norm {name}: only images have frequencies, and these data are none; use l2")
        return partial(sobolev, s=value)
    raise InputError(f"--norm {name}: there is no such norm; give l2, lp:P with P of at least 1, or sobolev:S")


def euclidean(g: Tensor) -> Tensor:
    """(B, ...) -> (B,)."""
    return (g.flatten(1).square().sum(1) + SMALLEST).sqrt()


def power(g: Tensor, q: float) -> Tensor:
    """(sum |g|^q)^(1/q), q from 1 to infinity, scaled by the largest entry so that no power overflows."""
    size = g.flatten(1).abs()
    largest = size.amax(1)
    if q == math.inf:
        return largest
    unit = largest.detach() + SMALLEST
    return unit * ((size / unit[:, None]).pow(q).sum(1) + SMALLEST).pow(1 / q)


def sobolev(g: Tensor, s: float) -> Tensor:
    """Gradients (B, channels, height, width); without complex numbers, see `hartley`."""
    rows, columns = (hartley(n, g) for n in g.shape[-2:])
    parts = rows @ g @ columns.T
    squares = [frequencies(n, g).square() for n in g.shape[-2:]]
    weight = (1 + squares[0][:, None] + squares[1]).pow(-s / 2)
    return euclidean(parts * weight)


def hartley(n: int, like: Tensor) -> Tensor:
    """(n, n): the orthogonal matrix of (cos + sin)(2 pi j k / n) / sqrt(n), its own inverse.

    Its rows k and n - k span what the Fourier rows of the same frequency span, so sums of squares that weigh both alike
    are equal to those of |F g|^2 (Bracewell 1983, 10.1364/JOSA.73.001832).
    """
    at = torch.arange(n, device=like.device, dtype=torch.float64)
    angle = 2 * math.pi / n * torch.remainder(at[:, None] * at, n)
    return ((angle.cos() + angle.sin()) / math.sqrt(n)).to(like.dtype)


def frequencies(n: int, like: Tensor) -> Tensor:
    """(n,): radians a pixel of each row of `hartley`, between 0 and pi."""
    at = torch.arange(n, device=like.device, dtype=like.dtype)
    return 2 * math.pi / n * torch.minimum(at, n - at)
