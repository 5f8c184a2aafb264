"""Our side of D4c, P11 and P12: a run that `elboroom import` made of the peer's folder.

`--do answer` writes its logits of DATA/train.npy and its greedy continuation of DATA/prompt.txt; `--do turns` continues
it in turns through `generate`, from text to text.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from wire import connect  # type: ignore[import-not-found]

from elboroom.core.abilities import Continues
from elboroom.data.text import TextTransform
from elboroom.engine.runtime import configure
from elboroom.generation import generate
from elboroom.run import load


def main() -> None:
    wire = connect(do="turns", tokens="100", precision="fp32", thin="8")
    args = wire.args
    run = load(args.data / "run")
    model, transform = run.model, run.transform
    assert isinstance(model, Continues)
    assert isinstance(transform, TextTransform)
    if args.precision == "bf16":
        model.bfloat16()
    prompt = (args.data / "prompt.txt").read_text(encoding="utf-8")

    def greedy() -> list[int]:
        found = generate(model, transform.tokenizer, [prompt], tokens=int(args.tokens), greedy=True)
        return list(found[0].tokens)

    with configure(args.threads, run.meta["runtime"]["matmul"]):
        if args.do == "answer":
            answer(wire, model, [int(i) for i in transform.tokenizer.encode(prompt)], greedy())
            return
        wire.ready(
            versions={"torch": torch.__version__},
            parameters=sum(p.numel() for p in model.parameters()),
            runtime={**run.meta["runtime"], "precision": args.precision, "threads": args.threads},
        )
        found: list[int] = []
        for _ in wire.turns():
            began = time.perf_counter()
            found = greedy()
            wire.took(time.perf_counter() - began, len(found))
        wire.finish(tokens=found)


def answer(wire: Any, model: Continues, prompt: list[int], tokens: list[int]) -> None:
    thin = int(wire.args.thin)
    with torch.inference_mode():
        logits = model.read(torch.from_numpy(wire.train.astype(np.int64)))[0]
    np.save(wire.args.data / "run-logits.npy", logits[:, thin - 1 :: thin].numpy())
    wire.finish(prompt=prompt, tokens=tokens)


if __name__ == "__main__":
    main()
