"""transformers' GPT-2: makes random weights, answers what ours must answer too, and generates in turns.

`--do make` saves a network of the sizes in --config to DATA/gpt2 and ends. `--do answer` loads the folder that --folder
names under DATA and writes its logits of DATA/train.npy and its greedy continuation of DATA/prompt.txt. `--do turns`
generates greedily, with its cache, as its documentation shows.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers  # type: ignore[import-not-found]
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel
from wire import connect  # type: ignore[import-not-found]


def main() -> None:
    wire = connect(do="turns", config="{}", folder="gpt2", tokens="100", thin="8")
    args = wire.args
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    place = args.data / args.folder
    if args.do == "make":
        net = made(json.loads(args.config))
        net.save_pretrained(place)
        wire.finish(parameters=sum(p.numel() for p in net.parameters()))
        return
    net = GPT2LMHeadModel.from_pretrained(place).eval()
    tokenizer = AutoTokenizer.from_pretrained(place)
    prompt = tokenizer((args.data / "prompt.txt").read_text(encoding="utf-8"))["input_ids"]
    net.generation_config.eos_token_id = None  # as many tokens as asked for, on all sides
    with torch.inference_mode():
        if args.do == "answer":
            logits = net(torch.from_numpy(wire.train.astype(np.int64))).logits
            np.save(args.data / f"{args.folder}-logits.npy", logits[:, int(args.thin) - 1 :: int(args.thin)].numpy())
            wire.finish(prompt=prompt, tokens=greedy(net, prompt, int(args.tokens)), **versions())
        else:
            turns(wire, net, prompt, int(args.tokens))


def made(sizes: dict[str, int]) -> Any:
    """Random weights that leave no term out: layer norms off 1, biases off 0, blocks strong enough to be heard."""
    net = GPT2LMHeadModel(
        GPT2Config(bos_token_id=sizes["vocab_size"] - 1, eos_token_id=sizes["vocab_size"] - 1, **sizes)
    )
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.ndim == 1:
                p.add_(torch.randn_like(p) * 0.1)
            elif ".h." in name:
                p.mul_(2.5)
    return net


def greedy(net: Any, prompt: list[int], tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    found = net.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, use_cache=True, pad_token_id=0
    )
    return [int(i) for i in found[0, len(prompt) :]]


def turns(wire: Any, net: Any, prompt: list[int], tokens: int) -> None:
    wire.ready(parameters=sum(p.numel() for p in net.parameters()), **versions())
    found: list[int] = []
    for _ in wire.turns():
        began = time.perf_counter()
        found = greedy(net, prompt, tokens)
        wire.took(time.perf_counter() - began, len(found))
    wire.finish(tokens=found)


def versions() -> dict[str, Any]:
    return {"versions": {"torch": torch.__version__, "transformers": transformers.__version__}}


if __name__ == "__main__":
    main()
