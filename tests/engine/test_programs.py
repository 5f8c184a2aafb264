"""One step, many ways: each way walks the path of the eager one, for models of every kind."""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch import Tensor, nn
from torch.nn import functional as F

from elboroom.core.batch import Batch
from elboroom.core.optim import Adam
from elboroom.core.phase import Phase
from elboroom.engine.probe import cost_of
from elboroom.engine.programs import Compiled, Eager, Program, Shared
from elboroom.engine.runtime import deterministic, mix, seed_draws
from elboroom.engine.state import first_non_finite, restore_, state
from elboroom.engine.trace import Losses, trace
from elboroom.engine.train import train
from toys import SIZE, TOYS, Noisy, Plain, Stream, Toy, TwoPlayers

STEPS = 20


def assembled(
    model: Toy, form: str, dtype: torch.dtype, rank: int = 0, world: int = 1
) -> tuple[Losses, list[Program], Stream]:
    losses = Losses(model, Plain())
    stream = Stream(dtype, rank=rank, world=world)
    raw, t = stream.rows(0), torch.zeros((), dtype=dtype)
    programs: list[Program] = []
    for phase in model.phases():
        logs = cost_of(losses, phase, raw, t).logs
        if form == "eager":
            programs.append(Eager(losses, phase, logs))
        else:
            kind = {"compiled": Compiled, "shared": Shared}[form]
            programs.append(kind(losses, phase, logs, "fp32", raw, t))
    return losses, programs, stream


def fresh(name: str, dtype: torch.dtype = torch.float64) -> Toy:
    seed_draws(1)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return TOYS[name]()
    finally:
        torch.set_default_dtype(before)


def ended(name: str, form: str, dtype: torch.dtype = torch.float64, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
    losses, programs, stream = assembled(fresh(name, dtype), form, dtype, rank, world)
    with deterministic():
        for tick in train(programs, stream, steps=STEPS, planned=STEPS, seed=5):
            assert not tick.failed
    return {key: x.clone() for key, x in state(losses, programs).items()}


def distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    assert a.keys() == b.keys()
    return max(float((a[key].double() - b[key].double()).abs().max()) for key in a)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == "noisy" else pytest.mark.slow) for n in TOYS])
def test_compiled_steps_walk_the_eager_path(name: str) -> None:
    assert distance(ended(name, "eager"), ended(name, "compiled")) < 1e-10


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def one_of_two(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    for name in SHARED:
        result = ended(name, "shared", rank=rank, world=2)
        if rank == 0:
            import safetensors.torch

            safetensors.torch.save_file(result, f"{folder}/{name}.safetensors")
    torch.distributed.destroy_process_group()


SHARED = ["noisy", "two_players", "weighted", "windowed"]


def test_two_processes_walk_the_path_of_one(tmp_path: Path) -> None:
    import safetensors.torch

    torch.multiprocessing.spawn(one_of_two, (free_port(), str(tmp_path)), nprocs=2)
    for name in SHARED:
        shared = safetensors.torch.load_file(tmp_path / f"{name}.safetensors")
        assert distance(ended(name, "eager"), shared) < 1e-10, name


@pytest.mark.parametrize("name", TOYS)
def test_a_run_cut_anywhere_and_restored_ends_with_the_same_bits(name: str) -> None:
    whole = ended(name, "eager", torch.float32)
    for cut in (1, 7, 12):
        losses, programs, stream = assembled(fresh(name, torch.float32), "eager", torch.float32)
        with deterministic():
            for _ in train(programs, stream, steps=cut, planned=STEPS, seed=5):
                pass
            saved = {key: x.clone() for key, x in state(losses, programs).items()}
            seed_draws(999)
            other = TOYS[name]()
            losses, programs, stream = assembled(other, "eager", torch.float32)
            restore_(losses, programs, saved)
            for _ in train(programs, stream, steps=STEPS, planned=STEPS, seed=5, start=cut):
                pass
        after = state(losses, programs)
        assert all(torch.equal(whole[key], after[key]) for key in whole), cut


@pytest.mark.parametrize("part", ["phase.vae.mean.0", "phase.vae.count.0", "model.model.encoder.0.weight"])
def test_a_state_without_one_of_its_parts_does_not_end_with_the_same_bits(part: str) -> None:
    part = part.replace("model.model", "model")
    whole = ended("noisy", "eager", torch.float32)
    losses, programs, stream = assembled(fresh("noisy", torch.float32), "eager", torch.float32)
    for _ in train(programs, stream, steps=7, planned=STEPS, seed=5):
        pass
    state(losses, programs)[part].zero_()
    for _ in train(programs, stream, steps=STEPS, planned=STEPS, seed=5, start=7):
        pass
    after = state(losses, programs)
    assert not all(torch.equal(whole[key], after[key]) for key in whole)


@pytest.mark.parametrize("name", TOYS)
def test_phases_touch_only_their_own_parameters(name: str) -> None:
    model = fresh(name, torch.float32)
    losses, programs, stream = assembled(model, "eager", torch.float32)
    t = torch.zeros(())
    for program in programs:
        own = {id(p) for p in program.params}
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        program(stream.rows(0), t)
        changed = {n for n, p in model.named_parameters() if not torch.equal(before[n], p)}
        assert changed
        assert changed <= {n for n, p in model.named_parameters() if id(p) in own}
        assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("form", ["eager", pytest.param("compiled", marks=pytest.mark.slow)])
def test_a_loss_that_is_not_finite_changes_nothing_and_stops(form: str) -> None:
    class Poisoned(Stream):
        def rows(self, step: int) -> dict[str, Tensor]:
            return {"x": super().rows(step)["x"] * (math.nan if step == 6 else 1.0)}

    losses, programs, stream = assembled(fresh("noisy", torch.float32), form, torch.float32)
    good: dict[str, Tensor] = {}
    ticks = []
    for tick in train(programs, Poisoned(torch.float32), steps=STEPS, planned=STEPS, seed=5, every=1):
        ticks.append(tick)
        if tick.step == 6 and not tick.failed:
            good = {k: x.clone() for k, x in state(losses, programs).items() if "totals" not in k}
    assert ticks[-1].failed == "vae"
    assert ticks[-1].step == 6
    after = state(losses, programs)
    assert all(torch.equal(after[key], x) for key, x in good.items())
    assert first_non_finite({k: v for k, v in after.items() if "totals" not in k}) == ""


def test_every_and_window_decide_which_phase_runs() -> None:
    phase = Phase("a", lambda b, t: (t, {}), [], TwoPlayers().phases()[0].optimizer, every=3, window=(0.5, 1.0))
    due = [step for step in range(12) if phase.due(step, 12)]
    assert due == [6, 9]
    assert phase.due(15, 12), "steps past the plan belong to the last window"


def test_a_host_read_in_a_loss_fails_when_it_is_traced() -> None:
    class Reads(Noisy):
        def loss(self, batch: Any, t: Tensor) -> Any:
            loss, logs = super().loss(batch, t)
            return loss * (2.0 if loss.item() > 0 else 1.0), logs

    losses = Losses(Reads(), Plain())
    phase = losses.model.phases()[0]  # type: ignore[operator]
    raw, t = Stream(torch.float32).rows(0), torch.zeros(())
    with pytest.raises(Exception, match=r"item|data-dependent|_local_scalar_dense"):
        Compiled(losses, phase, ("distortion", "rate"), "fp32", raw, t)


def test_a_draw_whose_probability_depends_on_data_is_refused() -> None:
    from elboroom.engine.trace import lift_draws

    graph = trace(lambda p: (torch.bernoulli(p),), [torch.rand(4)])
    with pytest.raises(RuntimeError, match="rand_like"):
        lift_draws(graph)


def test_attention_that_drops_nothing_is_no_draw() -> None:
    from elboroom.engine.trace import lift_draws

    def attended(q: Tensor) -> tuple[Tensor]:
        return (F.scaled_dot_product_attention(q, q, q, is_causal=True) + torch.randn_like(q),)

    q = torch.randn(1, 2, 8, 4)
    graph = trace(attended, [q])
    kernels = [n for n in graph.module.graph.nodes if "scaled_dot_product" in str(n.target)]
    assert kernels and torch.Tag.nondeterministic_seeded in kernels[0].target.tags
    module, draws = lift_draws(graph)
    assert [d.target for d in draws] == ["randn_like"]
    noise = torch.randn(1, 2, 8, 4)
    (found,) = module(q, noise)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(q, q, q, is_causal=True) + noise)


