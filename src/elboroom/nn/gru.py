"""One layer of the gated recurrent unit, in torch's form, for training on a processor.

Cho et al. 2014 (arXiv 1406.1078); the equations stand in `cells`. torch has one call of oneDNN for an LSTM there, and
none for a GRU: that goes step by step, forward and backward, and at every step of the way back makes a product for the
gradient of the recurrent weights. Here all steps forward are one operation and all steps backward another
(native/gru.cpp); the way back leaves the gradients of each step's sums, from which the weights' gradients are one
product each over all steps.

`torch_because` says where torch's own runs instead, and why. The numbers are the same but for rounding: sums are
grouped differently. Equal inputs give equal bits at the same number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .kernels import Last, call, first_gradient, of_recurrent, refusal

__all__ = ["gru_steps", "torch_because"]

FEWEST_STEPS = 8
"""For fewer it takes as long to lay out the matrices for the kernel as to make the steps without it."""


def gru_steps(
    x: Tensor,
    h0: Tensor,
    into: Tensor,
    recurrent: Tensor,
    into_bias: Tensor,
    recurrent_bias: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Outputs of every step of x (B, T, I), each at the place of its step, and h (B, H) after the last.

    `into` (3H, I) and `recurrent` (3H, H): the matrices W and U, gates in the order r, z, n; biases (3H,). `reverse`:
    the steps are made from T to 1.
    """
    given = [x, h0, into, recurrent, into_bias, recurrent_bias]
    if torch_because(given):
        return torch_steps(x, h0, into, recurrent, into_bias, recurrent_bias, reverse)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in given)
    run: Any = Steps.apply if keep else forward_steps
    y, h, _ = run(*given, reverse, keep)
    return y, h


