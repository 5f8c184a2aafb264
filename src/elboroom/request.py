"""What was asked for, checked: model, settings, reading, budget, runtime; and the run.json that follows from them."""

from __future__ import annotations

import dataclasses
import datetime
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elboroom import __version__
from elboroom.core import registry
from elboroom.core.abilities import Imputes, Sizes
from elboroom.core.errors import InputError, Unable
from elboroom.data.landmarks import HOW, choose_landmarks
from elboroom.data.reading import Reading
from elboroom.data.source import Dataset
from elboroom.engine.probe import eager_seconds
from elboroom.pace import foreseen, looks, operations, steps_in
from elboroom.plan import Runtime, chosen, read_runtime
from elboroom.settings import checked
from elboroom.training import Event, Training, configured

__all__ = ["Request"]

ROWS = "train_rows"
"""A setting of this name that is 0 becomes the number of rows of the training part."""
LANDMARKS = "landmarks"
"""A setting of this name above 0 is how many columns are to be chosen as always known, as if --observed named them."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A fit as asked for; every wrong value has been refused by now."""

    entry: registry.Entry
    settings: dict[str, Any]
    """All of the model's settings: given ones over the preset's over the defaults."""
    preset: str
    reading: Reading
    budget: dict[str, Any]
    """epochs, steps and minutes, one of them above 0."""
    runtime: Runtime
    networks: dict[str, torch.nn.Module] | None
    command: str
    since: float
    """When the run was asked for, of time.monotonic: --minutes count from here."""
    given: frozenset[str] = frozenset()
    """Names of the settings that the user or the preset named."""
    sizes: dict[str, str] = dataclasses.field(default_factory=dict)
    """Why the settings that follow from the budget are what they are."""

    @classmethod
    def of(
        cls,
        model: str,
        *,
        reading: Reading | None = None,
        settings: dict[str, Any] | None = None,
        preset: str = "",
        epochs: int = 0,
        steps: int = 0,
        minutes: float = 0.0,
        device: str = "auto",
        precision: str = "auto",
        compile: str = "auto",
        threads: int = 0,
        seed: int = 0,
        world: int = 1,
        networks: dict[str, torch.nn.Module] | None = None,
        command: str = "",
        earlier: dict[str, Any] | None = None,
        since: float = 0.0,
    ) -> Request:
        """Check everything that can be checked before data are read.

        `earlier` is run.json of a run that this one goes on from: its settings stand where nothing else is named.
        """
        entry = registry.entry(model)
        named = _preset(entry, preset)
        given = {**named.get("settings", {}), **(settings or {})}
        if earlier is not None:
            if earlier["model"] != model:
                raise InputError(f"--from names a run of {earlier['model']}; {model} goes on from runs of {model}")
            given = {**{k: v for k, v in earlier["settings"].items() if k != ROWS}, **given}
            reading = _as_before(reading or Reading(), earlier["data"])
        return cls(
            entry=entry,
            settings=checked(entry, given),
            given=frozenset(given),
            preset=preset,
            reading=_of_kind(_with_preset(reading or Reading(), named), entry),
            budget=_budget(entry, named, epochs, steps, minutes),
            runtime=read_runtime(device, precision, compile, threads, seed, world),
            networks=networks,
            command=command,
            since=since or time.monotonic(),
        )

    def accepting(self, dataset: Dataset) -> Request:
        """The request for these data: those of a kind the model does not take are refused.

        With --minutes, a model that can choose its size does; what the user named stays. Landmarks are chosen here, and
        written into the data's reading and Spec.
        """
        kind = dataset.spec.kind
        if kind not in self.entry.kinds:
            able = [e.name for e in registry.entries() if kind in e.kinds]
            raise Unable(
                f"{self.entry.name} takes {' and '.join(self.entry.kinds)}, {dataset.name} was read as {kind}; "
                f"models that take {kind}: {', '.join(able) or 'none yet'}"
            )

        if dataset.reading.observed and not issubclass(registry.load(self.entry.name), Imputes):
            telling = ", ".join(registry.able(Imputes.__name__))
            raise Unable(f"--observed: {self.entry.name} does not tell columns from others; {telling} can")
        counted = self._landmarked(dataset)
        rows = len(dataset.parts["train"])
        if self.settings.get(ROWS) == 0:
            sizes = {**counted.sizes, ROWS: "rows of the training part"}
            counted = dataclasses.replace(counted, settings={**self.settings, ROWS: rows}, sizes=sizes)
        return counted._sized(dataset)

    def _landmarked(self, dataset: Dataset) -> Request:
        """With the columns chosen that are always known, where the settings ask for so many and none are named."""
        count, named = self.settings.get(LANDMARKS, 0), dataset.reading.observed
        if not count:
            return self
        if named and len(named) != count:
            raise InputError(f"--landmarks {count} and --observed with {len(named)} columns: give one of the two")
        if not named:
            places = choose_landmarks(dataset.parts["train"], dataset.transform, dataset.spec, count)
            names = tuple(dataset.spec.columns[i].name for i in places)
            dataset.spec = dataclasses.replace(dataset.spec, observed=places)
            dataset.reading = dataclasses.replace(dataset.reading, observed=names)
        return dataclasses.replace(self, sizes={**self.sizes, LANDMARKS: HOW})

    def _sized(self, dataset: Dataset) -> Request:
        """With the sizes that a model chooses for itself within --minutes."""
        model = registry.load(self.entry.name)
        if not self.budget["minutes"] or not issubclass(model, Sizes):
            return self
        budget = operations(self.budget["minutes"], self.runtime)
        found = model.sized(dataset.spec, len(dataset.parts["train"]), budget)
        new = {name: value for name, value in found.items() if name not in self.given}
        why = f"sized for {self.budget['minutes']:g} minutes, about {budget:.1e} operations"
        settings = checked(self.entry, {**self.settings, **new})
        return dataclasses.replace(self, settings=settings, sizes={**self.sizes, **dict.fromkeys(new, why)})

    def describe(self, dataset: Dataset, name: str) -> dict[str, Any]:
        """run.json before the first step."""
        asked = int(self.settings.get("batch_size", 128))
        batch_size = min(asked, len(dataset.parts["train"]))
        choices = dict(self.sizes)
        if batch_size != asked:
            choices["batch_size"] = "the training part has no more rows"
        return {
            "format": "elboroom-run",
            "schema_version": 1,
            "created_by": f"elboroom {__version__}",
            "name": name,
            "model": self.entry.name,
            "settings": self.settings,
            "preset": self.preset,
            "networks": "own" if self.networks else "built-in",
            "data": dataset.to_json(),
            "budget": {**self.budget, "batch_size": batch_size, "samples": 0},
            "runtime": self.runtime.to_json(),
            "choices": choices,
            "versions": _versions(),
            "command": self.command,
            "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "took_s": 0.0,
            "state": "running",
            "why": "",
            "step": 0,
            "parameters": 0,
            "kept": None,
        }

    def plan(self, training: Training, progress: Callable[[Event], None], *, trial: bool = True) -> None:
        """Decide every "auto" and the number of steps, write both into the training's run.json, make the programs.

        `trial`: whether a long run's time is told beforehand, by a trial.
        """
        meta, per_epoch = training.meta, training.stream.steps_per_epoch
        budget = meta["budget"]
        meta["parameters"] = sum(p.numel() for p in training.model.parameters())
        costs = training.costs()
        steps = self.budget["steps"] or self.budget["epochs"] * per_epoch
        if self.budget["minutes"]:
            steps = int(self.budget["minutes"] * 60 / max(eager_seconds(costs, 1), 1e-6))
        budget["planned_steps"] = max(1, steps)  # what a trial measures progress by
        decided, why = chosen(self.runtime, costs, steps, training.model.precision, within=bool(self.budget["minutes"]))
        meta["runtime"] = decided.to_json()
        meta["choices"].update(why)
        with configured(meta):
            training.assemble(costs)
            if self.budget["minutes"]:
                seconds = self.budget["minutes"] * 60
                steps, meta["choices"]["steps"] = steps_in(seconds, training, self.since)
            ahead = foreseen(training, steps) if trial and not self.budget["minutes"] else ""
        budget.update(steps=steps, planned_steps=steps, steps_per_epoch=per_epoch, **looks(training, steps))
        for name, reason in meta["choices"].items():
            value = meta["runtime"].get(name, budget.get(name, meta["settings"].get(name, "")))
            progress({"kind": "choice", "message": f"{name} {value}: {reason}"})
        if ahead:
            progress({"kind": "phase", "message": ahead})


