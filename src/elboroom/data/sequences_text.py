"""Labelled texts as sequences of tokens: a .csv or .jsonl with a column of texts and one of labels, or (texts, y).

The tokenizer is chosen as for a text to go on with, and learnt from the training part (see `text`). A text longer than
the window is cut there, and how many were is told.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, nearest
from elboroom.core.spec import Spec

from .columns import encode_labels
from .content import Array
from .corpus import CELL, COLUMNED, FIELD, LINES, Corpus, _decoded
from .limits import named, readable
from .reading import Reading
from .sequences import ReadSequences, Sequences, checked_parts, conformed, lengths_told, sequences_fingerprint
from .splits import split
from .text import WINDOW, _chosen
from .tokenizers import Tokenizer, refuse_unknown
from .transforms import Transform

__all__ = ["LabelledTexts", "TokenTransform", "given_labelled", "read_labelled", "read_texts", "read_texts_like"]


class TokenTransform(Transform):
    """x = the tokens as int64, (rows, steps), 0 beyond the end of each; between them and text stands `tokenizer`."""

    scale = "tokens"

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, raw: dict[str, Tensor]) -> Batch:
        return Batch(raw["x"].to(torch.int64), raw.get("label"), None, raw.get("lengths"))

    def undo(self, x: Tensor) -> Tensor:
        return x

    def to_json(self) -> dict[str, Any]:
        return {"kind": "labelled text", "tokenizer": self.tokenizer.to_json()}


@dataclasses.dataclass
class LabelledTexts:
    """Texts in input order, and the label of each where there are some."""

    where: str
    texts: list[str]
    labels: list[Any] | None

    def __post_init__(self) -> None:
        blank = next((i for i, text in enumerate(self.texts) if not text or text.isspace()), None)
        if blank is not None:
            raise InputError(f"{self.where}: text {blank} is blank; leave it out, or give it words")
        if not self.texts:
            raise InputError(f"{self.where}: holds no texts")
        if self.labels is not None and len(self.labels) != len(self.texts):
            raise InputError(f"{self.where}: {len(self.texts):,} texts, {len(self.labels):,} labels; give one a text")


def given_labelled(source: Any) -> LabelledTexts | None:
    """Texts or (texts, y) from memory; None where the source holds something else."""
    texts, labels = source if isinstance(source, tuple) and len(source) == 2 else (source, None)
    if not isinstance(texts, list | np.ndarray) or not len(texts) or not isinstance(texts[0], str):
        return None
    if not all(isinstance(text, str) for text in texts):
        raise InputError("the data given: not every item is a text; give only strings")
    return LabelledTexts("the data given", [str(t) for t in texts], None if labels is None else list(labels))


def read_labelled(path: Path, reading: Reading) -> LabelledTexts:
    """A .csv, .tsv or .jsonl: the column `--columns` (else `text`), and the labels in `--label` where it is there."""
    readable(path)
    if path.suffix.lower() not in COLUMNED:
        raise InputError(f"{path}: labelled texts lie in a {', '.join(COLUMNED)}, a column of texts and one of labels")
    with named(path):
        text = _decoded(path.read_bytes())[0]
    rows = _json_rows(path, text) if path.suffix.lower() in LINES else _csv_rows(path, text)
    if not rows:
        raise InputError(f"{path}: holds no texts")
    column = reading.columns[0] if reading.columns else FIELD
    known = list(rows[0])
    if column not in known:
        listed = ", ".join(map(repr, known))
        raise InputError(f"{path}: there is no column {column!r}{nearest(column, known)}; columns: {listed}; say which "
                         "one holds the texts with --columns NAME")  # fmt: skip
    texts = [_cell(row, column, path, i) for i, row in enumerate(rows)]
    label = reading.label or ("label" if "label" in known and column != "label" else "")
    if label and label not in known:
        raise InputError(f"{path}: --label {label}: there is no such column{nearest(label, known)}")
    return LabelledTexts(str(path), texts, [row.get(label) for row in rows] if label else None)


def _cell(row: dict[str, Any], column: str, path: Path, i: int) -> str:
    value = row.get(column)
    if not isinstance(value, str):
        raise InputError(f"{path}: row {i}, {column!r}: holds no text")
    return value


def _json_rows(path: Path, text: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(io.StringIO(text), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}: line {number} is no JSON: {error}; each line is one object") from error
            if not isinstance(row, dict):
                raise InputError(f"{path}: line {number} holds {type(row).__name__}; each line is one object")
            rows.append(row)
    return rows


def _csv_rows(path: Path, text: str) -> list[dict[str, Any]]:
    csv.field_size_limit(CELL)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    with named(path, csv.Error):
        names = [name.strip() for name in next(rows, [])]
        out = []
        for row in rows:
            if row and len(row) != len(names):
                raise InputError(f"{path}: line {rows.line_num} has {len(row)} cells and the header {len(names)}")
            if row:
                out.append(dict(zip(names, row, strict=True)))
    return out


def read_texts(found: LabelledTexts, reading: Reading, *, seed: int, tokenizer: Tokenizer | None) -> ReadSequences:
    """Split, tokenize by the training part, cut at the window. `tokenizer` is that of a run which goes on."""
    dataclasses.replace(reading, columns=(), tokenizer="", window=0).refuse_unused("sequences")
    if found.labels is None:
        raise InputError(f"{found.where}: the texts have no labels; name their column with --label")
    index, how = split(len(found.texts), reading.split, seed=seed, row="text")
    said: list[str] = []
    if tokenizer is None:
        corpus = Corpus(found.where, found.texts)
        pieces = {part: [(int(i), 0, len(found.texts[i])) for i in rows] for part, rows in index.items()}
        tokenizer, said = _chosen(reading.tokenizer, corpus, pieces)
    elif reading.tokenizer not in ("", "auto", tokenizer.name):
        raise InputError(
            f"--tokenizer {reading.tokenizer}: the run that this goes on from has {tokenizer.name}; leave the flag out"
        )
    made, cut = _sequences(found, tokenizer, reading.window or WINDOW)
    window = made.longest
    spec = Spec(
        kind="sequences", shape=(window,), scale="tokens", levels=tokenizer.size, classes=made.classes
    )  # fmt: skip
    return ReadSequences(
        parts={part: made.rows(rows, window) for part, rows in index.items()},
        spec=spec,
        transform=TokenTransform(tokenizer),
        reading=dataclasses.replace(
            reading, kind="sequences", scale="tokens", tokenizer=tokenizer.name, window=reading.window or WINDOW
        ),
        fingerprint=sequences_fingerprint(made, tokenizer=tokenizer.to_json()),
        problems=[*said, *cut, *lengths_told(made), *checked_parts(made, index)],
        split_how=how,
        identifiers={},
        named=True,
    )


def read_texts_like(found: LabelledTexts, reading: Reading, spec: Spec, transform: TokenTransform) -> ReadSequences:
    """All of new texts as the part "all", with the tokenizer and the window of an existing run."""
    made, cut = _sequences(found, transform.tokenizer, reading.window or spec.shape[0])
    return conformed(made, reading, spec, transform, cut)


def _sequences(found: LabelledTexts, tokenizer: Tokenizer, window: int) -> tuple[Sequences, list[str]]:
    unknown: Counter[str] = Counter()
    for text in found.texts:
        unknown.update(tokenizer.unknown(text))
    refuse_unknown(tokenizer, unknown, f"{found.where}: ")
    rows = [np.asarray(tokenizer.encode(text), np.int64) for text in found.texts]
    longer = sum(len(row) > window for row in rows)
    said = [f"texts longer than {window:,} tokens, cut there: {longer:,} of {len(rows):,}"] if longer else []
    cut: list[Array] = [row[:window] for row in rows]
    label: Array | None = None
    classes: tuple[str, ...] = ()
    if found.labels is not None:
        label, classes = encode_labels(np.array(found.labels, object), f"{found.where}: labels")
    lengths = np.array([len(row) for row in cut], np.int64)
    return Sequences(found.where, np.concatenate(cut), lengths, (), label=label, classes=classes), said
