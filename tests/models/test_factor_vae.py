"""The FactorVAE's shuffle, its two phases, and its critic against a total correlation that is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.spec import Spec
from elboroom.models.factor_vae import FactorVAE, shuffled
from elboroom.models.vae import VAE
from elboroom.nn.posterior import DiagonalGaussian

SMALL = Spec(kind="images", shape=(1, 4, 4), scale="binary", low=0, high=1)
TABLE = Spec(kind="table", shape=(2,), scale="none")
T = torch.tensor(0.5)


def batch(n: int = 8) -> Batch:
    return Batch((torch.rand(n, 1, 4, 4) < 0.5).float())


def test_a_shuffle_keeps_each_column_and_parts_the_columns_from_one_another() -> None:
    torch.manual_seed(0)
    one = torch.randn(4000, 1)
    z = torch.cat([one, one, -one], 1)
    mixed = shuffled(z)
    torch.testing.assert_close(mixed.sort(0).values, z.sort(0).values)
    assert torch.corrcoef(z.T)[0, 1] > 0.99
    off = torch.corrcoef(mixed.T) - torch.eye(3)
    assert off.abs().max() < 4 / math.sqrt(4000)


def test_without_gamma_the_loss_is_that_of_a_vae() -> None:
    torch.manual_seed(0)
    model, vae = FactorVAE(FactorVAE.Config(latent=3, gamma=0.0), SMALL), VAE(VAE.Config(latent=3), SMALL)
    vae.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("critic.")})
    data = batch()
    torch.manual_seed(1)
    mine, _ = model.loss(data, T)
    torch.manual_seed(1)
    torch.testing.assert_close(mine, vae.loss(data, T)[0])


def test_the_critic_is_the_papers_and_only_its_own_phase_moves_it() -> None:
    model = FactorVAE(FactorVAE.Config(latent=10), SMALL)
    shapes = [tuple(p.shape) for p in model.critic.parameters() if p.ndim == 2]
    assert shapes == [(1000, 10), *[(1000, 1000)] * 5, (1, 1000)]
    first, second = model.phases()
    critic = {id(p) for p in model.critic.parameters()}
    assert not critic & {id(p) for p in first.params}
    assert critic == {id(p) for p in second.params}
    for p in model.critic.last.parameters():
        torch.nn.init.zeros_(p)
    assert model.critic_loss(batch(), T)[0].item() == pytest.approx(math.log(2))  # knowing nothing costs a bit a row


def test_a_batch_of_one_row_gives_finite_losses() -> None:
    model = FactorVAE(FactorVAE.Config(latent=2, critic_hidden=(8,)), SMALL)
    assert torch.isfinite(model.critic_loss(batch(1), T)[0])
    assert torch.isfinite(model.loss(batch(1), T)[0])


def test_the_score_of_a_trained_critic_is_the_total_correlation_of_correlated_gaussians() -> None:
    """Two normal codes of correlation .8: -log(1 - .64) / 2 = .511 nats."""

    class Given(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, torch.full_like(x, -10.0)], 1)

    torch.manual_seed(0)
    networks = {"encoder": Given(), "decoder": torch.nn.Linear(2, 2)}
    model = FactorVAE(FactorVAE.Config(latent=2, critic_hidden=(64, 64), hidden=()), TABLE, networks)
    optimiser = torch.optim.Adam(model.critic.parameters(), lr=2e-3)

    def rows(n: int) -> Batch:
        a, b = torch.randn(2, n, 1)
        return Batch(torch.cat([a, 0.8 * a + 0.6 * b], 1))

    assert isinstance(model.encode(rows(2)), DiagonalGaussian)
    for _ in range(500):
        optimiser.zero_grad()
        model.critic_loss(rows(512), T)[0].backward()
        optimiser.step()
    with torch.no_grad():
        _, logs = model.loss(rows(20_000), T)
    assert logs["total_correlation_nats"].item() == pytest.approx(-0.5 * math.log(1 - 0.64), abs=0.08)
