"""The state of the process that numbers depend on: seeds, threads, device, determinism, how fp32 products are made.

One rule of chance: every draw follows a seed derived from (run seed, step, phase) or (run seed, purpose, ...), so a
resumed run sees the draws of an uninterrupted one, and looking at samples changes no training bit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from elboroom.core.chance import mix

__all__ = [
    "configure",
    "cores",
    "deterministic",
    "find_device",
    "has_bf16_products",
    "mix",
    "onednn_is_exact",
    "seed_draws",
    "seeded",
]


def seed_draws(seed: int) -> None:
    """Seed torch's default generators. On the CPU 1 microsecond; `torch.manual_seed` costs 90."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` inside, and leave the default generator as it was."""
    before = torch.default_generator.get_state()
    seed_draws(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


def cores() -> int:
    """Processors this process may use; OMP_NUM_THREADS, where it is set, bounds them."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    bound = os.environ.get("OMP_NUM_THREADS", "")
    return min(found, int(bound)) if bound.isdecimal() and int(bound) > 0 else found


@contextmanager
def deterministic() -> Iterator[None]:
    """Repeatable kernels inside (compiled embedding backward is otherwise not), the process as it was after."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    _use_deterministic(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        _use_deterministic(before, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


def _use_deterministic(mode: bool, *, warn_only: bool = False) -> None:
    """`torch.use_deterministic_algorithms`, which imports the compiler (2 s) to tell it, too; where that is not there
    yet, only the kernels are told, and `trace.inductor` tells the compiler when it comes."""
    tell = getattr(torch._C, "_set_deterministic_algorithms", None)
    if tell is None or "torch._inductor.config" in sys.modules:
        torch.use_deterministic_algorithms(mode, warn_only=warn_only)
    else:
        tell(mode, warn_only=warn_only)


@contextmanager
def configure(threads: int, matmul: str) -> Iterator[None]:
    """Thread count and the path of fp32 products ("default" or "onednn") inside, the process as it was after."""
    count = torch.get_num_threads()
    path = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    torch.set_num_threads(threads)
    if matmul == "onednn":
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    try:
        with deterministic():
            yield
    finally:
        torch.set_num_threads(count)
        torch.backends.mkldnn.matmul.fp32_precision = path  # type: ignore[attr-defined]


def find_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda` or `cuda:i`."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def has_bf16_products(device: torch.device) -> bool:
    """Whether the processor multiplies bf16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def onednn_is_exact() -> bool:
    """Whether oneDNN's path for fp32 products computes in true fp32 on this processor.

    The switch that routes products to oneDNN is named after bf16, which is what it means where AMX exists; on other
    processors the kernel is fp32 and about twice as fast as MKL's AVX2 path. So the error is measured, never assumed:
    true fp32 leaves about 4e-7 of the largest value, bf16 about 3e-3.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(256, 256, generator=generator)
    b = torch.randn(256, 256, generator=generator)
    exact = a.double() @ b.double()
    path = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    try:
        error = ((a @ b).double() - exact).abs().max() / exact.abs().max()
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = path  # type: ignore[attr-defined]
    return bool(error < 1e-5)
