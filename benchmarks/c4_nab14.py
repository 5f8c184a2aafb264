"""C4: the baselines of anomaly detection on 14 series of NAB as in TSB-AD: VUS-PR beside the published figures.

Two protocols. TSB-AD's: the period is that of the whole series, every row is scored, the training prefix included, and
a detector may be fitted on all of them. Leak-free: period and fit come from the training prefix, and only rows after it
count; the figures of one protocol say nothing beside those of the other. VUS's own window is the period of the whole
series in both. The prefix of series 009 ends inside its anomaly.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

import numpy as np

from benchmarks.nab import NabSeries, data_root, nab14, sketch, words
from benchmarks.recipe import Options, round_off
from benchmarks.record import Result
from elboroom.baselines.channels import centred
from elboroom.baselines.detection import BASELINES, Baseline
from elboroom.baselines.matrix_profile import profile
from elboroom.metrics.detection import period, vus

__all__ = ["leak_free_score", "run", "tsb_score", "tsb_vus_pr"]

NAME = "c4_nab14"
SEEDS = 3
PROTOCOL = (
    "TSB-AD: period (largest local maximum of the autocorrelation) and fit from the whole series, all rows scored, "
    "rows without a window around them get the nearest score; leak-free: period and fit from the training prefix, rows "
    "after it scored; VUS-PR with 250 thresholds and buffers from 0 to the period of the whole series; mean over the "
    f"series; random and isolation forest: mean of {SEEDS} seeds; published: TSB-AD's table for the same series"
)
PUBLISHED = {
    "sub_pca_transductive": "Sub-PCA",
    "matrix_profile": "MatrixProfile",
    "isolation_forest": "Sub-IForest",
}
"""The column of TSB-AD's table that is nearest to a baseline."""
EARLIER = {"random": 0.111, "moving_variance_centred": 0.265, "sub_pca_centred": 0.306}
"""Means of a prototype, TSB-AD's protocol."""
LEARNT = ("CNN", "LSTMAD", "OmniAnomaly", "USAD", "AutoEncoder", "POLY", "KShapeAD", "MOMENT (FT)")


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "2 sine waves in place of NAB, 1 seed")
    series = sketch() if options.short else nab14(data_root())
    result.data = words(series)
    result.commands.append(f"python -m benchmarks {NAME}")
    seeds = 1 if options.short else SEEDS
    for protocol, score in (("TSB-AD's protocol", tsb_score), ("leak-free", leak_free_score)):
        table: dict[str, Any] = {}
        for baseline in BASELINES:
            began = time.process_time()
            draws = seeds if baseline.name in ("random", "isolation_forest") else 1
            found = {one.name: statistics.mean(score(baseline, one, seed) for seed in range(draws)) for one in series}
            table[baseline.name] = {"vus_pr": found, "processor_s": round_off(time.process_time() - began)}
            add(result, protocol, baseline, series, found)
        result.details[protocol] = table
    if not options.short:
        published(result, series)
    return result


def add(result: Result, protocol: str, baseline: Baseline, series: list[NabSeries], found: dict[str, float]) -> None:
    """The row of one baseline in one protocol; of Sub-PCA also how far it is from what is published for each series."""
    sight = "transductive" if baseline.transductive else "causal" if baseline.causal else "offline"
    how, goal, whole = [sight], "", protocol.startswith("TSB")
    column = PUBLISHED.get(baseline.name, "")
    if whole and column and series[0].published:
        theirs = {one.name: one.published[column] for one in series}
        how.append(f"published {column} {statistics.mean(theirs.values()):.3f}")
    if whole and baseline.name in EARLIER:
        how.append(f"a prototype {EARLIER[baseline.name]}")
    if whole and baseline.name == "sub_pca_transductive":
        goal = "0.331 +- 0.003"
    mean = round_off(statistics.mean(found.values()))
    result.add(f"{protocol}: {baseline.title}", mean, "VUS-PR", goal, how="; ".join(how))
    if goal and series[0].published:
        result.add(
            "Sub-PCA: largest difference from the published value of a series",
            round_off(max(abs(found[name] - value) for name, value in theirs.items())),
            "VUS-PR",
            "<= 0.01",
        )


def published(result: Result, series: list[NabSeries]) -> None:
    """What others reach on the same series, and the matrix profile with stumpy's exclusion against its own column."""
    gaps = [abs(tsb_profile(one) - one.published["MatrixProfile"]) for one in series]
    how = "exclusion of a quarter of the period, as stumpy has it by default"
    measure = "matrix profile: largest difference from the published value of a series"
    result.add(measure, round_off(max(gaps)), "VUS-PR", "<= 0.01", how=how)
    for name in LEARNT:
        mean = statistics.mean(one.published[name] for one in series)
        result.add(f"TSB-AD's protocol: {name}", round_off(mean), "VUS-PR", how="published, not measured here")


def tsb_score(baseline: Baseline, one: NabSeries, seed: int = 0) -> float:
    """VUS-PR over all rows."""
    scores = baseline.score(one.values[:, None], one.train, period=period(one.values), seed=seed)
    return tsb_vus_pr(one, scores)


def tsb_vus_pr(one: NabSeries, scores: np.ndarray[Any, Any]) -> float:
    """VUS-PR of scores (T,); a row without one gets that of the nearest row, as TSB-AD pads the ends."""
    there = np.flatnonzero(~np.isnan(scores))
    whole = np.interp(np.arange(len(scores)), there, scores[there])
    return float(vus(one.labels, whole, period(one.values)).pr)


def leak_free_score(baseline: Baseline, one: NabSeries, seed: int = 0) -> float:
    """VUS-PR over the rows after the training prefix; nan where none of them is anomalous."""
    m = period(one.values[: one.train])
    scores = baseline.score(one.values[:, None], one.train, period=m, seed=seed)[one.train :]
    if np.isnan(scores).all() or not one.labels[one.train :].any():
        return math.nan
    # offline scores have no window around the last rows
    there = np.flatnonzero(~np.isnan(scores))
    whole = np.interp(np.arange(len(scores)), there, scores[there])
    return float(vus(one.labels[one.train :], whole, period(one.values)).pr)


def tsb_profile(one: NabSeries) -> float:
    """The full matrix profile with the settings of stumpy and the padding of TSB-AD (the smallest distance)."""
    m = period(one.values)
    distance = profile(one.values, m, math.ceil(m / 4))
    placed = centred(distance, len(one.values), m)
    return float(vus(one.labels, np.where(np.isnan(placed), np.nanmin(distance), placed), m).pr)
