"""P9 in one process: training steps of a bidirectional LSTM over rows of different lengths, taking turns.

`elboroom` is given the padded rows and their lengths; `packed` sorts and packs them for torch's nn.LSTM and pads its
outputs again, as one does there; `padded` is nn.LSTM over all steps of the padded rows, whose backward direction then
begins in the padding: not the same work, but what it costs to read that many steps. All three have the same weights.
A training step is a forward pass and the gradients of all weights, for the same gradient of the outputs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elboroom.nn.recurrent import Recurrent


def main() -> None:
    args = asked()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    ours = Recurrent(args.inputs, args.hidden, bidirectional=True)
    theirs = nn.LSTM(args.inputs, args.hidden, batch_first=True, bidirectional=True)
    theirs.load_state_dict(ours.state_dict())
    ours.to(device)
    theirs.to(device)
    lengths = torch.randint(max(1, args.steps // 4), args.steps + 1, (args.batch,))
    lengths[0] = args.steps
    x = torch.randn(args.batch, args.steps, args.inputs, device=device)
    g = torch.randn(args.batch, args.steps, 2 * args.hidden, device=device)
    there = lengths.to(device)

    def packed() -> Tensor:
        rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(theirs(rows)[0], batch_first=True, total_length=args.steps)[0]

    def padded() -> Tensor:
        y: Tensor = theirs(x)[0]
        return y

    ways: dict[str, tuple[Callable[[], Tensor], list[nn.Parameter]]] = {
        "elboroom": (lambda: ours(x, None, there)[0], list(ours.parameters())),
        "packed": (packed, list(theirs.parameters())),
        "padded": (padded, list(theirs.parameters())),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(args.turns):  # the first is not counted
        names = list(ways)
        for name in names[turn % 3 :] + names[: turn % 3]:
            run, weights = ways[name]
            began = clock(device)
            for _ in range(args.repeats):
                torch.autograd.grad(run(), weights, g)
            if turn:
                seconds[name].append((clock(device) - began) / args.repeats)
    print(json.dumps({"seconds": seconds, "steps": int(lengths.sum()), **differences(ways, g)}), flush=True)


def differences(ways: dict[str, tuple[Callable[[], Tensor], list[nn.Parameter]]], g: Tensor) -> dict[str, float]:
    """Between ours and the packed: the largest of the outputs', and of the gradients' norms over the gradient's own."""
    (a, mine), (b, other) = ((ways[name][0](), ways[name][1]) for name in ("elboroom", "packed"))
    pairs = zip(torch.autograd.grad(a, mine, g), torch.autograd.grad(b, other, g), strict=True)
    return {
        "outputs": float((a - b).detach().abs().max()),
        "gradients": max(float((p - q).norm() / q.norm()) for p, q in pairs),
    }


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, required=True, help="of the longest row")
    parser.add_argument("--hidden", type=int, required=True, help="units of a direction")
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--repeats", type=int, default=1, help="training steps a turn")
    parser.add_argument("--turns", type=int, default=4, help="the first, which is not counted, included")
    parser.add_argument("--batch", type=int, default=32, help="rows")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_known_args()[0]  # what every worker is told and this one does not need: data, epochs


def clock(device: torch.device) -> float:
    """Seconds, when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


if __name__ == "__main__":
    main()
