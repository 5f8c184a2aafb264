"""Areas and volumes of anomaly scores: against loops over the definitions, scikit-learn and TSB-AD's own numbers."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.metrics.detection import Volume, auc_pr, auc_roc, chance_level, period, vus, vus_difference
from elboroom.metrics.events import (
    affiliation_scores,
    composite_scores,
    point_adjusted_f1_misleading,
    range_scores,
    row_scores,
    spans,
)


def case(seed: int, length: int = 300, levels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels with several events, some near each other or at the ends, and scores that know a little of them."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(length, dtype=bool)
    for _ in range(rng.integers(1, 6)):
        start = rng.integers(length)
        labels[start : start + rng.integers(1, 20)] = True
    if seed % 3 == 0:
        labels[0] = True
    if seed % 4 == 0:
        labels[-1] = True
    scores = rng.normal(size=length) + labels
    return labels, np.round(scores * levels) / levels if levels else scores


# -- rows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [0, 1, 4])
@pytest.mark.parametrize("seed", range(6))
def test_areas_equal_those_of_scikit_learn_with_and_without_ties(seed: int, levels: int) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    labels, scores = case(seed, levels=levels)
    assert auc_pr(labels, scores) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert auc_roc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_areas_of_perfect_of_reversed_and_of_constant_scores() -> None:
    labels = np.arange(100) < 20
    assert auc_pr(labels, labels) == auc_roc(labels, labels) == 1
    assert auc_roc(labels, ~labels) == 0
    assert auc_roc(labels, np.zeros(100)) == 0.5
    assert auc_pr(labels, np.zeros(100)) == pytest.approx(0.2)
    assert auc_roc(labels, np.where(labels, np.inf, -np.inf)) == 1


def test_random_scores_land_at_the_chance_level_of_areas() -> None:
    length, labelled, draws = 200, 20, 1500
    labels = np.arange(length) < labelled
    rng = np.random.default_rng(0)
    found = np.array([(auc_pr(labels, s), auc_roc(labels, s)) for s in rng.random((draws, length))])
    harmonic = float((1 / np.arange(1, length + 1)).sum())
    # Bestgen 2015: the expected average precision of a random order
    expected = (harmonic + (labelled - 1) / (length - 1) * (length - harmonic)) / length
    error = found.std(axis=0, ddof=1) / math.sqrt(draws)
    assert abs(found[:, 0].mean() - expected) < 4 * error[0]
    assert abs(found[:, 1].mean() - 0.5) < 4 * error[1]


# -- volumes -----------------------------------------------------------------------------------------------------------


def vus_by_loop(labels: np.ndarray, scores: np.ndarray, window: int, thresholds: int) -> tuple[float, float]:
    """The definition at the top of the measured file, row by row, threshold by threshold, buffer by buffer."""
    length, events = len(labels), spans(labels)
    descending = np.sort(scores)[::-1]
    prs, rocs = [], []
    for w in range(window + 1):
        reach = w // 2
        fade = np.zeros(length)
        zones: list[list[int]] = []
        for start, stop in events:
            for d in range(1, reach + 1):
                for row in (start - d, stop - 1 + d):
                    if 0 <= row < length:
                        fade[row] += math.sqrt(1 - d / w)
            begin, end = start - reach, stop - 1 + reach
            if zones and zones[-1][1] >= begin:
                zones[-1][1] = end
            else:
                zones.append([begin, end])
        fade = np.where(labels, 1.0, np.minimum(fade, 1.0))
        recalls, precisions, wrongs = [0.0], [], [0.0]
        for k in range(thresholds):
            at = int(k * (length - 1) / (thresholds - 1))
            alarm = scores >= descending[at]
            outside = fade[alarm & ~labels].sum()
            right = (alarm & labels).sum() + outside
            positives = labels.sum() + outside / 2
            met = np.mean([alarm[max(a, 0) : b + 1].any() for a, b in zones])
            recalls.append(min(right / positives, 1) * met)
            wrongs.append((alarm.sum() - right) / (length - positives))
            precisions.append(right / alarm.sum())
        prs.append(sum((b - a) * p for a, b, p in zip(recalls[:-1], recalls[1:], precisions, strict=True)))
        x, y = [*wrongs, 1.0], [*recalls, 1.0]
        rocs.append(sum((x[i + 1] - x[i]) * (y[i + 1] + y[i]) / 2 for i in range(len(x) - 1)))
    return float(np.mean(prs)), float(np.mean(rocs))


@pytest.mark.parametrize("window", [0, 1, 2, 7, 40])
@pytest.mark.parametrize("seed", range(9))
def test_volumes_equal_a_loop_over_the_definition(seed: int, window: int) -> None:
    labels, scores = case(seed, 150, levels=(0, 2)[seed % 2])
    found = vus(labels, scores, window, thresholds=11)
    assert (found.pr, found.roc) == pytest.approx(vus_by_loop(labels, scores, window, 11), abs=1e-12)


# What basic_metrics.generate_curve of TheDatumOrg/TSB-AD at 8763009 gives (version "opt", 250 thresholds) for
# case(seed, length, levels): seed, length, levels, window -> VUS-PR, VUS-ROC.
TSB_AD = {
    (0, 300, 0, 10): (0.39033515660205986, 0.8157065559147904),
    (1, 300, 0, 30): (0.43507828230616824, 0.8953704595506597),
    (2, 300, 3, 30): (0.468702754494162, 0.8633419771476272),
    (3, 500, 0, 61): (0.5239840689377196, 0.9332442626792475),
    (4, 500, 1, 61): (0.41890701500399236, 0.86390044203556),
    (5, 900, 0, 100): (0.2959488466516942, 0.915632236156597),
    (6, 900, 5, 125): (0.34458419524343153, 0.9000293043181757),
    (7, 200, 0, 0): (0.5873603502085636, 0.7860197368421052),
    (8, 120, 0, 150): (0.8758901971503712, 0.9514606454467893),
}


@pytest.mark.parametrize("key", TSB_AD)
def test_volumes_equal_the_numbers_of_tsb_ad(key: tuple[int, int, int, int]) -> None:
    seed, length, levels, window = key
    labels, scores = case(seed, length, levels)
    found = vus(labels, scores, window)
    assert (found.pr, found.roc) == pytest.approx(TSB_AD[key], abs=1e-12)


# The same for tsb_ad_u/001_NAB_id_1_Facility_tr_1007_1st_2014.csv, with the score |x - mean of the 25 rows round it|,
# to 6 places (the last bits of sums of 25 differ from processor to processor): window -> VUS-PR, VUS-ROC; 6 is its
# period.
FACILITY = {6: (0.13374083152706467, 0.5567112992922698), 100: (0.16416793280586758, 0.6383342271472529)}


def facility(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(folder / "tsb_ad_u/001_NAB_id_1_Facility_tr_1007_1st_2014.csv", delimiter=",", skiprows=1)
    return table[:, 0], table[:, 1] == 1


@pytest.mark.parametrize("window", FACILITY)
def test_volumes_of_a_real_series_equal_the_numbers_of_tsb_ad(real_data: Path, window: int) -> None:
    x, labels = facility(real_data)
    score = np.abs(x - np.convolve(x, np.ones(25) / 25, mode="same")).round(6)
    found = vus(labels, score, window)
    assert (found.pr, found.roc) == pytest.approx(FACILITY[window], abs=1e-12)


# The slides of TSB-AD (docs/static/pdfs/TSB-AD-NeurIPS24.pdf at 8763009): AUC-PR, AUC-ROC, VUS-PR, VUS-ROC; F1 of rows,
# point-adjusted, event-based, range-based, by affiliation. They show the alarms as a drawing; with these rows, of 250,
# and a window of 21 every number comes out as printed.
EVENT = (120, 130)
SLIDES = {
    "a row before it": ((118, 119), (0.04, 0.50, 0.13, 0.54, 0.00, 0.00, 0.00, 0.00, 0.95)),
    "its first row": ((120, 121), (0.14, 0.55, 0.17, 0.56, 0.18, 1.00, 1.00, 0.44, 0.98)),
    "a row in the middle": ((125, 126), (0.14, 0.55, 0.17, 0.56, 0.18, 1.00, 1.00, 0.44, 0.99)),
    "its last row": ((129, 130), (0.14, 0.55, 0.17, 0.56, 0.18, 1.00, 1.00, 0.44, 0.98)),
    "a row after it": ((131, 132), (0.04, 0.50, 0.13, 0.54, 0.00, 0.00, 0.00, 0.00, 0.95)),
    "eleven rows before it": ((108, 119), (0.04, 0.48, 0.18, 0.62, 0.00, 0.00, 0.00, 0.00, 0.93)),
    "shifted to the left": ((115, 125), (0.27, 0.74, 0.61, 0.85, 0.50, 0.80, 0.67, 0.55, 0.98)),
    "the event": ((120, 130), (1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00)),
    "shifted to the right": ((125, 135), (0.27, 0.74, 0.61, 0.85, 0.50, 0.80, 0.67, 0.55, 0.98)),
    "eleven rows after it": ((131, 142), (0.04, 0.48, 0.18, 0.62, 0.00, 0.00, 0.00, 0.00, 0.93)),
    "its first eight rows": ((120, 128), (0.81, 0.90, 0.81, 0.90, 0.89, 1.00, 1.00, 0.91, 1.00)),
    "its last eight rows": ((122, 130), (0.81, 0.90, 0.81, 0.90, 0.89, 1.00, 1.00, 0.91, 1.00)),
}


@pytest.mark.parametrize("name", SLIDES)
def test_constructed_alarms_get_the_numbers_on_the_slides_of_tsb_ad(name: str) -> None:
    (first, end), published = SLIDES[name]
    labels, alarms = np.zeros(250, dtype=bool), np.zeros(250, dtype=bool)
    labels[slice(*EVENT)] = alarms[first:end] = True
    volume = vus(labels, alarms, 21)
    found = (
        auc_pr(labels, alarms),
        auc_roc(labels, alarms),
        volume.pr,
        volume.roc,
        row_scores(labels, alarms).f1,
        point_adjusted_f1_misleading(labels, alarms).f1,
        composite_scores(labels, alarms).f1,
        range_scores(labels, alarms).f1,
        affiliation_scores(labels, alarms).f1,
    )
    assert found == pytest.approx(published, abs=0.00501)


def test_without_a_buffer_and_with_a_threshold_at_every_row_the_roc_is_the_area_of_rows_times_events_found() -> None:
    labels, scores = case(7, 200)
    assert len(spans(labels)) > 1
    found = vus(labels, scores, 0, thresholds=200)
    order = np.argsort(scores)[::-1]
    right = np.cumsum(labels[order]) / labels.sum()
    first = sorted(int(np.flatnonzero(np.isin(order, range(a, b)))[0]) for a, b in spans(labels))
    met = np.searchsorted(first, np.arange(200), "right") / len(first)
    wrong = np.cumsum(~labels[order]) / (~labels).sum()
    x, y = np.concatenate([[0], wrong, [1]]), np.concatenate([[0], right * met, [1]])
    assert found.roc == pytest.approx(np.trapezoid(y, x))


def test_one_event_without_a_buffer_gives_the_areas_of_rows() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(240) // 20 == 5
    scores = rng.normal(size=240) + 0.5 * labels
    found = vus(labels, scores, 0, thresholds=240)
    assert (found.pr, found.roc) == pytest.approx((auc_pr(labels, scores), auc_roc(labels, scores)), abs=1e-12)


def test_volumes_depend_on_the_order_of_scores_alone() -> None:
    labels, scores = case(5)
    assert vus(labels, scores, 20) == vus(labels, np.exp(scores / 2), 20) == vus(labels.astype(int), 8 * scores, 20)


def test_a_near_miss_is_worth_more_than_a_far_one_and_more_so_with_a_wider_window() -> None:
    labels = np.zeros(400, dtype=bool)
    labels[200:210] = True
    near, far = np.zeros(400), np.zeros(400)
    near[212:218] = far[300:306] = 1.0
    assert vus(labels, near, 20).pr > 2 * vus(labels, far, 20).pr
    assert vus(labels, near, 20).pr > vus(labels, near, 10).pr > vus(labels, near, 0).pr
    assert vus(labels, labels, 20).roc > 0.9


def many_events(length: int, count: int, seed: int = 0) -> np.ndarray:
    """Events of 20 to 60 rows, one in each equal stretch."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(length, dtype=bool)
    for k in range(count):
        start = k * length // count + rng.integers(length // count - 61)
        labels[start : start + rng.integers(20, 61)] = True
    return labels


