"""P16 in one process: the engine's loop and a hand-written loop around the very same step, taking turns.

Both loops call the same `Program` on the same model, eager or compiled. By hand: a permutation an epoch, a batch by
`index_select`, the step, one read of the sums an epoch. The engine adds what it is for: an order that depends on
the seed and the epoch, draws that depend on the seed and the step, progress, the watch for non-finite steps, ticks.
"""

from __future__ import annotations

import json
import time
from typing import Any

import torch
from elboroom_engine import described  # type: ignore[import-not-found]
from torch import Tensor
from wire import connect  # type: ignore[import-not-found]

from elboroom.data.reading import Reading
from elboroom.data.source import read
from elboroom.engine.programs import Program
from elboroom.engine.train import train
from elboroom.plan import chosen, read_runtime
from elboroom.training import Training, configured


def by_hand(program: Program, data: Tensor, batch: int, epochs: int) -> None:
    """What one would write without an engine."""
    t = torch.zeros(())
    steps = len(data) // batch
    for _ in range(epochs):
        for where in torch.randperm(len(data)).split(batch)[:steps]:
            program({"x": data.index_select(0, where)}, t)
        program.means()


def by_engine(training: Training, epochs: int) -> None:
    """The loop of `fit`: its ticks, and the means read at each."""
    steps = epochs * training.stream.steps_per_epoch
    for _ in train(training.programs, training.stream, steps=steps, planned=steps, seed=0):
        for program in training.programs:
            program.means()


def main() -> None:
    wire = connect(model="vae", scale="unit", settings="{}", precision="fp32", compile="off")
    args = wire.args
    dataset = read(wire.train, Reading(kind="images", scale=args.scale, split=(1.0, 0.0, 0.0)), seed=0)
    meta = described(args, len(wire.train))
    training = Training(meta, dataset, None)
    costs = training.costs()
    asked = read_runtime(args.device, args.precision, args.compile, args.threads, 0, 1)
    meta["runtime"] = chosen(asked, costs, 1, "auto")[0].to_json()
    data = torch.from_numpy(wire.train).unsqueeze(1)
    epochs, seconds = args.turn_epochs, dict[str, list[float]](hand=[], engine=[])
    with configured(meta):
        training.assemble(costs)
        contestants: dict[str, Any] = {
            "hand": lambda: by_hand(training.programs[0], data, args.batch, epochs),
            "engine": lambda: by_engine(training, epochs),
        }
        for turn in range(args.turns):
            for name in sorted(contestants, reverse=bool(turn % 2)):  # who goes first changes every turn
                began = time.perf_counter()
                contestants[name]()
                if turn:
                    seconds[name].append(time.perf_counter() - began)
    steps = epochs * training.stream.steps_per_epoch
    wire.out.write(json.dumps({"seconds": seconds, "steps": steps, "runtime": meta["runtime"]}) + "\n")
    wire.out.flush()


if __name__ == "__main__":
    main()