def _as_before(reading: Reading, data: dict[str, Any]) -> Reading:
    """The window of the earlier run, where it read text and no other is named."""
    if data["spec"]["kind"] != "text" or reading.window:
        return reading
    return dataclasses.replace(reading, window=data["spec"]["shape"][0])


def _preset(entry: registry.Entry, preset: str) -> dict[str, Any]:
    if not preset:
        return {}
    if preset not in entry.presets:
        known = ", ".join(entry.presets) or "none"
        raise InputError(f"{entry.name} has no preset {preset!r}; its presets: {known}")
    return entry.presets[preset]


def _of_kind(reading: Reading, entry: registry.Entry) -> Reading:
    """A table or an array is read as what the model takes, where that is one kind and the user has named none."""
    if reading.kind != "auto" or list(entry.kinds) not in (["series"], ["sequences"]):
        return reading
    return dataclasses.replace(reading, kind=entry.kinds[0])


def _with_preset(reading: Reading, preset: dict[str, Any]) -> Reading:
    """The preset's reading where the user said nothing else."""
    given = reading.to_json()
    silent = Reading().to_json()
    wanted = {k: v for k, v in preset.get("reading", {}).items() if given[k] == silent[k]}
    return Reading.from_json({**given, **wanted})


def _budget(entry: registry.Entry, preset: dict[str, Any], epochs: int, steps: int, minutes: float) -> dict[str, Any]:
    if sum(bool(x) for x in (epochs, steps, minutes)) > 1:
        raise InputError("give one of --epochs, --steps and --minutes")
    for name, value in (("epochs", epochs), ("steps", steps), ("minutes", minutes)):
        if not value >= 0:
            raise InputError(f"--{name} {value}: expected a number above 0")
    if not (epochs or steps or minutes):
        steps = preset.get("steps", 0)
        epochs = 0 if steps else preset.get("epochs", entry.epochs)
    return {"epochs": epochs, "steps": steps, "minutes": minutes}


def _versions() -> dict[str, str]:
    import numpy

    return {
        "elboroom": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "processor": _processor(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
