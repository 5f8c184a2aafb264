"""Conditional batch norms against a plain one with the gain and bias they were told."""

from __future__ import annotations

import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.nn.conditional import ConditionalBatchNorm, PerClass, SharedWithNoise, labels_by
from elboroom.nn.norm import BatchNorm
from elboroom.nn.standing import standing_


@pytest.mark.parametrize("training", [True, False])
def test_a_conditional_norm_is_a_batch_norm_with_the_gain_and_bias_of_its_class(training: bool) -> None:
    torch.manual_seed(0)
    norm = PerClass(4, 1, 3).norm(5)
    assert isinstance(norm, ConditionalBatchNorm)
    for table in (norm.gain, norm.bias):
        torch.nn.init.normal_(table.weight)
    norm.norm.mean.normal_()
    norm.norm.square.copy_(norm.norm.mean.square() + torch.rand(5) + 0.5)
    x, label = torch.randn(6, 5, 4, 3), torch.tensor([0, 2, 1, 2, 2, 0])
    chosen, mean, square = int(label[1]), norm.norm.mean.clone(), norm.norm.square.clone()
    plain = BatchNorm(5)
    plain.load_state_dict(
        {"weight": 1 + norm.gain.weight[chosen], "bias": norm.bias.weight[chosen], "mean": mean, "square": square}
    )
    told, known = norm.train(training)(x, label), plain.train(training)(x)
    torch.testing.assert_close(told[label == chosen], known[label == chosen])
    assert not torch.allclose(told[label != chosen], known[label != chosen])
    torch.testing.assert_close(norm.norm.mean, plain.mean)


def test_the_noise_is_shared_out_and_stands_beside_the_embedding_of_the_class() -> None:
    torch.manual_seed(0)
    told = SharedWithNoise(11, 3, classes=5, width=6)
    z, label = torch.randn(4, 11), torch.tensor([1, 0, 4, 1])
    first, conditions = told(z, label)
    assert told.first == 5 and told.width == 8 and len(conditions) == 3
    assert torch.equal(first, z[:, :5])
    for i, condition in enumerate(conditions):
        assert torch.equal(condition[:, :6], told.embedding.weight[label])
        assert torch.equal(condition[:, 6:], z[:, 5 + 2 * i : 7 + 2 * i])


def test_without_classes_the_noise_alone_is_the_condition() -> None:
    told = SharedWithNoise(12, 3, classes=0, width=6)
    z = torch.randn(2, 12)
    first, conditions = told(z, None)
    assert torch.equal(torch.cat([first, *conditions], 1), z)
    x, norm = torch.randn(2, 7, 4, 4), told.norm(7)
    assert not torch.allclose(norm(x, conditions[0]), norm(x, conditions[1]))


def test_noise_that_cannot_be_shared_out_is_refused() -> None:
    with pytest.raises(InputError, match="--latent 3: z is cut into 4 parts"):
        SharedWithNoise(3, 3, classes=2, width=4)


def test_labels_come_in_the_shares_that_are_given() -> None:
    torch.manual_seed(0)
    shares = torch.tensor([0.5, 0.0, 0.2, 0.3])
    found = torch.bincount(labels_by(shares, 20_000), minlength=4) / 20_000
    torch.testing.assert_close(found, shares, atol=0.02, rtol=0)
    assert found[1] == 0


def test_standing_statistics_are_those_of_all_batches_together() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(BatchNorm(3), torch.nn.Dropout(0.5)).eval()
    batches = [torch.randn(8, 3, 4) * (k + 1) + k for k in range(5)]
    queue = iter(batches)
    standing_(net, lambda: net(next(queue)), 5)
    norm, rows = net[0], torch.cat(batches).transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.mean, rows.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.square, rows.square().mean(1), rtol=1e-3, atol=1e-4)
    assert not any(module.training for module in net.modules()) and norm.momentum == 0.1
