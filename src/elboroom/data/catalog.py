"""Named data sets: what each is, where its files may lie, how they are known to be whole, under which terms.

Nothing here is embedded: `digits` comes with scikit-learn, `pydocs` with Python; `shapes`, `ring8`, `grid25`, `machine`
and `future` are drawn, `stacked_mnist` is made of `mnist`; the rest is looked for under `$ELBOROOM_DATA`, then in the
user's cache, then downloaded. Each file is checked against its SHA-256.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from elboroom.core.errors import InputError

from .columns import RawTable
from .content import Content
from .corpus import Corpus, read_text
from .future import read_future
from .idx import read_idx_folder
from .machine import read_machine
from .mixtures import read_grid, read_ring
from .sequences import Sequences
from .stacked import read_stacked
from .toy import read_shapes

__all__ = ["CATALOG", "Entry", "find", "names"]

WAIT_S = 20
CHUNK = 2**20


@dataclass(frozen=True)
class Entry:
    """One named set."""

    name: str
    summary: str
    kind: str
    shape: str
    origin: str
    licence: str
    read: Callable[[str, tuple[int, int] | None], Content | Corpus | RawTable | Sequences]
    """From the options after the colon in the name, and the size asked for."""
    folder: str = ""
    """Sub-folder of `$ELBOROOM_DATA`; empty where no file is needed."""
    files: dict[str, str] = field(default_factory=dict)
    """File name to SHA-256."""
    mirror: str = ""
    """Where the files are downloaded from: a folder, which ends in /, or the one file itself."""
    options: str = ""
    """What may follow the name and a colon."""


def names() -> list[str]:
    """The known sets."""
    return list(CATALOG)


def find(name: str) -> tuple[Entry, str] | None:
    """The entry and its options for `name` or `name:options`; None where there is no such set."""
    stem, _, options = name.partition(":")
    entry = CATALOG.get(stem)
    if entry is None:
        return None
    if options and not entry.options:
        raise InputError(f"{name}: the set {stem!r} takes no options")
    return entry, options


def _digits(options: str, size: tuple[int, int] | None) -> Content:
    # the file is read without importing scikit-learn, which takes a second or more
    found = importlib.util.find_spec("sklearn")
    folders = [] if found is None else found.submodule_search_locations or []
    path = next((p for f in folders if (p := Path(f) / "datasets" / "data" / "digits.csv.gz").is_file()), None)
    if path is None:
        raise InputError("digits comes with scikit-learn, which is not whole here: pip install scikit-learn")
    with gzip.open(path, "rt") as file:
        table = np.array([line.split(",") for line in file], dtype=np.float64).astype(np.uint8)
    x = table[:, :-1].reshape(-1, 1, 8, 8)
    return Content(
        "images", x, white=16.0, label=table[:, -1].astype(np.int64), classes=tuple(str(n) for n in range(10))
    )


def _mnist(options: str, size: tuple[int, int] | None) -> Content:
    return read_idx_folder(_located(CATALOG["mnist"]))


def _stacked_mnist(options: str, size: tuple[int, int] | None) -> Content:
    return read_stacked(options, size, _mnist("", None))


def _pydocs(options: str, size: tuple[int, int] | None) -> Corpus:
    from .pydocs import read_pydocs

    return read_pydocs()


def _text(name: str) -> Callable[[str, tuple[int, int] | None], Corpus]:
    """The reader of a set that is one text file."""

    def read(options: str, size: tuple[int, int] | None) -> Corpus:
        entry = CATALOG[name]
        return read_text(_located(entry) / next(iter(entry.files)))

    return read


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "elboroom" / "data"


def _located(entry: Entry) -> Path:
    """The folder that holds the set's files, checked; downloaded where they are nowhere."""
    root = os.environ.get("ELBOROOM_DATA", "")
    places = [Path(root).expanduser() / entry.folder] if root else []
    places.append(_cache() / entry.folder)
    for place in places:
        if all((place / name).is_file() for name in entry.files):
            for name, known in entry.files.items():
                _check(place / name, known)
            return place
    target = places[0] if places[0].is_dir() and os.access(places[0], os.W_OK) else places[-1]
    for name, known in entry.files.items():
        if not (target / name).is_file():
            _download(entry, name, known, target, places)
        _check(target / name, known)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, known: str) -> None:
    if _sha256(path) != known:
        raise InputError(f"{path}: the file is not the published one (its SHA-256 differs); delete it and try again")


