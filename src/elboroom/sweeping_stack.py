"""One stack of a sweep: trainings in one pass, each in a run folder of its own, saved in step with each other.

Every member's folder is what a lone `fit` would leave. All members are saved at the same steps, and a folder keeps its
last two states, so after a kill there is a step of which every member has one: the stack goes on from there, and with
the same members it walks on with the same bits.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elboroom.artifacts.run import RunFolder
from elboroom.core.errors import ElboroomError, Stopped
from elboroom.data.source import Dataset
from elboroom.data.stream import Streams
from elboroom.engine.probe import Cost
from elboroom.engine.programs import Program
from elboroom.engine.stacked import Member, Seat, Stack, StackTick, Unlike, train_stack
from elboroom.engine.train import Tick
from elboroom.finish import finish
from elboroom.fitting import ended, noting
from elboroom.plan import Runtime, chosen
from elboroom.request import Request
from elboroom.sweeping_members import Planned
from elboroom.training import Event, Stopping, Training, configured, evaluating, stop_signals

__all__ = ["STACK_OPERATIONS", "Asked", "Together", "chunks", "taken_up", "together"]

STACK_OPERATIONS = {"cpu": 2e9, "cuda": 2e11}
"""Operations of a stacked step from which it takes as long as its members one after another: the most of a stack."""
UPDATE_SECONDS = 3e-8
"""Of each trained number in a stacked step that is not compiled: its optimiser is then some twenty operations, each a
pass over memory of its own (27 to 36 nanoseconds on an EPYC with AVX2). Alone, one fused operation does it."""
MOST_STACKED = 64
RUNGS = (0.25, 0.5)
"""Shares of the run at which hopeless members are stopped: the worse half of the settings each time (successive
halving, Jamieson & Talwalkar 2016, arXiv 1502.07943)."""
NOT_STACKED = (Unlike, RuntimeError, AssertionError, TypeError)
"""What tracing and mapping raise for a step that cannot be stacked."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every member of a sweep is asked for alike: keywords of `fit`."""

    model: str
    fit: dict[str, Any]
    """reading, preset, epochs, steps, device, precision, compile, threads."""
    save_every: float
    samples: int
    stop_hopeless: bool
    repeats: Callable[[Planned], str]
    """The call that trains a member alone."""

    def request(self, member: Planned, **other: Any) -> Request:
        """The checked request of one member."""
        given = {**self.fit, "settings": member.settings, "seed": member.seed, "command": self.repeats(member)}
        return Request.of(self.model, **{**given, **other})


