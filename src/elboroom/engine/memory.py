"""The most memory that training took: of an accelerator what tensors took there, else of the process what was resident.

The process holds its libraries and the data as well, so this is what a machine must have, not what a model needs.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path

import torch

__all__ = ["forget_peak", "peak_bytes"]

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak(device: torch.device) -> None:
    """From here on a peak is counted anew, where the system can do that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(OSError):  # no file but a switch of the kernel (proc(5)): "5" resets VmHWM
        switch = os.open(CLEAR, os.O_WRONLY)
        try:
            os.write(switch, b"5")
        finally:
            os.close(switch)


def peak_bytes(device: torch.device) -> int:
    """Since the last `forget_peak`; since the process began where the system has no count that can be reset."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError, IndexError, ValueError):
        return 1024 * int(STATUS.read_text(encoding="ascii").split("VmHWM:")[1].split()[0])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # getrusage(2): bytes there, KiB elsewhere
