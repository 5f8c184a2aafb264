"""What the autoencoder, the VAE and the beta-VAE promise beyond their parts."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from elboroom.core.abilities import Bounds, Decodes, Encodes, Samples
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.core.spec import Column, Spec
from elboroom.models.autoencoder import Autoencoder
from elboroom.models.beta_vae import BetaVAE
from elboroom.models.vae import VAE
from elboroom.nn.posterior import standard_log_prob

GREY = Spec(kind="images", shape=(1, 28, 28), scale="unit", low=0, high=1)
LEVELS = Spec(kind="images", shape=(1, 28, 28), scale="levels:16", levels=16, low=0, high=15)
SMALL = Spec(kind="images", shape=(1, 4, 4), scale="binary", low=0, high=1)
T = torch.tensor(0.5)


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def preset(name: str, spec: Spec) -> VAE:
    settings = VAE.presets[name]["settings"]
    return VAE(VAE.Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}), spec)


def test_the_plain_autoencoder_is_784_32_784_with_glorot_weights_and_zero_biases() -> None:
    torch.manual_seed(0)
    model = Autoencoder(Autoencoder.Config(), GREY)
    shapes = [tuple(p.shape) for p in model.parameters()]
    assert shapes == [(32, 784), (32,), (784, 32), (784,)]
    bound = math.sqrt(6 / (784 + 32))
    for p in model.parameters():
        assert p.abs().max() <= (bound if p.ndim == 2 else 0)
    assert model.encoder.last.weight.abs().max() > 0.99 * bound


def test_the_autoencoders_loss_over_its_pixels_is_the_mean_binary_cross_entropy() -> None:
    model = Autoencoder(Autoencoder.Config(), GREY)
    x = torch.rand(5, 1, 28, 28)
    loss, logs = model.loss(Batch(x), T)
    hidden = F.relu(model.encoder.last(x.flatten(1)))
    expected = F.binary_cross_entropy(torch.sigmoid(model.decoder.last(hidden)), x.flatten(1))
    torch.testing.assert_close(logs["reconstruction_bce"], expected)
    torch.testing.assert_close(loss, 784 * expected)


def test_an_autoencoder_can_neither_sample_nor_bound() -> None:
    model = Autoencoder(Autoencoder.Config(), GREY)
    assert not isinstance(model, Samples | Bounds)
    assert all(isinstance(VAE(VAE.Config(latent=2), SMALL), ability) for ability in (Samples, Encodes, Decodes, Bounds))


def test_the_code_is_cut_at_zero_or_any_number_as_asked() -> None:
    batch = Batch(torch.rand(64, 1, 28, 28))
    assert Autoencoder(Autoencoder.Config(), GREY).encode(batch).mean.min() == 0
    assert Autoencoder(Autoencoder.Config(code="linear"), GREY).encode(batch).mean.min() < 0


def test_course_presets_have_the_exercises_layers() -> None:
    model = preset("course-mlp", GREY)
    shapes = [tuple(p.shape) for p in model.parameters() if p.ndim == 2]
    assert shapes == [(512, 784), (64, 512), (512, 32), (784, 512)]
    model = preset("course-conv", LEVELS)
    assert (size(model.encoder), size(model.decoder)) == (142_920, 127_696)


@pytest.mark.parametrize("name", list(VAE.presets))
def test_presets_name_settings_that_exist(name: str) -> None:
    preset(name, LEVELS if "levels" in VAE.presets[name]["reading"]["scale"] else GREY)


def test_an_untrained_vae_needs_four_bits_for_a_pixel_of_sixteen_levels() -> None:
    torch.manual_seed(0)
    model = preset("course-conv", LEVELS)
    _, logs = model.loss(Batch(torch.randint(16, (8, 1, 28, 28)).float()), T)
    assert logs["bits_per_dim"].item() == pytest.approx(4, abs=0.05)
    assert "reconstruction_bce" not in logs


def test_bits_per_dimension_are_not_claimed_of_grey_pixels() -> None:
    assert "bits_per_dim" not in VAE(VAE.Config(latent=2), GREY).loss(Batch(torch.rand(2, 1, 28, 28)), T)[1]
    assert "bits_per_dim" in VAE(VAE.Config(latent=2), SMALL).loss(Batch(torch.ones(2, 1, 4, 4)), T)[1]


def test_the_loss_of_a_vae_is_minus_its_mean_log_weight() -> None:
    torch.manual_seed(0)
    model = VAE(VAE.Config(latent=3), SMALL)
    batch = Batch((torch.rand(4, 1, 4, 4) < 0.5).float())
    with torch.no_grad():
        log_w = model.log_weights(batch, 4000)
        losses = torch.stack([model.loss(batch, T)[0] for _ in range(400)])
    standard_error = math.hypot(losses.std().item() / 20, (log_w.mean(1).std() / 4000**0.5).item())
    assert abs((losses.mean() + log_w.mean()).item()) < 3 * standard_error


def test_log_weights_are_those_of_each_draw_scored_alone() -> None:
    torch.manual_seed(0)
    spec = Spec(kind="images", shape=(2, 3, 2), scale="levels:4", levels=4, low=0, high=3)
    model = VAE(VAE.Config(latent=3), spec).double()
    batch = Batch(torch.randint(4, (5, 2, 3, 2)).double())
    torch.manual_seed(1)
    log_w = model.log_weights(batch, 7)
    torch.manual_seed(1)
    q = model.encode(batch)
    z = q.rsample((7,))
    alone = [model.decode(z[k]).log_prob(batch.x) + standard_log_prob(z[k]) - q.log_prob(z[k]) for k in range(7)]
    torch.testing.assert_close(log_w, torch.stack(alone))


def test_samples_follow_the_prior_at_its_temperature() -> None:
    torch.manual_seed(0)
    spec = Spec(kind="table", shape=(2,), scale="standard", columns=(Column(name="a"), Column(name="b")))
    model = VAE(VAE.Config(latent=2, hidden=()), spec)
    with torch.no_grad():
        model.decoder.last.weight.copy_(torch.eye(2))
        model.decoder.last.bias.zero_()
        for temperature, variance in ((1.0, 1.0), (0.5, 0.25)):
            mean = model.sample(20_000, temperature=temperature, mean=True)
            assert mean.var(0).tolist() == pytest.approx([variance] * 2, rel=0.05)
            draws = model.sample(20_000, temperature=temperature)
            assert draws.var(0).tolist() == pytest.approx([variance + 1.01**2] * 2, rel=0.05)
        assert not model.sample(3, temperature=0, mean=True).any()


def beta_loss(t: float, **settings: float) -> tuple[float, float, float]:
    """(loss, distortion, rate) of one draw at progress t."""
    torch.manual_seed(0)
    model = BetaVAE(BetaVAE.Config(latent=3, **settings), SMALL)
    loss, logs = model.loss(Batch(torch.ones(4, 1, 4, 4)), torch.tensor(t))
    return loss.item(), logs["distortion_nats"].item(), logs["rate_nats"].item()


def test_beta_weighs_the_rate_and_leaves_the_reported_bound_alone() -> None:
    loss, distortion, rate = beta_loss(0.5, beta=4.0)
    assert loss == pytest.approx(distortion + 4 * rate)
    plain, *_ = beta_loss(0.5, beta=1.0)
    assert plain == pytest.approx(distortion + rate)


def test_capacity_holds_the_rate_at_a_target_that_grows_over_the_run() -> None:
    for t in (0.0, 0.25, 0.9):
        loss, distortion, rate = beta_loss(t, beta=10.0, capacity=8.0)
        assert loss == pytest.approx(distortion + 10 * abs(rate - 8 * t))


def test_warm_up_raises_beta_over_its_share_of_the_run() -> None:
    for t, beta in ((0.0, 0.0), (0.1, 1.0), (0.4, 4.0), (0.9, 4.0)):
        loss, distortion, rate = beta_loss(t, beta=4.0, warmup=0.4)
        assert loss == pytest.approx(distortion + beta * rate)


def test_the_beta_vae_is_a_leaf_of_one_screen() -> None:
    source = Path(__import__("elboroom.models.beta_vae", fromlist=["x"]).__file__).read_text()
    assert len(source.splitlines()) <= 60
    (leaf,) = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)]
    assert [n.name for n in leaf.body if isinstance(n, ast.FunctionDef)] == ["loss"]


@pytest.mark.parametrize("kind", [Autoencoder, VAE, BetaVAE])
def test_networks_of_ones_own_take_the_place_of_the_built_ones(kind: type[Model]) -> None:
    codes = 2 if kind is Autoencoder else 4
    own = {
        "encoder": nn.Sequential(nn.Flatten(), nn.Linear(16, codes)),
        "decoder": nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 16), nn.Unflatten(1, (1, 4, 4))),
    }
    before = {n: p.clone() for role, net in own.items() for n, p in net.named_parameters(prefix=role)}
    model = kind(kind.Config(latent=2), SMALL, networks=own)
    assert size(model) == size(own["encoder"]) + size(own["decoder"])
    for role, net in own.items():
        for n, p in net.named_parameters(prefix=role):
            assert torch.equal(p, before[n])
    x = torch.ones(3, 1, 4, 4)
    assert model.decode(model.encode(Batch(x)).mean).mean.shape == x.shape
    with pytest.raises(InputError, match="your decoder gives"):
        kind(kind.Config(latent=2), GREY, networks={"decoder": own["decoder"]})


@pytest.mark.parametrize("kind", [Autoencoder, VAE])
def test_a_few_hundred_steps_beat_independent_pixels(kind: type[Model]) -> None:
    torch.manual_seed(0)
    # Four prototypes with flipped pixels: the pixels are far from independent.
    prototypes = (torch.rand(4, 1, 4, 4) < 0.5).float()
    x = (prototypes[torch.randint(4, (256,))] - (torch.rand(256, 1, 4, 4) < 0.05).float()).abs()
    share = x.mean(0).clamp(1e-3, 1 - 1e-3)
    independent = -(x * share.log() + (1 - x) * (1 - share).log()).sum((1, 2, 3)).mean().item()
    model = kind(kind.Config(latent=4, hidden=(32,), lr=5e-3), SMALL)
    (phase,) = model.phases()
    params = list(phase.params)
    slots = phase.optimizer.init(params)
    for _ in range(300):
        loss, _ = phase.loss(Batch(x), T)
        gradients = torch.autograd.grad(loss, params)
        with torch.no_grad():
            phase.optimizer.fused_(params, list(gradients), slots, T, torch.tensor(True))
    assert phase.loss(Batch(x), T)[0].item() < 0.75 * independent
