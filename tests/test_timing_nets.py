"""Nets of one cell side by side are the layer that users have, and their test of a task means what it says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom.nn.recurrent import Recurrent

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.one_cell import ROWS, WEIGHTS, Adam, Nets, sigmoid
from benchmarks.timing_nets import (
    PERIODS,
    Delays,
    Member,
    Settings,
    Spikes,
    Wave,
    begin,
    in_a_row,
    streams,
    train,
)

SETTINGS = Settings.draw(np.random.default_rng(0), "GTS")


def drawn(count: int, spread: float = 0.8) -> Nets:
    rng = np.random.default_rng(1)
    return Nets(
        rng.uniform(-spread, spread, (WEIGHTS, count)).astype(np.float32), np.ones((WEIGHTS, count), np.float32)
    )


def layer(weights: np.ndarray) -> tuple[Recurrent, torch.nn.Linear]:
    """The house's own layers with the 17 weights of one net; torch's second bias stays 0."""
    net, head = Recurrent(1, 1, cell="peephole"), torch.nn.Linear(1, 1)
    with torch.no_grad():
        for name, place in (("weight_ih_l0", "input"), ("weight_hh_l0", "recurrent"), ("bias_ih_l0", "bias")):
            p = getattr(net, name)
            p.copy_(torch.from_numpy(weights[ROWS[place]]).reshape(p.shape))
        net.bias_hh_l0.zero_()
        net.peephole_l0.copy_(torch.from_numpy(weights[ROWS["peephole"]])[:, None])
        head.weight.fill_(float(weights[15]))
        head.bias.fill_(float(weights[16]))
    return net, head


def test_each_net_gives_the_values_and_gradients_of_the_layer_that_users_have() -> None:
    nets, rng = drawn(3), np.random.default_rng(2)
    x = rng.normal(size=(12, 3, 2)).astype(np.float32)
    error = rng.normal(size=(12, 3, 2)).astype(np.float32)
    z, seen = nets.read(x)
    gradient = nets.gradient(seen, error)
    for n in range(3):
        net, head = layer(nets.weights[:, n])
        out = head(net(torch.from_numpy(x[:, n].T[..., None].copy()))[0])[..., 0]
        np.testing.assert_allclose(z[:, n].T, out.detach(), atol=1e-5)
        (out * torch.from_numpy(error[:, n].T.copy())).sum().backward()
        own = [net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0, net.peephole_l0, head.weight, head.bias]
        known = torch.cat([p.grad.reshape(-1) for p in own])  # type: ignore[union-attr]
        np.testing.assert_allclose(gradient[:, n], known, rtol=1e-4, atol=1e-4)


def test_reading_in_two_stretches_gives_what_reading_at_once_gives() -> None:
    nets = drawn(4)
    x = np.random.default_rng(3).normal(size=(20, 4, 1)).astype(np.float32)
    whole, _ = nets.read(x)
    first, seen = nets.read(x[:7])
    rest, _ = nets.read(x[7:], seen.state)
    np.testing.assert_allclose(np.concatenate([first, rest]), whole, atol=1e-6)


def test_a_step_is_that_of_torchs_adam_with_the_norm_of_each_net_cut_by_itself() -> None:
    nets, adam, rng = drawn(2), Adam(clip=1.0), np.random.default_rng(4)
    theirs = [torch.nn.Parameter(torch.from_numpy(nets.weights[:, n].copy())) for n in range(2)]
    optimisers = [torch.optim.Adam([p], lr=0.01) for p in theirs]
    for size in (5.0, 0.1, 1.0):
        gradient = (size * rng.normal(size=(WEIGHTS, 2))).astype(np.float32)
        adam.step_(nets, gradient, 0.01)
        for n, (p, optimiser) in enumerate(zip(theirs, optimisers, strict=True)):
            p.grad = torch.from_numpy(gradient[:, n].copy())
            torch.nn.utils.clip_grad_norm_([p], 1.0)
            optimiser.step()
    for n, p in enumerate(theirs):
        np.testing.assert_allclose(nets.weights[:, n], p.detach(), atol=1e-5)


def test_a_net_without_peepholes_begins_as_its_twin_does_and_never_gets_any() -> None:
    pair = [Member(Spikes(5), SETTINGS, 3, peepholes) for peepholes in (True, False)]
    nets = begin(pair)
    rest = [row for row in range(WEIGHTS) if row not in range(*ROWS["peephole"].indices(WEIGHTS))]
    np.testing.assert_array_equal(nets.weights[rest, 0], nets.weights[rest, 1])
    x, _, _ = streams(pair, 1, 1, 1, 10)
    _, seen = nets.read(x)
    gradient = nets.gradient(seen, np.ones((10, 2, 1), np.float32))
    assert (gradient[ROWS["peephole"], 0] != 0).all()
    assert not gradient[ROWS["peephole"], 1].any()
    assert not nets.weights[ROWS["peephole"], 1].any()


def test_a_net_that_never_fails_makes_all_periods_and_one_that_says_nothing_makes_none() -> None:
    always = np.zeros((WEIGHTS, 2), np.float32)
    always[ROWS["out_bias"]] = (-9, 0.5)  # 0 for ever; and 0.5, which is within 0.3 of no wave but always of itself
    nets = Nets(always, np.ones_like(always))
    assert in_a_row([Member(Spikes(7), SETTINGS, 0, True), Member(Wave(10, "rectangle"), SETTINGS, 0, True)], nets) == [
        0,
        0,
    ]
    # a cell that counts down from its last spike has no need to: a spike asked for at every second step is a clock
    clock = np.zeros((WEIGHTS, 1), np.float32)
    clock[ROWS["recurrent"], 0] = (0, 0, -12, 0)
    clock[ROWS["bias"], 0] = (20, -20, 4, 20)  # c is g, which is -tanh of the last output: it changes sign each step
    clock[ROWS["out"], 0], clock[ROWS["out_bias"], 0] = -20, 0
    assert in_a_row([Member(Spikes(2), SETTINGS, 0, True)], Nets(clock, np.ones_like(clock))) == [PERIODS]


def test_a_net_trained_alone_ends_where_it_ends_in_company() -> None:
    members = [Member(Wave(6, "cosine"), SETTINGS, seed, seed % 2 == 0) for seed in range(3)]
    _, together = train(members, 12)
    for n, member in enumerate(members):
        _, alone = train([member], 12)
        np.testing.assert_allclose(alone.weights[:, 0], together.weights[:, n], atol=1e-5)
        assert np.abs(alone.weights - begin([member]).weights).max() > 0.01


def test_nets_learn_to_spike_at_every_third_step_and_the_outcome_says_when() -> None:
    members = [Member(Spikes(3), Settings.draw(np.random.default_rng(5), "GTS"), 0, p) for p in (True, False)]
    assert [(o.longest, o.solved_at) for o in train(members, 1)[0]] == [(0, 0), (0, 0)]
    outcomes, nets = train(members, 200)
    assert [(o.longest, o.solved_at) for o in outcomes] == [(PERIODS, 200), (PERIODS, 200)]
    assert in_a_row(members, nets) == [PERIODS, PERIODS]


def test_delays_are_asked_at_spikes_and_a_longer_stream_begins_as_a_shorter_one() -> None:
    task = Delays(9)
    short, long = task.stream([1, 0], 1, 1, 60), task.stream([1, 0], 1, 41, 60)
    for a, b in zip(short, long, strict=True):
        np.testing.assert_array_equal(a[40:], b[:20])
    assert task.ends(1, short[2][:, 0]).sum() == short[0].sum()


@pytest.mark.parametrize("value", [-300.0, -2.0, 0.0, 5.0, 300.0])
def test_the_sigmoid_is_exact_at_both_ends(value: float) -> None:
    assert sigmoid(np.array(value)) == pytest.approx(
        float(torch.sigmoid(torch.tensor(value, dtype=torch.float64))), abs=1e-12
    )
