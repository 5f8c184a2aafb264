"""The NAB score: the repository's own results from the scores its detectors gave, and a walk along the rows."""

from __future__ import annotations

import itertools
import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.metrics.nab import PROFILES, NabFile, Profile, nab_scores, window_rows

STANDARD = PROFILES["standard"]
DETECTORS = ("windowedGaussian", "knncad")


@cache
def published(folder: Path) -> dict[str, dict[str, NabFile]]:
    """Of each detector the scores of all 58 files, with their windows."""
    limits = json.loads((folder / "combined_windows.json").read_text(encoding="utf-8"))
    windows = {}
    for name, times in limits.items():
        lines = (folder / name).read_text(encoding="utf-8").splitlines()[1:]
        windows[name] = window_rows([line.split(",")[0] for line in lines], times)
    with np.load(folder / "detector_scores.npz") as held:
        return {
            detector: {name: NabFile(held["|".join([detector, *name.split("/")])], windows[name]) for name in limits}
            for detector in DETECTORS
        }


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("detector", DETECTORS)
def test_scores_equal_the_published_ones_with_the_threshold_searched_and_with_that_of_nab(
    real_data: Path, detector: str, profile: str
) -> None:
    folder = real_data / "nab"
    found = published(folder)
    final = json.loads((folder / "final_results.json").read_text(encoding="utf-8"))[detector][profile]
    threshold = json.loads((folder / "thresholds.json").read_text(encoding="utf-8"))[detector][profile]["threshold"]
    searched = nab_scores(found[detector], PROFILES[profile])
    given = nab_scores(found[detector], PROFILES[profile], threshold)
    assert given.score == pytest.approx(final, abs=1e-6)
    assert searched.score == pytest.approx(final, abs=1e-6)
    assert searched.threshold == threshold
    assert searched.windows == 116


def test_profiles_are_those_of_the_repository(real_data: Path) -> None:
    for name, entry in json.loads((real_data / "nab" / "profiles.json").read_text(encoding="utf-8")).items():
        costs = entry["CostMatrix"]
        assert PROFILES[name] == Profile(costs["tpWeight"], costs["fpWeight"], costs["fnWeight"])


def test_no_alarm_gets_0_and_the_first_row_of_every_window_100(real_data: Path) -> None:
    found = published(real_data / "nab")
    none, first = {}, {}
    for name, file in found["knncad"].items():
        none[name] = NabFile(np.full(len(file.scores), 0.5), file.windows)
        ideal = np.zeros(len(file.scores))
        ideal[[begin for begin, _ in file.windows]] = 1.0
        first[name] = NabFile(ideal, file.windows)
    for profile in PROFILES.values():
        null = nab_scores(none, profile, 0.625)
        assert (null.score, null.raw, null.found) == (0, -116 * profile.false_negative, 0)
        perfect = nab_scores(first, profile)
        assert perfect.score == pytest.approx(100, abs=1e-9)
        assert (perfect.threshold, perfect.found, perfect.false_rows) == (1, 116, 0)


# -- by hand -----------------------------------------------------------------------------------------------------------


def raw_by_walk(files: dict[str, NabFile], profile: Profile, threshold: float) -> float:
    """NAB's rules row by row."""

    def s(y: float) -> float:
        return -1.0 if y > 3 else 2 / (1 + math.exp(5 * y)) - 1

    total = 0.0
    for file in files.values():
        probation = min(math.floor(0.15 * len(file.scores)), 750)
        best: dict[int, float] = {}
        behind: tuple[int, int] | None = None  # last row and length of the last window passed
        for row, score in enumerate(file.scores):
            inside = [k for k, (a, b) in enumerate(file.windows) if a <= row <= b]
            alarm = row >= probation and score >= threshold
            if inside:
                a, b = file.windows[inside[0]]
                if row >= probation:
                    best.setdefault(inside[0], -profile.false_negative)
                if alarm:
                    worth = profile.true_positive * s(-(b - row + 1) / (b - a + 1)) / s(-1.0)
                    best[inside[0]] = max(best[inside[0]], worth)
                if row == b:
                    behind = (b, b - a + 1)
            elif alarm:
                total += profile.false_positive * (-1.0 if behind is None else s((row - behind[0]) / (behind[1] - 1)))
        total += sum(best.values())
    return total