def _download(entry: Entry, name: str, known: str, target: Path, places: list[Path]) -> None:
    """One file, whole or not at all."""
    part = None
    where = entry.mirror + name if entry.mirror.endswith("/") else entry.mirror
    try:
        with urllib.request.urlopen(where, timeout=WAIT_S) as answer:
            target.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target, prefix=".part-", delete=False) as file:
                part = Path(file.name)
                while block := answer.read(CHUNK):
                    file.write(block)
        if _sha256(part) != known:
            raise InputError(f"{where}: what was downloaded is not the published file (its SHA-256 differs)")
        part.chmod(0o644)
        part.replace(target / name)
    except (urllib.error.URLError, OSError) as error:
        if isinstance(error, InputError):
            raise
        listed, why = ", ".join(entry.files), getattr(error, "reason", error)
        other = "" if os.environ.get("ELBOROOM_DATA") else ", or set ELBOROOM_DATA to the folder above theirs"
        said = f"{entry.name} is not on this machine and could not be downloaded ({why})"
        raise InputError(f"{said}; put {listed} into {places[0]}{other}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


CATALOG = {
    entry.name: entry
    for entry in (
        Entry(
            name="digits",
            summary="hand-written digits, 8x8, 17 grey levels",
            kind="images",
            shape="1,797 x 1x8x8",
            origin="UCI optical recognition of handwritten digits (test part), inside scikit-learn",
            licence="CC BY 4.0",
            read=_digits,
        ),
        Entry(
            name="mnist",
            summary="hand-written digits, 28x28, 256 grey levels, with a test part of its own",
            kind="images",
            shape="70,000 x 1x28x28",
            origin="LeCun, Cortes and Burges, the MNIST database",
            licence="none stated",
            read=_mnist,
            folder="mnist",
            files={
                "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
            mirror="https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        Entry(
            name="stacked_mnist",
            summary="three digits of mnist as the colours of one picture, 1,000 classes, to count the modes of a model",
            kind="images",
            shape="65,000 x 3x28x28, or as asked",
            origin="made by elboroom of the MNIST database, after Metz et al. 2017",
            licence="that of mnist: none stated",
            read=_stacked_mnist,
            options="n=50000",
        ),
        Entry(
            name="ring8",
            summary="eight Gaussians on a circle, with known centres, to count the modes of a model",
            kind="table",
            shape="120,000 x 2, or as asked",
            origin="drawn by elboroom, after PacGAN (Lin et al. 2018)",
            licence="Apache-2.0",
            read=read_ring,
            options="n=100000,sd=0.01,modes=8",
        ),
        Entry(
            name="grid25",
            summary="25 Gaussians on a square grid, with known centres, to count the modes of a model",
            kind="table",
            shape="120,000 x 2, or as asked",
            origin="drawn by elboroom, after PacGAN (Lin et al. 2018)",
            licence="Apache-2.0",
            read=read_grid,
            options="n=100000,sd=0.05,side=5",
        ),
        Entry(
            name="shapes",
            summary="drawn shapes with every combination of known factors; any grid of them",
            kind="images",
            shape="6,144 x 1x32x32, or as asked",
            origin="drawn by elboroom",
            licence="Apache-2.0",
            read=read_shapes,
            options="shape=3,scale=4,rotation=8,x=8,y=8,size=32",
        ),
        Entry(
            name="machine",
            summary="six sensors of a pump; the second half has eight known faults, labelled, and is the test part",
            kind="series",
            shape="10,080 rows of 5 minutes x 6",
            origin="drawn by elboroom",
            licence="Apache-2.0",
            read=read_machine,
        ),
        Entry(
            name="future",
            summary="noise, a label a step that depends on the steps after it; with ahead below 0, on those before",
            kind="sequences",
            shape="1,200 of 20 to 40 steps x 1, or as asked",
            origin="drawn by elboroom",
            licence="Apache-2.0",
            read=read_future,
            options="ahead=3,noise=0.05,sequences=1200",
        ),
        Entry(
            name="pydocs",
            summary="the documentation inside this Python; other versions have another",
            kind="text",
            shape="about 1.9 million characters in 390 documents",
            origin="the topics of help() and the docstrings of the standard library",
            licence="Python Software Foundation License",
            read=_pydocs,
        ),
        Entry(
            name="tinyshakespeare",
            summary="plays of Shakespeare, 65 different characters",
            kind="text",
            shape="1,115,394 characters",
            origin="Karpathy, char-rnn",
            licence="the text is in the public domain, the repository under MIT",
            read=_text("tinyshakespeare"),
            folder="text",
            files={"tinyshakespeare.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
            mirror="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        ),
        Entry(
            name="grimm",
            summary="fairy tales of the brothers Grimm, with the header of Project Gutenberg",
            kind="text",
            shape="540,240 characters",
            origin="Project Gutenberg, from the practicals of the UvA deep learning course",
            licence="Project Gutenberg License",
            read=_text("grimm"),
            folder="text",
            files={"grimm.txt": "e6439bd511820742e842e21b75e89b394d3809eec82ca56b506c39ff39d4a7d6"},
            mirror="https://raw.githubusercontent.com/uvadlc/uvadlc_practicals_2023/main/assignment3/part3/assets/"
            "book_EN_grimms_fairy_tails.txt",
        ),
        Entry(
            name="names",
            summary="first names, one a line",
            kind="text",
            shape="228,145 characters",
            origin="Karpathy, makemore",
            licence="MIT",
            read=_text("names"),
            folder="text",
            files={"names.txt": "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"},
            mirror="https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
        ),
    )
}
