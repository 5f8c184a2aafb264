"""A5: the VAE exercise on 4-bit MNIST, test bits per dimension after 80 epochs: about 0.52 (0.518 in one public run).

The preset `course-conv`: floor(16 x) clamped to 15, a categorical head, five convolutions of 32, 32, 64, 64, 64
filters with GELU and their mirror, z of 20, Adam 1e-3, batch 128, 54,000 images to train and 6,000 to choose the
best epoch by. All 80 epochs run, 30 to 90 minutes on two processors; an interrupted recipe goes on where it
stopped. Beside it what needs no model: 4 bits (uniform), and independent pixels fitted on the training part, which
must come out at 0.977.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "a5_vae_bits"
PROTOCOL = (
    "elboroom fit vae mnist --preset course-conv, 54,000 / 6,000 / 10,000 images, weights of the best validation "
    "epoch, seed 0; bits per dimension of the test part from metrics.json (ELBO, nats / (784 ln 2)); baselines "
    "from the same file"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits at 16 levels, 2 epochs")
    result.data = options.images().words()
    scratch = options.scratch(NAME)
    words = ["digits", "--epochs", 2] if options.short else ["mnist"]
    again = "--force" if options.short or done(scratch / "seed-0") else "--or-resume"
    runtime = ["--seed", 0, "--run", "seed-0", again]
    command, document = fit(options, scratch, ["vae", *words, "--preset", "course-conv", *runtime])
    result.commands.append(command)
    bits = document["metrics"]["bits_per_dim"]
    result.add(
        "test bits per dimension",
        round_off(bits["value"]),
        "bits",
        "<= 0.53",
        low=bits["low"],
        high=bits["high"],
        how=bits["how"],
    )
    references = {entry["name"]: entry["value"] for entry in bits.get("references", [])}
    for name, value in references.items():
        goal = "4.0 +- 0.001" if "uniform" in name else "0.977 +- 0.002" if "independent" in name else ""
        result.add(f"without a model: {name}", round_off(value), "bits", goal)
    epochs = [row for row in history(scratch / "seed-0") if "valid/bits_per_dim" in row]
    if len(epochs) > 1:
        result.add("validation after 2 epochs", round_off(epochs[1]["valid/bits_per_dim"]), "bits", "< 2.0")
    result.details["validation_bits_by_epoch"] = {
        f"{row['epoch']:g}": round_off(row["valid/bits_per_dim"])
        for row in epochs
        if row is epochs[-1] or round(row["epoch"]) in {1, 2, 5, 10, 20, 40, 60}
    }
    result.details.update(about(scratch / "seed-0"))
    return result


def done(run: Path) -> bool:
    """Whether a run is finished: then the recipe begins a new one."""
    path = run / "run.json"
    return path.is_file() and bool(json.loads(path.read_text(encoding="utf-8"))["state"] == "done")


def about(run: Path) -> dict[str, Any]:
    """What the run itself says of its budget, choices and kept weights."""
    meta = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return {key: meta[key] for key in ("budget", "runtime", "parameters", "kept", "took_s", "started")}
