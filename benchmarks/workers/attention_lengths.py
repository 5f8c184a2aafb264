"""P13 in one process: forward and backward of attention under several patterns, taking turns on the same tensors.

`dense` is torch's fused causal kernel called directly. Says seconds of each turn, the path taken, and the most memory
that the process held from its start, so a process for one pattern tells that pattern's.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.nn.sparse import attend_causal, explain, parse

HEADS, WIDTH = 8, 64


def main() -> None:
    args = asked()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    torch.manual_seed(args.seed)
    shape = (args.batch, HEADS, args.tokens, WIDTH)
    q, k, v, g = (torch.randn(shape, device=device, dtype=dtype) for _ in range(4))
    for x in (q, k, v):
        x.requires_grad_()
    patterns = {text: parse(text, args.tokens) for text in args.patterns.split(",")}

    def work(text: str) -> Callable[[], Tensor]:
        if text == "dense":
            return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return lambda: attend_causal(q, k, v, patterns[text])

    works = {text: work(text) for text in patterns}
    seconds: dict[str, list[float]] = {text: [] for text in works}
    for turn in range(args.turns):  # the first is not counted
        for text in sorted(works, reverse=bool(turn % 2)):
            began = clock(device)
            torch.autograd.grad(works[text](), (q, k, v), g)
            if turn:
                seconds[text].append(clock(device) - began)
    paths = {text: explain(p, args.tokens, device, dtype).name for text, p in patterns.items()}
    answer = {
        "seconds": seconds,
        "patterns": {text: pattern.name for text, pattern in patterns.items()},
        "pairs": {text: pattern.pairs(args.tokens) for text, pattern in patterns.items()},
        "paths": {**paths, **({"dense": "sdpa"} if "dense" in paths else {})},
        "peak_bytes": peak(device),
        "dtype": str(dtype).removeprefix("torch."),
    }
    print(json.dumps(answer), flush=True)


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patterns", required=True, help="names, joined by commas")
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--turns", type=int, default=4, help="the first, which is not counted, included")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_known_args()[0]  # what every worker is told and this one does not need: data, epochs


def clock(device: torch.device) -> float:
    """Seconds, when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peak(device: torch.device) -> int:
    """Bytes: of the whole process, or of what was allocated on an accelerator."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the process that started this one held
        return int(status.read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
