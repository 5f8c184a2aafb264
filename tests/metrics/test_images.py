"""Fréchet and kernel distances: against closed forms, free of bias, and how often their intervals hold the truth."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import linregress
from torch import Tensor

from elboroom.core.errors import InputError
from elboroom.metrics import images
from elboroom.metrics.images import (
    frechet_distance,
    frechet_interval,
    frechet_of_moments,
    frechet_over_n,
    kernel_distance,
)


def normal(n: int, d: int, seed: int, *, mean: float = 0.0, sd: float = 1.0) -> Tensor:
    return mean + sd * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariance(d: int, seed: int) -> Tensor:
    x = normal(3 * d, d, seed)
    return x.T @ x / (3 * d)


def kernel_truth(mean_1: float, sd_1: float, mean_2: float, sd_2: float, d: int) -> float:
    """The cubic kernel's squared discrepancy of two normal laws with equal columns, by the moments of x . y / d."""

    def expected(a: float, s: float, b: float, t: float) -> float:
        second = d * (a * a + s * s) * (b * b + t * t) + d * (d - 1) * (a * b) ** 2
        # third moments of one row: m^3 + 3 m s^2 where all columns agree, m^3 + m s^2 where two do, else m^3
        third = d * (a**3 + 3 * a * s * s) * (b**3 + 3 * b * t * t)
        third += 3 * d * (d - 1) * (a**3 + a * s * s) * (b**3 + b * t * t)
        third += d * (d - 1) * (d - 2) * (a * b) ** 3
        return 1 + 3 * a * b + 3 * second / d**2 + third / d**3

    one, other = (mean_1, sd_1), (mean_2, sd_2)
    return expected(*one, *one) + expected(*other, *other) - 2 * expected(*one, *other)


def test_the_distance_of_two_gaussians_has_the_closed_form_of_commuting_covariances() -> None:
    a, b = torch.tensor([1.0, 4.0, 0.25]).double(), torch.tensor([9.0, 1.0, 0.0]).double()
    mean = torch.tensor([1.0, -2.0, 0.5]).double()
    want = float(mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum())
    got = frechet_of_moments(torch.zeros(3).double(), torch.diag(a), mean, torch.diag(b))
    assert got == pytest.approx(want, abs=1e-12)


def test_the_distance_equals_scipys_matrix_root_where_nothing_commutes() -> None:
    one, other = covariance(6, 0), covariance(6, 1)
    root = sqrtm(one.numpy() @ other.numpy())
    want = float(one.trace() + other.trace() - 2 * np.trace(root).real)
    mean = torch.zeros(6).double()
    assert frechet_of_moments(mean, one, mean, other) == pytest.approx(want, abs=1e-9)


def test_the_distance_of_samples_tends_to_that_of_their_laws() -> None:
    x, y = normal(200_000, 3, 0), normal(200_000, 3, 1, mean=0.5, sd=1.5)
    assert frechet_distance(x, y) == pytest.approx(3 * 0.25 + 3 * 0.25, abs=0.03)


def test_a_set_is_no_distance_from_itself_and_order_does_not_matter() -> None:
    x, y = normal(300, 8, 0), normal(300, 8, 1, sd=2)
    assert frechet_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


def test_the_distance_is_squared_in_the_scale_and_blind_to_turning_and_shifting_both() -> None:
    x, y = normal(300, 5, 0), normal(200, 5, 1, mean=0.3, sd=2)
    want = frechet_distance(x, y)
    turned, _ = torch.linalg.qr(normal(5, 5, 2))
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * want, rel=1e-9)
    assert frechet_distance(x @ turned + 100, y @ turned + 100) == pytest.approx(want, rel=1e-6)


def test_fewer_examples_than_features_give_a_real_number_and_the_interval_says_so() -> None:
    x, y = normal(60, 100, 0), normal(60, 100, 1)
    assert math.isfinite(frechet_distance(x, y)) and frechet_distance(x, x) == pytest.approx(0, abs=1e-5)
    assert "60 examples are fewer than 5 times 100 features, value and ends are too high" in frechet_interval(x, y).how
    assert "fewer than" not in frechet_interval(normal(60, 4, 0), normal(60, 4, 1)).how


def test_the_interval_holds_the_true_distance_where_the_plain_number_is_far_above_it() -> None:
    d, n, held, plain = 12, 150, 0, 0
    true = d * (0.2**2 + 0.2**2)
    for i in range(60):
        x, y = normal(n, d, 2 * i), normal(n, d, 2 * i + 1, mean=0.2, sd=1.2)
        found = frechet_interval(x, y, seed=i)
        held += found.low <= true <= found.high
        plain += frechet_distance(x, y) <= found.high
        assert found.low <= found.value <= found.high
    assert held >= 54  # nominal 57
    assert plain < 20


