"""Several processes that share each batch, as torchrun starts them."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed

__all__ = ["joined", "world"]


def world() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(count: int) -> Iterator[int]:
    """Join the others inside; gives this process's rank. The first one evaluates and writes while the others wait."""
    if count == 1:
        yield 0
        return
    began = not torch.distributed.is_initialized()
    if began:
        torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(hours=2))
    try:
        yield torch.distributed.get_rank()
    finally:
        if began:
            torch.distributed.destroy_process_group()
