"""P7 in one process: a critic's step with a gradient penalty and the same step without, taking turns."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from wire import connect  # type: ignore[import-not-found]

from elboroom.core import registry
from elboroom.core.batch import Batch
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.engine.probe import cost_of
from elboroom.engine.programs import Compiled, Eager, Program
from elboroom.engine.runtime import deterministic, seed_draws
from elboroom.engine.trace import Losses
from elboroom.losses.adversarial import Game, relativistic, wasserstein
from elboroom.models._adversarial import Adversarial

PENALTIES: dict[str, tuple[str, dict[str, Any], Game]] = {
    "r1r2": ("r3gan", {}, relativistic),
    "lipschitz": ("wgan", {"backbone": "conv"}, wasserstein),
}


class Plain(nn.Module):
    """Raw rows are the batch."""

    def forward(self, raw: dict[str, Tensor]) -> Batch:
        return Batch(raw["x"])


def main() -> None:
    wire = connect(penalty="r1r2", compile="off", measured="15", steps="10")
    args = wire.args
    torch.set_num_threads(args.threads)
    x = torch.from_numpy(wire.train[: args.batch])[:, None].float() / 127.5 - 1
    raw, t = {"x": x.to(args.device)}, torch.zeros((), device=args.device)
    spec = Spec(kind="images", shape=tuple(x.shape[1:]), scale="symmetric", low=-1, high=1)
    name, settings, game = PENALTIES[args.penalty]
    kind, steps = registry.load(name), int(args.steps)
    programs: dict[str, Program] = {}
    for form in ("penalised", "plain"):
        seed_draws(args.seed)
        model = kind(kind.Config(**settings), spec).to(args.device)
        assert isinstance(model, Adversarial)
        phase = model.phases()[0] if form == "penalised" else without_slopes(model, game)
        losses = Losses(model, Plain())
        logs = cost_of(losses, phase, raw, t).logs
        with deterministic():
            programs[form] = (
                Compiled(losses, phase, logs, "fp32", raw, t) if args.compile == "on" else Eager(losses, phase, logs)
            )
    seconds: dict[str, list[float]] = {form: [] for form in programs}
    with deterministic():
        for turn in range(int(args.measured) + 1):
            order = list(programs) if turn % 2 else list(programs)[::-1]
            for form in order:
                took = timed(programs[form], raw, t, steps)
                if turn:
                    seconds[form].append(took)
    assert not any(program.failed() for program in programs.values())
    entry = getattr(programs["plain"], "entry", "eager")
    wire.ready(seconds=seconds, steps=steps, entry=entry, versions={"torch": torch.__version__})


def without_slopes(model: Adversarial, game: Game) -> Phase:
    """The critic's phase with the same players, pairs and optimiser, and no gradient taken."""

    def loss(batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        real, made = model.duel(batch)
        return game.critic(real, made), model.terms(real, made)

    return replace(model.phases()[0], loss=loss)


def timed(program: Program, raw: dict[str, Tensor], t: Tensor, steps: int) -> float:
    began = time.perf_counter()
    for step in range(steps):
        seed_draws(step)
        program(raw, t)
    program.means()  # on an accelerator: wait for the last step
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
