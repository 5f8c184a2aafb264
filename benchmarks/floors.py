"""What the machine could do at best: the floor that every time is printed beside.

A step cannot be quicker than its operations at the processor's rate for large products, nor than its bytes at the
rate of a plain copy. Both rates are measured here, at the beginning of a recipe, with the recipe's threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Rates", "Work", "measure"]


@dataclass(frozen=True)
class Rates:
    """Best of several tries, so that a neighbour on the machine counts little."""

    fp32_gflops: float
    """Square product of 1,024, the quicker of MKL and (where exact) oneDNN."""
    bf16_gflops: float
    copy_gb_s: float
    """Bytes read plus bytes written of a 256 MB copy."""

    def to_json(self) -> dict[str, float]:
        """Rounded, for the result."""
        return {k: round(v, 1) for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Work:
    """The least that an epoch must do."""

    operations: float
    """In products and convolutions; a multiply-add is two."""
    bytes: float

    @classmethod
    def of_mlp(cls, layers: list[tuple[int, int]], examples: int, batch: int) -> Work:
        """Dense layers (inputs, outputs) trained by Adam, the first one fed by data of one byte a value.

        Forward and the weights' gradient take 2 in out operations each; the inputs' gradient as many, except in the
        first layer. Per step every parameter and its two moments are read and written once; every byte of data is
        read once.
        """
        forward = sum(2 * i * o for i, o in layers)
        operations = examples * (3 * forward - 2 * layers[0][0] * layers[0][1])
        parameters = sum(i * o + o for i, o in layers)
        steps = examples / batch
        return cls(operations, examples * layers[0][0] + steps * parameters * 4 * 6)

    @classmethod
    def of_gpt(cls, layers: int, width: int, vocabulary: int, window: int, rows: int) -> Work:
        """One step of training a transformer by Adam, its head tied to the embedding.

        A block's matrices hold 12 width^2 numbers; forward takes 2 operations a number and token, the two gradients
        as many each. Causal attention takes 2 window width operations a token and layer for scores and values
        together, and twice that for their gradients. Every parameter and its two moments are read and written once.
        """
        matrices = 12 * layers * width**2 + vocabulary * width
        operations = 3 * rows * window * (2 * matrices + 2 * layers * window * width)
        return cls(operations, (matrices + window * width) * 4 * 6)

    @classmethod
    def of_next_token(cls, layers: int, width: int, vocabulary: int, read: float, bytes_each: int) -> Work:
        """One more token of one text after `read` ones whose keys and values are kept: every weight is read once."""
        matrices = 12 * layers * width**2 + vocabulary * width
        kept = 2 * layers * width * read
        return cls(2 * matrices + 2 * kept, (matrices + kept) * bytes_each)

    def floor(self, rates: Rates, precision: str) -> dict[str, float]:
        """Seconds by operations and by bytes; the floor is the larger."""
        rate = rates.bf16_gflops if precision == "bf16" else rates.fp32_gflops
        arithmetic, traffic = self.operations / (rate * 1e9), self.bytes / (rates.copy_gb_s * 1e9)
        return {"operations_s": arithmetic, "bytes_s": traffic, "floor_s": max(arithmetic, traffic)}

    def beside(self, seconds: float, rates: Rates, precision: str) -> dict[str, Any]:
        """The floor, the time and the fraction of the floor reached, for the result."""
        floor = self.floor(rates, precision)
        rounded = {k: float(f"{v:.3g}") for k, v in floor.items()}
        return {
            "precision": precision,
            "seconds": seconds,
            **rounded,
            "fraction_reached": round(floor["floor_s"] / seconds, 3),
        }


def measure(threads: int) -> Rates:
    """Measure the rates in this process (about two seconds)."""
    import torch

    from elboroom.engine.runtime import onednn_is_exact

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    size = 1024
    a, b = torch.randn(size, size), torch.randn(size, size)
    rates = [2 * size**3 / best(lambda: a @ b) / 1e9]
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    if onednn_is_exact():
        path = matmul.fp32_precision
        matmul.fp32_precision = "bf16"
        rates.append(2 * size**3 / best(lambda: a @ b) / 1e9)
        matmul.fp32_precision = path
    x, y = a.bfloat16(), b.bfloat16()
    bf16 = 2 * size**3 / best(lambda: x @ y) / 1e9
    source = torch.ones(32 * 2**20)
    target = torch.empty_like(source)
    copy = 2 * source.numel() * 4 / best(lambda: target.copy_(source)) / 1e9
    torch.set_num_threads(before)
    return Rates(max(rates), bf16, copy)


def best(work: Callable[[], Any], tries: int = 15) -> float:
    """The shortest of several times, seconds."""
    times = []
    for _ in range(tries):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
