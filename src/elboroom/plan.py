"""The choices of `auto`: device, threads, precision, compile, the path of fp32 products, and steps for `--minutes`.

Every choice is made from counts (operations, kernel calls, steps) and from what the processor can do, never from a
clock, and is written into run.json with its reason; resume and the printed repeat command use the written values.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from elboroom.core.errors import InputError
from elboroom.engine.probe import Cost, eager_seconds
from elboroom.engine.runtime import cores, find_device, has_bf16_products, onednn_is_exact

__all__ = ["Runtime", "chosen", "read_runtime"]

LARGE_PRODUCT = 1e7
"""Operations from which bf16 products and oneDNN's fp32 products gain on the CPUs measured."""
SMALL_STEP = 2e7
"""Operations of a step below which a second thread costs more than it brings."""
COMPILE_SECONDS = 60.0
"""Predicted eager seconds from which compiling (10 to 25 s when nothing is cached) is worth its wait."""
COMPILE_CALLS = 600
"""Kernel calls of a step up to which that holds; a compiler's time grows with them, 160 s were met at 1,800."""
COMPILE_WITHIN = 600.0
"""The same where compiling is paid from a given time: it took 40 s of a run of two minutes, and halved its steps."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """How a run computes. In run.json nothing here says "auto" any more."""

    device: str = "auto"
    precision: str = "auto"
    compile: str = "auto"
    threads: int = 0
    """0: chosen."""
    matmul: str = "auto"
    """default, or onednn where its fp32 products were probed to be exact."""
    seed: int = 0
    world: int = 1
    """Processes that share each batch."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def read_runtime(device: str, precision: str, compile: str, threads: int, seed: int, world: int) -> Runtime:
    """The runtime asked for, each value checked."""
    import torch

    for name, value, known in (
        ("precision", precision, ("auto", "fp32", "bf16")),
        ("compile", compile, ("auto", "on", "off")),
    ):
        if value not in known:
            raise InputError(f"--{name} {value}: expected one of {', '.join(known)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"--device {device}: this PyTorch sees no CUDA device; use --device cpu")
    if device != "auto":
        try:
            torch.device(device)
        except RuntimeError as error:
            raise InputError(f"--device {device}: expected auto, cpu, cuda or cuda:i") from error
    if not 0 <= threads <= 4096:
        raise InputError(f"--threads {threads}: expected a count from 1, or 0 to have it chosen")
    if not 0 <= seed < 2**63:
        raise InputError(f"--seed {seed}: expected a whole number from 0 to 2**63 - 1")
    return Runtime(device=device, precision=precision, compile=compile, threads=threads, seed=seed, world=world)


def chosen(
    asked: Runtime, costs: list[Cost], steps: int, wanted: str, *, within: bool = False, beside: float = 0.0
) -> tuple[Runtime, dict[str, str]]:
    """The runtime with every "auto" decided, and the reason for each decision.

    `steps` are those of the run; `within`: of the minutes it was given, from which all else is paid too; `beside`:
    seconds of a step without compiling that the costs do not count.
    """
    why: dict[str, str] = {}
    device = find_device(asked.device)
    out = replace(asked, device=str(device))
    operations, largest = sum(c.operations for c in costs), max(c.largest for c in costs)
    if asked.device == "auto":
        why["device"] = f"{device} is the fastest device PyTorch sees here"
    if asked.threads == 0:
        small = operations < SMALL_STEP
        out = replace(out, threads=1 if small else max(1, cores() // asked.world))
        shared = f"all {cores()} cores share it"
        said = "a second thread costs more than it brings" if small else shared
        sizes = f"a step has {operations:.3g} operations, {'less' if small else 'more'} than {SMALL_STEP:.0e}: {said}"
        why["threads"] = "this process has one core" if cores() == 1 else sizes
    if asked.precision == "auto":
        can = wanted == "auto" and has_bf16_products(device)
        out = replace(out, precision="bf16" if can and largest >= LARGE_PRODUCT else "fp32")
        why["precision"] = (
            "the model asks for fp32"
            if wanted == "fp32"
            else "this processor has no bf16 products"
            if not can
            else f"the largest product has {largest:.1e} operations; bf16 gains from {LARGE_PRODUCT:.0e}"
        )
    if asked.matmul == "auto":
        gains = device.type == "cpu" and out.precision == "fp32" and largest >= LARGE_PRODUCT
        out = replace(out, matmul="onednn" if gains and onednn_is_exact() else "default")
        why["matmul"] = (
            "no large product is made in fp32 on the CPU"
            if not gains
            else "oneDNN's fp32 products were tried and are exact"
            if out.matmul == "onednn"
            else "oneDNN's fp32 products are not exact on this processor"
        )
    if asked.compile == "auto":
        seconds = eager_seconds(costs, steps) + beside * steps
        least = COMPILE_WITHIN if within else COMPILE_SECONDS
        least *= max(1.0, sum(cost.calls for cost in costs) / COMPILE_CALLS)
        out = replace(out, compile="on" if seconds >= least and asked.world == 1 else "off")
        why["compile"] = (
            f"about {seconds:,.1f} s for {steps:,} steps without it; compiling is worth its wait from {least:.0f} s"
        )
    return out, why