@pytest.mark.slow
@pytest.mark.parametrize(("d", "n"), [(2, 100), (2, 2000), (16, 80), (16, 320), (64, 320)])
@pytest.mark.parametrize("kind", ["equal", "moved", "wider", "turned"])
def test_nineteen_of_twenty_intervals_hold_the_true_frechet_distance(d: int, n: int, kind: str) -> None:
    one = torch.eye(d).double() if kind != "turned" else torch.diag(1 / torch.arange(1, d + 1).double())
    turn, _ = torch.linalg.qr(normal(d, d, 0))
    other = {"equal": one, "moved": one, "wider": 1.3 * one, "turned": turn.T @ one @ turn}[kind]
    mean = torch.full((d,), 0.5 / math.sqrt(d) if kind == "moved" else 0.0).double()
    true = frechet_of_moments(torch.zeros(d).double(), one, mean, other)
    roots = [torch.linalg.cholesky(c).T for c in (one, other)]
    held, rounds = 0, 100
    for i in range(rounds):
        x, y = normal(n, d, 2 * i + 1) @ roots[0], mean + normal(n, d, 2 * i + 2) @ roots[1]
        found = frechet_interval(x, y, seed=i)
        held += found.low <= true + 1e-9 and true <= found.high
    assert held >= 0.88 * rounds


def test_a_copied_set_is_at_distance_zero_and_too_few_examples_have_no_interval() -> None:
    x = normal(400, 6, 0)
    found = frechet_interval(x, x.clone(), seed=1)
    assert found.value == found.low == 0 and found.high < 0.1 * frechet_distance(x, normal(400, 6, 1, sd=2))
    few = frechet_interval(x[:30], x[30:60])
    assert few.value == frechet_distance(x[:30], x[30:60]) and math.isnan(few.low) and "no interval" in few.how


def test_the_interval_is_repeatable_and_equal_for_float32_features() -> None:
    x, y = normal(200, 4, 0), normal(150, 4, 1, mean=0.4)
    assert frechet_interval(x, y, seed=3) == frechet_interval(x, y, seed=3)
    single = frechet_interval(x.float(), y.float(), seed=3)
    assert single.value == pytest.approx(frechet_interval(x, y, seed=3).value, rel=1e-5)


def test_leaving_a_block_out_equals_moments_computed_afresh() -> None:
    x = normal(83, 3, 0, mean=50)
    order = np.random.default_rng(5).permutation(83)
    shuffled = x[torch.from_numpy(order)]
    for g, got in enumerate(images._left_out(x, np.random.default_rng(5))):
        rest = shuffled[[i for i in range(83) if i % images.GROUPS != g]]
        torch.testing.assert_close(got.mean, rest.mean(0))
        torch.testing.assert_close(got.covariance, torch.cov(rest.T))


def test_the_limit_over_n_takes_the_bias_off_and_the_points_fall() -> None:
    x, y = normal(3000, 20, 0), normal(2500, 20, 1, mean=0.1)
    curve = frechet_over_n(x, y, seed=0)
    sizes, values = zip(*curve.points, strict=True)
    assert len(sizes) == 15 and sizes[0] == 250 and sizes[-1] == 2500
    assert values[0] > values[7] > values[-1] > curve.limit
    assert curve.limit == pytest.approx(20 * 0.01, abs=0.12) and 0 < curve.error < 0.1
    assert values[0] > 5 * 0.2 and values[-1] > 1.5 * 0.2  # the plain number, beside the truth


def test_the_curve_begins_where_it_is_a_line() -> None:
    """With a tenth of n below d the line would miss: the limit of equal laws must stay near 0."""
    x, y = normal(320, 64, 0), normal(320, 64, 1)
    curve = frechet_over_n(x, y)
    assert curve.points[0][0] == 128
    assert abs(curve.limit) < 1.2 < 5 < frechet_distance(x, y)


def test_the_line_and_its_error_are_those_of_scipys_regression() -> None:
    sizes = [100, 150, 200, 400, 1000]
    exact = images._line([(n, 3 + 7 / n) for n in sizes])
    assert exact.limit == pytest.approx(3.0, abs=1e-12) and exact.error == pytest.approx(0, abs=1e-12)
    noisy = [(n, 3 + 7 / n + 0.1 * (-1) ** i) for i, n in enumerate(sizes)]
    want = linregress([1 / n for n in sizes], [value for _, value in noisy])
    got = images._line(noisy)
    assert (got.limit, got.error) == pytest.approx((want.intercept, want.intercept_stderr), rel=1e-9)


