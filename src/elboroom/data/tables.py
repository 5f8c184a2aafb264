"""CSV and TSV with the standard library alone.

Columns of numbers are read in one pass, in chunks; columns that turn out to hold text are read again. Delimiter,
encoding, header and decimal comma are found from the file and told.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from elboroom.core.errors import InputError

from .columns import RawTable
from .content import Array
from .limits import CELL_BYTES, COLUMNS, expansion, named, readable

__all__ = ["MISSING", "read_delimited"]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>", "?", "."})
CHUNK_CELLS = 400_000
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def read_delimited(path: Path) -> RawTable:
    """A CSV or TSV file, also gzipped."""
    readable(path)
    form = _Form(path)
    names = form.names
    problems = list(form.problems)
    chunks: list[Array] = []
    bad: dict[int, tuple[int, str, int]] = {}  # column: line and cell of its first text, number of such cells
    for line, rows in form.chunks():
        numbers = np.empty((len(rows), len(names)))
        for i, cells in enumerate(zip(*rows, strict=True)):
            if i in bad and bad[i][2] > 100:
                numbers[:, i] = np.nan
                continue
            values, odd = _floats(cells, form.comma)
            numbers[:, i] = values
            if odd:
                first = bad.get(i, (line + odd[0], cells[odd[0]], 0))
                bad[i] = (first[0], first[1], first[2] + len(odd))
        chunks.append(numbers)
    if not chunks:
        raise InputError(f"{path}: the file has a header but no rows")
    numbers = np.concatenate(chunks)
    del chunks
    text = form.text(sorted(bad)) if bad else {}
    for i, (line, cell, count) in bad.items():
        known = int((~np.isnan(numbers[:, i])).sum())
        if count <= max(1, 0.05 * known) and len(np.unique(numbers[:, i])) > 20:
            raise InputError(
                f"{path}: line {line}, column {names[i]!r}: {cell!r} is no number, and {known:,} other cells of the "
                "column are; mend the cell, or leave it empty if it is missing"
            )
    return RawTable(str(path), names, numbers, text, named=form.header, problems=problems)


def _floats(cells: tuple[str, ...], comma: bool) -> tuple[Array, list[int]]:
    """The numbers of one column's cells, NaN where missing; and the places of cells that are neither."""
    if comma:
        cells = tuple(c.replace(",", ".") for c in cells)
    if "_" not in "".join(cells):  # float() would take 1_000 for a number
        try:
            return np.array(list(map(float, cells))), []
        except ValueError:
            pass
    out = np.full(len(cells), np.nan)
    odd = []
    for i, cell in enumerate(cells):
        if cell.strip().lower() in MISSING:
            continue
        try:
            if "_" in cell:
                raise ValueError
            out[i] = float(cell)
        except ValueError:
            odd.append(i)
    return out, odd


class _Form:
    """How a delimited file is written, found from its first lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self.encoding = self._encoding()
        with self._open() as file, named(path, UnicodeDecodeError, zlib.error):
            head = file.read(65536)
        if "\0" in head:
            raise InputError(f"{path}: holds NUL bytes; it is no text table")
        lines = head.splitlines()
        if not any(line.strip() for line in lines):
            raise InputError(f"{path}: the file holds no table, only blank lines")
        first = next(line for line in lines if line.strip())
        tabbed = ".tsv" in path.suffixes or ".tab" in path.suffixes
        self.delimiter = "\t" if tabbed else max(",;\t|", key=lambda d: (first.count(d), d == ","))
        rows = [r for r in csv.reader(lines[:200], delimiter=self.delimiter) if r]
        body = rows[1:] or rows
        cells = [c.strip() for r in body for c in r]
        self.comma = self.delimiter != "," and any(DECIMAL_COMMA.fullmatch(c) for c in cells)
        self.header = _floats(tuple(rows[0]), self.comma)[1] != [] or len(rows) == 1
        self.names = [c.strip() for c in rows[0]] if self.header else [f"x{i}" for i in range(len(rows[0]))]
        if len(self.names) > COLUMNS:
            raise InputError(f"{path}: {len(self.names):,} columns, above {COLUMNS:,}")
        if not self.header:
            self.problems.append("the first line holds only numbers: read without a header")
        if self.comma:
            self.problems.append("numbers are written with a decimal comma")
        if self.delimiter not in ",\t":
            self.problems.append(f"columns are separated by {self.delimiter!r}")

    def _encoding(self) -> str:
        with self._binary() as file, named(self.path, zlib.error):
            head = file.read(4)
            file.seek(0)
            if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
                return "utf-16"
            try:
                decoder = io.TextIOWrapper(file, encoding="utf-8")
                while decoder.read(2**20):
                    pass
            except UnicodeDecodeError:
                self.problems.append("the file is not UTF-8: read as Latin-1")
                return "latin-1"
        return "utf-8-sig"

    def _binary(self) -> IO[bytes]:
        if self.path.suffix != ".gz":
            return self.path.open("rb")
        stored = self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(max(0, stored - 4))  # the last four bytes of gzip are the length, modulo 2**32
            expansion(str(self.path), int.from_bytes(file.read(4), "little"), stored)
        return gzip.open(self.path)  # type: ignore[return-value]

    def _open(self) -> IO[str]:
        return io.TextIOWrapper(self._binary(), encoding=self.encoding, newline="")

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells of each row below the header."""
        csv.field_size_limit(CELL_BYTES)
        width = len(self.names)
        with self._open() as file, named(self.path, csv.Error, UnicodeDecodeError, zlib.error):
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            skip = self.header
            for row in reader:
                if not row or (len(row) == 1 and width > 1 and not row[0].strip()):
                    continue
                if skip:
                    skip = False
                    continue
                if len(row) != width:
                    raise InputError(
                        f"{self.path}: line {reader.line_num} has {len(row)} cells and the header {width}; "
                        "is a delimiter or a quote missing?"
                    )
                yield reader.line_num, row

    def chunks(self) -> Iterator[tuple[int, list[list[str]]]]:
        """Rows in chunks, with the line number of the first."""
        size = max(1, CHUNK_CELLS // len(self.names))
        chunk: list[list[str]] = []
        first = 0
        for line, row in self._rows():
            first = first if chunk else line
            chunk.append(row)
            if len(chunk) == size:
                yield first, chunk
                chunk = []
        if chunk:
            yield first, chunk

    def text(self, columns: list[int]) -> dict[int, Array]:
        """These columns as text, None where missing."""
        found: dict[int, list[str | None]] = {i: [] for i in columns}
        for _, row in self._rows():
            for i in columns:
                cell = row[i].strip()
                found[i].append(None if cell.lower() in MISSING else cell)
        return {i: np.array(values, dtype=object) for i, values in found.items()}
