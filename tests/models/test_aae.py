"""What the adversarial autoencoder promises: one weighted step, encoders that draw, priors that are what they say."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.core.abilities import Assumes, Bounds, Decodes, Encodes, Samples
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Spec
from elboroom.inspect import manifold
from elboroom.models.aae import AAE
from elboroom.nn.priors import prior_for

SPEC = Spec(kind="images", shape=(1, 6, 6), scale="symmetric", low=-1, high=1)
T = torch.tensor(0.0)
CPU = torch.device("cpu")


def made(**settings: Any) -> AAE:
    torch.manual_seed(1)
    return AAE(AAE.Config(**{"latent": 3, "hidden": (16,), "critic_hidden": (16, 16), **settings}), SPEC)


def batch(n: int = 32) -> Batch:
    return Batch(torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1)


def gradients(model: AAE, loss: Tensor) -> dict[str, Tensor]:
    named = {n: p for n, p in model.named_parameters() if not n.startswith("critic.")}
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(named, found, strict=True))


def stepped(lam: float, encoder: str = "deterministic") -> dict[str, Tensor]:
    """The gradient of the step of encoder and decoder, at the same weights and noise whatever lam is."""
    model = made(lam=lam, encoder=encoder)
    torch.manual_seed(2)
    return gradients(model, model.autoencoder_loss(batch(), T)[0])


@pytest.mark.parametrize("encoder", ["deterministic", "gaussian", "universal"])
def test_at_lam_one_the_gradient_is_that_of_a_plain_autoencoder(encoder: str) -> None:
    model = made(lam=1.0, encoder=encoder)
    torch.manual_seed(2)
    z = model.encode(batch()).rsample()
    plain = gradients(model, F.mse_loss(model.decode(z).mean, batch().x))
    for name, found in stepped(1.0, encoder).items():
        torch.testing.assert_close(found, plain[name], msg=lambda text, name=name: f"{name}: {text}")


def test_half_the_weight_is_half_the_adversarial_share_of_the_encoders_gradient() -> None:
    whole = stepped(1.0)
    more, less = ({n: g - lam * whole[n] for n, g in stepped(lam).items()} for lam in (0.9, 0.95))
    for name in (n for n in whole if n.startswith("encoder.")):
        torch.testing.assert_close(more[name], 2 * less[name], rtol=1e-3, atol=1e-7)
        assert more[name].abs().max() > 1e-6
    for name in (n for n in whole if n.startswith("decoder.")):
        torch.testing.assert_close(more[name], torch.zeros_like(more[name]), rtol=0, atol=1e-6)


def test_both_terms_of_the_encoder_are_one_step_of_one_optimiser() -> None:
    model = made()
    first, second = model.phases()
    encoder = {id(p) for p in model.encoder.parameters()}
    assert encoder <= {id(p) for p in first.params}
    assert not encoder & {id(p) for p in second.params}
    assert {id(p) for p in model.parameters()} == {id(p) for phase in (first, second) for p in phase.params}
    assert {id(p) for p in second.params} == {id(p) for p in model.critic.parameters()}


def test_the_losses_are_the_papers_at_scores_that_are_known() -> None:
    model = made(lam=0.75)
    torch.nn.init.zeros_(model.critic.last.weight)
    torch.nn.init.zeros_(model.critic.last.bias)
    x = batch()
    loss, logs = model.autoencoder_loss(x, T)
    error = F.mse_loss(model.decode(model.encode(x).mean).mean, x.x)
    torch.testing.assert_close(logs["reconstruction_mse"], error.detach())
    torch.testing.assert_close(loss, 0.75 * error + 0.25 * math.log(2))
    torch.testing.assert_close(model.critic_loss(x, T)[0], torch.tensor(2 * math.log(2)))


def test_cells_that_were_not_measured_do_not_count() -> None:
    spec = Spec(kind="table", shape=(4,), scale="none")
    torch.manual_seed(1)
    model = AAE(AAE.Config(latent=2, hidden=(8,), critic_hidden=(8,), lam=1.0), spec)
    x, seen = torch.randn(10, 4), torch.rand(10, 4) < 0.7
    x = torch.where(seen, x, 0.0)
    found = model.autoencoder_loss(Batch(x, observed=seen), T)[0]
    decoded = model.decode(model.encode(Batch(x, observed=seen)).mean).mean
    torch.testing.assert_close(found, (decoded - x)[seen].square().mean())


def test_a_universal_encoder_draws_anew_each_time_about_a_mean_that_stays() -> None:
    model = made(encoder="universal")
    code = model.encode(batch())
    assert not torch.equal(code.rsample(), code.rsample())
    assert torch.equal(code.mean, model.encode(batch()).mean)
    assert torch.equal(code.mean[:5], model.encode(batch(32)).mean[:5])
    torch.testing.assert_close(model.encode(Batch(batch().x[3:4])).mean, code.mean[3:4])
    assert (code.stddev > 0).all()


def test_mean_and_spread_of_a_universal_code_are_those_of_its_draws() -> None:
    code = made(encoder="universal").encode(batch(4))
    drawn = torch.stack([code.rsample() for _ in range(4000)])
    # 32 fixed draws stand for the law: a standard error of sd / sqrt(32)
    assert ((drawn.mean(0) - code.mean).abs() < 5 * drawn.std(0) / 32**0.5).all()
    assert ((code.stddev / drawn.std(0)).log().abs() < 5 / 62**0.5).all()


def test_the_discriminators_step_gives_the_encoder_no_gradient() -> None:
    model = made(encoder="gaussian")
    found = gradients(model, model.critic_loss(batch(), T)[0])
    assert all(not g.any() for g in found.values())


def test_it_samples_encodes_and_decodes_and_has_a_prior_but_no_bound() -> None:
    model = made(prior="swiss_roll")
    assert all(isinstance(model, ability) for ability in (Samples, Encodes, Decodes, Assumes))
    assert not isinstance(model, Bounds)
    torch.manual_seed(3)
    z = model.prior(20)
    torch.manual_seed(3)
    torch.testing.assert_close(model.sample(20), model.decode(z).mean)
    assert model.sample(20).abs().max() <= 1


# -- priors ------------------------------------------------------------------------------------------------------------


def test_a_gaussian_prior_has_mean_zero_and_the_identity_as_covariance() -> None:
    torch.manual_seed(0)
    z = prior_for("gaussian", 5)(40_000, 5, CPU)
    torch.testing.assert_close(z.mean(0), torch.zeros(5), rtol=0, atol=0.025)
    torch.testing.assert_close(z.T.cov(), torch.eye(5), rtol=0, atol=0.03)


def test_the_mixture_has_ten_equal_petals_along_their_spokes() -> None:
    torch.manual_seed(0)
    z = prior_for("mixture", 3)(40_000, 3, CPU)
    angle = torch.atan2(z[:, 1], z[:, 0])
    petal = (angle / (2 * math.pi / 10)).round()
    shares = torch.stack([(petal % 10 == k).float().mean() for k in range(10)])
    torch.testing.assert_close(shares, torch.full((10,), 0.1), rtol=0, atol=0.01)
    # turned back onto the first spoke
    along = z[:, 0] * (petal * math.pi / 5).cos() + z[:, 1] * (petal * math.pi / 5).sin()
    across = -z[:, 0] * (petal * math.pi / 5).sin() + z[:, 1] * (petal * math.pi / 5).cos()
    assert (along.mean().item(), along.std().item()) == pytest.approx((2.0, 0.5), abs=0.02)
    assert across.std().item() == pytest.approx(0.1, abs=0.01)
    assert (z[:, 2].mean().item(), z[:, 2].std().item()) == pytest.approx((0.0, 1.0), abs=0.02)


def test_the_swiss_roll_is_a_spiral_of_even_density() -> None:
    torch.manual_seed(0)
    z = prior_for("swiss_roll", 2)(20_000, 2, CPU)
    radius = z.norm(dim=1)
    assert radius.max() < 2.5 + 6 * 0.05
    # on an Archimedean spiral the angle is proportional to the radius; what is left over is the roll's thickness
    turned = torch.remainder(torch.atan2(z[:, 1], z[:, 0]) - radius * 4.5 * math.pi / 2.5 + math.pi, 2 * math.pi)
    off = (turned - math.pi) * 2.5 / (4.5 * math.pi)
    assert off.std().item() == pytest.approx(0.05, rel=0.1)
    # as many between two radii as the curve is long there: length grows as the radius squared
    share = ((radius / 2.5).square() - (1 / 3) ** 2) / (1 - (1 / 3) ** 2)
    counts = torch.histc(share.clamp(0, 1), bins=8, min=0, max=1) / len(z)
    torch.testing.assert_close(counts[1:-1], torch.full((6,), 1 / 8), rtol=0.06, atol=0)


def test_a_prior_that_lies_in_a_plane_is_refused_for_one_number() -> None:
    with pytest.raises(InputError, match="--latent 2 or more, not 1"):
        made(prior="mixture", latent=1)


def test_a_manifold_of_another_prior_goes_by_the_codes_and_not_by_a_normal_law() -> None:
    codes = torch.linspace(-3, 5, 50).repeat(2, 1).T.numpy()
    for prior, words in (("gaussian", "equal shares of N(0, I)"), ("swiss_roll", "shares of the codes of held-out")):
        found = manifold(made(latent=2, prior=prior), SPEC, codes=codes, n=3)
        assert words in found.caption
