"""C1: the adding problem of Hochreiter & Schmidhuber 1997 over 50, 100 and 200 steps: gated cells and a vanilla RNN.

A net reads numbers and, beside them, two marks, and says after the last step the sum of the two marked numbers; who
always says 1 has a mean squared error of 1/6 = 0.167. Bai, Kolter & Koltun 2018 (arXiv 1803.01271) report for 600 steps
and 70,000 weights: RNN .177, LSTM .164, GRU 5.3e-5; fewer steps are known to be within an LSTM's reach.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.recipe import Options, round_off
from benchmarks.record import Result
from elboroom.core.chance import mix
from elboroom.data.timing import adding
from elboroom.nn.recurrent import Cell, Recurrent

__all__ = ["run"]

NAME = "c1_adding"
LENGTHS = (50, 100, 200)
STEPS, ROWS, EVERY, SEEDS, SOLVED = 2000, 32, 100, 3, 1e-3


@dataclass(frozen=True)
class Contestant:
    """About 4,600 weights each."""

    cell: Cell
    hidden: int
    lr: float = 1e-2
    chrono: bool = False
    """Whether the gates begin as if dependences were as long as the rows (Tallec & Ollivier 2018)."""


CONTESTANTS = {
    "lstm": Contestant("lstm", 32, chrono=True),
    "lstm, forget bias 1": Contestant("lstm", 32),
    "peephole": Contestant("peephole", 32, chrono=True),
    "gru": Contestant("gru", 37),
    "rnn": Contestant("rnn", 66, lr=1e-3),
}
GOALS = {("lstm", 200): "<= 0.01", ("rnn", 200): ">= 0.1"}
PROTOCOL = (
    "one layer of nn/recurrent.py and a linear map of its last output, about 4,600 weights; lstm and peephole begin "
    "with chrono = the number of steps, or with forget bias 1; Adam 1e-2 (RNN 1e-3) along a cosine to a hundredth, "
    f"gradient cut to norm 1; at most {STEPS:,} steps of {ROWS} fresh rows; "
    f"every {EVERY} steps 1,000 held-out rows are looked at, and training ends where their error is at most "
    f"{SOLVED:g}; error of 2,000 other rows, mean of {SEEDS} seeds with the extremes; numbers of U[0, 1], a mark in "
    "each half"
)


class Adder(nn.Module):
    """(B, T, 2) to sums (B,)."""

    def __init__(self, who: Contestant, length: int) -> None:
        super().__init__()
        self.net = Recurrent(2, who.hidden, cell=who.cell, chrono=length if who.chrono else 0)
        self.head = nn.Linear(who.hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.net(x)[0][:, -1])[:, 0]
        return out


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "20 steps, 1 seed, 10 steps of time")
    result.data = {"name": "drawn by elboroom.data.timing.adding"}
    result.commands.append(f"python -m benchmarks {NAME}")
    torch.set_num_threads(options.threads)
    for length in (10,) if options.short else LENGTHS:
        for name, who in CONTESTANTS.items():
            seeds, steps_ = (1, 20) if options.short else (SEEDS, STEPS)
            found = [one(who, length, seed, steps_) for seed in range(seeds)]
            errors = [f["mse"] for f in found]
            solved, steps = sum(e <= 0.01 for e in errors), statistics.median(f["steps"] for f in found)
            how = (
                f"{solved} of {len(found)} seeds at or below 0.01; {steps:,.0f} steps of "
                f"{statistics.median(f['ms_a_step'] for f in found):.3g} ms (medians); {found[0]['weights']:,} weights"
            )
            result.add(
                f"{length} steps: {name}", round_off(statistics.mean(errors)), "MSE", GOALS.get((name, length), ""),
                low=round_off(min(errors)), high=round_off(max(errors)), how=how,
            )  # fmt: skip
            result.details.setdefault(str(length), {})[name] = found
        result.add(f"{length} steps: who always says 1", round_off(trivial(length)), "MSE")
    return result


def held_out(length: int, rows: int, purpose: str) -> tuple[Tensor, Tensor]:
    """Rows that are the same for all nets."""
    x, y = adding(np.random.default_rng(mix(0, "adding", purpose)), rows, length)
    return torch.from_numpy(x), torch.from_numpy(y)


def trivial(length: int) -> float:
    _, y = held_out(length, 2000, "test")
    return float((y - 1).square().mean())


def one(who: Contestant, length: int, seed: int, steps: int) -> dict[str, Any]:
    """Train one net, and its error on the test rows."""
    torch.manual_seed(seed)
    model = Adder(who, length)
    began, took = time.perf_counter(), 0
    curve = []
    for took, error in training(model, who.lr, length, seed, steps):
        curve.append([took, round_off(error)])
        if error <= SOLVED:
            break
    seconds = time.perf_counter() - began
    return {
        "seed": seed, "mse": round_off(measured(model, *held_out(length, 2000, "test"))), "steps": took,
        "ms_a_step": round_off(1e3 * seconds / took), "weights": sum(p.numel() for p in model.parameters()),
        "curve": curve,
    }  # fmt: skip


def training(model: Adder, lr: float, length: int, seed: int, steps: int) -> Iterator[tuple[int, float]]:
    """The held-out error from time to time."""
    rng = np.random.default_rng(mix(seed, "adding", "training"))
    adam = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps, lr / 100)
    valid = held_out(length, 1000, "valid")
    for step in range(1, steps + 1):
        x, y = (torch.from_numpy(part) for part in adding(rng, ROWS, length))
        adam.zero_grad()
        (model(x) - y).square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        schedule.step()
        if step % EVERY == 0 or step == steps:
            yield step, measured(model, *valid)


@torch.no_grad()
def measured(model: Adder, x: Tensor, y: Tensor) -> float:
    """Mean squared error."""
    return float((model(x) - y).square().mean())
