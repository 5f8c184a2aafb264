"""Measures of an alarm mask: against loops over rows, published tables, closed forms of random alarms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.metrics.events import (
    Bias,
    affiliation_scores,
    back,
    composite_scores,
    detection_delays,
    event_scores,
    false_alarms,
    flat,
    front,
    mask_of,
    middle,
    point_adjusted_f1_misleading,
    range_scores,
    row_scores,
    spans,
)

ROWS = 250
EVENT = slice(120, 130)


def rows(text: str) -> np.ndarray:
    return np.array([letter == "#" for letter in text])


def mask(*runs: slice, length: int = ROWS) -> np.ndarray:
    out = np.zeros(length, dtype=bool)
    for run in runs:
        out[run] = True
    return out


def random_masks(seed: int, length: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Labels with at least one event and one gap, and alarms, both in runs."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.random(length // 3) < 0.3, 3)
    labels[rng.integers(length)] = True
    labels[rng.integers(length)] = False
    alarms = np.repeat(rng.random(length // 2) < rng.random(), 2)
    if not labels.any():
        labels[0] = True
    return labels, alarms


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_runs_are_those_of_a_walk_along_the_rows(seed: int) -> None:
    labels, _ = random_masks(seed)
    expected, begun = [], None
    for i, on in enumerate([*labels, False]):
        if on and begun is None:
            begun = i
        if not on and begun is not None:
            expected.append([begun, i])
            begun = None
    assert spans(labels).tolist() == expected


def test_runs_at_both_ends_of_one_row_and_of_none() -> None:
    assert spans(rows("##.#.##")).tolist() == [[0, 2], [3, 4], [5, 7]]
    assert spans(rows("###")).tolist() == [[0, 3]]
    assert spans(rows("...")).shape == (0, 2)


def test_masks_are_booleans_or_noughts_and_ones() -> None:
    assert mask_of([0, 1, 1]).tolist() == mask_of([0.0, 1.0, 1.0]).tolist() == [False, True, True]
    for bad in ([0, 2], [0.5, 1], [[0, 1]], [], ["0", "1"], [math.nan, 1]):
        with pytest.raises(InputError):
            mask_of(bad)


def test_masks_of_other_lengths_and_labels_without_an_event_are_refused() -> None:
    with pytest.raises(InputError, match="3 labels and 2 alarms"):
        row_scores([0, 1, 0], [0, 1])
    for measure in (row_scores, event_scores, range_scores, affiliation_scores, detection_delays):
        with pytest.raises(InputError, match="no row is labelled"):
            measure([0, 0, 0], [0, 1, 0])


# -- counting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_row_scores_are_those_of_scikit_learn(seed: int) -> None:
    from sklearn.metrics import precision_recall_fscore_support

    labels, alarms = random_masks(seed)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, alarms, average="binary", zero_division=0)
    found = row_scores(labels, alarms)
    assert (found.recall, found.f1) == pytest.approx((recall, f1))
    assert found.precision == pytest.approx(precision) or not alarms.any()


def test_events_and_false_alarms_are_counted_once_each() -> None:
    labels = rows("..###....##....####..")
    alarms = rows("#..#.#.........#.#..#")
    found = event_scores(labels, alarms)
    # two of three events; three runs touch no event: rows 0, 5 and 20
    assert (found.precision, found.recall) == pytest.approx((2 / 5, 2 / 3))
    mixed = composite_scores(labels, alarms)
    assert (mixed.precision, mixed.recall) == pytest.approx((3 / 6, 2 / 3))
    assert false_alarms(labels, alarms) == pytest.approx(1000 * 3 / 12)
    assert false_alarms(labels, alarms, per=24) == pytest.approx(6.0)


def test_an_alarm_over_the_edge_of_an_event_is_no_false_alarm() -> None:
    found = event_scores(rows("...###..."), rows("..##....."))
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)
    assert false_alarms(rows("...###..."), rows("..##.....")) == 0


def test_false_alarms_need_no_event_but_normal_rows() -> None:
    assert false_alarms(rows("......"), rows("#.#..#")) == pytest.approx(500)
    assert math.isnan(false_alarms(rows("###"), rows("###")))


def test_without_an_alarm_precision_is_unknown_and_f1_is_nought() -> None:
    for measure in (row_scores, event_scores, composite_scores, range_scores, affiliation_scores):
        found = measure(rows("..##.."), rows("......"))
        assert math.isnan(found.precision) and found.recall == 0 and found.f1 == 0


def test_the_delay_is_from_the_first_row_of_an_event_to_the_first_alarm_in_it() -> None:
    labels = rows("..###..####..##..#")
    alarms = rows(".##....#.##.#..#.#")
    np.testing.assert_array_equal(detection_delays(labels, alarms), [0, 0, np.nan, 0])
    np.testing.assert_array_equal(detection_delays(rows("..####.."), rows("....##..")), [2])
    np.testing.assert_array_equal(detection_delays(rows("..####.."), rows("......##")), [np.nan])


# -- ranges ------------------------------------------------------------------------------------------------------------


def ranges_by_loop(labels: np.ndarray, alarms: np.ndarray, alpha: float, bias: Bias) -> tuple[float, float]:
    """Tatbul et al. with sets of rows, and 1 / x for the number of runs met."""

    def runs(values: np.ndarray) -> list[list[int]]:
        return [list(range(a, b)) for a, b in spans(values)]

    def reward(run: list[int], others: list[list[int]]) -> float:
        met = [other for other in others if set(run) & set(other)]
        if not met:
            return 0.0
        weights = bias(len(run))
        hit = sum(w for w, row in zip(weights, run, strict=True) if any(row in other for other in met))
        return hit / sum(weights) / len(met)

    real, raised = runs(labels), runs(alarms)
    anywhere = set().union(*raised)
    recall = np.mean([alpha * bool(set(r) & anywhere) + (1 - alpha) * reward(r, raised) for r in real])
    return float(np.mean([reward(r, real) for r in raised])) if raised else math.nan, float(recall)


@pytest.mark.parametrize("bias", [flat, front, back, middle])
@pytest.mark.parametrize("seed", range(8))
def test_range_scores_equal_a_loop_over_sets_of_rows(seed: int, bias: Bias) -> None:
    labels, alarms = random_masks(seed)
    found = range_scores(labels, alarms, 0.3, bias)
    expected = ranges_by_loop(labels, alarms, 0.3, bias)
    np.testing.assert_allclose((found.precision, found.recall), expected, rtol=1e-12)


def test_single_rows_as_ranges_give_the_scores_of_rows() -> None:
    # Tatbul et al., theorem 1: with ranges of length 1 the classical measures are a special case
    labels, alarms = rows("#.#.#.#.#.#"), rows("#...#.....#")
    found, plain = range_scores(labels, alarms, 0.0), row_scores(labels, alarms)
    assert (found.precision, found.recall) == (plain.precision, plain.recall)


def test_biases_favour_the_places_they_name() -> None:
    assert flat(4).tolist() == [1, 1, 1, 1]
    assert front(4).tolist() == [4, 3, 2, 1]
    assert back(4).tolist() == [1, 2, 3, 4]
    assert middle(5).tolist() == [1, 2, 3, 2, 1]
    early = rows(".##......"), rows(".####....")
    assert range_scores(early[1], early[0], bias=front).recall > range_scores(early[1], early[0], bias=back).recall


def test_an_alpha_that_is_no_share_is_refused() -> None:
    with pytest.raises(InputError, match="alpha is 2"):
        range_scores([0, 1], [0, 1], alpha=2)


# -- distances ---------------------------------------------------------------------------------------------------------


def affiliation_by_points(labels: np.ndarray, alarms: np.ndarray, fine: int = 400) -> tuple[float, float]:
    """Huet et al. by the mean over a fine grid of points, straight from the definition of the two chances."""
    events, runs = spans(labels), spans(alarms)
    cuts = [0.0, *((events[:-1, 1] + events[1:, 0]) / 2), float(len(labels))]
    precisions, recalls = [], []
    for (a, b), low, high in zip(events, cuts[:-1], cuts[1:], strict=True):
        grid = low + (np.arange(round((high - low) * fine)) + 0.5) / fine
        row = np.floor(grid).astype(int)
        alarmed = grid[alarms[row]]
        to_event = np.maximum(np.maximum(a - grid, grid - b), 0)
        if not len(alarmed):
            recalls.append(0.0)
            continue
        own = np.sort(to_event)
        far = np.maximum(np.maximum(a - alarmed, alarmed - b), 0)
        precisions.append(np.mean(1 - np.searchsorted(own, far, "left") / len(own)))
        inside = grid[labels[row]]
        clipped = np.clip(runs, low, high)
        near = np.min(
            [np.maximum(np.maximum(s - inside, inside - e), 0) for s, e in clipped if e > s],
            axis=0,
        )
        covered = np.minimum(inside + near, high) - np.maximum(inside - near, low)
        recalls.append(np.mean(1 - covered / (high - low)))
    return float(np.mean(precisions)) if precisions else math.nan, float(np.mean(recalls))


@pytest.mark.parametrize("seed", range(15))
def test_affiliation_equals_the_mean_over_a_grid_of_points(seed: int) -> None:
    labels, alarms = random_masks(seed)
    found = affiliation_scores(labels, alarms)
    np.testing.assert_allclose(
        (found.precision, found.recall), affiliation_by_points(labels, alarms), atol=2e-3, equal_nan=True
    )


def test_affiliation_of_the_example_of_its_authors() -> None:
    # affiliation-metrics-py, README: 0.82 and 0.84, of zones 0.63 and 1 and 0.82 and 0.87
    found = affiliation_scores([0, 0, 0, 1, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0, 0, 1, 0])
    assert (round(found.precision, 2), round(found.recall, 2)) == (0.82, 0.84)
    # by hand: zone [0, 5.5], alarm [4, 5) at 0 to 1 from the event [3, 4), mean of (3 - d + 1.5 - d) / 5.5
    assert found.precision == pytest.approx((3.5 / 5.5 + 1) / 2)


def test_affiliation_of_an_alarm_everywhere_and_of_the_event_itself() -> None:
    labels = mask(EVENT)
    exact = affiliation_scores(labels, labels)
    assert (exact.precision, exact.recall) == (1, 1)
    everywhere = affiliation_scores(labels, np.ones(ROWS, dtype=bool))
    assert everywhere.recall == 1
    # P(D >= D') of two independent distances is 1/2, and ties, both inside the event, add half of their chance
    assert everywhere.precision == pytest.approx(0.5 + (10 / 250) ** 2 / 2)


# -- what misleads -----------------------------------------------------------------------------------------------------


def adjusted_by_loop(labels: np.ndarray, alarms: np.ndarray) -> float:
    adjusted = alarms.copy()
    for start, stop in spans(labels):
        if alarms[start:stop].any():
            adjusted[start:stop] = True
    return float(2 * (adjusted & labels).sum() / (adjusted.sum() + labels.sum()))


@pytest.mark.parametrize("seed", range(10))
def test_point_adjustment_equals_a_loop_over_events(seed: int) -> None:
    labels, alarms = random_masks(seed)
    assert point_adjusted_f1_misleading(labels, alarms).f1 == pytest.approx(adjusted_by_loop(labels, alarms))


@pytest.mark.parametrize("rate", [0.002, 0.02, 0.3])
def test_the_value_beside_it_is_what_alarms_thrown_at_random_get(rate: float) -> None:
    labels = mask(*(slice(a, a + 100) for a in range(500, 20_000, 1000)), length=20_000)
    rng = np.random.default_rng(0)
    thrown = [rng.random(20_000) < rate for _ in range(40)]
    simulated = np.mean([adjusted_by_loop(labels, alarms) for alarms in thrown])
    told = np.mean([point_adjusted_f1_misleading(labels, alarms).random_f1 for alarms in thrown])
    assert told == pytest.approx(simulated, abs=0.02)


def test_a_random_score_with_the_best_threshold_beats_a_sensible_detector_after_point_adjustment() -> None:
    labels = mask(*(slice(a, a + 100) for a in range(500, 20_000, 1000)), length=20_000)
    found = point_adjusted_f1_misleading(labels, labels)
    assert found.f1 == 1
    bests = []
    for seed in range(6):
        score = np.random.default_rng(seed).random(20_000)
        levels = np.quantile(score, 1 - np.geomspace(1e-3, 1, 25))
        bests.append(max(point_adjusted_f1_misleading(labels, score > level).f1 for level in levels))
    assert found.best_random_f1 == pytest.approx(np.mean(bests), abs=0.05)
    assert found.best_random_f1 > 0.7
