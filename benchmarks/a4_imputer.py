"""A4: genes told from a few landmark genes: the imputer against ridge regression, nearest rows and column means.

Three sets of expression. l1000_test.gct: 377 wells of one plate, split by compound: no compound is both trained on and
tested. Its 978 genes are themselves L1000's landmarks, so the targets here are landmark genes, too, and no figure says
anything of the rest of the transcriptome. mouse_bladder and 10x-10k-subset: counts of single cells as log(1 + x).
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "a4_imputer"
SEEDS = 3
SETS: dict[str, tuple[str, tuple[object, ...], tuple[int, ...]]] = {
    "l1000": ("l1000_test.gct", ("--group-by", "pert_iname", "--epochs", 40), (25, 50, 100, 200, 500)),
    "mouse_bladder": (
        "mouse_bladder.h5",
        ("--scale", "log1p", "--hidden", 256, "--dropout", 0.7, "--lr", 5e-4, "--epochs", 8),
        (100,),
    ),
    "10x": ("10x-10k-subset.npz", ("--scale", "log1p", "--dropout", 0.2, "--epochs", 12), (50, 200)),
}
MEASURES = {"r2": "R2", "mae": "MAE", "information_recovered": "information recovered"}
MEANT = "0.9 +- 0.03"
PROTOCOL = (
    "elboroom fit imputer SET --landmarks K, chosen greedily on the training part; split .8,.1,.1 (l1000: whole "
    f"compounds); {SEEDS} seeds of the training on one split; weights of the best validation loss; R2 and MAE over all "
    "asked cells of the test part, in the model's space (standard deviations, or log(1 + x)); information recovered: "
    "share of columns whose correlation of told and measured lies above the 95th percentile of the column's "
    "correlations with the others; ridge regression and nearest rows on the same rows, their strength and number "
    "chosen on the validation part; intervals: share of asked cells inside told +- 1.645 sd, sd calibrated on the "
    "validation part; mean of the seeds with the ends of the widest 95 % interval of a single run, over rows"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "a drawn table, one number of landmarks, 20 steps")
    folder = options.scratch(NAME)
    sets = {"drawn": drawn(folder)} if options.short else SETS
    result.data = {name: {"file": file} for name, (file, _, _) in sets.items()}
    for name, (file, words, counts) in sets.items():
        place = folder / file if options.short else genes() / file
        if not place.is_file():
            result.add(f"{name}, R2: imputer", None, "", how=f"{file} is not in $ELBOROOM_DATA/genes")
            continue
        for count in counts:
            runs = []
            for seed in range(1 if options.short else SEEDS):
                call = ["imputer", place, *words, "--landmarks", count, "--seed", seed]
                command, document = fit(options, folder, [*call, "--run", f"{name}-{count}-{seed}", "--force"])
                result.commands.append(command.replace(f"{place.parent}/", "" if options.short else "genes/"))
                took_s = history(folder / f"{name}-{count}-{seed}")[-1]["time_s"]
                runs.append({"seed": seed, "training_s": took_s, "metrics": document["metrics"]})
            add(result, f"{name}, {count} landmarks", runs)
            result.details.setdefault(name, {})[str(count)] = runs
    return result


def add(result: Result, title: str, runs: list[dict[str, Any]]) -> None:
    """A row for each measure and each who: the imputer over its seeds, the others once."""
    for key, label in MEASURES.items():
        found = [r["metrics"][key] for r in runs if key in r["metrics"]]
        if not found:
            continue
        put(result, f"{title}, {label}: imputer", found, found[0]["unit"], "")
        for reference in found[0]["references"]:
            who = reference["name"].partition(",")[0]
            who = "nearest rows" if who.endswith("nearest rows") else "column means" if who.startswith("mean") else who
            put(result, f"{title}, {label}: {who}", [reference], found[0]["unit"], "")
    inside = [r["metrics"]["interval_coverage"] for r in runs]
    put(result, f"{title}, inside 90 % intervals: imputer", inside, inside[0]["unit"], MEANT)


def put(result: Result, measure: str, found: list[dict[str, Any]], unit: str, goal: str) -> None:
    value = round_off(statistics.mean(f["value"] for f in found))
    ends = [(f["low"], f["high"]) for f in found if f["low"] is not None]
    low, high = (round_off(min(a for a, _ in ends)), round_off(max(b for _, b in ends))) if ends else (None, None)
    how = f"mean of {len(found)} seeds; widest of their 95 % intervals" if len(found) > 1 else "95 % interval over rows"
    result.add(measure, value, unit, goal, low=low, high=high, how=how)


def genes() -> Path:
    return Path(os.environ.get("ELBOROOM_DATA", "")) / "genes"


def drawn(folder: Path) -> tuple[str, tuple[object, ...], tuple[int, ...]]:
    """Thirty columns of three factors as a table in `folder`."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 30)) + rng.normal(size=(200, 30))
    lines = [",".join(f"g{i}" for i in range(30)), *(",".join(f"{v:.4f}" for v in row) for row in x)]
    (folder / "drawn.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "drawn.csv", ("--steps", 20), (5,)
