"""A stack of trainings: each member walks the path it would walk alone, draws, order and numbers of its own."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from elboroom.core import registry
from elboroom.core.optim import Adam
from elboroom.core.phase import Phase
from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read
from elboroom.data.stream import Stream, Streams
from elboroom.engine.alike import Unlike, lift_constants
from elboroom.engine.probe import cost_of
from elboroom.engine.programs import Eager
from elboroom.engine.runtime import deterministic, mix, seed_draws
from elboroom.engine.stacked import Member, Stack, train_stack
from elboroom.engine.state import state
from elboroom.engine.trace import Losses, trace
from elboroom.engine.train import train
from elboroom.settings import build, checked
from toys import TOYS, Noisy, Plain, Toy
from toys import Stream as Rows

STEPS = 8
DIGITS = {
    "autoencoder": ({"latent": 4}, {"lr": (1e-3, 3e-3)}),
    "vae": ({"latent": 3, "hidden": [8]}, {"dropout": (0.1, 0.3)}),
    "beta_vae": ({"latent": 3, "hidden": [8]}, {"beta": (1.0, 4.0)}),
    "aae": ({"latent": 3}, {"lam": (0.9, 0.99)}),
    "gan": ({"latent": 3, "hidden": [8], "critic_hidden": [8]}, {"lr": (1e-3, 3e-4)}),
    "vqvae": ({}, {"lr": (1e-3, 3e-4)}),
}


@pytest.fixture
def in_double() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Alone:
    """One training's parts, with a transform of its own."""

    def __init__(self, name: str, data: Dataset, settings: dict[str, Any], seed: int) -> None:
        model = registry.load(name)
        whole = checked(registry.entry(name), settings)
        seed_draws(mix(seed, "init"))
        made = model(build(model.Config, whole, name), data.spec).train()
        self.losses = Losses(made, copy.deepcopy(data.transform).to(torch.get_default_dtype()))
        self.stream = Stream(data.parts["train"], 32, seed=mix(seed, "order"))
        self.phases, self.seed, self.key = made.phases(), seed, json.dumps(whole)
        self.raw, self.t = self.stream.rows(0), torch.zeros((), dtype=torch.get_default_dtype())
        self.logs = [cost_of(self.losses, phase, self.raw, self.t).logs for phase in self.phases]

    def member(self) -> Member:
        return Member(self.losses, self.phases, self.logs, self.seed, self.key)

    def ended(self) -> dict[str, Tensor]:
        programs = [Eager(self.losses, p, logs) for p, logs in zip(self.phases, self.logs, strict=True)]
        for tick in train(programs, self.stream, steps=STEPS, planned=STEPS, seed=self.seed):
            assert not tick.failed
        return {name: x.clone() for name, x in state(self.losses, programs).items()}


def stacked(parts: list[Alone], steps: int = STEPS, *, compiled: bool = False) -> list[dict[str, Tensor]]:
    members = [one.member() for one in parts]
    stack = Stack(members, parts[0].raw, parts[0].t, compiled=compiled)
    for tick in train_stack(stack, Streams([one.stream for one in parts]), steps=steps, planned=steps):
        assert not tick.failed
    return [state(m.losses, m.seats) for m in members]


