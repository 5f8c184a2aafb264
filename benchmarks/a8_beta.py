"""A8: rate, distortion and disentanglement of a beta-VAE over beta, on two sets whose factors are known.

`shapes` (3, 4, 8, 8, 8) and sprites_factors (3, 3, 6, 6, 6, 6), at 32 x 32. Beta of 1, 2, 4, 8 and 16, five seeds
each, the split the same for all. What must hold: the rate falls and the distortion rises with beta, in every seed.
What is only reported: MIG, DCI, SAP and FactorVAE score with the sign test over seeds of each beta against 1, whatever
they show; no beta promises disentanglement.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from pathlib import Path
from typing import Any

from benchmarks.recipe import Options, elboroom, round_off
from benchmarks.record import Result
from elboroom.metrics.interval import mean_interval

__all__ = ["run", "sign_test"]

NAME = "a8_beta"
BETAS, SEEDS = (1, 2, 4, 8, 16), 5
SCORES = ("mig", "dci_disentanglement", "sap", "factor_vae_score")
SETTINGS = ("--backbone", "mlp", "--hidden", "256,128", "--latent", 8, "--batch-size", 64, "--size", "32x32")
PROTOCOL = (
    "elboroom sweep beta_vae, z of 8, MLP 256-128, Adam 1e-3, batch 64, 60 epochs (shapes) and 20 (sprites), 60/10/30 "
    "split by one seed, 5 training seeds a beta; all values from metrics.json on the test part; interval: Student's t "
    "over seeds; sign test: two-sided, over seeds, without ties"
)


def run(options: Options) -> Result:
    result = options.begin(
        NAME, __doc__.splitlines()[0], PROTOCOL, "shapes 2x2x4x5x5, betas 1 and 16, 2 seeds, 2 epochs"
    )
    scratch = options.scratch(NAME)
    for name, (source, epochs) in sets(options).items():
        if source is None:
            result.add(f"{name}: beta 16, rate", None, "nats", how="not in $ELBOROOM_DATA")
            continue
        found = sweep(result, options, scratch, name, source, epochs)
        judge(result, name, found)
        result.details[name] = {
            measure: {str(beta): [round_off(v) for v in values] for beta, values in by_beta.items()}
            for measure, by_beta in found.items()
        }
    return result


def sets(options: Options) -> dict[str, tuple[str | None, int]]:
    """Name, source (None: not there) and epochs."""
    if options.short:
        return {"shapes": ("shapes:2x2x4x5x5", 2)}
    file = Path(os.environ.get("ELBOROOM_DATA", "")) / "sprites_factors" / "sprites_factors.npz"
    return {"shapes": ("shapes", 60), "sprites": (str(file) if file.is_file() else None, 20)}


def sweep(
    result: Result, options: Options, scratch: Path, name: str, source: str, epochs: int
) -> dict[str, dict[int, list[float]]]:
    """Each measure by beta, an entry a seed: one command trains them all, and goes on where it was broken off."""
    found: dict[str, dict[int, list[float]]] = {}
    betas, seeds = (BETAS[::4], 2) if options.short else (BETAS, SEEDS)
    words = ["sweep", "beta_vae", source, "--over", f"beta={','.join(map(str, betas))}", "--seeds", seeds]
    words += ["--epochs", epochs, "--split", "0.6,0.1,0.3", *SETTINGS, "--run", name, "--or-resume"]
    command, _ = elboroom(options, scratch, [*words, "--threads", options.threads])
    result.commands.append(
        command.replace(source, f"$ELBOROOM_DATA/.../{Path(source).name}" if "/" in source else source)
    )
    for beta, seed in itertools.product(betas, range(seeds)):
        place = scratch / name / f"beta-{beta}_seed-{seed}" / "metrics.json"
        metrics = json.loads(place.read_text(encoding="utf-8"))
        for measure in ("rate_nats", "distortion_nats", "active_units", *SCORES):
            entry = metrics[measure]
            found.setdefault(measure, {}).setdefault(beta, []).append(entry["value"])
            for reference in entry.get("references", []) if measure in SCORES else []:
                key = f"{measure}: {reference['name']}"
                found.setdefault(key, {}).setdefault(beta, []).append(reference["value"])
    return found


def judge(result: Result, name: str, found: dict[str, dict[int, list[float]]]) -> None:
    """Rows of every beta, and of every beta against the first."""
    for measure in ("rate_nats", "distortion_nats", "active_units", *SCORES):
        for beta, values in found[measure].items():
            spread = mean_interval(values).within(0.0, 1.0 if measure in SCORES else math.inf)
            low, high = (None if math.isnan(end) else round_off(end) for end in (spread.low, spread.high))
            how = f"mean of {len(values)} seeds, {spread.how}"
            result.add(f"{name}, beta {beta}: {measure}", round_off(spread.value), "", low=low, high=high, how=how)
    first, *later = found["rate_nats"]
    steps = list(itertools.pairwise(found["rate_nats"]))
    for measure, sign in (("rate_nats", -1), ("distortion_nats", 1)):
        by_beta = found[measure]
        seeds = len(by_beta[first])
        kept = sum(all(sign * (by_beta[b][s] - by_beta[a][s]) > 0 for a, b in steps) for s in range(seeds))
        word = "falls" if sign < 0 else "rises"
        p = sign_test(by_beta[later[-1]], by_beta[first])
        how = f"of {seeds}; sign test of the largest beta against 1: p = {p:.3g}"
        result.add(f"{name}: seeds in which {measure} {word} at every step of beta", kept, "", f">= {seeds}", how=how)
    for measure in SCORES:
        for beta in later:
            pairs = [b - a for a, b in zip(found[measure][first], found[measure][beta], strict=True)]
            spread = mean_interval(pairs)
            low, high = (None if math.isnan(end) else round_off(end) for end in (spread.low, spread.high))
            p = sign_test(found[measure][beta], found[measure][first])
            how = f"paired over {len(pairs)} seeds, {spread.how}; sign test p = {p:.3g}"
            result.add(
                f"{name}: {measure}, beta {beta} - {first}", round_off(spread.value), "", low=low, high=high, how=how
            )


def sign_test(a: list[float], b: list[float]) -> float:
    """Two-sided p of as many signs of a - b, or more, being alike by chance; pairs that are equal say nothing."""
    signs: list[Any] = [x > y for x, y in zip(a, b, strict=True) if x != y]
    n, most = len(signs), max(sum(signs), len(signs) - sum(signs))
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(most, n + 1)) / 2**n) if n else 1.0
