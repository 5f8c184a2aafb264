"""The two networks of an autoencoder, chosen by the data: convolutions for images, fully connected layers otherwise.

`auto` takes convolutions for images of at least 16 x 16. A network of the user's own takes the place of either one
after a trial with zeros has shown that its output has the size that the model needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from elboroom.core.errors import InputError, nearest
from elboroom.core.spec import Spec

from .conv import ConvDecoder, ConvEncoder
from .mlp import MLP

__all__ = ["Backbone", "Own", "convolutional"]

ROLES = ("encoder", "decoder")
SMALLEST_IMAGE = 16


def convolutional(backbone: str, spec: Spec) -> bool:
    """Whether the networks convolve: "conv", "mlp", or by the Spec where it is "auto"."""
    image = spec.kind == "images"
    if backbone == "conv" and not image:
        raise InputError(f"--backbone conv is for images, and these data are a {spec.kind}; use mlp or auto")
    return backbone == "conv" or (backbone == "auto" and image and min(spec.shape[1:]) >= SMALLEST_IMAGE)


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """How to build an encoder and the decoder that mirrors it."""

    spec: Spec
    kind: str = "auto"
    """auto, mlp or conv."""
    hidden: Sequence[int] = ()
    """Widths of the fully connected layers from x to z; the decoder has them in reverse."""
    activation: str = "relu"
    dropout: float = 0.0
    own: Mapping[str, nn.Module] = field(default_factory=dict)
    """The caller's own networks, under "encoder" and "decoder"."""

    def __post_init__(self) -> None:
        for role in self.own:
            if role not in ROLES:
                raise InputError(f"there is no network {role!r}{nearest(role, ROLES)}; networks: {', '.join(ROLES)}")

    def encoder(self, shape: Sequence[int], width_out: int) -> nn.Module:
        """A network from (batch, *shape) to (batch, width_out)."""
        if "encoder" in self.own:
            return Own(self.own["encoder"], "encoder", shape, width_out)
        if convolutional(self.kind, self.spec):
            return ConvEncoder(shape, self.hidden, width_out, activation=self.activation, dropout=self.dropout)
        return MLP(math.prod(shape), self.hidden, width_out, activation=self.activation, dropout=self.dropout)

    def decoder(self, width_in: int, features: int) -> nn.Module:
        """A network from (batch, width_in) to `features` numbers for each example."""
        if "decoder" in self.own:
            return Own(self.own["decoder"], "decoder", (width_in,), features)
        hidden = tuple(reversed(self.hidden))
        if convolutional(self.kind, self.spec):
            pixels = self.spec.shape[1:]
            shape = (features // math.prod(pixels), *pixels)
            return ConvDecoder(width_in, hidden, shape, activation=self.activation, dropout=self.dropout)
        return MLP(width_in, hidden, features, activation=self.activation, dropout=self.dropout)


class Own(nn.Module):
    """A network of the user's, checked: its input comes in the dtype of its parameters, its output leaves as rows."""

    def __init__(self, network: nn.Module, role: str, shape: Sequence[int], features: int) -> None:
        super().__init__()
        self.network = network
        was_training = network.training
        network.eval()
        try:
            with torch.no_grad():
                out = self(torch.zeros(2, *shape))
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            given = ", ".join(map(str, shape))
            raise InputError(f"your {role} fails on an input of shape (2, {given}): {error}") from error
        finally:
            network.train(was_training)
        if out.shape != (2, features):
            got = f"{out.shape[1]} numbers for each of {out.shape[0]} examples"
            raise InputError(f"your {role} gives {got} when shown 2; this model needs {features} for each")

    def forward(self, x: Tensor) -> Tensor:
        first = next(self.network.parameters(), None)
        out: Tensor = self.network(x if first is None else x.to(first.dtype))
        return out.flatten(1)
