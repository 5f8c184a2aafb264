"""Residuals of channels that move together: one normal law, its marginal for whatever channels a row has, and blame.

The covariance is shrunk (Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices",
in the scale of correlations) as far as the data leave it uncertain, so it can be inverted with few rows or channels
that repeat each other. A channel that is missing in a row is integrated out, never filled.

Blame: the share of channel i is what of the squared Mahalanobis distance goes when i is left out (as much as if i were
put where the other channels expect it),

    d' P d - d_o' P_o d_o = (P d)_i^2 / P_ii,     P the inverse covariance of the channels there, o all of them but i,

divided by its sum over the channels. It is the reconstruction-based contribution of Alcala & Qin 2009 (Automatica 45),
and never negative; a fault of one channel alone gives that channel the largest share, whatever the correlations (by
Cauchy-Schwarz, P_ji^2 / P_jj <= P_ii), which the terms d_i (P d)_i do not promise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elboroom.core.errors import InputError

__all__ = ["Gaussian"]

Array = NDArray[np.float64]
SMALLEST = 1e-6
"""The least eigenvalue of the matrix of correlations; only pairs counted on different rows can bring it lower."""
ROUNDING = 1e-12
"""A standard deviation below this share of the mean is what rounding leaves of none."""
STEPS = 200
"""Of the continued fraction; where it is used the terms fall at once."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal law of C channels."""

    mean: Array
    """(C,)"""
    covariance: Array
    """(C, C)"""
    shrinkage: float
    """How much of the correlations was given up, 0 to 1."""

    @classmethod
    def fit(cls, residuals: ArrayLike) -> Gaussian:
        """From residuals (N, C) of a stretch without anomalies; NaN where missing, each pair of channels by the rows
        that have both."""
        x = np.asarray(residuals, dtype=np.float64)
        if x.ndim != 2:
            raise InputError(f"residuals of the shape {x.shape}; they are (rows, channels)")
        there = ~np.isnan(x)
        count = there.sum(axis=0)
        mean = np.where(there, x, 0.0).sum(axis=0) / np.maximum(count, 1)
        d = np.where(there, x - mean, 0.0)
        scale = np.sqrt((d**2).sum(axis=0) / np.maximum(count, 1))
        still = scale <= ROUNDING * np.abs(mean)
        if still.any():
            channel = int(np.argmax(still))
            raise InputError(
                f"the residuals of channel {channel} are all missing or all equal, so it has no scale; leave it out"
            )
        correlation, shrinkage = _shrunk(d / scale, there)
        return cls(mean, correlation * np.outer(scale, scale), shrinkage)

    def nll(self, residuals: ArrayLike) -> Array:
        """(T,): -log density of the channels there, in nats; NaN for a row without any.

        A row with fewer channels has fewer nats: for one threshold over all rows take `surprise`.
        """
        r = self._rows(residuals)
        out = np.full(len(r), np.nan)
        for rows, channels, d, precision, log_det in self._groups(r):
            squared = np.einsum("nc,cd,nd->n", d, precision, d)
            out[rows] = 0.5 * (len(channels) * math.log(2 * math.pi) + log_det + squared)
        return out

    def surprise(self, residuals: ArrayLike) -> Array:
        """(T,): -log P(a squared distance of that many channels is as large), in nats; NaN for a row without any.

        On normal residuals exponential with mean 1, whichever channels are there.
        """
        r = self._rows(residuals)
        out = np.full(len(r), np.nan)
        for rows, channels, d, precision, _ in self._groups(r):
            out[rows] = -_log_chi2_tail(np.einsum("nc,cd,nd->n", d, precision, d), len(channels))
        return out

    def shares(self, residuals: ArrayLike) -> Array:
        """(T, C): blame, as defined above: 0 or more, sum 1; 0 for a missing channel, NaN for a row without any.

        Equal shares where a row lies on the mean.
        """
        r = self._rows(residuals)
        out = np.full(r.shape, np.nan)
        for rows, channels, d, precision, _ in self._groups(r):
            parts = (d @ precision) ** 2 / np.diag(precision)
            parts[parts.sum(axis=1) == 0] = 1.0
            out[rows] = 0.0
            out[np.ix_(rows, channels)] = parts / parts.sum(axis=1, keepdims=True)
        return out

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist(), "covariance": self.covariance.tolist(), "shrinkage": self.shrinkage}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Gaussian:
        mean, covariance = (np.array(saved[name], dtype=np.float64) for name in ("mean", "covariance"))
        return cls(mean, covariance, float(saved["shrinkage"]))

    @cached_property
    def _whole(self) -> tuple[Array, float]:
        return _inverse(self.covariance)

    def _rows(self, residuals: ArrayLike) -> Array:
        r = np.asarray(residuals, dtype=np.float64)
        if r.ndim != 2 or r.shape[1] != len(self.mean):
            raise InputError(f"residuals of the shape {r.shape}; they are (rows, {len(self.mean)} channels)")
        return r

    def _groups(self, r: Array) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Array, Array, float]]:
        """Rows that have the same channels: (rows, channels, deviations, inverse covariance, log determinant)."""
        there = ~np.isnan(r)
        whole = np.flatnonzero(there.all(axis=1))
        if len(whole):
            yield whole, np.arange(r.shape[1]), r[whole] - self.mean, *self._whole
        if len(whole) == len(r):
            return
        rest = np.flatnonzero(~there.all(axis=1) & there.any(axis=1))
        _, first, which = np.unique(np.packbits(there[rest], axis=1), axis=0, return_index=True, return_inverse=True)
        for k, row in enumerate(rest[first]):
            rows, channels = rest[which.reshape(-1) == k], np.flatnonzero(there[row])
            place = np.ix_(channels, channels)
            yield rows, channels, r[np.ix_(rows, channels)] - self.mean[channels], *_inverse(self.covariance[place])


