"""nanoGPT with the weights of a GPT-2 folder: its logits, and its greedy generation in turns.

Its `generate` keeps nothing between tokens, so the cost of a token is that of one pass over all before it. `--every K`
times each K-th token alone, the text before it given, and counts it K times: a turn then takes a K-th of the time. The
first turn, which is not counted, always walks all tokens through `generate`: it shows what the estimate is worth.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from nanogpt_peer import from_gpt2  # type: ignore[import-not-found]
from wire import connect  # type: ignore[import-not-found]


def main() -> None:
    wire = connect(do="turns", tokens="100", every="1", thin="8")
    args = wire.args
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    net = from_gpt2(args.data / "gpt2")
    if args.do == "answer":
        x = torch.from_numpy(wire.train.astype(np.int64))
        with torch.no_grad():
            logits = net(x, x)[0]
        np.save(args.data / "nanogpt-logits.npy", logits[:, int(args.thin) - 1 :: int(args.thin)].numpy())
        wire.finish(versions={"torch": torch.__version__})
        return
    prompt = torch.from_numpy(wire.test.astype(np.int64))[None]
    tokens, every = int(args.tokens), int(args.every)
    wire.ready(versions={"torch": torch.__version__}, parameters=sum(p.numel() for p in net.parameters()))
    text = prompt
    for turn in wire.turns():
        began = time.perf_counter()
        if turn == 0 or every == 1:
            text = greedy(net, prompt, tokens)
            wire.took(time.perf_counter() - began, tokens)
            continue
        for at in range(every // 2, tokens, every):
            greedy(net, text[:, : prompt.shape[1] + at], 1)
        wire.took((time.perf_counter() - began) * every, tokens)
    wire.finish(tokens=text[0, prompt.shape[1] :].tolist())


def greedy(net: Any, text: torch.Tensor, tokens: int) -> torch.Tensor:
    """Its generate, left one candidate."""
    return net.generate(text, tokens, top_k=1)  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
