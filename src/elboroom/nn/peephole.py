"""One layer of the LSTM whose gates look at the cell state through diagonal weights, called peepholes.

Gers & Schmidhuber 2000 (Recurrent nets that time and count, IJCNN); Gers, Schraudolph & Schmidhuber 2002 (Learning
precise timing with LSTM recurrent networks, JMLR 3, 115-143). With a = W x[t] + b, the input products and biases:

    i[t] = sigmoid(a_i + U_i h[t-1] + p_i c[t-1])        c[t] = f[t] c[t-1] + i[t] g[t]
    f[t] = sigmoid(a_f + U_f h[t-1] + p_f c[t-1])        o[t] = sigmoid(a_o + U_o h[t-1] + p_o c[t])
    g[t] = tanh(a_g + U_g h[t-1])                        h[t] = o[t] tanh(c[t])

The output gate sees the cell state of its own step, the other two that of the step before. All peepholes at zero: the
LSTM of torch.

There are two forms. `peephole_layer` is the equations in plain torch, a loop over the steps; it runs on any device, in
any dtype, within vmap, and gives gradients of any order. On a processor, in float32 and float64, `peephole_steps` takes
a kernel instead (native/peephole.cpp), of which torch sees one operation forward and one backward: no step is made in
Python, and the weights' gradients are one product over all steps. `plain_because` says which it is, and why. Equal
inputs give equal bits at the same number of threads, in either form; between the forms sums are grouped differently.
On an accelerator the plain form runs, which has not been tuned there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .kernels import Last, call, first_gradient, of_recurrent, refusal

__all__ = ["peephole_layer", "peephole_steps", "plain_because"]


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


def peephole_steps(
    x: Tensor, h0: Tensor, c0: Tensor, into: Tensor, recurrent: Tensor, bias: Tensor, peepholes: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs of every step of x (B, T, I), each at the place of its step, and h and c after the last.

    `into` (4H, I) and `recurrent` (4H, H): the matrices W and U; `bias` (4H,); the others as in `peephole_layer`.
    `reverse`: the steps are made from T to 1. Within autocast the kernel computes in the dtype of the weights.
    """
    given = [x, h0, c0, into, recurrent, bias, peepholes]
    if plain_because(given):
        return plain_steps(x, h0, c0, into, recurrent, bias, peepholes, reverse)
    given = [t.to(recurrent.dtype) for t in given]
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in given)
    run: Any = Steps.apply if keep else forward_steps
    y, h, c, _, _ = run(*given, reverse, keep)
    return y, h, c


