"""What the operations made of a kernel in C++ share: when they may stand for a form in torch, and how they are called.

Such an operation runs on a processor in float32 or float64, for one set of weights, and has a first gradient alone.
Everything else (other devices and dtypes, vmap, forward differentiation, gradients of gradients, graphs for other
programs) is for the form in torch. The kernels themselves: `native`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import native

__all__ = ["Last", "call", "first_gradient", "of_recurrent", "refusal"]

SUFFIX = {torch.float32: "float", torch.float64: "double"}


def refusal(library: str, given: Sequence[Tensor], weights: Sequence[Tensor]) -> str | None:
    """Why the kernels of `library` are not to be taken for what is given, weights included; None: they are."""
    elsewhere = next((t.device.type for t in given if t.device.type != "cpu"), None)
    if elsewhere:
        return f"the kernel runs on a processor, not on {elsewhere}"
    dtypes = {t.dtype for t in weights}
    if len(dtypes) > 1 or not dtypes <= SUFFIX.keys():
        return f"the kernel is written for float32 and float64, not {' and '.join(sorted(map(str, dtypes)))}"
    if torch.compiler.is_compiling():
        return "a graph for other programs holds operations of torch alone"
    if transformed(given):
        return "the kernel has a first gradient only, and takes one set of weights"
    return None if native.library(library) else native.why(library)


def transformed(given: Sequence[Tensor]) -> bool:
    """Whether we are inside vmap, forward differentiation, or a gradient within a gradient."""
    levels = torch._C._functorch.get_interpreter_stack()
    if not levels:
        return any(torch._C._functorch.is_batchedtensor(t) for t in given) or dual_level() >= 0
    if len(levels) > 1 or levels[0].key() != torch._C._functorch.TransformType.Grad:
        return True
    # An outer gradient, not one of torch.func's, would want the second gradient of what leads here.
    return any(innermost(t).requires_grad for t in given) or dual_level() >= 0


def innermost(tensor: Tensor) -> Tensor:
    """What torch.func has wrapped."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor


def dual_level() -> int:
    """-1 outside of forward differentiation."""
    return int(torch.autograd.forward_ad._current_level)


def first_gradient() -> bool:
    """Whether the gradient being taken is wanted as numbers alone: one gradient of torch.func, or no `create_graph`."""
    levels = torch._C._functorch.get_interpreter_stack()
    if levels:
        return len(levels) == 1 and levels[0].key() == torch._C._functorch.TransformType.Grad
    return not torch.is_grad_enabled()


def call(
    library: str, name: str, numbers: Sequence[int], read: Sequence[Tensor], written: Sequence[Tensor | None]
) -> None:
    """Run kernel `name` of the library, in the dtype of what it reads."""
    found = native.library(library)
    if found is None:  # it was there when the graph that asks for it was made
        raise RuntimeError(f"{native.why(library)}; make the graph again")
    found.call(f"{name}_{SUFFIX[read[0].dtype]}", [int(n) for n in numbers], read, written)


class Last(torch.autograd.Function):
    """The way back of a kernel, `(library, operation, *given)`: it has no gradient, and says so to whoever asks."""

    @staticmethod
    def forward(library: str, operation: Any, *given: Any) -> Any:
        return operation(*given)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.library = inputs[0]

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(
            f"the {ctx.library} kernel has a first gradient only; set ELBOROOM_NATIVE=off for a second one"
        )


def of_recurrent(sums: Tensor, states: Tensor, h0: Tensor, reverse: bool) -> Tensor:
    """Gradient (k, H) of the recurrent matrix, one product over all steps.

    `sums` (T, B, k): gradients of what it gave at each step; `states` (T, B, H): the state after each step; h0 (B, H).
    """
    if reverse:
        later, earlier, first = sums[:-1], states[1:], sums[-1]
    else:
        later, earlier, first = sums[1:], states[:-1], sums[0]
    return later.flatten(0, 1).t() @ earlier.flatten(0, 1) + first.t() @ h0
