from __future__ import annotations

import gzip
import math

import numpy as np
import pytest
import torch
from scipy import stats

from elboroom.baselines.pixels import Independent, uniform_nats
from elboroom.core.batch import Batch
from elboroom.core.spec import Column, Spec
from elboroom.data.transforms import image_transform


def table(*kinds: str) -> Spec:
    columns = tuple(
        Column(name=f"c{i}", kind=k, categories=("a", "b", "c") if k == "categorical" else ())
        for i, k in enumerate(kinds)
    )
    return Spec(kind="table", shape=(len(kinds),), scale="none", columns=columns)


def fitted(spec: Spec, x: torch.Tensor, likelihood: str = "auto", observed: torch.Tensor | None = None) -> Independent:
    parts = [slice(0, 7), slice(7, len(x))]
    seen = [None if observed is None else observed[p] for p in parts]
    return Independent(spec, likelihood).fit(Batch(x[p], observed=o) for p, o in zip(parts, seen, strict=True))


def test_gaussian_columns_equal_scipys_density_of_the_fitted_mean_and_variance():
    x = torch.randn(40, 3) * torch.tensor([1.0, 5.0, 0.3]) + 2
    got = fitted(table("real", "real", "real"), x).log_prob(Batch(x))
    want = stats.norm.logpdf(x.numpy().astype(float), x.double().mean(0), x.double().std(0, correction=0)).sum(1)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_bernoulli_columns_use_smoothed_shares():
    x = torch.tensor([[1.0], [1.0], [0.0]])
    model = Independent(table("binary")).fit([Batch(x)])
    p = 2.5 / 4
    np.testing.assert_allclose(model.log_prob(Batch(x)), [math.log(p), math.log(p), math.log(1 - p)])


def test_every_family_of_whole_numbers_sums_to_one():
    rng = np.random.default_rng(0)
    spec = table("count")
    counts = torch.from_numpy(rng.negative_binomial(3, 0.4, size=(200, 1)).astype(np.float32))
    every = Batch(torch.arange(400).float()[:, None])
    for family in ("poisson", "negative_binomial"):
        assert fitted(spec, counts, family).log_prob(every).exp().sum().item() == pytest.approx(1, abs=1e-6)
    levels = Spec(kind="images", shape=(1, 1, 1), scale="levels:5", levels=5, low=0, high=4)
    x = torch.randint(0, 4, (60, 1, 1, 1)).float()
    every = Batch(torch.arange(5).float().reshape(5, 1, 1, 1))
    assert fitted(levels, x).log_prob(every).exp().sum().item() == pytest.approx(1)


def test_negative_binomial_columns_equal_scipys():
    x = torch.from_numpy(np.random.default_rng(1).negative_binomial(2, 0.3, size=(500, 1)).astype(np.float32))
    model = fitted(table("count"), x)
    m = (x.double().sum() + 0.5) / 501
    r = m**2 / (x.double().var(correction=0) - m)
    want = stats.nbinom.logpmf(x[:, 0].numpy(), float(r), float(r / (r + m)))
    np.testing.assert_allclose(model.log_prob(Batch(x)), want, rtol=1e-8)


def test_a_mixed_table_is_the_sum_of_its_columns():
    torch.manual_seed(0)
    x = torch.stack([torch.randn(30), torch.randint(0, 3, (30,)).float(), torch.randint(0, 9, (30,)).float()], 1)
    spec = table("real", "categorical", "count")
    whole = fitted(spec, x)
    assert whole.family == "mixed"
    alone = sum(
        fitted(table(kind), x[:, i : i + 1], kind if kind == "mixed" else "mixed").log_prob(Batch(x[:, i : i + 1]))
        for i, kind in enumerate(("real", "categorical", "count"))
    )
    torch.testing.assert_close(whole.log_prob(Batch(x)), alone)


def test_missing_cells_enter_neither_the_fit_nor_the_score():
    x = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 4.0], [5.0, 8.0]]).repeat(5, 1)
    seen = torch.tensor([[True, False], [True, False], [False, True], [True, True]]).repeat(5, 1)
    model = fitted(table("real", "real"), x, observed=seen)
    assert model.guess.tolist() == pytest.approx([3.0, 6.0])
    one = model.log_prob(Batch(x[:1], observed=seen[:1]))
    sd = np.array([1.0, 3.0, 5.0]).std()
    assert one.item() == pytest.approx(stats.norm.logpdf(1.0, 3.0, sd))


def test_the_best_guess_of_a_column_of_names_is_the_most_frequent_one():
    x = torch.tensor([[0.0], [2.0], [2.0], [1.0]])
    assert Independent(table("categorical")).fit([Batch(x)]).guess.tolist() == [2.0]


def test_no_constant_column_wins_by_an_endless_density():
    x = torch.full((20, 1), 4.0)
    nats = fitted(table("real"), x).log_prob(Batch(x))
    assert nats[0].item() == pytest.approx(-math.log(0.01 * math.sqrt(2 * math.pi)))


def test_uniform_levels_cost_four_bits_at_sixteen():
    spec = Spec(kind="images", shape=(1, 28, 28), scale="levels:16", levels=16, low=0, high=15)
    assert -uniform_nats(spec) / (784 * math.log(2)) == pytest.approx(4)


def _mnist(real_data, part: str) -> torch.Tensor:
    with gzip.open(real_data / "mnist" / f"{part}-images-idx3-ubyte.gz") as file:
        return torch.frombuffer(bytearray(file.read()[16:]), dtype=torch.uint8).reshape(-1, 1, 28, 28)


def test_independent_pixels_of_four_bit_mnist_cost_0_977_bits(real_data):
    transform = image_transform("levels:16", 255.0)
    spec = Spec(kind="images", shape=(1, 28, 28), scale="levels:16", levels=16, low=0, high=15)
    train, test = _mnist(real_data, "train"), _mnist(real_data, "t10k")
    model = Independent(spec).fit(transform({"x": part}) for part in train[:54000].split(2000))
    nats = model.log_prob(transform({"x": test})).mean().item()
    assert -nats / (784 * math.log(2)) == pytest.approx(0.976, abs=0.0015)


def test_entropy_floors_and_constant_predictors_of_mnist_are_the_known_ones(real_data):
    from elboroom.metrics.reconstruction import binary_cross_entropy, binary_entropy

    test = _mnist(real_data, "t10k")
    for scale, floor, constant in (("column", 0.1012, 0.1677), ("unit", 0.0581, 0.2623)):
        x = image_transform(scale, 255.0)({"x": test}).x
        assert binary_entropy(x).mean().item() / 784 == pytest.approx(floor, abs=5e-5)
        own_mean = x.mean(0).expand_as(x)
        assert binary_cross_entropy(x, own_mean).mean().item() / 784 == pytest.approx(constant, abs=5e-5)
