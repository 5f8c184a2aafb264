"""Readers of labelled sequences: .ts files of the UCR/UEA archive, .npz files, and data given from memory.

A .ts file (Bagnall et al. 2018, arXiv 1811.00075; Middlehurst et al. 2024, arXiv 2304.13029) has a header of lines that
begin with @, and a line a sequence: channels parted by colons, values by commas, `?` for a missing one, the label last.
`NAME_TRAIN.ts` and `NAME_TEST.ts` are one set with a test part of its own; it is named by its folder, by the path
without an ending (`folder/NAME`), or by its training file.

In a .npz file `x` is (n, steps, channels) or (n, steps), padded at the ends with NaN or with `lengths` (n,) beside it;
or all steps end to end, (steps of all, channels), and `lengths`. `y` is (n,), or (n, steps) for a label a step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.core.errors import InputError

from .columns import encode_labels
from .content import Array
from .limits import CLASSES, named, readable
from .sequences import Sequences, laid_out

__all__ = [
    "ArchiveSet",
    "archive_sets",
    "is_pair",
    "named_set",
    "read_npz_sequences",
    "read_ts",
    "sequences_from_object",
]

TRAIN, TEST = "_TRAIN.ts", "_TEST.ts"
HEAD_LINES = 10_000
"""A file whose head is longer is none."""
Y_NAMES = ("y", "Y", "label", "labels", "target", "targets")


def is_pair(path: Path) -> Path | None:
    """The training file of the set that a folder, or a path without an ending, names; None where there is none."""
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.name.endswith(TRAIN))
        if len(found) > 1:
            raise InputError(f"{path}: holds {len(found)} sets of sequences; name one: {path / found[0].name[:-9]}")
        return found[0] if found else None
    train = path.with_name(path.name + TRAIN)
    return train if not path.exists() and train.is_file() else None


def named_set(root: str, name: str) -> Path | None:
    """The folder of a set of the archive below `root`, `$ELBOROOM_DATA`; None where it is not there."""
    folder = Path(root).expanduser() / "sequences" / name
    plain = re.fullmatch(r"[A-Za-z0-9_-]+", name) is not None
    return folder if root and plain and (folder / f"{name}{TRAIN}").is_file() else None


@dataclass(frozen=True)
class ArchiveSet:
    """What the head of a training file says of a set; a number is 0 where it does not."""

    name: str
    steps: int
    channels: int
    classes: tuple[str, ...]
    tested: bool
    """Whether it has a test part of its own."""


def archive_sets(root: str) -> list[ArchiveSet]:
    """The sets that lie below `root`, `$ELBOROOM_DATA`, by name; only the heads of their files are read."""
    base = Path(root).expanduser() / "sequences"
    found = sorted(base.iterdir()) if root and base.is_dir() else []
    return [_head(folder) for folder in found if named_set(root, folder.name) is not None]


def _head(folder: Path) -> ArchiveSet:
    words: dict[str, list[str]] = {}
    with (folder / f"{folder.name}{TRAIN}").open(encoding="utf-8", errors="replace") as file:
        for line in islice(file, HEAD_LINES):
            word, *values = line.strip().split() or [""]
            if word.lower() == "@data":
                break
            if word.startswith("@"):
                words[word[1:].lower()] = values

    def count(key: str) -> int:
        text = (words.get(key) or [""])[0]
        return int(text) if text.isdecimal() else 0

    single = (words.get("univariate") or [""])[0].lower() == "true"
    label = words.get("classlabel") or ["false"]
    return ArchiveSet(
        name=folder.name,
        steps=count("serieslength"),
        channels=1 if single else count("dimensions") or count("dimension"),
        classes=tuple(label[1:]) if label[0].lower() == "true" else (),
        tested=(folder / f"{folder.name}{TEST}").is_file(),
    )


# -- .ts ---------------------------------------------------------------------------------------------------------------


def read_ts(path: Path, *, own_test: bool) -> Sequences:
    """A .ts file; a training file, with `own_test`, together with the test file beside it."""
    rows, labels = _ts(path)
    own = None
    test = path.with_name(path.name.removesuffix(TRAIN) + TEST)
    if own_test and path.name.endswith(TRAIN) and test.is_file():
        more, others = _ts(test)
        own = np.repeat(np.array([0, 2], np.int8), [len(rows), len(more)])
        if (labels is None) != (others is None):
            raise InputError(f"{path}: has labels and {test.name} has none, or the other way round")
        rows += more
        labels = None if labels is None or others is None else labels + others
    values, lengths, problems = laid_out(str(path), rows)
    label, classes = (None, ()) if labels is None else encode_labels(np.array(labels, object), f"{path}: labels")
    channels = tuple(f"channel_{i}" for i in range(values.shape[1]))
    return Sequences(str(path), values, lengths, channels, False, label, classes, own=own, problems=problems)


def _ts(path: Path) -> tuple[list[Array], list[str] | None]:
    """The sequences of one file, (steps, channels) each, and their labels where the header says that there are some."""
    readable(path)
    with named(path, UnicodeError):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    header: dict[str, list[str]] = {}
    rows: list[Array] = []
    labels: list[str] = []
    begun = labelled = False
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line.startswith(("#", "%")):
            continue
        where = f"{path}: line {number}"
        if not begun and line.startswith("@"):
            word, *values = line[1:].split()
            header[word.lower()] = values
            if word.lower() == "data":
                begun, labelled = True, _checked_header(header, path)
            continue
        if not begun:
            raise InputError(f"{where}: {line[:40]!r} comes before @data; a .ts file begins with lines of @")
        parts = line.split(":")
        if labelled:
            labels.append(_label(parts.pop().strip(), header["classlabel"][1:], where))
        rows.append(_channels(parts, where))
    if not rows:
        raise InputError(f"{path}: holds no sequences" + ("" if begun else "; a .ts file has a line @data"))
    return rows, labels if labelled else None


def _checked_header(header: dict[str, list[str]], path: Path) -> bool:
    """Whether the sequences have class labels; what cannot be read is refused."""
    if [v.lower() for v in header.get("timestamps", [])[:1]] == ["true"]:
        raise InputError(f"{path}: its values carry times of their own; write the values alone, at even steps")
    if [v.lower() for v in header.get("targetlabel", [])[:1]] == ["true"]:
        raise InputError(f"{path}: its targets are numbers, not classes (@targetLabel); classes are needed")
    classes = header.get("classlabel", ["false"])
    if len(classes) - 1 > CLASSES:
        raise InputError(f"{path}: {len(classes) - 1:,} different labels, above {CLASSES:,}")
    return classes[0].lower() == "true"


def _label(text: str, known: list[str], where: str) -> str:
    if not text or text == "?":
        raise InputError(f"{where}: the sequence has no label behind its last colon")
    if known and text not in known:
        raise InputError(f"{where}: the label {text[:40]!r} is not among those of @classLabel: {' '.join(known[:12])}")
    return text


def _channels(parts: list[str], where: str) -> Array:
    """(steps, channels); a channel shorter than the longest is filled up with NaN."""
    found = [_numbers(part, where, i) for i, part in enumerate(parts)]
    out = np.full((max((len(x) for x in found), default=0), len(found)), np.nan)
    if 0 in out.shape:
        raise InputError(f"{where}: holds no values")
    for i, x in enumerate(found):
        out[: len(x), i] = x
    return out


def _numbers(text: str, where: str, channel: int) -> Array:
    cells = text.replace("?", "nan").split(",") if text.strip() else []
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        bad = next((c for c in cells if not _is_number(c)), "")
        what = "values carry times of their own" if "(" in text else f"{bad.strip()[:40]!r} is no number"
        raise InputError(f"{where}, channel {channel}: {what}; give numbers parted by commas") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


# -- .npz --------------------------------------------------------------------------------------------------------------


def read_npz_sequences(path: Path, label: str = "") -> Sequences:
    """A .npz file; `label` names the array of labels. x_train, y_train, x_test, y_test are parts of their own."""
    from .arrays import _npz

    readable(path)
    arrays, problems = _npz(path)
    if {"x_train", "x_test"} <= arrays.keys():
        parts = [_part(arrays, path, end, label) for end in ("_train", "_test")]
        own = np.repeat(np.array([0, 2], np.int8), [len(rows) for rows, _ in parts])
        rows = [row for some, _ in parts for row in some]
        given = [y for _, y in parts]
        labels = None if any(y is None for y in given) else [one for y in given for one in y or ()]
    else:
        own = None
        rows, labels = _part(arrays, path, "", label)
    channels = arrays.get("channels")
    return _made(str(path), rows, labels, own, problems, None if channels is None else [str(c) for c in channels])


def _part(arrays: dict[str, Array], path: Path, end: str, label: str) -> tuple[list[Array], list[Any] | None]:
    """The sequences and the labels of one part of a file."""
    x = next((arrays[n + end] for n in ("x", "X") if n + end in arrays), None)
    if x is None:
        raise InputError(f"{path}: holds the arrays {', '.join(arrays)}; call the sequences 'x{end}'")
    lengths = arrays.get("lengths" + end)
    names = [label + end] if label else [n + end for n in Y_NAMES]
    y = next((arrays[n] for n in names if n in arrays), None)
    if label and y is None:
        raise InputError(f"{path}: --label {label}: there is no such array")
    if lengths is not None and (lengths.ndim != 1 or lengths.dtype.kind not in "iu" or lengths.min(initial=1) < 1):
        raise InputError(f"{path}: lengths{end} are one whole number from 1 for each sequence")
    if lengths is not None and x.ndim == 2 and len(x) == lengths.sum() and len(x) != len(lengths):
        cuts = np.cumsum(lengths)[:-1]
        steps = y is not None and len(y) == len(x)
        return np.split(x, cuts), None if y is None else (np.split(y, cuts) if steps else list(y))
    if x.ndim not in (2, 3):
        raise InputError(f"{path}: x{end} has shape {x.shape}; give (sequences, steps) or (sequences, steps, channels)")
    n, steps = x.shape[:2]
    stops = np.full(n, steps) if lengths is None else lengths
    if len(stops) != n or stops.max(initial=0) > steps:
        raise InputError(f"{path}: lengths{end} do not fit x{end} of shape {x.shape}: one a sequence, up to {steps}")
    rows = [row[:stop] for row, stop in zip(x, stops, strict=True)]
    if y is not None and y.ndim == 2:
        if y.shape != x.shape[:2]:
            raise InputError(f"{path}: labels of shape {y.shape} for x{end} of shape {x.shape}; one a step is needed")
        return rows, [one[:stop] for one, stop in zip(y, stops, strict=True)]
    return rows, None if y is None else list(y)


# -- from memory -------------------------------------------------------------------------------------------------------


def sequences_from_object(source: Any) -> Sequences:
    """X or (X, y). X: (n, steps, channels), (n, steps), or a list of (steps, channels) or (steps,) of any lengths.

    y: (n,) labels; or (n, steps), or a list of (steps,), for a label a step, where None, NaN or -1 is none.
    """
    where, y = "the data given", None
    if isinstance(source, tuple):
        if len(source) != 2:
            raise InputError(f"a tuple of {len(source)} was given; sequences with labels are a pair (X, y)")
        source, y = source
    if not (isinstance(source, list) or hasattr(source, "__array__")):
        raise InputError(f"{where}: sequences are a list of arrays or one array, not {type(source).__name__}")
    if hasattr(source, "ndim") and source.ndim not in (1, 2, 3):
        raise InputError(f"{where}: have {source.ndim} axes; give (sequences, steps) or (sequences, steps, channels)")
    rows = [_array(row) for row in source]
    return _made(where, rows, None if y is None else [_array(one) for one in y], None, [], None)


def _array(one: Any) -> Any:
    """As numpy, on the host."""
    return np.asarray(one.detach().cpu() if hasattr(one, "detach") else one)


def _made(
    where: str,
    rows: list[Array],
    labels: list[Any] | None,
    own: Array | None,
    problems: list[str],
    channels: list[str] | None,
) -> Sequences:
    values, lengths, said = laid_out(where, rows, problems)
    width = values.shape[1]
    if channels is not None and len(channels) != width:
        raise InputError(f"{where}: {len(channels)} names in 'channels' for {width} channels")
    names = tuple(channels or (f"channel_{i}" for i in range(width)))
    out = Sequences(where, values, lengths, names, channels is not None, own=own, problems=said)
    if labels is None:
        return out
    if len(labels) != len(rows):
        raise InputError(f"{where}: {len(rows):,} sequences and {len(labels):,} labels; give one a sequence")
    shapes = {np.ndim(one) for one in labels}
    if shapes == {0}:
        out.label, out.classes = encode_labels(np.array([np.asarray(one).item() for one in labels]), f"{where}: labels")
    elif shapes == {1}:
        out.label, out.classes = _step_labels(labels, rows, lengths, where)
        out.per_step = True
    else:
        raise InputError(f"{where}: labels are one for each sequence, or for each a list with one for each step")
    return out


def _step_labels(labels: list[Any], rows: list[Array], lengths: Array, where: str) -> tuple[Array, tuple[str, ...]]:
    """(steps of all,) int64 with -1 where a step has no label, and the names."""
    cut = []
    for i, (one, row, stop) in enumerate(zip(labels, rows, lengths, strict=True)):
        if len(one) != len(row):
            raise InputError(f"{where}: sequence {i} has {len(row)} steps and {len(one)} labels; give one a step")
        cut.append(np.asarray(one)[:stop])
    flat = np.concatenate(cut)
    if flat.dtype.kind in "OUS":
        there = np.array([v is not None and v == v and v != "" and v != -1 for v in flat.tolist()])
    else:
        there = ~np.isnan(flat) if flat.dtype.kind == "f" else np.ones(len(flat), bool)
        there &= flat != -1
    if not there.any():
        raise InputError(f"{where}: no step has a label")
    known, classes = encode_labels(flat[there], f"{where}: labels")
    out = np.full(len(flat), -1, np.int64)
    out[there] = known
    return out, classes
