"""D2: the reverse task: 16 of 10 symbols, a separator, and the same symbols backwards; published 100 % on the test.

50,000 training, 1,000 validation and 10,000 test lines of random symbols; a causal GPT of 1 layer, 1 head and width 32
reads "input SEP reversed" and must write the second half of each test line greedily without a fault.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from sys import executable

import numpy as np

from benchmarks.recipe import Options, round_off
from benchmarks.record import Result
from benchmarks.rounds import Contestant, alone

__all__ = ["run"]

NAME = "d2_reverse"
SIZES = {"train": 50_000, "valid": 1_000, "test": 10_000}
EPOCHS = 10
SETTINGS = {"family": "gpt2", "layers": 1, "heads": 1, "width": 32, "optimizer": "adamw", "lr": 5e-3, "warmup": 0.05}
PROTOCOL = (
    "lines drawn once by numpy's generator 0; gpt, family gpt2, batch 128, AdamW 5e-3, 10 epochs, weights of the best "
    "validation loss, seed 0, eager fp32; a test line counts where all 16 symbols are right, greedily; seconds of "
    "training with its looks at validation lines"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "1,000 lines, 1 epoch, 50 test lines")
    sizes = {"train": 1_000, "valid": 100, "test": 50} if options.short else SIZES
    digits = np.random.default_rng(0).integers(0, 10, (sum(sizes.values()), 16)).astype(np.uint8)
    result.data = {"name": "reverse", **sizes, "sha256": hashlib.sha256(digits.tobytes()).hexdigest()}
    scratch = options.scratch(NAME)
    data = scratch / "data"
    data.mkdir(exist_ok=True)
    np.save(data / "train.npy", digits[: -sizes["test"]])
    np.save(data / "test.npy", digits[-sizes["test"] :])
    epochs = 1 if options.short else EPOCHS
    words = ("--epochs", str(epochs), "--valid", str(sizes["valid"]), "--settings", json.dumps(SETTINGS))
    who = Contestant("elboroom", Path(executable), "elboroom_reverse.py", words)
    found = alone(who, data, options.pace(batch=128), scratch / "logs" / "elboroom.log")
    result.commands.append(who.command())
    result.details["elboroom"] = {k: round_off(v) if isinstance(v, float) else v for k, v in found.items()}
    how = f"of {sizes['test']:,} lines"
    result.add("test lines reversed without a fault", round_off(100 * found["exact_share"]), "%", ">= 100", how=how)
    result.add("seconds of training", round_off(found["training_s"]), "s", "<= 120")
    result.add("seconds of writing the test lines", round_off(found["test_s"]), "s")
    return result
