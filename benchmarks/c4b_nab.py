"""C4b: the NAB score of the forecaster, read as a stream: windowedGaussian 39.65, KNN-CAD 58.0, HTM 70.1.

NAB's own protocol: of each of the 58 files the first 15 % of the rows, 750 at most, are learnt from, every later row is
scored in [0, 1] from rows up to its own, and one threshold for all files is optimised for each profile by NAB's rule.
That rule looks at the labels, for every entry of NAB's table; nothing else here does.

All choices (which statistics, their widths, holding back, training steps) were made on half of the files, drawn by
`HALF_SEED`. Both are reported, and the second also at the threshold of the first. The other half was scored twice: with
the first design, the row "without the time of day", and with this one. The choices and their reasons:
`elboroom.anomalies.likelihood`.
"""

from __future__ import annotations

import csv
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.nab import data_root, sketch
from benchmarks.recipe import Options, round_off
from benchmarks.record import Result
from elboroom.anomalies.expected import Expected, expected
from elboroom.anomalies.likelihood import Likelihood
from elboroom.core.abilities import Forecasts
from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.metrics.nab import PROBATION, PROBATION_ROWS, PROFILES, NabFile, NabScore, nab_scores, window_rows

__all__ = ["WAYS", "Series", "expectations", "halves", "probation", "run", "scored"]

NAME = "c4b_nab"
MODEL = "forecaster"
DAY_S = 86_400
STEPS = 150
SEEDS = 3
HALF_SEED = 0
PROTOCOL = (
    f"{MODEL}, defaults, {STEPS} steps on the first 15 % of a file's rows, 750 at most, then frozen; errors one step "
    "ahead, values and time of day to anomalies.Likelihood, calibrated on the same rows; NAB's scorer, one threshold "
    f"for all files of a row, optimised by NAB's rule for each profile; mean of seeds 0 to {SEEDS - 1}, with the "
    f"smallest and largest; development: a random half of the files, seed {HALF_SEED}, on which the choices were made"
)
PUBLISHED = {"windowedGaussian": "windowedGaussian", "knncad": "KNN-CAD"}
HTM = {"standard": 70.10, "reward_low_FP_rate": 63.12, "reward_low_FN_rate": 74.32}
"""numenta in NAB's final_results.json."""
PROFILE_WORDS = {"standard": "standard", "reward_low_FP_rate": "few false alarms", "reward_low_FN_rate": "few missed"}
WAYS = ("whole", "without the time of day", "never holds back", "errors alone", "values alone", "plain error")
"""The detector, and what it is worth without each of its parts; the last is |error| in the model's units."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One file of NAB."""

    values: Array
    """(T,)"""
    windows: tuple[tuple[int, int], ...]
    """First and last row of each labelled window."""
    times: NDArray[np.int64]
    """(T,): seconds."""

    def places(self) -> tuple[NDArray[np.int64], int]:
        """(T,): the place of each row in the day, and places in a day; a step is the median one of the probation."""
        step = max(1, int(np.median(np.diff(self.times[: probation(len(self.times))]))))
        day = max(1, round(DAY_S / step))
        return self.times % DAY_S // step % day, day


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "2 sine waves in place of NAB, 1 seed, 5 steps")
    files = sketched() if options.short else nab(data_root() / "nab")
    result.data = {
        "name": "sketch" if options.short else "NAB",
        "files": len(files),
        "rows": sum(len(one.values) for one in files.values()),
        "windows": sum(len(one.windows) for one in files.values()),
    }
    result.commands.append(f"python -m benchmarks {NAME}")
    first, second = halves(list(files))
    seconds: list[float] = []
    found: dict[str, list[dict[str, Array]]] = {}
    for seed in range(1 if options.short else SEEDS):
        began = time.process_time()
        read = {name: expectations(one, seed, 5 if options.short else STEPS) for name, one in files.items()}
        seconds.append(round_off(time.process_time() - began))
        for way in WAYS if seed == 0 else WAYS[:1]:
            scores = {name: scored(one, read[name], way) for name, one in files.items()}
            found.setdefault(way, []).append(scores)
    result.details["processor_s_of_training_and_reading"] = seconds
    result.details["development"] = first
    ours(result, files, first, second, found["whole"])
    for way in WAYS[1:]:
        for part, names in (("all files", list(files)), ("development half", first), ("other half", second)):
            score = judged(files, found[way][0], names, "standard").score
            result.add(f"standard, {part}: {way}", round_off(score), "", how="seed 0")
    if not options.short:
        beside(result, files, first, second)
    return result


# -- data --------------------------------------------------------------------------------------------------------------


def nab(folder: Path) -> dict[str, Series]:
    """All files that NAB has windows or their absence for, by name."""
    limits = json.loads((folder / "combined_windows.json").read_text(encoding="utf-8"))
    out = {}
    for name in sorted(limits):
        with (folder / name).open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        stamps = [row["timestamp"] for row in rows]
        times = np.array(stamps, dtype="datetime64[s]").astype(np.int64)
        out[name] = Series(np.array([float(row["value"]) for row in rows]), window_rows(stamps, limits[name]), times)
    return out


