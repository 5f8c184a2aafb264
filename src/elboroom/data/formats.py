"""Which reader a path goes to: by what a folder holds and how a file's name ends."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from elboroom.core.errors import InputError
from elboroom.core.spec import Spec

from .archive import with_told
from .columns import RawTable
from .content import Content
from .corpus import COLUMNED, TEXT_ENDINGS, Corpus, holds_text, read_text
from .documents import Documents, read_documents
from .idx import is_idx, read_idx, read_idx_folder
from .pixels import fit_pixels
from .reading import Reading
from .sequences import Sequences
from .sequences_files import is_pair, read_npz_sequences, read_ts
from .sequences_text import LabelledTexts, read_labelled
from .tables import read_delimited

__all__ = ["Found", "open_path"]

Found = Content | RawTable | Corpus | Sequences | LabelledTexts | Documents
TEXT_TABLES = (".csv", ".tsv", ".tab", ".csv.gz", ".tsv.gz")


def open_path(
    path: Path, reading: Reading, *, own_test: bool, like: Spec | None = None, white: float | None = None
) -> tuple[Found, str]:
    """What the path holds, and a short name for it. `like` is the Spec of the run that new data are read for."""
    found = _sequences(path, reading, own_test, like)
    if found is not None:
        return found
    if reading.kind == "documents":
        return read_documents(path, reading), path.resolve().name if path.is_dir() else path.name.split(".")[0]
    if reading.kind == "text" or (reading.kind == "auto" and path.name.lower().endswith(TEXT_ENDINGS)):
        return _text(path, reading, like)
    delimited: tuple[str, ...] = TEXT_TABLES
    series = reading.kind == "series"
    if series:  # a table to every reader
        reading = dataclasses.replace(reading, kind="table")
        delimited += (".txt", ".dat", ".out", ".asc", ".log")
    if path.is_dir():
        return _folder(path, reading, like)
    name = path.name.lower()
    if is_idx(path):
        return fit_pixels(read_idx(path, own_test=own_test), str(path), reading), path.parent.name or "idx"
    stem = path.name.split(".")[0]
    if name.endswith(delimited):
        return with_told(read_delimited(path), path) if series else read_delimited(path), stem
    if name.endswith((".npy", ".npz")):
        from .arrays import read_array

        return read_array(path, reading, white), stem
    if name.endswith(".zip"):
        from .images import read_zip

        return read_zip(path, reading, like), stem
    if name.endswith((".parquet", ".pq")):
        from .parquet import read_parquet

        return read_parquet([path], reading, like), stem
    if name.endswith((".h5ad", ".h5", ".hdf5")):
        from .expression import read_hdf5

        return read_hdf5(path), stem
    if name.endswith((".gct", ".gct.gz")):
        from .expression import read_gct

        return read_gct(path), stem
    if name.endswith((".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt")):
        raise InputError(f"{path}: such a file can run code when it is opened and is never read; save arrays as .npy")
    if name.endswith((".xlsx", ".xls", ".ods")):
        raise InputError(f"{path}: spreadsheets are not read; save the sheet as CSV and give that")
    if name.endswith((".txt", ".md")):
        raise InputError(f"{path}: this ending is read as a text; a table needs .csv or .tsv, so rename it")
    raise InputError(
        f"{path}: no reader for this ending; data are image folders, .zip, .npy, .npz, IDX, .csv, .tsv, .parquet, "
        ".h5ad, .h5, .gct, .ts, .txt, .md, .jsonl; `--kind text` reads any file of text"
    )


def _sequences(path: Path, reading: Reading, own_test: bool, like: Spec | None) -> tuple[Found, str] | None:
    """Labelled sequences or texts, where they are asked for or the path can be nothing else."""
    if reading.kind not in ("auto", "sequences"):
        return None
    pair = is_pair(path)
    if pair is not None:
        return read_ts(pair, own_test=True), pair.name.removesuffix("_TRAIN.ts")
    name = path.name.lower()
    if name.endswith(".ts"):
        stem = path.stem.removesuffix("_TRAIN").removesuffix("_TEST")
        return read_ts(path, own_test=own_test), stem
    if reading.kind == "auto":
        return None
    if like is None or not like.levels:
        if name.endswith(".npz"):
            return read_npz_sequences(path, reading.label), path.stem
        if like is not None or not name.endswith(COLUMNED):
            raise InputError(f"{path}: holds no sequences; they are read from .ts and .npz files, labelled texts from "
                             ".csv, .tsv and .jsonl")  # fmt: skip
    return read_labelled(path, reading), path.name.split(".")[0]


def _text(path: Path, reading: Reading, like: Spec | None) -> tuple[Found, str]:
    if len(reading.columns) > 1:
        raise InputError(f"--columns {','.join(reading.columns)}: a text lies in one column; name that one")
    column = reading.columns[0] if reading.columns else ""
    if like is not None and path.suffix.lower() not in COLUMNED:
        column = ""  # that of the run's own data
    found = read_text(path, column, strict=reading.strict)
    return found, path.resolve().name if path.is_dir() else path.name.split(".")[0]


def _folder(path: Path, reading: Reading, like: Spec | None) -> tuple[Found, str]:
    names = [p.name for p in path.iterdir()]
    stem = path.resolve().name
    if not names:
        raise InputError(f"{path}: the folder is empty")
    if any(is_idx(Path(name)) for name in names):
        return fit_pixels(read_idx_folder(path), str(path), reading), stem
    shards = sorted(path / name for name in names if name.endswith((".parquet", ".pq")))
    if shards:
        from .parquet import read_parquet

        return read_parquet(shards, reading, like), stem
    from .images import ENDINGS, read_folder

    if reading.kind == "auto" and holds_text(path, but=ENDINGS):
        return _text(path, reading, like)
    return read_folder(path, reading, like), stem
