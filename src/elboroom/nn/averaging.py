"""A running average of a network's tensors: the network that is used when another one is trained.

Polyak & Juditsky 1992; for generators Karras et al. 2018 (1710.10196), section 4. After each step

    a += (1 - d) (w - a)    with d = min(decay, (1 + n) / (10 + n)) at step n,

so that a short run does not keep its first weights. Averages of batch statistics follow in the same way.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .spectral import iterate_

__all__ = ["Averaged"]


class Averaged(nn.Module):
    """Called as the network is; `follow_` takes one step after it."""

    steps: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = fixed(copy.deepcopy(network))
        self.decay = decay
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, *args: Any) -> Any:
        return self.network(*args)

    @torch.no_grad()
    def follow_(self, network: nn.Module) -> None:
        """One step towards `network`, in place."""
        share = 1 - torch.clamp((1 + self.steps) / (10 + self.steps), max=self.decay)
        mine_by_name = dict(self.network.named_buffers())
        for name, theirs in named(network):
            mine = mine_by_name[name]
            if mine.is_floating_point():
                mine.add_((theirs - mine) * share.to(mine.dtype))
            else:
                mine.copy_(theirs)
        iterate_(self.network)  # an average of unit vectors is none
        self.steps.add_(1)


def fixed(network: nn.Module) -> nn.Module:
    """The network with its parameters made buffers, in place: nothing is to be trained here."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())
    return network


def named(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters, then buffers, each with its name."""
    yield from network.named_parameters()
    yield from network.named_buffers()