def corpus(seed: int) -> dict[str, NabFile]:
    rng = np.random.default_rng(seed)
    files = {}
    for k in range(4):
        length = int(rng.integers(60, 200))
        edges = np.sort(rng.choice(length, 2 * int(rng.integers(0, 4)), replace=False))
        windows = tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2))
        files[f"file {k}"] = NabFile(np.round(rng.random(length), 2), windows)
    files["ends in a window"] = NabFile(np.round(rng.random(80), 2), ((40, 79),))
    return files


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", range(6))
def test_sums_equal_a_walk_along_the_rows_at_every_threshold_and_the_best_is_found(seed: int, profile: str) -> None:
    files, costs = corpus(seed), PROFILES[profile]
    levels = np.unique(np.concatenate([file.scores for file in files.values()]))
    walked = [raw_by_walk(files, costs, level) for level in [*levels, 2.0]]
    for level, expected in zip([*levels, 2.0], walked, strict=True):
        assert nab_scores(files, costs, level).raw == pytest.approx(expected, abs=1e-9)
    best = nab_scores(files, costs)
    assert best.raw == pytest.approx(max(walked), abs=1e-9)
    assert nab_scores(files, costs, best.threshold) == best


def test_the_score_of_an_alarm_falls_along_its_window_and_the_price_of_a_false_one_rises_behind_it() -> None:
    def raw(row: int) -> float:
        scores = np.zeros(400)
        scores[row] = 1.0
        return nab_scores({"a": NabFile(scores, ((200, 219),))}, STANDARD, 1.0).raw

    inside = [raw(row) for row in range(200, 220)]
    assert inside[0] == pytest.approx(1)
    assert all(a > b > 0 for a, b in itertools.pairwise(inside))
    behind = [raw(row) + 1 for row in range(220, 300)]
    assert all(0 > a >= b >= -0.11 - 1e-12 for a, b in itertools.pairwise(behind))
    assert behind[-1] == raw(100) + 1 == pytest.approx(-0.11)
    assert raw(59) == -1  # in the probation: neither right nor wrong


def test_a_window_inside_the_probation_is_neither_met_nor_missed_but_one_without_scores_is_missed() -> None:
    scores = np.zeros(100)
    early = nab_scores({"a": NabFile(scores, ((3, 9), (50, 60)))}, STANDARD, 1.0)
    assert (early.raw, early.windows) == (-1, 2)
    blind = scores.copy()
    blind[50:61] = math.nan
    blind[30] = 1.0
    found = nab_scores({"a": NabFile(blind, ((50, 60),))}, STANDARD, 0.5)
    assert (found.raw, found.found, found.false_rows) == (pytest.approx(-1.11), 0, 1)


def test_silence_may_be_the_best_threshold() -> None:
    scores = np.zeros(100)
    scores[20] = 0.9
    found = nab_scores({"a": NabFile(scores, ((50, 60),))}, STANDARD)
    assert (found.threshold, found.score, found.found, found.false_rows) == (math.inf, 0, 0, 0)
    assert nab_scores({"a": NabFile(scores, ((50, 60),))}, STANDARD, 0.9).score == pytest.approx(100 * -0.11 / 2)


def test_windows_are_found_by_the_times_of_their_ends_the_first_of_equal_ones() -> None:
    times = ["2014-10-26 00:00:00", "2014-10-26 01:00:00", "2014-10-26 02:00:00", "2014-10-26 01:00:00"]
    limits = [["2014-10-26 01:00:00.000000", "2014-10-26 02:00:00.000000"]]
    assert window_rows(times, limits) == ((1, 2),)
    assert window_rows(times, []) == ()
    with pytest.raises(InputError, match="no row has the time 2014-10-27"):
        window_rows(times, [["2014-10-26 01:00:00", "2014-10-27 02:00:00"]])


def test_what_cannot_be_scored_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="no file has a labelled window"):
        nab_scores({"a": NabFile(np.zeros(50), ())}, STANDARD)
    for windows in (((20, 10),), ((20, 50),), ((20, 30), (30, 40)), ((-1, 4),)):
        with pytest.raises(InputError, match="a: window"):
            nab_scores({"a": NabFile(np.zeros(50), windows)}, STANDARD)
    with pytest.raises(InputError, match="shape"):
        nab_scores({"a": NabFile(np.zeros((5, 2)), ((1, 2),))}, STANDARD)
    with pytest.raises(InputError, match="no row behind the probation"):
        nab_scores({"a": NabFile(np.full(50, math.nan), ((20, 30),))}, STANDARD)
