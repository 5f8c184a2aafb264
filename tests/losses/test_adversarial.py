"""Each game's losses against its paper by hand, and penalties against a float64 loop over examples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from elboroom.losses import adversarial as games
from elboroom.losses.adversarial import (
    between,
    lipschitz_penalty,
    scores_and_gradients,
    zero_centred_penalty,
)

S, R = (0.5, -1.0, 2.5), (-0.25, 1.5, -2.0)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


LOGISTIC = -mean([log_sigmoid(s) for s in S]) - mean([math.log(1 - 1 / (1 + math.exp(-r))) for r in R])
BY_HAND = {
    "minimax": (LOGISTIC, mean([math.log(1 - 1 / (1 + math.exp(-r))) for r in R])),
    "non_saturating": (LOGISTIC, -mean([log_sigmoid(r) for r in R])),
    "least_squares": (
        mean([(s - 1) ** 2 for s in S]) / 2 + mean([r**2 for r in R]) / 2,
        mean([(r - 1) ** 2 for r in R]) / 2,
    ),
    "hinge": (mean([max(0, 1 - s) for s in S]) + mean([max(0, 1 + r) for r in R]), -mean(list(R))),
    "wasserstein": (mean(list(R)) - mean(list(S)), -mean(list(R))),
    "relativistic": (
        -mean([log_sigmoid(s - r) for s, r in zip(S, R, strict=True)]),
        -mean([log_sigmoid(r - s) for s, r in zip(S, R, strict=True)]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_the_losses_are_those_of_the_papers(name: str) -> None:
    game: games.Game = getattr(games, name)
    s, r = torch.tensor(S, dtype=torch.float64), torch.tensor(R, dtype=torch.float64)
    critic, generator = BY_HAND[name]
    assert game.critic(s, r).item() == pytest.approx(critic, abs=1e-12)
    assert game.generator(s, r).item() == pytest.approx(generator, abs=1e-12)


def test_scores_far_out_give_finite_losses_and_gradients() -> None:
    for name in BY_HAND:
        game: games.Game = getattr(games, name)
        s, r = torch.tensor([1e4, -1e4], requires_grad=True), torch.tensor([-1e4, 1e4], requires_grad=True)
        for loss in (game.critic(s, r), game.generator(s, r)):
            assert loss.isfinite()
            for gradient in torch.autograd.grad(loss, (s, r), allow_unused=True):
                assert gradient is None or gradient.isfinite().all()


def small_critic() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(48, 1), nn.Flatten(0))
    return layers.double()


@pytest.mark.parametrize("name", ["zero_centred", "lipschitz"])
def test_penalties_and_their_gradients_equal_a_loop_over_examples(name: str) -> None:
    critic, x = small_critic(), torch.randn(5, 2, 4, 4, dtype=torch.float64)
    penalty = zero_centred_penalty if name == "zero_centred" else lipschitz_penalty
    scores, gradient = scores_and_gradients(critic, x)
    found = penalty(gradient)
    by_hand: Tensor = torch.zeros((), dtype=torch.float64)
    for row in x:
        one = row[None].clone().requires_grad_()
        (g,) = torch.autograd.grad(critic(one).sum(), one, create_graph=True)
        length = g.square().sum().sqrt()
        by_hand = by_hand + (length**2 if name == "zero_centred" else (length - 1) ** 2) / len(x)
    torch.testing.assert_close(scores, critic(x))
    torch.testing.assert_close(found, by_hand, rtol=1e-9, atol=1e-9)
    parameters = list(critic.parameters())
    ours = torch.autograd.grad(found, parameters, allow_unused=True, materialize_grads=True)
    theirs = torch.autograd.grad(by_hand, parameters, allow_unused=True, materialize_grads=True)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_a_critic_that_is_flat_has_a_lipschitz_penalty_with_finite_gradients() -> None:
    critic = small_critic()
    with torch.no_grad():
        for p in critic.parameters():
            p.zero_()
    _, gradient = scores_and_gradients(critic, torch.randn(3, 2, 4, 4, dtype=torch.float64))
    loss = lipschitz_penalty(gradient)
    assert loss.item() == pytest.approx(1.0, abs=1e-5)
    parameters = list(critic.parameters())
    for g in torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True):
        assert g.isfinite().all()


def test_points_between_lie_on_the_lines_each_at_a_place_of_its_own() -> None:
    torch.manual_seed(0)
    real, made = torch.ones(200, 3, 2, 2), torch.zeros(200, 3, 2, 2)
    points = between(real, made)
    assert torch.equal(points, points[:, :1, :1, :1].expand_as(points))
    place = points[:, 0, 0, 0]
    assert place.unique().numel() > 190
    assert 0 <= float(place.min()) < 0.05 < 0.95 < float(place.max()) <= 1
    assert between(torch.ones(4, 2), torch.zeros(4, 2)).shape == (4, 2)
