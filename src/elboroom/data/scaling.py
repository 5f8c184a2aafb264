"""Fitting the transform of a table or series: centre and spread of each column over the observed training cells."""

from __future__ import annotations

import numpy as np
import torch

from elboroom.core.errors import InputError
from elboroom.core.spec import Column

from .content import Array, Content, Csr
from .storage import blocks
from .transforms import TABLE_SCALES, TableTransform

__all__ = ["auto_scale", "fit_series", "fit_table", "resolve_columns"]

SERIES_SCALES = ("standard", "robust", "none")
MAD = 1.4826
"""Standard deviations of a normal distribution in one median absolute deviation: 1 / 0.6745."""
LEAST = 1e-30
"""Smaller spreads are none to single precision."""


def auto_scale(columns: tuple[Column, ...]) -> str:
    """`counts` for a table of nothing but counts (columns of only 0 and 1 among them), else `standard`."""
    kinds = {c.kind for c in columns}
    return "counts" if "count" in kinds and kinds <= {"count", "binary"} else "standard"


def resolve_columns(columns: tuple[Column, ...], scale: str) -> tuple[Column, ...]:
    """The columns as the model will see them under this scale.

    counts: every column a count. log1p: every number real. standard, robust: a table of nothing but counts was asked to
    be scaled, so its counts become real; in a mixed table counts stay counts. none: as they are.
    """
    if scale == "counts":
        return tuple(Column(name=c.name, kind="count") if not c.categories else c for c in columns)
    counted = auto_scale(columns) == "counts"
    if scale == "log1p" or (scale in ("standard", "robust") and counted):
        turned = {"real", "count", "binary"} if scale == "log1p" or counted else {"real"}
        return tuple(Column(name=c.name) if c.kind in turned else c for c in columns)
    return columns


def fit_table(
    content: Content, columns: tuple[Column, ...], scale: str, train: Array
) -> tuple[TableTransform, list[str]]:
    """The transform of these columns, fitted on the rows `train`; and sentences on columns that do not vary."""
    if scale not in TABLE_SCALES:
        raise InputError(f"--scale {scale}: no scale for tables; known: {', '.join(TABLE_SCALES)}")
    x = content.x
    transform = TableTransform(scale, len(columns), wide=x.dtype == np.float64)
    real = np.array([c.kind == "real" for c in columns])
    low, high, center, spread = _moments(x, train)
    problems = _unvarying([c.name for c in columns], low, high)
    if scale == "counts":
        _whole_counts(content, columns)
    elif scale == "log1p":
        _not_negative(content, columns, real)
    elif scale == "robust":
        center, spread = _quartiles(x, train, spread)
    if scale in ("standard", "robust"):
        spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
        center = np.where(np.isfinite(center), center, 0.0)
        transform.center.copy_(torch.from_numpy(np.where(real, center, 0.0)))
        transform.spread.copy_(torch.from_numpy(np.where(real, spread, 1.0)))
    return transform, problems


def fit_series(values: Array, channels: tuple[str, ...], scale: str) -> tuple[TableTransform, list[str]]:
    """The transform of series, fitted on training rows (rows, C); and sentences on channels that do not vary.

    standard: mean and standard deviation. robust: median and 1.4826 times the median absolute deviation; where that is
    0, the standard deviation stands in.
    """
    if scale not in SERIES_SCALES:
        raise InputError(f"--scale {scale}: no scale for series; known: {', '.join(SERIES_SCALES)}")
    transform = TableTransform(scale, len(channels), wide=True)
    low, high, center, spread = _moments(values, np.arange(len(values)))
    if scale == "robust":
        some = np.isfinite(low)
        center[some] = np.nanmedian(values[:, some], axis=0)
        middle = np.full(len(channels), np.nan)
        middle[some] = MAD * np.nanmedian(np.abs(values[:, some] - center[some]), axis=0)
        spread = np.where(middle > 0, middle, spread)
    if scale in ("standard", "robust"):
        transform.center.copy_(torch.from_numpy(center))
        transform.spread.copy_(torch.from_numpy(np.where(spread > LEAST, spread, 1.0)))
    return transform, _unvarying(list(channels), low, high)


