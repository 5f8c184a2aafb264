"""SAGAN and BigGAN on images with labels: what the contract suite asks of images without, and the published size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read
from elboroom.data.stream import Stream
from elboroom.engine.probe import cost_of
from elboroom.engine.programs import Compiled, Eager, Program
from elboroom.engine.runtime import deterministic, seed_draws
from elboroom.engine.state import restore_, state
from elboroom.engine.trace import Losses, Names, names_of, objective, trace
from elboroom.engine.train import train
from elboroom.models.biggan import BigGAN
from elboroom.models.sagan import SAGAN

SMALL: dict[str, dict[str, Any]] = {
    "sagan": {"latent": 6, "width": 4, "widest": 2, "batch_size": 16},
    "biggan": {"latent": 6, "width": 4, "widest": 2, "shared": 5, "critic_steps": 2, "batch_size": 16},
}
KINDS: dict[str, type[SAGAN] | type[BigGAN]] = {"sagan": SAGAN, "biggan": BigGAN}
both = pytest.mark.parametrize("name", SMALL)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """64 images of 8 x 8: the left half bright, or the right one."""
    rng = np.random.default_rng(0)
    label = np.arange(64) % 2
    x = rng.integers(0, 90, (64, 8, 8))
    x[label == 0, :, :4] += 150
    x[label == 1, :, 4:] += 150
    names = [("left", "right")[k] for k in label]
    return read((x.astype(np.uint8), names), Reading(kind="images", split=(0.75, 0.25, 0)))


def made(name: str, spec: Spec, seed: int = 1, **further: Any) -> Model:
    seed_draws(seed)
    kind = KINDS[name]
    return kind(kind.Config(**{**SMALL[name], **further}), spec)  # type: ignore[arg-type]


@both
def test_each_player_is_told_the_class(name: str, data: Dataset) -> None:
    model = made(name, data.spec)
    assert isinstance(model, SAGAN | BigGAN) and model.classes == 2
    batch = data.transform(data.parts["train"].take(torch.arange(8)))
    other = Batch(batch.x, label=1 - batch.label)
    assert not torch.allclose(model.judge(batch), model.judge(other))
    for table in [m.weight for m in model.averaged.modules() if isinstance(m, torch.nn.Embedding)]:
        torch.nn.init.normal_(table)  # SAGAN's classes begin alike
    model.eval()
    z = torch.randn(4, model.noise)
    with torch.no_grad():
        zero, one = (model.draw(z, torch.full((4,), k)) for k in (0, 1))
    assert zero.shape == (4, 1, 8, 8) and not torch.allclose(zero, one)


@both
def test_a_model_that_ignores_labels_is_the_one_of_data_without(name: str, data: Dataset) -> None:
    ignoring = made(name, data.spec, conditional=False)
    plain = made(name, Spec(kind="images", shape=(1, 8, 8), scale="unit", low=0, high=1))
    mine, theirs = (dict(m.named_parameters()) for m in (ignoring, plain))
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize("name", [pytest.param("sagan", marks=pytest.mark.slow), "biggan"])
def test_a_step_traced_with_labels_is_the_eager_one(name: str, data: Dataset) -> None:
    model = made(name, data.spec)
    losses, raw, t = Losses(model, data.transform), data.parts["train"].take(torch.arange(16)), torch.zeros(())
    for phase in model.phases():
        names, tensors = Names.of(losses, phase), names_of(losses)
        cut = len(names.train)

        def flat(*given: Tensor, names: Names = names, phase: Any = phase, cut: int = cut) -> Any:
            part = dict(zip(names.train, given[:cut], strict=True))
            rest = dict(zip(names.rest, given[cut : cut + len(names.rest)], strict=True))
            held = dict(zip(raw, given[cut + len(names.rest) : -1], strict=True))
            return list(
                torch.func.grad(lambda *a: objective(losses, phase, "fp32")(*a)[0])(
                    part, rest, held, given[-1]
                ).values()
            )

        fixed = [tensors[n].detach().clone() for n in (*names.train, *names.rest)]
        with torch.no_grad():
            graph = trace(flat, [*fixed, *raw.values(), t])
            seed_draws(4)
            found = graph.module(*fixed, *raw.values(), t)
        seed_draws(4)
        loss, _ = phase.loss(data.transform(raw), t)
        for got, wanted in zip(found, torch.autograd.grad(loss, list(phase.params)), strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def ended(name: str, data: Dataset, steps: int = 6, start: int = 0, saved: Any = None) -> dict[str, Tensor]:
    model = made(name, data.spec)
    losses, stream = Losses(model, data.transform), Stream(data.parts["train"], 16, seed=3)
    raw, t = stream.rows(0), torch.zeros(())
    programs = [Eager(losses, p, cost_of(losses, p, raw, t).logs) for p in model.phases()]
    if saved is not None:
        restore_(losses, programs, saved)
    with deterministic():
        for tick in train(programs, stream, steps=steps, planned=6, seed=5, start=start):
            assert not tick.failed
    return {key: x.clone() for key, x in state(losses, programs).items()}


@both
def test_a_run_cut_and_taken_up_again_ends_with_the_same_bits(name: str, data: Dataset) -> None:
    whole = ended(name, data)
    resumed = ended(name, data, start=3, saved=ended(name, data, steps=3))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert float(whole["model.batches"]) == 6
    torch.testing.assert_close(whole["model.class_shares"].sum(), torch.ones(()))


@pytest.mark.slow
@both
@pytest.mark.parametrize("phase", [0, 1], ids=["critic", "generator"])
def test_a_compiled_step_has_the_gradients_and_leaves_the_buffers_of_the_eager_one(
    name: str, phase: int, data: Dataset
) -> None:
    raw, t = data.parts["train"].take(torch.arange(16)), torch.zeros(())
    programs: list[Program] = []
    held: list[dict[str, Tensor]] = []
    for compiled in (False, True):
        model = made(name, data.spec)
        losses, one = Losses(model, data.transform), model.phases()[phase]
        logs = cost_of(losses, one, raw, t).logs
        program = Compiled(losses, one, logs, "fp32", raw, t) if compiled else Eager(losses, one, logs)
        seed_draws(8)
        program(raw, t)
        programs.append(program)
        held.append(dict(model.named_buffers()))
    eager, other = programs
    torch.testing.assert_close(other.totals, eager.totals, rtol=1e-4, atol=1e-5)
    size = max(float(g.abs().max()) for g in eager.slots["mean"])
    for got, wanted in zip(other.slots["mean"], eager.slots["mean"], strict=True):  # without memory: the gradient
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-5 * size)
    for key, x in held[0].items():
        if not key.startswith(("averaged.", "generator.", "critic.")) or key.endswith((".mean", ".square")):
            torch.testing.assert_close(held[1][key], x, rtol=1e-4, atol=1e-5)


def test_attention_changes_nothing_else_and_nothing_at_all_in_the_beginning(data: Dataset) -> None:
    seen, blind = made("sagan", data.spec), made("sagan", data.spec, attention="off")
    extra = {n for n, _ in seen.named_parameters()} - {n for n, _ in blind.named_parameters()}
    assert extra and all(".attention." in n for n in extra)
    assert isinstance(seen, SAGAN)
    z, label = torch.randn(3, 6), torch.tensor([0, 1, 1])
    with torch.no_grad():
        x, maps = seen.eval().look(z, label)
        own = seen.averaged.network
        assert torch.equal(own.attention(own.halfway(z, label)[0]), own.halfway(z, label)[0])
    assert torch.equal(x, seen.draw(z, label))
    assert maps.shape == (3, 4, 4, 2, 2)


def test_the_orthogonal_penalty_is_in_the_loss_with_its_weight(data: Dataset) -> None:
    batch, t = data.transform(data.parts["train"].take(torch.arange(8))), torch.zeros(())
    losses = []
    for weight in (0.0, 1e-4, 2e-4):
        model = made("biggan", data.spec, orthogonal=weight)
        assert isinstance(model, BigGAN)
        with torch.no_grad():
            for p in model.generator.parameters():
                p.add_(0.1)
        seed_draws(9)
        losses.append(model.generator_loss(batch, t))
    (none, _), (once, logs), (twice, _) = losses
    torch.testing.assert_close(once - none, 1e-4 * logs["overlap"].detach(), rtol=1e-2, atol=1e-6)
    torch.testing.assert_close(twice - none, 2 * (once - none), rtol=1e-2, atol=1e-6)
    assert "generator.told.embedding.weight" not in str(logs)


def test_the_paper_size_has_the_published_number_of_parameters() -> None:
    """70,433,988 and 87,982,370: google/compare_gan, architectures/resnet_biggan_test.py; table 1 of the paper gives
    158.3 million for both, without the 128,000 of the shared embedding."""
    spec = Spec(
        kind="images", shape=(3, 128, 128), scale="symmetric", low=-1, high=1, classes=tuple(map(str, range(1000)))
    )
    with torch.device("meta"):
        model = BigGAN(BigGAN.Config(**BigGAN.presets["imagenet-128"]["settings"]), spec)
    assert sum(p.numel() for p in model.generator.parameters()) == 70_433_988
    assert sum(p.numel() for p in model.critic.parameters()) == 87_982_370
