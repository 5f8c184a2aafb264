"""Faults put into a stretch that is taken to be normal, to see how many an alarm finds.

That is a test of the alarm on faults one can think of, called what it is: real anomalies may be of other kinds. Kinds,
in standard deviations of the channel: a spike of one row, a level that shifts, a sensor that stands still, noise that
grows, a pattern that runs backwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "Fault", "inject", "plan"]

Array = NDArray[np.float64]
KINDS = ("spike", "shift", "stuck", "noise", "reversed")
SIZE = 4.0
"""Standard deviations of a spike or a shift, and the factor of the noise."""


@dataclass(frozen=True)
class Fault:
    """Rows start .. stop - 1 of one channel."""

    kind: str
    start: int
    stop: int
    channel: int
    sign: float


def plan(rows: int, channels: int, length: int, each: int, seed: int) -> list[Fault]:
    """`each` faults of every kind, at places drawn by `seed`; a spike has one row, the others `length`."""
    rng = np.random.default_rng(seed)
    out = []
    for kind in KINDS:
        for _ in range(each):
            size = 1 if kind == "spike" else min(length, rows)
            start = int(rng.integers(0, rows - size + 1))
            out.append(Fault(kind, start, start + size, int(rng.integers(channels)), float(rng.choice([-1.0, 1.0]))))
    return out


def inject(values: Array, fault: Fault, sd: float, seed: int) -> Array:
    """A copy of (T, C) values with the fault in it; missing cells stay missing."""
    out = values.copy()
    where = (slice(fault.start, fault.stop), fault.channel)
    cells = out[where]
    match fault.kind:
        case "spike" | "shift":
            out[where] = cells + fault.sign * SIZE * sd
        case "stuck":
            out[where] = np.where(
                np.isnan(cells), np.nan, cells[~np.isnan(cells)][0] if (~np.isnan(cells)).any() else 0
            )
        case "noise":
            draws = np.random.default_rng(seed).normal(size=cells.shape)
            out[where] = cells + draws * sd
        case _:
            out[where] = cells[::-1]
    return out
