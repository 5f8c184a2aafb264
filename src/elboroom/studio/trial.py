"""The child that tells how long a training would take and how much memory, by a trial that leaves nothing.

A process of its own, since it imports torch, and so that its peak of memory is the training's. In, on standard input:
{"model", "source", "options": {name: text}}; out: one line, see `foretold`, or {"error": sentence}, and "refused" where
`fit` would say the same. It trains eagerly: compiling would take longer than the whole trial.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
from pathlib import Path
from typing import Any

from elboroom.core import registry
from elboroom.core.errors import ElboroomError

from .checker import read_options, sentence

__all__ = ["foretold"]

TRIAL_S = 0.7
"""Seconds each of two trials trains at most; the quicker and the slower of them give the range."""
SPREAD = 0.15
"""By how much a step may be quicker or slower through a run than in a trial."""
Json = dict[str, Any]


def foretold(model: str, source: str, options: dict[str, str]) -> Json:
    """What `fit MODEL SOURCE` with these options would cost.

    "steps"; "seconds" [least, most] from the first step to the report; "step_s" of the two trials; "memory_bytes" of
    this process at its peak, "free_bytes" of the machine when it began; "parameters"; "threads"; "compiled": whether
    the run itself would compile, and so be quicker than told. Raises ElboroomError where `fit` would.
    """
    from elboroom.cli import flags
    from elboroom.data.source import read
    from elboroom.fitting import SPLIT_SEED
    from elboroom.pace import whole_seconds
    from elboroom.plan import chosen
    from elboroom.request import Request
    from elboroom.training import Training, configured

    free = _free_bytes()
    entry = registry.entry(model)
    given = read_options(entry, options)
    runtime = {k: v for k, v in flags.runtime(given).items() if k != "save_every"}
    budget = {name: given[name] for name in flags.BUDGET if given.get(name) is not None}
    asked = Request.of(
        model, reading=flags.reading(given), settings=flags.settings(given), preset=given.get("preset") or "",
        **runtime, **budget,
    )  # fmt: skip
    dataset = read(source, asked.reading, seed=SPLIT_SEED)
    asked = asked.accepting(dataset)
    eager = dataclasses.replace(asked, runtime=dataclasses.replace(asked.runtime, compile="off"))
    training = Training(eager.describe(dataset, ""), dataset, None, networks=None)
    eager.plan(training, lambda event: None, trial=False)
    steps = training.meta["budget"]["steps"]
    with configured(training.meta):
        trials = sorted(training.trial(TRIAL_S) for _ in range(2))
        ends = [whole_seconds(training, steps, step_s) for step_s in trials]
    minutes = training.meta["budget"]["minutes"]
    seconds = [minutes * 60] * 2 if minutes else [ends[0] * (1 - SPREAD), ends[1] * (1 + SPREAD)]
    own, _ = chosen(asked.runtime, training.costs(), steps, training.model.precision, within=bool(minutes))
    return {
        "steps": steps,
        "seconds": seconds,
        "step_s": trials,
        "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "free_bytes": free,
        "parameters": training.meta["parameters"],
        "threads": training.meta["runtime"]["threads"],
        "compiled": own.compile == "on",
    }


def _free_bytes() -> int:
    """Memory that the machine can still give; 0 where it does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else 0


def main() -> None:
    """Answer one question."""
    asked = json.load(sys.stdin)
    try:
        options = {str(name): str(text) for name, text in asked["options"].items()}
        answer = foretold(str(asked["model"]), str(asked["source"]), options)
    except ElboroomError as error:
        answer = {"error": sentence(str(error)), "refused": True}
    except MemoryError:
        answer = {"error": "the memory of this machine did not suffice for a trial; try a smaller batch-size"}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
