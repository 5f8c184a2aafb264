"""Convolutional and residual players: any size and number of channels, the papers' layers, no example mixed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from elboroom.core.errors import InputError
from elboroom.nn.labels import LabelledNoise, Score
from elboroom.nn.norm import BatchNorm
from elboroom.nn.residual import Block, ResidualCritic, ResidualGenerator, bilinear
from elboroom.nn.sizes import halvings
from elboroom.nn.strided import ConvCritic, ConvGenerator

SHAPES = [(1, 28, 28), (3, 32, 32), (4, 17, 30), (3, 48, 80), (1, 8, 8), (1, 1, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
def test_images_of_any_size_are_made_and_judged(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    pairs: list[tuple[nn.Module, nn.Module]] = [
        (ConvGenerator(7, shape, width=4), ConvCritic(shape, width=4)),
        (ConvGenerator(7, shape, width=4, kernel=3, refined=True), ConvCritic(shape, width=4, kernel=3, norm="none")),
        (ResidualGenerator(7, shape, width=8, depth=1), ResidualCritic(shape, width=8, depth=1)),
    ]
    for generator, critic in pairs:
        made = generator(torch.randn(3, 7))
        assert made.shape == (3, *shape)
        assert critic(made).shape == (3,)
        assert all(p.isfinite().all() for p in (*generator.parameters(), *critic.parameters()))


def test_the_paper_s_generator_of_64_pixels_has_its_channels() -> None:
    sizes = [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]
    assert halvings(64, 64) == sizes
    layers = [m for m in ConvGenerator(100, (3, 64, 64), width=128).layers if isinstance(m, nn.ConvTranspose2d)]
    assert [m.in_channels for m in layers] + [layers[-1].out_channels] == [1024, 512, 256, 128, 3]


def test_the_tiny_nets_of_unrolled_gans_have_their_channels() -> None:
    generator = ConvGenerator(256, (3, 28, 28), width=8, kernel=3, refined=True)
    convolutions = [m for m in generator.layers if isinstance(m, nn.ConvTranspose2d | nn.Conv2d)]
    assert generator.start == (64, 4, 4)
    assert [m.in_channels for m in convolutions] + [convolutions[-1].out_channels] == [64, 32, 16, 8, 3]
    critic = ConvCritic((3, 28, 28), width=2, kernel=3)
    assert [m.out_channels for m in critic.layers if isinstance(m, nn.Conv2d)] == [2, 4, 8]


def test_norms_stand_everywhere_but_where_images_come_in_or_go_out() -> None:
    generator, critic = ConvGenerator(5, (1, 28, 28), width=4), ConvCritic((1, 28, 28), width=4)
    assert sum(isinstance(m, BatchNorm) for m in generator.layers) == 3
    assert isinstance(generator.layers[-1], nn.ConvTranspose2d)
    assert [type(m).__name__ for m in critic.layers][:3] == ["Conv2d", "LeakyReLU", "Conv2d"]
    assert sum(isinstance(m, BatchNorm) for m in critic.layers) == 2
    assert not any(isinstance(m, BatchNorm) for m in ConvCritic((1, 28, 28), width=4, norm="none").modules())


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(InputError, match="--kernel 4: sizes are halved by odd kernels"):
        ConvCritic((1, 8, 8), width=4, kernel=4)


@pytest.mark.parametrize(("have", "wanted"), [(28, 14), (7, 4), (4, 7), (5, 10), (3, 2), (1, 1), (1, 2)])
def test_the_matrix_of_interpolation_is_torchs(have: int, wanted: int) -> None:
    x = torch.randn(2, 3, have, 6, dtype=torch.float64)
    theirs = F.interpolate(x, size=(wanted, 6), mode="bilinear", align_corners=False)
    torch.testing.assert_close(bilinear(have, wanted).double() @ x, theirs, atol=1e-6, rtol=0)


def test_blocks_begin_as_the_identity_and_their_depth_does_not_change_the_scale() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6, 6)
    critic = ResidualCritic((1, 12, 12), width=8, depth=4)
    block = next(m for m in critic.modules() if isinstance(m, Block))
    assert torch.equal(block(x), x)
    blocks = sum(isinstance(m, Block) for m in critic.modules())
    spread = float(block.into.weight.detach().std())
    assert spread == pytest.approx((2 / (8 * 1.04)) ** 0.5 * blocks**-0.25, rel=0.2)


@pytest.mark.parametrize("kind", ["residual", "conv"])
def test_a_critic_for_penalties_mixes_no_examples(kind: str) -> None:
    torch.manual_seed(0)
    shape = (2, 16, 16)
    critic = ResidualCritic(shape, width=8, depth=1) if kind == "residual" else ConvCritic(shape, width=4, norm="none")
    for p in critic.parameters():
        p.data.add_(torch.randn_like(p) * 0.05)
    x = torch.randn(4, *shape)
    alone = torch.cat([critic(one[None]) for one in x])
    torch.testing.assert_close(critic(x), alone)


def test_a_label_moves_the_image_and_the_score_and_is_not_needed_without_classes() -> None:
    torch.manual_seed(0)
    z, label = torch.randn(3, 5), torch.tensor([0, 1, 2])
    told, plain = LabelledNoise(5, 3), LabelledNoise(5, 0)
    assert torch.equal(plain(z), z) and plain.width == 5
    assert told(z, label).shape == (3, told.width) and torch.equal(told(z, label)[:, :5], z)
    head = Score(5, 3)
    assert head.embedding is not None
    expected = head.linear(z)[:, 0] + torch.stack(
        [head.embedding.weight[int(k)] @ h for k, h in zip(label, z, strict=True)]
    )
    torch.testing.assert_close(head(z, label), expected)
