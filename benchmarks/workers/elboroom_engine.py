"""Our side of P1 and P2: the engine that `elboroom fit` drives, on data that stay in memory as bytes.

The same `Training` as in `fit` puts model, stream and programs together; the loop below walks its ticks as `fit`
does and reads the means of the logs at each (every 50 steps and at the end of an epoch). Left out is what the
peers' timed part has not either: evaluation, pictures, checkpoints, lines of history. Compiling happens before
`ready` and is reported there.
"""

from __future__ import annotations

import json
import time
from typing import Any

import torch
from wire import connect  # type: ignore[import-not-found]

from elboroom.core import registry
from elboroom.core.abilities import Bounds, Decodes, Encodes
from elboroom.data.reading import Reading
from elboroom.data.rows import Rows
from elboroom.data.source import read, read_like
from elboroom.data.stream import in_order
from elboroom.engine.runtime import seed_draws
from elboroom.engine.train import train
from elboroom.plan import chosen, read_runtime
from elboroom.settings import checked
from elboroom.training import Training, configured, evaluating


def main() -> None:
    wire = connect(model="autoencoder", scale="unit", settings="{}", precision="fp32", compile="on")
    args = wire.args
    dataset = read(wire.train, Reading(kind="images", scale=args.scale, split=(1.0, 0.0, 0.0)), seed=args.seed)
    meta = described(args, len(dataset.parts["train"]))
    training = Training(meta, dataset, None)
    costs = training.costs()
    steps = args.turns * args.turn_epochs * training.stream.steps_per_epoch
    asked = read_runtime(args.device, args.precision, args.compile, args.threads, args.seed, 1)
    decided, _ = chosen(asked, costs, steps, "auto")
    meta["runtime"] = decided.to_json()
    with configured(meta):
        began = time.perf_counter()
        training.assemble(costs)
        wire.ready(
            versions={"torch": torch.__version__},
            parameters=sum(p.numel() for p in training.model.parameters()),
            runtime=meta["runtime"],
            compile_s=time.perf_counter() - began if args.compile == "on" else 0.0,
        )
        ticks = train(training.programs, training.stream, steps=steps, planned=steps, seed=args.seed)
        per_turn = args.turn_epochs * training.stream.steps_per_epoch
        for turn in wire.turns():
            began = time.perf_counter()
            for tick in ticks:
                for program in training.programs:
                    program.means()
                if tick.step == (turn + 1) * per_turn:
                    break
            wire.took(time.perf_counter() - began, training.stream.examples * args.turn_epochs)
        test = read_like(wire.test, dataset.to_json(), dataset.transform).parts["all"].to(training.device)
        wire.finish(**measured(training, test))


def described(args: Any, rows: int) -> dict[str, Any]:
    """What `fit` would write into run.json, as far as a training reads it."""
    values = checked(registry.entry(args.model), {"batch_size": args.batch, **json.loads(args.settings)})
    runtime = read_runtime(args.device, args.precision, args.compile, args.threads, args.seed, 1)
    return {
        "model": args.model,
        "settings": values,
        "budget": {"batch_size": min(args.batch, rows)},
        "runtime": runtime.to_json(),
    }


def measured(training: Training, test: Rows) -> dict[str, float]:
    """The negative ELBO by 10 draws of z where the model has a bound, else the mean BCE of a pixel, if any."""
    model, total = training.model, 0.0
    if not isinstance(model, Bounds | Encodes):
        return {}
    seed_draws(0)
    with evaluating(model):
        for raw in in_order(test, 1000):
            batch = training.losses.transform(raw)
            if isinstance(model, Bounds):
                total -= float(model.log_weights(batch, 10).mean(0).sum())
            elif isinstance(model, Encodes) and isinstance(model, Decodes):
                total -= float(model.decode(model.encode(batch).mean).log_prob(batch.x).sum())
    if isinstance(model, Bounds):
        return {"validation_nats": total / len(test)}
    return {"validation_bce": total / len(test) / model.spec.size}


if __name__ == "__main__":
    main()
