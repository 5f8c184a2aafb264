"""Every head is a probability law: it sums to 1, equals scipy's, and its samples lead back to its parameters."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats as st
import torch
from torch import Tensor

from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec
from elboroom.nn.head import Head
from elboroom.nn.likelihood import HEADS, automatic, head_for

LEVELS = 8
BINARY = Spec(kind="images", shape=(1, 2, 2), scale="binary", low=0, high=1)
GREY = Spec(kind="images", shape=(1, 2, 2), scale="unit", low=0, high=1)
LEVELLED = Spec(kind="images", shape=(1, 2, 1), scale=f"levels:{LEVELS}", levels=LEVELS, low=0, high=LEVELS - 1)
REAL = Spec(kind="table", shape=(3,), scale="standard", columns=tuple(Column(name=n) for n in "abc"))
COUNTS = Spec(kind="table", shape=(2,), scale="counts", columns=tuple(Column(name=n, kind="count") for n in "ab"))
TABLE = Spec(
    kind="table",
    shape=(5,),
    scale="standard",
    columns=(
        Column(name="colour", kind="categorical", categories=("red", "green", "blue")),
        Column(name="weight"),
        Column(name="visits", kind="count"),
        Column(name="alive", kind="binary"),
        Column(name="city", kind="categorical", categories=("Bonn", "Ulm")),
    ),
)
SPECS = {
    "bernoulli": BINARY,
    "categorical": LEVELLED,
    "logistic": LEVELLED,
    "gaussian": REAL,
    "poisson": COUNTS,
    "negative_binomial": COUNTS,
    "mixed": TABLE,
}


def made(name: str, seed: int = 0) -> tuple[Head, Tensor]:
    """A head in float64 with parameters off their start, and one h."""
    torch.manual_seed(seed)
    head = head_for(name, SPECS[name]).double()
    with torch.no_grad():
        for p in head.parameters():
            p.normal_(0, 0.1)
    h = torch.randn(1, head.features, dtype=torch.float64)
    return head, h


def log_prob(head: Head, h: Tensor, x: Tensor) -> Tensor:
    """(rows,): log p of every row of x under one h."""
    return head(h.expand(len(x), -1)).log_prob(x)


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "logistic"])
def test_probabilities_of_all_images_sum_to_one(name: str) -> None:
    head, h = made(name)
    spec = SPECS[name]
    values = range(spec.levels or 2)
    every = torch.tensor(list(itertools.product(values, repeat=spec.size)), dtype=torch.float64)
    log_p = log_prob(head, h, every.reshape(-1, *spec.shape))
    assert torch.logsumexp(log_p, 0).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_probabilities_of_all_counts_sum_to_one(name: str) -> None:
    head, h = made(name)
    pairs = torch.cartesian_prod(*[torch.arange(120, dtype=torch.float64)] * 2)
    assert torch.logsumexp(log_prob(head, h, pairs), 0).item() == pytest.approx(0, abs=1e-9)


def test_the_gaussian_density_integrates_to_one() -> None:
    head, h = made("gaussian")
    p = head(h)
    line = torch.linspace(-1, 1, 4001, dtype=torch.float64)[:, None] * 12 * p.stddev + p.mean
    density = (-p.surprisal(line)).exp()
    assert torch.trapezoid(density, line, dim=0).tolist() == pytest.approx([1, 1, 1], abs=1e-10)


def test_the_mixed_law_sums_over_its_categories_and_integrates_over_its_real_column() -> None:
    head, h = made("mixed")
    law = head(h).laws[0]
    real = (law.mean + law.stddev * torch.linspace(-8, 8, 65, dtype=torch.float64)).flatten()
    count = torch.arange(400, dtype=torch.float64)
    some = [torch.arange(k, dtype=torch.float64) for k in (3, 2, 2)]
    rows = torch.cartesian_prod(some[0], real, count, some[1], some[2])
    p = log_prob(head, h, rows).exp().reshape(3, -1, 400, 2, 2).sum((0, 2, 3, 4))
    assert torch.trapezoid(p, real).item() == pytest.approx(1, abs=1e-6)


def test_edge_bins_of_the_logistic_hold_all_the_mass_beyond_them_at_every_scale() -> None:
    head = head_for("logistic", LEVELLED).double()
    for location, log_scale in itertools.product((-9.0, -1.0, 0.1, 7.0), (-30.0, -4.0, 0.0, 30.0)):
        h = torch.tensor([[location, location, log_scale, log_scale]], dtype=torch.float64)
        levels = torch.arange(LEVELS, dtype=torch.float64)[:, None].expand(-1, 2)
        log_p = -head(h).surprisal(levels)
        assert log_p.isfinite().all()
        assert torch.logsumexp(log_p, 0).abs().max().item() < 1e-12


def scipy_log_prob(name: str, head: Head, h: Tensor, x: np.ndarray) -> np.ndarray:
    """(rows,): the same law out of scipy."""
    p = head(h)
    flat = x.reshape(len(x), -1)
    if name == "bernoulli":
        return st.bernoulli.logpmf(flat, p.mean.detach().numpy().reshape(-1)).sum(1)
    if name == "categorical":
        prob = p.logits.softmax(1).detach().numpy().reshape(LEVELS, -1)
        return np.log(prob[flat.astype(int), np.arange(flat.shape[1])]).sum(1)
    if name == "logistic":
        law = st.logistic(p.location.detach().numpy().reshape(-1), p.scale.detach().numpy().reshape(-1))
        upper = np.where(flat == LEVELS - 1, 1, law.cdf(flat + 0.5))
        return np.log(upper - np.where(flat == 0, 0, law.cdf(flat - 0.5))).sum(1)
    if name == "gaussian":
        return st.norm.logpdf(flat, p.mean.detach().numpy(), p.stddev.detach().numpy()).sum(1)
    if name == "poisson":
        return st.poisson.logpmf(flat, p.mean.detach().numpy()).sum(1)
    r, m = p.log_dispersion.exp().detach().numpy(), p.mean.detach().numpy()
    return st.nbinom.logpmf(flat, r, r / (r + m)).sum(1)


@pytest.mark.parametrize("name", [n for n in HEADS if n != "mixed"])
def test_log_prob_equals_scipys(name: str) -> None:
    head, h = made(name, seed=3)
    torch.manual_seed(5)
    x = head(h.expand(40, -1)).sample()
    expected = scipy_log_prob(name, head, h, x.detach().numpy())
    assert log_prob(head, h, x).detach().numpy() == pytest.approx(expected, abs=1e-10)


def test_mixed_columns_have_the_laws_of_scipy_side_by_side() -> None:
    head, h = made("mixed", seed=1)
    torch.manual_seed(2)
    x = head(h.expand(30, -1)).sample().detach()
    real, count, binary, category = (v.detach().numpy()[0] for v in torch.split(h, [1, 1, 1, 5], -1))
    stddev = head.heads["real"].stddev.detach().numpy()
    r = np.exp(7 * np.tanh(head.heads["count"].dispersion.detach().numpy()))
    rows = x.numpy()
    expected = st.norm.logpdf(rows[:, 1], real, stddev)
    expected += st.nbinom.logpmf(rows[:, 2], r, r / (r + np.exp(count)))
    expected += st.bernoulli.logpmf(rows[:, 3], 1 / (1 + np.exp(-binary)))
    for column, logits in ((0, category[:3]), (4, category[3:])):
        expected += (logits - np.log(np.exp(logits).sum()))[rows[:, column].astype(int)]
    assert log_prob(head, h, x).detach().numpy() == pytest.approx(expected, abs=1e-10)


def fitted(head: Head, start: Tensor, x: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """The mean -log p of x as a function of (h, parameters) in one vector, and where it is smallest."""
    shapes = {n: p.shape for n, p in head.named_parameters()}

    def objective(vector: Tensor) -> Tensor:
        parts = torch.split(vector, [start.numel(), *(s.numel() for s in shapes.values())])
        params = {n: part.reshape(s) for (n, s), part in zip(shapes.items(), parts[1:], strict=True)}
        return -torch.func.functional_call(head, params, (parts[0].expand(len(x), -1),)).log_prob(x).mean()

    vector = torch.cat([start.reshape(-1), *(torch.zeros(s).double().reshape(-1) for s in shapes.values())])
    vector = vector.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([vector], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective(vector)
        loss.backward()
        return loss

    optimizer.step(closure)
    return objective, vector.detach()


@pytest.mark.parametrize("name", list(HEADS))
def test_maximum_likelihood_on_its_own_samples_recovers_its_parameters(name: str) -> None:
    head, h = made(name, seed=7)
    truth = torch.cat([h.reshape(-1), *(p.detach().reshape(-1) for p in head.parameters())])
    torch.manual_seed(11)
    n = 20_000
    x = head(h.expand(n, -1)).sample().detach()
    objective, found = fitted(head, torch.zeros_like(h), x)
    # n (found - truth)' Fisher (found - truth) is chi-squared with as many degrees of freedom as there are parameters
    # that matter: a softmax ignores a constant added to its logits, and so does its Fisher information.
    fisher = torch.func.jacrev(torch.func.grad(objective))(found)
    away = found - truth
    distance = n * (away @ fisher @ away).item()
    freedom = int(torch.linalg.matrix_rank(fisher, atol=1e-6))
    assert distance < st.chi2.ppf(0.999, freedom)


@pytest.mark.parametrize("name", [n for n in HEADS if n != "mixed"])
def test_the_mean_is_the_mean_of_many_samples(name: str) -> None:
    head, h = made(name, seed=9)
    torch.manual_seed(3)
    p = head(h.expand(20_000, -1))
    x = p.sample()
    error = (x.mean(0) - p.mean[0]) / (x.std(0) / 20_000**0.5)
    assert error.abs().max().item() < 4


@pytest.mark.parametrize("name", list(HEADS))
def test_what_was_not_observed_has_no_say(name: str) -> None:
    head, h = made(name)
    spec = SPECS[name]
    torch.manual_seed(1)
    x = head(h.expand(6, -1)).sample().detach()
    seen = torch.rand(6, *spec.shape) < 0.5
    assert not seen.all()
    h = h.expand(6, -1)
    log_p = head(h).log_prob(x, seen)
    torch.testing.assert_close(head(h).log_prob(torch.where(seen, x, 0.0), seen), log_p, rtol=0, atol=0)
    everything = head(h).log_prob(x, torch.ones_like(seen))
    torch.testing.assert_close(everything, head(h).log_prob(x), rtol=1e-14, atol=1e-14)
    rest = head(h).log_prob(x, ~seen)
    torch.testing.assert_close(log_p + rest, everything)


@pytest.mark.parametrize("name", list(HEADS))
def test_leading_axes_score_one_x_under_many_h(name: str) -> None:
    head, _ = made(name)
    h = torch.randn(3, 4, head.features, dtype=torch.float64)
    x = head(h[0]).sample().detach()
    together = head(h).log_prob(x)
    one_by_one = torch.stack([head(h[k]).log_prob(x) for k in range(3)])
    torch.testing.assert_close(together, one_by_one)
    assert head(h).sample().shape == (3, 4, *SPECS[name].shape)


def test_grey_pixels_give_minus_the_cross_entropy() -> None:
    head = head_for("bernoulli", GREY).double()
    h, x = torch.randn(3, 4, dtype=torch.float64), torch.rand(3, 1, 2, 2, dtype=torch.float64)
    p = h.sigmoid().reshape(3, 1, 2, 2)
    expected = (x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    torch.testing.assert_close(head(h).log_prob(x), expected)


def test_log_probabilities_of_bfloat16_features_are_summed_in_float32() -> None:
    for name in HEADS:
        head = head_for(name, SPECS[name])
        h = torch.randn(2, head.features).bfloat16()
        x = head(h).sample()
        assert head(h).log_prob(x.float()).dtype == torch.float32


def test_extreme_features_stay_finite_with_their_gradients() -> None:
    for name in HEADS:
        head, _ = made(name)
        head.float()
        for size in (-1e4, 1e4):
            h = torch.full((1, head.features), size, requires_grad=True)
            x = torch.ones(1, *SPECS[name].shape)
            log_p = head(h).log_prob(x).sum()
            (gradient,) = torch.autograd.grad(log_p, [h])
            assert log_p.isfinite(), (name, size)
            assert gradient.isfinite().all(), (name, size)


def test_auto_takes_the_law_that_fits_the_data() -> None:
    symmetric = Spec(kind="images", shape=(3, 8, 8), scale="symmetric", low=-1, high=1)
    binary = Spec(kind="table", shape=(1,), scale="none", columns=(Column(name="a", kind="binary"),))
    specs = (GREY, LEVELLED, symmetric, REAL, COUNTS, binary, TABLE)
    names = ["bernoulli", "categorical", "gaussian", "gaussian", "negative_binomial", "bernoulli", "mixed"]
    assert [automatic(spec) for spec in specs] == names


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("bernoulli", REAL),
        ("bernoulli", LEVELLED),
        ("categorical", GREY),
        ("logistic", GREY),
        ("gaussian", TABLE),
        ("poisson", REAL),
        ("negative_binomial", TABLE),
        ("mixed", GREY),
    ],
)
def test_a_law_that_cannot_hold_is_refused_with_what_to_take(name: str, spec: Spec) -> None:
    with pytest.raises(InputError, match=f"likelihood {name} does not fit .*auto takes {automatic(spec)}"):
        head_for(name, spec)


def test_an_unknown_likelihood_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'poisson'"):
        head_for("poison", COUNTS)


def test_bits_per_dimension_exist_only_where_x_is_countable() -> None:
    countable = {name: head_for(name, spec).discrete for name, spec in SPECS.items()}
    no = ("gaussian", "mixed")
    assert countable == {name: name not in no for name in SPECS}
    assert not head_for("bernoulli", GREY).discrete
