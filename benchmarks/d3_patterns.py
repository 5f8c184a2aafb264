"""D3: a small GPT with each pattern of attention against dense attention, at equal compute, on tiny Shakespeare.

4 layers, width 128, windows of 1,024 characters, where dense attention takes two fifths of a step's arithmetic. Dense
attention is given 300 steps; a pattern as many as come to the same count of operations, so that what it saves on pairs
it spends on text. Operations: 6 a weight of the blocks and token, 12 a pair of query and key, width and layer, forward
and backward; embeddings, norms and softmax left out.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result
from benchmarks.texts import pydoc_topics, tinyshakespeare
from elboroom.nn.sparse import parse_layers

__all__ = ["run"]

NAME = "d3_patterns"
LAYERS, WIDTH, WINDOW, ROWS = 4, 128, 1024, 4
PATTERNS = ("dense", "sliding:64", "block:64", "strided:auto", "fixed:auto:16", "sliding:64+dense")
DENSE_STEPS, SEEDS = 300, 2
PROTOCOL = (
    "elboroom fit gpt tinyshakespeare, modern block, Muon, windows of 1,024, 4 a step, --split .9,.1,0, seeds 0 and 1; "
    "full split: every held-out character predicted once after 512 or more; mean of the seeds with smallest and largest"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "other text, two patterns, 10 steps, 1 seed")
    text = pydoc_topics() if options.short else tinyshakespeare()
    result.data = text.words()
    data = text.save(options.scratch(NAME) / "data")
    dense = operations("dense", WINDOW)
    for pattern in PATTERNS[: 2 if options.short else None]:
        steps = round((10 if options.short else DENSE_STEPS) * dense / operations(pattern, WINDOW))
        runs = [one(options, result, data, pattern, steps, seed) for seed in range(1 if options.short else SEEDS)]
        losses = [found["full"] for found in runs]
        result.add(
            f"validation loss, full split: {pattern}", round_off(statistics.mean(losses)), "nats a character",
            low=round_off(min(losses)), high=round_off(max(losses)), how=f"after {steps} steps",
        )  # fmt: skip
        result.details.setdefault("patterns", {})[pattern] = {
            "steps": steps,
            "operations_a_step": ROWS * operations(pattern, WINDOW),
            "pairs_a_query": [round_off(p.pairs(WINDOW) / WINDOW) for p in parse_layers(pattern, LAYERS, WINDOW)],
            "runs": runs,
        }
    return result


def operations(pattern: str, window: int) -> int:
    """Of one window, forward and backward."""
    pairs = sum(p.pairs(window) for p in parse_layers(pattern, LAYERS, window))
    return 6 * 12 * LAYERS * WIDTH**2 * window + 12 * WIDTH * pairs


def one(options: Options, result: Result, data: Path, pattern: str, steps: int, seed: int) -> dict[str, Any]:
    """One run through the command line."""
    source = ["text.txt", "--kind", "text"] if options.short else ["tinyshakespeare"]
    folder = f"{pattern.replace(':', '-')}-{seed}"
    words: list[object] = [*source, "--tokenizer", "char", "--split", ".9,.1,0", "--attention", pattern]
    words += ["--layers", LAYERS, "--heads", 4, "--width", WIDTH, "--window", WINDOW, "--batch-size", ROWS]
    words += ["--steps", steps, "--seed", seed, "--run", folder, "--force"]
    command, document = fit(options, data, ["gpt", *words])
    result.commands.append(command)
    found = document["metrics"]["loss_nats_per_token"]
    return {
        "seed": seed,
        "full": round_off(found["value"]),
        "low": round_off(found["low"]),
        "high": round_off(found["high"]),
        "training_s": history(data / folder)[-1]["time_s"],
    }
