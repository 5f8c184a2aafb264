"""Sequences that ask for time and memory: timed spikes, spike delays, periodic functions, and the adding problem.

Gers & Schmidhuber 2000 (Recurrent nets that time and count, IJCNN) and Gers, Schraudolph & Schmidhuber 2002 (Learning
precise timing with LSTM recurrent networks, JMLR 3, 115-143), whose names are GTS, MSD and PFG; the adding problem is
that of Hochreiter & Schmidhuber 1997 (Long short-term memory, Neural Computation 9, 1735-1780). Their targets are
numbers, and sets of sequences carry labels, so these are functions and no named sets.

Shapes: B rows, T steps; the first step is number 1, as in the papers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from elboroom.core.errors import InputError, nearest

from .content import Array

__all__ = ["WAVES", "adding", "periodic", "spike_delays", "timed_spikes"]


def _cosine(phase: Array) -> Array:
    out: Array = (1 - np.cos(2 * np.pi * phase)) / 2
    return out


WAVES: dict[str, Callable[[Array], Array]] = {
    "cosine": _cosine,
    "triangle": lambda phase: 1 - np.abs(1 - 2 * phase),
    "rectangle": lambda phase: (phase > 0.5).astype(np.float64),
}
"""Each in [0, 1], of a phase in [0, 1)."""


def timed_spikes(period: int, first: int, steps: int) -> Array:
    """GTS with one interval: (steps,) from step `first` on, 1 at each whole multiple of `period`, else 0."""
    _check_period(period)
    spikes: Array = (np.arange(first, first + steps) % period == 0).astype(np.float32)
    return spikes


def periodic(wave: str, period: int, first: int, steps: int) -> Array:
    """PFG: (steps,) values of one of `WAVES` from step `first` on; no input goes with them."""
    _check_period(period)
    if wave not in WAVES:
        raise InputError(f"there is no wave {wave!r}{nearest(wave, WAVES)}; waves: {', '.join(WAVES)}")
    values: Array = WAVES[wave](np.arange(first, first + steps) % period / period).astype(np.float32)
    return values


def spike_delays(rng: np.random.Generator, period: int, rows: int, steps: int) -> tuple[Array, Array, Array]:
    """MSD: spikes, delays to be told and where they are asked for, each (rows, steps).

    Spike n stands `period` + I(n) steps after the one before, I(n) is 0 or 1 with equal chance, and at the spike, and
    only there, the answer is I(n).
    """
    _check_period(period)
    delays = rng.integers(0, 2, (rows, steps // period))
    at = np.cumsum(delays + period, axis=1) - 1
    row, n = np.nonzero(at < steps)
    spikes, answers = np.zeros((2, rows, steps), np.float32)
    spikes[row, at[row, n]] = 1
    answers[row, at[row, n]] = delays[row, n]
    return spikes, answers, spikes > 0


def adding(rng: np.random.Generator, rows: int, steps: int) -> tuple[Array, Array]:
    """Inputs (rows, steps, 2) and sums (rows,): numbers of U[0, 1] and, beside them, marks at two of the steps.

    The sum is that of the two marked numbers. One mark lies in each half, as in Arjovsky et al. 2016 (arXiv
    1511.06464); 1997 numbers were of U[-1, 1] and the first mark within ten steps of the start. Who always says 1 has
    a mean squared error of 1/6.
    """
    if steps < 2:
        raise InputError(f"the adding problem marks two steps; {steps} are too few: give 2 or more")
    x = np.zeros((rows, steps, 2), np.float32)
    x[..., 0] = rng.random((rows, steps))
    half, row = steps // 2, np.arange(rows)
    first, second = rng.integers(0, half, rows), rng.integers(half, steps, rows)
    x[row, first, 1] = x[row, second, 1] = 1
    return x, x[row, first, 0] + x[row, second, 0]


def _check_period(period: int) -> None:
    if period < 2:
        raise InputError(f"a period of {period} leaves no step between spikes; give 2 or more")
