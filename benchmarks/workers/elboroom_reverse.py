"""Our side of D2: the engine that `elboroom fit` drives, on lines of one length that all begin at position 0.

`fit` cuts a text into windows that begin anywhere, and what this task needs to know is where a line begins. So the
lines are rows here, one each; model, phases, programs and the loop are those of `fit`. The weights of the best
validation loss are kept, and each test line is asked for greedily through `generate`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from elboroom_engine import described  # type: ignore[import-not-found]
from wire import connect  # type: ignore[import-not-found]

from elboroom.core.abilities import Continues
from elboroom.core.spec import Spec
from elboroom.data.reading import Reading
from elboroom.data.rows import Resident
from elboroom.data.source import Dataset
from elboroom.data.text import TextTransform
from elboroom.data.tokenizers import Char
from elboroom.engine.train import train
from elboroom.generation import generate
from elboroom.plan import chosen, read_runtime
from elboroom.training import Training, configured, evaluating

SYMBOLS, SEPARATOR, LENGTH = "0123456789", ">", 16


def main() -> None:
    wire = connect(model="gpt", settings="{}", precision="fp32", compile="off", epochs="10", valid="1000")
    args = wire.args
    tokenizer = Char(SYMBOLS + SEPARATOR, end=False)
    dataset = lines(tokenizer, wire.train, int(args.valid))
    meta = described(args, len(dataset.parts["train"]))
    training = Training(meta, dataset, None)
    costs = training.costs()
    steps = int(args.epochs) * training.stream.steps_per_epoch
    asked = read_runtime(args.device, args.precision, args.compile, args.threads, args.seed, 1)
    meta["runtime"] = chosen(asked, costs, steps, "auto")[0].to_json()
    meta["budget"].update(steps=steps, planned_steps=steps, log_every=50)
    with configured(meta):
        training.assemble(costs)
        began = time.perf_counter()
        best = kept(training, steps, args.seed)
        took = time.perf_counter() - began
        began = time.perf_counter()
        share = exact(training.model, tokenizer, wire.test)
        wire.finish(
            exact_share=share,
            training_s=took,
            test_s=time.perf_counter() - began,
            parameters=sum(p.numel() for p in training.model.parameters()),
            steps=steps,
            validation_nats=best,
            runtime=meta["runtime"],
            versions={"torch": torch.__version__},
        )


def lines(tokenizer: Char, digits: np.ndarray[Any, Any], valid: int) -> Dataset:
    """Rows of input, separator, reversed input."""
    between = np.full((len(digits), 1), len(SYMBOLS))
    rows = np.concatenate([digits, between, digits[:, ::-1]], 1).astype(np.uint8)
    cut = len(rows) - valid
    parts = {"train": np.arange(cut), "valid": np.arange(cut, len(rows))}
    return Dataset(
        name="reverse",
        spec=Spec(kind="text", shape=(rows.shape[1] - 1,), scale="tokens", levels=tokenizer.size),
        parts={name: Resident(torch.from_numpy(rows[index]), index) for name, index in parts.items()},
        transform=TextTransform(tokenizer),
        fingerprint="",
        problems=[],
        reading=Reading(kind="text"),
        split_how="",
        identifiers={},
    )


def kept(training: Training, steps: int, seed: int) -> float:
    """Train, look at the held-out lines at each end of an epoch, and put the weights of the best look back."""
    best, weights = float("inf"), {}
    for tick in train(training.programs, training.stream, steps=steps, planned=steps, seed=seed):
        if tick.ends_epoch:
            found = training.loss_on("valid")["loss_nats"]
            if found < best:
                best, weights = found, {name: x.clone() for name, x in training.model.state_dict().items()}
    training.model.load_state_dict(weights)
    return best


def exact(model: Any, tokenizer: Char, digits: np.ndarray[Any, Any]) -> float:
    """The share of lines whose reversal is right in every place."""
    assert isinstance(model, Continues)
    texts = ["".join(SYMBOLS[d] for d in line) for line in digits]
    with evaluating(model):  # type: ignore[arg-type]
        found = generate(model, tokenizer, [text + SEPARATOR for text in texts], tokens=LENGTH, greedy=True)
    return sum(a.text == b[::-1] for a, b in zip(found, texts, strict=True)) / len(texts)


if __name__ == "__main__":
    main()
