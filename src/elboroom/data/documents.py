"""Documents as counts of words: a sparse table with one column for each word of the training part.

What one document is: a paragraph of a single text (paragraphs lie between blank lines), a file of a folder, a line of a
.jsonl, a cell of a .csv column, an item of a list. What one word is: letters, with apostrophes inside, in lower case;
digits and signs are none. Words that the training part lacks are no columns; how many were left out is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec

from .columns import encode_labels
from .content import Array, Content, Csr
from .corpus import COLUMNED, Corpus, read_text
from .narrow import smallest
from .reading import Reading
from .sequences_text import given_labelled, read_labelled
from .splits import split

__all__ = ["Documents", "counted", "given_documents", "of_corpus", "paragraphs", "read_counts", "read_counts_like",
    "read_documents", "words"]  # fmt: skip

BLANK = re.compile(r"\n[^\S\n]*\n\s*")
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
MOST_WORDS = 50_000
"""Columns; of more words the rarest are left out."""
BEGINNING = 40
"""Characters of a document that name its row."""


@dataclass
class Documents:
    """Documents in input order, and the label of each where there are some."""

    where: str
    texts: list[str]
    labels: list[Any] | None = None
    problems: list[str] = field(default_factory=list)


def read_documents(path: Path, reading: Reading) -> Documents:
    """A path's documents; labels are the column that --label names."""
    ending = path.suffix.lower()
    if reading.label:
        if ending not in COLUMNED:
            raise InputError(f"{path}: --label {reading.label}: labelled documents lie in a {', '.join(COLUMNED)}")
        found = read_labelled(path, reading)
        return Documents(found.where, found.texts, found.labels)
    column = reading.columns[0] if reading.columns and ending in COLUMNED else ""
    corpus = read_text(path, column, strict=reading.strict)
    return Documents(corpus.where, corpus.documents, None, corpus.problems) if column else of_corpus(corpus)


def of_corpus(corpus: Corpus) -> Documents:
    """The documents of a corpus, or the paragraphs of its only one."""
    texts = corpus.documents
    return Documents(corpus.where, paragraphs(texts[0]) if len(texts) == 1 else texts, None, corpus.problems)


def given_documents(source: Any) -> Documents:
    """Texts, or (texts, y), from memory."""
    if type(source).__module__.partition(".")[0] in ("pandas", "polars") and not hasattr(source, "columns"):
        source = source.to_list()
    found = given_labelled(source)
    if found is None:
        raise InputError("the data given: documents are a list of texts, or a pair (texts, labels)")
    return Documents(found.where, found.texts, found.labels)


def paragraphs(text: str) -> list[str]:
    """What lies between blank lines and holds a word."""
    return [part for part in BLANK.split(text.replace("\r\n", "\n")) if WORD.search(part)]


def words(text: str) -> list[str]:
    """Its words in order; both apostrophes are one."""
    return WORD.findall(text.casefold().replace("’", "'"))


def counted(texts: Iterable[str], vocabulary: Sequence[str]) -> tuple[Csr, int]:
    """Counts of the vocabulary's words in each text, and how many words were none of them."""
    place = {word: i for i, word in enumerate(vocabulary)}
    data, indices, ends, unknown = list[int](), list[int](), [0], 0
    for text in texts:
        found = Counter(words(text))
        known = sorted((place[word], count) for word, count in found.items() if word in place)
        unknown += found.total() - sum(count for _, count in known)
        indices += [at for at, _ in known]
        data += [count for _, count in known]
        ends.append(len(data))
    cells: Array = smallest(np.array(data, np.int64), "the counts")
    table = Csr(cells, np.array(indices, np.int32), np.array(ends, np.int64), (len(ends) - 1, len(place)))
    return table, unknown


def read_counts(found: Documents, reading: Reading, *, seed: int) -> Content:
    """The table, its columns the words of the training part of this split, the commonest first."""
    reading.refuse_unused("documents")
    n = len(found.texts)
    parts, _ = split(n, reading.split, seed=seed, row="document")
    seen = Counter(word for i in parts["train"] for word in words(found.texts[i]))
    if not seen:
        raise InputError(f"{found.where}: the training part holds no word")
    ranked = sorted(seen, key=lambda word: (-seen[word], word))
    vocabulary = ranked[:MOST_WORDS]
    said = [f"{n:,} documents as counts of {len(vocabulary):,} words, those of the training part"]
    if len(ranked) > len(vocabulary):
        said = [f"{said[0]}; {len(ranked) - len(vocabulary):,} rarer ones are left out"]
    return _content(found, vocabulary, [*found.problems, *said])


def read_counts_like(found: Documents, spec: Spec) -> Content:
    """New documents as counts of the words that a run knows; labels in the run's numbering."""
    content = _content(found, [column.name for column in spec.columns], found.problems, known=spec.columns)
    if content.label is not None and spec.classes:
        strange = [name for name in content.classes if name not in spec.classes]
        if strange:
            raise InputError(f"{found.where}: the label {strange[0]!r} is none that the run knows")
        content.label = np.array([spec.classes.index(name) for name in content.classes], np.int64)[content.label]
        content.classes = spec.classes
    return content


def _content(found: Documents, vocabulary: Sequence[str], said: list[str], known: tuple[Column, ...] = ()) -> Content:
    table, unknown = counted(found.texts, vocabulary)
    if unknown:
        whole = unknown + int(table.data.sum(dtype=np.int64))
        said = [*said, f"words that are no column, left out: {unknown:,} of {whole:,}"]
    blank = int((np.diff(table.indptr) == 0).sum())
    if blank == len(table):
        raise InputError(f"{found.where}: none of its {len(table):,} documents holds a word that is a column")
    if blank:
        said = [*said, f"documents without a word that is a column, all 0: {blank:,}"]
    columns = known or tuple(Column(name=word, kind="count") for word in vocabulary)
    begins = np.array([" ".join(text[: 4 * BEGINNING].split())[:BEGINNING] for text in found.texts], dtype=object)
    out = Content("table", table, columns=columns, identifiers={"begins": begins}, problems=said)
    if found.labels is not None:
        out.label, out.classes = encode_labels(np.array(found.labels, object), f"{found.where}: labels")
    return out