def _shrunk(z: Array, there: NDArray[np.bool_]) -> tuple[Array, float]:
    """(C, C) correlations of standardised columns, 0 where missing, and the share of them that was given up.

    Equal to Ledoit & Wolf where nothing is missing: the mean variance of the entries over their distance from the
    identity; else each entry has the variance of the rows that it was counted on.
    """
    seen = there.astype(np.float64)
    pairs = np.maximum(seen.T @ seen, 1.0)
    found = z.T @ z / pairs
    uncertain = (((z**2).T @ z**2 / pairs - found**2) / pairs).sum()
    identity = np.eye(len(found))
    distance = ((found - identity) ** 2).sum()
    shrinkage = float(min(uncertain, distance) / distance) if distance > 0 else 0.0
    mixed = (1 - shrinkage) * found + shrinkage * identity
    values, vectors = np.linalg.eigh(mixed)
    if values[0] < SMALLEST:
        mixed = vectors * np.maximum(values, SMALLEST) @ vectors.T
        sd = np.sqrt(np.diag(mixed))
        mixed /= np.outer(sd, sd)
    return mixed, shrinkage


def _inverse(covariance: Array) -> tuple[Array, float]:
    """The inverse and the log determinant, scaled first: channels may have very different units."""
    sd = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sd, sd)
    _, log_det = np.linalg.slogdet(correlation)
    return np.linalg.inv(correlation) / np.outer(sd, sd), float(log_det + 2 * np.log(sd).sum())


def _log_chi2_tail(squared: Array, freedom: int) -> Array:
    """log P(chi squared > squared), also where the probability is below the least float."""
    from scipy.special import gammaincc, gammaln

    a, x = freedom / 2, np.maximum(squared, 0.0) / 2
    tail = gammaincc(a, x)
    far = tail < 1e-290
    out = np.log(np.where(far, 1.0, tail))
    if far.any():
        # Q(a, x) = x^a e^-x / Gamma(a) / (x + 1 - a - 1(1 - a) / (x + 3 - a - 2(2 - a) / ...)), from the inside out
        # (Abramowitz & Stegun 6.5.31, even part)
        y = x[far]
        below = y + 2 * STEPS + 1 - a
        for n in range(STEPS, 0, -1):
            below = y + 2 * n - 1 - a - n * (n - a) / below
        out[far] = a * np.log(y) - y - gammaln(a) - np.log(below)
    return out
