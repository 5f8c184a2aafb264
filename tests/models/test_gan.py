"""Two players: what each is trained on, what they see, and that they find a simple law."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.api import fit
from elboroom.core import registry
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec

GAN = registry.load("gan")
PLANE = Spec(kind="table", shape=(2,), scale="none", columns=(Column(name="x"), Column(name="y")))
PICTURES = Spec(kind="images", shape=(1, 4, 4), scale="unit", low=0.0, high=1.0)


def made(spec: Spec, **settings: Any) -> Any:
    torch.manual_seed(0)
    return GAN(GAN.Config(**{"hidden": (8,), "critic_hidden": (8,), "latent": 3, **settings}), spec)


def test_the_losses_are_those_of_the_paper_worked_out_by_hand() -> None:
    model = made(PICTURES, loss="minimax")
    x = torch.rand(6, 1, 4, 4)
    torch.manual_seed(1)
    loss, logs = model.critic_loss(Batch(x), torch.zeros(()))
    torch.manual_seed(1)
    z = torch.randn(6, 3)
    s = model.critic(2 * x - 1)
    r = model.critic(torch.tanh(model.generator(z)))  # [0, 1] from tanh, and back to [-1, 1] for the critic
    want = -(torch.sigmoid(s).log().mean() + (1 - torch.sigmoid(r)).log().mean())
    torch.testing.assert_close(loss, want, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logs["ranked"], (s > r).float().mean())
    torch.manual_seed(1)
    loss, _ = model.generator_loss(Batch(x), torch.zeros(()))
    torch.testing.assert_close(loss, (1 - torch.sigmoid(r)).log().mean(), rtol=1e-5, atol=1e-6)


def test_a_critic_of_packs_sees_neighbours_side_by_side() -> None:
    model = made(PLANE, pack=2, batch_size=4)
    x = torch.randn(4, 2)
    want = model.critic(torch.cat([x[0::2], x[1::2]], 1))
    torch.testing.assert_close(model.score(x), want)
    torch.testing.assert_close(model.judge(Batch(x)), want.repeat_interleave(2))
    assert model.judge(Batch(x[:3])).shape == (3,)
    with pytest.raises(InputError, match="batch size that 3 divides"):
        made(PLANE, pack=3, batch_size=64)


def test_made_rows_wear_the_masks_of_the_batch() -> None:
    model = made(dataclasses.replace(PLANE, masked=True))
    observed = torch.tensor([[True, False], [True, True]])
    seen = model.seen(torch.full((2, 2), 5.0), Batch(torch.zeros(2, 2), observed=observed))
    assert seen.tolist() == [[5.0, 0.0, 1.0, 0.0], [5.0, 5.0, 1.0, 1.0]]


def test_what_cannot_be_made_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match="--scale symmetric or unit"):
        made(dataclasses.replace(PICTURES, levels=16, scale="levels:16"))
    names = (Column(name="x"), Column(name="town", kind="categorical", categories=("a", "b")))
    with pytest.raises(InputError, match="'town'"):
        made(dataclasses.replace(PLANE, columns=names))


@pytest.mark.slow
def test_it_learns_where_two_points_lie_and_how_often_each_comes() -> None:
    rng = np.random.default_rng(0)
    left = rng.random(4000) < 0.5
    x = np.where(left, -1.0, 1.0)[:, None] + 0.1 * rng.normal(size=(4000, 2))
    run = fit(
        "gan", x, latent=2, hidden=(32, 32), critic_hidden=(32, 32), lr=1e-3, batch_size=128, steps=1500, threads=1
    )
    made = run.sample(2000, seed=1)
    near = np.abs(np.abs(made) - 1).max(1) < 0.4
    assert near.mean() > 0.8
    assert 0.2 < (made[near, 0] < 0).mean() < 0.8
    last = json.loads((run.path / "history.jsonl").read_text().splitlines()[-1])
    assert 0.3 < last["train/critic.ranked"] < 0.8  # the critic can hardly tell any more
    assert last["train/critic.gradient_norm"] > 0 and last["train/generator.gradient_norm"] > 0
