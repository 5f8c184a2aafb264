"""The networks: the course's exact sizes, every image size, what an encoder is given, networks of one's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec
from elboroom.nn.backbone import Backbone, convolutional
from elboroom.nn.conv import ConvDecoder, ConvEncoder
from elboroom.nn.inputs import Inputs
from elboroom.nn.mlp import MLP, glorot_

IMAGES = Spec(kind="images", shape=(1, 28, 28), scale="unit", low=0, high=1)
SMALL = Spec(kind="images", shape=(1, 8, 8), scale="unit", low=0, high=1)
TABLE = Spec(
    kind="table",
    shape=(4,),
    scale="standard",
    masked=True,
    columns=(
        Column(name="a", kind="categorical", categories=("x", "y", "z")),
        Column(name="b"),
        Column(name="c", kind="count"),
        Column(name="d", kind="binary"),
    ),
)


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_course_nets_have_their_published_parameter_counts() -> None:
    assert size(ConvEncoder((1, 28, 28), (), 2 * 20)) == 142_920
    assert size(ConvDecoder(20, (), (16, 28, 28))) == 127_696


@pytest.mark.parametrize("pixels", [(1, 1), (7, 5), (8, 8), (16, 17), (28, 28), (31, 64), (3, 40)])
@pytest.mark.parametrize("channels", [1, 3])
def test_convolutions_go_to_a_code_and_back_to_every_image_size(pixels: tuple[int, int], channels: int) -> None:
    x = torch.rand(2, channels, *pixels)
    z = ConvEncoder(x.shape[1:], (9,), 6)(x)
    assert z.shape == (2, 6)
    assert ConvDecoder(6, (9,), (2 * channels, *pixels))(z).shape == (2, 2 * channels, *pixels)


def test_an_mlp_without_hidden_layers_is_one_linear_map() -> None:
    network = MLP(6, (), 4)
    x = torch.randn(3, 2, 3)
    torch.testing.assert_close(network(x), x.flatten(1) @ network.last.weight.T + network.last.bias)


def test_glorot_weights_fill_their_range_and_biases_are_zero() -> None:
    torch.manual_seed(0)
    network = MLP(300, (200,), 100)
    glorot_(network)
    bound = (6 / (200 + 100)) ** 0.5
    weight = network.last.weight
    assert 0.99 * bound < weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not network.last.bias.any()


def test_inputs_are_one_hot_categories_log_counts_and_the_mask() -> None:
    x = torch.tensor([[2.0, -0.5, 7.0, 1.0], [0.0, 1.5, 0.0, 0.0]])
    observed = torch.tensor([[True, True, True, True], [False, True, True, False]])
    inputs = Inputs(TABLE)
    got = inputs(Batch(x, observed=observed))
    log8 = torch.log(torch.tensor(8.0)).item()
    expected = torch.tensor(
        [
            [-0.5, 1, log8, 0, 0, 1, 1, 1, 1, 1],
            [1.5, 0, 0, 0, 0, 0, 0, 1, 1, 0],  # a missing category is none of them, not the first
        ]
    )
    torch.testing.assert_close(got, expected)
    assert inputs.shape == got.shape[1:]


def test_images_and_real_columns_go_in_as_they_are() -> None:
    x = torch.rand(2, 1, 28, 28)
    assert Inputs(IMAGES)(Batch(x)) is x
    real = Spec(kind="table", shape=(2,), scale="standard", columns=(Column(name="a"), Column(name="b")))
    x = torch.rand(2, 2)
    assert Inputs(real)(Batch(x)) is x


def test_grey_levels_are_brought_to_minus_one_and_one() -> None:
    spec = Spec(kind="images", shape=(1, 1, 3), scale="levels:16", levels=16, low=0, high=15)
    got = Inputs(spec)(Batch(torch.tensor([[[[0.0, 7.5, 15.0]]]])))
    torch.testing.assert_close(got.flatten(), torch.tensor([-1.0, 0.0, 1.0]))


def test_the_mask_of_images_is_a_further_channel() -> None:
    spec = Spec(kind="images", shape=(2, 3, 3), scale="unit", low=0, high=1, masked=True)
    inputs = Inputs(spec)
    seen = torch.rand(2, 2, 3, 3) < 0.5
    got = inputs(Batch(torch.rand(2, 2, 3, 3), observed=seen))
    assert got.shape[1:] == inputs.shape == (4, 3, 3)
    assert torch.equal(got[:, 2:].bool(), seen)


def test_auto_convolves_images_of_sixteen_pixels_and_nothing_else() -> None:
    assert convolutional("auto", IMAGES)
    assert not convolutional("auto", SMALL)
    assert convolutional("conv", SMALL)
    assert not convolutional("mlp", IMAGES)
    assert not convolutional("auto", TABLE)
    with pytest.raises(InputError, match="conv is for images"):
        convolutional("conv", TABLE)


def test_the_decoder_mirrors_the_encoder() -> None:
    build = Backbone(spec=SMALL, hidden=(50, 20))
    down = [layer.weight.shape for layer in build.encoder((1, 8, 8), 3).modules() if isinstance(layer, nn.Linear)]
    up = [layer.weight.shape for layer in build.decoder(3, 64).modules() if isinstance(layer, nn.Linear)]
    assert [tuple(reversed(shape)) for shape in reversed(down)] == up


def test_networks_of_ones_own_are_tried_before_they_are_used() -> None:
    fits = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 6))
    network = Backbone(spec=SMALL, own={"encoder": fits}).encoder((1, 8, 8), 6)
    assert network.training
    assert not fits[1].running_mean.any()
    assert network(torch.rand(5, 1, 8, 8)).shape == (5, 6)
    with pytest.raises(InputError, match=r"your encoder gives 6 numbers .*; this model needs 8"):
        Backbone(spec=SMALL, own={"encoder": fits}).encoder((1, 8, 8), 8)
    pairs = nn.Sequential(fits, nn.Unflatten(1, (2, 3)))
    assert Backbone(spec=SMALL, own={"encoder": pairs}).encoder((1, 8, 8), 6)(torch.rand(5, 1, 8, 8)).shape == (5, 6)
    with pytest.raises(InputError, match=r"your decoder fails on an input of shape \(2, 3\)"):
        Backbone(spec=SMALL, own={"decoder": fits}).decoder(3, 64)
    with pytest.raises(InputError, match="no network 'encodr'; did you mean 'encoder'"):
        Backbone(spec=SMALL, own={"encodr": fits})
