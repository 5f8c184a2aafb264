"""Graphs that are one graph but for some numbers: those numbers become inputs, so that one graph serves all.

A setting such as beta or the step size is a plain number of the source and stands in a traced graph as such. The one
idea: trace each member, walk the graphs side by side, and make an input of every number that differs. Anything else
that differs (an operation, a shape, a number where no tensor can stand) makes the graphs unlike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

__all__ = ["Unlike", "lift_constants"]

aten = torch.ops.aten


class Unlike(ValueError):
    """The graphs differ in more than numbers that can be inputs; the message says in what."""


def lift_constants(modules: Sequence[GraphModule]) -> tuple[GraphModule, list[Tensor]]:
    """The first graph with every number that differs made a further input, and those numbers: (members,) each.

    Raises Unlike.
    """
    walks = [list(module.graph.nodes) for module in modules]
    if len({len(nodes) for nodes in walks}) > 1:
        raise Unlike(f"their steps have {' and '.join(sorted({str(len(nodes)) for nodes in walks}))} operations")
    places = [{node: i for i, node in enumerate(nodes)} for nodes in walks]
    found: list[tuple[Node, int, list[float]]] = []
    for row in zip(*walks, strict=True):
        _same_node(row, modules)
        for at, values in enumerate(zip(*(node.args for node in row), strict=False)):
            if _same(values, places):
                continue
            if not all(isinstance(value, float) for value in values):
                raise Unlike(f"{row[0].target} has {values[0]} in one and another value in another")
            found.append((row[0], at, list(values)))
        if not _same([dict(node.kwargs) for node in row], places):
            raise Unlike(f"{row[0].target} has other options")
    return _with_inputs(modules[0], found)


def _same_node(row: Sequence[Node], modules: Sequence[GraphModule]) -> None:
    first = row[0]
    for node, module in zip(row, modules, strict=True):
        if (node.op, len(node.args)) != (first.op, len(first.args)):
            raise Unlike(f"{first.target} stands in one where another has {node.target}")
        if node.op == "get_attr":
            if not _same_constant(getattr(module, str(node.target)), getattr(modules[0], str(first.target))):
                raise Unlike("they hold different fixed arrays")
        elif node.target != first.target:
            raise Unlike(f"{first.target} stands in one where another has {node.target}")
        if node.op == "placeholder" and node.meta["val"].shape != first.meta["val"].shape:
            raise Unlike(f"{first.target} has different shapes")


def _same_constant(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)
    return one is other


def _same(values: Sequence[Any], places: Sequence[dict[Node, int]]) -> bool:
    """Whether one argument is the same in all graphs; nodes are the same at the same place."""
    first = values[0]
    if isinstance(first, Node):
        at = places[0][first]
        return all(isinstance(v, Node) and where[v] == at for v, where in zip(values, places, strict=True))
    if isinstance(first, list | tuple):
        same_length = all(isinstance(v, type(first)) and len(v) == len(first) for v in values)
        return same_length and all(_same(row, places) for row in zip(*values, strict=True))
    if isinstance(first, dict):
        same_keys = all(isinstance(v, dict) and v.keys() == first.keys() for v in values)
        return same_keys and all(_same([v[key] for v in values], places) for key in first)
    return all(type(v) is type(first) and v == first for v in values)


def _with_inputs(
    module: GraphModule, found: Sequence[tuple[Node, int, list[float]]]
) -> tuple[GraphModule, list[Tensor]]:
    """`module`, changed in place: each number that was found is an input at the end; equal ones share it."""
    known: dict[tuple[tuple[float, ...], torch.dtype], Node] = {}
    constants: list[Tensor] = []
    last = [node for node in module.graph.nodes if node.op == "placeholder"][-1]
    for node, at, values in found:
        dtype = _dtype(node, at)
        key = (tuple(values), dtype)
        if key not in known:
            with module.graph.inserting_after(last):
                last = module.graph.placeholder(f"constant_{len(constants)}")
            last.meta["val"] = torch.empty((), dtype=dtype, device=node.meta["val"].device)
            known[key] = last
            constants.append(torch.tensor(values, dtype=torch.float64).to(node.meta["val"].device, dtype))
        _take(node, at, known[key])
    module.graph.lint()
    module.recompile()
    return module, constants


def _dtype(node: Node, at: int) -> torch.dtype:
    """Of the tensor that the number is taken together with, or of the result where that is no fraction."""
    others = [a.meta["val"].dtype for i, a in enumerate(node.args) if i != at and isinstance(a, Node)]
    dtype = next((d for d in others if d.is_floating_point), node.meta["val"].dtype)
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


_IN_PLACE = {"Tensor": "Tensor", "Scalar": "Tensor"}
_BINARY = ("add", "sub", "mul", "div", "add_", "sub_", "mul_", "div_", "gt", "ge", "lt", "le", "eq", "ne")


def _forms() -> dict[tuple[Any, int], Callable[[Node, Node], tuple[Any, tuple[Any, ...]]]]:
    """How an operation takes a tensor where it had a number, by (operation, place of the number)."""
    forms: dict[tuple[Any, int], Callable[[Node, Node], tuple[Any, tuple[Any, ...]]]] = {}
    for name in _BINARY:
        packet = getattr(aten, name)
        for overload in packet.overloads():
            if overload in _IN_PLACE:
                forms[getattr(packet, overload), 1] = lambda n, c, p=packet: (p.Tensor, (n.args[0], c))  # type: ignore[misc]
    forms[aten.rsub.Scalar, 1] = lambda n, c: (aten.sub.Tensor, (c, n.args[0]))
    forms[aten.pow.Tensor_Scalar, 1] = lambda n, c: (aten.pow.Tensor_Tensor, (n.args[0], c))
    forms[aten.pow.Scalar, 0] = lambda n, c: (aten.pow.Tensor_Tensor, (c, n.args[1]))
    forms[aten.clamp_max.default, 1] = lambda n, c: (aten.minimum.default, (n.args[0], c))
    forms[aten.clamp_min.default, 1] = lambda n, c: (aten.maximum.default, (n.args[0], c))
    forms[aten.scalar_tensor.default, 0] = lambda n, c: (aten.clone.default, (c,))
    return forms


_FORMS = _forms()


def _take(node: Node, at: int, constant: Node) -> None:
    """Have `node` take `constant` where its number stood."""
    form = _FORMS.get((node.target, at))
    if form is None or node.kwargs or len(node.args) > 2:
        raise Unlike(f"{node.target} takes a number that differs, and no tensor in its place")
    node.target, node.args = form(node, constant)