@pytest.mark.parametrize("window", [0, 50])
def test_random_scores_land_at_the_chance_level_of_volumes(window: int) -> None:
    labels = many_events(20_000, 40)
    rng = np.random.default_rng(1)
    found = np.array([(v.pr, v.roc) for v in (vus(labels, rng.random(20_000), window) for _ in range(30))])
    told = chance_level(labels, window)
    assert found.mean(0) == pytest.approx((told.pr, told.roc), abs=0.01)
    fades = 2 * sum(np.sqrt(1 - np.arange(1, w // 2 + 1) / max(w, 1)).sum() for w in range(window + 1)) / (window + 1)
    # the share of labelled rows, faded ones in part
    assert told.pr == pytest.approx((labels.sum() + 40 * fades) / 20_000, rel=0.02)


def test_a_long_series_takes_a_fraction_of_a_second() -> None:
    labels = many_events(100_000, 40)
    scores = np.random.default_rng(2).normal(size=100_000) + labels
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        vus(labels, scores, 100)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.15


def test_what_cannot_be_measured_is_refused_in_words() -> None:
    labels, scores = case(1)
    with pytest.raises(InputError, match="no row is labelled"):
        vus(np.zeros(300, dtype=bool), scores, 10)
    with pytest.raises(InputError, match="every row is labelled"):
        auc_roc(np.ones(300, dtype=bool), scores)
    scores[[4, 9]] = math.nan
    for measure in (auc_pr, auc_roc, lambda a, b: vus(a, b, 10)):
        with pytest.raises(InputError, match="2 rows have no score"):
            measure(labels, scores)
    with pytest.raises(InputError, match="one of each"):
        vus(labels, scores[:-1], 10)
    for window in (-1, 2.5, True):
        with pytest.raises(InputError, match="whole number of rows"):
            vus(labels, np.zeros(300), window)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="0 thresholds"):
        vus(labels, np.zeros(300), 10, thresholds=0)


# -- differences -------------------------------------------------------------------------------------------------------


def test_a_better_score_is_better_beyond_its_interval_and_a_score_equals_itself() -> None:
    labels = many_events(3000, 12)
    rng = np.random.default_rng(4)
    good, poor = rng.normal(size=3000) + 3 * labels, rng.normal(size=3000) + 0.3 * labels
    found = vus_difference(labels, good, poor, 30, draws=40)
    assert found.value == vus(labels, good, 30).pr - vus(labels, poor, 30).pr
    assert 0 < found.low < found.value < found.high
    assert "12 events" in found.how
    same = vus_difference(labels, good, good, 30, draws=20)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_the_interval_depends_on_its_seed_alone_and_turns_with_the_sides() -> None:
    labels = many_events(3000, 10)
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=3000) + labels, rng.normal(size=3000) + labels
    one, again = (vus_difference(labels, a, b, 20, draws=30, seed=2) for _ in range(2))
    assert one == again
    assert one != vus_difference(labels, a, b, 20, draws=30, seed=3)
    turned = vus_difference(labels, b, a, 20, draws=30, seed=2)
    assert (turned.value, turned.low, turned.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_equal_detectors_seldom_differ_beyond_the_interval() -> None:
    rng = np.random.default_rng(6)
    outside = 0
    for seed in range(25):
        labels = many_events(2400, 12, seed)
        a, b = (rng.normal(size=2400) + labels for _ in range(2))
        outside += vus_difference(labels, a, b, 10, draws=40, seed=seed).clear_of_zero
    assert outside <= 4


def test_one_event_or_too_few_blocks_have_no_interval() -> None:
    labels = np.arange(500) // 50 == 3
    scores = np.random.default_rng(7).normal(size=500)
    assert math.isnan(vus_difference(labels, scores, -scores, 10).low)
    assert vus_difference(labels, scores, -scores, 10).how == "one event, no interval"
    two = labels | (np.arange(500) // 50 == 7)
    assert "less than two blocks" in vus_difference(two, scores, -scores, 250).how


# -- the period --------------------------------------------------------------------------------------------------------


def period_by_loop(x: np.ndarray) -> int:
    """TSB-AD's rule with sums of products and scipy's local maxima."""
    from scipy.signal import argrelextrema

    centred = x[:20_000] - x[:20_000].mean()
    lags = [float(centred[: len(centred) - k] @ centred[k:]) for k in range(min(401, len(centred)))]
    after = np.array(lags[3:]) / lags[0]
    peaks = argrelextrema(after, np.greater)[0]
    if not len(peaks):
        return 125
    best = int(peaks[np.argmax(after[peaks])])
    return best + 3 if 3 <= best <= 300 else 125


@pytest.mark.parametrize("seed", range(12))
def test_the_period_is_the_highest_peak_of_the_autocorrelation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    length = int(rng.integers(50, 3000))
    x = 3 * np.sin(2 * np.pi * np.arange(length) / rng.uniform(4, 350)) + rng.normal(size=length)
    x += 1e3 * (seed % 2)
    assert period(x) == period_by_loop(x)


def test_the_period_of_a_sine_of_a_constant_and_of_short_and_long_cycles() -> None:
    t = np.arange(5000)
    assert period(np.sin(2 * np.pi * t / 24)) == 24
    assert period(np.sin(2 * np.pi * t / 288)) == pytest.approx(288, abs=1)
    assert period(np.full(5000, 0.1)) == 125
    assert period(t.astype(float)) == 125
    assert period(np.sin(2 * np.pi * t / 390)) == 125
    assert period([1.0, 2.0]) == 125
    assert period(np.full(10, np.nan)) == 125


def test_the_period_looks_at_the_first_20000_rows_only_and_bears_missing_ones() -> None:
    t = np.arange(60_000)
    x = np.where(t < 20_000, np.sin(2 * np.pi * t / 50), 100 * np.sin(2 * np.pi * t / 31))
    assert period(x) == 50
    x[np.random.default_rng(0).random(60_000) < 0.2] = np.nan
    assert period(x) == 50


# What find_length_rank of TSB-AD at 8763009, with statsmodels 0.15's autocorrelation, gives for these series of NAB
# without their first row.
PERIODS = {
    "artificialNoAnomaly/art_daily_no_noise.csv": 288,
    "artificialNoAnomaly/art_flatline.csv": 125,
    "artificialNoAnomaly/art_noisy.csv": 169,
    "artificialWithAnomaly/art_load_balancer_spikes.csv": 71,
    "realAWSCloudwatch/ec2_cpu_utilization_53ea38.csv": 6,
    "realAWSCloudwatch/ec2_cpu_utilization_825cc2.csv": 204,
    "realAdExchange/exchange-3_cpc_results.csv": 23,
    "realKnownCause/ec2_request_latency_system_failure.csv": 6,
    "realKnownCause/machine_temperature_system_failure.csv": 125,
    "realKnownCause/nyc_taxi.csv": 125,
    "realTraffic/TravelTime_451.csv": 128,
    "realTraffic/occupancy_6005.csv": 22,
    "realTraffic/speed_t4013.csv": 247,
    "realTweets/Twitter_volume_AAPL.csv": 109,
}


@pytest.mark.parametrize("name", PERIODS)
def test_the_period_of_a_real_series_is_that_of_tsb_ad(real_data: Path, name: str) -> None:
    lines = (real_data / "nab" / name).read_text(encoding="utf-8").splitlines()[2:]
    assert period([float(line.split(",")[1]) for line in lines]) == PERIODS[name]


def test_a_series_that_is_no_series_has_no_period() -> None:
    with pytest.raises(InputError, match="one channel at a time"):
        period(np.zeros((10, 2)))
    with pytest.raises(InputError, match="row 1 is infinite"):
        period([0.0, math.inf, 1.0])


def test_a_volume_is_a_pair_of_plain_numbers() -> None:
    found = vus(*case(2), 5)
    assert found == Volume(found.pr, found.roc) and type(found.pr) is type(found.roc) is float
