"""P8 in one process: one layer of the peephole LSTM, of the gru and of torch's nn.LSTM and nn.GRU, all of one shape,
taking turns call by call.

`elboroom` is the peephole layer as it runs here, `plain` the same without its kernel, `lstm` torch's own with the same
weights; `gru` is the gru as it runs here, `torch_gru` torch's own with its weights. Inference is a forward pass without
a gradient; training is a forward pass and the gradients of all weights, for the same gradient of the outputs, the
input's not among them. Each turn times one call of each, in an order that is turned round every time; `plain` takes
part in every eighth.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import torch
from torch import Tensor, nn

from elboroom.nn import native
from elboroom.nn.recurrent import Recurrent


def main() -> None:
    args = asked()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    ours = Recurrent(args.inputs, args.hidden, cell="peephole")
    theirs = nn.LSTM(args.inputs, args.hidden, batch_first=True)
    theirs.load_state_dict({name: w for name, w in ours.state_dict().items() if "peephole" not in name})
    x = torch.randn(args.batch, args.steps, args.inputs)
    g = torch.randn(args.batch, args.steps, args.hidden)
    gru, torch_gru = gated(args)
    same = {  # the peepholes of a new layer are 0
        "elboroom": differences(ours, theirs, x, g),
        "gru": differences(gru, torch_gru, x, g),
    }
    with torch.no_grad():
        ours.get_parameter("peephole_l0").normal_(0, 0.1)
    nets: dict[str, nn.Module] = {"elboroom": ours, "lstm": theirs, "gru": gru, "torch_gru": torch_gru}
    order = tuple(nets)
    nets["plain"] = ours
    seconds: dict[str, dict[str, list[float]]] = {
        work: {name: [] for name in nets} for work in ("inference", "training")
    }
    for turn in range(args.turns):  # the first is not counted
        for work, times in seconds.items():
            for name in (order, order[::-1])[turn % 2] + ("plain",) * (turn % 8 == 1):
                took = clocked(work, nets[name], x, g, plain=name == "plain")
                if turn:
                    times[name].append(took)
    kernels = {name: native.why(name) for name in ("peephole", "gru")}
    print(json.dumps({"seconds": seconds, "kernels": kernels, "same": same}), flush=True)


def gated(args: argparse.Namespace) -> tuple[nn.Module, nn.Module]:
    """The gru and torch's own with the same weights."""
    ours, theirs = Recurrent(args.inputs, args.hidden, cell="gru"), nn.GRU(args.inputs, args.hidden, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def clocked(work: str, net: nn.Module, x: Tensor, g: Tensor, plain: bool) -> float:
    """Seconds of one call."""
    weights = list(net.parameters())
    if plain:
        os.environ["ELBOROOM_NATIVE"] = "off"
    began = time.perf_counter()
    if work == "inference":
        with torch.no_grad():
            net(x)
    else:
        torch.autograd.grad(net(x)[0], weights, g)
    took = time.perf_counter() - began
    os.environ.pop("ELBOROOM_NATIVE", None)
    return took


def differences(ours: nn.Module, theirs: nn.Module, x: Tensor, g: Tensor) -> dict[str, float]:
    """The largest of the outputs', and of the gradients' norms over the gradient's own."""
    a, b = ours(x)[0], theirs(x)[0]
    mine = [p for name, p in ours.named_parameters() if "peephole" not in name]
    pairs = zip(torch.autograd.grad(a, mine, g), torch.autograd.grad(b, list(theirs.parameters()), g), strict=True)
    return {
        "outputs": float((a - b).detach().abs().max()),
        "gradients": max(float((p - q).norm() / q.norm()) for p, q in pairs),
    }


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--hidden", type=int, default=128, help="units")
    parser.add_argument("--inputs", type=int, default=32)
    parser.add_argument("--turns", type=int, default=4, help="the first, which is not counted, included")
    parser.add_argument("--batch", type=int, default=64, help="rows")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_known_args()[0]  # what every worker is told and this one does not need: data, epochs, device


if __name__ == "__main__":
    main()
