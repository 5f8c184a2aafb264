"""The timing tasks of C1 for nets of one cell: what a net is asked, how it is trained, and when it has solved its task.

Shapes: T steps, N nets, B sequences a net.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from benchmarks.one_cell import ROWS, WEIGHTS, Adam, Array, Nets, sigmoid
from elboroom.data.timing import periodic, spike_delays, timed_spikes

__all__ = ["Delays", "Member", "Outcome", "Settings", "Spikes", "Task", "Wave", "train"]

EVERY, PERIODS, STRETCH = 500, 1000, 400
"""Training steps between tests; periods in a row that solve a task; steps of time tested at once."""


@dataclass(frozen=True)
class Task(ABC):
    """One task; `rows` sequences make a training step."""

    period: int
    tolerance: ClassVar[float] = 0.49
    sigmoid: ClassVar[bool] = True
    """Whether the output is squashed; the paper squashes all but waves."""
    rows: ClassVar[int] = 1

    @property
    @abstractmethod
    def name(self) -> str: ...

    @abstractmethod
    def stream(self, seed: Sequence[int], rows: int, first: int, steps: int) -> tuple[Array, Array, Array]:
        """Inputs, targets and where they count, each (T, rows), from step `first` on."""

    def ends(self, first: int, asked: Array) -> Array:
        """(T,): whether a period ends at each step from `first` on, for one row's `asked` (T,)."""
        out: Array = np.arange(first, first + len(asked)) % self.period == 0
        return out


@dataclass(frozen=True)
class Spikes(Task):
    """GTS: a spike at each multiple of the period, out of nothing."""

    @property
    def name(self) -> str:
        return f"GTS, period {self.period}"

    def stream(self, seed: Sequence[int], rows: int, first: int, steps: int) -> tuple[Array, Array, Array]:
        return unprompted(timed_spikes(self.period, first, steps))


@dataclass(frozen=True)
class Wave(Task):
    """PFG: a wave out of nothing."""

    wave: str
    tolerance = 0.3
    sigmoid = False

    @property
    def name(self) -> str:
        return f"PFG, {self.wave}, period {self.period}"

    def stream(self, seed: Sequence[int], rows: int, first: int, steps: int) -> tuple[Array, Array, Array]:
        return unprompted(periodic(self.wave, self.period, first, steps))


@dataclass(frozen=True)
class Delays(Task):
    """MSD: at each spike, say whether it came a step late."""

    rows = 4

    @property
    def name(self) -> str:
        return f"MSD, period {self.period}"

    def stream(self, seed: Sequence[int], rows: int, first: int, steps: int) -> tuple[Array, Array, Array]:
        found = spike_delays(np.random.default_rng(seed), self.period, rows, first - 1 + steps)
        x, target, asked = (part[:, first - 1 :].T for part in found)
        return x, target, asked

    def ends(self, first: int, asked: Array) -> Array:
        return asked


def unprompted(target: Array) -> tuple[Array, Array, Array]:
    """One row without input, all of it asked for."""
    return np.zeros_like(target)[:, None], target[:, None], np.ones((len(target), 1), bool)


@dataclass(frozen=True)
class Settings:
    """What is tuned."""

    lr: float
    forget_bias: float
    input_bias: float
    output_bias: float
    spread: float
    """Weights begin in U[-spread, spread]."""
    periods: int
    """Length of a training stream."""
    stops: bool
    """Whether a stream ends at its first failure, as in the paper."""
    emphasis: float
    """Spikes weigh 1 + emphasis (period - 2) in GTS: 1 as much as all other steps together."""
    squared: bool
    """Squared error in place of the cross-entropy, where the output is squashed."""
    anneal: bool
    """Whether lr falls to a hundredth along a cosine."""

    @classmethod
    def draw(cls, rng: np.random.Generator, family: str) -> Settings:
        """At random, from ranges that were set by trials with other seeds."""

        def between(low: float, high: float) -> float:
            return round(float(rng.uniform(low, high)), 2)

        def log_between(low: float, high: float) -> float:
            return float(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.2g}")

        waves, delays = family == "PFG", family == "MSD"
        return cls(
            lr=log_between(0.006, 0.04),
            forget_bias=between(1, 4) if delays else between(-1, 3) if waves else between(-2, 1),
            input_bias=between(-3, 0) if family == "GTS" else between(-2, 1),
            output_bias=between(-2, 2) if delays else between(-1, 2),
            spread=log_between(0.05, 0.4),
            periods=int(rng.integers(3, 9 if waves else 7)),
            stops=bool(rng.integers(2)) if delays else not waves,
            emphasis=float(rng.choice([0.03, 0.1, 0.3])),
            squared=bool(rng.integers(2)),
            anneal=bool(rng.integers(2)),
        )


@dataclass(frozen=True)
class Member:
    """One net and what it is to learn."""

    task: Task
    settings: Settings
    seed: int
    peepholes: bool


@dataclass
class Outcome:
    """What became of a net."""

    seed: int
    solved_at: int = 0
    """The training step at which it stood the test; 0: never."""
    longest: int = 0
    """Most periods in a row that it made in a test, up to `PERIODS`."""


