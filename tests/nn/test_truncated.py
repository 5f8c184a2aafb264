"""The truncated normal law against its distribution function."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import kstest, truncnorm

from elboroom.engine.runtime import seed_draws
from elboroom.nn.truncated import truncated_normal


@pytest.mark.parametrize("limit", [0.25, 1.0, 2.0, math.inf])
def test_draws_follow_the_law_of_a_normal_that_is_cut_at_the_limit(limit: float) -> None:
    seed_draws(3)
    z = truncated_normal(4000, 5, limit)
    assert z.shape == (4000, 5) and z.dtype == torch.float32
    assert float(z.abs().max()) <= limit
    assert kstest(z.flatten().numpy(), truncnorm(-limit, limit).cdf).pvalue > 0.01


def test_a_smaller_limit_moves_the_same_draws_towards_zero() -> None:
    drawn = []
    for limit in (0.5, 1.0, math.inf):
        seed_draws(7)
        drawn.append(truncated_normal(100, 3, limit))
    narrow, wide, whole = drawn
    assert bool((narrow.abs() < wide.abs()).all()) and bool((wide.abs() < whole.abs()).all())
    assert torch.equal(narrow.sign(), whole.sign())


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan])
def test_a_limit_that_leaves_nothing_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="leaves nothing"):
        truncated_normal(2, 2, limit)
