"""What an input may ask of this machine, checked from its declared size before anything is allocated.

A file of a few bytes can declare terabytes; every reader asks here first. The figures are those of peers where there
are any (Keras: 100x for zip members, 1000x for HDF5), else generous for real data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elboroom.core.errors import InputError

__all__ = [
    "CELL_BYTES",
    "CLASSES",
    "COLUMNS",
    "FILES",
    "IMAGE_BYTES",
    "PIXELS",
    "RATIO_HDF5",
    "RATIO_ZIP",
    "SMALL",
    "expansion",
    "named",
    "readable",
]

PIXELS = 50_000_000
"""Pixels of one image file (Pillow alone only warns up to 179 million)."""
IMAGE_BYTES = 256 * 2**20
"""Bytes of one image file."""
FILES = 1_000_000
"""Files in one folder or archive."""
COLUMNS = 200_000
"""Columns of a table."""
CELL_BYTES = 2**20
"""Bytes of one text cell."""
CLASSES = 10_000
"""Different labels."""
RATIO_ZIP = 100
"""Declared over stored size of a zip member or gzip file."""
RATIO_HDF5 = 1000
"""Declared over stored size of an HDF5 data set."""
SMALL = 64 * 2**20
"""Bytes below which a ratio is never suspicious: a file of zeros compresses a thousandfold."""


def expansion(where: str, declared: int, stored: int, ratio: int = RATIO_ZIP) -> None:
    """Refuse what would unpack to more than `ratio` times its stored size."""
    if declared > SMALL and declared > ratio * max(stored, 1):
        raise InputError(
            f"{where}: declares {declared:,} bytes but holds only {stored:,} (more than {ratio} to 1); "
            "such a file can fill a machine and is refused: store it with less compression if it is genuine"
        )


def readable(path: Path) -> None:
    """Refuse, by one sentence, a path that cannot be opened."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes)")


@contextmanager
def named(where: object, *faults: type[Exception]) -> Iterator[None]:
    """Turn a library's faults on damaged input into one InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{where}: may not be read: permission denied") from error
    except Exception as error:
        if not isinstance(error, (OSError, EOFError, *faults)):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{where}: cannot be read, it is damaged or cut short: {said}") from error
