"""D4b: how far 15 CPU minutes go on tiny Shakespeare, and how soon 1.88 is reached, with as many weights as nanoGPT.

The modern block and Muon at 4 layers and width 128, some 0.8 million weights, as in D4. Two settings of window and
batch are each given 15 minutes; both are shown. With --threads 1 those are 15 minutes of one processor. Then the time
to nanoGPT's published 1.88: from the first step to the first look at the held-out tenth that is below it, against the
time of nanoGPT's own 2,000 steps with its looks. 1.88 nats are 2.71 bits a character, worse than xz (2.52): the report
of a run says so.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks.nanogpt import COMMIT, nanogpt
from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result, median_of_ratios
from benchmarks.rounds import alone
from benchmarks.texts import pydoc_topics, tinyshakespeare

__all__ = ["run"]

NAME = "d4b_shakespeare"
TARGET = 1.88
SIZE = ["--family", "modern", "--optimizer", "muon", "--layers", 4, "--heads", 4, "--width", 128]
ATTEMPTS: dict[str, list[object]] = {
    "window 256, batch 16": ["--window", 256, "--batch-size", 16],
    "window 128, batch 16": ["--window", 128, "--batch-size", 16],
}
SPRINT: list[object] = ["--window", 64, "--batch-size", 12, "--steps", 1000]
SPRINTS = 3
PROTOCOL = (
    "elboroom fit gpt tinyshakespeare --minutes 15 --split .9,.1,0 for each setting, one seed; the loss of the weights "
    "of the best look, by nanoGPT's estimate and on the full split; then 3 times in turn: nanoGPT "
    f"{COMMIT[:7]}, 2,000 steps with its looks and checkpoints, and elboroom fit with --steps 1000, seconds of "
    "training until the first look at or below 1.88; as many threads as asked for, on as many processors; starting "
    "and compiling outside"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "other text, 20 steps, one sprint")
    text = pydoc_topics() if options.short else tinyshakespeare()
    result.data = text.words()
    data = text.save(options.scratch(NAME) / "data")
    for name, words in list(ATTEMPTS.items())[: 1 if options.short else None]:
        budget: list[object] = ["--steps", 20] if options.short else ["--minutes", 15]
        attempt(options, result, data, name, [*words, *budget])
    sprints(options, result, data)
    return result


def attempt(options: Options, result: Result, data: Path, name: str, words: list[object]) -> None:
    """One setting, given its minutes."""
    folder = "best-" + name.replace(" ", "-").replace(",", "")
    document = one(options, result, data, folder, words)
    metrics, rows = document["metrics"], history(data / folder)
    for measure, key, goal in (
        ("nanoGPT's estimate", "nano_loss_nats_per_token", "<= 1.65"),
        ("full split", "loss_nats_per_token", ""),
    ):
        found = metrics[key]
        result.add(
            f"{measure}, {name}", round_off(found["value"]), "nats a character", goal, low=found["low"],
            high=found["high"], how=found["how"],
        )  # fmt: skip
    looks = [row["valid/loss_nats"] for row in rows if "valid/loss_nats" in row]
    best = {"best_look_nats": round_off(min(looks)), "steps": rows[-1]["step"], "training_s": rows[-1]["time_s"]}
    result.details.setdefault("attempts", {})[name] = best


def one(options: Options, result: Result, data: Path, folder: str, words: list[object]) -> dict[str, Any]:
    """One run through the command line."""
    source = ["text.txt", "--kind", "text"] if options.short else ["tinyshakespeare"]
    asked = [
        *source,
        "--tokenizer",
        "char",
        "--split",
        ".9,.1,0",
        *SIZE,
        *words,
        "--seed",
        0,
        "--run",
        folder,
        "--force",
    ]
    command, document = fit(options, data, ["gpt", *asked])
    result.commands.append(command)
    return document


def sprints(options: Options, result: Result, data: Path) -> None:
    """Time to the target against nanoGPT's whole run, in turns."""
    measure = f"seconds to {TARGET} / nanoGPT's 2,000 steps"
    ours, theirs = [], []
    for turn in range(1 if options.short else SPRINTS):
        steps = ("--steps", "20") if options.short else ()
        who = nanogpt(options, "nanogpt_training.py", ("--whole", "on", *steps))
        if who is None:
            result.add(measure, None, "x", "<= 0.5", how="nanoGPT did not run")
            return
        log = data.parent / "logs" / f"nanogpt.{turn}.log"
        theirs.append(float(alone(who, data, options.pace(), log)["took_s"]))
        one(options, result, data, "sprint", ["--steps", 20, "--window", 64] if options.short else SPRINT)
        rows = history(data / "sprint")
        reached = [row["time_s"] for row in rows if row.get("valid/loss_nats", TARGET + 1) <= TARGET]
        if not reached and not options.short:
            result.add(measure, None, "x", "<= 0.5", how=f"{TARGET} was not reached in turn {turn + 1}")
            return
        ours.append(reached[0] if reached else rows[-1]["time_s"])
    middle, low, high = median_of_ratios(ours, theirs)
    how = f"median of {len(ours)} turns, with quartiles"
    result.add(measure, round_off(middle), "x", "<= 0.5", low=round_off(low), high=round_off(high), how=how)
    result.details["sprints"] = {"elboroom_s": ours, "nanogpt_s": [round_off(s) for s in theirs]}
    result.details["sprints"]["nanogpt_median_s"] = round_off(statistics.median(theirs))
