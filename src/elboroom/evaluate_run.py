"""A run measured on its own held-out part or on other data, with an audit of its likelihood where one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from elboroom.core.errors import InputError
from elboroom.engine.runtime import configure, seeded
from elboroom.evaluate import Evaluation, Reader, evaluate, held_out
from elboroom.evaluate_audit import evaluate_audit

if TYPE_CHECKING:
    from elboroom.run import Run

__all__ = ["evaluate_run"]

SAMPLES = 5000
"""K of the bounds that stand beside an audit, where none was named."""


def evaluate_run(run: Run, source: Any, *, samples: int, ais: int, write: bool) -> Evaluation:
    """Every measure; `ais`: examples whose likelihood is audited, 0 for none. `write` puts it into the run's folder."""
    if ais < 0:
        raise InputError(f"--ais {ais}: the number of examples is 1 or more")
    data = run.dataset() if source is None else run.read(source)
    seed, runtime = run.meta["runtime"]["seed"], run.meta["runtime"]
    with configure(runtime["threads"], runtime["matmul"]):
        audit = None
        if ais:
            part = held_out(data)
            reader = Reader(data.parts[part], run.transform, run.model, seed)
            with torch.no_grad(), seeded(seed):
                audit = evaluate_audit(
                    run.model, reader, part, examples=ais, samples=samples or SAMPLES, seed=seed, name=run.name
                )
        found = evaluate(run.model, run.transform, run.spec, data, samples=samples, seed=seed)
    if audit is not None:
        found.metrics |= {key: measure.to_json() for key, measure in audit.measures.items()}
        found.details |= audit.details
    if write:
        from elboroom.finish import write_evaluation

        write_evaluation(run.folder, found)
    return found
