"""D6: a finished run goes on from a prompt; says the text and the seconds of each time, the first one not counted."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from elboroom.generation import generate, model_and_tokenizer
from elboroom.run import load


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="folder with the run")
    parser.add_argument("--run", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--turns", type=int, default=4, help="the first, which is not counted, included")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_known_args()[0]  # what every worker is told and this one does not need
    torch.set_num_threads(args.threads)
    model, tokenizer = model_and_tokenizer(load(args.data / args.run))
    seconds, text = [], ""
    for _ in range(args.turns):
        began = time.perf_counter()
        text = generate(model, tokenizer, args.prompt, tokens=args.tokens, seed=args.seed)[0].text
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": seconds[1:], "tokens": args.tokens, "text": text}), flush=True)


if __name__ == "__main__":
    main()