def begin(members: Sequence[Member]) -> Nets:
    """The same weights for a seed with peepholes and without, which begin and stay at 0 there."""
    weights, free = np.ones((2, WEIGHTS, len(members)), np.float32)
    for n, m in enumerate(members):
        weights[:, n] = np.random.default_rng([m.seed, 0]).uniform(-1, 1, WEIGHTS) * m.settings.spread
        free[ROWS["peephole"], n] = m.peepholes
        s = m.settings
        weights[ROWS["bias"], n] += (s.input_bias, s.forget_bias, 0, s.output_bias)
    return Nets(weights * free, free)


def each(members: Sequence[Member], take: Callable[[Member], Any]) -> Array:
    """(1, N, 1) of one number a member."""
    out: Array = np.array([take(m) for m in members])[None, :, None]
    return out


def streams(members: Sequence[Member], purpose: int, rows: int, first: int, steps: int) -> tuple[Array, Array, Array]:
    """Inputs, targets and where they count, each (T, N, B); nets of one task and seed are given the same."""
    known: dict[tuple[Task, int], tuple[Array, Array, Array]] = {}
    for m in members:
        if (m.task, m.seed) not in known:
            known[m.task, m.seed] = m.task.stream([m.seed, purpose], rows, first, steps)
    parts = zip(*(known[m.task, m.seed] for m in members), strict=True)
    x, target, asked = (np.stack(part, 1) for part in parts)
    return x, target, asked


def train(members: Sequence[Member], steps: int) -> tuple[list[Outcome], Nets]:
    """Train all of them side by side for so many steps; a net that has solved its task is tested no more."""
    nets, adam = begin(members), Adam(clip=1.0)
    rows = members[0].task.rows
    length = max(m.settings.periods * m.task.period for m in members)
    squashed = each(members, lambda m: m.task.sigmoid)
    tolerance = each(members, lambda m: m.task.tolerance)
    squared = each(members, lambda m: m.settings.squared or not m.task.sigmoid)
    stops = each(members, lambda m: m.settings.stops)
    inside = np.arange(length)[:, None, None] < each(members, lambda m: m.settings.periods * m.task.period)
    emphasis = each(members, lambda m: m.settings.emphasis * (m.task.period - 2) * isinstance(m.task, Spikes))
    lr, anneal = (each(members, take)[0, :, 0] for take in (lambda m: m.settings.lr, lambda m: m.settings.anneal))
    outcomes = [Outcome(m.seed) for m in members]
    x, target, asked = streams(members, 1, rows, 1, length)
    for step in range(steps):
        if rows > 1:
            x, target, asked = streams(members, step + 2, rows, 1, length)
        z, seen = nets.read(x)
        y = np.where(squashed, sigmoid(z), z)
        failed = asked & (np.abs(y - target) >= tolerance)
        before = np.cumsum(failed, 0, dtype=np.int32) - failed
        counted = asked & inside & ~(stops & (before > 0))
        slope = np.where(squared, 2 * np.where(squashed, y * (1 - y), 1), 1)
        error = (y - target) * slope * (1 + emphasis * target) * counted / np.maximum(counted.sum((0, 2)), 1)[:, None]
        cosine = 0.505 + 0.495 * math.cos(math.pi * step / steps)
        adam.step_(nets, nets.gradient(seen, error.astype(np.float32)), lr * np.where(anneal, cosine, 1))
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            judge(members, nets, outcomes, step + 1)
    return outcomes, nets


def judge(members: Sequence[Member], nets: Nets, outcomes: list[Outcome], step: int) -> None:
    """Test every net that has not solved its task; it has where it makes `PERIODS` periods without a failure."""
    open_ = [n for n, o in enumerate(outcomes) if not o.solved_at]
    for n, periods in zip(open_, in_a_row([members[n] for n in open_], nets.pick(open_)), strict=True):
        outcomes[n].longest = max(outcomes[n].longest, periods)
        outcomes[n].solved_at = step if periods >= PERIODS else 0


def in_a_row(members: Sequence[Member], nets: Nets) -> list[int]:
    """Periods (or spikes, in MSD) that each makes in a row from an empty state, up to `PERIODS`."""
    made, going = np.zeros(len(members), int), np.arange(len(members))
    first = 1
    state: tuple[Array, Array] | None = None
    while len(going):
        left = [members[int(n)] for n in going]
        x, target, asked = streams(left, 0, 1, first, STRETCH)
        z, seen = nets.pick(going).read(x, state)
        y = np.where(each(left, lambda m: m.task.sigmoid), sigmoid(z), z)
        failed = (asked & (np.abs(y - target) >= each(left, lambda m: m.task.tolerance)))[..., 0]
        good = np.cumsum(failed, 0) == 0
        ends = np.stack([m.task.ends(first, a) for m, a in zip(left, asked[..., 0].T, strict=True)], 1)
        made[going] += (good & ends).sum(0)
        stays = good.all(0) & (made[going] < PERIODS)
        state = (seen.state[0][stays], seen.state[1][stays])
        first, going = first + STRETCH, going[stays]
    return [min(int(n), PERIODS) for n in made]
