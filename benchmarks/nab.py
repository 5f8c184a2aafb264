"""The 14 series of TSB-AD-U that can be rebuilt from the Numenta anomaly benchmark, with their published VUS-PR.

A series of TSB-AD-U is a file of NAB without its first row of values and without its last label, so that the labels lie
one row late: of a label window of NAB the first row counts as normal, and the row of its end as anomalous. The name
under which TSB-AD keeps it says where the training prefix ends (`tr`) and where the first anomaly begins (`1st`):
`001_NAB_id_1_Facility_tr_1007_1st_2014.csv`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NabSeries", "data_root", "nab14", "sketch", "words"]

PUBLISHED = "nab14_published_vus_pr.csv"


@dataclass(frozen=True)
class NabSeries:
    """One series as TSB-AD has it."""

    name: str
    """TSB-AD's number, 001 to 026."""
    file: str
    """In NAB's folder of data."""
    values: NDArray[np.float64]
    """(T,)"""
    labels: NDArray[np.bool_]
    """(T,)"""
    train: int
    """Rows of the training prefix."""
    first: int
    """The row, from 0, of the first anomaly that the name promises."""
    published: dict[str, float]
    """VUS-PR of each detector of TSB-AD; and what it says of the series: ts_len, anomaly_len, num_anomaly."""


def data_root() -> Path:
    """The folder with nab/ and tsb_ad_u/."""
    root = os.environ.get("ELBOROOM_DATA", "")
    if not root or not (Path(root) / "tsb_ad_u" / PUBLISHED).is_file():
        raise SystemExit(f"NAB is not here: set ELBOROOM_DATA to a folder with nab/ and tsb_ad_u/{PUBLISHED}")
    return Path(root)


def nab14(root: Path) -> list[NabSeries]:
    """All 14, in TSB-AD's order."""
    windows = json.loads((root / "nab" / "combined_windows.json").read_text(encoding="utf-8"))
    with (root / "tsb_ad_u" / PUBLISHED).open(encoding="utf-8", newline="") as handle:
        return [_rebuilt(root / "nab", row, windows[row["nab_file"]]) for row in csv.DictReader(handle)]


def _rebuilt(folder: Path, row: dict[str, str], windows: list[tuple[str, str]]) -> NabSeries:
    with (folder / row["nab_file"]).open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))[1:]
    times = np.array([entry["timestamp"] for entry in rows], dtype="datetime64[s]")
    labels = np.zeros(len(rows), dtype=bool)
    for start, end in windows:
        labels |= (times > np.datetime64(start, "s")) & (times <= np.datetime64(end, "s"))
    named = re.fullmatch(r"(\d+)_.*_tr_(\d+)_1st_(\d+)\.csv", row["file"])
    if named is None:
        raise SystemExit(f"{PUBLISHED} names a series {row['file']!r}, which says no tr and no 1st")
    published = {k: float(v) for k, v in row.items() if k not in ("nab_file", "file", "id")}
    values = np.array([float(entry["value"]) for entry in rows])
    return NabSeries(named[1], row["nab_file"], values, labels, int(named[2]), int(named[3]), published)


def sketch(count: int = 2, rows: int = 1200, period: int = 50) -> list[NabSeries]:
    """Noisy sine waves that run too fast and too high for one stretch, in place of NAB. For shortened runs."""
    out = []
    for i in range(count):
        rng = np.random.default_rng(i)
        values = np.sin(2 * np.pi * np.arange(rows) / period) + 0.1 * rng.normal(size=rows)
        labels = np.zeros(rows, dtype=bool)
        start = rows // 2 + 100 * i
        labels[start : start + 2 * period] = True
        values[labels] *= 1 + np.sin(np.arange(2 * period))
        out.append(NabSeries(f"{i:03d}", "sketch", values, labels, rows // 3, start, {}))
    return out


def words(series: list[NabSeries]) -> dict[str, Any]:
    """Names, sizes and SHA-256 of values and labels."""
    digest = hashlib.sha256()
    for one in series:
        digest.update(one.values.tobytes() + one.labels.tobytes())
    return {
        "name": "14 series of NAB as in TSB-AD-U" if series[0].published else "sketch",
        "series": [one.name for one in series],
        "rows": sum(len(one.values) for one in series),
        "anomalous_rows": sum(int(one.labels.sum()) for one in series),
        "sha256": digest.hexdigest(),
    }
