"""P15: exact VUS-PR against TSB-AD's own code: time, and the same value.

Four series of the Numenta benchmark with their labels and periods, and 100,000 random numbers with 40 events and a
window of 100. The reader brings a checkout of TheDatumOrg/TSB-AD at commit 8763009 and names it in
ELBOROOM_BENCH_TSB_AD. One file of it is measured, which needs numpy and scikit-learn alone and is known by its SHA-256;
its code is no part of this project.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipe import Options, round_off
from benchmarks.record import Result, median_of_ratios
from benchmarks.rounds import pinned
from elboroom.metrics.detection import Volume, period, vus
from elboroom.metrics.nab import window_rows

__all__ = ["run"]

NAME = "p15_vus"
GOAL = "<= 0.02"
VARIABLE = "ELBOROOM_BENCH_TSB_AD"
COMMIT = "87630099ea8d0dafe89a957e31ed9720e88479eb"
FILE = "TSB_AD/evaluation/basic_metrics.py"
SHA256 = "1fcddedf5ada1d5221f39ee568c7fddb9e7181bd7e1c19636c2cbecf40c97707"
NAB = (
    "realKnownCause/ec2_request_latency_system_failure.csv",
    "realTraffic/occupancy_6005.csv",
    "artificialWithAnomaly/art_load_balancer_spikes.csv",
    "realKnownCause/nyc_taxi.csv",
)
TURNS = 5
PROTOCOL = (
    "one process on one processor; labels as booleans or whole numbers, 250 thresholds, buffers of 0 to the window; a "
    "NAB series is scored by the size of its step from the row before, its window is its period; of each series a "
    "turn of both that is not counted, then 5 turns (2 of the synthetic one), TSB-AD and ours side by side, ours the "
    "mean of 5 calls; median of the ratios, with quartiles. TSB-AD: generate_curve, version 'opt', its default"
)
Array = np.ndarray[Any, Any]
Measure = Callable[[Array, Array, int], Volume]


@dataclass(frozen=True)
class Series:
    """Scores, labels and the window to measure them with."""

    name: str
    labels: Array
    scores: Array
    window: int
    turns: int = TURNS

    def words(self) -> dict[str, Any]:
        digest = hashlib.sha256(np.packbits(self.labels).tobytes() + self.scores.tobytes()).hexdigest()
        events = int((np.diff(self.labels.astype(np.int8), prepend=0) == 1).sum())
        return {"rows": len(self.labels), "events": events, "window": self.window, "sha256": digest}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "a synthetic series of 5,000 rows, ours alone")
    series = [synthetic(5_000, 8, 50)] if options.short else [*nab_series(), synthetic(100_000, 40, 100, turns=2)]
    theirs = None if options.short else tsb_ad()
    result.data = {each.name: each.words() for each in series}
    result.commands.append(f"python -m benchmarks {NAME}")
    furthest = 0.0
    with pinned(0 if options.short else 1):
        for each in series:
            furthest = max(furthest, measure(result, each, theirs))
    result.add(
        "largest difference of VUS-PR and VUS-ROC", furthest if theirs else None, "", "<= 1e-12",
        how=f"over {len(series)} series" if theirs else "TSB-AD did not run",
    )  # fmt: skip
    return result


def measure(result: Result, series: Series, theirs: Measure | None) -> float:
    """Rows of one series; the difference of the values, 0 without a peer."""
    ours: list[float] = []
    peer: list[float] = []
    difference, found = 0.0, Volume(0.0, 0.0)
    for turn in range(series.turns + 1):
        if theirs is not None:
            took, expected = timed(theirs, series, 1)
            peer += [took] if turn else []
        took, found = timed(vus, series, 5)
        ours += [took] if turn else []
        if theirs is not None:
            difference = max(abs(found.pr - expected.pr), abs(found.roc - expected.roc))
    measured = f"{series.name}: seconds, elboroom / TSB-AD"
    if theirs is None:
        result.add(measured, None, "x", GOAL, how="TSB-AD did not run")
    else:
        middle, low, high = median_of_ratios(ours, peer)
        how = f"median of {len(ours)} ratios of neighbouring turns, with quartiles"
        result.add(measured, round_off(middle), "x", GOAL, low=round_off(low), high=round_off(high), how=how)
    result.add(f"{series.name}: elboroom", round_off(statistics.median(ours)), "s", how=f"median of {len(ours)} turns")
    result.details[series.name] = {
        "vus_pr": found.pr,
        "vus_roc": found.roc,
        "elboroom_s": [round_off(s) for s in ours],
        "tsb_ad_s": [round_off(s) for s in peer],
    }
    return difference


def timed(measure: Measure, series: Series, calls: int) -> tuple[float, Volume]:
    """(seconds a call, its value)."""
    began = time.perf_counter()
    for _ in range(calls):
        found = measure(series.labels, series.scores, series.window)
    return (time.perf_counter() - began) / calls, found


def tsb_ad() -> Measure | None:
    """TSB-AD's function; None where there is no checkout: no peer, no ratio."""
    place = os.environ.get(VARIABLE, "")
    if not place:
        return None
    path = Path(place) / FILE
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{VARIABLE} names a folder whose {FILE} is not that of TSB-AD {COMMIT[:7]}")
    spec = importlib.util.spec_from_file_location("tsb_ad_basic_metrics", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def measured(labels: Array, scores: Array, window: int) -> Volume:
        *_, roc, pr = module.generate_curve(labels.astype(int), scores, window, "opt", 250)
        return Volume(float(pr), float(roc))

    return measured


def nab_series() -> list[Series]:
    """From $ELBOROOM_DATA/nab."""
    root = os.environ.get("ELBOROOM_DATA", "")
    folder = Path(root) / "nab"
    if not root or not folder.is_dir():
        raise SystemExit("NAB is not here: set ELBOROOM_DATA to a folder that holds nab/combined_windows.json ...")
    limits = json.loads((folder / "combined_windows.json").read_text(encoding="utf-8"))
    found = []
    for name in NAB:
        lines = [line.split(",") for line in (folder / name).read_text(encoding="utf-8").splitlines()[1:]]
        x = np.array([float(value) for _, value in lines])
        labels = np.zeros(len(x), dtype=bool)
        for first, last in window_rows([stamp for stamp, _ in lines], limits[name]):
            labels[first : last + 1] = True
        found.append(Series(Path(name).stem, labels, np.abs(np.diff(x, prepend=x[0])), period(x)))
    return found


def synthetic(rows: int, events: int, window: int, turns: int = TURNS) -> Series:
    """Normal numbers, raised by 1 inside events of 20 to 60 rows, one in each equal stretch."""
    rng = np.random.default_rng(0)
    labels = np.zeros(rows, dtype=bool)
    for k in range(events):
        start = k * rows // events + int(rng.integers(rows // events - 61))
        labels[start : start + int(rng.integers(20, 61))] = True
    return Series(f"{rows:,} random numbers", labels, rng.normal(size=rows) + labels, window, turns)
