"""Parquet: one file or a folder of shards, read batch by batch; a table, or a column of encoded images.

What is read is written straight into its final place, in memory or, when it is large, in a mapped scratch file, so that
the whole is never held twice and shards larger than memory can be trained on.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.core.errors import InputError
from elboroom.core.spec import Spec

from .columns import RawTable, encode_labels
from .content import Array, Content
from .images import Picture, decode_all
from .limits import COLUMNS, RATIO_HDF5, expansion, named, readable
from .reading import Reading
from .storage import RESIDENT_BYTES, allocate

__all__ = ["read_parquet"]

BATCH_CELLS = 2_000_000
BATCH_IMAGES = 512


def read_parquet(paths: list[Path], reading: Reading, like: Spec | None) -> Content | RawTable:
    """Shards in the order of their names; all must have the same columns."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise InputError("reading Parquet needs pyarrow: pip install 'elboroom[data]'") from error
    where = str(paths[0] if len(paths) == 1 else paths[0].parent)
    for path in paths:
        readable(path)
        with named(path, arrow.ArrowException, ValueError):
            file = parquet.ParquetFile(path)
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            expansion(str(path), sum(g.total_byte_size for g in groups), path.stat().st_size, RATIO_HDF5)
            if path == paths[0]:
                schema = file.schema_arrow
            elif not schema.equals(file.schema_arrow):
                raise InputError(f"{path}: its columns are not those of {paths[0].name}")
            file.close()
    if len(schema.names) > COLUMNS:
        raise InputError(f"{where}: {len(schema.names):,} columns, above {COLUMNS:,}")
    shards = _Shards(paths, parquet, arrow)
    image = _image_column(schema, arrow)
    if image and reading.kind != "table":
        return _images(shards, image, schema, where, reading, like)
    return _table(shards, schema, where, arrow)


class _Shards:
    """The rows of all files, batch by batch."""

    def __init__(self, paths: list[Path], parquet: Any, arrow: Any) -> None:
        self.paths = paths
        self.parquet = parquet
        self.arrow = arrow
        self.rows = sum(parquet.read_metadata(p).num_rows for p in paths)

    def batches(self, columns: list[str], rows: int) -> Iterator[Any]:
        for path in self.paths:
            with named(path, self.arrow.ArrowException, ValueError), self.parquet.ParquetFile(path) as file:
                yield from file.iter_batches(batch_size=max(1, rows), columns=columns)


def _image_column(schema: Any, arrow: Any) -> str:
    """The column of encoded images: bytes, or a record with a field `bytes`; "" where there is none."""
    for field in schema:
        kind = field.type
        if arrow.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            return str(field.name)
        if (arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind)) and len(schema.names) <= 10:
            return str(field.name)
    return ""


def _images(shards: _Shards, image: str, schema: Any, where: str, reading: Reading, like: Spec | None) -> Content:
    """Encoded pictures, decoded shard by shard."""
    name = reading.label or next((n for n in ("label", "labels", "class", "y") if n in schema.names), "")
    if name and name not in schema.names:
        raise InputError(f"{where}: --label {name}: there is no such column; columns: {', '.join(schema.names)}")
    if not shards.rows:
        raise InputError(f"{where}: holds no rows")
    content, kept = decode_all(lambda: _pictures(shards, image), where, reading, like)
    if name:
        labels = [value for batch in shards.batches([name], BATCH_CELLS) for value in batch.column(0).to_pylist()]
        values = np.array([labels[int(row.removeprefix("row "))] for row in kept])
        content.label, content.classes = encode_labels(values, f"{where}: column {name!r}")
    return content


def _pictures(shards: _Shards, image: str) -> Iterator[list[Picture]]:
    """The encoded images, batch by batch, named by their row."""
    at = 0
    for batch in shards.batches([image], BATCH_IMAGES):
        values = [v.get("bytes") if isinstance(v, dict) else v for v in batch.column(0).to_pylist()]
        yield [Picture(f"row {at + i}", partial(io.BytesIO, data or b"")) for i, data in enumerate(values)]
        at += len(values)


def _table(shards: _Shards, schema: Any, where: str, arrow: Any) -> RawTable:
    """Numbers into one array, the rest as text."""
    texts, types = _types(schema, where, arrow)
    names = [str(n) for n in schema.names]
    size = shards.rows * len(names)
    dtype = np.result_type(*types) if types else np.dtype(np.float64)
    if dtype.kind in "iu" and dtype.itemsize > 4:
        dtype = np.dtype(np.float64)
    nulls = any(f.nullable for f in schema) and dtype.kind in "iu" and _has_nulls(shards, names, texts)
    if nulls or (texts and dtype.kind != "f"):
        dtype = np.result_type(dtype, np.float32)
    if size * dtype.itemsize > RESIDENT_BYTES and dtype == np.float64:
        dtype = np.dtype(np.float32)
    out = allocate((shards.rows, len(names)), dtype, where)
    found: dict[int, list[Array]] = {i: [] for i in texts}
    at = 0
    for batch in shards.batches(names, BATCH_CELLS // max(1, len(names))):
        for i in range(len(names)):
            column = batch.column(i)
            if i in texts:
                found[i].append(np.array([None if v is None else str(v) for v in column.to_pylist()], dtype=object))
            else:
                if arrow.types.is_boolean(column.type):
                    column = column.cast(arrow.uint8())
                out[at : at + len(batch), i] = column.to_numpy(zero_copy_only=False)
        at += len(batch)
    if at != shards.rows:
        raise InputError(f"{where}: declares {shards.rows:,} rows but holds {at:,}; the file is damaged")
    text = {i: np.concatenate(parts) if parts else np.empty(0, object) for i, parts in found.items()}
    return RawTable(where, names, out, text)


def _types(schema: Any, where: str, arrow: Any) -> tuple[set[int], list[np.dtype[Any]]]:
    """Which columns are text, and the types of the others."""
    texts: set[int] = set()
    types: list[np.dtype[Any]] = []
    for i, field in enumerate(schema):
        kind = field.type
        if arrow.types.is_boolean(kind):
            types.append(np.dtype(np.uint8))
        elif arrow.types.is_integer(kind) or arrow.types.is_floating(kind):
            types.append(np.dtype(kind.to_pandas_dtype()))
        elif arrow.types.is_decimal(kind) or arrow.types.is_null(kind):
            types.append(np.dtype(np.float64))
        elif any(is_text(kind) for is_text in _text_tests(arrow.types)):
            texts.add(i)
        else:
            raise InputError(f"{where}: column {field.name!r} holds {kind}; numbers, text or images are needed")
    return texts, types


def _text_tests(types: Any) -> tuple[Any, ...]:
    return types.is_string, types.is_large_string, types.is_dictionary, types.is_temporal


def _has_nulls(shards: _Shards, names: list[str], texts: set[int]) -> bool:
    numeric = [n for i, n in enumerate(names) if i not in texts]
    return any(
        c.null_count for batch in shards.batches(numeric, BATCH_CELLS // max(1, len(numeric))) for c in batch.columns
    )
