"""From a name, a path or an object to a Dataset: read, split, scaled, fingerprinted.

Each format has its own file; here they meet. A reader gives Content; the rest is the same for all.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.core.errors import InputError, Unable, nearest
from elboroom.core.spec import Column, Spec

from . import catalog
from .archive import holds_numbers, told
from .columns import RawTable, assemble
from .conform import conform_images, conform_table
from .content import Array, Content, Mixture
from .corpus import Corpus
from .documents import Documents, given_documents, of_corpus, read_counts, read_counts_like
from .fingerprint import fingerprint, repeated
from .formats import Found, open_path
from .pixels import fit_pixels
from .reading import Reading
from .rows import Rows, rows_of
from .scaling import auto_scale, fit_table, resolve_columns
from .sequences import ReadSequences, Sequences, read_sequences, read_sequences_like
from .sequences_files import is_pair, named_set, sequences_from_object
from .sequences_text import LabelledTexts, TokenTransform, given_labelled, read_texts, read_texts_like
from .series import SeriesSet
from .series_columns import as_rows, series_clock
from .series_reading import ReadSeries, read_series, read_series_like
from .splits import split
from .storage import mapped
from .text import TextTransform, Tokens, read_tokens, read_tokens_like
from .times import with_index
from .tokenizers import Tokenizer, tokenizer_from_json
from .transforms import Transform, image_transform

__all__ = ["Dataset", "read", "read_like", "saved_tokenizer"]

REPEATS_UP_TO = 300_000


@dataclass
class Dataset:
    """Data ready to train on or to be measured with."""

    name: str
    spec: Spec
    parts: dict[str, Rows]
    """"train", "valid" and "test" where they are not empty; for new data of an existing run "all"."""
    transform: Transform
    fingerprint: str
    problems: list[str]
    reading: Reading
    split_how: str
    identifiers: dict[str, Array]
    """Names of the rows, by input row; `identifiers[k][rows.index]` are those of one part."""
    source: str = ""
    """The path or name that was read; empty for data given from memory."""
    seed: int = 0
    named: bool = True
    factors: tuple[tuple[str, int], ...] = ()
    """Names and sizes of known generative factors; their values are in `rows.beside["factors"]`."""
    mixture: Mixture | None = None
    """What the rows of a table were drawn from, in raw units, where that is known."""
    channelwise: bool = False
    """Whether the label of an image is made of one label a channel: `factors`, the first counting most."""
    text: dict[str, Any] = field(default_factory=dict)
    """Of a text: documents, characters, bytes and tokens, in all and, under "parts", of each part; else empty."""
    series: SeriesSet | None = None
    """All series of the input on their grids, to score them whole; None where the data are no series."""

    def to_json(self) -> dict[str, Any]:
        """What run.json keeps under "data"."""
        text = {"text": self.text} if self.text else {}
        series = {"series": self.series.to_json()} if self.series else {}
        mixture = {"mixture": self.mixture.to_json()} if self.mixture else {}
        return {
            **text,
            **series,
            **mixture,
            "name": self.name,
            "source": self.source,
            "spec": self.spec.to_json(),
            "reading": self.reading.to_json(),
            "fingerprint": self.fingerprint,
            "split": {"how": self.split_how, "counts": {k: len(v) for k, v in self.parts.items()}, "seed": self.seed},
            "problems": list(self.problems),
            "transform": self.transform.to_json(),
            "named": self.named,
            "identifiers": list(self.identifiers),
            "factors": [{"name": name, "size": size} for name, size in self.factors],
            "channelwise": self.channelwise,
        }


def read(
    source: str | Path | Any, reading: Reading | None = None, *, seed: int = 0, tokenizer: Tokenizer | None = None
) -> Dataset:
    """Read, split by `seed` and fit the scaling, or the tokenizer, on the training part.

    `tokenizer` is that of a run which goes on, with its own text or with another; see `saved_tokenizer`.
    """
    reading = reading or Reading()
    if reading.kind == "auto" and (told(source) or holds_numbers(source)):
        reading = dataclasses.replace(reading, kind="series")
    found, name, said = _open(source, reading, own_test=True)
    if isinstance(found, Corpus):
        _same_kind(reading, "text")
        reading.refuse_unused("text")
        return _of_text(read_tokens(found, reading, seed=seed, tokenizer=tokenizer), name, said, seed)
    if isinstance(found, LabelledTexts):
        return _of_sequences(read_texts(found, reading, seed=seed, tokenizer=tokenizer), name, said, seed)
    if tokenizer is not None:
        raise InputError(f"{name}: holds no text, and the run that this goes on from was trained on text")
    if isinstance(found, Sequences):
        _same_kind(reading, "sequences")
        return _of_sequences(read_sequences(found, reading, seed=seed), name, said, seed)
    if isinstance(found, RawTable) and reading.kind in ("auto", "series"):
        timed, clock = series_clock(found, reading)
        if timed:
            return _of_series(read_series(found, reading, clock), name, said, seed, named=found.named)
    if isinstance(found, Documents):
        content, kind = read_counts(found, reading, seed=seed), "documents"
    else:
        content = _content(found, reading)
        kind = content.kind
        reading.refuse_unused(kind)
    parts, how = split(len(content), reading.split, seed=seed, own=content.own, group=content.group)
    spec, transform, problems = _described(content, reading, parts["train"])
    problems = [*content.problems, *problems, *_checked_parts(content, parts)]
    resolved = dataclasses.replace(reading, kind=kind, scale=spec.scale)
    return Dataset(
        name=name,
        spec=spec,
        parts={k: rows_of(content, index, masked=spec.masked) for k, index in parts.items()},
        transform=transform,
        fingerprint=fingerprint(content),
        problems=problems,
        reading=resolved,
        split_how=how,
        identifiers=content.identifiers,
        source=said,
        seed=seed,
        named=content.named,
        factors=content.factors,
        mixture=content.mixture,
        channelwise=content.channelwise,
    )


def read_like(
    source: str | Path | Any, saved: dict[str, Any], transform: Transform, *, masking: bool = False
) -> Dataset:
    """New data for an existing run, all of it in input order as the part "all".

    `saved` is the run's `Dataset.to_json()`. Labels are used where they are there. Columns the run knows and the new
    data lack are refused, unless the run was trained on missing cells or `masking` asks for them to be masked.
    """
    spec = Spec.from_json(saved["spec"])
    reading = dataclasses.replace(Reading.from_json(saved["reading"]), split=None)
    if spec.kind != "text" and not spec.levels and reading.kind != "documents":
        reading = dataclasses.replace(reading, columns=())
    if spec.kind == "images":
        reading = dataclasses.replace(reading, channels=spec.shape[0])
    found, name, said = _open(source, reading, own_test=False, like=spec, white=saved["transform"].get("white"))
    kind = _kind_of(found)
    if kind == spec.kind == "sequences":
        return _of_sequences(_sequences_like(found, reading, spec, transform, name), name, said, 0)
    if kind == "table" and spec.kind == "series":
        assert isinstance(found, RawTable)
        made = read_series_like(found, reading, spec, transform, saved["series"], named=saved["named"])
        return _of_series(made, name, said, 0, named=saved["named"])
    if kind != spec.kind:
        raise InputError(f"{name}: holds {'a table' if kind == 'table' else kind}; the run needs {spec.kind}")
    if isinstance(found, Corpus):
        assert isinstance(transform, TextTransform)
        return _of_text(read_tokens_like(found, reading, spec, transform.tokenizer), name, said, 0, transform)
    if isinstance(found, Documents):
        content = read_counts_like(found, spec)
    elif isinstance(found, RawTable):
        content = conform_table(
            found, spec, named=saved["named"], label=reading.label, apart=saved["identifiers"], masking=masking
        )
        if content.masked and reading.strict:
            raise InputError(f"{content.problems[-1]}; --strict refuses them")
    else:
        assert isinstance(found, Content)
        content = conform_images(found, spec, saved["transform"]["white"])
        if content.classes and content.classes != spec.classes:
            content = _relabelled(content, spec)
    if not len(content):
        raise InputError(f"{name}: holds no rows")
    rows = rows_of(content, np.arange(len(content)), masked=spec.masked or content.masked)
    return Dataset(
        name=name,
        spec=spec,
        parts={"all": rows},
        transform=transform,
        fingerprint=fingerprint(content),
        problems=content.problems,
        reading=reading,
        split_how="all rows in input order",
        identifiers=content.identifiers,
        source=said,
        named=content.named,
        factors=content.factors,
        mixture=content.mixture,
        channelwise=content.channelwise,
    )


def saved_tokenizer(saved: dict[str, Any]) -> Tokenizer | None:
    """The tokenizer of the run whose `Dataset.to_json()` this is; None where it was not trained on text."""
    tokenizer = saved["transform"].get("tokenizer")
    return None if tokenizer is None else tokenizer_from_json(tokenizer)


def _of_text(made: Tokens, name: str, said: str, seed: int, transform: Transform | None = None) -> Dataset:
    return Dataset(
        name=name,
        spec=made.spec,
        parts=dict(made.parts),
        transform=transform or TextTransform(made.tokenizer),
        fingerprint=made.fingerprint,
        problems=made.problems,
        reading=made.reading,
        split_how=made.split_how,
        identifiers={},
        source=said,
        seed=seed,
        text=made.counts,
    )


def _sequences_like(found: Found, reading: Reading, spec: Spec, transform: Transform, name: str) -> ReadSequences:
    if isinstance(found, LabelledTexts) and isinstance(transform, TokenTransform):
        return read_texts_like(found, reading, spec, transform)
    if isinstance(found, Sequences) and not isinstance(transform, TokenTransform):
        return read_sequences_like(found, reading, spec, transform)
    lacking = "texts" if spec.levels else "sequences of numbers"
    raise InputError(f"{name}: the run was trained on {lacking}, and these are others")


def _kind_of(found: Found) -> str:
    if isinstance(found, Sequences | LabelledTexts):
        return "sequences"
    return "text" if isinstance(found, Corpus) else "table" if isinstance(found, RawTable | Documents) else "images"


def _of_sequences(made: ReadSequences, name: str, said: str, seed: int) -> Dataset:
    return Dataset(
        name=name,
        spec=made.spec,
        parts=dict(made.parts),
        transform=made.transform,
        fingerprint=made.fingerprint,
        problems=made.problems,
        reading=made.reading,
        split_how=made.split_how,
        identifiers=made.identifiers,
        source=said,
        seed=seed,
        named=made.named,
    )


def _of_series(made: ReadSeries, name: str, said: str, seed: int, *, named: bool) -> Dataset:
    return Dataset(
        name=name,
        spec=made.spec,
        parts=dict(made.parts),
        transform=made.transform,
        fingerprint=made.fingerprint,
        problems=made.problems,
        reading=made.reading,
        split_how=made.split_how,
        identifiers={},
        source=said,
        seed=seed,
        named=named,
        series=made.series,
    )


def _open(
    source: Any, reading: Reading, *, own_test: bool, like: Spec | None = None, white: float | None = None
) -> tuple[Found, str, str]:
    """What the source holds, a short name for it, and what run.json remembers of where it was."""
    if reading.kind not in ("auto", "images", "table", "series", "sequences", "text", "documents"):
        able = "documents, series, sequences, images, table and text can"
        raise Unable(f"--kind {reading.kind}: data of this kind cannot be read; {able}")
    if not isinstance(source, str | Path):
        from .objects import from_object

        if reading.kind == "documents":
            return given_documents(source), "memory", ""
        if reading.kind == "sequences":
            return given_labelled(source) or sequences_from_object(source), "memory", ""
        if reading.kind == "series":
            source, reading = as_rows(source), dataclasses.replace(reading, kind="table")
        elif reading.kind == "auto":
            source = with_index(source)
        return from_object(source, reading, white), "memory", ""
    if isinstance(source, str):
        known = catalog.find(source)
        if known is not None:
            entry, options = known
            if reading.label:
                raise InputError(f"--label {reading.label}: {entry.name} carries its own labels; leave the flag out")
            kept = entry.read(options, reading.size)
            if reading.kind == "documents" and isinstance(kept, Corpus):
                return of_corpus(kept), entry.name, source
            if isinstance(kept, Content) and kept.kind == "images":
                kept = fit_pixels(kept, entry.name, reading)
            return kept, entry.name, source
        source = named_set(os.environ.get("ELBOROOM_DATA", ""), source) or source
    path = Path(source).expanduser()
    if not path.exists() and is_pair(path) is None:
        sets = catalog.names()
        raise InputError(
            f"{source}: there is no such file or folder, and no set of that name{nearest(str(source), sets)}; "
            f"sets: {', '.join(sets)}; others of the UCR/UEA archive lie in $ELBOROOM_DATA/sequences/NAME"
        )
    found, name = open_path(path, reading, own_test=own_test, like=like, white=white)
    return found, name, str(path.resolve())


def _same_kind(reading: Reading, kind: str) -> None:
    """Refuse data of another kind than the one asked for."""
    if reading.kind == "series":
        raise Unable(
            f"--kind series: these data are read as {kind}; a series is read from a table, a row for each time"
        )
    if reading.kind not in ("auto", kind):
        raise InputError(
            f"--kind {reading.kind}: these data are read as {kind}; leave the flag out, or name other data"
        )


def _content(found: Content | RawTable, reading: Reading) -> Content:
    if isinstance(found, RawTable):
        found = assemble(
            found, label=reading.label, group=reading.group_by, columns=reading.columns, strict=reading.strict
        )
    if reading.strict and found.kind == "images" and any("skipped" in p for p in found.problems):
        raise InputError(f"{found.problems[0]}; --strict refuses them")
    _same_kind(reading, found.kind)
    if not len(found):
        raise InputError("the data hold no rows")
    return found


def _described(content: Content, reading: Reading, train: Array) -> tuple[Spec, Transform, list[str]]:
    """The Spec and the fitted transform."""
    shape = tuple(int(n) for n in content.x.shape[1:])
    if content.kind == "images":
        pixels = image_transform("unit" if reading.scale == "auto" else reading.scale, content.white)
        spec = Spec(
            kind="images",
            shape=shape,
            scale=pixels.scale,
            levels=pixels.levels,
            low=pixels.low,
            high=pixels.high,
            classes=content.classes,
        )
        return spec, pixels, _flat_images(content)
    scale = auto_scale(content.columns) if reading.scale == "auto" else reading.scale
    columns = resolve_columns(content.columns, scale)
    transform, problems = fit_table(content, columns, scale, train)
    low = 0.0 if scale in ("counts", "log1p") else float("-inf")
    spec = Spec(
        kind="table",
        shape=shape,
        scale=scale,
        low=low,
        columns=columns,
        classes=content.classes,
        masked=content.masked,
        observed=_observed(columns, reading.observed),
    )
    return spec, transform, problems


def _observed(columns: tuple[Column, ...], named: tuple[str, ...]) -> tuple[int, ...]:
    """Places of the columns that --observed names."""
    places = {column.name: i for i, column in enumerate(columns)}
    for name in named:
        if name not in places:
            raise InputError(f"--observed {name}: there is no such column{nearest(name, places)}")
    if named and len(set(named)) == len(columns):
        raise InputError(f"--observed names all {len(columns)} columns: there is none left to tell from them")
    return tuple(sorted({places[name] for name in named}))


def _flat_images(content: Content) -> list[str]:
    head = np.asarray(content.x[:1000])  # type: ignore[index]
    if head.min() == head.max():
        return [f"every pixel of the first {len(head)} images is {head.flat[0]:g}: there is nothing to learn"]
    return []


def _checked_parts(content: Content, parts: dict[str, Array]) -> list[str]:
    """Held-out rows that repeat training rows, and classes that training never sees."""
    said = []
    held = np.concatenate([np.zeros(0, np.int64), *[index for name, index in parts.items() if name != "train"]])
    if len(held) and len(content) <= REPEATS_UP_TO and not mapped(content.x):
        count = repeated(content.x, parts["train"], held)
        if count:
            said.append(f"{count:,} of {len(held):,} held-out rows are equal to a training row")
    if content.label is not None:
        there = np.bincount(content.label[parts["train"]], minlength=len(content.classes))
        lost = [name for name, count in zip(content.classes, there, strict=True) if not count]
        if lost:
            said.append(f"{len(lost)} classes have no row in the training part: {', '.join(lost[:5])}")
    return said


def _relabelled(content: Content, spec: Spec) -> Content:
    """Class folders of new images in the run's numbering; labels are dropped where they are other classes."""
    if content.label is None or not set(content.classes) <= set(spec.classes):
        problem = "the labels are not those of the run: left out"
        return dataclasses.replace(
            content, label=None, classes=(), channelwise=False, problems=[*content.problems, problem]
        )
    code = np.array([spec.classes.index(name) for name in content.classes], np.int64)
    return dataclasses.replace(content, label=code[content.label], classes=spec.classes)