def torch_steps(
    x: Tensor,
    h0: Tensor,
    into: Tensor,
    recurrent: Tensor,
    into_bias: Tensor,
    recurrent_bias: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """The same by torch's own."""
    weights = [into, recurrent, into_bias, recurrent_bias]
    keep = torch.is_grad_enabled()
    y, h = torch.gru(x.flip(1) if reverse else x, h0[None], weights, True, 1, 0.0, keep, False, True)
    return y.flip(1) if reverse else y, h[0]


def torch_because(given: Sequence[Tensor]) -> str | None:
    """Why torch's own runs for x, h0, W, U, b, b' (of all layers and directions); None: the kernel runs."""
    if given[0].shape[1] < FEWEST_STEPS:
        return f"fewer than {FEWEST_STEPS} steps are made sooner without the kernel"
    if torch.is_autocast_enabled("cpu"):
        return "within autocast torch chooses the precision"
    return refusal("gru", given, given)


# -- the two operations ------------------------------------------------------------------------------------------------


@torch.library.custom_op("elboroom::gru_forward", mutates_args=(), device_types="cpu")
def forward_steps(
    x: Tensor,
    h0: Tensor,
    into: Tensor,
    recurrent: Tensor,
    into_bias: Tensor,
    recurrent_bias: Tensor,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """y (B, T, H), laid out by steps; h (B, H); with `keep` r, z, n and what r is multiplied with (T, B, 4H)."""
    y, h, gates = empty_results(x, h0, keep)
    numbers = (*x.shape, h0.shape[1], reverse, torch.get_num_threads())
    read = [t.contiguous() for t in (x, h0, into, recurrent, into_bias, recurrent_bias)]
    call("gru", "forward", numbers, read, [y, h, gates if keep else None])
    return y.transpose(0, 1), h, gates


@forward_steps.register_fake
def _(
    x: Tensor,
    h0: Tensor,
    into: Tensor,
    recurrent: Tensor,
    into_bias: Tensor,
    recurrent_bias: Tensor,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    y, h, gates = empty_results(x, h0, keep)
    return y.transpose(0, 1), h, gates


def empty_results(x: Tensor, h0: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    (rows, steps, _), width = x.shape, h0.shape[1]
    gates = x.new_empty(steps if keep else 0, rows, 4 * width)
    return x.new_empty(steps, rows, width), x.new_empty(rows, width), gates


@torch.library.custom_op("elboroom::gru_backward", mutates_args=(), device_types="cpu")
def backward_steps(
    of_y: Tensor, of_h: Tensor, gates: Tensor, y: Tensor, h0: Tensor, recurrent: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of each step's sums (T, B, 4H), of h0, and of the sums over rows and steps (4, H).

    The sums are that of n from the inputs, those of r and z, and that of n from the state.
    """
    sums, of_h0, _ = empty_gradients(gates, of_h)
    steps, rows, width = len(gates), *h0.shape
    threads = min(torch.get_num_threads(), rows)
    over_rows = gates.new_zeros(threads, 4, width)
    of_y = of_y if of_y.stride(2) == 1 else of_y.contiguous()
    numbers = (rows, steps, width, reverse, threads, of_y.stride(0), of_y.stride(1))
    read = [of_y, *(t.contiguous() for t in (of_h, gates, y.transpose(0, 1), h0, recurrent))]
    call("gru", "backward", numbers, read, [sums, of_h0, over_rows])
    return sums, of_h0, over_rows.sum(0)


@backward_steps.register_fake
def _(
    of_y: Tensor, of_h: Tensor, gates: Tensor, y: Tensor, h0: Tensor, recurrent: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return empty_gradients(gates, of_h)


def empty_gradients(gates: Tensor, of_h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(gates), gates.new_empty(of_h.shape), gates.new_empty(4, of_h.shape[1])


class Steps(torch.autograd.Function):
    """`forward_steps` with its gradient, in the form that torch.func takes."""

    @staticmethod
    def forward(*given: Any) -> Any:
        return forward_steps(*given)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *given, reverse, _ = inputs
        y, _, gates = output
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(gates)
        ctx.save_for_backward(*given, y, gates)
        ctx.reverse = reverse

    @staticmethod
    def backward(ctx: Any, of_y: Tensor | None, of_h: Tensor | None, _: None) -> Any:
        """Of x, h0, W, U, b, b'; none of `reverse` and `keep`."""
        *given, y, gates = ctx.saved_tensors
        x, h0, into, recurrent, _, _ = given
        of_y = y.new_zeros(()).expand_as(y) if of_y is None else of_y
        of_h = torch.zeros_like(h0) if of_h is None else of_h
        if not first_gradient():  # torch's, which has others
            again: Any = torch.func.vjp(lambda *inner: torch_steps(*inner, ctx.reverse), *given)  # type: ignore[call-arg]
            return (*again[1]((of_y, of_h)), None, None)
        back: Any = Last.apply
        sums, of_h0, over = back("gru", backward_steps, of_y, of_h, gates, y, h0, recurrent, ctx.reverse)
        width, by_step = h0.shape[1], y.transpose(0, 1)
        of_inputs, of_states = sums[..., : 3 * width], sums[..., width:]  # of n, r, z, and of r, z, n
        of_inputs = of_inputs.flatten(0, 1)
        of_into = (of_inputs.t() @ x.transpose(0, 1).reshape(-1, x.shape[2])).roll(-width, 0)
        across = of_recurrent(of_states, by_step, h0, ctx.reverse)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (of_inputs @ into.roll(width, 0)).unflatten(0, by_step.shape[:2]).transpose(0, 1)
        return of_x, of_h0, of_into, across, over[:3].roll(-1, 0).flatten(), over[1:].flatten(), None, None


@register_flop_formula(torch.ops.elboroom.gru_forward)
def operations(x: tuple[int, int, int], h0: tuple[int, int], *_: Any, **__: Any) -> int:
    """Of the products in the forward pass, from the shapes; a multiply-add is two."""
    rows, steps, inputs = x
    return 6 * rows * steps * (inputs + h0[1]) * h0[1]
