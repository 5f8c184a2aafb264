"""P5: all disentanglement scores of 100,000 codes against the loops of the published protocol.

Ten codes of six factors (4, 5, 5, 10, 10, 10), every combination once: eight mix a factor with noise or with another
factor, two are noise. The peer is `disentanglement_loops.py`. DCI is compared twice: with bagged trees, which is our
own choice and another number than the boosted one, and boosted as published, where both sides run the same library.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.disentanglement_loops import Loops
from benchmarks.recipe import Options, round_off
from benchmarks.record import Result, median_of_ratios
from benchmarks.rounds import pinned
from elboroom.metrics.disentanglement import dci, mig, sap
from elboroom.metrics.factor_votes import beta_vae_score, factor_vae_score

__all__ = ["run"]

NAME = "p5_disentanglement"
GOAL = "<= 0.05"
SIZES, SHORT = (4, 5, 5, 10, 10, 10), (3, 4, 5)
TURNS = 3
PROTOCOL = (
    "one process on one processor, one thread; both sides have the ready codes. MIG from 10,000 points (peer) and from "
    "all 100,000 (ours); DCI and SAP fitted on 10,000 rows, judged by 5,000; FactorVAE and BetaVAE score from 10,000 "
    "and 5,000 votes of 64; ours without intervals, as the peer has none. 3 turns, peer and ours side by side, of all "
    "but DCI, which has one; medians of the ratios, with quartiles; all scores: sums of medians"
)
Codes = np.ndarray[Any, Any]


def codes_of(sizes: tuple[int, ...], width: int = 10) -> tuple[Codes, Codes]:
    """(codes, factors) of every combination."""
    rng = np.random.default_rng(0)
    v = np.stack(np.unravel_index(np.arange(math.prod(sizes)), sizes), 1)
    z = rng.standard_normal((len(v), width))
    for i in range(width - 2):
        z[:, i] += 2 * v[:, i % len(sizes)] + (v[:, (i + 1) % len(sizes)] if i >= len(sizes) else 0)
    return z, v


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "60 codes of three factors, 300 rows and votes")
    sizes = SHORT if options.short else SIZES
    z, v = codes_of(sizes)
    for part in ("ensemble", "linear_model", "metrics", "svm"):  # nobody's time
        importlib.import_module(f"sklearn.{part}")
    less: dict[str, int] = {"train": 200, "test": 100} if options.short else {}
    votes = {"train": 200, "judge": 100} if options.short else {}
    peer = Loops(z, sizes)
    result.data = {"codes": list(z.shape), "factors": list(sizes)}
    result.commands.append(f"python -m benchmarks {NAME}")
    pairs: dict[str, tuple[Callable[[], float], Callable[[], float], int]] = {
        "mig": (lambda: peer.mig(sum(less.values()) or 10_000), lambda: mig(z, v, draws=0).score.value, TURNS),
        "sap": (lambda: peer.sap(**less), lambda: sap(z, v, draws=0, **less).score.value, TURNS),
        "factor_vae_score": (
            lambda: peer.factor_vae_score(**less), lambda: factor_vae_score(z, v, **votes).score.value, TURNS,
        ),
        "beta_vae_score": (
            lambda: peer.beta_vae_score(**less), lambda: beta_vae_score(z, v, **votes).score.value, TURNS,
        ),
        "dci": (lambda: peer.dci(**less), lambda: dci(z, v, repeats=1, **less).disentanglement.value, 1),
        "dci, boosted": (
            lambda: math.nan, lambda: dci(z, v, trees="boosted", repeats=1, **less).disentanglement.value, 1,
        ),
    }  # fmt: skip
    took: dict[str, tuple[list[float], list[float]]] = {}
    with pinned(0 if options.short else 1):
        for name, (theirs, ours, turns) in pairs.items():
            took[name] = compare(result, name, theirs, ours, 1 if options.short else turns)
    totals(result, took)
    return result


def compare(
    result: Result, name: str, theirs: Callable[[], float], ours: Callable[[], float], turns: int
) -> tuple[list[float], list[float]]:
    """Seconds of both, a turn after the other, and rows of the ratio and of the difference of the scores."""
    seconds: tuple[list[float], list[float]] = ([], [])
    scores = [math.nan, math.nan]
    for _ in range(turns):
        for side, score in enumerate((theirs, ours)):
            began = time.perf_counter()
            scores[side] = score()
            seconds[side].append(time.perf_counter() - began)
    result.details[name] = {"loops": scores[0] if math.isfinite(scores[0]) else None, "elboroom": scores[1]}
    result.details[name]["seconds"] = {
        k: list(map(round_off, s)) for k, s in zip(("loops", "elboroom"), seconds, strict=True)
    }
    if math.isfinite(scores[0]):
        middle, low, high = median_of_ratios(seconds[1], seconds[0])
        how = f"median of {turns} ratios, with quartiles" if turns > 1 else "one turn each"
        result.add(f"{name}: seconds, elboroom / loops", round_off(middle), "x", low=low, high=high, how=how)
        told = "other trees: another score" if name == "dci" else "each side has drawn rows of its own"
        result.add(f"{name}: score, elboroom - loops", round_off(scores[1] - scores[0]), "", how=told)
    return seconds


def totals(result: Result, took: dict[str, tuple[list[float], list[float]]]) -> None:
    """All scores together, DCI with either trees."""
    median = {name: tuple(float(np.median(side)) for side in sides) for name, sides in took.items()}
    plain = [name for name in median if not name.startswith("dci")]
    loops = sum(median[name][0] for name in (*plain, "dci"))
    for name, told, goal in (("dci", "bagged", GOAL), ("dci, boosted", "boosted", "")):
        mine = sum(median[one][1] for one in (*plain, name))
        result.add(
            f"all scores, DCI {told}: elboroom / loops", round_off(mine / loops), "x", goal, how="sums of medians"
        )
    without = [sum(median[name][side] for name in plain) for side in (1, 0)]
    result.add("all scores but DCI: elboroom / loops", round_off(without[0] / without[1]), "x", how="sums of medians")
    result.add("all scores: loops", round_off(loops), "s")
