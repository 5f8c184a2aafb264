"""The running average of a network, and batch norms whose averages can be joined."""

from __future__ import annotations

import torch
from torch import nn

from elboroom.nn.averaging import Averaged
from elboroom.nn.norm import BatchNorm
from elboroom.nn.players import MLPCritic, MLPGenerator
from elboroom.nn.spectral import SpectralLinear, iterate_


def test_an_average_equals_a_loop_by_hand_and_follows_batch_statistics_too() -> None:
    torch.manual_seed(0)
    network = MLPGenerator(3, (5, 4), (2,), norm="batch")
    averaged = Averaged(network, 0.9)
    by_hand = {n: x.detach().clone().double() for n, x in [*network.named_parameters(), *network.named_buffers()]}
    for step in range(30):
        with torch.no_grad():
            for p in network.parameters():
                p.add_(0.1 * torch.randn_like(p))
        network(torch.randn(16, 3))
        averaged.follow_(network)
        share = 1 - min(0.9, (1 + step) / (10 + step))
        for name, x in [*network.named_parameters(), *network.named_buffers()]:
            by_hand[name] += share * (x.detach().double() - by_hand[name])
    held = dict(averaged.network.named_buffers())
    for name, x in by_hand.items():
        torch.testing.assert_close(held[name].double(), x, rtol=1e-5, atol=1e-6)


def test_an_average_has_nothing_to_train_and_begins_as_the_network() -> None:
    network = MLPGenerator(3, (8,), (2, 2))
    averaged, z = Averaged(network, 0.99), torch.randn(5, 3)
    assert not list(averaged.parameters())
    assert torch.equal(averaged(z), network(z))


def test_without_decay_the_average_is_the_network_itself() -> None:
    network = MLPGenerator(3, (8,), (2,))
    averaged, z = Averaged(network, 0.0), torch.randn(5, 3)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1.0)
    averaged.follow_(network)
    torch.testing.assert_close(averaged(z), network(z))


def test_the_average_of_normalised_layers_is_normalised_again() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(SpectralLinear(6, 5), nn.ReLU(), SpectralLinear(5, 4))
    averaged = Averaged(network, 0.5)
    for _ in range(200):
        with torch.no_grad():
            network[0].weight.add_(0.01 * torch.randn(5, 6))
        iterate_(network)
        averaged.follow_(network)
    for layer in (averaged.network[0], averaged.network[2]):
        assert abs(float(torch.linalg.matrix_norm(layer.normalised(), 2)) - 1) < 0.02


def test_batch_norm_equals_torch_in_training_in_its_gradient_and_in_its_averages() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        with torch.no_grad():
            q.copy_(p.add_(torch.randn(3)))
    for _ in range(200):
        x = (torch.randn(8, 3, 4, 4) * torch.tensor([1.0, 2.0, 0.5])[:, None, None] + 3).requires_grad_()
        y = x.detach().clone().requires_grad_()
        a, b = ours(x), theirs(y)
        torch.testing.assert_close(a, b)
    weight = torch.randn_like(a)
    got = torch.autograd.grad((a * weight).sum(), [x, *ours.parameters()])
    for mine, want in zip(got, torch.autograd.grad((b * weight).sum(), [y, *theirs.parameters()]), strict=True):
        torch.testing.assert_close(mine, want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    # theirs counts n - 1 of a batch, and not how far the means of batches lie apart
    variance = ours.square - ours.mean * ours.mean
    torch.testing.assert_close(variance, theirs.running_var * 127 / 128, rtol=0.05, atol=0.02)
    ours.eval()
    x = torch.randn(2, 3, 4, 4)
    want = nn.functional.batch_norm(x, ours.mean, variance, ours.weight, ours.bias)
    torch.testing.assert_close(ours(x), want)


def test_averages_of_halves_of_a_batch_join_to_those_of_the_whole() -> None:
    x = torch.randn(64, 3, dtype=torch.float64) * 2 + 1
    whole, halves = BatchNorm(3).double(), [BatchNorm(3).double() for _ in range(2)]
    whole(x)
    for norm, rows in zip(halves, x.chunk(2), strict=True):
        norm(rows)
    torch.testing.assert_close((halves[0].mean + halves[1].mean) / 2, whole.mean)
    torch.testing.assert_close((halves[0].square + halves[1].square) / 2, whole.square)


def test_a_critic_of_maxout_units_takes_the_largest_of_its_pieces() -> None:
    torch.manual_seed(0)
    critic, x = MLPCritic((4,), (6,), maxout=3), torch.randn(7, 4)
    maxout = critic.hidden[0]
    pieces = x @ maxout.linear.weight.T + maxout.linear.bias
    hidden = pieces.reshape(7, 6, 3).max(2).values
    torch.testing.assert_close(critic(x), hidden @ critic.last.weight[0] + critic.last.bias)
