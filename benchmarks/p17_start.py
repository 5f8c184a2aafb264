"""P17: how long `elboroom --help` and `elboroom models` take, from the shell's call to the prompt, and what they
import."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.recipe import Options, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "p17_start"
GOAL = "<= 0.5"
PROTOCOL = (
    "one call of each that is not counted, then 9 calls of each in turn; median wall time, with smallest and largest"
)
CALLS = {"--help": ["--help"], "models": ["models"], "models vae": ["models", "vae"]}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "two calls of each")
    seconds: dict[str, list[float]] = {name: [] for name in CALLS}
    for turn in range(3 if options.short else 10):
        for name, words in CALLS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "elboroom", *words], check=True, capture_output=True)
            if turn:
                seconds[name].append(time.perf_counter() - began)
    for name, times in seconds.items():
        how = f"median of {len(times)} calls, with smallest and largest"
        low, high = round_off(min(times)), round_off(max(times))
        result.add(f"elboroom {name}", round_off(statistics.median(times)), "s", GOAL, low=low, high=high, how=how)
        result.commands.append(f"elboroom {name}")
        result.details[name] = {"torch_imported": imports_torch(CALLS[name])}
    empty = [sys.executable, "-c", "pass"]
    began = time.perf_counter()
    subprocess.run(empty, check=True)
    result.details["an empty Python"] = {"seconds": round_off(time.perf_counter() - began)}
    return result


def imports_torch(words: list[str]) -> bool:
    """Whether the call imports torch, as Python's own list of imports says."""
    call = [sys.executable, "-X", "importtime", "-m", "elboroom", *words]
    listed = subprocess.run(call, check=True, capture_output=True, text=True).stderr
    return any(line.rpartition("|")[2].strip() == "torch" for line in listed.splitlines())
