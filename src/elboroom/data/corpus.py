"""Text: files, folders, .jsonl, a column of a .csv, or strings from memory, as a corpus of documents.

What counts is what the bytes say, never the ending. Characters are kept as they are, line ends too; only a byte order
mark is no part of a text. What had to be guessed, replaced or left out is told.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elboroom.core.errors import InputError, nearest

from .limits import FILES, named, readable
from .tokenizers import SURROGATES

__all__ = ["COLUMNED", "TEXT_ENDINGS", "Corpus", "corpus", "given_texts", "holds_text", "read_text"]

TEXT_ENDINGS = (".txt", ".text", ".md", ".markdown", ".rst", ".jsonl", ".ndjson")
"""Read as text without being told to; any other ending needs `--kind text`."""
LINES = (".jsonl", ".ndjson")
TABLES = (".csv", ".tsv")
COLUMNED = LINES + TABLES
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
HEAD = 2**16
CELL = 2**30
FIELD = "text"
"""The field of a .jsonl line, or column of a .csv, that is taken where several hold text."""


@dataclass
class Corpus:
    """Documents in input order, none of them blank."""

    where: str
    documents: list[str]
    problems: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.documents)


def corpus(where: str, documents: Iterable[str], problems: Sequence[str] = (), *, strict: bool = False) -> Corpus:
    """The documents that hold something, with what no tokenizer can take replaced; `strict` refuses to replace."""
    kept, blank, broken = [], 0, 0
    for document in documents:
        if not document or document.isspace():
            blank += 1
            continue
        if not document.isascii() and (count := len(SURROGATES.findall(document))):
            broken += count
            document = SURROGATES.sub("\ufffd", document)
        kept.append(document)
    if not kept:
        raise InputError(f"{where}: holds no text, only blank space; give a file with words in it")
    said = list(problems)
    if blank:
        said.append(f"blank documents, left out: {blank:,} of {blank + len(kept):,}")
    if broken:
        if strict:
            raise InputError(f"{where}: holds {broken:,} halves of characters (lone surrogates); --strict refuses them")
        said.append(f"halves of characters (lone surrogates), replaced by U+FFFD: {broken:,}")
    ends = sum(document.count("\r\n") for document in kept)
    if ends:
        said.append(f"lines that end in CR LF, as on Windows, kept as they are: {ends:,}")
    return Corpus(where, kept, said)


def read_text(path: Path, column: str = "", *, strict: bool = False) -> Corpus:
    """A file as one document, a .jsonl or a column of a .csv as many, a folder as one document a file."""
    problems: list[str] = []
    if path.is_dir():
        documents = _folder(path, column, problems, strict=strict)
    else:
        documents = _file(path, column, problems)
    return corpus(str(path), documents, problems, strict=strict)


def holds_text(path: Path, *, but: tuple[str, ...]) -> bool:
    """Whether a folder has a file that is text by its ending, at any depth, and none with one of the endings `but`."""
    some = False
    for _, _, files in os.walk(path):
        names = [name.lower() for name in files if not name.startswith(".")]
        if any(name.endswith(but) for name in names):
            return False
        some = some or any(name.endswith(TEXT_ENDINGS) for name in names)
    return some


def _file(path: Path, column: str, problems: list[str]) -> list[str]:
    """The documents of one file, by its ending."""
    ending = path.suffix.lower()
    readable(path)
    if not path.is_file():
        raise InputError(f"{path}: is neither a file nor a folder")
    with named(path):
        data = path.read_bytes()
    if "\0" in _head(data):
        raise InputError(
            f"{path}: holds NUL bytes: it is no text, or UTF-16 without its mark; save it as UTF-8 and try again"
        )
    text, said = _decoded(data)
    problems += said
    del data
    if ending in LINES:
        return _lines(path, text, column)
    if ending in TABLES:
        return _cells(path, text, column)
    if column:
        raise InputError(f"--columns {column}: means nothing for {path}; only .jsonl, .csv and .tsv have columns")
    return [text]


def _folder(path: Path, column: str, problems: list[str], *, strict: bool) -> list[str]:
    """One document a file, in the order of their names; what is no text is skipped and counted."""
    documents: list[str] = []
    skipped, other = [], 0
    for file in _files(path):
        with named(file):
            if file.stat().st_size == 0:
                continue
            data = file.read_bytes()
        if "\0" in _head(data):
            skipped.append(file.relative_to(path).as_posix())
            continue
        text, said = _decoded(data)
        other += bool(said)
        documents += _lines(file, text, column) if file.suffix.lower() in LINES else [text]
    if skipped:
        shown = ", ".join(skipped[:3]) + (", ..." if len(skipped) > 3 else "")
        if strict:
            raise InputError(f"{path}: files that hold no text: {len(skipped):,} ({shown}); --strict refuses them")
        problems.append(f"files that hold no text, skipped: {len(skipped):,} ({shown})")
    if other:
        problems.append(f"files that are not whole UTF-8, read as well as they can be: {other:,}")
    if not documents:
        raise InputError(f"{path}: no file in this folder holds text")
    return documents


def _files(path: Path) -> list[Path]:
    """Every file below a folder, by name; hidden ones and links that lead out of it are passed over."""
    root = path.resolve()
    found: list[Path] = []
    with named(path):
        for folder, below, files in os.walk(root, onerror=_raised):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(files):
                file = Path(folder) / name
                if name.startswith(".") or not file.is_file() or not file.resolve().is_relative_to(root):
                    continue
                found.append(path / file.relative_to(root))
                if len(found) > FILES:
                    raise InputError(f"{path}: more than {FILES:,} files; split the folder")
    return found


def _raised(error: OSError) -> None:
    raise error


def _head(data: bytes) -> str:
    """The first characters, for a look at whether they are text at all."""
    mark, name = next(((mark, name) for mark, name in MARKS if data.startswith(mark)), (b"", "latin-1"))
    return data[len(mark) : HEAD].decode(name, "replace")


def _decoded(data: bytes) -> tuple[str, list[str]]:
    """The text of a file and what had to be guessed: by its mark, else UTF-8, else Windows' own code page."""
    name = "utf-8"
    for mark, marked in MARKS:
        if data.startswith(mark):
            data, name = data[len(mark) :], marked
            break
    try:
        return data.decode(name), []
    except UnicodeDecodeError as error:
        first = f"the first at byte {error.start:,}"
        at_end = error.reason in ("unexpected end of data", "truncated data") and error.end == len(data)
        if at_end:
            return data[: error.start].decode(name), ["the file ends within a character: it was left out"]
    text = data.decode(name, "replace")
    lost = max(text.count("\ufffd") - data.count("\ufffd".encode(name)), 1)
    high = len(data) - len(data.translate(None, bytes(range(128, 256))))
    if name != "utf-8" or high > 10 * lost:
        return text, [f"places that are no {name.upper()}, replaced by U+FFFD: {lost:,} ({first})"]
    try:
        return data.decode("cp1252"), [f"not UTF-8 ({first}): read as Windows-1252"]
    except UnicodeDecodeError:
        return data.decode("latin-1"), [f"not UTF-8 ({first}): read as Latin-1"]


