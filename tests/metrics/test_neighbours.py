"""Precision, recall, density, coverage, copies and doubles: against loops, closed forms and what chance gives."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from elboroom.core.errors import InputError
from elboroom.metrics import neighbours
from elboroom.metrics.neighbours import (
    density_coverage,
    doubles,
    expected_coverage,
    memorised,
    neighbourhood,
    precision_recall,
    spread,
)


def normal(n: int, d: int, seed: int, sd: float = 1.0) -> Tensor:
    return sd * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loops(real: Tensor, made: Tensor, k: int) -> tuple[float, float, float, float]:
    def radius(x: Tensor) -> list[float]:
        return [sorted(float((a - b).norm()) for j, b in enumerate(x) if j != i)[k - 1] for i, a in enumerate(x)]

    across = [[float((a - b).norm()) for b in made] for a in real]
    of_real, of_made = radius(real), radius(made)
    n, m = range(len(real)), range(len(made))
    return (
        float(np.mean([any(across[i][j] <= of_real[i] for i in n) for j in m])),
        float(np.mean([any(across[i][j] <= of_made[j] for j in m) for i in n])),
        sum(across[i][j] <= of_real[i] for i in n for j in m) / (k * len(made)),
        float(np.mean([min(across[i]) <= of_real[i] for i in n])),
    )


def values(real: Tensor, made: Tensor, k: int = 5) -> tuple[float, float, float, float]:
    found = neighbourhood(real, made, k)
    return found.precision.value, found.recall.value, found.density.value, found.coverage.value


@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_four_equal_loops_over_all_pairs_in_any_blocks(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = normal(37, 2, 0), normal(29, 2, 1, sd=1.5) + 0.5
    want = by_loops(real, made, k)
    assert values(real, made, k) == pytest.approx(want, abs=1e-12)
    monkeypatch.setattr(neighbours, "BLOCK", 100)
    assert values(real, made, k) == pytest.approx(want, abs=1e-12)
    assert values(real.float() + 1000, made.float() + 1000, k) == pytest.approx(want, abs=0.1)


def test_a_collapsed_model_has_precision_one_and_recall_zero_and_never_the_reverse() -> None:
    real = normal(500, 8, 0)
    collapsed = real[7] + normal(500, 8, 1, sd=1e-3)
    found = precision_recall(real, collapsed)
    assert found.precision.value == 1.0 and found.recall.value <= 0.01 and found.coverage.value <= 0.2
    reverse = precision_recall(collapsed, real)
    assert reverse.precision.value <= 0.01 and reverse.recall.value == 1.0


def test_a_model_that_adds_noise_has_low_precision_and_high_recall() -> None:
    real = normal(500, 4, 0)
    made = torch.cat([normal(250, 4, 1), normal(250, 4, 2) + 30])
    found = precision_recall(real, made)
    assert found.precision.value == pytest.approx(0.5, abs=0.05) and found.recall.value > 0.85
    half = precision_recall(made, real)  # half of the data are never made
    assert half.precision.value > 0.85 and half.recall.value == pytest.approx(0.5, abs=0.05)


def test_a_copied_set_reaches_every_ball_and_ties_at_its_edge_are_inside() -> None:
    real = normal(300, 6, 0) + 50
    found = neighbourhood(real, real.flip(0), 5)
    assert (found.precision.value, found.recall.value, found.coverage.value) == (1, 1, 1)
    assert found.density.value == pytest.approx(6 / 5, abs=1e-12)  # its own ball, and the 5 it is a neighbour in


def test_equal_rows_are_at_distance_zero_however_far_from_the_middle() -> None:
    real = torch.cat([normal(200, 30, 0), 1e4 + normal(1, 30, 1).expand(10, 30)])
    found = neighbourhood(real, real[-10:].clone(), 5)
    assert found.precision.value == 1 and found.density.value == pytest.approx(2.0)
    assert neighbours._ball(real[-10:] - real.mean(0), 5).max() < 1e-2


@pytest.mark.parametrize(("n", "m", "k"), [(60, 60, 5), (80, 20, 3), (30, 90, 2), (50, 10, 1)])
def test_equal_distributions_have_density_one_and_the_coverage_of_the_closed_form(n: int, m: int, k: int) -> None:
    rounds = 100
    found = [values(normal(n, 3, 2 * i), normal(m, 3, 2 * i + 1), k) for i in range(rounds)]
    for column, want in ((2, 1.0), (3, expected_coverage(n, m, k))):
        seen = np.array([row[column] for row in found])
        assert abs(seen.mean() - want) < 3.5 * seen.std() / math.sqrt(rounds)


def test_expected_coverage_has_its_values_by_hand() -> None:
    assert expected_coverage(2, 1, 1) == pytest.approx(1 - 1 / 2)  # one real fellow and one made: either is nearer
    assert expected_coverage(3, 2, 2) == pytest.approx(1 - 2 / 4 * 1 / 3)
    assert expected_coverage(10**6, 10**6, 5) == pytest.approx(1 - 2**-5, abs=1e-5)
    assert expected_coverage(5, 0, 2) == 0.0


@pytest.mark.slow
def test_identical_gaussians_in_a_thousand_dimensions_give_the_published_example() -> None:
    """The worked example beside Naeem et al. 2020: N = 10,000, d = 1,000, k = 5: .477, .471, 1.056, .974."""
    got = values(normal(10_000, 1000, 0), normal(10_000, 1000, 1))
    assert got == pytest.approx((0.477, 0.471, 1.056, 0.974), abs=0.06)
    assert got[3] == pytest.approx(0.974, abs=0.01)


def test_intervals_know_of_the_chance_in_both_sets() -> None:
    rounds, n = 40, 400
    found = [neighbourhood(normal(n, 16, 2 * i), normal(n, 16, 2 * i + 1, sd=0.9)) for i in range(rounds)]
    for name in ("precision", "recall", "density", "coverage"):
        each = [getattr(one, name) for one in found]
        centre = np.mean([one.value for one in each])
        assert np.mean([one.low <= centre <= one.high for one in each]) >= 0.8, name
        assert all(one.low <= one.value <= one.high for one in each)
        assert all(one.low >= 0 and (one.high <= 1 or name == "density") for one in each)


def test_too_few_examples_for_the_error_of_the_balls_are_said_to_be() -> None:
    assert "too few" in neighbourhood(normal(60, 2, 0), normal(60, 2, 1)).recall.how
    assert "too few" not in neighbourhood(normal(400, 2, 0), normal(400, 2, 1)).recall.how


def test_collapsed_noisy_and_copied_sets_are_ordered_as_they_must_be() -> None:
    real, good = normal(600, 6, 0), normal(600, 6, 1)
    noisy = [values(real, good + s * normal(600, 6, 2)) for s in (0.0, 0.7, 1.5, 3.0)]
    for better, worse in itertools.pairwise(noisy):
        assert better[0] > worse[0] and better[2] > worse[2] and better[3] > worse[3]
    narrow = [values(real, good * s) for s in (1.0, 0.7, 0.4, 0.1)]
    for better, worse in itertools.pairwise(narrow):
        assert better[1] > worse[1] and better[0] <= worse[0]
    dropped = [
        values(real[real[:, 0].abs() > 0.5], some) for some in (good[good[:, 0].abs() > 0.5], good[good[:, 0] > 0.5])
    ]
    assert dropped[0][0] == pytest.approx(dropped[1][0], abs=0.05)  # as good, but half as much is made
    assert dropped[0][1] > dropped[1][1] + 0.2 and dropped[0][3] > dropped[1][3] + 0.2
    copied, fresh = neighbourhood(real, real), neighbourhood(real, good)
    assert copied.coverage.value > fresh.coverage.value and copied.density.value > fresh.density.value


def test_honest_samples_are_flagged_at_the_stated_rate_and_copies_always() -> None:
    shares, inside = [], 0
    for i in range(40):
        train, held, made = normal(600, 5, 3 * i), normal(150, 5, 3 * i + 1), normal(200, 5, 3 * i + 2)
        found = memorised(train, held, made)
        shares.append(found.share.value)
        inside += found.honest.low <= found.share.value <= found.honest.high
    assert found.honest.value == pytest.approx(1 / 151)
    assert np.mean(shares) == pytest.approx(1 / 151, abs=0.004) and inside >= 36
    copied = memorised(train, held, train[:100])
    assert (copied.share.value, float(copied.ratios.max())) == (1.0, 0.0)
    assert copied.nearest_train[:, 0].tolist() == list(range(100))
    assert copied.share.low > 0.95 and "honest samples give 0.007" in copied.share.how


def test_copies_among_honest_samples_are_counted_and_near_copies_too() -> None:
    train, held = normal(2000, 16, 0), normal(400, 16, 1)
    made = torch.cat([normal(300, 16, 2), train[:100] + normal(100, 16, 3, sd=0.05)])
    found = memorised(train, held, made, k=3)
    assert found.share.value == pytest.approx(0.25, abs=0.02)
    assert bool((found.ratios[300:] < 0.2).all()) and bool((found.ratios[300:] <= found.threshold).all())
    assert found.nearest_train.shape == (400, 3) and found.nearest_train[300:, 0].tolist() == list(range(100))
    distances = (train[found.nearest_train] - made[:, None]).norm(dim=-1)
    assert bool((distances.diff(dim=1) >= 0).all())


def test_blurred_samples_are_near_to_everything_and_yet_not_taken_for_copies() -> None:
    train, held, made = normal(2000, 16, 0), normal(400, 16, 1), normal(400, 16, 2, sd=0.4)
    unseen = torch.cdist(held, train).amin(1).quantile(0.01)
    assert (torch.cdist(made, train).amin(1) <= unseen).double().mean() > 0.5  # what the distance alone would say
    assert memorised(train, held, made).share.value <= 0.04


def test_a_row_that_stands_in_both_parts_is_no_copy_of_the_training_part() -> None:
    train, held = normal(300, 3, 0), normal(100, 3, 1)
    both = memorised(torch.cat([train, held[:1]]), held, held[:1].repeat(5, 1))
    assert both.ratios.tolist() == pytest.approx([1.0] * 5) or both.ratios[0] == 0  # the first leaves that row out
    assert both.ratios[1:].tolist() == [1.0] * 4


def test_a_perfect_models_doubles_are_those_chance_gives() -> None:
    found = [doubles(normal(300, 4, 2 * i), normal(400, 4, 2 * i + 1), seed=i) for i in range(80)]
    shares = np.array([one.value for one in found])
    assert abs(shares.mean() - 4 / 300) < 3 * shares.std() / math.sqrt(80)  # two pairs of 300
    assert shares.std() == pytest.approx(2 * 2 / 300, rel=0.35)  # a negative binomial's: 2 pairs, variance 4
    assert "a perfect model gives 0.013 (0.000 to 0.047)" in found[0].how


def test_doubles_grow_with_collapse() -> None:
    real, good = normal(500, 8, 0), normal(500, 8, 1)
    shares = []
    for kept in (500, 250, 25, 1):
        made = good[torch.arange(500) % kept] + normal(500, 8, 2, sd=1e-3)
        shares.append(doubles(real, made).value)
    assert shares[0] < 0.05 and shares[1:] == [1.0, 1.0, 1.0]
    half = torch.cat([good[:250], good[:250][torch.arange(250) % 10]])
    found = doubles(real, half)
    assert found.low < 0.52 < found.high and found.low > 0.4


def test_spread_is_one_for_equal_laws_scales_with_the_samples_and_is_zero_for_one_repeated() -> None:
    held = 0
    for i in range(60):
        found = spread(normal(150, 6, 2 * i), normal(120, 6, 2 * i + 1, sd=0.5))
        held += found.low <= 0.5 <= found.high
    assert held >= 52
    x = normal(100, 3, 0)
    want = float(torch.pdist(2 * x[:50]).mean() / torch.pdist(x).mean())
    assert spread(x, 2 * x[:50]).value == pytest.approx(want, rel=1e-6)
    one = spread(x, x[:1].expand(50, 3))
    assert (one.value, one.low, one.high) == (0, 0, 0)
    assert math.isnan(spread(x[:1].expand(50, 3), x).value)


def test_the_usual_names_give_all_four_and_bad_sets_are_refused() -> None:
    x, y = normal(50, 2, 0), normal(50, 2, 1)
    assert precision_recall(x, y) == density_coverage(x, y) == neighbourhood(x, y)
    with pytest.raises(InputError, match="5 made examples are too few to compare; give at least 6"):
        neighbourhood(x, y[:5])
    with pytest.raises(InputError, match="1 held-out examples are too few"):
        memorised(x, y[:1], y)
