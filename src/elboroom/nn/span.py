"""Where the values of an example may lie, and how a network's numbers are brought there and back to [-1, 1]."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from elboroom.core.errors import InputError
from elboroom.core.spec import Spec

__all__ = ["Span"]


class Span(nn.Module):
    """Of images with ends (unit, symmetric): tanh, then on [low, high]; of columns without: any number."""

    def __init__(self, spec: Spec, *, counts: bool = False) -> None:
        """`counts`: columns of counts are taken for plain numbers, too."""
        super().__init__()
        if spec.levels or spec.scale in ("binary", "dynamic"):
            raise InputError(
                f"this model makes values between grey levels, and --scale {spec.scale} leaves only whole ones; "
                "use --scale symmetric or unit"
            )
        plain = ("real", "binary", "count") if counts else ("real", "binary")
        odd = [c.name for c in spec.columns if c.kind not in plain]
        if odd:
            raise InputError(
                f"column {odd[0]!r} ({len(odd)} such) holds counts or names, and this model makes plain numbers; name "
                "the columns to use with --columns, or read counts with --scale log1p"
            )
        self.low, self.high = spec.low, spec.high
        self.bounded = math.isfinite(spec.low) and math.isfinite(spec.high)

    def forward(self, h: Tensor) -> Tensor:
        """From any numbers to values an example can have."""
        if not self.bounded:
            return h
        return (torch.tanh(h) + 1) * ((self.high - self.low) / 2) + self.low

    def centred(self, x: Tensor) -> Tensor:
        """From values of examples to [-1, 1], where they have ends."""
        if not self.bounded or (self.low, self.high) == (-1.0, 1.0):
            return x
        return (x - self.low) * (2 / (self.high - self.low)) - 1
