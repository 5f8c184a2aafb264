"""How well missing cells are told from measured ones, column by column, and how to set the stated spread right.

Information recovered (after Subramanian et al. 2017, doi 10.1016/j.cell.2017.10.049): a column counts where the
correlation of told and measured values lies above the 95th percentile of its own correlations with the other columns,
that is, where the model beats all but the luckiest twentieth of single columns. Arrays are (rows, columns), NaN where a
cell was not measured, or not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .interval import Interval, share_interval

__all__ = ["NORMAL_90", "Recovered", "column_correlations", "factors_of", "information_recovered"]

Array = NDArray[np.float32] | NDArray[np.float64]
NORMAL_90 = 1.6448536269514722
"""So many standard deviations on either side hold 90 % of a normal distribution."""
PERCENTILE = 0.95
OTHERS = 2000
"""Other columns that a column is correlated with, at most."""
FEWEST = 3
"""Rows that a correlation needs."""
ENOUGH = 100
"""Cells from which on a column gets a factor of its own."""
LEAST = 1e-3


@dataclass
class Recovered:
    """Of each column: correlation of told and measured, and the bar it had to pass; NaN where either is not defined."""

    correlation: NDArray[np.float64]
    bar: NDArray[np.float64]
    share: Interval
    columns: int
    """Columns that were judged."""


def column_correlations(told: Array, measured: Array) -> NDArray[np.float64]:
    """(columns,): Pearson's correlation over the cells both have; NaN where one does not vary, or with < 3 cells."""
    both = np.isfinite(told) & np.isfinite(measured)
    n = both.sum(0)
    a, b = (np.where(both, x, 0).astype(np.float64) for x in (told, measured))
    count = np.maximum(n, 1)
    a, b = (np.where(both, x - x.sum(0) / count, 0) for x in (a, b))
    size = np.sqrt(np.square(a).sum(0) * np.square(b).sum(0))
    scale = np.maximum(np.abs(np.where(both, told, 0)).max(0, initial=0), 1e-30)
    varies = np.sqrt(np.square(a).sum(0)) > 1e-6 * scale  # what rounding leaves of a constant is no variation
    with np.errstate(invalid="ignore", divide="ignore"):
        out: NDArray[np.float64] = np.where((n >= FEWEST) & varies & (size > 0), (a * b).sum(0) / size, np.nan)
    return out


def information_recovered(told: Array, measured: Array, asked: NDArray[np.bool_], *, seed: int = 0) -> Recovered:
    """`measured` holds all cells, `told` what was said of those `asked`; a constant telling recovers nothing.

    Columns that do not vary among the measured cells are not judged. Against at most 2,000 other columns, at random.
    """
    correlation = column_correlations(np.where(asked, told, np.nan), np.where(asked, measured, np.nan))
    z = _standardised(measured)
    varies = np.square(z).sum(0) > 0
    targets = np.flatnonzero(varies & ((asked & np.isfinite(measured)).sum(0) >= FEWEST))
    others = np.flatnonzero(varies)
    if len(others) > OTHERS:
        others = np.sort(np.random.default_rng(seed).choice(others, OTHERS, replace=False))
    bar = np.full(measured.shape[1], np.nan)
    there = np.isfinite(measured).astype(np.float32)
    complete = bool(there.all())
    for at in range(0, len(targets), 512):
        some = targets[at : at + 512]
        pairs = len(z) if complete else np.maximum(there[:, some].T @ there[:, others], 1)
        found = (z[:, some].T @ z[:, others]) / pairs
        found[some[:, None] == others] = np.nan
        if len(others) > 1:
            bar[some] = np.nanquantile(found, PERCENTILE, axis=1)
    judged = targets[np.isfinite(bar[targets])]
    hits = np.nan_to_num(correlation[judged], nan=-1.0) > bar[judged]
    return Recovered(correlation, bar, share_interval(hits), len(judged))


def factors_of(told: Array, sd: Array, measured: Array) -> NDArray[np.float64]:
    """(columns,): by what each column's sd is to be multiplied for told +- 1.645 sd to hold 90 % of measured cells.

    The 90 % quantile of |told - measured| / (1.645 sd) over the column's finite cells (split conformal prediction, Lei
    et al. 2018, arXiv 1604.04173, with n + 1 in place of n), of all columns together where it has fewer than 100.
    """
    with np.errstate(invalid="ignore"):
        ratio = np.abs(told - measured) / (NORMAL_90 * sd)
    finite = np.isfinite(ratio)
    out = np.full(ratio.shape[1], _quantile(ratio[finite]) if finite.any() else 1.0)
    for column in np.flatnonzero(finite.sum(0) >= ENOUGH):
        out[column] = _quantile(ratio[finite[:, column], column])
    return np.maximum(out, LEAST)


def _quantile(values: Array) -> float:
    rank = min(len(values), int(np.ceil(0.9 * (len(values) + 1))))
    return float(np.partition(values, rank - 1)[rank - 1])


def _standardised(x: Array) -> NDArray[np.float32]:
    """Columns with mean 0 and mean square 1 over their measured cells, 0 where one is missing or nothing varies."""
    there = np.isfinite(x)
    count = np.maximum(there.sum(0), 1)
    filled = np.where(there, x, 0).astype(np.float64)
    off = np.where(there, filled - filled.sum(0) / count, 0)
    spread = np.sqrt(np.square(off).sum(0) / count)
    still = spread <= 1e-9 * np.maximum(np.abs(filled).max(0, initial=0), 1e-30)
    out: NDArray[np.float32] = np.where(still, 0, off / np.where(still, 1, spread)).astype(np.float32)
    return out
