"""Residual nets with spectral norms: sizes, bounds, the projection, and blocks against their definition."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.nn.spectral import SpectralConv2d, iterate_
from elboroom.nn.spectral_residual import (
    DownBlock,
    SpectralCritic,
    SpectralGenerator,
    UpBlock,
    begin_,
    doubled,
    halved,
    widths_of,
)

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (4, 64, 64), (3, 48, 80), (1, 5, 19)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("classes", "shared"), [(0, 0), (3, 0), (3, 8), (0, 8)])
def test_examples_have_the_shape_of_the_data_and_each_has_one_score(
    shape: tuple[int, ...], classes: int, shared: int
) -> None:
    torch.manual_seed(0)
    generator = SpectralGenerator(20, shape, width=2, widest=2, classes=classes, shared=shared)
    critic = SpectralCritic(shape, width=2, widest=2, classes=classes)
    label = torch.tensor([2, 0]) if classes else None
    made = generator(torch.randn(2, 20), label)
    assert made.shape == (2, *shape) and bool(made.isfinite().all())
    assert critic(made, label).shape == (2,)


def test_channels_double_with_each_halving_up_to_the_most() -> None:
    assert widths_of(5, 96, 16) == [96, 192, 384, 768, 1536]
    assert widths_of(3, 256, 1) == [256, 256, 256]


def test_doubling_is_torchs_nearest_and_halving_undoes_it() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(doubled(x, (8, 10)), F.interpolate(x, scale_factor=2, mode="nearest"))
    assert torch.equal(doubled(x, (7, 9)), F.interpolate(x, scale_factor=2, mode="nearest")[:, :, :7, :9])
    torch.testing.assert_close(halved(doubled(x, (7, 9))), x)


def test_an_up_block_equals_the_one_that_doubles_before_its_1x1() -> None:
    torch.manual_seed(0)
    block = UpBlock(4, 6, (7, 8), lambda channels: Recorded(channels))
    x = torch.randn(3, 4, 4, 4)
    h = F.relu(F.batch_norm(x, None, None, training=True))
    h = block.conv1(F.interpolate(h, scale_factor=2)[:, :, :7])
    h = block.conv2(F.relu(F.batch_norm(h, None, None, training=True)))
    expected = h + block.beside(F.interpolate(x, scale_factor=2)[:, :, :7])
    torch.testing.assert_close(block(x, None), expected, rtol=1e-4, atol=1e-5)


class Recorded(nn.Module):
    """torch's own batch norm without a gain."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        out: Tensor = self.norm(x)
        return out


def as_matrix(conv: SpectralConv2d, size: int) -> Tensor:
    """The convolution of a size x size image as one matrix."""
    unit = torch.eye(conv.in_channels * size * size).reshape(-1, conv.in_channels, size, size)
    with torch.no_grad():
        return F.conv2d(unit, conv.normalised(), padding=conv.padding).flatten(1).t()


def test_a_critic_block_stretches_no_difference_more_than_its_convolutions_allow() -> None:
    """|block(x) - block(y)| <= (s1 s2 + s3) |x - y|, and s <= 3 for 3x3 kernels whose matrix has norm 1.

    Halving takes means of four, which has norm 1/2 at most.
    """
    torch.manual_seed(0)
    block = DownBlock(3, 5, halves=True)
    begin_(block, lambda weight: nn.init.normal_(weight, std=3))  # far steeper than the bound, before the norms
    for _ in range(200):
        iterate_(block)
    s1, s2 = (float(torch.linalg.matrix_norm(as_matrix(c, 6), 2)) for c in (block.conv1, block.conv2))
    s3 = float(torch.linalg.matrix_norm(block.beside.normalised().detach().flatten(1), 2))
    assert s3 == pytest.approx(1, abs=1e-3) and max(s1, s2) <= 3 + 1e-3
    x, y = torch.randn(2, 500, 3, 6, 6) * torch.rand(500, 1, 1, 1) * 4
    stretch = (block(x) - block(y)).flatten(1).norm(dim=1) / (x - y).flatten(1).norm(dim=1)
    assert float(stretch.detach().max()) <= (s1 * s2 + s3) / 2


def test_the_score_is_linear_in_the_features_with_one_direction_more_a_class() -> None:
    torch.manual_seed(0)
    critic = SpectralCritic((1, 8, 8), width=4, widest=2, classes=3)
    x, label = torch.randn(5, 1, 8, 8), torch.tensor([0, 2, 1, 2, 0])
    phi = critic.features(x)
    weight, table = critic.linear.normalised()[0], critic.embedding.normalised()
    expected = phi @ weight + critic.linear.bias + (table[label] * phi).sum(1)
    torch.testing.assert_close(critic(x, label), expected)


def test_a_critic_that_stops_halving_keeps_its_weights_and_sees_more_pixels() -> None:
    wide, small = (SpectralCritic((3, 32, 32), width=4, widest=1, smallest=s) for s in (8, 4))
    assert sum(p.numel() for p in wide.parameters()) - sum(p.numel() for p in small.parameters()) == -(4 * 4 + 4)
    seen: list[torch.Size] = []
    wide.blocks[-1].register_forward_hook(lambda module, given, out: seen.append(out.shape))
    wide(torch.zeros(1, 3, 32, 32))
    assert seen == [(1, 4, 8, 8)]


def test_orthogonal_beginnings_have_singular_values_of_one_at_once() -> None:
    torch.manual_seed(0)
    critic = SpectralCritic((1, 28, 28), width=4, widest=4, classes=10)
    begin_(critic, nn.init.orthogonal_)
    for layer in critic.modules():
        if isinstance(layer, SpectralConv2d):
            torch.testing.assert_close(layer.normalised(), layer.weight)
