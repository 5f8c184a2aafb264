"""D6: which symbol was marked, `delay` steps or more ago? Our classifier, trained by the engine that `fit` drives.

At each step there is one of 8 symbols at random, and in one of the first 8 steps a mark beside it; `delay` steps follow
the last of those. The net is asked after the last step, so the symbol must be carried, or looked up, over all that
comes between (Hochreiter & Schmidhuber 1997, section 5). By chance one answer of 8 is right.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from elboroom_engine import described  # type: ignore[import-not-found]
from wire import connect  # type: ignore[import-not-found]

from elboroom.core.spec import Column, Spec
from elboroom.data.reading import Reading
from elboroom.data.rows import Resident
from elboroom.data.source import Dataset
from elboroom.data.transforms import TableTransform
from elboroom.engine.train import train
from elboroom.plan import chosen, read_runtime
from elboroom.training import Training, configured

SYMBOLS, PLACES = 8, 8


def main() -> None:
    wire = connect(model="classifier", settings="{}", precision="fp32", compile="off", steps="600", delay="16")
    args, steps = wire.args, int(wire.args.steps)
    dataset = drawn(len(wire.train), len(wire.test), int(args.delay), args.seed)
    meta = described(args, len(dataset.parts["train"]))
    training = Training(meta, dataset, None)
    costs = training.costs()
    asked = read_runtime(args.device, args.precision, args.compile, args.threads, args.seed, 1)
    meta["runtime"] = chosen(asked, costs, steps, "auto")[0].to_json()
    meta["budget"].update(steps=steps, planned_steps=steps, log_every=50)
    with configured(meta):
        training.assemble(costs)
        began = time.perf_counter()
        for _ in train(training.programs, training.stream, steps=steps, planned=steps, seed=args.seed):
            pass
        took = time.perf_counter() - began
        found = training.loss_on("valid")
    parameters = sum(p.numel() for p in training.model.parameters())
    wire.finish(accuracy=found["accuracy"], loss_nats=found["loss_nats"], training_s=took, parameters=parameters)


def drawn(train: int, test: int, delay: int, seed: int) -> Dataset:
    """Sequences (PLACES + delay, SYMBOLS + 1): one-hot symbols, and the mark."""
    rng, n, steps = np.random.default_rng([seed, delay]), train + test, PLACES + delay
    symbols, place = rng.integers(0, SYMBOLS, (n, steps)), rng.integers(0, PLACES, n)
    x = np.zeros((n, steps, SYMBOLS + 1), np.float32)
    np.put_along_axis(x, symbols[..., None], 1, axis=2)
    x[np.arange(n), place, SYMBOLS] = 1
    label = symbols[np.arange(n), place]

    def rows(first: int, last: int) -> Any:
        return Resident(torch.from_numpy(x[first:last]), np.arange(first, last), torch.from_numpy(label[first:last]))

    names = (*(f"symbol {i}" for i in range(SYMBOLS)), "mark")
    return Dataset(
        name="recall",
        spec=Spec(
            kind="sequences",
            shape=(steps, SYMBOLS + 1),
            scale="none",
            columns=tuple(Column(name=name) for name in names),
            classes=tuple(names[:SYMBOLS]),
        ),
        parts={"train": rows(0, train), "valid": rows(train, n)},
        transform=TableTransform("none", SYMBOLS + 1),
        fingerprint="",
        problems=[],
        reading=Reading(kind="sequences"),
        split_how="",
        identifiers={},
    )


if __name__ == "__main__":
    main()
