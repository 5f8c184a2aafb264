"""The pure step: a function of named tensors that the engine traces once and then runs in several ways.

A step's inputs are the phase's parameters, every other tensor of the model, the optimiser's slots, the sums of the
logs, the raw batch and t; it changes them in place. `make_fx` flattens it into one graph of plain operations in which
autograd, the optimiser and inner gradients are gone. Tracing fails loudly on a host read, which is how a test on a CPU
catches what would stall a GPU.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from elboroom.core.batch import Batch
from elboroom.core.phase import Phase

__all__ = ["Draw", "Graph", "Losses", "Names", "casting", "lift_draws", "names_of", "trace"]

Raw = dict[str, Tensor]


class Losses(nn.Module):
    """Model and transform under one roof, so that one functional call swaps every tensor of both."""

    def __init__(self, model: nn.Module, transform: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.transform = transform

    def forward(self, loss: Callable[[Batch, Tensor], Any], raw: Raw, t: Tensor) -> Any:
        return loss(self.transform(raw), t)


class _Call(nn.Module):
    """Calls a function of no arguments while the tensors of `losses` are swapped."""

    def __init__(self, losses: Losses) -> None:
        super().__init__()
        self.model = losses.model
        self.transform = losses.transform

    def forward(self, function: Callable[[], None]) -> None:
        function()


def names_of(losses: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by name, each once."""
    return {**dict(losses.named_parameters()), **dict(losses.named_buffers())}


def casting(precision: str, device: torch.device, *, cached: bool = True) -> AbstractContextManager[Any]:
    """bf16 products inside the step with fp32 parameters outside, or nothing for fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=cached)
    return nullcontext()


@dataclass(frozen=True)
class Names:
    """Which tensors a phase trains and which it only reads or changes as buffers."""

    train: tuple[str, ...]
    rest: tuple[str, ...]

    @classmethod
    def of(cls, losses: Losses, phase: Phase) -> Names:
        known = {id(tensor): name for name, tensor in losses.named_parameters()}
        train = tuple(known[id(p)] for p in phase.params)
        return cls(train, tuple(n for n in names_of(losses) if n not in set(train)))


@dataclass
class Graph:
    """A traced function of flat tensors and the examples it was traced with."""

    module: torch.fx.GraphModule
    examples: list[Tensor]

    @property
    def code(self) -> str:
        """Its source text: equal for equal steps, over processes."""
        return str(self.module.code)


def trace(function: Callable[..., Any], examples: list[Tensor]) -> Graph:
    """Trace a function of flat tensors with stand-ins: nothing is run, no state changes."""
    from torch.fx.experimental.proxy_tensor import make_fx

    quicker: dict[Any, Callable[..., Any]] = {
        torch.ops.aten.gelu.default: _gelu,
        torch.ops.aten.gelu_backward.default: _gelu_backward,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = make_fx(function, quicker, tracing_mode="fake", _allow_non_fake_inputs=True)(*examples)
    module.graph.eliminate_dead_code()
    module.recompile()
    return Graph(module, examples)


def _gelu(x: Tensor, approximate: str = "none") -> Any:
    """tanh-GELU, 0.5 x (1 + tanh u), as x sigmoid(2u): on a processor tanh takes as long as four exponentials."""
    return (x * _gate(x)[0]).to(x.dtype) if approximate == "tanh" else NotImplemented


def _gelu_backward(grad: Tensor, x: Tensor, approximate: str = "none") -> Any:
    if approximate != "tanh":
        return NotImplemented
    gate, slope = _gate(x)
    return (grad * (gate + x * gate * (1 - gate) * slope)).to(x.dtype)


def _gate(x: Tensor) -> tuple[Tensor, Tensor]:
    """sigmoid(2u) for u = sqrt(2/pi) (x + 0.044715 x^3), and 2 du/dx."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    twice, square = math.sqrt(8 / math.pi), x * x
    return torch.sigmoid(x * (twice + twice * 0.044715 * square)), twice + 3 * twice * 0.044715 * square


