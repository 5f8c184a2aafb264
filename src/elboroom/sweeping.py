"""A sweep: one model on one set of data, over values of its settings and over seeds; every member a run of its own.

Members that differ in numbers only train together in one pass (engine/stacked.py); the others one after another. What
the sweep itself keeps is sweep.json, which names the members and holds their measures, and report.html.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from elboroom import __version__
from elboroom.artifacts import files
from elboroom.artifacts.run import RunFolder, alone_in
from elboroom.core.errors import InputError, Stopped
from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read
from elboroom.fitting import SPLIT_SEED, fit, resume
from elboroom.processes import world
from elboroom.request import Request
from elboroom.run import Run, load
from elboroom.sweeping_members import Planned, chosen_values, grouped, planned
from elboroom.sweeping_stack import Asked, chunks, taken_up, together
from elboroom.sweeping_table import settings_table
from elboroom.training import Event, Training, configured

__all__ = ["Sweep", "open_sweep", "sweep"]

FORMAT, SCHEMA = "elboroom-sweep", 1


class Sweep:
    """A sweep on disk: `path`, `members` with their measures, `table` by setting, `runs` ready to use."""

    def __init__(self, path: Path, *, source: Any = None, temporary: Path | None = None) -> None:
        self.path = path
        self.meta: dict[str, Any] = files.read_json(path / "sweep.json")
        self._source = source
        if temporary is not None:  # goes with this object
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)

    def __repr__(self) -> str:
        done = sum(member["state"] == "done" for member in self.members)
        return f"Sweep({self.path}: {self.meta['model']}, {done} of {len(self.members)} members done)"

    def __len__(self) -> int:
        return len(self.members)

    @property
    def members(self) -> list[dict[str, Any]]:
        """One dict a member: name, over, seed, state, why, metrics."""
        found: list[dict[str, Any]] = self.meta["members"]
        return found

    @property
    def table(self) -> list[dict[str, Any]]:
        """One dict a setting: over, seeds, and measures with their means and 95 % intervals over seeds."""
        return settings_table(self.members)

    @property
    def runs(self) -> list[Run]:
        """The finished runs, in the order of `members`."""
        done = [member["name"] for member in self.members if member["state"] == "done"]
        return [load(self.path / name, source=self._source) for name in done]

    def run(self, **where: Any) -> Run:
        """The one finished run with these values, as in `run(beta=4, seed=1)`."""
        asked = json.loads(json.dumps(where, default=str))  # a tuple is a list in sweep.json
        found = [
            m["name"]
            for m in self.members
            if m["state"] == "done" and all({**m["over"], "seed": m["seed"]}.get(k) == v for k, v in asked.items())
        ]
        if len(found) != 1:
            raise InputError(f"{len(found)} finished members have {where}; name values and seed until one is left")
        return load(self.path / found[0], source=self._source)

    def report(self) -> Path:
        """Write report.html and give its path."""
        from elboroom.report.build import sweep_html

        files.write_text(self.path / "report.html", sweep_html(self.path))
        return self.path / "report.html"


def open_sweep(path: str | Path) -> Sweep:
    """The sweep in a folder."""
    folder = Path(path)
    if not (folder / "sweep.json").is_file():
        raise InputError(f"{path}: holds no sweep.json; name a folder that `elboroom sweep` made")
    return Sweep(folder)


def sweep(
    model: str,
    source: Any,
    *,
    over: Mapping[str, Sequence[Any]] | None = None,
    seeds: int = 1,
    seed: int = 0,
    run: str | Path | None = None,
    reading: Reading | None = None,
    settings: Mapping[str, Any] | None = None,
    save_every: float = 60.0,
    samples: int = 0,
    force: bool = False,
    or_resume: bool = False,
    stop_hopeless: bool = False,
    repeats: Callable[[Planned], str] = lambda member: "",
    command: str = "",
    progress: Callable[[Event], None] = lambda event: None,
    **fitted: Any,
) -> Sweep:
    """Train every combination of the values in `over`, each with `seeds` seeds from `seed` on.

    `run`: the folder (None: a temporary one). `fitted` are keywords of `fit`: preset, epochs or steps, device,
    precision, compile, threads. Members that fail are named in the answer; Stopped is raised after a signal only.
    """
    if world() > 1:
        raise InputError("a sweep is of one process; start it without torchrun")
    members = planned(model, over or {}, settings or {}, seeds=seeds, seed=seed)
    asked = Asked(
        model=model,
        fit={"reading": reading, **fitted},
        save_every=save_every,
        samples=samples,
        stop_hopeless=stop_hopeless,
        repeats=repeats,
    )
    if fitted.get("minutes"):
        raise InputError("a sweep takes --epochs or --steps: members that train unequally long cannot be compared")
    requests = [asked.request(member) for member in members]  # everything wrong is refused before data are read
    dataset = read(source, requests[0].reading, seed=SPLIT_SEED)
    for request in requests[::seeds]:
        _accepted(request, dataset)
    temporary = Path(tempfile.mkdtemp(prefix="elboroom-")) if run is None else None
    place = (temporary / f"sweep-{model}-{dataset.name}") if temporary else Path(str(run)).expanduser().absolute()
    doing = _Doing(place, members, asked, source, dataset, progress)
    doing.meta |= {
        "over": chosen_values(requests[0].entry, over or {}, settings or {}),
        "seeds": [seed + i for i in range(seeds)],
        "settings": dict(settings or {}),
        "asked": {name: value for name, value in fitted.items() if value and name in ("preset", "epochs", "steps")},
        "runtime": {name: fitted[name] for name in ("device", "precision") if fitted.get(name)},
        "command": command,
    }
    with ExitStack() as held:
        doing.claim(held, force=force, or_resume=or_resume)
        doing.carry_through()
    return Sweep(place, source=source, temporary=temporary)


def _accepted(request: Request, dataset: Dataset) -> Training:
    """A training that is not begun, on a copy of the data: what a member chooses of their columns is its own.

    Raises what the data refuse.
    """
    own = replace(dataset)
    return Training(request.accepting(own).describe(own, ""), own, None)


class _Doing:
    """A sweep at work."""

    def __init__(
        self,
        place: Path,
        members: list[Planned],
        asked: Asked,
        source: Any,
        dataset: Dataset,
        progress: Callable[[Event], None],
    ) -> None:
        self.place, self.members, self.asked, self.source, self.dataset = place, members, asked, source, dataset
        self.progress = progress
        self.began = time.monotonic()
        self.meta: dict[str, Any] = {
            "format": FORMAT,
            "schema_version": SCHEMA,
            "created_by": f"elboroom {__version__}",
            "name": place.name,
            "model": asked.model,
            "data": dataset.source or dataset.name,
            "fingerprint": dataset.fingerprint,
            "reading": dataset.reading.to_json(),
        }
        self.stacks: list[list[str]] = []
        """Names of the members that train in one pass."""

    def claim(self, held: ExitStack, *, force: bool, or_resume: bool) -> None:
        """Have the folder, locked into `held`: a new or empty one, that of this same sweep (`or_resume`) or any
        sweep's (`force`)."""
        known = self.place / "sweep.json"
        if not known.is_file():
            if self.place.exists() and (not self.place.is_dir() or any(p.name != "lock" for p in self.place.iterdir())):
                raise InputError(f"{self.place}: holds files and is no sweep; name a new or empty folder with --run")
            files.make_folder(self.place)
        elif not force and not or_resume:
            raise InputError(
                f"{self.place}: holds a sweep already; --or-resume goes on with it, --force replaces it, "
                "or name another folder with --run"
            )
        files.probe(self.place)
        held.enter_context(alone_in(self.place))
        if known.is_file():
            before = files.read_json(known)
            if or_resume:
                self.go_on_with(before)
            else:
                for member in before.get("members", []):
                    self.remove(Path(str(member.get("name", ""))).name)
        self.write("running")

    def go_on_with(self, before: dict[str, Any]) -> None:
        """Take up what was begun; raises InputError where it is another sweep."""
        same = ("model", "fingerprint", "over", "seeds", "settings", "asked", "reading", "runtime")
        mine = json.loads(json.dumps(self.meta))  # a tuple is a list there
        differs = next((key for key in same if key in before and before[key] != mine[key]), "")
        if differs:
            raise InputError(f"{self.place}: holds another sweep, its {differs} differ; name another folder with --run")
        self.stacks = [list(names) for names in before.get("stacks", [])]

    def remove(self, name: str) -> None:
        """Remove a member's folder; one that another process is training is refused."""
        old = self.place / name
        if (old / "run.json").is_file():
            with RunFolder.open(old).lock():
                files.remove_tree(old)

    # -- the members ---------------------------------------------------------------------------------------------------

    def carry_through(self) -> None:
        """Train every member that is not done, then write the page."""
        try:
            for group in self.groups():
                self.train(group)
        except Stopped as stopped:
            self.write("stopped", str(stopped))
            raise
        self.write("done")
        self.progress({"kind": "phase", "message": "writing the page of the sweep"})
        Sweep(self.place).report()

    def groups(self) -> list[list[Planned]]:
        """What trains in one pass; after a kill the stacks that were begun, so that they walk on with the same bits."""
        by_name = {member.name: member for member in self.members}
        begun = [[by_name[name] for name in names if name in by_name] for names in self.stacks]
        rest = [member for member in self.members if not any(member in group for group in begun)]
        return begun + [part for group in grouped(rest) for part in self.cut(group)]

    def cut(self, group: list[Planned]) -> list[list[Planned]]:
        """A group in parts small enough to gain by stacking."""
        if len(group) == 1:
            return [group]
        training = _accepted(self.asked.request(group[0], compile="off"), self.dataset)
        operations = sum(cost.operations for cost in training.costs())
        return chunks(group, operations, training.device.type)

    def train(self, group: list[Planned]) -> None:
        """One group: together where it can be, else one after another."""
        left = [member for member in group if not self.settled(member)]
        done = [member for member in group if self.state(member) == "done"]
        for member in done:
            resume(self.place / member.name, source=self.source)  # makes card and report again where they are missing
        if len(left) > 1 and self.in_one_pass(left):
            return
        for member in left:
            self.alone(member)

    def state(self, member: Planned) -> str:
        """What run.json of the member says; "" before it began."""
        path = self.place / member.name
        return str(RunFolder.open(path).meta["state"]) if (path / "run.json").is_file() else ""

    def settled(self, member: Planned) -> bool:
        """Whether nothing is left to do: done, not finite any more, or stopped as hopeless; a full disk is no end."""
        state = self.state(member)
        meta = RunFolder.open(self.place / member.name).meta if state else {}
        return state == "done" or bool(
            (state == "failed" and meta.get("not_finite")) or (state == "stopped" and meta.get("hopeless"))
        )

    def in_one_pass(self, members: list[Planned]) -> bool:
        """Train them as one stack; False where they cannot be one."""
        begun = [member for member in members if self.state(member)]
        with ExitStack() as locks:
            if len(begun) == len(members):
                made = taken_up(members, self.asked, self.dataset, self.place, locks)
                reason = "their states are of different steps"
            else:
                if any(max(RunFolder.open(self.place / m.name).checkpoints.steps(), default=0) for m in begun):
                    return False
                for member in begun:  # a kill left some of the folders made, at step 0
                    self.remove(member.name)
                self.progress({"kind": "phase", "message": f"preparing one pass for {len(members)} members"})
                found = together(members, self.asked, self.dataset, self.place, locks)
                made, reason = (None, found) if isinstance(found, str) else (found, "")
            if made is not None:
                names = [member.name for member in members]
                if names not in self.stacks and not any(set(names) <= set(known) for known in self.stacks):
                    self.stacks.append(names)
                self.write("running")
                with configured(made.trainings[0].meta):
                    made.run(self.asked, self.progress)
                self.write("running")
                return True
        self.progress({"kind": "phase", "message": f"{len(members)} members train one after another: {reason}"})
        return False

    def alone(self, member: Planned) -> None:
        """One member by itself; one that fails does not end the sweep."""
        self.progress({"kind": "phase", "message": f"member {member.name}"})
        try:
            fit(
                self.asked.model,
                self.source,
                run=self.place / member.name,
                settings=member.settings,
                seed=member.seed,
                save_every=self.asked.save_every,
                samples=self.asked.samples,
                or_resume=True,
                command=self.asked.repeats(member),
                progress=self.progress,
                **self.asked.fit,
            )
        except Stopped as stopped:
            if stopped.state != "failed":
                raise
            self.progress({"kind": "warning", "message": f"{member.name}: {stopped}"})
        self.write("running")

    # -- what is kept --------------------------------------------------------------------------------------------------

    def write(self, state: str, why: str = "") -> None:
        """sweep.json as things stand."""
        members = [self.described(member) for member in self.members]
        took_s = round(time.monotonic() - self.began, 3)
        known = {"state": state, "why": why, "took_s": took_s, "stacks": self.stacks, "members": members}
        files.write_json(self.place / "sweep.json", {**self.meta, **known})

    def described(self, member: Planned) -> dict[str, Any]:
        """A member as sweep.json names it."""
        out: dict[str, Any] = {"name": member.name, "over": member.over, "seed": member.seed}
        path = self.place / member.name
        if not (path / "run.json").is_file():
            return {**out, "state": "waiting", "why": "", "step": 0, "metrics": {}}
        folder = RunFolder.open(path)
        meta = folder.meta
        metrics = files.read_json(folder.metrics) if meta["state"] == "done" and folder.metrics.is_file() else {}
        shown = {
            name: {key: m.get(key) for key in ("value", "low", "high", "unit")} for name, m in sorted(metrics.items())
        }
        return {**out, "state": meta["state"], "why": meta["why"], "step": meta["step"], "metrics": shown}
