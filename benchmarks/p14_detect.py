"""P14: `elboroom detect` on a table of 10,000 rows of 10 channels, from the start of the process to the report on disk.

The table is made here: daily cycles with noise and three faults, 1 % of the cells missing, a gap, rows given twice, a
column of text, and times written in two zones.
"""

from __future__ import annotations

import datetime
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.recipe import Options, round_off
from benchmarks.record import Result
from benchmarks.rounds import environment, pinned

__all__ = ["run", "write_table"]

NAME = "p14_detect"
GOAL = "<= 10"
PROTOCOL = (
    "one turn that is not counted, then 5 turns; a turn is the whole command, then a Python that imports torch and "
    "ends, then one that imports nothing, each in a process of its own; medians, with smallest and largest"
)
ROWS, CHANNELS, PERIOD = 10_000, 10, 144
FAULTS = (0.75, 0.85, 0.93)
FLOORS = {"import torch alone": "import torch", "an empty Python": "pass"}


def run(options: Options) -> Result:
    rows = 1_500 if options.short else ROWS
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, f"{rows:,} rows, one turn")
    folder = options.scratch(NAME)
    write_table(folder / "plant.csv", rows)
    words = ["detect", "plant.csv", "--out", "found", "--force", "--threads", str(options.threads)]
    calls = {"elboroom detect": ["-m", "elboroom", *words]}
    calls |= {name: ["-c", code] for name, code in FLOORS.items()}
    wall: dict[str, list[float]] = {name: [] for name in calls}
    processor: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(2 if options.short else 6):
        for name, call in calls.items():
            seconds, used = timed(options, folder, call)
            if turn:
                wall[name].append(seconds)
                processor[name].append(used)
    for what, spent, goal in (("wall time", wall, GOAL), ("processor time", processor, "")):
        for name, each in spent.items():
            how = f"median of {len(each)} turns, with smallest and largest"
            middle, low, high = (round_off(f(each)) for f in (statistics.median, min, max))
            asked = goal if name == "elboroom detect" else ""
            result.add(f"{what}: {name}", middle, "s", asked, low=low, high=high, how=how)
    result.commands.append("elboroom " + " ".join(words))
    written = sorted(path.name for path in (folder / "found").iterdir())
    lines = len((folder / "found" / "scores.csv").read_text(encoding="utf-8").splitlines()) - 1
    result.details["output"] = {"files": written, "lines of scores.csv": lines}
    return result


def timed(options: Options, folder: Path, call: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with pinned(0 if options.short else options.threads):
        subprocess.run(
            [sys.executable, *call],
            cwd=folder,
            check=True,
            capture_output=True,
            env=environment(options.threads, Path(sys.executable)),
        )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write_table(path: Path, rows: int) -> None:
    """The table, the same at every call."""
    rng = np.random.default_rng(0)
    at, channel = np.arange(rows)[:, None], np.arange(CHANNELS)
    values = (2 + channel) * np.sin(2 * np.pi * at / PERIOD + channel) + 5 * channel
    values += rng.normal(size=values.shape) * 0.3 * (1 + channel / 5)
    for i, share in enumerate(FAULTS):
        values[int(share * rows) : int(share * rows) + 20, 3 * i] += 6 + i
    missing = rng.random(values.shape) < 0.01
    start, east = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), datetime.timezone(datetime.timedelta(hours=1))
    lines = []
    for i in range(rows):
        later = 60 * (i >= rows // 3) + 3 * (i >= rows * 2 // 3)  # a long gap, and one that is masked
        when = (start + datetime.timedelta(minutes=10 * (i + later))).astimezone(east if i % 2 else datetime.UTC)
        cells = ["" if gone else f"{value:.4f}" for value, gone in zip(values[i], missing[i], strict=True)]
        lines.append(",".join([when.isoformat(), *cells, "ok" if i % 7 else "warm"]))
    for i in range(100, rows, rows // 20):
        lines.insert(i, lines[i])
    head = ",".join(["time", *(f"s{c}" for c in channel), "note"])
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
