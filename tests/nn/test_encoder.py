"""The encoder: it reads both ways, padding is seen by none, and its attention is the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.nn.encoder import Encoder


def made(layers: int = 2, hidden: int = 8) -> Encoder:
    torch.manual_seed(0)
    net = Encoder(3, hidden, layers).double()
    for p in net.parameters():  # fresh output matrices are 0, which would hide everything behind them
        torch.nn.init.normal_(p, std=0.4)
    return net.eval()


def test_padding_is_seen_by_none_and_gives_zeros() -> None:
    net, x = made(), torch.randn(4, 9, 3, dtype=torch.float64)
    lengths = torch.tensor([9, 1, 5, 7])
    y = net(x, lengths)
    for i, n in enumerate(lengths.tolist()):
        torch.testing.assert_close(y[i, :n], net(x[i : i + 1, :n])[0])
        assert not y[i, n:].any()
    other = torch.where((torch.arange(9) < lengths[:, None])[..., None], x, 1e3)
    torch.testing.assert_close(net(other, lengths), y)


def test_a_step_knows_what_comes_after_it() -> None:
    net, x = made(), torch.randn(1, 6, 3, dtype=torch.float64)
    changed = x.clone()
    changed[0, 5] += 1
    assert (net(x)[0, 0] - net(changed)[0, 0]).abs().max() > 1e-4


def rms(x: np.ndarray) -> np.ndarray:
    held: np.ndarray = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    return held


def turned(x: np.ndarray) -> np.ndarray:
    """Rotary positions of (T, D) as complex products."""
    half = x.shape[1] // 2
    angle = np.arange(len(x))[:, None] * 10_000.0 ** (-np.arange(half) / half)
    z = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * angle)
    return np.concatenate([z.real, z.imag], 1)


def test_one_block_is_the_formula_in_numpy() -> None:
    net, x = made(layers=1), torch.randn(1, 7, 3, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in net.named_parameters()}
    y = rms(x[0].numpy() @ w["into.weight"].T + w["into.bias"])
    q, k, v = np.split(rms(y) @ w["blocks.0.qkv.weight"].T, 3, axis=1)
    q, k = rms(turned(q)), rms(turned(k))
    score = np.exp(q @ k.T / math.sqrt(8))
    y = y + (score / score.sum(1, keepdims=True) @ v) @ w["blocks.0.out.weight"].T
    h = np.maximum(rms(y) @ w["blocks.0.up.weight"].T, 0) ** 2
    y = rms(y + h @ w["blocks.0.down.weight"].T)
    np.testing.assert_allclose(net(x)[0].detach().numpy(), y, rtol=1e-9, atol=1e-10)


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(InputError, match="--hidden 33"):
        Encoder(3, 33, 1)
