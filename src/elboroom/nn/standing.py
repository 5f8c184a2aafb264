"""Batch statistics of the noise that is in use, in place of those of training.

Brock et al. 2019 (BigGAN, 1809.11096), section 4: the running averages of batch norms belong to the noise that a
generator was trained with; where z is truncated, features are spread less, and statistics are taken anew over several
batches of such z ("standing statistics"). Then no example depends on those it is made beside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .norm import BatchNorm

__all__ = ["standing_"]


@torch.no_grad()
def standing_(network: nn.Module, forward: Callable[[], Any], passes: int) -> None:
    """Set the averages of every batch norm of `network` to the plain mean over `passes` calls of `forward`, in place.

    All other modules stay as they are: `network` is one in evaluation mode.
    """
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for done in range(passes if norms else 0):
        for norm in norms:
            norm.train()
            norm.momentum = 1 / (done + 1)
        forward()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum
