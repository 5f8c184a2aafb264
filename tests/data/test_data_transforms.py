"""Image scales: closed forms, undoing, frequencies, tracing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from elboroom.core.errors import InputError
from elboroom.data.transforms import IMAGE_SCALES, image_transform

U = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)


def scaled(scale, u=U, white=255.0):
    return image_transform(scale, white)({"x": u}).x


def test_unit_and_symmetric_are_exact_and_undone():
    assert torch.equal(scaled("unit"), U / 255)
    assert torch.equal(scaled("symmetric"), U / 255 * 2 - 1)
    for scale in ("unit", "symmetric"):
        transform = image_transform(scale, 255.0)
        assert torch.allclose(transform.undo(scaled(scale)), U.float(), atol=1e-4)


def test_column_norm_is_that_of_keras_normalize_axis_1():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (5, 28, 28)).astype(np.uint8)
    x[:, :, 3] = 0
    v = x.astype(np.float64)
    norm = np.sqrt((v * v).sum(axis=1, keepdims=True))  # np.linalg.norm(x, 2, axis=1), zeros replaced by ones
    expected = v / np.where(norm == 0, 1, norm)
    ours = scaled("column", torch.from_numpy(x)[:, None])[:, 0]
    assert ours.numpy() == pytest.approx(expected, abs=1e-6)
    from_unit = scaled("column", torch.from_numpy(x)[:, None] / 255.0, white=1.0)[:, 0]
    assert torch.allclose(ours, from_unit, atol=1e-6), "raw or over 255 is the same"
    assert not IMAGE_SCALES["column"].undoable


@pytest.mark.parametrize("levels", [2, 3, 16, 255, 256])
def test_levels_are_floor_k_x_to_the_integer(levels):
    exact = np.minimum(np.arange(256) * levels // 255, levels - 1)
    assert scaled(f"levels:{levels}").ravel().numpy().astype(int).tolist() == exact.tolist()


def test_undone_levels_lie_within_their_own_interval():
    transform = image_transform("levels:16", 255.0)
    k = torch.arange(16.0)
    back = transform.undo(k)
    assert back[0] == 0
    assert back[-1] == 255
    assert torch.equal(torch.floor(back / 255 * 16).clamp(max=15), k)


def test_binary_is_a_fixed_threshold():
    assert scaled("binary").sum() == 128
    assert torch.equal(scaled("binary"), (U > 127.5).float())


@pytest.mark.parametrize("white", [255.0, 16.0, 1.0])
def test_dynamic_draws_have_the_pixels_as_probability(white):
    torch.manual_seed(0)
    steps = 17 if white == 16 else 256 if white == 255 else 2
    u = torch.linspace(0, white, steps).round().to(torch.uint8).reshape(1, 1, 1, steps).repeat(20000, 1, 1, 1)
    draw = scaled("dynamic", u, white)
    p = u[0].double() / white
    share = draw.double().mean(0)
    error = (p * (1 - p) / 20000).sqrt()
    assert bool(((share - p).abs() <= 5 * error + 2e-5).all())
    assert bool((draw[..., 0] == 0).all()), "black is never drawn white"
    assert bool((draw[..., -1] == 1).all()), "white is always drawn white"


def test_dynamic_draws_of_fractions_agree_too():
    torch.manual_seed(0)
    u = torch.full((20000, 1, 1, 3), 0.3)
    assert scaled("dynamic", u, 1.0).mean() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("scale", ["unit", "symmetric", "column", "levels:16", "binary", "dynamic"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_every_scale_traces_to_a_graph_that_gives_the_same(scale, dtype):
    u = U.to(dtype).repeat(3, 1, 1, 1)
    transform = image_transform(scale, 255.0)
    buffers = dict(transform.named_buffers())
    graph = make_fx(lambda b, x: functional_call(transform, b, ({"x": x},)).x, tracing_mode="fake")(buffers, u)
    torch.manual_seed(5)
    traced = graph(buffers, u)
    torch.manual_seed(5)
    assert torch.equal(traced, transform({"x": u}).x)


def test_a_double_transform_gives_doubles():
    transform = image_transform("unit", 255.0).double()
    assert transform({"x": U}).x.dtype == torch.float64


@pytest.mark.parametrize("scale", ["units", "levels", "levels:1", "levels:x", "unit:3", "standard"])
def test_an_unknown_scale_is_refused_with_what_is_known(scale):
    with pytest.raises(InputError, match="--scale"):
        image_transform(scale, 255.0)
