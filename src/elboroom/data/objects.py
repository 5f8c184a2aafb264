"""Data given from memory: numpy, scipy sparse, torch, pandas, polars, AnnData, a torch Dataset, an (X, y) pair; texts;
a list of dicts, one a row.

A library is recognised by the module of the object's class, so that none is imported to be told apart. Inputs are never
changed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from elboroom.core.errors import InputError

from .arrays import table_or_images
from .columns import RawTable, encode_labels
from .content import Array, Content
from .corpus import Corpus, given_texts
from .limits import CLASSES
from .reading import Reading
from .sparse import csr_from_scipy

__all__ = ["from_object"]

WHERE = "the data given"


def from_object(source: Any, reading: Reading, white: float | None = None) -> Content | RawTable | Corpus:
    """What an object holds; `white` is that of a run for which new images are given."""
    label = None
    if isinstance(source, tuple):
        if len(source) != 2:
            raise InputError(f"a tuple of {len(source)} was given; data with labels are a pair (X, y)")
        source, label = source[0], _plain(source[1])
    if _is_text(source):
        if label is not None:
            raise InputError(f"{WHERE}: texts carry no labels; give the texts alone")
        return given_texts(source, WHERE, strict=reading.strict)
    found = _found(source, reading, white)
    if label is not None:
        found = _with_label(found, label)
    return found


def _is_text(source: Any) -> bool:
    """Whether these are texts: a list, an array or a column (n,) that begins with one."""
    if type(source).__module__.partition(".")[0] in ("pandas", "polars"):
        return not hasattr(source, "columns") and len(source) > 0 and isinstance(source.to_list()[0], str)
    return isinstance(source, list | np.ndarray) and len(source) > 0 and isinstance(source[0], str)


def _found(source: Any, reading: Reading, white: float | None) -> Content | RawTable:
    library = type(source).__module__.partition(".")[0]
    if library == "scipy" and hasattr(source, "tocsr"):
        x = csr_from_scipy(WHERE, source)
        if not len(x):
            raise InputError(f"{WHERE}: the sparse table has no rows")
        return RawTable(WHERE, [f"x{i}" for i in range(x.shape[1])], x, named=False)
    if library == "anndata":
        return _annotated(source)
    if library in ("pandas", "polars"):
        if not hasattr(source, "columns"):
            raise InputError(f"{WHERE}: a {library} {type(source).__name__} has one column; give a DataFrame")
        return _frame(source, library)
    if isinstance(source, torch.utils.data.Dataset):
        return _dataset(source, reading, white)
    if isinstance(source, list) and source and all(isinstance(row, dict) for row in source):
        return _records(source)
    if isinstance(source, torch.Tensor | np.ndarray | list) or hasattr(source, "__array__"):
        return table_or_images(_plain(source), WHERE, reading, white)
    raise InputError(
        f"data of type {type(source).__name__} cannot be read; give a path, a name, an array, a tensor, a DataFrame, "
        "an AnnData, a torch Dataset or a pair (X, y)"
    )


def _plain(source: Any) -> Array:
    """As a numpy array."""
    if isinstance(source, torch.Tensor):
        if source.is_sparse or source.layout != torch.strided:
            source = source.to_dense()
        source = source.detach().cpu()
        return np.asarray(source.float() if source.dtype == torch.bfloat16 else source)
    try:
        out = np.asarray(source)
    except ValueError as error:
        raise InputError(f"{WHERE}: the rows are not all of one shape") from error
    if isinstance(out, np.ma.MaskedArray):
        out = np.asarray(out.filled(np.nan))
    if out.dtype.kind == "O" and out.ndim >= 2:
        try:
            out = out.astype(np.float64)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{WHERE}: not every cell is a number: {error}; mixed columns are read from a DataFrame"
            ) from error
    return out


def _with_label(found: Content | RawTable, label: Array) -> Content | RawTable:
    n = len(found) if isinstance(found, Content) else found.numbers.shape[0]
    if label.shape != (n,):
        raise InputError(f"{n:,} rows and labels of shape {label.shape}: one label a row is needed")
    if isinstance(found, RawTable):
        return dataclasses.replace(found, label=label)
    codes, classes = encode_labels(label, "the labels given")
    return dataclasses.replace(found, label=codes, classes=classes)


def _frame(frame: Any, library: str) -> RawTable:
    """A DataFrame: numbers as they are, texts and categories as text, the index as row names where it has any."""
    names = [str(n) for n in frame.columns]
    n = len(frame)
    if n == 0 or not names:
        raise InputError(f"{WHERE}: the DataFrame has {n} rows and {len(names)} columns")
    numbers = np.zeros((n, len(names)))
    text: dict[int, Array] = {}
    for i, name in enumerate(names):
        column = frame.iloc[:, i] if library == "pandas" else frame.to_series(i)
        values = _column(column, library)
        if values is None:
            text[i] = _texts(column, library, name)
        else:
            numbers[:, i] = values
    identifiers = {}
    if library == "pandas" and frame.index.dtype.kind == "O":
        identifiers[str(frame.index.name or "index")] = np.array([str(v) for v in frame.index], dtype=object)
    return RawTable(WHERE, names, numbers, text, identifiers=identifiers)


def _records(rows: list[dict[Any, Any]]) -> RawTable:
    """A list of dicts, one a row, cells by column: numbers, or texts; None, or a column left out, is missing."""
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    if not names:
        raise InputError(f"{WHERE}: the rows have no columns")
    numbers, text = np.full((len(rows), len(names)), np.nan), dict[int, Array]()
    for slot, name in enumerate(names):
        cells = [row.get(name) for row in rows]
        texts = [i for i, cell in enumerate(cells) if isinstance(cell, str)]
        lost = [i for i, cell in enumerate(cells) if not isinstance(cell, str | int | float | np.number | None)]
        given = sum(cell is not None for cell in cells)
        if lost or (texts and len(texts) < given):
            i = lost[0] if lost else texts[0]
            raise InputError(f"{WHERE}: row {i}, column {name!r}: {cells[i]!r} is not like the column's other cells")
        if texts:
            text[slot], numbers[:, slot] = np.array(cells, dtype=object), 0
        else:
            numbers[:, slot] = [np.nan if cell is None else float(cell) for cell in cells]
    return RawTable(WHERE, names, numbers, text)


def _column(column: Any, library: str) -> Array | None:
    """The numbers of a column, missing as NaN; None where it holds something else."""
    if library == "polars":
        kind = column.dtype
        if not (kind.is_numeric() or str(kind) == "Boolean"):
            return None
        return np.array([np.nan if v is None else float(v) for v in column.to_list()])
    if column.dtype.name == "category" or column.dtype.kind in "mMc":
        return None
    if column.dtype.kind == "O" and any(isinstance(v, str) for v in column):
        _one_kind(column)
        return None
    try:
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    except (ValueError, TypeError):
        return None


def _one_kind(column: Any) -> None:
    """Refuse texts among numbers: they are mistakes, or numbers that were never converted."""
    texts = [i for i, v in enumerate(column) if isinstance(v, str)]
    numbers = sum(isinstance(v, int | float) and v == v for v in column)
    if numbers > len(texts):
        raise InputError(
            f"{WHERE}: row {texts[0]}, column {column.name!r}: {column.iloc[texts[0]]!r} is text among {numbers:,} "
            "numbers; mend the cell, or make it missing"
        )


def _texts(column: Any, library: str, name: str) -> Array:
    if library == "pandas" and column.dtype.kind == "c":
        raise InputError(f"{WHERE}: column {name!r} holds complex numbers; split them into two columns")
    values = column.to_list() if library == "polars" else column.tolist()
    lost = column.is_null().to_list() if library == "polars" else column.isna().tolist()
    return np.array([None if gone else str(v) for v, gone in zip(values, lost, strict=True)], dtype=object)


def _annotated(source: Any) -> RawTable:
    """An AnnData: X, var_names, obs_names, and obs to take labels from."""
    x = source.X
    if x is None:
        raise InputError(f"{WHERE}: the AnnData has no X; copy the layer to use into X")
    library = type(x).__module__.partition(".")[0]
    numbers = csr_from_scipy(WHERE, x) if library == "scipy" else np.asarray(x)
    beside = {}
    for name in source.obs.columns:
        values = _column(source.obs[name], "pandas")
        beside[str(name)] = _texts(source.obs[name], "pandas", str(name)) if values is None else values
    identifiers = {"obs": np.array([str(v) for v in source.obs_names], dtype=object)}
    return RawTable(WHERE, [str(v) for v in source.var_names], numbers, identifiers=identifiers, beside=beside)


def _dataset(source: Any, reading: Reading, white: float | None) -> Content | RawTable:
    """A torch Dataset of x, or of (x, y, ...): read once, item by item."""
    if isinstance(source, torch.utils.data.TensorDataset):
        tensors = source.tensors
        found = table_or_images(_plain(tensors[0]), WHERE, reading, white)
        whole = len(tensors) > 1 and tensors[1].ndim == 1 and not tensors[1].is_floating_point()
        return _with_label(found, _plain(tensors[1])) if whole else found
    if not hasattr(source, "__len__"):
        raise InputError(f"{WHERE}: an iterable Dataset has no length; give one with __len__ and __getitem__")
    xs, ys = [], []
    for i in range(len(source)):
        item = source[i]
        pair = isinstance(item, tuple | list) and len(item) > 1
        xs.append(_plain(item[0] if isinstance(item, tuple | list) else item))
        if pair:
            ys.append(item[1].item() if isinstance(item[1], torch.Tensor) and item[1].ndim == 0 else item[1])
    if not xs:
        raise InputError(f"{WHERE}: the Dataset has no items")
    if len({x.shape for x in xs}) > 1:
        raise InputError(f"{WHERE}: the items are not all of one shape")
    if len(ys) == len(xs) and all(isinstance(y, int | str | np.integer) for y in ys) and len(set(ys)) <= CLASSES:
        return _with_label(table_or_images(np.stack(xs), WHERE, reading, white), np.array(ys))
    return table_or_images(np.stack(xs), WHERE, reading, white)