def farthest(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Largest difference, relative where values are above 1."""
    assert a.keys() == b.keys()
    pairs = [(a[key].double(), b[key].double()) for key in a if a[key].numel()]
    return max(float((x - y).abs().max() / x.abs().max().clamp_min(1)) for x, y in pairs)


def pairs_of(name: str, data: Dataset, base: dict[str, Any], varied: dict[str, Any]) -> list[tuple[Alone, Alone]]:
    """Each member twice, so that one can go alone and the other in the stack."""
    ((field, values),) = varied.items()
    asked = [({**base, field: value}, seed) for value in values for seed in (0, 5)]
    return [(Alone(name, data, s, seed), Alone(name, data, s, seed)) for s, seed in asked]


def walks_alike(
    name: str, data: Dataset, base: dict[str, Any], varied: dict[str, Any], *, bound: float, **how: Any
) -> None:
    pairs = pairs_of(name, data, base, varied)
    with deterministic():
        alone = [one.ended() for one, _ in pairs]
        together = stacked([other for _, other in pairs], **how)
    assert max(map(farthest, alone, together)) < bound
    assert farthest(together[0], together[1]) > 1e-4  # another seed
    assert farthest(together[0], together[2]) > 1e-6  # another number


@pytest.mark.parametrize(
    "name", ["beta_vae", "gan", *(pytest.param(n, marks=pytest.mark.slow) for n in ("autoencoder", "vae", "aae"))]
)
@pytest.mark.usefixtures("in_double")
def test_in_float64_each_member_equals_its_lone_run(name: str) -> None:
    walks_alike(name, read("digits", Reading(), seed=0), *DIGITS[name], bound=1e-11)


@pytest.mark.parametrize(
    "name", ["autoencoder", *(pytest.param(n, marks=pytest.mark.slow) for n in ("beta_vae", "vqvae"))]
)
def test_in_float32_each_member_equals_its_lone_run_to_rounding(name: str) -> None:
    walks_alike(name, read("digits", Reading(), seed=0), *DIGITS[name], bound=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beta_vae", "gan"])
def test_compiled_members_equal_their_lone_runs_to_rounding(name: str) -> None:
    walks_alike(name, read("digits", Reading(), seed=0), *DIGITS[name], bound=2e-4, compiled=True)


@pytest.mark.slow
@pytest.mark.usefixtures("in_double")
def test_members_that_name_sequences_equal_their_lone_runs() -> None:
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(80, 4, 2, generator=rng).numpy(), (torch.arange(80) % 2).numpy()
    data = read((x.astype("float64"), y), Reading(kind="sequences"), seed=0)
    walks_alike("classifier", data, {"hidden": 6}, {"noise": (0.3, 0.6)}, bound=1e-11)


# -- toys of every kind the engine carries -----------------------------------------------------------------------------


def toy(name: str, seed: int) -> Toy:
    seed_draws(seed)
    return TOYS[name]()


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n == "weighted" else []) for n in TOYS])
@pytest.mark.usefixtures("in_double")
def test_windows_every_and_buffers_are_those_of_a_lone_run(name: str) -> None:
    t, stream = torch.zeros(()), Rows(torch.float64)
    raw = stream.rows(0)

    def parts(seed: int) -> tuple[Losses, list[Phase], list[tuple[str, ...]]]:
        losses = Losses(toy(name, seed), Plain())
        phases = losses.model.phases()
        return losses, phases, [cost_of(losses, p, raw, t).logs for p in phases]

    alone = []
    for seed in (1, 2, 3):
        losses, phases, logs = parts(seed)
        programs = [Eager(losses, p, names) for p, names in zip(phases, logs, strict=True)]
        for _ in train(programs, stream, steps=20, planned=20, seed=seed):
            pass
        alone.append({k: x.clone() for k, x in state(losses, programs).items()})
    members = [Member(*parts(seed), seed, "") for seed in (1, 2, 3)]
    for _ in train_stack(Stack(members, raw, t), _Same(stream, 3), steps=20, planned=20):
        pass
    assert max(farthest(a, state(m.losses, m.seats)) for a, m in zip(alone, members, strict=True)) < 1e-11


class _Same:
    """The same batch for every member."""

    def __init__(self, stream: Rows, count: int) -> None:
        self.stream, self.count, self.steps_per_epoch = stream, count, stream.steps_per_epoch

    def rows(self, step: int) -> dict[str, Tensor]:
        return {k: x.expand(self.count, *x.shape).contiguous() for k, x in self.stream.rows(step).items()}


class Burst(Noisy):
    """Its loss is infinite from progress `at` on."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def loss(self, batch: Any, t: Tensor) -> Any:
        loss, logs = super().loss(batch, t)
        return loss + torch.where(t >= self.at, math.inf, 0.0), logs


def test_a_member_that_is_not_finite_stands_still_and_the_others_go_on() -> None:
    stream, t = Rows(torch.float32), torch.zeros(())
    raw = stream.rows(0)

    def members(bursts: list[float]) -> list[Member]:
        made = []
        for at in bursts:
            seed_draws(1)
            losses = Losses(Burst(at), Plain())
            phases = losses.model.phases()
            made.append(Member(losses, phases, [("distortion", "rate")], 1, str(at)))
        return made

    one = members([0.45, 2.0, 3.0])
    failed = {}
    for tick in train_stack(Stack(one, raw, t), _Same(stream, 3), steps=20, planned=20):
        failed |= {place: (tick.step, phase) for place, phase in tick.failed.items()}
    assert failed == {0: (10, "vae")}  # step 9 of 20 is the first with t >= 0.45
    other = members([2.0, 2.5, 3.0])
    for _ in train_stack(Stack(other, raw, t), _Same(stream, 3), steps=9, planned=20):
        pass
    stood = state(one[0].losses, one[0].seats)
    assert all(torch.equal(x, stood[k]) for k, x in state(other[0].losses, other[0].seats).items() if "totals" not in k)
    assert float(one[1].seats[0].slots["count"][0]) == 20
    assert all(bool(torch.isfinite(p).all()) for p in one[1].seats[0].params)


def test_a_stack_whose_members_all_fail_ends() -> None:
    stream, t = Rows(torch.float32), torch.zeros(())
    losses = [Losses(Burst(0.1), Plain()) for _ in range(2)]
    members = [Member(one, one.model.phases(), [("distortion", "rate")], i, "") for i, one in enumerate(losses)]
    ticks = list(train_stack(Stack(members, stream.rows(0), t), _Same(stream, 2), steps=20, planned=20))
    assert ticks[-1].step == 3
    assert set(ticks[-1].failed) == {0, 1}


def test_ticks_come_as_those_of_a_lone_run() -> None:
    stream, t = Rows(torch.float32), torch.zeros(())
    losses = Losses(Noisy(), Plain())
    phases = losses.model.phases()
    alone = train([Eager(losses, phases[0], ("distortion", "rate"))], stream, steps=12, planned=12, seed=0, every=4)
    expected = [(tick.step, tick.epoch, tick.ends_epoch) for tick in alone]
    stack = Stack([Member(losses, phases, [("distortion", "rate")], 0, "")], stream.rows(0), t)
    ticks = train_stack(stack, _Same(stream, 1), steps=12, planned=12, every=4)
    assert [(tick.step, tick.epoch, tick.ends_epoch) for tick in ticks] == expected


# -- what is no stack --------------------------------------------------------------------------------------------------


def refused(*members: Member) -> str:
    with pytest.raises(Unlike) as found:
        Stack(members, Rows(torch.float32).rows(0), torch.zeros(()))
    return str(found.value)


def test_members_of_other_shapes_or_other_steps_are_no_stack() -> None:
    def member(model: Toy, key: str, every: int = 1) -> Member:
        losses = Losses(model, Plain())
        phases = [Phase("vae", model.loss, model.parameters(), Adam(lr=1e-2), every=every)]
        return Member(losses, phases, [("distortion", "rate")], 0, key)

    wider = Noisy()
    wider.decoder[0] = torch.nn.Linear(2, 17)
    wider.decoder[2] = torch.nn.Linear(17, 6)
    assert "shapes" in refused(member(Noisy(), "a"), member(wider, "b"))
    assert "other steps" in refused(member(Noisy(), "a"), member(Noisy(), "b", every=2))
    clipped = member(Noisy(), "b")
    clipped.phases[0].optimizer = Adam(lr=1e-2, clip=1.0)
    assert "operations" in refused(member(Noisy(), "a"), clipped)


def test_numbers_that_differ_become_inputs_and_equal_ones_stay() -> None:
    def graph(a: float, b: float) -> torch.fx.GraphModule:
        return trace(lambda x: ((x * a + b).pow(a) - (x > b).to(x.dtype) * 0.5,), [torch.ones(3)]).module

    module, constants = lift_constants([graph(2.0, 1.0), graph(3.0, 1.0)])
    assert [c.tolist() for c in constants] == [[2.0, 3.0]]
    x = torch.tensor([0.5, 1.0, 2.0])
    for a, constant in zip((2.0, 3.0), constants[0], strict=True):
        assert torch.allclose(module(x, constant)[0], (x * a + 1).pow(a) - (x > 1).float() * 0.5)
    _, constants = lift_constants([graph(2.0, 1.0), graph(2.0, 0.25)])
    assert [c.tolist() for c in constants] == [[1.0, 0.25]]


def test_graphs_that_differ_in_more_than_numbers_are_unlike() -> None:
    def lifted(one: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor]) -> None:
        lift_constants(
            [trace(lambda x: (one(x),), [torch.ones(3)]).module, trace(lambda x: (other(x),), [torch.ones(3)]).module]
        )

    with pytest.raises(Unlike, match="operations"):
        lifted(lambda x: x * 2.0, lambda x: x * 2.0 + 1.0)
    with pytest.raises(Unlike, match="mul"):
        lifted(lambda x: x * 2.0, lambda x: x / 2.0)
    with pytest.raises(Unlike, match="no tensor in its place"):
        lifted(lambda x: F.elu(x, 0.5), lambda x: F.elu(x, 1.5))
    with pytest.raises(Unlike, match="another value"):
        lifted(lambda x: x.reshape(3, 1), lambda x: x.reshape(1, 3))


def test_streams_give_each_member_the_rows_it_would_see_alone() -> None:
    rows = read("digits", Reading(), seed=0).parts["train"]
    lone = [Stream(rows, 64, seed=s) for s in (3, 4)]
    both = Streams([Stream(rows, 64, seed=s) for s in (3, 4)])
    for step in (0, 1, lone[0].steps_per_epoch + 2, 1):
        got = both.rows(step)
        for k, stream in enumerate(lone):
            alone = stream.rows(step)
            assert alone.keys() == got.keys()
            assert all(torch.equal(alone[name], got[name][k]) for name in alone)


def test_streams_of_a_text_are_cut_by_each_members_own_seed() -> None:
    rows = read(["some words are said again and again " * 40], Reading(kind="text", window=8), seed=0).parts["train"]
    both = Streams([Stream(rows, 4, seed=s) for s in (3, 4)])
    for step in (0, both.steps_per_epoch):
        for k, s in enumerate((3, 4)):
            assert torch.equal(Stream(rows, 4, seed=s).rows(step)["x"], both.rows(step)["x"][k])
