"""nanoGPT training characters on a CPU: in turns of some steps (P10), or its whole run with its own looks (D4).

`--whole on` walks its 2,000 iterations as its script does: a look at both parts every 250, the weights of the best
look kept in a checkpoint. The wall time is that of this walk. Its weights are then scored.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from nanogpt_peer import Setting, Training, surprisal  # type: ignore[import-not-found]
from scoring import full, nano  # type: ignore[import-not-found]
from wire import connect  # type: ignore[import-not-found]


def main() -> None:
    wire = connect(whole="off", torch_seed="1337", turn_steps="100", steps="2000")
    args = wire.args
    torch.set_num_threads(args.threads)
    torch.manual_seed(int(args.torch_seed) + args.seed)
    with tempfile.TemporaryDirectory() as folder:
        training = Training(Setting(steps=int(args.steps)), wire.train, wire.test, Path(folder))
        if args.whole == "on":
            walk(wire, training)
        else:
            turns(wire, training, int(args.turn_steps))


def turns(wire: Any, training: Any, steps: int) -> None:
    net, setting = training.net, training.setting
    wire.ready(versions={"torch": torch.__version__}, parameters=sum(p.numel() for p in net.parameters()))
    for _ in wire.turns():
        began = time.perf_counter()
        for _ in range(steps):
            training.step()
        wire.took(time.perf_counter() - began, steps * setting.rows * setting.window)
    net.eval()
    held = full(lambda x, y: surprisal(net, x, y), wire.test, setting.window)
    wire.finish(validation_nats=held)


def walk(wire: Any, training: Any) -> None:
    setting, looks, best = training.setting, [], float("inf")
    began = time.perf_counter()
    while True:
        if training.done % setting.look_every == 0 or training.done == setting.steps:
            found = training.look()
            looks.append({"step": training.done, "s": time.perf_counter() - began, **found})
            if found["val"] < best:
                best = found["val"]
                training.save()
        if training.done == setting.steps:
            break
        training.step()
    took = time.perf_counter() - began
    net = training.net
    net.load_state_dict(torch.load(training.folder / "ckpt.pt", weights_only=True)["model"])
    net.eval()

    def nats(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return surprisal(net, x, y)  # type: ignore[no-any-return]

    wire.finish(
        took_s=took,
        best_look_nats=best,
        full_nats=full(nats, wire.test, setting.window),
        nano_nats=nano(nats, wire.test, setting.window, 0, setting.look_batches, setting.rows),
        parameters=sum(p.numel() for p in net.parameters()),
        looks=looks,
        versions={"torch": torch.__version__},
    )


if __name__ == "__main__":
    main()
