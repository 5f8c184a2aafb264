"""K trainings of one shape in one pass: the traced step mapped over members, each with its own draws and numbers.

Members are models of one architecture on the same rows, whose settings differ in numbers only (beta, a step size, a
seed). The steps of small nets cost more in calls than in arithmetic, so K of them at once cost little more than one.

The one idea: every tensor of a member (parameters, buffers, optimiser, sums of the logs) becomes a row of one tensor
that holds all members', and the member's own tensor becomes a view of its row. The stacked step changes the rows in
place, so each member can be evaluated, sampled from and saved at any tick as if it were trained alone. What it draws
it draws from its own seed, as alone: draws are inputs of the graph (trace.lift_draws), and so are the numbers that
differ (alike.lift_constants). A member whose loss is no longer finite stands still; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from elboroom.core.phase import Phase
from elboroom.engine.alike import Unlike, lift_constants
from elboroom.engine.inductor import inductor
from elboroom.engine.programs import Program, Raw, flat_step
from elboroom.engine.runtime import mix, seed_draws
from elboroom.engine.trace import Draw, Graph, Losses, Names, lift_draws, names_of, trace
from elboroom.engine.train import Rows

__all__ = ["Member", "Seat", "Stack", "StackTick", "Unlike", "train_stack"]


class Seat(Program):
    """One phase of one member: its state, which the stacked step changes. It takes no step of its own."""

    def __call__(self, raw: Raw, t: Tensor) -> None:
        raise RuntimeError("a member of a stack takes no step alone; step the stack")


@dataclass
class Member:
    """What a stack needs of one training; `seats` are made anew or taken up, one a phase."""

    losses: Losses
    phases: list[Phase]
    logs: list[tuple[str, ...]]
    """Names of the terms that each phase's loss reports."""
    seed: int
    settings: str
    """Equal texts make equal graphs: only one member of each is traced."""
    seats: list[Seat] = field(default_factory=list)


class Stacked:
    """One phase of all members, ready to run in place on their tensors."""

    def __init__(
        self,
        members: Sequence[Member],
        j: int,
        held: Sequence[tuple[Tensor, bool]],
        raw: Raw,
        t: Tensor,
        precision: str,
        compiled: bool,
    ) -> None:
        self.phase, self.place = members[0].phases[j], j
        self._keys = tuple(raw)
        count = len(members)
        steps = _lifted(members, j, raw, t, precision)
        modules, own = [module for module, _ in steps.values()], [steps[m.settings][1] for m in members]
        if len({tuple((d.target, d.shape, d.dtype) for d in draws) for draws in own}) > 1:
            raise Unlike("they draw different noise")
        module, constants = lift_constants(modules)
        which = torch.tensor([list(steps).index(m.settings) for m in members], device=t.device)
        self._constants = [c.index_select(0, which) for c in constants]
        self._noise = [torch.empty(count, *d.shape, dtype=d.dtype, device=t.device) for d in own[0]]
        self._drawn = _drawn(members, own, self._noise)
        self._fixed = [tensor for tensor, _ in held]
        inputs = [*self._fixed, *(v.expand(count, *v.shape).contiguous() for v in raw.values()), t]
        inputs += [*self._noise, *self._constants]
        shared = [
            *(one for _, one in held),
            *([False] * len(raw)),
            True,
            *([False] * (len(self._noise) + len(constants))),
        ]
        step = torch.vmap(_reshaping(module), in_dims=tuple(None if one else 0 for one in shared))
        with torch.no_grad():
            graph = trace(step, inputs)
            self._run: Callable[..., Any]
            self._run, self.entry = inductor(graph) if compiled else (graph.module, "interpreted")

    def __call__(self, raw: Raw, t: Tensor, bases: dict[int, int]) -> None:
        """One step of every member on raw batches (members, rows, ...); `bases`: mix(seed, step) by seed."""
        with torch.no_grad():
            for seed, draws, places, copies in self._drawn:
                seed_draws(bases[seed] + self.place)
                for draw, place in zip(draws, places, strict=True):
                    draw.fill_(place)
                for copy in copies:
                    for target, place in zip(copy, places, strict=True):
                        target.copy_(place)
            self._run(*self._fixed, *(raw[k] for k in self._keys), t, *self._noise, *self._constants)


_Turn = tuple[int, list[Draw], list[Tensor], list[list[Tensor]]]


def _drawn(members: Sequence[Member], draws: Sequence[list[Draw]], noise: Sequence[Tensor]) -> list[_Turn]:
    """What is drawn in a step: seed, draws, where they go, where they go too; equal draws of a seed are made once."""
    turns: dict[tuple[Any, ...], _Turn] = {}
    if not noise:
        return []
    for k, (member, own) in enumerate(zip(members, draws, strict=True)):
        places = [buffer[k] for buffer in noise]
        key = (member.seed, *(d.arguments for d in own))
        if key in turns:
            turns[key][3].append(places)
        else:
            turns[key] = (member.seed, own, places, [])
    return list(turns.values())


def _lifted(
    members: Sequence[Member], j: int, raw: Raw, t: Tensor, precision: str
) -> dict[str, tuple[torch.fx.GraphModule, list[Draw]]]:
    """The traced step of each kind of settings, its draws made inputs."""
    found: dict[str, tuple[torch.fx.GraphModule, list[Draw]]] = {}
    with torch.no_grad():
        for member in members:
            if member.settings in found:
                continue
            phase, seat = member.phases[j], member.seats[j]
            names, tensors = Names.of(member.losses, phase), names_of(member.losses)
            fixed = [tensors[n].detach() for n in (*names.train, *names.rest)]
            fixed += [x for slot in seat.slots.values() for x in slot] + [seat.totals, seat.bad]
            step = flat_step(member.losses, phase, names, seat.slots, tuple(raw), precision)
            graph: Graph = trace(step, [*fixed, *raw.values(), t])
            found[member.settings] = lift_draws(graph)
    return found