def test_seeds_differ_by_step_phase_and_purpose() -> None:
    seeds = [mix(0, i) for i in range(1000)] + [mix(1, i) for i in range(1000)] + [mix(0, "init"), mix(0, "valid", 3)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= s < 2**63 for s in seeds)
    assert mix(3, "samples", 2) == mix(3, "samples", 2)


def test_every_term_of_the_loss_is_averaged_over_the_steps_since_the_last_reading() -> None:
    losses, programs, stream = assembled(fresh("noisy", torch.float32), "eager", torch.float32)
    means = []
    for _ in train(programs, stream, steps=4, planned=4, seed=5, every=1):
        means.append(programs[0].means())
    losses, programs, stream = assembled(fresh("noisy", torch.float32), "eager", torch.float32)
    for tick in train(programs, stream, steps=4, planned=4, seed=5, every=4):
        assert tick.step == 4
    together = programs[0].means()
    assert together.keys() == {"loss_nats", "distortion", "rate"}
    for key, value in together.items():
        assert value == pytest.approx(sum(m[key] for m in means) / 4, rel=1e-12)


def test_buffers_that_a_step_changes_are_changed_once_by_every_way() -> None:
    for form in ("eager",):
        losses, programs, stream = assembled(fresh("windowed"), form, torch.float64)
        for _ in train(programs, stream, steps=4, planned=20, seed=5):
            pass
        assert int(dict(losses.named_buffers())["model.seen"]) == 4


def test_an_expanded_gradient_is_no_obstacle() -> None:
    class Summed(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6))

        def phases(self) -> list[Phase]:
            loss = lambda batch, t: (self.weight.sum(), {})  # noqa: E731
            return [Phase("sum", loss, self.parameters(), Noisy().phases()[0].optimizer)]

    losses, programs, stream = assembled(Summed(), "eager", torch.float32)
    programs[0](stream.rows(0), torch.zeros(()))
    assert not programs[0].failed()


def test_a_gradient_that_lies_in_memory_otherwise_than_its_parameter_moves_the_right_weights() -> None:
    """As that of a convolution's weight, where a penalty on slopes is differentiated."""
    slope = (torch.arange(3.0 * SIZE) - 7.5).reshape(SIZE, 3).t()

    class Turned(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3, SIZE))

        def loss(self, batch: Any, t: Tensor) -> Any:
            return (self.weight * slope).sum(), {}

        def phases(self) -> list[Phase]:
            return [Phase("turned", self.loss, self.parameters(), Adam(lr=0.1))]

    losses, programs, stream = assembled(Turned(), "eager", torch.float32)
    weight = programs[0].params[0]
    (gradient,) = torch.autograd.grad(programs[0].phase.loss(Batch(torch.zeros(1)), torch.zeros(()))[0], weight)
    assert gradient.stride() != weight.stride(), "else this shows nothing"
    programs[0](stream.rows(0), torch.zeros(()))
    torch.testing.assert_close(weight.detach(), -0.1 * slope.sign())