def objective(
    losses: Losses, phase: Phase, precision: str
) -> Callable[..., tuple[Tensor, tuple[Tensor, list[Tensor]]]]:
    """The loss as a function of (train, rest, raw, t), with the loss and its logs as a second result."""

    def compute(train: dict[str, Tensor], rest: dict[str, Tensor], raw: Raw, t: Tensor) -> Any:
        with casting(precision, t.device, cached=False):
            loss, logs = torch.func.functional_call(losses, {**rest, **train}, (phase.loss, raw, t))
        return loss, (loss.detach(), [value.detach() for value in logs.values()])

    return compute


def run_after(losses: Losses, phase: Phase, tensors: dict[str, Tensor]) -> None:
    """The phase's `after()` on swapped tensors, in place."""
    if phase.after is not None:
        with torch.no_grad():
            torch.func.functional_call(_Call(losses), tensors, (phase.after,))


@dataclass(frozen=True)
class Draw:
    """One random node of a graph, made an input: how to draw it from the default generator at a given size."""

    target: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    arguments: tuple[float, ...]

    def __call__(self, rows: int | None, device: torch.device) -> Tensor:
        """The draw, with its first axis made `rows` long where `rows` is given."""
        shape = self.shape if rows is None else (rows, *self.shape[1:])
        return self.fill_(torch.empty(shape, dtype=self.dtype, device=device))

    def fill_(self, out: Tensor) -> Tensor:
        """The draw, into `out`."""
        if self.target in {"randn", "randn_like"}:
            return out.normal_()
        if self.target in {"rand", "rand_like"}:
            return out.uniform_()
        if self.target == "normal_":
            return out.normal_(*self.arguments)
        if self.target == "uniform_":
            return out.uniform_(*self.arguments)
        if self.target in {"bernoulli", "bernoulli_"}:
            return out.bernoulli_(*self.arguments)
        return out.random_(*(int(a) for a in self.arguments))


LIFTABLE = {
    "randn": 0,
    "randn_like": 0,
    "rand": 0,
    "rand_like": 0,
    "normal_": 1,
    "uniform_": 1,
    "bernoulli_": 1,
    "bernoulli": 1,
    "random_": 1,
    "randint": 0,
    "randint_like": 1,
}


def lift_draws(graph: Graph) -> tuple[torch.fx.GraphModule, list[Draw]]:
    """Turn the random nodes of a graph into further inputs, in the order they are drawn.

    A draw whose probability is itself a tensor is refused: write `torch.rand_like(p) < p` instead.
    """
    import copy

    module = copy.deepcopy(graph.module)
    draws: list[Draw] = []
    last = [n for n in module.graph.nodes if n.op == "placeholder"][-1]
    for node in list(module.graph.nodes):
        if node.op != "call_function" or torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
            continue
        if _drops_nothing(node):
            continue
        name = node.target._schema.name.removeprefix("aten::")
        skip = LIFTABLE.get(name)
        numbers = [a for a in node.args[skip or 0 :] if isinstance(a, int | float)]
        without_rate = name == "bernoulli" and not numbers
        if skip is None or without_rate or any(isinstance(a, torch.fx.Node) for a in node.args[1:]):
            raise RuntimeError(
                f"the draw {node.target} depends on data or has no plain form; write torch.rand_like(p) < p"
            )
        value = node.meta["val"]
        draw = Draw("random_" if name.startswith("randint") else name, tuple(value.shape), value.dtype, tuple(numbers))
        with module.graph.inserting_after(last):
            last = module.graph.placeholder(f"draw_{len(draws)}")
        last.meta["val"] = value
        node.replace_all_uses_with(last)
        module.graph.erase_node(node)
        draws.append(draw)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module, draws


def _drops_nothing(node: torch.fx.Node) -> bool:
    """Whether this is a kernel that could drop values at random, as that of attention can, and is told not to."""
    for place, argument in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        if argument.name == "dropout_p":
            given = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name)
            return bool((argument.default_value if given is None else given) == 0)
    return False
