"""One training: the parts put together, driven tick by tick, saved so that a kill at any moment loses nothing.

The parts are rebuilt from run.json alone, so a fresh run and a resumed one are the same object in the same state.
"""

from __future__ import annotations

import inspect
import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elboroom.artifacts.manifest import Checkpoints
from elboroom.artifacts.run import RunFolder
from elboroom.core import registry
from elboroom.core.abilities import Samples
from elboroom.core.errors import InputError, Stopped
from elboroom.core.model import Model
from elboroom.core.phase import Phase
from elboroom.data.source import Dataset
from elboroom.data.stream import Stream, in_order
from elboroom.engine.memory import forget_peak
from elboroom.engine.probe import Cost, cost_of
from elboroom.engine.programs import Compiled, Eager, Program, Shared
from elboroom.engine.runtime import configure, find_device, mix, seed_draws
from elboroom.engine.state import first_non_finite, restore_, state
from elboroom.engine.trace import Losses
from elboroom.engine.train import Tick, train
from elboroom.quality_watch import QualityWatch, watch_for
from elboroom.settings import build

__all__ = ["Event", "Stopping", "Training", "configured", "evaluating", "stop_signals"]

Event = dict[str, Any]
EVALUATION_ROWS = 512


class Training:
    """Model, data, programs and folder of one run, as run.json describes them.

    `folder` is None in every process but the first of several: those compute and write nothing.
    """

    def __init__(
        self,
        meta: dict[str, Any],
        dataset: Dataset,
        folder: RunFolder | None,
        *,
        networks: dict[str, torch.nn.Module] | None = None,
        rank: int = 0,
        progress: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.meta, self.dataset, self.folder, self.progress = meta, dataset, folder, progress
        runtime = meta["runtime"]
        self.seed: int = runtime["seed"]
        self.device = find_device(runtime["device"])
        self.model = built(meta, dataset, networks)
        self.losses = Losses(self.model, dataset.transform).to(self.device)
        self.phases: list[Phase] = self.model.phases()
        self.stream = Stream(
            dataset.parts["train"].to(self.device),
            meta["budget"]["batch_size"],
            seed=mix(self.seed, "order"),
            rank=rank,
            world=runtime["world"],
        )
        self.held_out = {k: v.to(self.device) for k, v in dataset.parts.items() if k in {"valid", "test"} and len(v)}
        self.programs: list[Program] = []
        self.kept: dict[str, Tensor] = {}
        self.watch: QualityWatch | None = None
        self.done = 0
        self.earlier_s = 0.0
        forget_peak(self.device)
        self.began = time.monotonic()
        self.saved_at = time.monotonic()

    # -- putting together ------------------------------------------------------------------------------------------

    def costs(self) -> list[Cost]:
        """What a step of each phase costs."""
        raw, t = self.stream.rows(0), self.progress_tensor()
        self.model.train()
        return [cost_of(self.losses, phase, raw, t) for phase in self.phases]

    def progress_tensor(self, value: float = 0.0) -> Tensor:
        """t as the losses get it."""
        first = self.phases[0].params[0]  # type: ignore[index]
        return torch.full((), value, dtype=first.dtype, device=first.device)

    def assemble(self, costs: list[Cost]) -> None:
        """Make the programs in the way the run's runtime says."""
        runtime = self.meta["runtime"]
        raw, t = self.stream.rows(0), self.progress_tensor()
        self.model.train()
        if runtime["compile"] == "on" and runtime["world"] == 1:
            self.progress({"kind": "phase", "message": "compiling, 10 to 25 s for most nets"})
        for phase, cost in zip(self.phases, costs, strict=True):
            if runtime["world"] > 1:
                program: Program = Shared(self.losses, phase, cost.logs, runtime["precision"], raw, t)
            elif runtime["compile"] == "on":
                program = Compiled(self.losses, phase, cost.logs, runtime["precision"], raw, t)
            else:
                program = Eager(self.losses, phase, cost.logs, runtime["precision"])
            self.programs.append(program)

    def trial(self, seconds: float = 3.0) -> float:
        """Seconds a step takes, measured on at most `seconds` of steps whose effect is then undone."""
        before = {k: v.clone() for k, v in state(self.losses, self.programs).items()}
        started, steps = time.monotonic(), 0
        try:
            for tick in train(self.programs, self.stream, steps=10**9, planned=10**9, seed=self.seed, every=1):
                if tick.step == 3:
                    started = time.monotonic()
                steps = tick.step
                if tick.step > 3 and time.monotonic() - started > seconds:
                    break
            took_s = time.monotonic() - started
        finally:
            restore_(self.losses, self.programs, before)
            for program in self.programs:
                program.bad.zero_()  # what is not finite here will be so again, at a step that can be named
        return took_s / max(steps - 3, 1)

    # -- saving ----------------------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """The run as a shell takes it: its folder, or its bare name where it has none."""
        return str(self.meta["name"]) if self.folder is None else shlex.quote(str(self.folder.path))

    def checkpoints(self) -> Checkpoints:
        """The folder of good states."""
        if self.folder is None:
            raise RuntimeError("only the first process saves")
        return self.folder.checkpoints

    def save(self) -> None:
        """Write the state between two steps; afterwards a kill loses nothing before it."""
        if self.folder is None:
            return
        tensors = state(self.losses, self.programs)
        tensors.update({f"kept.{name}": tensor for name, tensor in self.kept.items()})
        info = {"history_bytes": self.folder.offset(), "took_s": self.took_s(), "kept": self.meta.get("kept")}
        self.checkpoints().save(self.done, tensors, info)
        self.saved_at = time.monotonic()

    def restore(self) -> None:
        """Take up the newest good state. In a process that has no folder this is not called: see `share`."""
        step, tensors, info = self.checkpoints().newest()
        for warning in self.checkpoints().warnings:
            self.progress({"kind": "warning", "message": warning})
        kept = {k.removeprefix("kept."): v for k, v in tensors.items() if k.startswith("kept.")}
        restore_(self.losses, self.programs, tensors)
        self.kept = {name: tensor.to(self.device).clone() for name, tensor in kept.items()}
        self.done, self.earlier_s, self.meta["kept"] = step, info["took_s"], info["kept"]
        if self.folder is not None:
            self.folder.truncate(info["history_bytes"])

    def share(self) -> None:
        """Give every process the state of the first."""
        if self.meta["runtime"]["world"] == 1:
            return
        at = torch.tensor(self.done)
        torch.distributed.broadcast(at, 0)
        self.done = int(at)
        for tensor in state(self.losses, self.programs).values():
            torch.distributed.broadcast(tensor, 0)

    def took_s(self) -> float:
        """Seconds of training over all sittings."""
        return self.earlier_s + time.monotonic() - self.began

    # -- driving ---------------------------------------------------------------------------------------------------

    def drive(self, save_every: float, stopping: Stopping) -> None:
        """Train from `done` to the end asked for, or raise Stopped with the last good state saved."""
        budget = self.meta["budget"]
        self.began = time.monotonic()
        for tick in train(
            self.programs,
            self.stream,
            steps=budget["steps"],
            planned=budget["planned_steps"],
            seed=self.seed,
            start=self.done,
            every=budget["log_every"],
            interrupted=lambda: _any_process(stopping.asked, self.meta["runtime"]["world"]),
        ):
            self.done = tick.step
            if tick.failed:
                self.fail(tick)
            over = tick.step == budget["steps"]
            if self.looks(tick) or over or tick.step % budget["log_every"] == 0:
                self.record(tick)  # the tick of a signal is no row: the sums go on in the saved state
            if over or tick.interrupted or time.monotonic() - self.saved_at >= save_every:
                self.save()
            if tick.interrupted:
                raise Stopped(
                    f"stopped by a signal at step {tick.step:,} of {budget['steps']:,}; the state is saved, "
                    f"go on with: elboroom resume {self.place}",
                    state="stopped",
                )

    def looks(self, tick: Tick) -> bool:
        """Whether held-out data are looked at: at each end of an epoch, or as often as the budget says."""
        every = self.meta["budget"].get("look_every", 0)
        return tick.step % every == 0 if every else tick.ends_epoch

    def record(self, tick: Tick) -> None:
        """One line of history; at the end of an epoch the held-out parts, the weights to keep and a sheet."""
        row: dict[str, Any] = {"step": tick.step, "epoch": round(tick.epoch, 6), "time_s": round(self.took_s(), 3)}
        alone = len(self.programs) == 1
        for program in self.programs:
            prefix = "train/" if alone else f"train/{program.phase.name}."
            row.update({prefix + name: value for name, value in program.means().items()})
        over = tick.step == self.meta["budget"]["steps"]
        if self.folder is None:
            return
        if self.looks(tick) or over:
            for part in self.held_out:
                found = self.loss_on(part, self.meta["budget"].get("look_rows", 0))
                row.update({f"{part}/{name}": value for name, value in found.items()})
            row.update({f"valid/{name}": value for name, value in self.samples_seen().items()})
            self.keep(tick, row)
            self.preview(round(tick.epoch), over)
        self.folder.append(row)
        self.progress(
            {
                "kind": "tick",
                "step": tick.step,
                "steps": self.meta["budget"]["steps"],
                "epoch": tick.epoch,
                "epochs": self.meta["budget"]["steps"] / self.stream.steps_per_epoch,
                "logs": row,
            }
        )

    def loss_on(self, part: str, most: int = 0) -> dict[str, float]:
        """Means of each phase's loss and terms over a part, as at the end of every schedule; always the same draws.

        `most` rows, evenly spread, stand for the part where it has more; 0 takes all.
        """
        planned = self.meta["budget"]["planned_steps"]
        t = self.progress_tensor((planned - 1) / planned)
        sums: dict[str, Tensor] = {}
        none = torch.zeros((), dtype=torch.float64, device=self.device)
        seen = 0
        with evaluating(self.model):
            for i, raw in enumerate(in_order(self.held_out[part], EVALUATION_ROWS, most)):
                rows = next(iter(raw.values())).shape[0]
                seen += rows
                for phase in self.phases:
                    seed_draws(mix(self.seed, part, phase.name, i))
                    loss, logs = phase.loss(self.losses.transform(raw), t)
                    prefix = "" if len(self.phases) == 1 else f"{phase.name}."
                    for name, value in {"loss_nats": loss, **logs}.items():
                        key = prefix + name
                        sums[key] = sums.get(key, none) + value * rows
        return {name: float(total) / seen for name, total in sums.items()}

    def samples_seen(self) -> dict[str, float]:
        """What held-out rows say of samples, where losses say nothing of them; empty for other models."""
        held = self.held_out.get("valid")
        if self.watch is None:
            self.watch = watch_for(self.model, self.dataset.transform, self.stream.data, held, seed=self.seed)
        if self.watch is None or not isinstance(self.model, Samples):
            return {}
        with evaluating(self.model):
            return self.watch.look(self.model)

    def keep(self, tick: Tick, row: dict[str, Any]) -> None:
        """Remember the weights of the best validation loss, or where losses of several phases say nothing, of the best
        samples; without either, the last."""
        measure = "valid/loss_nats" if len(self.phases) == 1 else "valid/frechet_distance"
        value = row.get(measure)
        at = {"step": tick.step, "epoch": row["epoch"]}
        if value is None:
            if not self.kept:
                self.meta["kept"] = {**at, "measure": "last", "value": None}
            return
        if self.kept and not value < self.meta["kept"]["value"]:
            return
        self.kept = {n: x.detach().clone() for n, x in self.model.state_dict().items()}
        self.meta["kept"] = {**at, "measure": measure, "value": value}

    def preview(self, epoch: int, over: bool) -> None:
        """Keep samples, where they are due."""
        from elboroom import finish

        with evaluating(self.model):
            finish.preview(self, epoch, over)

    # -- failing ---------------------------------------------------------------------------------------------------

    def fail(self, tick: Tick) -> None:
        """Name what was not finite, keep the last good state and stop."""
        where = self.culprit(tick)
        if not first_non_finite(state(self.losses, self.programs)):
            self.save()
        self.meta["not_finite"] = True
        raise Stopped(
            f"step {tick.step + 1:,}: {where}; no update was made with it and the state of step {tick.step:,} is kept. "
            "Try a smaller --lr, or look at these rows of the data",
            state="failed",
        )

    def culprit(self, tick: Tick) -> str:
        """Repeat the failed step without an update and say which term and which gradient were not finite."""
        index = next(i for i, p in enumerate(self.phases) if p.name == tick.failed)
        phase, raw = self.phases[index], self.stream.rows(tick.step)
        planned = self.meta["budget"]["planned_steps"]
        seed_draws(mix(self.seed, tick.step) + index)
        t = self.progress_tensor(min(tick.step, planned - 1) / planned)
        batch = self.losses.transform(raw)
        if not bool(torch.isfinite(batch.x).all()):
            rows = torch.nonzero(~torch.isfinite(batch.x).flatten(1).all(1)).flatten().tolist()
            return f"the batch holds values that are not finite (rows {rows[:5]} of the batch)"
        loss, logs = phase.loss(batch, t)
        grads = torch.autograd.grad(loss, list(phase.params), materialize_grads=True)
        names = {id(p): n for n, p in self.model.named_parameters()}
        said = [f"the loss of phase {phase.name!r} is {float(loss.detach())}"] if not torch.isfinite(loss) else []
        bad_term = next((n for n, v in logs.items() if not torch.isfinite(v)), "")
        said += [f"first in its term {bad_term}"] if bad_term else []
        bad = next((names[id(p)] for p, g in zip(phase.params, grads, strict=True) if not torch.isfinite(g).all()), "")
        said += [f"the gradient of {bad} is not finite"] if bad else []
        return ", ".join(said) or f"phase {phase.name!r} was not finite in {self.meta['runtime']['precision']}"


def built(meta: dict[str, Any], dataset: Dataset, networks: dict[str, torch.nn.Module] | None) -> Model:
    """The model as run.json describes it, with the initial weights of its seed."""
    model = registry.load(meta["model"])
    config = build(model.Config, meta["settings"], meta["model"])
    seed_draws(mix(meta["runtime"]["seed"], "init"))
    if networks:
        if "networks" not in inspect.signature(model).parameters:
            raise InputError(f"{meta['model']} takes no networks of your own; leave out {' and '.join(networks)}")
        return model(config, dataset.spec, networks=networks)  # type: ignore[call-arg]
    return model(config, dataset.spec)


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Evaluation mode without gradients inside; the mode the model was in after."""
    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was)


@dataclass
class Stopping:
    """What SIGINT and SIGTERM ask for. Between `drive`'s steps it is looked at; after them nothing is left to save."""

    asked: bool = False
    at_once: bool = False

    def handle(self, number: int, frame: object) -> None:
        """The first signal asks, or raises Stopped where `at_once` is set; a second one ends the process."""
        if self.asked:
            os._exit(128 + number)
        self.asked = True
        if self.at_once:
            self.stop()

    def stop(self) -> None:
        """Leave what follows training, which can all be made again from the last state."""
        raise Stopped("stopped by a signal after training; the state is saved, resume does the rest", state="stopped")


@contextmanager
def stop_signals() -> Iterator[Stopping]:
    """SIGINT and SIGTERM ask for a stop inside."""
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {s: signal.signal(s, stopping.handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _any_process(flag: bool, world: int) -> bool:
    """Whether any process was told to stop, so that all stop after the same step."""
    if world == 1:
        return flag
    told = torch.tensor(float(flag))
    torch.distributed.all_reduce(told, op=torch.distributed.ReduceOp.MAX)
    return bool(told)


def configured(meta: dict[str, Any]) -> Any:
    """The process set up as the run's runtime says, for a `with`."""
    return configure(meta["runtime"]["threads"], meta["runtime"]["matmul"])