class Together:
    """Trainings of one stack, ready to be driven."""

    def __init__(self, members: Sequence[Planned], trainings: Sequence[Training], costs: list[Cost]) -> None:
        self.members, self.trainings, self.costs = list(members), list(trainings), costs
        self.alive = list(range(len(members)))
        """Members still to be trained or finished, by place."""
        self.seated: list[int] = []
        """Those in the stack as it stands; who fails keeps the seat until the next one is made."""
        self.budget: dict[str, Any] = trainings[0].meta["budget"]
        self.seats = [self._seat(training) for training in trainings]
        self.stack: Stack | None = None
        self.resumed = False
        self.progress: Callable[[Event], None] = lambda event: None

    def _seat(self, training: Training) -> Member:
        settings, precision = training.meta["settings"], training.meta["runtime"]["precision"]
        logs = [cost.logs for cost in self.costs]
        seats = [Seat(training.losses, p, names, precision) for p, names in zip(training.phases, logs, strict=True)]
        training.programs = list[Program](seats)
        training.model.train()
        return Member(
            training.losses, training.phases, logs, training.seed, json.dumps(settings, sort_keys=True), seats
        )

    def prepare(self) -> Stack:
        """The stack of those still alive. Raises what NOT_STACKED lists."""
        first = self.trainings[0]
        runtime = first.meta["runtime"]
        self.seated = list(self.alive)
        self.stack = Stack(
            [self.seats[k] for k in self.seated],
            first.stream.rows(0),
            first.progress_tensor(),
            precision=runtime["precision"],
            compiled=runtime["compile"] == "on",
        )
        return self.stack

    # -- folders -------------------------------------------------------------------------------------------------------

    def begin(self, folders: Sequence[RunFolder]) -> None:
        """Give each member its folder with its first state."""
        for training, folder in zip(self.trainings, folders, strict=True):
            training.folder = folder
            training.meta["name"] = folder.path.name
            training.save()
            folder.write_meta(training.meta)
            folder.log(f"begun: {training.meta['command']}")

    def take_up(self, step: int) -> None:
        """Go on from the state of `step`."""
        for training in self.trainings:
            training.checkpoints().forget_after(step)
            training.restore()
            training.meta.update(state="running", why="")
            training.meta.pop("weights_sha256", None)
            if training.folder is not None:
                training.folder.write_meta(training.meta)
        self.resumed = True

    # -- driving -------------------------------------------------------------------------------------------------------

    def run(self, asked: Asked, progress: Callable[[Event], None]) -> None:
        """Train all to the end and finish each. Raises Stopped after a signal, every state saved."""
        self.progress = progress
        for training in self.trainings:
            if asked.samples:
                training.meta["budget"]["samples"] = asked.samples
            training.began = training.saved_at = time.monotonic()
        try:
            with stop_signals() as stopping:
                if not self.resumed:
                    for training in self.trainings:
                        training.preview(0, False)
                self._drive(asked, stopping)
                stopping.at_once = True
                if stopping.asked:
                    stopping.stop()
                while self.alive:
                    k = self.alive[0]
                    progress({"kind": "phase", "message": f"{self.members[k].name}: measuring, card and report"})
                    finish(self.trainings[k], noting(self.trainings[k].folder, lambda event: None))
                    self.alive.pop(0)
        except Stopped as stopped:
            self._end(stopped.state, str(stopped))
            raise
        except (ElboroomError, KeyboardInterrupt):
            raise
        except Exception as error:
            self._end("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
            raise

    def _end(self, how: str, why: str, trace: str = "") -> None:
        for k in self.alive:
            ended(self.trainings[k], how, why, trace)

    def _drive(self, asked: Asked, stopping: Stopping) -> None:
        steps, start = self.budget["steps"], self.trainings[0].done
        rungs = sorted({max(1, round(share * steps)) for share in RUNGS}) if asked.stop_hopeless else []
        for stop in [*(rung for rung in rungs if start < rung < steps), steps]:
            if start >= stop or not self.alive:
                return
            stack = self.stack or self.prepare()
            for tick in train_stack(
                stack,
                Streams([self.trainings[k].stream for k in self.seated]),
                steps=stop,
                planned=self.budget["planned_steps"],
                start=start,
                every=self.budget["log_every"],
                interrupted=lambda: stopping.asked,
            ):
                self._tick(tick, asked.save_every)
            start = stop
            if stop < steps:
                self._drop_hopeless(stop)
                self.stack = None if self.alive != self.seated else stack

    def _tick(self, tick: StackTick, save_every: float) -> None:
        steps = self.budget["steps"]
        over = tick.step == steps
        for at, phase in tick.failed.items():
            self._fail(self.seated[at], Tick(tick.step - 1, tick.epoch, False, False, phase))
        each = Tick(tick.step, tick.epoch, tick.ends_epoch, tick.interrupted, "")
        running = [self.trainings[k] for k in self.alive]
        for training in running:
            training.done = tick.step
            if training.looks(each) or over or tick.step % self.budget["log_every"] == 0:
                training.record(each)
        if over or tick.interrupted or any(time.monotonic() - t.saved_at >= save_every for t in running):
            for training in running:
                training.save()
        epochs = steps / self.trainings[0].stream.steps_per_epoch
        self.progress({"kind": "tick", "step": tick.step, "steps": steps, "epoch": tick.epoch, "epochs": epochs})
        if tick.interrupted:
            raise Stopped(f"stopped by a signal at step {tick.step:,} of {steps:,}; every state is saved", "stopped")

    def _fail(self, k: int, tick: Tick) -> None:
        """One member stands still from here on; its last good state is kept and its run.json says why."""
        training = self.trainings[k]
        training.done = tick.step
        self.alive.remove(k)
        try:
            training.fail(tick)
        except Stopped as stopped:
            ended(training, "failed", str(stopped))
            self.progress({"kind": "warning", "message": f"{self.members[k].name}: {stopped}"})

    def _drop_hopeless(self, step: int) -> None:
        """Stop the worse half of the settings, by their mean over seeds."""
        scores: dict[str, list[float]] = {}
        for k in self.alive:
            named, value = hopelessness(self.trainings[k])
            if not named:
                return
            scores.setdefault(json.dumps(self.members[k].over), []).append(value)
        order = sorted(scores, key=lambda key: sum(scores[key]) / len(scores[key]))
        worse = set(order[-(-len(order) // 2) :])
        for k in [k for k in self.alive if json.dumps(self.members[k].over) in worse]:
            training = self.trainings[k]
            training.save()
            training.meta["hopeless"] = True
            why = f"stopped as hopeless at step {step:,}: {named} of its settings was in the worse half of this stack"
            ended(training, "stopped", f"{why}; go on with: elboroom resume {training.place}")
            self.alive.remove(k)


def hopelessness(training: Training) -> tuple[str, float]:
    """What held-out rows say, smaller being better, and its name; "" where there is nothing to go by.

    A loss is no common measure where the sweep changes the loss (beta); the bound is, where a model has one.
    """
    if "valid" not in training.held_out:
        return "", 0.0
    found = training.loss_on("valid")
    if "elbo_nats" in found:
        return "the held-out bound", -found["elbo_nats"]
    if "loss_nats" in found:
        return "the held-out loss", found["loss_nats"]
    with evaluating(training.model):
        seen = training.samples_seen()
    if "frechet_distance" in seen:
        return "the Fréchet distance of samples", seen["frechet_distance"]
    return "", 0.0


def together(
    members: Sequence[Planned], asked: Asked, dataset: Dataset, place: Path, locks: ExitStack
) -> Together | str:
    """A fresh stack of these members, their folders made and locked into `locks`; or why there can be none."""
    silent: Callable[[Event], None] = lambda event: None  # noqa: E731
    trainings = []
    for member in members:
        own = replace(dataset)
        request = asked.request(member, compile="off").accepting(own)
        meta = request.describe(own, member.name)
        meta["budget"]["save_every"] = asked.save_every
        trainings.append(Training(meta, own, None))
        request.plan(trainings[-1], silent, trial=False)
    costs = trainings[0].costs()
    _choose(trainings, costs, asked)
    try:
        with configured(trainings[0].meta):
            made = Together(members, trainings, costs)
            made.prepare()
    except NOT_STACKED as error:
        return f"{type(error).__name__}: {error}".splitlines()[0][:200]
    fresh = [RunFolder.create(place / member.name) for member in members]
    for folder in fresh:
        locks.enter_context(folder.lock())
    made.begin(fresh)
    return made


def taken_up(
    members: Sequence[Planned], asked: Asked, dataset: Dataset, place: Path, locks: ExitStack
) -> Together | None:
    """The stack of begun members at the newest step of which each has a state; None where there is no such step."""
    folders = [RunFolder.open(place / member.name) for member in members]
    common = set.intersection(*(set(folder.checkpoints.steps()) for folder in folders))
    if not common:
        return None
    for folder in folders:
        locks.enter_context(folder.lock())
    trainings = []
    for member, folder in zip(members, folders, strict=True):
        own = replace(dataset)
        asked.request(member, compile="off").accepting(own)
        trainings.append(Training(folder.meta, own, folder))
    made = Together(members, trainings, trainings[0].costs())
    made.take_up(max(common))
    return made if len({training.done for training in trainings}) == 1 else None  # one was damaged


def _choose(trainings: Sequence[Training], costs: list[Cost], asked: Asked) -> None:
    """Threads and compiling are chosen for the stacked step; all else is as each would be alone."""
    count, first = len(trainings), trainings[0]
    scaled = [replace(cost, operations=count * cost.operations, largest=count * cost.largest) for cost in costs]
    wanted = replace(
        Runtime(**first.meta["runtime"]),
        threads=asked.fit.get("threads", 0),
        compile=asked.fit.get("compile", "auto"),
    )
    updates = UPDATE_SECONDS * count * sum(p.numel() for phase in first.phases for p in phase.params)
    decided, why = chosen(wanted, scaled, first.meta["budget"]["steps"], first.model.precision, beside=updates)
    for training in trainings:
        training.meta["runtime"].update(threads=decided.threads, compile=decided.compile)
        training.meta["choices"].pop("compile", None)
        training.meta["choices"].update(why)
        training.meta["choices"]["stack"] = f"one pass trains {count} members; seconds of training are those of all"


def chunks(members: Sequence[Planned], cost: float, kind: str) -> list[list[Planned]]:
    """Groups cut to what gains by stacking; `cost`: operations of one member's step."""
    most = max(1, min(MOST_STACKED, int(STACK_OPERATIONS.get(kind, 2e9) / max(cost, 1.0))))
    return [list(members[at : at + most]) for at in range(0, len(members), most)]
