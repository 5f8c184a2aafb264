"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "MLP", "glorot_"]

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


class MLP(nn.Module):
    """(batch, ...) flattened -> hidden layers with activation and dropout -> (batch, width_out), linear at the end."""

    def __init__(
        self, width_in: int, hidden: Sequence[int], width_out: int, *, activation: str = "relu", dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(width_in, width), ACTIVATIONS[activation]()]
            layers += [nn.Dropout(dropout)] if dropout else []
            width_in = width
        self.hidden = nn.Sequential(*layers)
        self.last = nn.Linear(width_in, width_out)

    def forward(self, x: Tensor) -> Tensor:
        # Data stay in float32 where the weights run in bfloat16, so the input follows the weights.
        out: Tensor = self.last(self.hidden(x.flatten(1).to(self.last.weight.dtype)))
        return out


def glorot_(network: nn.Module) -> None:
    """Glorot-uniform weights and zero biases, Keras' default (Glorot & Bengio 2010, equation 16)."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
