"""C6: rows a second of a stream, told row by row and in blocks, and what the network's own products leave possible.

A made series of one channel, and one of ten: daily waves with noise. Every run is a forecaster with its defaults but
for what its row says, trained for a few steps, since the weights do not matter to the time. The stream judges, follows
level shifts and says how rare each row is, as `run.stream()` does by default.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import elboroom as elbo
from benchmarks.recipe import Options, round_off
from benchmarks.record import Result
from benchmarks.rounds import pinned
from elboroom.baselines.detection import BASELINES
from elboroom.nn.recurrent import Recurrent
from elboroom.nn.stepping import Steps

__all__ = ["run"]

NAME = "c6_stream"
GOAL = ">= 10000"
PROTOCOL = (
    "one process on one processor, one thread; a turn reads the next 500 rows (8,192 in blocks) and is timed by the "
    "wall clock; one turn that is not counted, then 15 turns (5 in blocks); median of rows a second, with quartiles"
)
ROWS, PERIOD = 60_000, 144
CELLS = ("rnn", "lstm", "peephole", "gru", "transformer")
BLOCKS = (16, 256, 4096)
TURN, LONG_TURN = 500, 8192


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "two turns of 100 rows, two cells, no blocks")
    folder = options.scratch(NAME)
    with pinned(0 if options.short else options.threads):
        for cell in CELLS[-2:] if options.short else CELLS:
            goal = GOAL if cell == "lstm" else ""
            _row_by_row(options, folder, result, f"{cell} of 64", goal, 1, cell=cell)
        if not options.short:
            _row_by_row(options, folder, result, "lstm of 32", GOAL, 1, hidden=32)
            _row_by_row(options, folder, result, "lstm of 64, 10 channels", "", 10)
            for channels in (1, 10):
                _in_blocks(options, folder, result, channels)
        _floors(options, result)
        _baselines(options, result)
    return result


def _row_by_row(
    options: Options, folder: Path, result: Result, what: str, goal: str, channels: int, **settings: Any
) -> None:
    x, made = series(channels), _made(options, folder, channels, settings)
    stream, at = made.stream(), 0

    def turn() -> int:
        nonlocal at
        rows = x[at : at + (100 if options.short else TURN)]
        for row in rows:
            stream.update(None, row)
        at += len(rows)
        return len(rows)

    _add(options, result, f"row by row: {what}", turn, 15, goal)


def _in_blocks(options: Options, folder: Path, result: Result, channels: int) -> None:
    x, made = series(channels), _made(options, folder, channels, {})
    for block in BLOCKS:
        stream, at = made.stream(), 0

        def turn(stream: Any = stream, block: int = block) -> int:
            nonlocal at
            for start in range(at, at + LONG_TURN, block):
                stream.update_many(None, x[start : start + block])
            at += LONG_TURN
            return LONG_TURN

        some = "" if channels == 1 else f", {channels} channels"
        _add(options, result, f"blocks of {block:,} rows: lstm of 64{some}", turn, 5, "")


def _floors(options: Options, result: Result) -> None:
    """One step of the default network and the head's means, for one row, and nothing else."""
    net, head = Recurrent(2, 64, cell="lstm").eval(), torch.nn.Linear(64, 8)
    steps, row = Steps(net), np.zeros(2, dtype=np.float32)
    weight = head.weight.detach().numpy()
    product, one = np.zeros((256, 66), dtype=np.float32), np.zeros(66, dtype=np.float32)
    x, state = torch.zeros(1, 1, 2), net.empty(1, torch.zeros(1))

    def by_numpy() -> object:
        return np.dot(weight, steps.step(row))

    def by_products() -> object:
        return np.dot(weight, np.dot(product, one)[:64])

    def by_torch() -> object:
        with torch.inference_mode():
            return head(net(x, state)[0])

    calls: dict[str, Callable[[], object]] = {
        "products of the lstm of 64 and its head": by_products,
        "lstm of 64 and its head in numpy": by_numpy,
        "lstm of 64 and its head in torch": by_torch,
    }
    for what, call in calls.items():

        def turn(call: Callable[[], object] = call) -> int:
            for _ in range(TURN):
                call()
            return TURN

        _add(options, result, f"floor, a row: {what}", turn, 15, "")


def _baselines(options: Options, result: Result) -> None:
    """A whole series at once, for none of them reads row by row."""
    x = series(1)[: 1_000 if options.short else LONG_TURN]
    for baseline in BASELINES:

        def turn(baseline: Any = baseline) -> int:
            baseline.score(x, len(x) // 2, period=PERIOD, seed=0)
            return len(x)

        _add(options, result, f"whole series of {len(x):,} rows: {baseline.title}", turn, 3, "")


def _add(options: Options, result: Result, what: str, turn: Callable[[], int], turns: int, goal: str) -> None:
    turn()
    found = []
    for _ in range(2 if options.short else turns):
        began = time.perf_counter()
        rows = turn()
        found.append(rows / (time.perf_counter() - began))
    low, middle, high = (round_off(value) for value in statistics.quantiles(found, n=4, method="inclusive"))
    how = f"median of {len(found)} turns, with quartiles"
    result.add(what, middle, "rows/s", goal, low=low, high=high, how=how)


def _made(options: Options, folder: Path, channels: int, settings: dict[str, Any]) -> Any:
    """A run, trained for a few steps."""
    data = folder / f"waves-{channels}.csv"
    rows = series(channels)[:6_000]
    np.savetxt(data, rows, fmt="%.5f", delimiter=",", header=",".join(f"s{c}" for c in range(channels)), comments="")
    name = "-".join(["run", str(channels), *(str(value) for value in settings.values())])
    return elbo.fit(
        "forecaster", data, run=folder / name, force=True, kind="series", period=PERIOD, train_until="4000",
        steps=5 if options.short else 40, threads=options.threads, **settings,
    )  # fmt: skip


def series(channels: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(ROWS, channels), the same at every call."""
    rng, at = np.random.default_rng(0), np.arange(ROWS)[:, None]
    return np.sin(2 * np.pi * at / PERIOD + np.arange(channels)) + rng.normal(size=(ROWS, channels)) / 10