def plain_steps(
    x: Tensor, h0: Tensor, c0: Tensor, into: Tensor, recurrent: Tensor, bias: Tensor, peepholes: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The same by `peephole_layer`."""
    a = F.linear(x, into, bias)
    y, h, c = peephole_layer(a.flip(1) if reverse else a, h0, c0, recurrent, peepholes)
    return y.flip(1) if reverse else y, h, c


def plain_because(given: Sequence[Tensor]) -> str | None:
    """Why `peephole_steps` takes the plain form for x, h0, c0, W, U, b, p; None: it takes the kernel."""
    return refusal("peephole", given, given[3:])


# -- the two operations ------------------------------------------------------------------------------------------------


@torch.library.custom_op("elboroom::peephole_forward", mutates_args=(), device_types="cpu")
def forward_steps(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    into: Tensor,
    recurrent: Tensor,
    bias: Tensor,
    peepholes: Tensor,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """y (B, T, H), laid out by steps; h, c (B, H); with `keep` all gates (T, B, 4H) and cell states (T, B, H)."""
    y, h, c, gates, cells = empty_results(x, h0, keep)
    (rows, steps, inputs), width = x.shape, h0.shape[1]
    numbers = (rows, steps, inputs, width, reverse, torch.get_num_threads())
    read = [t.contiguous() for t in (x, h0, c0, into, recurrent, bias, peepholes)]
    call("peephole", "forward", numbers, read, [y, h, c, gates if keep else None, cells if keep else None])
    return y.transpose(0, 1), h, c, gates, cells


@forward_steps.register_fake
def _(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    into: Tensor,
    recurrent: Tensor,
    bias: Tensor,
    peepholes: Tensor,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    y, *others = empty_results(x, h0, keep)
    return (y.transpose(0, 1), *others)  # type: ignore[return-value]


def empty_results(x: Tensor, h0: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    (rows, steps, _), width = x.shape, h0.shape[1]
    kept = steps if keep else 0
    h, c = x.new_empty(rows, width), x.new_empty(rows, width)
    gates, cells = x.new_empty(kept, rows, 4 * width), x.new_empty(kept, rows, width)
    return x.new_empty(steps, rows, width), h, c, gates, cells


@torch.library.custom_op("elboroom::peephole_backward", mutates_args=(), device_types="cpu")
def backward_steps(
    of_y: Tensor,
    of_h: Tensor,
    of_c: Tensor,
    gates: Tensor,
    cells: Tensor,
    c0: Tensor,
    recurrent: Tensor,
    peepholes: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of the gates before sigmoid and tanh (T, B, 4H), of h0 and c0, and of p over b (7, H)."""
    sums, of_h0, of_c0, _ = empty_gradients(gates, of_h)
    steps, rows, width = cells.shape
    threads = min(torch.get_num_threads(), rows)
    over_rows = gates.new_zeros(threads, 7, width)
    of_y = of_y if of_y.stride(2) == 1 else of_y.contiguous()
    numbers = (rows, steps, width, reverse, threads, of_y.stride(0), of_y.stride(1))
    read = [of_y, *(t.contiguous() for t in (of_h, of_c, gates, cells, c0, recurrent, peepholes))]
    call("peephole", "backward", numbers, read, [sums, of_h0, of_c0, over_rows])
    return sums, of_h0, of_c0, over_rows.sum(0)


@backward_steps.register_fake
def _(
    of_y: Tensor,
    of_h: Tensor,
    of_c: Tensor,
    gates: Tensor,
    cells: Tensor,
    c0: Tensor,
    recurrent: Tensor,
    peepholes: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return empty_gradients(gates, of_h)


def empty_gradients(gates: Tensor, of_h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(gates),
        gates.new_empty(of_h.shape),
        gates.new_empty(of_h.shape),
        gates.new_empty(7, of_h.shape[1]),
    )


class Steps(torch.autograd.Function):
    """`forward_steps` with its gradient, in the form that torch.func takes."""

    @staticmethod
    def forward(*given: Any) -> Any:
        return forward_steps(*given)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *given, reverse, _ = inputs
        y, _, _, gates, cells = output
        ctx.set_materialize_grads(False)  # zeros for the gates alone would take as long as a tenth of the step
        ctx.mark_non_differentiable(gates, cells)
        ctx.save_for_backward(*given, y, gates, cells)
        ctx.reverse = reverse

    @staticmethod
    def backward(ctx: Any, of_y: Tensor | None, of_h: Tensor | None, of_c: Tensor | None, *_: None) -> Any:
        """Of x, h0, c0, W, U, b, p; none of `reverse` and `keep`."""
        *given, y, gates, cells = ctx.saved_tensors
        x, h0, c0, into, recurrent, _, peepholes = given
        of_y = y.new_zeros(()).expand_as(y) if of_y is None else of_y
        of_h, of_c = (torch.zeros_like(h0) if g is None else g for g in (of_h, of_c))
        if not first_gradient():  # the plain form's, which has others
            again: Any = torch.func.vjp(lambda *inner: plain_steps(*inner, ctx.reverse), *given)  # type: ignore[call-arg]
            return (*again[1]((of_y, of_h, of_c)), None, None)
        held = (gates, cells, c0, recurrent, peepholes)
        back: Any = Last.apply
        sums, of_h0, of_c0, over = back("peephole", backward_steps, of_y, of_h, of_c, *held, ctx.reverse)
        by_step, flat = y.transpose(0, 1), sums.flatten(0, 1)
        of_into = flat.t() @ x.transpose(0, 1).reshape(-1, x.shape[2])
        across = of_recurrent(sums, by_step, h0, ctx.reverse)
        of_x = (sums @ into).transpose(0, 1) if ctx.needs_input_grad[0] else None
        return of_x, of_h0, of_c0, of_into, across, over[3:].flatten(), over[:3], None, None


@register_flop_formula(torch.ops.elboroom.peephole_forward)
def operations(x: tuple[int, int, int], h0: tuple[int, int], *_: Any, **__: Any) -> int:
    """Of the products in the forward pass, from the shapes; a multiply-add is two."""
    rows, steps, inputs = x
    return 8 * rows * steps * (inputs + h0[1]) * h0[1]
