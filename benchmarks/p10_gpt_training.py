"""P10: training a GPT in the tiny-Shakespeare setting for a CPU against nanoGPT: the same net, batch and schedule.

4 layers of 4 heads, width 128, 64 characters, 12 rows a step, AdamW 1e-3, clipped at 1. nanoGPT runs as its script does
on a CPU: eager, fp32, the memory map opened anew each step. Its net has no biases, GPT-2's, which ours is, has them:
0.5 % more weights on our side. bf16 is run where the processor has bf16 products.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict
from pathlib import Path
from sys import executable

import torch

from benchmarks import floors
from benchmarks.nanogpt import COMMIT, nanogpt
from benchmarks.recipe import Comparison, Options, compare, held_out, precision_of, round_off, track_words
from benchmarks.record import Result
from benchmarks.rounds import Contestant, Pace, Track, race
from benchmarks.texts import pydoc_topics, tinyshakespeare
from elboroom.engine.runtime import has_bf16_products

__all__ = ["run"]

NAME = "p10_gpt_training"
LAYERS, WIDTH, WINDOW, ROWS = 4, 128, 64, 12
STEPS = 100
PROTOCOL = (
    "3 sessions of fresh processes with seeds 0 to 2; in each one warm-up turn, then 4 measured turns of 100 steps in "
    "rotation; 2 threads on 2 processors for all; median of ratios of neighbouring turns, in seconds a step of 768 "
    f"tokens; nanoGPT {COMMIT[:7]} without its evaluations, checkpoints and printing; the loss is that of every "
    "character of the held-out tenth after the same number of steps"
)
FORMS = {"eager fp32": ("fp32", "off"), "compiled fp32": ("fp32", "on"), "eager bf16": ("bf16", "off"),
         "compiled bf16": ("bf16", "on")}  # fmt: skip
GOALS = {"compiled fp32": "<= 0.50", "eager bf16": "<= 0.60", "compiled bf16": "<= 0.36"}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "other text, one turn of 10 steps, not compiled")
    text = pydoc_topics() if options.short else tinyshakespeare()
    result.data = text.words()
    scratch = options.scratch(NAME)
    steps = 10 if options.short else STEPS
    pace = Pace(
        sessions=1 if options.short else 3,
        turns=1 if options.short else 4,
        batch=ROWS,
        threads=options.threads,
        device=options.device,
        pinned=not options.short,
    )
    can_bf16 = has_bf16_products(torch.device(options.device))
    asked = {name: form for name, form in FORMS.items() if (can_bf16 or form[0] == "fp32") and not options.short}
    asked = asked or {"eager fp32": FORMS["eager fp32"]}
    contestants = [
        nanogpt(options, "nanogpt_training.py", ("--turn-steps", str(steps))),
        *(ours(name, *form, steps) for name, form in asked.items()),
    ]
    present = [who for who in contestants if who is not None]
    tracks = race(present, text.save(scratch / "data"), pace, scratch / "logs", per=ROWS * WINDOW)
    for form in FORMS:
        pair = Comparison(f"elboroom {form}", "nanoGPT", GOALS.get(form, ""))
        if form not in asked and not can_bf16 and "bf16" in form:
            how = "did not run: this processor has no bf16 products"
            result.add(f"seconds a step: {pair.ours} / {pair.theirs}", None, "x", pair.goal, how=how)
        else:
            compare(result, tracks, pair, "seconds a step")
    for name, track in tracks.items():
        value = statistics.mean(held_out(track, "validation_nats"))
        how = f"mean of {pace.sessions} sessions, after {(pace.turns + 1) * steps} steps"
        result.add(f"held-out loss: {name}", round_off(value), "nats a character", how=how)
    result.commands = [who.command() for who in present]
    result.details["pace"] = {**asdict(pace), "steps_a_turn": steps}
    describe(options, result, tracks, len(text.symbols))
    return result


def ours(name: str, precision: str, compile: str, steps: int) -> Contestant:
    """Ourselves, in one way of running; GPT-2's block and AdamW, as the preset nano-cpu has them."""
    settings = {"family": "gpt2", "layers": LAYERS, "heads": 4, "width": WIDTH, "optimizer": "adamw", "warmup": 0.05}
    words = ("--precision", precision, "--compile", compile, "--window", str(WINDOW), "--turn-steps", str(steps))
    words = (*words, "--settings", json.dumps(settings))
    return Contestant(f"elboroom {name}", Path(executable), "elboroom_text.py", words)


def describe(options: Options, result: Result, tracks: dict[str, Track], symbols: int) -> None:
    """Each contestant's turns, tokens a second and the floor under a step."""
    rates = floors.measure(options.threads) if options.device == "cpu" else None
    work = floors.Work.of_gpt(LAYERS, WIDTH, symbols, WINDOW, ROWS)
    for name, track in tracks.items():
        seconds = statistics.median(track.seconds)
        words = {**track_words(track, "seconds_a_step"), "tokens_a_second": round_off(ROWS * WINDOW / seconds)}
        words["held_out"] = track.finished
        result.details.setdefault("contestants", {})[name] = words
        if rates is not None:
            beside = work.beside(round_off(seconds), rates, precision_of(track))
            result.details.setdefault("floors", {})[name] = beside
    if rates is not None:
        result.details["rates"] = rates.to_json()