def _joined(tensors: Sequence[Tensor]) -> tuple[Tensor, bool]:
    """One tensor with a row for each of these, which become views of their rows; False.

    A tensor that is one and the same in all members, such as the numbers of the scaling, stays as it is; True.
    """
    if len(tensors) > 1 and all(x is tensors[0] for x in tensors):
        return tensors[0].detach(), True
    rows = torch.stack([x.detach() for x in tensors])
    for tensor, row in zip(tensors, rows.unbind(0), strict=True):
        tensor.data = row
    return rows, False


def _reshaping(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """The graph with `reshape` for `view`: mapped over members, a tensor may lie in another order."""
    for node in module.graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    module.recompile()
    return module


class Stack:
    """All phases of all members. Making one moves the members' tensors: nothing else may hold on to their memory."""

    def __init__(
        self, members: Sequence[Member], raw: Raw, t: Tensor, *, precision: str = "fp32", compiled: bool = False
    ) -> None:
        """`raw` is one member's batch, `t` progress as the losses get it.

        Raises Unlike where the members are no stack, RuntimeError where their step cannot be traced or mapped.
        """
        self.members = list(members)
        self.count = len(members)
        first = members[0]
        plan = [(p.name, p.every, p.window, p.watched) for p in first.phases]
        if any([(p.name, p.every, p.window, p.watched) for p in m.phases] != plan for m in members):
            raise Unlike("their phases run at other steps")
        self._same_shapes()
        for member in members:
            if not member.seats:
                member.seats = [
                    Seat(member.losses, phase, logs, precision)
                    for phase, logs in zip(member.phases, member.logs, strict=True)
                ]
        self.t = t.clone()
        every = [names_of(m.losses) for m in members]
        own = {name: _joined([tensors[name] for tensors in every]) for name in every[0]}
        self.bad, _ = _joined([m.seats[0].bad for m in members])
        """(members,): 1 from the first step on whose loss or gradient was not finite, in whichever phase."""
        for member in members:
            for seat in member.seats[1:]:
                seat.bad = member.seats[0].bad
        self.phases: list[Stacked] = []
        for j, phase in enumerate(first.phases):
            names, seats = Names.of(first.losses, phase), [m.seats[j] for m in members]
            held = [own[name] for name in (*names.train, *names.rest)]
            for slot, tensors in seats[0].slots.items():
                held += [_joined([seat.slots[slot][i] for seat in seats]) for i in range(len(tensors))]
            held += [_joined([seat.totals for seat in seats]), (self.bad, False)]
            self.phases.append(Stacked(members, j, held, raw, t, precision, compiled))

    def standing(self) -> set[int]:
        """Places of the members that stand still."""
        return {k for k, bad in enumerate(self.bad.tolist()) if bad}

    def _same_shapes(self) -> None:
        shapes = [{n: (x.shape, x.dtype) for n, x in names_of(m.losses).items()} for m in self.members]
        for one in shapes:
            differs = next((n for n in shapes[0] if one.get(n) != shapes[0][n]), "")
            if differs or len(one) != len(shapes[0]):
                raise Unlike(f"their {differs or 'tensors'} have different shapes")


@dataclass(frozen=True)
class StackTick:
    """A moment between two steps; as `Tick`, but for several."""

    step: int
    epoch: float
    ends_epoch: bool
    interrupted: bool
    failed: dict[int, str]
    """Members whose step was not finite since the tick before, by place, each with its phase. They stand at
    `step` - 1 and take no further step."""


def train_stack(
    stack: Stack,
    stream: Rows,
    *,
    steps: int,
    planned: int,
    start: int = 0,
    every: int = 50,
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[StackTick]:
    """Steps `start` .. `steps` - 1 of all members; `stream` gives raw batches (members, rows, ...).

    Ticks as `train` does, and after the step in which a member fails. On a device other than the host a failure is
    seen at the next tick. Ends when no member is left.
    """
    t, seeds = stack.t, sorted({m.seed for m in stack.members})
    on_host = t.device.type == "cpu"
    gone: set[int] = set()
    for step in range(start, steps):
        raw = stream.rows(step)
        t.fill_(min(step, planned - 1) / planned)
        bases = {seed: mix(seed, step) for seed in seeds}
        failed: dict[int, str] = {}
        for stacked in stack.phases:
            if stacked.phase.due(step, planned):
                stacked(raw, t, bases)
                if on_host and bool(stack.bad.any()):
                    failed |= dict.fromkeys(stack.standing() - gone - set(failed), stacked.phase.name)
        done = step + 1
        ends_epoch, stop = done % stream.steps_per_epoch == 0, interrupted()
        ticking = ends_epoch or done % every == 0 or done == steps or stop
        if ticking and not on_host:
            failed = dict.fromkeys(stack.standing() - gone, stack.phases[0].phase.name)
        gone |= set(failed)
        if ticking or failed:
            yield StackTick(done, done / stream.steps_per_epoch, ends_epoch, stop, failed)
            if stop or len(gone) == stack.count:
                return
