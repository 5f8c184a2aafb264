"""P3 in one process: a stack of sixteen trainings, and one of them alone, eager and compiled, taking turns.

All go the way `sweep` and `fit` go: order, draws and progress by the engine's loops, the means of the logs read at each
tick. Left out for all alike are looks at held-out data, checkpoints and lines of history.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

from elboroom_engine import described  # type: ignore[import-not-found]
from wire import connect  # type: ignore[import-not-found]

from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read
from elboroom.data.stream import Streams
from elboroom.engine.stacked import Member, Stack, train_stack
from elboroom.engine.train import train
from elboroom.plan import chosen, read_runtime
from elboroom.training import Training, configured

BETAS, SEEDS = (0.5, 1.0, 2.0, 4.0), (0, 1, 2, 3)


def training_of(args: Any, dataset: Dataset, beta: float, seed: int) -> Training:
    """One member, as run.json would describe it."""
    args.seed, settings = seed, json.loads(args.settings)
    args.settings, before = json.dumps({**settings, "beta": beta}), args.settings
    meta = described(args, len(dataset.parts["train"]))
    args.settings = before
    training = Training(meta, dataset, None)
    asked = read_runtime(args.device, "fp32", "off", args.threads, seed, 1)
    meta["runtime"] = chosen(asked, training.costs(), 1, "auto")[0].to_json()
    return training


def alone(args: Any, dataset: Dataset, compile: str, steps: int) -> Callable[[], None]:
    """The first member by itself."""
    training = training_of(args, dataset, BETAS[1], SEEDS[0])
    training.meta["runtime"]["compile"] = compile
    training.assemble(training.costs())

    def run() -> None:
        for _ in train(training.programs, training.stream, steps=steps, planned=steps, seed=training.seed):
            for program in training.programs:
                program.means()

    return run


def stacked(args: Any, dataset: Dataset, compiled: bool, steps: int) -> Callable[[], None]:
    """All members in one pass."""
    trainings = [training_of(args, dataset, beta, seed) for beta, seed in itertools.product(BETAS, SEEDS)]
    logs = [cost.logs for cost in trainings[0].costs()]
    for training in trainings:
        training.model.train()
    members = [Member(t.losses, t.phases, logs, t.seed, json.dumps(t.meta["settings"])) for t in trainings]
    first = trainings[0]
    stack = Stack(members, first.stream.rows(0), first.progress_tensor(), compiled=compiled)
    streams = Streams([t.stream for t in trainings])

    def run() -> None:
        for _ in train_stack(stack, streams, steps=steps, planned=steps):
            for member in members:
                for seat in member.seats:
                    seat.means()

    return run


def main() -> None:
    wire = connect(model="beta_vae", scale="unit", settings="{}", precision="fp32", compile="off", forms="off")
    args = wire.args
    dataset = read(wire.train, Reading(kind="images", scale=args.scale, split=(1.0, 0.0, 0.0)), seed=0)
    first = training_of(args, dataset, BETAS[1], SEEDS[0])
    steps = args.turn_epochs * first.stream.steps_per_epoch
    contestants: dict[str, Callable[[], None]] = {}
    with configured(first.meta):
        for form in args.forms.split(","):
            word = "compiled" if form == "on" else "eager"
            contestants[f"one {word}"] = alone(args, dataset, form, steps)
            contestants[f"sixteen {word}"] = stacked(args, dataset, form == "on", steps)
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for turn in range(args.turns):
            for name in sorted(contestants, reverse=bool(turn % 2)):  # who goes first changes every turn
                began = time.perf_counter()
                contestants[name]()
                if turn:
                    seconds[name].append(time.perf_counter() - began)
    answer = {"seconds": seconds, "steps": steps, "runtime": first.meta["runtime"], "members": len(BETAS) * len(SEEDS)}
    wire.out.write(json.dumps(answer) + "\n")
    wire.out.flush()


if __name__ == "__main__":
    main()
