"""One layer of the LSTM whose gates look at the cell state through diagonal weights, called peepholes.

Gers & Schmidhuber 2000 (Recurrent nets that time and count, IJCNN); Gers, Schraudolph & Schmidhuber 2002 (Learning
precise timing with LSTM recurrent networks, JMLR 3, 115-143). With a, the input products and biases:

    i[t] = sigmoid(a_i + U_i h[t-1] + p_i c[t-1])        c[t] = f[t] c[t-1] + i[t] g[t]
    f[t] = sigmoid(a_f + U_f h[t-1] + p_f c[t-1])        o[t] = sigmoid(a_o + U_o h[t-1] + p_o c[t])
    g[t] = tanh(a_g + U_g h[t-1])                        h[t] = o[t] tanh(c[t])

The output gate sees the cell state of its own step, the other two that of the step before. All peepholes at zero: the
LSTM of torch.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["peephole_layer"]


def peephole_layer(
    x_gates: Tensor, h0: Tensor, c0: Tensor, recurrent: Tensor, peepholes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs h[1] .. h[T] (B, T, H), and the last h and c (B, H).

    `x_gates` (B, T, 4H): W x + b of every step, gates in the order i, f, g, o; `h0`, `c0` (B, H); `recurrent` (4H, H);
    `peepholes` (3, H): of i, f, o.
    """
    h, c = h0, c0
    into_i, into_f, into_o = peepholes.unbind(0)
    across = recurrent.t()
    outputs = []
    for a in x_gates.unbind(1):
        i, f, g, o = torch.addmm(a, h, across).chunk(4, -1)
        i = torch.sigmoid(i + into_i * c)
        f = torch.sigmoid(f + into_f * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + into_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1), h, c
