"""C3: recurrent nets and a transformer's encoder as classifiers of sequences, MiniRocket and the largest class beside.

Each set is used as the archive gives it: the whole training part, the last weights, the archive's own test part. The
published figures of MiniRocket (Dempster et al. 2021) are means over 30 resamples, so they and the archive's own split
need not agree to more than about 0.02.
"""

from __future__ import annotations

import hashlib
import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "c3_classification"
SEEDS = 5
STEPS = {"JapaneseVowels": 1600, "ArrowHead": 1000, "GunPoint": 1000, "ItalyPowerDemand": 1000}
NETS = {
    "BiLSTM": ("--cell", "lstm", "--hidden", 64),
    "LSTM": ("--cell", "lstm", "--hidden", 96, "--no-bidirectional"),
    "BiGRU": ("--cell", "gru", "--hidden", 76),
    "encoder": ("--cell", "transformer", "--hidden", 32, "--layers", 3, "--lr", 1e-3),
}
"""35,000 to 43,000 weights each."""
GOALS = {("JapaneseVowels", "BiLSTM"): ">= 0.976"}
MINIROCKET = {"ArrowHead": "0.881 +- 0.02", "GunPoint": "0.992 +- 0.02", "ItalyPowerDemand": "0.960 +- 0.02"}
PUBLISHED = {
    "JapaneseVowels": "ResNet .992, MLP .976",
    "ArrowHead": "InceptionTime .846",
    "GunPoint": "InceptionTime 1.00",
    "ItalyPowerDemand": "InceptionTime .965",
}
PROTOCOL = (
    "elboroom fit classifier SET --split 1,0,1: all of the archive's training part, 1,600 (JapaneseVowels) or 1,000 "
    "steps of 16 sequences, the last weights, no setting chosen by the test part; accuracy on the archive's test part, "
    f"mean of {SEEDS} seeds with smallest and largest; MiniRocket: 9,996 features and ridge, strength by leave-one-out"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "made-up waves, two nets, 20 steps, 1 seed")
    folder = options.scratch(NAME) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ["waves"] if options.short else STEPS:
        source = sketch(folder) if options.short else archive(name)
        result.data[name] = words(folder, name)
        beside: dict[str, list[float]] = {}
        for net, settings in list(NETS.items())[: 2 if options.short else None]:
            runs = []
            for seed in range(1 if options.short else SEEDS):
                found = one(options, result, folder, [*source, *settings], f"{name}-{net}-{seed}", seed)
                runs.append(found)
                for rival, value in found.pop("beside").items():
                    beside.setdefault(rival, []).append(value)
            add(
                result, f"{name}: {net}", [r["accuracy"] for r in runs], GOALS.get((name, net), ""), PUBLISHED.get(name)
            )
            result.details.setdefault(name, {})[net] = runs
        for rival, values in beside.items():
            goal = MINIROCKET.get(name, "") if rival.startswith("MiniRocket") else ""
            add(result, f"{name}: {rival}", values, goal, "")
    return result


def add(result: Result, measure: str, values: list[float], goal: str, published: str) -> None:
    how = f"mean of {len(values)} runs" + (f"; published: {published}" if published else "")
    result.add(
        measure, round_off(statistics.mean(values)), "accuracy", goal,
        low=round_off(min(values)), high=round_off(max(values)), how=how,
    )  # fmt: skip


def one(options: Options, result: Result, folder: Path, words: list[object], name: str, seed: int) -> dict[str, Any]:
    """One run through the command line."""
    steps = 20 if options.short else STEPS[str(words[0])]
    call = ["classifier", *words, "--steps", steps, "--seed", seed, "--run", name, "--force"]
    command, document = fit(options, folder, call)
    result.commands.append(command)
    metrics = document["metrics"]
    return {
        "seed": seed,
        **{key: round_off(metrics[key]["value"]) for key in ("accuracy", "balanced_accuracy", "macro_f1")},
        "log_loss_nats": round_off(metrics["log_loss_nats"]["value"]),
        "calibration_error": round_off(metrics["calibration_error"]["value"]),
        "training_s": history(folder / name)[-1]["time_s"],
        "beside": {r["name"]: r["value"] for r in metrics["accuracy"]["references"]},
    }


def archive(name: str) -> list[object]:
    """The words that name a set of the archive."""
    root = os.environ.get("ELBOROOM_DATA", "")
    if not root or not (Path(root) / "sequences" / name).is_dir():
        raise SystemExit(f"{name} is not here: set ELBOROOM_DATA to a folder with sequences/{name}/{name}_TRAIN.ts")
    return [name, "--split", "1,0,1"]


def words(folder: Path, name: str) -> dict[str, str]:
    """File name to SHA-256."""
    root = Path(os.environ.get("ELBOROOM_DATA", "")) / "sequences" / name
    files = [folder / "waves.npz"] if name == "waves" else sorted(root.glob(f"{name}_*.ts"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def sketch(folder: Path) -> list[object]:
    """Slow and quick waves of 8 to 16 steps. For shortened runs."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(8, 17, 60)
    x = [np.sin((0.5, 1.5)[i % 2] * np.arange(n) + rng.uniform(0, 6)) for i, n in enumerate(lengths)]
    np.savez(folder / "waves.npz", x=np.concatenate(x)[:, None], lengths=lengths, y=np.arange(60) % 2)
    return ["waves.npz", "--kind", "sequences", "--split", ".7,0,.3"]
