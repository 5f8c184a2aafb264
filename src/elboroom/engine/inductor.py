"""A traced step compiled by torch's Inductor, with what it does slowly on a processor done before it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from elboroom.engine.trace import Graph

__all__ = ["inductor"]


def inductor(graph: Graph) -> tuple[Callable[..., Any], str]:
    """Compile a graph, by the quickest entry this torch offers; with the name of the entry that was used."""
    torch.use_deterministic_algorithms(  # the compiler is told, too: see runtime.deterministic
        torch.are_deterministic_algorithms_enabled(), warn_only=torch.is_deterministic_algorithms_warn_only_enabled()
    )
    on_cpu = graph.examples[0].device.type == "cpu"
    options = {"cpp_wrapper": on_cpu, "fallback_random": True}
    quick, places = _widened(graph) if on_cpu else (graph, [])
    if on_cpu and not torch.cpu._is_avx512_supported():
        options["layout_optimization"] = False  # convolutions over channels last take 1.5 times as long with AVX2
    for name, compile_graph in (("standalone", _standalone), ("dynamo", _dynamo)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compiled = compile_graph(quick, options)
            return (_widening(compiled, places, quick.examples) if places else compiled), name
        except (RuntimeError, AttributeError, TypeError, ImportError, OSError) as error:
            reason = error
    warnings.warn(f"no compiled step on this machine, the graph is interpreted: {reason}", stacklevel=2)
    return graph.module, "interpreted"


def _standalone(graph: Graph, options: dict[str, Any]) -> Callable[..., Any]:
    from torch._inductor import standalone_compile

    compiled: Callable[..., Any] = standalone_compile(
        graph.module, list(graph.examples), dynamic_shapes="from_example_inputs", options={"config_patches": options}
    )
    return compiled


def _dynamo(graph: Graph, options: dict[str, Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(graph.module, fullgraph=True, dynamic=False, options=options)
    return compiled


def _widened(graph: Graph) -> tuple[Graph, list[int]]:
    """The graph without the conversion of bytes to floats, and the places of the inputs that are to come as floats.

    Compiled, that conversion loads every eight bytes one by one: 437 microseconds for 256 images of 28 x 28 with AVX2,
    where copying them into floats takes 23. It is exact either way.
    """
    module, places = copy.deepcopy(graph.module), []
    examples = list(graph.examples)
    for place, node in enumerate(n for n in module.graph.nodes if n.op == "placeholder"):
        if examples[place].dtype != torch.uint8 or not node.users or not all(_makes_floats(u) for u in node.users):
            continue
        for user in list(node.users):
            user.replace_all_uses_with(node)
            module.graph.erase_node(user)
        examples[place] = examples[place].to(torch.float32)
        node.meta["val"] = node.meta["val"].to(torch.float32)
        places.append(place)
    module.recompile()
    return Graph(module, examples), places


def _makes_floats(node: torch.fx.Node) -> bool:
    """Whether all that this does to its input is to make it float32."""
    plain = node.target is torch.ops.aten._to_copy.default and set(node.kwargs) == {"dtype"}
    return plain and node.kwargs["dtype"] is torch.float32


def _widening(run: Callable[..., Any], places: list[int], examples: list[Tensor]) -> Callable[..., Any]:
    """`run`, given bytes at some places: they are copied into floats that are kept for it."""
    floats = [torch.empty_like(examples[place]) for place in places]

    def widened(*given: Tensor) -> Any:
        inputs = list(given)
        for place, wide in zip(places, floats, strict=True):
            inputs[place] = wide.copy_(given[place])
        return run(*inputs)

    return widened