def brute_kernel(x: Tensor, y: Tensor) -> float:
    def k(a: Tensor, b: Tensor) -> float:
        return (float(a @ b) / len(a) + 1) ** 3

    within = [np.mean([k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]) for z in (x, y)]
    return float(sum(within) - 2 * np.mean([k(a, b) for a in x for b in y]))


def test_the_kernel_distance_equals_a_sum_over_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(9, 3, 0, mean=1), normal(7, 3, 1, sd=2)
    want = brute_kernel(x, y)
    assert kernel_distance(x, y).value == pytest.approx(want, abs=1e-12)
    monkeypatch.setattr(images, "BLOCK", 16)
    assert kernel_distance(x, y).value == pytest.approx(want, abs=1e-12)


def test_the_kernels_jackknife_equals_leaving_each_example_out() -> None:
    x, y = normal(8, 2, 0), normal(6, 2, 1, mean=1)
    without_x = torch.tensor([brute_kernel(x[torch.arange(8) != i], y) for i in range(8)])
    without_y = torch.tensor([brute_kernel(x, y[torch.arange(6) != i]) for i in range(6)])
    error = math.sqrt(
        7 / 8 * without_x.double().var(correction=0) * 8 + 5 / 6 * without_y.double().var(correction=0) * 6
    )
    found = kernel_distance(x, y)
    assert found.high - found.low == pytest.approx(2 * 1.959964 * error, rel=1e-6)


def test_the_kernel_distance_has_no_bias_even_with_few_examples() -> None:
    true = kernel_truth(0.5, 1.0, 0.8, 1.0, 4)
    values = [
        kernel_distance(normal(20, 4, 2 * i, mean=0.5), normal(12, 4, 2 * i + 1, mean=0.8)).value for i in range(1500)
    ]
    assert abs(np.mean(values) - true) < 3.5 * np.std(values) / math.sqrt(len(values))
    assert min(values) < 0  # what is never negative cannot be without bias


@pytest.mark.parametrize(("mean", "sd"), [(0.5, 1.0), (0.8, 1.0), (0.5, 1.3)])
def test_nineteen_of_twenty_intervals_hold_the_true_kernel_distance(mean: float, sd: float) -> None:
    d, held, rounds = 16, 0, 120
    true = kernel_truth(0.5, 1.0, mean, sd, d)
    for i in range(rounds):
        x, y = normal(200, d, 2 * i, mean=0.5), normal(250, d, 2 * i + 1, mean=mean, sd=sd)
        found = kernel_distance(x, y)
        held += found.low <= true <= found.high
    assert held >= 0.91 * rounds


def test_large_sets_are_drawn_from_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(300, 4, 0), normal(200, 4, 1, mean=1)
    monkeypatch.setattr(images, "MOST", 100)
    assert kernel_distance(x, y, seed=1) == kernel_distance(x, y, seed=1)
    assert kernel_distance(x, y, seed=1).value != kernel_distance(x, y, seed=2).value


def test_worse_samples_are_farther_by_both_distances() -> None:
    real, good = normal(500, 8, 0), normal(500, 8, 1)
    noisier = [good + s * normal(500, 8, 2) for s in (0.0, 0.5, 1.0, 2.0)]
    narrower = [good * s for s in (1.0, 0.6, 0.3, 0.0)]
    for measure in (lambda y: frechet_interval(real, y).value, lambda y: kernel_distance(real, y).value):
        for row in (noisier, narrower):
            values = [measure(y) for y in row]
            assert all(a < b for a, b in itertools.pairwise(values))
        # one that copies is nearer than a perfect one: neither distance can tell, memorised() can
        assert measure(real) <= measure(good) < measure(noisier[1])


def test_what_cannot_be_compared_is_refused_with_what_to_do() -> None:
    x = normal(50, 4, 0)
    with pytest.raises(InputError, match=r"\(50, 4\) and \(50, 3\).*one extractor"):
        frechet_distance(x, x[:, :3])
    with pytest.raises(InputError, match="1 made examples are too few"):
        kernel_distance(x, x[:1])
    with pytest.raises(InputError, match="real examples are not all finite"):
        frechet_interval(torch.full((50, 4), math.nan), x)
