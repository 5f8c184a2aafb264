"""D6 in one process: training steps of one language model on windows of one length, and the most memory it ever held.

A step is the model's own loss of random tokens, forward and backward, without the optimiser. Says seconds of each turn
and bytes: held before the first step, and at most since the start, so one process tells one model's at one length.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from attention_lengths import clock, peak  # type: ignore[import-not-found]

from elboroom.core import registry
from elboroom.core.batch import Batch
from elboroom.core.spec import Spec
from elboroom.settings import build, checked


def main() -> None:
    args = asked()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    kind = registry.load(args.model)
    spec = Spec(kind="text", shape=(args.tokens,), scale="tokens", levels=args.symbols)
    config = build(kind.Config, checked(registry.entry(args.model), json.loads(args.settings)), args.model)
    model = kind(config, spec).to(device)
    batch = Batch(torch.randint(args.symbols, (args.batch, args.tokens + 1), device=device))
    weights, t = list(model.parameters()), torch.zeros((), device=device)
    before, seconds = peak(device), []
    for turn in range(args.turns):  # the first is not counted
        began = time.perf_counter()
        torch.autograd.grad(model.phases()[0].loss(batch, t)[0], weights)
        if turn:
            seconds.append(clock(device) - began)
    parameters = sum(p.numel() for p in weights)
    answer = {"seconds": seconds, "before_bytes": before, "peak_bytes": peak(device), "parameters": parameters}
    print(json.dumps(answer), flush=True)


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--tokens", type=int, required=True, help="of a window")
    parser.add_argument("--symbols", type=int, default=65)
    parser.add_argument("--turns", type=int, default=4, help="the first, which is not counted, included")
    parser.add_argument("--batch", type=int, default=4, help="windows a step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_known_args()[0]  # what every worker is told and this one does not need: data, epochs


if __name__ == "__main__":
    main()
