"""Codes from a file: what `encode` wrote, or an array or a table of z made elsewhere."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.core.errors import InputError

__all__ = ["read_codes"]

LIMIT_BYTES = 8 << 30
"""Largest array that a file may declare."""


def read_codes(path: Path) -> np.ndarray:
    """(rows, latent) float32; InputError says where the file does not fit."""
    readers = {
        ".npy": _npy,
        ".npz": _npz,
        ".csv": _csv,
        ".tsv": _csv,
        ".parquet": _parquet,
        ".jsonl": _jsonl,
        ".h5ad": _h5ad,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: codes are read from {' '.join(readers)}, not from {path.suffix!r}")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; `elboroom encode RUN DATA --out FILE` writes one")
    z = np.asarray(reader(path))
    if z.ndim == 1 and z.dtype.kind in "fiu":
        z = z[None, :]
    if z.ndim != 2 or z.dtype.kind not in "fiu" or 0 in z.shape:
        raise InputError(f"{path}: expected numbers (rows, latent), found {z.dtype} of shape {z.shape}")
    z = z.astype(np.float32)
    bad = np.argwhere(~np.isfinite(z))
    if len(bad):
        row, column = bad[0]
        raise InputError(f"{path}: row {row}, z{column} is not a finite number; {len(bad):,} cells are not")
    return z


def _npy(path: Path) -> np.ndarray:
    try:
        mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.nbytes > LIMIT_BYTES:
            raise InputError(f"{path}: declares {mapped.nbytes:,} bytes, more than codes ever are")
        return np.array(mapped)
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, error) from error


def _npz(path: Path) -> np.ndarray:
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as held:
            name = "z" if "z" in held.files else held.files[0] if len(held.files) == 1 else ""
            if not name:
                raise InputError(f"{path}: holds {', '.join(held.files[:8]) or 'nothing'}, but no array 'z'")
            if held.zip.getinfo(f"{name}.npy").file_size > LIMIT_BYTES:
                raise InputError(f"{path}: array {name!r} is larger than codes ever are")
            return np.asarray(held[name])
    except (ValueError, OSError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _csv(path: Path) -> np.ndarray:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _damaged(path, error) from error
    if not rows:
        raise InputError(f"{path}: is empty; expected columns z0, z1, ...")
    headed = not all(_is_number(cell) for cell in rows[0])
    names = rows[0] if headed else [f"z{i}" for i in range(len(rows[0]))]
    wanted = _code_columns(path, names)
    out = []
    for number, row in enumerate(rows[1:] if headed else rows, start=2 if headed else 1):
        if len(row) != len(names):
            raise InputError(f"{path}: line {number} has {len(row)} cells, the first line {len(names)}")
        for i in wanted:
            if not _is_number(row[i]):
                raise InputError(f"{path}: line {number}, column {names[i]!r}: {row[i]!r} is no number")
        out.append([float(row[i]) for i in wanted])
    return np.asarray(out, dtype=np.float64).reshape(len(out), len(wanted))


def _parquet(path: Path) -> np.ndarray:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.read_table(path)
        names = list(table.column_names)
        picked = [table.column(names[i]).to_numpy() for i in _code_columns(path, names)]
        return np.stack(picked, axis=1)
    except (ArrowException, OSError, TypeError) as error:
        raise _damaged(path, error) from error


def _jsonl(path: Path) -> np.ndarray:
    rows = []
    try:
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            row = json.loads(text)
            if not isinstance(row, dict):
                raise InputError(f"{path}: line {number} is no object")
            names = list(row)
            rows.append(row["z"] if "z" in row else [row[names[i]] for i in _code_columns(path, names)])
        return np.asarray(rows, dtype=np.float64)
    except (ValueError, TypeError, OSError, RecursionError) as error:
        raise _damaged(path, error) from error


def _h5ad(path: Path) -> np.ndarray:
    import anndata

    try:
        held = anndata.read_h5ad(path)
    except Exception as error:  # h5py raises many kinds on a damaged file
        raise _damaged(path, error) from error
    if "X_elboroom" not in held.obsm:
        raise InputError(f"{path}: obsm has no 'X_elboroom'; `elboroom encode RUN DATA --out FILE.h5ad` writes it")
    return np.asarray(held.obsm["X_elboroom"])


def _code_columns(path: Path, names: list[str]) -> list[int]:
    """Where z0, z1, ... stand, in the order of their numbers."""
    found = {int(name[1:]): i for i, name in enumerate(names) if re.fullmatch(r"z\d{1,6}", name)}
    if not found or sorted(found) != list(range(len(found))):
        raise InputError(f"{path}: expected columns z0, z1, ..., found {', '.join(names[:6])}")
    return [found[i] for i in range(len(found))]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _damaged(path: Path, error: Any) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(f"{path}: cannot be read as codes: {str(error)[:160] or type(error).__name__}")
