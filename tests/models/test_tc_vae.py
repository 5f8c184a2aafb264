"""The weights of the beta-TCVAE against every possible batch, and its loss against that of a VAE."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.spec import Spec
from elboroom.data.toy import draw_shapes
from elboroom.fitting import fit
from elboroom.losses.decomposition import aggregate, log_row_weights
from elboroom.models.beta_vae import BetaVAE
from elboroom.models.tc_vae import TCVAE
from elboroom.models.vae import VAE

SMALL = Spec(kind="images", shape=(1, 4, 4), scale="binary", low=0, high=1)
T = torch.tensor(0.5)
N, B, D = 6, 3, 2


def posteriors() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    mean, log_stddev = torch.randn(N, D).double(), 0.3 * torch.randn(N, D).double()
    return mean + log_stddev.exp() * torch.randn(N, D).double(), mean, log_stddev


def log_q(z: Tensor, mean: Tensor, log_stddev: Tensor) -> Tensor:
    """(D,): log q(z_j given x) of one row."""
    law = torch.distributions.Normal(mean, log_stddev.exp())
    found: Tensor = law.log_prob(z)
    return found


def test_over_all_batches_the_estimate_of_the_law_of_all_codes_is_that_law() -> None:
    z, mean, log_stddev = posteriors()
    for i in range(N):
        every = torch.stack([log_q(z[i], mean[n], log_stddev[n]) for n in range(N)])
        joint, alone = every.sum(1).exp().mean(), every.exp().mean(0)
        others = [n for n in range(N) if n != i]
        found = []
        for chosen in itertools.combinations(others, B - 1):
            rows = torch.tensor([i, *chosen])
            estimate = aggregate(z[rows], mean[rows], log_stddev[rows], rows=N)
            found.append((estimate.joint[0].exp(), estimate.alone[0].exp()))
        torch.testing.assert_close(torch.stack([j for j, _ in found]).mean(), joint)
        torch.testing.assert_close(torch.stack([a for _, a in found]).mean(0), alone)


def test_weights_put_one_nth_on_the_own_row_and_the_rest_evenly_on_the_others() -> None:
    """A stride of B through the flat matrix, as in several peers, writes 1/N into the first column instead."""
    weights = log_row_weights(5, 1000, like=torch.zeros(1).double()).exp()
    torch.testing.assert_close(weights.diagonal(), torch.full((5,), 0.001).double())
    torch.testing.assert_close(weights.sum(1), torch.ones(5).double())
    paper = [1 / 1000, (1000 - 4) / (1000 * 4), *[1 / 4] * 3]
    assert weights[0, 1:].mean().item() == pytest.approx(sum(paper[1:]) / 4)
    torch.testing.assert_close(log_row_weights(4, 4, like=weights).exp(), torch.full((4, 4), 0.25).double())
    assert log_row_weights(1, 9, like=weights).item() == 0


def test_the_papers_uneven_weights_averaged_over_who_has_the_small_one_are_these() -> None:
    z, mean, log_stddev = posteriors()
    rows, m = torch.arange(B), B - 1
    q = torch.stack([log_q(z[0], mean[n], log_stddev[n]).sum() for n in rows]).exp()
    drawn = []
    for small in range(1, B):
        weights = torch.full((B,), 1 / m).double()
        weights[0], weights[small] = 1 / N, (N - m) / (N * m)
        drawn.append((weights * q).sum())
    estimate = aggregate(z[:B], mean[:B], log_stddev[:B], rows=N)
    torch.testing.assert_close(estimate.joint[0].exp(), torch.stack(drawn).mean())


def test_independent_codes_have_no_total_correlation_and_copied_ones_have_all_of_it() -> None:
    """On a grid q(z) is a product. Of two copies the sum is as good as flat and the difference small."""
    side, s = 16, 0.1
    one = torch.linspace(-1, 1, side).double()
    mean = torch.cartesian_prod(one, one)
    log_stddev = torch.full_like(mean, math.log(s))
    torch.manual_seed(0)
    z = mean + s * torch.randn_like(mean)
    assert abs(aggregate(z, mean, log_stddev, rows=len(z)).total_correlation().item()) < 1e-9
    same = torch.linspace(-4, 4, 800).double()[:, None].expand(-1, 2)
    z = same + s * torch.randn_like(same)
    found = aggregate(z, same, torch.full_like(same, math.log(s)), rows=800).total_correlation().item()
    exact = math.log(8 / (s * math.sqrt(2))) - 0.5 * math.log(2 * math.pi * math.e)  # u = (a+b)/2, v = a-b are apart
    assert found == pytest.approx(exact, abs=0.1)


def test_at_beta_one_it_is_a_vae_and_the_parts_add_up_to_the_rate() -> None:
    torch.manual_seed(0)
    tc, vae = TCVAE(TCVAE.Config(latent=3, beta=1.0, train_rows=50), SMALL), VAE(VAE.Config(latent=3), SMALL)
    vae.load_state_dict(tc.state_dict())
    batch = Batch((torch.rand(8, 1, 4, 4) < 0.5).float())
    torch.manual_seed(1)
    mine, logs = tc.loss(batch, T)
    torch.manual_seed(1)
    theirs, _ = vae.loss(batch, T)
    torch.testing.assert_close(mine, theirs)
    heavy = TCVAE(TCVAE.Config(latent=3, beta=5.0, train_rows=50), SMALL)
    heavy.load_state_dict(tc.state_dict())
    torch.manual_seed(1)
    torch.testing.assert_close(heavy.loss(batch, T)[0] - mine, 4 * logs["total_correlation_nats"])


def test_a_fit_tells_the_model_how_many_rows_there_are() -> None:
    x = draw_shapes(shape=2, scale=1, rotation=2, x=5, y=5, size=16).x
    run = fit("tc_vae", x, settings={"latent": 2, "hidden": [8], "backbone": "mlp"}, steps=2, device="cpu")
    assert run.meta["settings"]["train_rows"] == 80
    assert run.model.config.train_rows == 80


def test_free_bits_make_the_first_nats_of_every_dimension_free() -> None:
    torch.manual_seed(0)
    batch = Batch((torch.rand(8, 1, 4, 4) < 0.5).float())
    plain = BetaVAE(BetaVAE.Config(latent=3, beta=2.0), SMALL)
    free = BetaVAE(BetaVAE.Config(latent=3, beta=2.0, free_bits=100.0), SMALL)
    free.load_state_dict(plain.state_dict())
    torch.manual_seed(1)
    loss, logs = free.loss(batch, T)
    torch.testing.assert_close(loss, logs["distortion_nats"] + 2 * 300)
    rates = [g for g in torch.autograd.grad(loss, list(free.encoder.parameters()), allow_unused=True) if g is not None]
    assert rates, "the distortion still reaches the encoder"
    tiny = BetaVAE(BetaVAE.Config(latent=3, beta=2.0, free_bits=1e-9), SMALL)
    tiny.load_state_dict(plain.state_dict())
    torch.manual_seed(1)
    expected, _ = plain.loss(batch, T)
    torch.manual_seed(1)
    torch.testing.assert_close(tiny.loss(batch, T)[0], expected)