def _unvarying(names: list[str], low: Array, high: Array) -> list[str]:
    """Sentences on the columns that have one value, or none, in the training part."""
    out = []
    flat = [name for name, a, b in zip(names, low, high, strict=True) if a == b]
    empty = [name for name, a in zip(names, low, strict=True) if not np.isfinite(a)]
    if flat:
        out.append(f"{len(flat)} column{'s' * (len(flat) > 1)} never vary in the training part: {_some(flat)}")
    if empty:
        out.append(f"{len(empty)} column{'s' * (len(empty) > 1)} have no value in the training part: {_some(empty)}")
    return out


def _some(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _moments(x: Array | Csr, rows: Array) -> tuple[Array, Array, Array, Array]:
    """Smallest, largest, mean and standard deviation of each column over its observed cells, in two passes."""
    width = x.shape[1]
    count, total = np.zeros(width), np.zeros(width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for block in blocks(x, rows):
        if block.dtype.kind != "f":
            count += len(block)
            total += block.sum(axis=0, dtype=np.float64)
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
            continue
        known = ~np.isnan(block)
        count += known.sum(axis=0)
        total += np.where(known, block, 0).sum(axis=0, dtype=np.float64)
        low = np.minimum(low, np.where(known, block, np.inf).min(axis=0, initial=np.inf))
        high = np.maximum(high, np.where(known, block, -np.inf).max(axis=0, initial=-np.inf))
    mean = total / np.maximum(count, 1)
    square = np.zeros(width)
    for block in blocks(x, rows):
        off = np.asarray(block, np.float64) - mean
        square += np.where(np.isnan(off), 0, off * off).sum(axis=0)
    spread = np.sqrt(square / np.maximum(count, 1))
    return low, high, mean, np.where(low < high, spread, 0.0)


def _quartiles(x: Array | Csr, rows: Array, spread: Array) -> tuple[Array, Array]:
    """Median and interquartile range; where the middle half does not vary, the standard deviation stands in."""
    dense = np.concatenate(list(blocks(x, rows))).astype(np.float64)
    some = ~np.isnan(dense).all(axis=0)
    quarter = np.full((3, x.shape[1]), np.nan)
    quarter[:, some] = np.nanquantile(dense[:, some], [0.25, 0.5, 0.75], axis=0)
    width = quarter[2] - quarter[0]
    return quarter[1], np.where(width > 0, width, spread)


def _whole_counts(content: Content, columns: tuple[Column, ...]) -> None:
    _cells(
        content,
        columns,
        np.ones(len(columns), bool),
        lambda b: (b < 0) | ((b != np.rint(b)) & ~np.isnan(b)),
        "is no count; `--scale counts` needs whole numbers from 0 (already logged or scaled data: use standard)",
    )


def _not_negative(content: Content, columns: tuple[Column, ...], real: Array) -> None:
    _cells(content, columns, real, lambda b: b < 0, "is below 0; `--scale log1p` needs numbers from 0: use standard")


def _cells(content: Content, columns: tuple[Column, ...], which: Array, wrong: object, said: str) -> None:
    """Refuse the first cell for which `wrong` holds."""
    text = [c.name for c, w in zip(columns, which, strict=True) if w and c.categories]
    if text:
        raise InputError(f"column {text[0]!r} holds categories: {said}")
    at = 0
    for block in blocks(content.x):
        found = np.argwhere(wrong(block) & which)  # type: ignore[operator]
        if len(found):
            row, column = found[0]
            raise InputError(f"row {at + row}, column {columns[column].name!r}: {block[row, column]:g} {said}")
        at += len(block)
