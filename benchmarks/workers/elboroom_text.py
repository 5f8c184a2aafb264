"""Our side of P10: the engine that `elboroom fit` drives, on the tokens of a text that stay in memory.

The same `Training` as in `fit`, built from the same run.json; the loop walks its ticks as `fit` does and reads the
means of the logs at each. Left out is what the peer's timed part has not either: looks at held-out text, checkpoints,
lines of history. Compiling happens before `ready` and is reported there.
"""

from __future__ import annotations

import time

import torch
from elboroom_engine import described  # type: ignore[import-not-found]
from scoring import full  # type: ignore[import-not-found]
from torch import Tensor
from wire import connect  # type: ignore[import-not-found]

from elboroom.core.abilities import Continues
from elboroom.data.reading import Reading
from elboroom.data.source import read
from elboroom.engine.train import train
from elboroom.plan import chosen, read_runtime
from elboroom.training import Training, configured, evaluating


def main() -> None:
    wire = connect(
        model="gpt", settings="{}", precision="fp32", compile="on", window="64", turn_steps="100", steps="2000"
    )
    args = wire.args
    window, per_turn = int(args.window), int(args.turn_steps)
    reading = Reading(kind="text", tokenizer="char", window=window, split=(0.9, 0.1, 0.0))
    dataset = read(args.data / "text.txt", reading, seed=0)
    meta = described(args, len(dataset.parts["train"]))
    training = Training(meta, dataset, None)
    costs = training.costs()
    asked = read_runtime(args.device, args.precision, args.compile, args.threads, args.seed, 1)
    decided, _ = chosen(asked, costs, int(args.steps), "auto")
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
        planned = int(args.steps)
        steps, often = args.turns * per_turn, min(50, per_turn)
        ticks = train(training.programs, training.stream, steps=steps, planned=planned, seed=args.seed, every=often)
        for turn in wire.turns():
            began = time.perf_counter()
            for tick in ticks:
                for program in training.programs:
                    program.means()
                if tick.step >= (turn + 1) * per_turn:
                    break
            wire.took(time.perf_counter() - began, per_turn * training.stream.batch_size * window)
        model = training.model
        assert isinstance(model, Continues)
        with evaluating(model):
            wire.finish(validation_nats=full(lambda x, y: surprisal(model, x, y), wire.test, window))


def surprisal(model: Continues, x: Tensor, y: Tensor) -> Tensor:
    """-log p of each next token, (rows, window)."""
    logits = model.read(x)[0]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y)


if __name__ == "__main__":
    main()
