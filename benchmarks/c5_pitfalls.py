"""C5: five pitfalls of recurrent nets, each shown red on a run built to fail and green on the mended one.

A pair differs in what its pitfall is about and in nothing else that matters: the start of the weights, clipping,
dropout and length, the window, the series itself. What counts is the level that `elboroom diagnose` gives.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recipe import Options, elboroom, fit, round_off
from benchmarks.record import Result

__all__ = ["MODELS", "PAIRS", "Pair", "finding", "prepare", "run"]

NAME = "c5_pitfalls"
MODELS = Path(__file__).parent / "models"
PROTOCOL = (
    "five pairs of `elboroom fit` and `elboroom diagnose` on made-up data (numpy's generator 0), one seed each; red: "
    "the light named is warn or alarm; green: the same light is ok; thresholds are those of elboroom.checks"
)
Array = NDArray[Any]
LAG, PERIOD = 40, 24


@dataclass(frozen=True)
class Pair:
    """Two runs that one light must tell apart."""

    light: str
    what: str
    red: tuple[object, ...]
    green: tuple[object, ...]
    """Model, data and flags of `elboroom fit`."""


MEMORY = ("memory_net", "lag.npz", "--kind", "sequences", "--models", "models", "--epochs", 20)
FEW = ("classifier", "few.npz", "--kind", "sequences", "--split", "60,100,100", "--noise", 0)
PULSES = ("forecaster", "pulses.csv", "--kind", "series", "--period", PERIOD, "--horizon", 6, "--batch-size", 16)
LEVEL = ("--kind", "series", "--window", 48, "--epochs", 5)

PAIRS = (
    Pair(
        "vanishing_gradients",
        "the class is told 40 steps before the end: recurrent matrix 0.3 times orthogonal; LSTM, chrono start",
        (*MEMORY, "--cell", "rnn", "--gain", 0.3),
        (*MEMORY, "--cell", "lstm", "--chrono", LAG, "--lr", 1e-2, "--clip", 1),
    ),
    Pair(
        "exploding_gradients",
        "the same: recurrent matrix 4 times orthogonal, no clipping; orthogonal, clipped",
        (*MEMORY, "--cell", "rnn", "--gain", 4),
        (*MEMORY, "--cell", "rnn", "--gain", 1, "--clip", 1),
    ),
    Pair(
        "overfitting",
        "60 noisy sequences: 64 units, no dropout, 40 epochs; 32 units, dropout 0.5, 20 epochs",
        (*FEW, "--hidden", 64, "--dropout", 0, "--epochs", 40),
        (*FEW, "--hidden", 32, "--dropout", 0.5, "--epochs", 20),
    ),
    Pair(
        "short_memory",
        "a pulse every 24 rows: windows of 12 rows; of 96",
        (*PULSES, "--window", 12, "--epochs", 10),
        (*PULSES, "--window", 96, "--epochs", 60, "--lr", 1e-2),
    ),
    Pair(
        "nonstationary",
        "a season on a rising line with a jump; its differences from row to row",
        ("forecaster", "rising.csv", *LEVEL),
        ("forecaster", "differences.csv", *LEVEL),
    ),
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "one pair, the cheapest")
    folder = prepare(options.scratch(NAME) / "data")
    result.data = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.*"))}
    for pair in PAIRS[-1:] if options.short else PAIRS:
        for color, words in (("red", pair.red), ("green", pair.green)):
            name = f"{pair.light}-{color}"
            command, document = fit(options, folder, [*words, "--run", name, "--force"])
            again, answer = elboroom(options, folder, ["diagnose", name])
            result.commands += [command, again]
            found = finding(answer["findings"], pair.light)
            shown = found["level"] != "ok" if color == "red" else found["level"] == "ok"
            bar = f"threshold {found['threshold']:.4g}; " if found["threshold"] is not None else ""
            result.add(f"{pair.light}, {color}: its number", number(found["value"]), "", how=f"{bar}{found['why']}")
            result.add(f"{pair.light}: {color} run is shown {color}", float(shown), "", ">= 1", how=pair.what)
            result.details[name] = {
                "findings": answer["findings"],
                "metrics": {k: round_off(m["value"]) for k, m in document["metrics"].items() if m["value"] is not None},
            }
    return result


def number(value: float | None) -> float | None:
    return None if value is None else round_off(value)


def finding(found: list[dict[str, Any]], light: str) -> dict[str, Any]:
    """The finding of that name."""
    return next(one for one in found if one["name"] == light)


# -- data --------------------------------------------------------------------------------------------------------------


def prepare(folder: Path) -> Path:
    """The folder with all data of the pairs and the model file that two of them name."""
    folder.mkdir(parents=True, exist_ok=True)
    sequences(folder / "lag.npz", *told_early(400, LAG))
    sequences(folder / "few.npz", *noisy_waves(260, 20))
    series(folder / "pulses.csv", pulses(2400))
    risen = rising(1500)
    series(folder / "rising.csv", risen)
    series(folder / "differences.csv", np.diff(risen))
    shutil.copytree(MODELS, folder / "models", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def told_early(n: int, steps: int) -> tuple[Array, Array]:
    """(n, steps, 2): noise, but for the first step: its sign is the class; the second channel marks it."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    x = np.zeros((n, steps, 2))
    x[:, :, 0] = rng.normal(size=(n, steps))
    x[:, 0] = np.stack([2.0 * label - 1, np.ones(n)], axis=1)
    return x, label


def noisy_waves(n: int, steps: int) -> tuple[Array, Array]:
    """(n, steps, 3): a slow or a quick wave under noise of its own size, and two channels of noise alone."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    x = rng.normal(size=(n, steps, 3))
    wave = np.sin(np.where(label, 0.9, 0.4)[:, None] * np.arange(steps) + rng.uniform(0, 6.28, (n, 1)))
    x[:, :, 0] += 1.4 * wave
    return x, label


def pulses(rows: int) -> Array:
    """Rest, and every PERIOD rows a pulse of two: what the last rows were does not tell when the next one comes."""
    at = np.arange(rows) % PERIOD
    out: Array = np.where(at < 2, 3.0, 0.0) + 0.3 * np.random.default_rng(0).normal(size=rows)
    return out


def rising(rows: int) -> Array:
    """A season on a line, with a jump before the last tenth."""
    at = np.arange(rows)
    noise = 0.3 * np.random.default_rng(0).normal(size=rows)
    out: Array = 0.01 * at + np.sin(2 * np.pi * at / PERIOD) + 4.0 * (at > 0.88 * rows) + noise
    return out


def sequences(path: Path, x: Array, label: Array) -> None:
    np.savez(path, x=x.reshape(-1, x.shape[2]), lengths=np.full(len(x), x.shape[1]), y=label)


def series(path: Path, values: Array) -> None:
    path.write_text("value\n" + "\n".join(f"{v:.6g}" for v in values) + "\n", encoding="utf-8")
