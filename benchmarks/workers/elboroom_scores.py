"""Our runs of D4 scored by the code that scores the peer: nanoGPT's estimate, and every held-out character."""

from __future__ import annotations

import json
from typing import Any

import torch
from elboroom_text import surprisal  # type: ignore[import-not-found]
from scoring import full, nano  # type: ignore[import-not-found]
from wire import connect  # type: ignore[import-not-found]

from elboroom.core.abilities import Continues
from elboroom.run import load


def main() -> None:
    wire = connect(runs="[]", window="64")
    torch.set_num_threads(wire.args.threads)
    window = int(wire.args.window)
    found: dict[str, Any] = {}
    for name in json.loads(wire.args.runs):
        model = load(wire.args.data / name).model
        assert isinstance(model, Continues)

        def nats(x: torch.Tensor, y: torch.Tensor, model: Continues = model) -> torch.Tensor:
            return surprisal(model, x, y)  # type: ignore[no-any-return]

        found[name] = {"full": full(nats, wire.test, window), "nano": nano(nats, wire.test, window, 0, 20, 12)}
    wire.finish(runs=found)


if __name__ == "__main__":
    main()
