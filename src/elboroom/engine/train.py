"""The loop, as a generator of ticks: the caller's plain `for` logs, evaluates, saves, draws samples and stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from elboroom.engine.programs import Program
from elboroom.engine.runtime import mix, seed_draws

__all__ = ["Rows", "Tick", "train"]


class Rows(Protocol):
    """What the loop asks of a stream: the raw batch of a step, and how many steps make an epoch."""

    @property
    def steps_per_epoch(self) -> int: ...
    def rows(self, step: int) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Tick:
    """A moment between two steps at which the caller may do as it likes; all state is consistent."""

    step: int
    """Steps done."""
    epoch: float
    ends_epoch: bool
    interrupted: bool
    failed: str
    """Name of the phase whose loss or gradient was not finite, else ""."""


def train(
    programs: Sequence[Program],
    stream: Rows,
    *,
    steps: int,
    planned: int,
    seed: int,
    start: int = 0,
    every: int = 50,
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[Tick]:
    """Run steps `start` .. `steps` - 1, ticking every `every` steps, at each end of an epoch and at the end.

    `planned` is the length progress t is measured by; steps past it run at the last t. The draws of phase j at step i
    follow mix(seed, i) + j. A tick with `failed` or `interrupted` is the last one.
    """
    if start >= steps:
        return
    t = torch.zeros((), dtype=programs[0].params[0].dtype, device=programs[0].params[0].device)
    per_epoch, rows, fill, last = stream.steps_per_epoch, stream.rows, t.fill_, planned - 1
    on_host = t.device.type == "cpu"
    # what does not change is looked up once: on the smallest nets a step is a tenth of a millisecond
    numbered = [(j, program, program.phase.always) for j, program in enumerate(programs)]
    for step in range(start, steps):
        raw = rows(step)
        fill((step if step < last else last) / planned)
        base = mix(seed, step)
        failed = ""
        for j, program, always in numbered:
            if always or program.phase.due(step, planned):
                seed_draws(base + j)
                program(raw, t)
                if on_host and program.failed():
                    failed = program.phase.name
                    break
        done = step + 1
        ends_epoch, stop = done % per_epoch == 0, interrupted()
        if ends_epoch or done % every == 0 or done == steps or stop or failed:
            failed = failed or next((p.phase.name for p in programs if p.failed()), "")
            # a failed step did not happen: the state is that of the step before
            yield Tick(step if failed else done, done / per_epoch, ends_epoch, stop, failed)
            if stop or failed:
                return
