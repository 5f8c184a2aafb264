"""One suite for every model and every ability: a new model file needs no test of its own to pass through here.

Models of the folders in ELBOROOM_MODELS are tested too.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elboroom.core import registry
from elboroom.core.abilities import ABILITIES, Bounds, Continues, Decodes, Encodes, Samples
from elboroom.core.batch import Batch
from elboroom.core.errors import Unable
from elboroom.core.model import Model
from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read
from elboroom.data.stream import Stream
from elboroom.engine.probe import cost_of
from elboroom.engine.programs import Eager
from elboroom.engine.runtime import deterministic, seed_draws
from elboroom.engine.state import restore_, state
from elboroom.engine.trace import Losses, Names, names_of, objective, trace
from elboroom.engine.train import train
from elboroom.fitting import fit
from elboroom.settings import build, checked
from text_toys import few_drawn

ROWS, STEPS = 64, 6


def raw(kind: str) -> tuple[Any, Reading]:
    """A little of each kind of data a model can name, as a user would give it, and how it is read."""
    rng = np.random.default_rng(0)
    reading = Reading(kind=kind, split=(0.75, 0.25, 0))
    if kind == "images":
        return rng.integers(0, 256, (ROWS, 8, 8), dtype=np.uint8), reading
    if kind == "table":
        x = rng.normal(size=(ROWS, 5))
        x[::7, 2] = np.nan
        return x, reading
    if kind == "series":
        x = np.sin(np.arange(160) / 3)[:, None] * [1.0, 2.0] + rng.normal(size=(160, 2)) / 10
        x[::9, 1] = np.nan
        return x, dataclasses.replace(reading, window=12, split=(0.7, 0.2, 0.1))
    if kind == "text":
        words = rng.choice(["the", "sea", "ship", "far", "wind,", "and", "a", "light."], 400)
        return [" ".join(words)], dataclasses.replace(reading, window=12)
    if kind == "sequences":
        labels = [("up", "down")[i % 2] for i in range(ROWS)]
        x = [rng.normal((0.5, -0.5)[i % 2], 1, (3 + i % 6, 2)) for i in range(ROWS)]
        x[5][1, 0] = np.nan
        return (x, labels), reading
    raise LookupError(f"no small data of kind {kind} yet: add some here")


def small(kind: str) -> Dataset:
    """The same, read."""
    return read(*raw(kind))


CASES = [(name, kind) for name in registry.names() for kind in registry.entry(name).kinds]
DEEP = {"biggan", "sagan"}
"""Nets of so many operations that their trace takes long; tests of these models trace a smaller one."""
every_case = pytest.mark.parametrize(("name", "kind"), CASES)
every_model = pytest.mark.parametrize("name", registry.names())


def slim(name: str) -> dict[str, Any]:
    """Settings that change nothing but how wide the nets are."""
    return {"width": 8} if any(field.name == "width" for field in registry.entry(name).fields) else {}


def made(name: str, dataset: Dataset, seed: int = 1) -> Model:
    model = registry.load(name)
    seed_draws(seed)
    return model(build(model.Config, checked(registry.entry(name), slim(name)), name), dataset.spec)


def batch_of(dataset: Dataset, n: int = 4) -> Batch:
    return dataset.transform(dataset.parts["train"].take(torch.arange(n)))


@every_model
def test_every_setting_has_a_type_a_default_and_a_sentence(name: str) -> None:
    entry = registry.entry(name)
    config = registry.load(name).Config
    assert dataclasses.is_dataclass(config)
    assert [f.name for f in dataclasses.fields(config)] == [f.name for f in entry.fields]
    assert entry.summary.endswith(".") and "batch_size" in {f.name for f in entry.fields}
    for field in entry.fields:
        assert len(field.doc) > 10, f"{name}.{field.name} has no sentence"
        assert getattr(config(), field.name) == field.default


@every_model
def test_what_the_source_says_of_a_model_is_what_the_class_is(name: str) -> None:
    entry, model = registry.entry(name), registry.load(name)
    assert entry.abilities == tuple(a.__name__ for a in ABILITIES if issubclass(model, a))
    assert (entry.kinds, entry.epochs, entry.presets) == (model.kinds, model.epochs, model.presets)


@pytest.mark.parametrize(
    ("name", "kind"),
    [pytest.param(*case, marks=pytest.mark.slow if case[0] in DEEP else ()) for case in CASES],
)
def test_every_phase_can_be_traced_so_it_never_reads_from_the_device(name: str, kind: str) -> None:
    dataset = small(kind)
    model = made(name, dataset)
    losses = Losses(model, dataset.transform)
    raw, t = dataset.parts["train"].take(torch.arange(8)), torch.zeros(())
    for phase in model.phases():
        names = Names.of(losses, phase)
        tensors = names_of(losses)

        def flat(*given: Tensor, names: Names = names, phase: Any = phase) -> Any:
            cut = len(names.train)
            train = dict(zip(names.train, given[:cut], strict=True))
            rest = dict(zip(names.rest, given[cut : cut + len(names.rest)], strict=True))
            held = dict(zip(raw, given[cut + len(names.rest) : -1], strict=True))
            return torch.func.grad(lambda *a: objective(losses, phase, "fp32")(*a)[0])(train, rest, held, given[-1])

        fixed = [tensors[n].detach() for n in (*names.train, *names.rest)]
        with torch.no_grad():
            assert trace(flat, [*fixed, *raw.values(), t]).code


@every_case
def test_phases_touch_only_their_own_parameters(name: str, kind: str) -> None:
    dataset = small(kind)
    model = made(name, dataset)
    losses, raw = Losses(model, dataset.transform), dataset.parts["train"].take(torch.arange(8))
    for phase in model.phases():
        program = Eager(losses, phase, cost_of(losses, phase, raw, torch.zeros(())).logs)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        program(raw, torch.zeros(()))
        changed = {n for n, p in model.named_parameters() if not torch.equal(before[n], p)}
        own = {id(p) for p in phase.params}
        assert changed, f"phase {phase.name} moved nothing"
        assert changed <= {n for n, p in model.named_parameters() if id(p) in own}
        assert not program.failed()


@every_case
def test_a_run_that_was_cut_and_taken_up_again_ends_with_the_same_bits(name: str, kind: str) -> None:
    dataset = small(kind)

    def part(start: int, stop: int, saved: dict[str, Tensor] | None, seed: int) -> dict[str, Tensor]:
        model = made(name, dataset, seed)
        losses = Losses(model, dataset.transform)
        stream = Stream(dataset.parts["train"], 16, seed=3)
        raw, t = stream.rows(0), torch.zeros(())
        programs = [Eager(losses, p, cost_of(losses, p, raw, t).logs) for p in model.phases()]
        if saved is not None:
            restore_(losses, programs, saved)
        with deterministic():
            for _ in train(programs, stream, steps=stop, planned=STEPS, seed=5, start=start):
                pass
        return {key: x.clone() for key, x in state(losses, programs).items()}

    whole = part(0, STEPS, None, 1)
    resumed = part(4, STEPS, part(0, 4, None, 1), 77)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


@every_case
def test_abilities_keep_their_shapes_and_follow_their_seeds(name: str, kind: str) -> None:
    dataset = small(kind)
    model, spec = made(name, dataset).eval(), dataset.spec
    batch = batch_of(dataset)
    with torch.no_grad():
        if isinstance(model, Samples):
            draws = []
            for seed in (7, 7, 8):
                seed_draws(seed)
                draws.append(model.sample(3))
            assert draws[0].shape == (3, *spec.shape)
            assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
            assert model.sample(2, mean=True).shape == (2, *spec.shape)
        if isinstance(model, Encodes):
            code = model.encode(batch)
            assert code.mean.shape == code.stddev.shape and code.mean.shape[0] == len(batch)
            assert bool((code.stddev >= 0).all())
            alone = model.encode(dataset.transform(dataset.parts["train"].take(torch.tensor([2])))).mean
            torch.testing.assert_close(alone[0], code.mean[2], rtol=1e-4, atol=1e-5)
        if isinstance(model, Encodes) and isinstance(model, Decodes):
            outcome = model.decode(model.encode(batch).mean)
            assert outcome.mean.shape == batch.x.shape == outcome.sample().shape
            assert outcome.log_prob(batch.x, batch.observed).shape == (len(batch),)
        if isinstance(model, Bounds):
            weights = model.log_weights(batch, 5)
            assert weights.shape == (5, len(batch)) and bool(torch.isfinite(weights).all())


@every_case
def test_a_run_from_python_is_measured_reported_and_loaded_again(name: str, kind: str, tmp_path: Path) -> None:
    from elboroom.run import load

    x, reading = raw(kind)
    with few_drawn():
        run = fit(name, x, run=tmp_path / "run", reading=reading, settings=slim(name), steps=3, threads=1, seed=2)
    assert run.meta["state"] == "done"
    for made_file in ("weights.safetensors", "metrics.json", "card.md", "report.html", "history.jsonl"):
        assert (run.path / made_file).stat().st_size > 0
    for measure in run.metrics.values():
        ends = (measure["low"], measure["high"])  # of a largest value there is no interval
        assert ends == (None, None) or ends[0] <= measure["value"] <= ends[1]
        assert {"unit", "n", "split", "how"} <= measure.keys()
    again = load(run.path)
    if isinstance(run.model, Encodes):
        assert np.array_equal(run.encode(x).z, again.encode(x).z)
        if isinstance(run.model, Decodes):
            np.testing.assert_array_equal(run.decode(run.encode(x).z), run.reconstruct(x).x)
    else:
        with pytest.raises(Unable, match="cannot encode"):
            run.encode(x)
    if isinstance(run.model, Samples):
        assert np.array_equal(run.sample(5, seed=1), again.sample(5, seed=1))
        assert np.array_equal(run.sample(5, seed=1), run.sample(9, seed=1)[:5])
    else:
        with pytest.raises(Unable, match="cannot sample"):
            run.sample(1)
    if isinstance(run.model, Continues):
        assert run.generate("the ", tokens=9) == again.generate("the ", tokens=9)
    else:
        with pytest.raises(Unable, match="cannot generate"):
            run.generate("the ")
