"""Dual norms against their formulas, and their penalties against a float64 loop over examples with autograd."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from elboroom.core.errors import InputError
from elboroom.losses.adversarial import lipschitz_penalty, scores_and_gradients
from elboroom.losses.norms import dual_norm, hartley

SHAPE = (2, 5, 6)
NAMES = ["l2", "lp:1", "lp:1.25", "lp:3", "lp:inf", "sobolev:1", "sobolev:-0.5"]


def by_formula(name: str, g: Tensor) -> Tensor:
    """The dual norm of one gradient (channels, height, width)."""
    kind, _, number = name.partition(":")
    if kind == "lp":
        p = float(number)
        q = math.inf if p == 1 else 1.0 if p == math.inf else p / (p - 1)
        return torch.linalg.vector_norm(g, q)
    s = 0.0 if kind == "l2" else float(number)
    size = torch.fft.fft2(g, norm="ortho").abs().square()
    f = [2 * math.pi * torch.fft.fftfreq(n, dtype=g.dtype) for n in g.shape[1:]]
    weight = (1 + f[0][:, None] ** 2 + f[1] ** 2) ** -s
    return (size * weight).sum().sqrt()


@pytest.mark.parametrize("name", NAMES)
def test_a_length_is_that_of_the_formula_an_example_at_a_time(name: str) -> None:
    torch.manual_seed(0)
    g = torch.randn(4, *SHAPE, dtype=torch.float64) * torch.tensor([1e-3, 1.0, 30.0, 1e4])[:, None, None, None]
    found = dual_norm(name, SHAPE)(g)
    torch.testing.assert_close(found, torch.stack([by_formula(name, one) for one in g]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_slopes_within_the_dual_norm_bound_the_rise_between_two_examples(name: str) -> None:
    """Hoelder: |<g, x>| <= |g|* |x|, and some x reaches it."""
    torch.manual_seed(1)
    g, x = (torch.randn(50, *SHAPE, dtype=torch.float64) for _ in range(2))
    kind, _, number = name.partition(":")

    def norm(x: Tensor) -> Tensor:
        if kind == "lp":
            return torch.linalg.vector_norm(x.flatten(1), float(number), dim=1)
        return torch.stack([by_formula(f"sobolev:{-float(number or 0)}", one) for one in x])

    length = dual_norm(name, SHAPE)
    assert bool(((g * x).flatten(1).sum(1).abs() <= length(g) * norm(x) * (1 + 1e-9)).all())
    along = g.clone().requires_grad_()
    (best,) = torch.autograd.grad(length(along).sum(), along)  # the gradient of a norm is where its dual is reached
    torch.testing.assert_close((g * best).flatten(1).sum(1), length(g) * norm(best), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_penalty_and_its_gradient_equal_a_float64_loop_with_autograd(name: str) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(90, 1), nn.Flatten(0)]
    critic, x = nn.Sequential(*layers).double(), torch.randn(5, *SHAPE, dtype=torch.float64)
    _, gradient = scores_and_gradients(critic, x)
    found = lipschitz_penalty(gradient, length=dual_norm(name, SHAPE))
    by_hand: Tensor = torch.zeros((), dtype=torch.float64)
    for row in x:
        one = row[None].clone().requires_grad_()
        (g,) = torch.autograd.grad(critic(one).sum(), one, create_graph=True)
        by_hand = by_hand + (by_formula(name, g[0]) - 1) ** 2 / len(x)
    torch.testing.assert_close(found, by_hand, rtol=1e-6, atol=1e-9)
    parameters = list(critic.parameters())
    ours = torch.autograd.grad(found, parameters, allow_unused=True, materialize_grads=True)
    theirs = torch.autograd.grad(by_hand, parameters, allow_unused=True, materialize_grads=True)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_the_hartley_matrix_is_its_own_inverse(n: int) -> None:
    h = hartley(n, torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(h @ h, torch.eye(n, dtype=torch.float64))
    torch.testing.assert_close(h, h.T)


@pytest.mark.parametrize("name", NAMES)
def test_a_critic_that_is_flat_has_a_finite_gradient(name: str) -> None:
    g = torch.zeros(3, *SHAPE, requires_grad=True)
    (slope,) = torch.autograd.grad(lipschitz_penalty(g, length=dual_norm(name, SHAPE)), g)
    assert bool(slope.isfinite().all())


@pytest.mark.parametrize("name", ["l3", "lp", "lp:0.5", "lp:x", "lp:nan", "sobolev", "sobolev:inf", "l2:2", ""])
def test_a_norm_that_is_none_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InputError, match=r"give l2, lp:P with P of at least 1, or sobolev:S"):
        dual_norm(name, SHAPE)


def test_frequencies_are_those_of_images() -> None:
    with pytest.raises(InputError, match="these data are none; use l2"):
        dual_norm("sobolev:1", (7,))
