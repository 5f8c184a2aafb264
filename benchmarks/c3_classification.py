"""C3: recurrent nets and a transformer's encoder as classifiers of sequences, MiniRocket and the largest class beside.

Four nets of as many weights, each tuned in the same way (`c3_tuning`) by a part of the set's own training part; then
five seeds on the whole training part, the last weights, and the archive's own test part. BiLSTM is also run as it
comes. The published figures of MiniRocket (Dempster et al. 2021) are means over 30 resamples, so they and the archive's
own split need not agree to more than about 0.02.
"""

from __future__ import annotations

import hashlib
import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.c3_tuning import DRAWS, KEPT, SHORTENED, tuned
from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "c3_classification"
SEEDS = 5
STEPS = {"JapaneseVowels": 800, "ArrowHead": 300, "GunPoint": 400, "ItalyPowerDemand": 800}
NETS: dict[str, dict[str, Any]] = {
    "LSTM": {"cell": "lstm", "hidden": 96, "bidirectional": False},
    "BiLSTM": {"cell": "lstm", "hidden": 64},
    "GRU": {"cell": "gru", "hidden": 112, "bidirectional": False},
    "transformer": {"cell": "transformer", "hidden": 32, "layers": 3},
}
"""34,000 to 43,000 weights each; the transformer is an encoder, so it looks both ways as BiLSTM does."""
GOALS = {("JapaneseVowels", "BiLSTM"): ">= 0.976", ("JapaneseVowels", "BiLSTM as it comes"): ">= 0.976"}
MINIROCKET = {"ArrowHead": "0.881 +- 0.02", "GunPoint": "0.992 +- 0.02", "ItalyPowerDemand": "0.960 +- 0.02"}
PUBLISHED = {
    "JapaneseVowels": "ResNet .992, MLP .976",
    "ArrowHead": "InceptionTime .846",
    "GunPoint": "InceptionTime 1.00",
    "ItalyPowerDemand": "InceptionTime .965",
}
PROTOCOL = (
    f"for each net and set {DRAWS} settings, drawn once from the ranges of c3_tuning and the same for all, trained "
    f"for 1/{SHORTENED} of the steps on two thirds of the archive's training part; the {KEPT} with the smallest log "
    "loss on the other third trained for all steps, the smaller one taken; then elboroom fit classifier SET --split "
    f"1,0,1: all of the training part, {', '.join(f'{k} {v}' for k, v in STEPS.items())} steps of 16 sequences, the "
    f"last weights; accuracy on the archive's test part, mean of {SEEDS} seeds with smallest and largest; BiLSTM as it "
    "comes: no setting given; MiniRocket: 9,996 features and ridge, strength by leave-one-out"
)


def run(options: Options) -> Result:
    result = options.begin(
        NAME, __doc__.splitlines()[0], PROTOCOL, "made-up waves, two nets and draws, 20 steps, 1 seed"
    )
    folder = options.scratch(NAME) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ["waves"] if options.short else STEPS:
        source = sketch(folder) if options.short else archive(name)
        result.data[name] = words(folder, name)
        beside: dict[str, list[float]] = {}
        for net, settings in list(NETS.items())[: 2 if options.short else None]:
            place = folder / str(source[0]) if options.short else name
            trials = tuned(place, settings, steps(options, name), options.threads, 2 if options.short else DRAWS)
            result.details.setdefault("tuning", {}).setdefault(name, {})[net] = [trial.words() for trial in trials]
            seeds(options, result, folder, name, net, [*source, *flags({**settings, **trials[0].settings})], beside)
        seeds(options, result, folder, name, "BiLSTM as it comes", source, beside)
        for rival, values in beside.items():
            goal = MINIROCKET.get(name, "") if rival.startswith("MiniRocket") else ""
            add(result, f"{name}: {rival}", values, goal, "")
    return result


def steps(options: Options, name: str) -> int:
    return 20 if options.short else STEPS[name]


def flags(settings: dict[str, Any]) -> list[object]:
    """Settings as the command line takes them."""
    out: list[object] = []
    for key, value in settings.items():
        flag = key.replace("_", "-")
        out += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", value]
    return out


def seeds(
    options: Options,
    result: Result,
    folder: Path,
    name: str,
    net: str,
    call: list[object],
    beside: dict[str, list[float]],
) -> None:
    """All seeds of one net on one set, as one row; what stands beside them goes into `beside`."""
    runs = []
    for seed in range(1 if options.short else SEEDS):
        found = one(options, result, folder, call, f"{name}-{net.replace(' ', '-')}-{seed}", seed, steps(options, name))
        runs.append(found)
        for rival, value in found.pop("beside").items():
            beside.setdefault(rival, []).append(value)
    goal, published = GOALS.get((name, net), ""), PUBLISHED.get(name, "")
    add(result, f"{name}: {net}", [r["accuracy"] for r in runs], goal, published)
    result.details.setdefault(name, {})[net] = runs


def add(result: Result, measure: str, values: list[float], goal: str, published: str) -> None:
    how = f"mean of {len(values)} runs" + (f"; published: {published}" if published else "")
    result.add(
        measure, round_off(statistics.mean(values)), "accuracy", goal,
        low=round_off(min(values)), high=round_off(max(values)), how=how,
    )  # fmt: skip


def one(
    options: Options, result: Result, folder: Path, words: list[object], name: str, seed: int, steps: int
) -> dict[str, Any]:
    """One run through the command line."""
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