def _lines(path: Path, text: str, column: str) -> list[str]:
    """A field of each line of a .jsonl: the one asked for, `text`, or the only one that holds text."""
    documents = []
    for number, line in enumerate(io.StringIO(text), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}: line {number} is no JSON: {error}; each line is one object, or one string"
            ) from error
        if isinstance(row, str):
            documents.append(row)
            continue
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number} holds {type(row).__name__}; each line is an object or a string")
        column = column or _field(path, [n for n, v in row.items() if n == FIELD or isinstance(v, str)])
        value = row.get(column)
        if value is not None and not isinstance(value, str):
            raise InputError(f"{path}: line {number}, field {column!r}: holds {type(value).__name__}, no text")
        if value is None and column not in row:
            known = ", ".join(map(repr, row))
            raise InputError(
                f"{path}: line {number} has no field {column!r}{nearest(column, row)}; its fields: {known}; "
                "name another with --columns"
            )
        documents.append(value or "")
    return documents


def _cells(path: Path, text: str, column: str) -> list[str]:
    """A column of a .csv, each cell a document."""
    csv.field_size_limit(CELL)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    with named(path, csv.Error):
        names = [name.strip() for name in next(rows, [])]
        if not names:
            raise InputError(f"{path}: is empty; give a text with at least a header and a row")
        column = column or _field(path, names)
        if column not in names:
            raise InputError(f"{path}: there is no column {column!r}{nearest(column, names)}; {', '.join(names)}")
        at = names.index(column)
        documents = []
        for row in rows:
            if row and len(row) != len(names):
                raise InputError(f"{path}: line {rows.line_num} has {len(row)} cells and the header {len(names)}")
            documents += row[at : at + 1]
    return documents


def _field(path: Path, names: list[str]) -> str:
    """Which field holds the text, where none was named."""
    if FIELD in names or len(names) == 1:
        return FIELD if FIELD in names else names[0]
    if not names:
        raise InputError(f"{path}: its first line has no field that holds text")
    known = ", ".join(map(repr, names))
    raise InputError(f"{path}: several fields hold text ({known}); say which one with --columns NAME")


def given_texts(given: Any, where: str, *, strict: bool) -> Corpus:
    """Strings from memory, each a document."""
    documents = list(given)
    for i, document in enumerate(documents):
        if not isinstance(document, str):
            raise InputError(f"{where}: item {i} is {type(document).__name__} among texts; give only strings")
    return corpus(where, map(str, documents), strict=strict)
