"""C4: the forecaster on 14 series of NAB as in TSB-AD: VUS-PR of its scores, LSTM-AD published .143, Sub-PCA .331.

Each series is its own run through the command line, trained on the prefix that TSB-AD names, with the model's defaults.
Scores are those of `detect`: errors of 1 to 8 steps ahead in units of the training errors, their squares averaged over
one period. The protocols are those of `c4_nab14`, whose baselines stand beside.
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nab import NabSeries, data_root, nab14, sketch, words
from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result
from elboroom.anomalies.detector import Detector
from elboroom.anomalies.expected import expected
from elboroom.core.abilities import Forecasts
from elboroom.metrics.detection import period, vus
from elboroom.run import load

__all__ = ["run"]

NAME = "c4_forecaster"
SEEDS = 3
MODEL = "forecaster"
PROTOCOL = (
    f"elboroom fit {MODEL} SERIES.csv --kind series --train-until PREFIX, defaults, seeds 0 to {SEEDS - 1}; TSB-AD: "
    "mean over the period of the whole series, all rows scored; leak-free: period of the prefix, rows after it scored; "
    "VUS-PR with 250 thresholds and buffers from 0 to the period of the whole series; mean over the series, then over "
    "seeds, with the smallest and largest seed"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "2 sine waves in place of NAB, 1 seed, 2 epochs")
    series = sketch() if options.short else nab14(data_root())
    result.data = words(series)
    folder = options.scratch(NAME) / "data"
    folder.mkdir(exist_ok=True)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(1 if options.short else SEEDS):
        for one in series:
            trained = one_run(options, result, folder, one, seed)
            for name, value in values(trained, one).items():
                found.setdefault(name, []).append({"seed": seed, "series": float(one.name), "vus_pr": value})
    for name, entries in found.items():
        seeds = sorted({entry["seed"] for entry in entries})
        means = [mean(e["vus_pr"] for e in entries if e["seed"] == seed) for seed in seeds]
        goal = ">= 0.33" if name == "TSB-AD's protocol, centred" else ""
        result.add(
            name, round_off(statistics.mean(means)), "VUS-PR", goal, low=round_off(min(means)),
            high=round_off(max(means)), how=f"mean of {len(seeds)} seeds; published LSTM-AD .143, CNN .155",
        )  # fmt: skip
    result.details["series"] = found
    return result


def mean(values: Any) -> float:
    """Of those that can be given."""
    return statistics.mean(v for v in values if not math.isnan(v))


def one_run(options: Options, result: Result, folder: Path, one: NabSeries, seed: int) -> Path:
    """Train on the prefix of one series; its run folder."""
    csv = folder / f"{one.name}.csv"
    csv.write_text("value\n" + "\n".join(map(repr, one.values.tolist())) + "\n", encoding="utf-8")
    name = f"{one.name}-{seed}"
    words: list[object] = [csv.name, "--kind", "series", "--train-until", one.train, "--seed", seed, "--run", name]
    words += ["--force", *(["--epochs", 2] if options.short else [])]
    command, _ = fit(options, folder, [MODEL, *words])
    if seed == 0:
        result.commands.append(command)
    return folder / name


def values(folder: Path, one: NabSeries) -> dict[str, float]:
    """VUS-PR of both means in both protocols."""
    trained = load(folder)
    assert isinstance(trained.model, Forecasts)
    errors = expected(trained.model, trained.transform, one.values[:, None]).errors
    whole = period(one.values)
    out = {}
    for smoothing in ("centred", "causal"):
        for name, first, width in (
            ("TSB-AD's protocol", 0, whole),
            ("leak-free", one.train, period(one.values[: one.train])),
        ):
            detector = Detector.fit(errors[: one.train], period=width, smoothing=smoothing)  # type: ignore[arg-type]
            score = detector.scores(errors).score
            score = np.where(np.isnan(score), np.nanmin(score), score)[first:]
            labels = one.labels[first:]
            out[f"{name}, {smoothing}"] = float(vus(labels, score, whole).pr) if labels.any() else math.nan
    return out
