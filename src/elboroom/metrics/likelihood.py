"""How well a model knows data it has not seen: ELBO, importance-weighted bounds, bits per dimension.

The one idea: all bounds come from the log-weights w = log p(x, z) - log q(z | x) of independent draws of z.

    ELBO = E[w]            K-sample bound L_K = E[log (1/K) sum_k exp w_k]         (Burda et al. 2016, equation 8)

L_K never falls with K and tends to log p(x). One pass serves every K: chunks of draws stream into running sums, a
chunk never being kept. Exactly K draws are used for L_K. Effective sample size: (sum v)^2 / sum v^2, v = exp w.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BoundStream", "Bounds", "bits_per_dim", "gaussian_rate", "importance_bounds", "sample_grid"]

GRID = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True)
class Bounds:
    """Per-example results of one pass, float64, on the CPU.

    elbo (batch,): mean of all log-weights, so the bound at K = 1 by every draw there is.
    by_samples {k: (batch,)}: the k-sample bound of the first k draws; k = 1 is `elbo`.
    ess_by_samples, error_by_samples {k: (batch,)}: effective sample size of the first k draws, and the Monte Carlo
    standard error of that bound by the delta method, sqrt(1 / ess - 1 / k); of k = 1 that of the mean of all.
    ess (batch,), error (batch,): those at the largest k.  samples: draws used for each example.
    """

    elbo: Tensor
    by_samples: dict[int, Tensor]
    ess_by_samples: dict[int, Tensor]
    error_by_samples: dict[int, Tensor]
    samples: int

    @property
    def log_likelihood(self) -> Tensor:
        """The bound at the largest k."""
        return self.by_samples[self.samples]

    @property
    def ess(self) -> Tensor:
        return self.ess_by_samples[self.samples]

    @property
    def error(self) -> Tensor:
        return self.error_by_samples[self.samples]


class BoundStream:
    """Running log-sum-exp over draws: give it (draws, batch) log-weights in any chunks, in order."""

    def __init__(self, grid: Sequence[int]) -> None:
        self.grid = sorted(set(grid))
        self.seen = 0
        self.total = torch.zeros(())  # sum of w
        self.mean = torch.zeros(())  # of w
        self.squares = torch.zeros(())  # sum of (w - mean)^2
        self.peak = torch.zeros(())  # running maximum of w
        self.first = torch.zeros(())  # sum of exp(w - peak)
        self.second = torch.zeros(())  # sum of exp(2 (w - peak))
        self.by_samples: dict[int, Tensor] = {}
        self.ess: dict[int, Tensor] = {}

    def add(self, log_w_KB: Tensor) -> None:
        """Takes a chunk; cuts it where a k of the grid ends inside it."""
        log_w_KB = log_w_KB.double()
        while len(log_w_KB):
            ahead = [k for k in self.grid if k > self.seen]
            take = min(len(log_w_KB), ahead[0] - self.seen) if ahead else len(log_w_KB)
            self._add(log_w_KB[:take])
            log_w_KB = log_w_KB[take:]
            if self.seen in self.grid:
                self.by_samples[self.seen] = _finite_or_zero(self.peak) + self.first.log() - math.log(self.seen)
                self.ess[self.seen] = self.first.square() / self.second

    def _add(self, w: Tensor) -> None:
        if self.seen == 0:
            self.peak = torch.full_like(w[0], -math.inf)
            self.first, self.second, self.total, self.mean, self.squares = (torch.zeros_like(w[0]) for _ in range(5))
        peak = torch.maximum(self.peak, w.amax(0))
        # an example whose every weight is zero so far has peak -inf; exp(-inf - -inf) would be NaN
        base = _finite_or_zero(peak)
        shrink = (self.peak - base).exp()
        v = (w - base).exp()
        self.first = self.first * shrink + v.sum(0)
        self.second = self.second * shrink.square() + v.square().sum(0)
        self.total = self.total + w.sum(0)
        # two sets of draws made one (Chan, Golub & LeVeque 1983)
        mean, seen = w.mean(0), self.seen + len(w)
        off = mean - self.mean
        self.squares = self.squares + (w - mean).square().sum(0) + off.square() * (self.seen * len(w) / seen)
        self.mean = self.mean + off * (len(w) / seen)
        self.peak = peak
        self.seen = seen

    def result(self) -> Bounds:
        elbo = (self.total / self.seen).cpu()
        by_samples = {k: v.cpu() for k, v in self.by_samples.items()} | {1: elbo}
        ess = {k: v.cpu() for k, v in self.ess.items()}
        error = {k: (1 / n - 1 / k).clamp_min(0).sqrt() for k, n in ess.items()}
        if self.seen > 1:
            error[1] = (self.squares / (self.seen - 1) / self.seen).sqrt().cpu()
        return Bounds(elbo, by_samples, ess, error, self.seen)


def _finite_or_zero(x: Tensor) -> Tensor:
    return torch.where(x.isneginf(), torch.zeros_like(x), x)


def importance_bounds(draw: Callable[[int], Tensor], samples: int, *, chunk: int) -> Bounds:
    """Bounds from exactly `samples` draws; `draw(k)` gives (k, batch) fresh log-weights, at most `chunk` at once."""
    stream = BoundStream([*sample_grid(samples), samples])
    while stream.seen < samples:
        stream.add(draw(min(chunk, samples - stream.seen)))
    return stream.result()


def sample_grid(samples: int) -> list[int]:
    """The numbers of draws at which the curve of bounds is read: 1, 2, 5, 10, ... and `samples` itself."""
    return sorted({k for k in GRID if k < samples} | {samples})


def bits_per_dim(elbo_nats: Tensor, dims: Tensor | int) -> Tensor:
    """Nats of a whole example to bits for each of its values; only where x is discrete is that a code length."""
    return -elbo_nats / (dims * math.log(2))


def gaussian_rate(mean: Tensor, stddev: Tensor) -> Tensor:
    """KL(N(mean, stddev^2) || N(0, 1)) in nats for every dimension: the rate of a diagonal Gaussian code."""
    m, s = mean.double(), stddev.double()
    return 0.5 * (m.square() + s.square() - 1) - s.log()
