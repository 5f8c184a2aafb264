"""The form of the UCR anomaly archive (Wu & Keogh 2021, arXiv 2009.13807): one number a line, and a name that tells.

`136_UCR_Anomaly_InternalBleeding17_1600_3198_3309.txt`: the first 1,600 rows are free of anomalies, to learn from, and
rows 3,198 to 3,309, counted from 1, both included, are the one anomaly. A text file that holds nothing but a number on
each line is a series under any name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .columns import RawTable

__all__ = ["Told", "holds_numbers", "told", "with_told"]

NAME = re.compile(r"\d+_UCR_Anomaly_.+_(\d+)_(\d+)_(\d+)\.(?:txt|csv)")
SAMPLE = 1 << 14
"""Bytes of a file that are looked at."""
FEWEST = 20
"""Lines of numbers that are no chance."""


@dataclass(frozen=True)
class Told:
    """Rows, counted from 0."""

    train: int
    """The first row after those to learn from."""
    begin: int
    stop: int
    """The anomaly: begin <= row < stop."""


def told(source: Any) -> Told | None:
    """What the name of a file says; None where it is no name of the archive."""
    found = NAME.fullmatch(Path(source).name) if isinstance(source, str | Path) else None
    if found is None:
        return None
    train, begin, end = (int(part) for part in found.groups())
    return Told(train, begin - 1, end) if 0 < train < begin <= end else None


def holds_numbers(source: Any) -> bool:
    """Whether the source is a .txt file with one number on each line, as far as its beginning shows."""
    if not isinstance(source, str | Path) or not str(source).lower().endswith(".txt"):
        return False
    path = Path(source).expanduser()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        lines = file.read(SAMPLE).splitlines()
    lines = lines[:-1] if path.stat().st_size > SAMPLE else [line for line in lines if line.strip()]
    try:
        return len(lines) >= FEWEST and all(np.isfinite(float(line)) for line in lines)
    except ValueError:
        return False


def with_told(raw: RawTable, path: Path) -> RawTable:
    """The table of a file with what its name says of the rows; as it is where the name or its rows do not fit."""
    known = told(path)
    rows = raw.numbers.shape[0]
    if known is None or known.stop > rows:
        return raw
    row = np.arange(rows)
    raw.label = ((row >= known.begin) & (row < known.stop)).astype(np.uint8)
    raw.own = np.where(row < known.train, 0, 2).astype(np.int8)
    raw.problems.append(
        f"the file's name says that training ends with row {known.train - 1:,} and that rows {known.begin:,} to "
        f"{known.stop - 1:,}, counted from 0, are the anomaly"
    )
    return raw
