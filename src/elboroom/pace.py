"""How long to train and how often to look: steps from minutes, and a rhythm of looks at held-out data from steps.

Minutes become a number of steps before the first one, by a trial whose effect is undone; from there on the clock has
no say, so that the run can be repeated from what run.json holds.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import torch

from elboroom.core.abilities import Continues, Forecasts
from elboroom.data.windows import Windows
from elboroom.surprise import tokens_read
from elboroom.training import EVALUATION_ROWS, evaluating

if TYPE_CHECKING:
    from elboroom.plan import Runtime
    from elboroom.training import Training

__all__ = ["foreseen", "is_round", "looks", "operations", "steps_in", "whole_seconds"]

LOOKS = 20
"""Looks a run of a model of texts or series has; epochs of the one may be long, of the other a step."""
MOST_LOOKS = 100
SHARE = 0.1
"""Of a run's time that looks of a language model may take, by counted operations."""
TRAINING_SHARE = 0.7
"""Of the minutes asked for that a model is sized for; the rest is reading, compiling, looking and the end."""
ENDING_S = 6.0
"""Seconds that the end of a text's run takes beside reading: baselines, samples, pictures, report."""
FORESEEN_STEPS = 200
"""Steps from which a run is told its time beforehand: the trial is a small share of them."""
OPERATIONS_PER_SECOND = {"cpu": 3e10, "cuda": 3e13}
"""What small transformers reach in training: a thread of the CPU measured, the GPU assumed."""


def operations(minutes: float, runtime: Runtime) -> float:
    """Floating-point operations of training that fit into the minutes, for sizing a model: counted, not clocked."""
    from elboroom.engine.runtime import cores, find_device

    kind = find_device(runtime.device).type
    threads = (runtime.threads or cores()) if kind == "cpu" else 1
    return minutes * 60 * TRAINING_SHARE * OPERATIONS_PER_SECOND.get(kind, 3e10) * threads


def is_round(number: int) -> bool:
    """1, 2, 5, 10, 20, 50 ...: when samples are kept."""
    return number > 0 and str(number).strip("0") in {"1", "2", "5"}


def looks(training: Training, steps: int) -> dict[str, int]:
    """`log_every`, and for language models `look_every` (steps) and `look_rows` (windows of a part, 0 for all)."""
    per_epoch = training.stream.steps_per_epoch
    log_every = max(1, min(50, per_epoch))
    if not isinstance(training.model, Continues | Forecasts):
        return {"log_every": log_every}
    every = math.ceil(steps / LOOKS)
    if isinstance(training.model, Continues):
        every = max(1, min(every, per_epoch), math.ceil(steps / MOST_LOOKS))
    log_every = min(50, every)
    every -= every % log_every
    # a look costs a third of a step of as many rows: forward without backward
    rows = int(SHARE * 3 * training.stream.batch_size * every / max(1, len(training.held_out)))
    most = max((len(part) for part in training.held_out.values()), default=0)
    return {"log_every": log_every, "look_every": every, "look_rows": 0 if rows >= most else max(rows, 1)}


def foreseen(training: Training, steps: int) -> str:
    """How long `steps` will take, by a trial of a few whose effect is undone; "" for short runs and several processes.

    A recurrent net's steps in time follow each other, so its cost is not told by counts. Nothing is decided by it.
    """
    if steps < FORESEEN_STEPS or training.meta["runtime"]["world"] > 1:
        return ""
    try:
        step_s = training.trial(0.3)
    except (MemoryError, torch.OutOfMemoryError):  # training meets it again, and says what to do
        return ""
    seconds = steps * step_s
    size, unit = (1, "s") if seconds < 100 else (60, "min") if seconds < 6000 else (3600, "h")
    said = f"{steps:,} steps, {step_s * 1e3:.2g} ms each in a trial"
    return f"about {seconds / size:.2g} {unit} of training ahead: {said}"


def steps_in(seconds: float, training: Training, since: float) -> tuple[int, str]:
    """Steps that end, looks and evaluation included, `seconds` after `since` (of time.monotonic); and why."""
    step_s = training.trial()
    row_s = _look_seconds(training)
    ending_s = _ending_seconds(training, row_s, seconds)
    left = seconds - (time.monotonic() - since) - ending_s
    steps = max(1, int(left / step_s))
    for _ in range(3):
        steps = max(1, int(left / (step_s + _looked_at(training, steps) * row_s)))
    why = (
        f"a trial took {step_s * 1e3:.3g} ms a step; looks at held-out data and the end of the run, "
        f"about {ending_s:.0f} s, are taken off"
    )
    return steps, why


def whole_seconds(training: Training, steps: int, step_s: float) -> float:
    """From the first step to the report, looks at held-out data included, where a step takes `step_s`."""
    row_s = _look_seconds(training)
    seconds = steps * (step_s + _looked_at(training, steps) * row_s)
    return seconds + _ending_seconds(training, row_s, seconds)


def _looked_at(training: Training, steps: int) -> float:
    """Held-out rows that looks read, per step of training."""
    rhythm = looks(training, steps)
    rows = sum(min(rhythm.get("look_rows", 0) or len(part), len(part)) for part in training.held_out.values())
    return rows / rhythm.get("look_every", training.stream.steps_per_epoch)


def _look_seconds(training: Training) -> float:
    """Seconds a held-out row takes."""
    part = next(iter(training.held_out), "")
    if not part:
        return 0.0
    rows = min(len(training.held_out[part]), EVALUATION_ROWS)
    with evaluating(training.model):
        training.loss_on(part, rows)
        began = time.monotonic()
        training.loss_on(part, rows)
    return (time.monotonic() - began) / rows


def _ending_seconds(training: Training, row_s: float, seconds: float) -> float:
    """Evaluation, pictures and report after the last step."""
    part = next((training.held_out[name] for name in ("test", "valid") if name in training.held_out), None)
    if not isinstance(part, Windows):
        return 0.1 * seconds
    weights = sum(p.numel() for p in training.model.parameters())
    read = tokens_read(weights, len(part.tokens), part.window, training.device.type)
    return min(0.5 * seconds, ENDING_S + read / part.window * row_s)
