"""Arrays, from .npy and .npz files or from memory: images or a table, by their axes and values.

Files are never unpickled. A .npy is mapped, so that nothing is read before it is needed; members of a .npz are checked
by their headers before they are unpacked.
"""

from __future__ import annotations

import dataclasses
import math
import struct
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from elboroom.core.errors import InputError

from .columns import RawTable, encode_labels
from .content import Array, Content, Csr
from .limits import RATIO_HDF5, expansion, named, readable
from .pixels import fit_pixels, pixels
from .reading import Reading
from .sparse import csr_from_parts
from .storage import allocate

__all__ = ["read_array", "table_or_images"]

X_NAMES = ("x", "X", "images", "imgs", "data", "arr_0")
Y_NAMES = ("y", "Y", "label", "labels", "target", "targets")
COLUMN_NAMES = ("genes", "var_names", "columns", "feature_names", "features", "names")
FACTOR_NAMES = ("factors", "latents_classes")


def read_array(path: Path, reading: Reading, white: float | None) -> Content | RawTable:
    """A .npy or .npz file."""
    readable(path)
    if path.suffix == ".npy":
        return table_or_images(_npy(path), str(path), reading, white)
    arrays, problems = _npz(path)
    found = _from_arrays(arrays, path, reading, white)
    found.problems[:0] = problems
    return found


def table_or_images(
    x: Array, where: str, reading: Reading, white: float | None = None, label: Array | None = None
) -> Content | RawTable:
    """(n, columns) is a table; (n, height, width), with channels first or last, are images; `--kind` overrides it."""
    if x.dtype.kind not in "biuf":
        raise InputError(f"{where}: holds values of type {x.dtype}; numbers are needed")
    if x.ndim < 2:
        raise InputError(f"{where}: has shape {x.shape}; a table has two axes and images three or four")
    if 0 in x.shape:
        raise InputError(f"{where}: has shape {x.shape}: there are no values in it")
    kind = reading.kind if reading.kind != "auto" else "table" if x.ndim == 2 else "images"
    if kind == "table":
        flat = x.reshape(len(x), -1)
        return RawTable(where, [f"x{i}" for i in range(flat.shape[1])], flat, named=False, label=label)
    x = _image_axes(x, where, reading)
    raw, top, problems = pixels(x, where, white)
    content = Content("images", raw, white=top, problems=problems)
    if label is not None:
        content.label, content.classes = encode_labels(label, f"{where}: labels")
        if len(content.label) != len(x):
            raise InputError(f"{where}: {len(content.label):,} labels for {len(x):,} images")
    return fit_pixels(content, where, reading)


def _image_axes(x: Array, where: str, reading: Reading) -> Array:
    """(n, channels, height, width), as a view."""
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        height, width = reading.size or (side, side)
        if height * width != x.shape[1]:
            raise InputError(f"{where}: {x.shape[1]} values a row are no square image; say --size HEIGHTxWIDTH")
        return x.reshape(len(x), 1, height, width)
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] in (1, 3):
        return x
    if x.ndim == 4 and x.shape[-1] in (1, 3):
        return np.moveaxis(x, -1, 1)
    raise InputError(
        f"{where}: has shape {x.shape}; images are (n, height, width), or have 1 or 3 channels as second or last axis"
    )


def _npy(path: Path) -> Array:
    with named(path, ValueError, SyntaxError, OverflowError):
        with path.open("rb") as file:
            shape, _, dtype = _header(file, str(path))
        size = math.prod(shape) * dtype.itemsize
        stored = path.stat().st_size
        if size > stored:
            raise InputError(f"{path}: declares {size:,} bytes but holds {stored:,}; it is damaged or cut short")
        if 0 in shape:
            raise InputError(f"{path}: has shape {shape}: there are no values in it")
        if not shape:
            return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]


def _header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type that a .npy declares; what could run code when read is refused."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise InputError(f"{where}: is of .npy version {version[0]}.{version[1]}; save it as plain numbers again")
    try:
        shape, fortran, dtype = read(file)
    except (ValueError, SyntaxError, TokenError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{where}: its header is damaged: {' '.join(str(error).split())[:200]}") from error
    if dtype.hasobject:
        raise InputError(f"{where}: holds Python objects, which can run code when read; save plain numbers")
    if min(shape, default=1) < 0:
        raise InputError(f"{where}: declares the shape {shape}; the file is damaged")
    return shape, fortran, dtype


def _npz(path: Path) -> tuple[dict[str, Array], list[str]]:
    """Every plain array in the archive, and what was left out."""
    out: dict[str, Array] = {}
    problems = []
    with (
        named(
            path,
            zipfile.BadZipFile,
            ValueError,
            zlib.error,
            NotImplementedError,
            struct.error,
            SyntaxError,
            RuntimeError,
        ),
        zipfile.ZipFile(path) as archive,
    ):
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            where = f"{path}: {name}"
            if not info.filename.endswith(".npy") or name in out:
                raise InputError(f"{path}: holds {info.filename!r}; an .npz holds each array once, as .npy")
            expansion(where, info.file_size, info.compress_size, RATIO_HDF5)
            with archive.open(info) as file:
                try:
                    shape, fortran, dtype = _header(file, where)
                except InputError as error:
                    problems.append(f"array {name!r} was left out: {str(error).removeprefix(where + ': ')}")
                    continue
                out[name] = _member(file, where, shape, fortran, dtype, info.file_size)
    if not out:
        raise InputError(f"{path}: holds no plain arrays" + (f"; {problems[0]}" if problems else ""))
    return out, problems


def _member(
    file: IO[bytes], where: str, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any], declared: int
) -> Array:
    size = math.prod(shape) * dtype.itemsize
    if size > declared:
        raise InputError(f"{where}: declares {size:,} bytes but holds {declared:,}; the file is damaged")
    out = allocate(shape[::-1] if fortran else shape, dtype, where)
    flat = out.reshape(-1).view(np.uint8)
    at = 0
    while at < size:
        part = file.read(min(2**22, size - at))
        if not part:
            raise InputError(f"{where}: ends after {at:,} of {size:,} bytes; the file is cut short")
        flat[at : at + len(part)] = np.frombuffer(part, np.uint8)
        at += len(part)
    file.read(1)  # at the end of a member its checksum is verified
    return out.T if fortran else out


