"""Sparse tables in whatever form, checked and brought to one: rows compressed, columns ascending, no stored zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from elboroom.core.errors import InputError

from .content import Array, Csr
from .limits import COLUMNS
from .narrow import smallest

__all__ = ["csr_from_parts", "csr_from_scipy"]


def csr_from_parts(
    where: str, data: Array, indices: Array, indptr: Array, shape: tuple[int, ...], form: str = ""
) -> Csr:
    """From compressed rows or columns; without `form` the length of indptr tells which, rows first."""
    from scipy import sparse

    if len(shape) != 2 or min(shape) < 0:
        raise InputError(f"{where}: a sparse table has two axes, this one declares {shape}")
    rows, columns = int(shape[0]), int(shape[1])
    if columns > COLUMNS:
        raise InputError(f"{where}: {columns:,} columns, above {COLUMNS:,}")
    if data.ndim != 1 or data.shape != indices.shape or data.dtype.kind not in "biuf" or indices.dtype.kind not in "iu":
        raise InputError(f"{where}: data and indices of a sparse table are numbers, one index a value")
    if not form:
        form = "csr" if len(indptr) == rows + 1 else "csc"
    if form not in ("csr", "csc") or len(indptr) != (rows if form == "csr" else columns) + 1:
        raise InputError(f"{where}: indptr has {len(indptr):,} entries, which fits neither rows nor columns of {shape}")
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
    kind = sparse.csr_array if form == "csr" else sparse.csc_array
    try:
        table = kind((data, indices, indptr), shape=(rows, columns))
        table.check_format(full_check=True)
    except ValueError as error:
        raise InputError(f"{where}: is no valid sparse table: {error}") from error
    return csr_from_scipy(where, table)


def csr_from_scipy(where: str, table: Any) -> Csr:
    """From any scipy sparse array or matrix."""
    from scipy import sparse

    if table.dtype.kind not in "biuf":
        raise InputError(f"{where}: holds values of type {table.dtype}; numbers are needed")
    out = sparse.csr_array(table, copy=True)
    if out.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(out.data))
        if len(bad):
            row = int(np.searchsorted(out.indptr, bad[0], side="right")) - 1
            raise InputError(
                f"{where}: row {row}, column {out.indices[bad[0]]}: {out.data[bad[0]]}; a sparse table holds finite "
                f"numbers ({len(bad)} such cells)"
            )
    out.sum_duplicates()
    out.eliminate_zeros()
    out.sort_indices()
    data = smallest(out.data, where) if len(out.data) else out.data.astype(np.uint8)
    return Csr(data, out.indices.astype(np.int32), out.indptr.astype(np.int64), tuple(out.shape))
