"""C3: labels that lie in the future of each step: who reads both ways finds them, who reads one way is at chance.

The drawn set `future`: values are independent, the label of step t is the sign of the sum of the three steps after it,
5 % of them turned over. Given x[1..t] the label is a fair coin, so no net of one direction can do better than 1/2; with
all of x it can be right 95 % of the time. In the control the three steps lie before t, and both can.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.recipe import Options, fit, history, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "c3_future"
SEEDS = 5
STEPS = 600
NETS: dict[str, tuple[object, ...]] = {
    "LSTM, both ways": ("--cell", "lstm", "--hidden", 32),
    "LSTM, one way": ("--cell", "lstm", "--hidden", 46, "--no-bidirectional"),
    "transformer, both ways": ("--cell", "transformer", "--hidden", 32),
    "transformer, one way": ("--cell", "transformer", "--hidden", 32, "--no-bidirectional"),
}
SETS = {"the label lies ahead": "future", "control, it lies behind": "future:ahead=-3"}
BEST = 0.95
"""1 - noise."""
PROTOCOL = (
    f"elboroom fit classifier future --target step --noise 0, {STEPS} steps of 16 sequences, 800 training and 400 test "
    f"sequences of 20 to 40 steps, the set's own; {SEEDS} seeds; share of test steps named right: mean of the seeds, "
    "with the ends of the widest 95 % intervals of the single runs, over sequences; largest class and ridge on the "
    "four steps on either side: the same test steps"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "60 sequences, two nets, 10 steps, 1 seed")
    folder = options.scratch(NAME)
    result.data = {"sets": list(SETS.values()), "origin": "drawn by elboroom, numpy's generator 0"}
    for title, name in SETS.items():
        source = f"{name}{',' if ':' in name else ':'}sequences=60" if options.short else name
        beside: dict[str, dict[str, Any]] = {}
        for net, settings in list(NETS.items())[: 2 if options.short else None]:
            runs = []
            for seed in range(1 if options.short else SEEDS):
                place = f"{name.partition(':')[2] or 'ahead'}-{net}-{seed}".replace(", ", "-").replace(" ", "-")
                steps = 10 if options.short else STEPS
                call = ["classifier", source, "--target", "step", "--noise", 0, "--split", "1,0,1", *settings]
                command, document = fit(
                    options, folder, [*call, "--steps", steps, "--seed", seed, "--run", place, "--force"]
                )
                result.commands.append(command)
                found = document["metrics"]["accuracy"]
                beside |= {r["name"]: r for r in found["references"]}
                runs.append({**{k: round_off(found[k]) for k in ("value", "low", "high")}, "seed": seed})
                runs[-1]["training_s"] = history(folder / place)[-1]["time_s"]
            add(result, f"{title}: {net}", runs, goal(title, net))
            result.details.setdefault(title, {})[net] = runs
        for rival, found in beside.items():
            add(result, f"{title}: {rival}", [found], "")
    return result


def goal(title: str, net: str) -> str:
    """What theory says: chance where the label cannot be known, close to 1 - noise where it can."""
    return "0.5 +- 0.02" if "ahead" in title and "one way" in net else f">= {BEST - 0.02:g}"


def add(result: Result, measure: str, runs: list[dict[str, Any]], goal: str) -> None:
    low, high = min(r["low"] for r in runs), max(r["high"] for r in runs)
    value = statistics.mean(r["value"] for r in runs)
    how = f"mean of {len(runs)} runs; widest of their 95 % intervals" if len(runs) > 1 else "one run, 95 % interval"
    result.add(measure, round_off(value), "share of steps", goal, low=round_off(low), high=round_off(high), how=how)
