"""Players whose critic has a bounded slope: one example at a time, compiled as eager, and what their scores measure."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec
from elboroom.engine.probe import cost_of
from elboroom.engine.programs import Compiled, Eager
from elboroom.engine.runtime import deterministic, seed_draws
from elboroom.engine.state import state
from elboroom.engine.trace import Losses
from elboroom.engine.train import train
from elboroom.models._adversarial import Adversarial
from elboroom.models.dcgan import DCGAN
from elboroom.models.r3gan import R3GAN
from elboroom.models.wgan import WGAN
from toys import Plain

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

IMAGES = Spec(kind="images", shape=(1, 8, 8), scale="symmetric", low=-1, high=1, classes=("a", "b", "c"))
PLANE = Spec(kind="table", shape=(2,), scale="standard", columns=(Column(name="a"), Column(name="b")))
T = torch.tensor(0.25, dtype=torch.float64)
MODELS: dict[str, Any] = {
    "wgan": lambda spec: WGAN(WGAN.Config(latent=3, hidden=(16,), width=4, backbone="conv"), spec),
    "wgan-packed": lambda spec: WGAN(WGAN.Config(latent=3, hidden=(16, 16), pack=2, backbone="mlp"), spec),
    "wgan-sobolev": lambda spec: WGAN(WGAN.Config(latent=3, width=4, backbone="conv", norm="sobolev:1"), spec),
    "wgan-clip": lambda spec: WGAN(WGAN.Config(latent=3, width=4, backbone="conv", lipschitz="clip"), spec),
    "r3gan": lambda spec: R3GAN(R3GAN.Config(latent=3, width=8), spec),
    "r3gan-told": lambda spec: R3GAN(R3GAN.Config(latent=3, width=8, conditional=True, augment="diff"), spec),
}  # fmt: skip


class Rows:
    """The same images again and again."""

    def __init__(self, dtype: torch.dtype) -> None:
        g = torch.Generator().manual_seed(0)
        self.x = (torch.rand(8, 1, 8, 8, generator=g) * 2 - 1).to(dtype)

    examples, per_step, steps_per_epoch = 8, 8, 4

    def rows(self, step: int) -> dict[str, Tensor]:
        return {"x": self.x.roll(step, 0)}


class Labelled(Plain):
    def forward(self, raw: dict[str, Tensor]) -> Batch:
        return Batch(raw["x"], label=torch.arange(8) % 3)


def made(name: str, dtype: torch.dtype = torch.float64) -> Adversarial:
    seed_draws(1)
    model: Adversarial = MODELS[name](IMAGES)
    return model.to(dtype)


def after(name: str, way: type[Eager] | type[Compiled], players: int = 2, steps: int = 6) -> dict[str, Tensor]:
    """The state after some steps of the critic, or of both players."""
    losses, rows = Losses(made(name), Labelled()), Rows(torch.float64)
    raw, t = rows.rows(0), torch.zeros((), dtype=torch.float64)
    programs: list[Any] = []
    for phase in losses.model.phases()[:players]:  # type: ignore[operator]
        logs = cost_of(losses, phase, raw, t).logs
        programs.append(Eager(losses, phase, logs) if way is Eager else Compiled(losses, phase, logs, "fp32", raw, t))
    with deterministic():
        for tick in train(programs, rows, steps=steps, planned=steps, seed=5):  # type: ignore[arg-type]
            assert not tick.failed
    return {key: x.clone() for key, x in state(losses, programs).items()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "players"), [("wgan-packed", 1), *((n, 2) for n in MODELS)])
def test_compiled_steps_walk_the_eager_path(name: str, players: int) -> None:
    eager, compiled = after(name, Eager, players), after(name, Compiled, players)
    # Adam without a memory of the gradient divides small ones by their own size, and magnifies their rounding
    torch.testing.assert_close(compiled, eager, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["wgan", "wgan-packed", "wgan-sobolev", "r3gan"])
def test_the_critics_loss_equals_a_loop_over_examples_with_autograd(name: str) -> None:
    model = made(name)
    batch = Batch(Rows(torch.float64).x)
    seed_draws(3)
    loss, logs = model.critic_loss(batch, T)  # type: ignore[operator]
    seed_draws(3)
    with torch.no_grad():
        real, fake = (model.packed(x) for x in model.views(batch))
    place = torch.rand(len(real), dtype=torch.float64)

    def slope(x: Tensor) -> tuple[Tensor, Tensor]:
        one = x[None].clone().requires_grad_()
        score = model.critic(one, None)
        (g,) = torch.autograd.grad(score.sum(), one, create_graph=True)
        return score[0], g

    expected: Tensor = torch.zeros((), dtype=torch.float64)
    for x, y, a in zip(real, fake, place, strict=True):
        if isinstance(model, R3GAN):
            (s, gs), (r, gr) = slope(x), slope(y)
            gamma = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 0.5))
            term = torch.nn.functional.softplus(r - s) + gamma / 2 * (gs.square().sum() + gr.square().sum())
        else:
            assert isinstance(model, WGAN)
            (s, _), (r, _) = slope(x), slope(y)
            _, g = slope(y + a * (x - y))
            term = r - s + 10 * (model.length(g)[0] - 1) ** 2
        expected = expected + term / len(real)
    torch.testing.assert_close(loss, expected, rtol=1e-8, atol=1e-10)
    parameters = list(model.critic.parameters())
    for a, b in zip(torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)
    assert all(term.ndim == 0 and not term.requires_grad for term in logs.values())


def test_clipped_weights_stay_within_their_bound_and_the_generators_are_free() -> None:
    state_ = after("wgan-clip", Eager)
    critic = {k: v for k, v in state_.items() if k.startswith("model.critic.")}
    assert critic and max(float(v.abs().max()) for v in critic.values()) <= 0.01
    assert max(float(v.abs().max()) for k, v in state_.items() if k.startswith("model.generator.")) > 0.02


@pytest.mark.slow
def test_the_wasserstein_estimate_is_the_distance_of_two_segments_and_jensen_shannons_is_not() -> None:
    from benchmarks.b3_segments import jensen_shannon, wasserstein_estimate

    assert wasserstein_estimate(0.5, seed=0, steps=500) == pytest.approx(0.5, rel=0.05)
    assert jensen_shannon(0.5, seed=0, steps=500) == pytest.approx(math.log(2), abs=0.02)


def test_the_step_size_and_gamma_fall_during_the_burn_in_and_stay_there() -> None:
    model = R3GAN(R3GAN.Config(burn_in=0.4), PLANE)
    at = [float(model.fallen(torch.tensor(t, dtype=torch.float64), 1.0, 0.1)) for t in (0.0, 0.2, 0.4, 0.9)]
    assert at == pytest.approx([1.0, 0.55, 0.1, 0.1])
    (critic, _) = model.phases()
    assert critic.optimizer.rate(torch.tensor(0.9)).item() == pytest.approx(model.config.lr_end)  # type: ignore[attr-defined]


def test_images_of_two_kinds_pass_the_norms_of_a_dcgan_apart() -> None:
    seed_draws(1)
    model = DCGAN(DCGAN.Config(latent=3, width=4, critic_width=4), IMAGES)
    batch = Batch(Rows(torch.float32).x)
    seed_draws(2)
    real, fake = model.duel(batch)
    seed_draws(2)
    views = model.views(batch)
    torch.testing.assert_close(real, model.critic(views[0]))
    torch.testing.assert_close(fake, model.critic(views[1]))
    mixed = model.critic(torch.cat(views)).chunk(2)[0]
    assert not torch.allclose(real, mixed, atol=1e-3)


@pytest.mark.parametrize("name", DCGAN.presets)
def test_the_presets_for_stacked_digits_can_be_built(name: str) -> None:
    spec = Spec(kind="images", shape=(3, 28, 28), scale="symmetric", low=-1, high=1)
    model = DCGAN(DCGAN.Config(**DCGAN.presets[name]["settings"]), spec)
    every = [phase.every for phase in model.phases()]
    assert every == ([2, 1] if name == "pacdcgan2" else [1, 1])
    counted = sum(p.numel() for p in model.generator.parameters())
    # by hand: first, then (in * out * kernel^2, with a gain and a bias a normed channel), then the last layer
    tiny = 256 * 64 * 16 + (64 * 32 + 32 * 16 + 16 * 8) * 9 + 2 * (64 + 32 + 16 + 8) + 8 * 3 * 9 + 3
    wide = 100 * 256 * 16 + (256 * 128 + 128 * 64 + 64 * 3) * 25 + 2 * (256 + 128 + 64) + 3
    assert counted == (wide if name == "pacdcgan2" else tiny)


def test_a_preset_of_the_plane_has_three_layers_of_512() -> None:
    model = WGAN(WGAN.Config(**WGAN.presets["gan_toy"]["settings"]), PLANE)
    weights = sum(p.numel() for p in model.generator.parameters())
    assert weights == 3 * 512 + 2 * (512 * 513) + 2 * 513
    assert model.phases()[1].every == 5


def test_what_a_table_cannot_have_is_refused_with_what_to_do() -> None:
    for config, words in (
        (R3GAN.Config(backbone="conv"), "--backbone conv is for images"),
        (R3GAN.Config(augment="diff"), "--augment diff is for whole images"),
    ):
        with pytest.raises(InputError, match=words):
            R3GAN(config, PLANE)
    with pytest.raises(InputError, match="use l2"):
        WGAN(WGAN.Config(norm="sobolev:1"), PLANE)


def test_points_in_the_plane_are_never_rounded_to_bf16() -> None:
    assert R3GAN(R3GAN.Config(), PLANE).precision == "fp32"
    assert R3GAN(R3GAN.Config(), IMAGES).precision == "auto"