def sketched() -> dict[str, Series]:
    """For shortened runs."""
    out = {}
    for one in sketch():
        rows = np.flatnonzero(one.labels)
        times = np.arange(len(one.values)) * (DAY_S // 50)  # its period a day
        out[one.name] = Series(one.values, ((int(rows[0]), int(rows[-1])),), times)
    return out


def halves(names: list[str]) -> tuple[list[str], list[str]]:
    """The files on which the choices were made, and the others; of an odd number the others have one more."""
    order = np.random.default_rng(HALF_SEED).permutation(len(names))
    middle = len(names) // 2
    ordered = sorted(names)
    return tuple([ordered[i] for i in sorted(part)] for part in (order[:middle], order[middle:]))  # type: ignore[return-value]


def probation(rows: int) -> int:
    """The rows that NAB gives to learn from, which count for nothing."""
    return int(PROBATION * min(rows, PROBATION_ROWS))


# -- the detector ------------------------------------------------------------------------------------------------------


def expectations(one: Series, seed: int, steps: int) -> Expected:
    """What a forecaster that has seen the probation alone expected of every row, read once from the start.

    The net is given no row behind the probation, and what it says of a row follows from rows before it: the same as row
    by row in a stream.
    """
    rows = probation(len(one.values))
    reading = Reading(kind="series", split=(rows, 0, 0))
    trained = fit(MODEL, one.values[:rows, None], reading=reading, steps=steps, seed=seed, threads=1, device="cpu")
    assert isinstance(trained.model, Forecasts)
    return expected(trained.model, trained.transform, one.values[:, None])


def scored(one: Series, found: Expected, way: str = "whole") -> Array:
    """(T,): scores in [0, 1] (of the plain error: 0 or more), 0 in the probation; `way`: one of WAYS."""
    rows, errors, values = probation(len(one.values)), found.errors[:, 0], found.x
    places, day = one.places()
    if way == "plain error":
        return np.nan_to_num(np.abs(errors[:, 0]))
    errors = np.full_like(errors, np.nan) if way == "values alone" else errors
    values = np.full_like(values, np.nan) if way == "errors alone" else values
    places = np.full_like(places, -1) if way == "without the time of day" else places
    hold = {"hold": 0} if way == "never holds back" else {}
    likelihood = Likelihood.fit(errors[:rows], values[:rows], places[:rows], season=day, **hold)
    scores = likelihood.scores(errors[rows:], values[rows:], places[rows:])
    return np.concatenate([np.zeros(rows), scores])


# -- the rows of the result --------------------------------------------------------------------------------------------


def judged(
    files: dict[str, Series], scores: dict[str, Array], names: list[str], profile: str, threshold: float | None = None
) -> NabScore:
    """NAB's score of some of the files; `threshold` None: the best for them, as NAB has it."""
    held = {name: NabFile(scores[name], files[name].windows) for name in names}
    return nab_scores(held, PROFILES[profile], threshold)


def ours(
    result: Result, files: dict[str, Series], first: list[str], second: list[str], seeds: list[dict[str, Array]]
) -> None:
    """Ours in each profile: all files, then the halves, then the second at the threshold of the first."""
    details = result.details.setdefault("found", {})
    for profile, words in PROFILE_WORDS.items():
        parts = {"all files": list(files), "development half": first, "other half": second}
        rows = {part: [judged(files, scores, names, profile) for scores in seeds] for part, names in parts.items()}
        rows["other half, threshold of the development half"] = [
            judged(files, scores, second, profile, of_first.threshold)
            for scores, of_first in zip(seeds, rows["development half"], strict=True)
        ]
        for part, held in rows.items():
            values = [one.score for one in held]
            goal = ">= 58" if (profile, part) == ("standard", "all files") else ""
            result.add(
                f"{words}, {part}", round_off(statistics.mean(values)), "", goal, low=round_off(min(values)),
                high=round_off(max(values)), how=f"mean of {len(values)} seeds",
            )  # fmt: skip
            details[f"{profile}, {part}"] = [
                {"score": round_off(one.score), "threshold": one.threshold, "found": one.found, "windows": one.windows}
                | {"false_rows": one.false_rows}
                for one in held
            ]


def beside(result: Result, files: dict[str, Series], first: list[str], second: list[str]) -> None:
    """What others reach: from the scores that NAB keeps of them, on the same halves."""
    with np.load(data_root() / "nab" / "detector_scores.npz") as held:
        for key, title in PUBLISHED.items():
            scores: dict[str, Any] = {name: held["|".join([key, *name.split("/")])] for name in files}
            for profile, words in PROFILE_WORDS.items():
                value = judged(files, scores, list(files), profile).score
                result.add(f"{words}, all files: {title}", round_off(value), "", how="NAB's scores, our scorer")
            for part, names in (("development half", first), ("other half", second)):
                value = judged(files, scores, names, "standard").score
                result.add(f"standard, {part}: {title}", round_off(value), "", how="NAB's scores, our scorer")
    for profile, words in PROFILE_WORDS.items():
        result.add(f"{words}, all files: HTM", HTM[profile], "", how="published, not measured here")
