"""The denoiser: what it sees, what it is asked for, and that it learns the best linear filter where that is known."""

from __future__ import annotations

import pytest
import torch

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec
from elboroom.models.denoiser import Denoiser

SPEC = Spec(kind="table", shape=(4,), scale="standard", columns=tuple(Column(name=f"c{i}") for i in range(4)))
T = torch.tensor(0.0)


def test_the_loss_asks_for_the_clean_rows_from_the_noisy_ones() -> None:
    model = Denoiser(Denoiser.Config(level=0.5, hidden=(8,), latent=2, likelihood="gaussian"), SPEC)
    batch = Batch(torch.randn(16, 4))
    torch.manual_seed(3)
    loss, _ = model.loss(batch, T)
    torch.manual_seed(3)
    torch.rand(16)  # the examples' levels, of which there is one
    noisy = model.corrupt(batch, 0.5)
    torch.testing.assert_close(loss, -model.denoise(noisy).log_prob(batch.x).mean())
    assert not torch.equal(noisy.x, batch.x)


@pytest.mark.slow
def test_a_linear_denoiser_learns_the_wiener_filter() -> None:
    """x = a s with s ~ N(0, 1), noise of variance v: E[x given x~] = a a' x~ / (a'a + v)."""
    torch.manual_seed(0)
    a, level = torch.tensor([2.0, -1.0, 1.0, 0.5]), 0.8
    model = Denoiser(Denoiser.Config(level=level, hidden=(), latent=1, likelihood="gaussian"), SPEC)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(1500):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 1500)
        loss, _ = model.loss(Batch(torch.randn(512, 1) * a), T)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wiener = torch.outer(a, a) / (a @ a + level**2)
    learnt = model.decoder.last.weight @ model.encoder.last.weight
    assert (learnt - wiener).abs().max() < 0.03


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(InputError, match="1 at most"):
        Denoiser(Denoiser.Config(noise="masking", level=1.5), SPEC)
