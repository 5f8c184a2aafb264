"""A made-up pump: three channels every ten minutes, with bumps where they are asked for, and a run that learnt it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from elboroom.run import Run

__all__ = ["CHANNELS", "STEP_S", "pump_run", "write_pump"]

CHANNELS = ("flow", "load", "heat")
STEP_S = 600


def write_pump(
    path: Path, rows: int, bumps: Sequence[tuple[int, int]] = (), *, names: Sequence[str] = CHANNELS, seed: int = 0
) -> Path:
    """A CSV; `bumps` are (row, channel): the channel rises there for 20 rows."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None]
    x = 20 + np.sin(2 * np.pi * t / 24 + np.arange(len(names))) + 0.1 * rng.standard_normal((rows, len(names)))
    for row, channel in bumps:
        x[row : row + 20, channel] += 4
    start = np.datetime64("2026-01-01T00:00")
    times = [str(start + np.timedelta64(STEP_S * i, "s")).replace("T", " ") for i in range(rows)]
    lines = [",".join([time, *(f"{v:.3f}" for v in row)]) for time, row in zip(times, x.tolist(), strict=True)]
    path.write_text("\n".join([",".join(["time", *names]), *lines]) + "\n", encoding="utf-8")
    return path


def pump_run(folder: Path, name: str = "pump") -> Run:
    """A small finished forecaster of 900 rows, the last 360 of them neither learnt from nor used for the threshold."""
    from elboroom.data.reading import Reading
    from elboroom.fitting import fit

    data = write_pump(folder / f"{name}.csv", 900, [(700, 1), (800, 0)])
    reading = Reading(window=24, train_until="0.6")
    settings = {"cell": "gru", "hidden": 8, "horizon": 4}
    return fit("forecaster", str(data), run=folder / name, reading=reading, settings=settings, steps=40, threads=1)
