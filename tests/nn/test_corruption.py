"""Noise on examples: how much of it, where it may not go, and that the input stays as it is."""

from __future__ import annotations

import pytest
import torch

from elboroom.core.batch import Batch
from elboroom.core.spec import Column, Spec
from elboroom.nn.corruption import NAMELESS, Corruption
from elboroom.nn.inputs import Inputs

WIDE = Spec(kind="images", shape=(1, 40, 40), scale="symmetric", low=-1000, high=1000)
GREY = Spec(kind="images", shape=(1, 40, 40), scale="symmetric", low=-1, high=1)
TABLE = Spec(
    kind="table",
    shape=(4,),
    scale="standard",
    columns=(
        Column(name="r"),
        Column(name="n", kind="count"),
        Column(name="b", kind="binary"),
        Column(name="c", kind="categorical", categories=("x", "y", "z")),
    ),
)
LEVEL = torch.full((50,), 0.1)


def rows(n: int = 5000) -> torch.Tensor:
    torch.manual_seed(0)
    real, whole = torch.randn(n, 1), torch.randint(0, 3, (n, 3)).float()
    return torch.cat([real, whole[:, :1] * 50, (whole[:, 1:2] > 0).float(), whole[:, 2:]], 1)


def test_gaussian_noise_of_a_bounded_scale_has_a_share_of_its_width_as_standard_deviation() -> None:
    torch.manual_seed(1)
    x = torch.zeros(50, 1, 40, 40)
    noise = Corruption("gaussian", WIDE)(Batch(x), LEVEL).x
    assert noise.std().item() == pytest.approx(0.1 * 2000, rel=0.01)
    assert noise.mean().abs() < 3 * 200 / noise.numel() ** 0.5
    assert not x.any()


def test_each_example_has_its_own_level() -> None:
    torch.manual_seed(1)
    noise = Corruption("gaussian", WIDE)(Batch(torch.zeros(2, 1, 40, 40)), torch.tensor([0.0, 0.2])).x
    assert not noise[0].any() and noise[1].std().item() == pytest.approx(400, rel=0.1)


@pytest.mark.parametrize(("noise", "expected"), [("masking", {0.0}), ("salt_pepper", {-1.0, 1.0})])
def test_a_share_of_the_values_is_replaced_and_the_others_stay(noise: str, expected: set[float]) -> None:
    torch.manual_seed(2)
    x = torch.full((50, 1, 40, 40), 0.5)
    noisy = Corruption(noise, GREY)(Batch(x), LEVEL).x  # type: ignore[arg-type]
    changed = noisy != x
    n = changed.numel()
    assert abs(changed.float().mean().item() - 0.1) < 4 * (0.1 * 0.9 / n) ** 0.5
    assert set(noisy[changed].tolist()) == expected


def test_no_noise_leaves_the_scale() -> None:
    noisy = Corruption("gaussian", GREY)(Batch(torch.ones(50, 1, 40, 40)), torch.full((50,), 5.0)).x
    assert noisy.min() == -1 and noisy.max() == 1


def test_gaussian_noise_moves_numbers_and_counts_and_no_names() -> None:
    x = rows()
    noisy = Corruption("gaussian", TABLE)(Batch(x), torch.full((len(x),), 0.3)).x
    assert torch.equal(noisy[:, 2:], x[:, 2:])
    assert (noisy[:, 0] - x[:, 0]).std().item() == pytest.approx(0.3, rel=0.05)
    assert noisy[:, 1].min() >= 0
    large = x[:, 1] > 0
    assert (noisy[large, 1].log1p() - x[large, 1].log1p()).std().item() == pytest.approx(0.3, rel=0.05)


def test_a_masked_name_is_none_of_the_names() -> None:
    x = rows(8)
    masked = Corruption("masking", TABLE)(Batch(x), torch.ones(8))
    assert set(masked.x[:, 3].tolist()) == {NAMELESS} and not masked.x[:, :3].any()
    assert not Inputs(TABLE)(masked).any()


def test_salt_and_pepper_of_an_unbounded_column_are_its_ends_among_what_was_measured() -> None:
    x, seen = rows(100), torch.ones(100, 4, dtype=torch.bool)
    x[:5, 0], seen[:5, 0] = 0.0, False
    x[5:, 0] = x[5:, 0].abs() + 1
    noisy = Corruption("salt_pepper", TABLE)(Batch(x, observed=seen), torch.ones(100)).x
    assert set(noisy[5:, 0].tolist()) == {x[5:, 0].min().item(), x[5:, 0].max().item()}
    assert torch.equal(noisy[:5, 0], x[:5, 0])
