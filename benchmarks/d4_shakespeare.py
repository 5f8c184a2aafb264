"""D4: tiny Shakespeare by characters at nanoGPT's setting for a CPU: published 1.88 nats, its estimate of the loss.

4 layers, 4 heads, width 128, 64 characters, 12 rows, 2,000 steps, through the command line with the preset nano-cpu;
weights of the best look at the held-out tenth, as nanoGPT keeps them. Its estimate (20 batches of 12 random windows)
has a standard error of 0.02, so every held-out character is scored, too: for our runs and for nanoGPT's own weights,
trained here in the same recipe, by one code (workers/scoring.py).
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from sys import executable
from typing import Any

from benchmarks.nanogpt import COMMIT, nanogpt
from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result
from benchmarks.rounds import Contestant, alone
from benchmarks.texts import pydoc_topics, tinyshakespeare

__all__ = ["run"]

NAME = "d4_shakespeare"
SEEDS = 3
WINDOW = 64
PROTOCOL = (
    "elboroom fit gpt tinyshakespeare --preset nano-cpu --split .9,.1,0, seeds 0, 1, 2; nano_loss_nats_per_token of "
    "metrics.json is nanoGPT's estimate; full split: windows of 64 that overlap by half, every held-out character but "
    f"the first predicted once, after 32 or more; nanoGPT {COMMIT[:7]} with torch seeds 1337 to 1339, its own looks "
    "and checkpoints, 2,000 steps; 2 threads on 2 processors for all"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "other text, 1 seed, 20 steps")
    text = pydoc_topics() if options.short else tinyshakespeare()
    result.data = text.words()
    data = text.save(options.scratch(NAME) / "data")
    runs = [one(options, result, data, seed) for seed in range(1 if options.short else SEEDS)]
    scores = scored(options, data, [entry["run"] for entry in runs])
    result.details["elboroom"] = [{**entry, "scored": scores[entry["run"]]} for entry in runs]
    how = f"mean of {len(runs)} seeds, with smallest and largest"
    spread(result, "validation loss, nanoGPT's estimate", [r["nano"] for r in runs], "<= 1.90", how)
    ours = [scores[entry["run"]]["full"] for entry in runs]
    spread(result, "validation loss, full split", ours, "", how)
    theirs = [entry for entry in peers(options, result, data) if entry]
    if not theirs:
        result.add("full split: elboroom minus nanoGPT", None, "nats a character", "<= 0", how="nanoGPT did not run")
        return result
    result.details["nanoGPT"] = theirs
    spread(result, "nanoGPT: best look of its own", [t["best_look_nats"] for t in theirs], "", how)
    spread(result, "nanoGPT: its estimate, its weights", [t["nano_nats"] for t in theirs], "", how)
    spread(result, "nanoGPT: full split", [t["full_nats"] for t in theirs], "", how)
    gap = statistics.mean(ours) - statistics.mean(t["full_nats"] for t in theirs)
    how = f"difference of the means of {len(ours)} and {len(theirs)} seeds"
    result.add("full split: elboroom minus nanoGPT", round_off(gap), "nats a character", "<= 0", how=how)
    return result


def one(options: Options, result: Result, data: Path, seed: int) -> dict[str, Any]:
    """One run through the command line."""
    source = "text.txt" if options.short else "tinyshakespeare"
    words = [source, "--preset", "nano-cpu", "--split", ".9,.1,0", "--seed", seed, "--run", f"seed-{seed}", "--force"]
    words += ["--kind", "text", "--steps", 20] if options.short else []
    command, document = fit(options, data, ["gpt", *words])
    result.commands.append(command)
    metrics = document["metrics"]
    return {
        "run": f"seed-{seed}",
        "nano": round_off(metrics["nano_loss_nats_per_token"]["value"]),
        "full": round_off(metrics["loss_nats_per_token"]["value"]),
        "training_s": history(data / f"seed-{seed}")[-1]["time_s"],
    }


def scored(options: Options, data: Path, runs: list[str]) -> dict[str, Any]:
    """The same runs, scored by the peer's code."""
    words = ("--runs", json.dumps(runs), "--window", str(WINDOW))
    who = Contestant("elboroom", Path(executable), "elboroom_scores.py", words)
    return alone(who, data, options.pace(), data.parent / "logs" / "scores.log")["runs"]  # type: ignore[no-any-return]


def peers(options: Options, result: Result, data: Path) -> list[dict[str, Any]]:
    """nanoGPT's own runs; none where it is not here."""
    found = []
    for seed in range(1 if options.short else SEEDS):
        words = ("--whole", "on", "--torch-seed", str(1337 + seed), "--steps", "20" if options.short else "2000")
        who = nanogpt(options, "nanogpt_training.py", words)
        if who is not None:
            result.commands.append(who.command())
            found.append(alone(who, data, options.pace(), data.parent / "logs" / f"nanogpt.{seed}.log"))
    return found


def spread(result: Result, measure: str, values: list[float], goal: str, how: str) -> None:
    """A row with the mean of some seeds."""
    low, high = round_off(min(values)), round_off(max(values))
    result.add(measure, round_off(statistics.mean(values)), "nats a character", goal, low=low, high=high, how=how)
