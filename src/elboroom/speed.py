"""How fast a model generates, beside what the memory allows: a text by itself reads every weight once a token.

    tokens a second <= bytes a second / bytes of weights

A small model lies in the cache and is held up by calls instead, and then stays far below; the two numbers say which.
Times go to run.json, for they differ from run to run; what details.json holds does not.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn

from elboroom.core.abilities import Continues

__all__ = ["copy_rate", "generation_speed"]

SECONDS = 0.4
FEWEST = 4
COPY = {"cpu": 1 << 26, "cuda": 1 << 29}
"""Bytes of the copy that is timed: far above any cache."""


def generation_speed(model: Continues, device: torch.device) -> dict[str, Any]:
    """Tokens a second of one text, greedy, after a first token; and the most that the memory's copy rate allows."""
    assert isinstance(model, nn.Module)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            tokens, took_s = _generated(model, device)
    finally:
        model.train(was_training)
    rate = copy_rate(device)
    return {
        "generation_tokens_per_s": tokens / took_s,
        "tokens": tokens,
        "weight_bytes": size,
        "copy_bytes_per_s": rate,
        "bound_tokens_per_s": rate / max(1, size),
        "threads": torch.get_num_threads(),
        "device": device.type,
    }


def _generated(model: Continues, device: torch.device) -> tuple[int, float]:
    """(tokens, seconds): one text of as many tokens as fit the time."""
    token = torch.zeros(1, 1, dtype=torch.int64, device=device)
    logits, memory = model.read(token)
    _wait(device)
    started, count = time.perf_counter(), 0
    while count < FEWEST or time.perf_counter() - started < SECONDS:
        logits, memory = model.read(logits[:, -1:].argmax(-1), memory)
        count += 1
        if count % 16 == 0:
            _wait(device)
    _wait(device)
    return count, time.perf_counter() - started


def copy_rate(device: torch.device) -> float:
    """Bytes a second that are read, as a large copy reads and writes them: the best of five."""
    source = torch.ones(COPY.get(device.type, COPY["cpu"]), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(5):
        _wait(device)
        started = time.perf_counter()
        target.copy_(source)
        _wait(device)
        best = max(best, 2 * source.numel() / (time.perf_counter() - started))
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
