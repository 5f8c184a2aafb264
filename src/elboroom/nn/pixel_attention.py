"""Self-attention between the pixels of a feature map.

Zhang et al. 2019, Self-attention generative adversarial networks (1805.08318), section 3. The one idea: a convolution
sees a few pixels around each, so what must agree over the whole image has to travel through many layers; here every
pixel looks at every other in one.

f(x), g(x)    queries and keys, C/8 channels              beta_ij = softmax over j of f(x_i)^T g(x_j), not scaled
h(x)          values, C/2 channels                        y_i = gamma v(sum over j of beta_ij h(x_j)) + x_i

Keys and values are the largest of each 2 x 2 pixels, as in the authors' code, which saves three quarters of the
products. gamma begins at 0: the network begins with what lies near and learns to look further (equation 3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attention import attend
from .spectral import SpectralConv2d

__all__ = ["PixelAttention"]


class PixelAttention(nn.Module):
    """(batch, channels, height, width) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = SpectralConv2d(channels, narrow, 1, bias=False)
        self.key = SpectralConv2d(channels, narrow, 1, bias=False)
        self.value = SpectralConv2d(channels, half, 1, bias=False)
        self.last = SpectralConv2d(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        seen, _ = self.attended(x, weights=False)
        out: Tensor = x + self.gamma * self.last(seen)
        return out

    def maps(self, x: Tensor) -> Tensor:
        """beta (batch, height, width, keys down, keys across): where each pixel looks, summing to 1."""
        _, beta = self.attended(x, weights=True)
        assert beta is not None
        height, width = x.shape[2:]
        return beta.reshape(-1, height, width, (height + 1) // 2, (width + 1) // 2)

    def attended(self, x: Tensor, *, weights: bool) -> tuple[Tensor, Tensor | None]:
        """(batch, C/2, height, width), what each pixel is given; and (batch, 1, pixels, keys) where asked for."""
        q, k, v = (
            part.flatten(2).transpose(1, 2)[:, None]
            for part in (self.query(x), largest_of_four(self.key(x)), largest_of_four(self.value(x)))
        )
        seen, beta = attend(q, k, v, scale=1.0, weights=weights)
        return seen[:, 0].transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:]), beta


def largest_of_four(x: Tensor) -> Tensor:
    """The largest of each 2 x 2 pixels, at an odd end of fewer. By comparisons: the gradient of torch's own pooling is
    not the same at every run on a GPU."""
    if x.shape[2] % 2:
        x = torch.cat([x, x[:, :, -1:]], 2)
    if x.shape[3] % 2:
        x = torch.cat([x, x[..., -1:]], 3)
    across = torch.maximum(x[..., ::2], x[..., 1::2])
    return torch.maximum(across[:, :, ::2], across[:, :, 1::2])
