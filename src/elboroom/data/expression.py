"""Gene expression files: .h5ad (AnnData), .h5 with X and Y, .gct (genes in rows, so it is turned).

HDF5 files may point at other files; links, external storage and virtual data sets are refused, and sizes are checked
against what is stored before anything is read.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from elboroom.core.errors import InputError

from .columns import RawTable
from .content import Array, Csr
from .limits import COLUMNS, RATIO_HDF5, expansion, named, readable
from .sparse import csr_from_parts
from .storage import RESIDENT_BYTES, allocate
from .tables import MISSING

__all__ = ["read_gct", "read_hdf5"]

FILTERS = {1, 2, 3, 4, 5, 6, 32000}
"""deflate, shuffle, fletcher32, szip, nbit, scaleoffset, lzf: those that come with the library."""
BLOCK_CELLS = 4_000_000
X_NAMES = ("X", "x", "data", "counts")
Y_NAMES = ("Y", "y", "label", "labels")
COLUMN_NAMES = ("genes", "gene_names", "var_names", "features")
ABSENT = MISSING | {"-666"}


def read_hdf5(path: Path) -> RawTable:
    """An .h5ad, or an .h5 with a matrix X and, where there is one, labels Y."""
    try:
        import h5py
    except ImportError as error:
        raise InputError("reading HDF5 needs h5py: pip install 'elboroom[bio]'") from error
    readable(path)
    with named(path, KeyError, RuntimeError, ValueError, TypeError, AttributeError), h5py.File(path, "r") as file:
        group = _Group(file, str(path), h5py)
        return _annotated(group) if "obs" in file and "var" in file else _plain(group)


class _Group:
    """A group of an HDF5 file that gives only what lies in the file itself."""

    def __init__(self, group: Any, where: str, h5py: Any) -> None:
        self.group = group
        self.where = where
        self.h5py = h5py

    def __contains__(self, name: str) -> bool:
        return name in self.group.keys()  # noqa: SIM118  `in group` would follow links

    def attribute(self, name: str, default: str = "") -> str:
        value = self.group.attrs.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def child(self, name: str) -> Any:
        """The object of that name, as `_Group` or as a checked data set."""
        where = f"{self.where}: {name}"
        if name not in self:
            raise InputError(f"{where}: is not in the file")
        if not isinstance(self.group.get(name, getlink=True), self.h5py.HardLink):
            raise InputError(f"{where}: is a link; a file that points elsewhere is refused")
        found = self.group[name]
        if isinstance(found, self.h5py.Group):
            return _Group(found, where, self.h5py)
        if found.is_virtual or found.external:
            raise InputError(f"{where}: keeps its values in another file; such a file is refused")
        plist = found.id.get_create_plist()
        used = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
        if not used <= FILTERS:
            raise InputError(f"{where}: is compressed by a plug-in (filter {min(used - FILTERS)}); store it with gzip")
        expansion(
            where, found.size * found.dtype.itemsize if found.shape else 0, found.id.get_storage_size(), RATIO_HDF5
        )
        return found

    def array(self, name: str) -> Array:
        """A data set as an array; text as str."""
        found = self.child(name)
        if isinstance(found, _Group):
            raise InputError(f"{found.where}: is a group; an array is needed")
        if self.h5py.check_string_dtype(found.dtype) is not None:
            return np.array(found.asstr()[()], dtype=object)
        return np.asarray(found[()])


def _matrix(found: Any, where: str) -> Array | Csr:
    """X, dense or sparse."""
    if isinstance(found, _Group):
        form = found.attribute("encoding-type").removesuffix("_matrix").removesuffix("_array")
        shape = found.group.attrs.get("shape", found.group.attrs.get("h5sparse_shape"))
        if shape is None or "data" not in found:
            raise InputError(f"{where}: is a group but no sparse table")
        parts = (found.array("data"), found.array("indices"), found.array("indptr"))
        return csr_from_parts(where, *parts, tuple(int(n) for n in shape), form)
    if len(found.shape) != 2 or 0 in found.shape:
        raise InputError(f"{where}: has shape {found.shape}; a table has two axes and at least one cell")
    if found.dtype.kind not in "biuf":
        raise InputError(f"{where}: holds values of type {found.dtype}; numbers are needed")
    if found.shape[1] > COLUMNS:
        raise InputError(f"{where}: {found.shape[1]:,} columns, above {COLUMNS:,}")
    out = allocate(found.shape, found.dtype.newbyteorder("="), where)
    if out.nbytes <= RESIDENT_BYTES:
        found.read_direct(out)
        return out
    chunk = found.chunks[0] if found.chunks else 1
    step = max(1, BLOCK_CELLS // found.shape[1] // chunk) * chunk  # a chunk is unpacked whole, so never twice
    for at in range(0, len(out), step):
        out[at : at + step] = found[at : at + step]
    return out


def _plain(group: _Group) -> RawTable:
    name = next((n for n in X_NAMES if n in group), None)
    if name is None:
        raise InputError(
            f"{group.where}: holds {', '.join(group.group.keys()) or 'nothing'}; the table must be called X"
        )
    x = _matrix(group.child(name), f"{group.where}: {name}")
    n, width = x.shape
    table = RawTable(group.where, [f"x{i}" for i in range(width)], x, named=False)
    for key in group.group.keys():  # noqa: SIM118
        if key == name or isinstance(group.group.get(key, getclass=True, getlink=False), type(group.group)):
            continue
        found = group.child(key)
        if isinstance(found, _Group):
            continue
        if key in Y_NAMES and found.shape == (n,):
            table.label = table.beside[key] = group.array(key)
        elif found.shape == (n,):
            table.beside[key] = group.array(key)
        elif key in COLUMN_NAMES and found.shape == (width,):
            table.names, table.named = [str(v) for v in group.array(key)], True
    return table


def _annotated(group: _Group) -> RawTable:
    if "X" not in group:
        raise InputError(f"{group.where}: has no X; write the layer to use into X")
    x = _matrix(group.child("X"), f"{group.where}: X")
    rows, beside = _frame(group.child("obs"))
    columns, _ = _frame(group.child("var"))
    for name, given, size in (("obs", rows, x.shape[0]), ("var", columns, x.shape[1])):
        if given is not None and len(given) != size:
            raise InputError(f"{group.where}: {name} names {len(given):,}, but X has shape {x.shape}")
    names = [f"x{i}" for i in range(x.shape[1])] if columns is None else [str(c) for c in columns]
    return RawTable(
        group.where,
        names,
        x,
        named=columns is not None,
        identifiers={} if rows is None else {"obs": np.array([str(r) for r in rows], dtype=object)},
        beside=beside,
    )


def _frame(frame: Any) -> tuple[Array | None, dict[str, Array]]:
    """The index and the plain columns of obs or var."""
    if not isinstance(frame, _Group):  # written before 2020: one compound array
        table = frame[()]
        names = list(table.dtype.names or ())
        columns = {n: _decoded(table[n]) for n in names}
        return (columns.pop("index", None) if "index" in columns else columns.pop("_index", None)), columns
    index = frame.attribute("_index", "_index")
    out: dict[str, Array] = {}
    for name in frame.group.keys():  # noqa: SIM118
        child = frame.child(name)
        if not isinstance(child, _Group):
            out[name] = frame.array(name)
        elif "codes" in child and "categories" in child:
            codes, kinds = child.array("codes").astype(np.int64), child.array("categories")
            if codes.size and (codes.max() >= len(kinds) or codes.min() < -1):
                raise InputError(f"{child.where}: its codes name categories that are not there")
            out[name] = np.array([None if c < 0 else kinds[c] for c in codes], dtype=object)
    return out.pop(index, None), {k: v for k, v in out.items() if v.ndim == 1}


def _decoded(values: Array) -> Array:
    if values.dtype.kind == "S":
        return np.array([v.decode("utf-8", "replace") for v in values], dtype=object)
    return values


def read_gct(path: Path) -> RawTable:
    """GCT 1.2 and 1.3; samples become rows, their annotations can be labels or groups."""
    readable(path)
    with named(path, UnicodeDecodeError, zlib.error), _text(path) as file:
        version = file.readline().strip()
        if version not in ("#1.2", "#1.3"):
            raise InputError(f"{path}: line 1 is {version[:20]!r}; a .gct begins with #1.2 or #1.3")
        counts = file.readline().split()
        if len(counts) != (2 if version == "#1.2" else 4) or not all(c.isdecimal() for c in counts):
            raise InputError(
                f"{path}: line 2 must give the numbers of rows and columns, found {' '.join(counts)[:40]!r}"
            )
        genes, samples, about_genes, about_samples = [*map(int, counts), 1, 0][:4]
        stored = path.stat().st_size * (100 if path.suffix == ".gz" else 1)
        if genes * samples > stored or samples < 1 or not 1 <= genes <= COLUMNS:
            raise InputError(f"{path}: line 2 declares {genes:,} x {samples:,} values, which the file cannot hold")
        head = _cells(file, path, 3, 1 + about_genes + samples)
        beside = {}
        for i in range(about_samples):
            name, *values = _cells(file, path, 4 + i, len(head))
            beside[name] = _annotation(values[about_genes:])
        x = np.empty((samples, genes))
        names = []
        for i in range(genes):
            line = 4 + about_samples + i
            cells = _cells(file, path, line, len(head))
            names.append(cells[0])
            x[:, i] = [_number(c, path, line, s) for c, s in zip(cells[-samples:], head[-samples:], strict=True)]
    identifiers = {"id": np.array(head[-samples:], dtype=object)}
    return RawTable(str(path), names, x, identifiers=identifiers, beside=beside)


def _text(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")


def _cells(file: IO[str], path: Path, line: int, width: int) -> list[str]:
    text = file.readline()
    if not text:
        raise InputError(f"{path}: ends before line {line}; it is cut short")
    cells = text.rstrip("\r\n").split("\t")
    if len(cells) != width:
        raise InputError(f"{path}: line {line} has {len(cells)} cells, expected {width}")
    return cells


def _annotation(values: list[str]) -> Array:
    return np.array([None if v.lower() in ABSENT else v for v in values], dtype=object)


def _number(cell: str, path: Path, line: int, sample: str) -> float:
    if cell.strip().lower() in MISSING:
        return np.nan
    try:
        return float(cell)
    except ValueError:
        raise InputError(f"{path}: line {line}, column {sample!r}: {cell!r} is no number") from None
