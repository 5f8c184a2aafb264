"""The filters are exact, ties included; draws follow the stated law; the fast ways give what the plain ones give."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.stats as st
import torch
from torch import Tensor

from elboroom.core.errors import InputError
from elboroom.nn.sampling import Sampling, best, choose, draw, filtered, repetition_penalty, uniforms

DRAWS = 200_000
SETTINGS = {
    "the model's own law": Sampling(),
    "temperature": Sampling(temperature=0.6),
    "hot": Sampling(temperature=3.0),
    "top-k": Sampling(top_k=4),
    "top-p": Sampling(top_p=0.8),
    "min-p": Sampling(min_p=0.1),
    "all": Sampling(temperature=1.7, top_k=9, top_p=0.9, min_p=0.05),
}
each = pytest.mark.parametrize("sampling", SETTINGS.values(), ids=SETTINGS)


def by_hand(logits: list[float], s: Sampling) -> list[float]:
    """The filtered law of one row, straight from the definitions: lists, loops, sorted()."""
    falling = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    if s.temperature == 0:
        return [float(i == falling[0]) for i in range(len(logits))]
    kept = falling[: s.top_k] if s.top_k else falling
    weights = {i: math.exp((logits[i] - logits[falling[0]]) / s.temperature) for i in kept}
    total, mass, nucleus = math.fsum(weights.values()), 0.0, []
    for i in kept:
        if mass < s.top_p * total:
            nucleus.append(i)
        mass += weights[i]
    last = {i: weights[i] for i in nucleus if weights[i] >= s.min_p * weights[falling[0]]}
    total = math.fsum(last.values())
    return [last.get(i, 0.0) / total for i in range(len(logits))]


def some_logits(rows: int, width: int, seed: int = 0, *, grid: float = 0.0) -> Tensor:
    """Logits with -inf among them; rounded to a grid they have ties everywhere."""
    x = 2 * torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = (x / grid).round() * grid if grid else x
    x[0, width // 2] = -math.inf
    return x


@pytest.mark.parametrize("grid", [0.0, 1.5])
@each
def test_the_filtered_law_is_the_one_of_the_definitions(sampling: Sampling, grid: float) -> None:
    for width in (2, 5, 12, 60):
        logits = some_logits(8, width, width, grid=grid)
        expected = torch.tensor([by_hand(row, sampling) for row in logits.tolist()], dtype=torch.float64)
        torch.testing.assert_close(filtered(logits, sampling).exp(), expected, rtol=1e-12, atol=0)


@each
def test_draws_follow_the_filtered_law(sampling: Sampling) -> None:
    logits = 0.5 * some_logits(1, 12, 6, grid=1.0).float()  # with ties
    p = filtered(logits, sampling).exp()[0].numpy()
    assert (p > 0).sum() > 2
    for numbers in (uniforms([7], 0, DRAWS)[0], uniforms(range(DRAWS), 0, 1)[:, 0]):
        drawn = choose(logits.expand(DRAWS, -1), sampling, numbers)
        counts = np.bincount(drawn.numpy(), minlength=12)
        assert counts[p == 0].sum() == 0
        assert st.chisquare(counts[p > 0], DRAWS * p[p > 0]).pvalue > 1e-3


def test_penalised_draws_follow_the_penalised_law() -> None:
    logits = some_logits(1, 12, 5)
    seen = torch.arange(12)[None] % 3 == 0
    rates = [x / 1.8 if x > 0 else x * 1.8 for x in logits[0].tolist()]
    rates = [new if i % 3 == 0 else old for i, (new, old) in enumerate(zip(rates, logits[0].tolist(), strict=True))]
    p = np.array(by_hand(rates, Sampling(top_k=7, temperature=1.4)))
    penalised = repetition_penalty(logits, torch.where(seen, 1.8, 1.0))
    drawn = choose(penalised.expand(DRAWS, -1), Sampling(top_k=7, temperature=1.4), uniforms([3], 0, DRAWS)[0])
    counts = np.bincount(drawn.numpy(), minlength=12)
    assert counts[p == 0].sum() == 0 and st.chisquare(counts[p > 0], DRAWS * p[p > 0]).pvalue > 1e-3


def test_among_equals_the_lower_ids_are_kept() -> None:
    x = torch.tensor([[1.0, 3.0, 2.0, 2.0, 2.0, 3.0, 2.0]])

    def kept(**how: float) -> list[int]:
        return torch.nonzero(filtered(x, Sampling(**how))[0].isfinite())[:, 0].tolist()

    assert [kept(top_k=k) for k in (1, 2, 3, 5, 6, 7)] == [
        [1],
        [1, 5],
        [1, 2, 5],
        [1, 2, 3, 4, 5],
        [1, 2, 3, 4, 5, 6],
        list(range(7)),
    ]
    assert kept(top_p=1e-9) == [1] and kept(top_p=0.35) == [1, 5] and kept(top_p=0.65) == [1, 2, 5]
    assert kept(min_p=1.0) == [1, 5] and kept(min_p=math.exp(-1)) == [1, 2, 3, 4, 5, 6]
    assert kept(temperature=0) == [1]


def test_top_p_keeps_no_more_tokens_than_reach_the_mass() -> None:
    x = torch.tensor([[0.5, 0.25, 0.125, 0.125]], dtype=torch.float64).log()
    sizes = [int(filtered(x, Sampling(top_p=p)).isfinite().sum()) for p in (0.4, 0.5, 0.51, 0.74, 0.76, 0.9, 1.0)]
    assert sizes == [1, 1, 2, 2, 3, 4, 4]


def test_top_p_looks_at_the_law_that_top_k_has_left() -> None:
    x = torch.tensor([[0.4, 0.2, 0.2, 0.2]], dtype=torch.float64).log()
    both = filtered(x, Sampling(top_k=2, top_p=0.6)).exp()
    torch.testing.assert_close(both, torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64))  # 0.4 of 0.6 is 2/3


@pytest.mark.parametrize("k", [4, 5, 1000])
def test_a_k_of_the_vocabulary_or_above_keeps_all_of_it(k: int) -> None:
    x = some_logits(3, 4)
    assert torch.equal(filtered(x, Sampling(top_k=k)), filtered(x, Sampling()))


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1e-30])
def test_temperature_zero_is_greedy_and_the_smallest_above_it_is_no_fault(temperature: float) -> None:
    x = some_logits(50, 9, 1).float()
    drawn = choose(x, Sampling(temperature=temperature), uniforms(range(50), 0, 1)[:, 0])
    assert torch.equal(drawn, x.argmax(-1))
    assert torch.equal(filtered(x, Sampling(temperature=temperature)).exp().argmax(-1), drawn)


def test_greedy_takes_the_lowest_of_equals_in_every_width() -> None:
    for width, at in itertools.product((3, 65, 1000), (0, 1, 2)):
        x = torch.zeros(2, width)
        x[:, at:] = 1.0
        assert choose(x, Sampling(temperature=0), torch.empty(0)).tolist() == [at, at]


@pytest.mark.parametrize("grid", [0.0, 0.01])
@pytest.mark.parametrize("p", [0.01, 0.5, 0.9, 0.999, 1 - 1e-12])
def test_a_large_vocabulary_takes_a_shorter_way_to_the_same_nucleus(p: float, grid: float) -> None:
    x = some_logits(2, 20_000, 3, grid=grid)
    x[1] *= 3  # a row with a nucleus of another size beside it
    expected = torch.tensor([by_hand(row, Sampling(top_p=p)) for row in x.tolist()], dtype=torch.float64)
    found = filtered(x, Sampling(top_p=p)).exp()
    # at 1 - 1e-12 rounding decides over the last ones, which weigh nothing
    assert int(((found > 0) != (expected > 0)).sum()) <= (0 if p < 0.9999 else 200)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-13)


def test_the_best_are_the_first_of_a_stable_sort() -> None:
    for grid, width, k in itertools.product((0.0, 1.0), (3, 64, 3000), (1, 2, 40)):
        x = some_logits(6, width, grid=grid)
        values, ids = best(x, k)
        first = torch.sort(x, dim=1, descending=True, stable=True).indices[:, :k].sort().values
        assert torch.equal(ids, first) and torch.equal(values, x.gather(1, first))


@each
def test_a_draw_does_not_depend_on_what_is_drawn_beside_it(sampling: Sampling) -> None:
    x = some_logits(40, 5_000, 2, grid=0.25).float()
    numbers = uniforms(range(40), 0, 1)[:, 0]
    together = choose(x, sampling, numbers)
    alone = [int(choose(x[i : i + 1], sampling, numbers[i : i + 1])) for i in range(40)]
    assert together.tolist() == alone
    laws = torch.cat([filtered(x[i : i + 1], sampling) for i in range(40)])
    assert torch.equal(filtered(x, sampling), laws)  # to the bit


def test_a_draw_is_the_inverse_of_the_distribution_function() -> None:
    weights = torch.tensor([[0, 0.5, 0, 1, 0.5, 0]], dtype=torch.float64)
    last = 1 - 2.0**-52
    cases = {0.0: 1, 0.2499: 1, 0.25: 3, 0.7499: 3, 0.75: 4, last: 4}
    drawn = draw(weights.expand(len(cases), -1), torch.tensor(list(cases), dtype=torch.float64))
    assert drawn.tolist() == list(cases.values())


def test_the_largest_number_does_not_reach_a_token_without_weight() -> None:
    last = torch.full((1000,), 1 - 2.0**-52, dtype=torch.float64)
    weights = torch.rand(1000, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights[:, 5:] = 0
    for size in (1.0, 0.1, 1e-12):
        assert (draw(size * weights, last) == 4).all()


def test_the_penalty_divides_positive_logits_and_multiplies_negative_ones_of_seen_tokens_only() -> None:
    x = torch.tensor([[2.0, -2.0, 0.0, 2.0, -2.0]])
    seen = torch.tensor([[True, True, True, False, False]])
    given = x.clone()
    assert repetition_penalty(x, torch.where(seen, 4.0, 1.0)).tolist() == [[0.5, -8.0, 0.0, 2.0, -2.0]]
    assert repetition_penalty(x, torch.where(seen, 0.5, 1.0)).tolist() == [[4.0, -1.0, 0.0, 2.0, -2.0]]
    assert torch.equal(x, given)
    wild = torch.tensor([[math.inf, -math.inf, 1e-30, 3e38]])
    assert torch.equal(repetition_penalty(wild, torch.ones(1, 4)), wild)


def test_uniform_numbers_are_those_of_splitmix64() -> None:
    def scalar(seed: int, step: int) -> float:
        mask = 2**64 - 1
        z = (seed + (step + 1) * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 12) / 2**52

    assert scalar(1234567, 0) == (6457827717110365317 >> 12) / 2**52  # the published first output of that seed
    seeds = [0, 1, 1234567, 2**63 - 1]
    assert uniforms(seeds, 5, 4).tolist() == [[scalar(s, t) for t in range(5, 9)] for s in seeds]


def test_uniform_numbers_of_neighbouring_seeds_are_uniform_and_unrelated() -> None:
    u = uniforms(range(2000), 0, 100).numpy()
    assert st.kstest(u.ravel(), "uniform").pvalue > 1e-3
    for a, b in ((u[:-1], u[1:]), (u[:, :-1], u[:, 1:])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / math.sqrt(a.size)
    assert u.min() >= 0 and u.max() <= 1 - 2.0**-52


BAD = [
    ("temperature", -1.0),
    ("temperature", math.nan),
    ("temperature", math.inf),
    ("temperature", "hot"),
    ("top_k", -1),
    ("top_k", 2.5),
    ("top_p", 0.0),
    ("top_p", 1.1),
    ("top_p", -0.5),
    ("top_p", math.nan),
    ("min_p", -0.1),
    ("min_p", 1.5),
    ("min_p", math.nan),
    ("repetition_penalty", 0.0),
    ("repetition_penalty", -2.0),
    ("repetition_penalty", math.inf),
    ("repetition_penalty", math.nan),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_out_of_its_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name} {value}: expected"):
        dataclasses.replace(Sampling(), **{name: value})