def _from_arrays(arrays: dict[str, Array], path: Path, reading: Reading, white: float | None) -> Content | RawTable:
    """What the arrays of one file mean together."""
    where = str(path)
    if {"data", "indices", "indptr", "shape"} <= set(arrays):
        form = arrays["format"].item() if "format" in arrays else b""
        x: Array | Csr = csr_from_parts(
            where,
            arrays["data"],
            arrays["indices"],
            arrays["indptr"],
            tuple(int(n) for n in arrays["shape"]),
            form.decode() if isinstance(form, bytes) else str(form),
        )
        return _named_table(RawTable(where, [], x, named=False), arrays, reading)
    if {"x_train", "x_test"} <= set(arrays):
        return _own_parts(arrays, where, reading, white)
    name = next((n for n in X_NAMES if n in arrays), None)
    if name is None:
        wide = [n for n, a in arrays.items() if a.ndim >= 2 and a.dtype.kind in "biuf"]
        if len(wide) != 1:
            raise InputError(f"{where}: holds the arrays {', '.join(arrays)}; call the one to read 'x'")
        name = wide[0]
    found = table_or_images(arrays[name], where, reading, white)
    n = len(arrays[name])
    others = {k: v for k, v in arrays.items() if k != name and v.ndim >= 1 and len(v) == n}
    for key in Y_NAMES:
        if key in arrays and key not in others and arrays[key].ndim == 1:
            raise InputError(
                f"{where}: {len(arrays[key]):,} labels in {key!r} for {n:,} rows in {name!r}; give one a row"
            )
    if isinstance(found, RawTable):
        return _named_table(found, arrays, reading)
    label = _label(others, where, reading)
    if label is not None:
        found.label, found.classes = encode_labels(label, f"{where}: labels")
    for key in FACTOR_NAMES:
        if key in others and others[key].ndim == 2 and others[key].dtype.kind in "iu":
            values = others[key].astype(np.int64)
            found.beside["factors"] = values
            names = arrays.get("factor_names", np.array([f"factor_{i}" for i in range(values.shape[1])]))
            sizes = values.max(axis=0) + 1
            found.factors = tuple((str(name), int(size)) for name, size in zip(names, sizes, strict=False))
            break
    return found


def _label(others: dict[str, Array], where: str, reading: Reading) -> Array | None:
    if reading.label:
        if reading.label not in others:
            raise InputError(f"{where}: --label {reading.label}: there is no such array with one label a row")
        return others[reading.label]
    return next((others[n] for n in Y_NAMES if n in others and others[n].ndim == 1), None)


def _named_table(table: RawTable, arrays: dict[str, Array], reading: Reading) -> RawTable:
    """Column names, row names and labels that lie beside the numbers."""
    n, width = table.numbers.shape
    texts = {k: v for k, v in arrays.items() if v.ndim == 1 and v.dtype.kind in "US"}
    names = [k for k in COLUMN_NAMES if k in texts and len(texts[k]) == width]
    names += [k for k, v in texts.items() if k not in names and len(v) == width and width != n]
    if names:
        table.names, table.named = [str(v) for v in texts[names[0]]], True
    else:
        table.names = [f"x{i}" for i in range(width)]
    label = next((arrays[k] for k in Y_NAMES if k in arrays and arrays[k].shape == (n,)), None)
    table.beside = {k: v for k, v in arrays.items() if v.shape == (n,) and k not in ("data", "indices", "indptr")}
    table.identifiers = {k: v for k, v in texts.items() if len(v) == n and k not in names and k not in Y_NAMES}
    if label is not None and not reading.label:
        table.label = label
    return table


def _own_parts(arrays: dict[str, Array], where: str, reading: Reading, white: float | None) -> Content | RawTable:
    """x_train, y_train, x_test, y_test in one file."""
    train, test = arrays["x_train"], arrays["x_test"]
    if train.shape[1:] != test.shape[1:]:
        raise InputError(f"{where}: x_train has rows of shape {train.shape[1:]} and x_test of {test.shape[1:]}")
    label = np.concatenate([arrays["y_train"], arrays["y_test"]]) if {"y_train", "y_test"} <= set(arrays) else None
    found = table_or_images(np.concatenate([train, test]), where, reading, white, label)
    own = np.repeat(np.array([0, 2], np.int8), [len(train), len(test)])
    return dataclasses.replace(found, own=own)
