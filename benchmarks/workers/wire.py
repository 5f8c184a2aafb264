"""What a worker and the benchmark that drives it say to each other: a line in, one JSON line out.

A worker is one contestant in a process of its own, in an environment of its own. It says `ready`, then waits: for
each line it reads it trains one turn (a fixed number of epochs) and answers with the seconds it took, so the
contestants take turns on the same processors and none of them runs beside another. Once all have had their last turn
it is asked, by one more line, what its model is worth on the held-out part. Only the standard library and numpy are
imported here, because each peer's environment is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Wire", "column_normalised", "connect"]


@dataclass
class Wire:
    """The connection and what was asked for."""

    args: argparse.Namespace
    train: np.ndarray[Any, Any]
    """(n, height, width) uint8: every row is trained on."""
    test: np.ndarray[Any, Any]
    """(m, height, width) uint8: held out."""
    out: Any
    started: float

    def ready(self, **words: Any) -> None:
        """Say that the first turn may begin; `words` go into the result (versions, parameters, what was set)."""
        self._say({"ready": True, "setup_s": time.perf_counter() - self.started, **words})

    def wait(self) -> None:
        """Block until the benchmark gives this worker its turn."""
        if not sys.stdin.readline():
            sys.exit(0)

    def turns(self) -> Iterator[int]:
        """The turns in order; each begins when the benchmark says so, and so does what follows the last."""
        for turn in range(self.args.turns):
            self.wait()
            yield turn
        self.wait()

    def took(self, seconds: float, examples: int, **words: Any) -> None:
        """Report one turn: the seconds of training alone and the examples trained on."""
        self._say({"seconds": seconds, "examples": examples, **words})

    def finish(self, **measures: float) -> None:
        """Report what the trained model is worth on the held-out part, then end."""
        self._say({"finished": True, **measures})

    def _say(self, words: dict[str, Any]) -> None:
        self.out.write(json.dumps(words) + "\n")
        self.out.flush()


def connect(**extra: str) -> Wire:
    """Read the arguments common to all workers (and `extra` ones, name -> default) and the data.

    Standard output is kept for the answers: whatever a library prints there goes to standard error.
    """
    started = time.perf_counter()
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="folder with train.npy and test.npy")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--turn-epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    for name, default in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), default=default)
    args = parser.parse_args()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return Wire(args, np.load(args.data / "train.npy"), np.load(args.data / "test.npy"), out, started)


def column_normalised(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(n, height, width) float32: each column x[:, j] of one image over its own L2 norm; an empty column stays 0."""
    x = images.astype(np.float32)
    norm = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / np.where(norm == 0, 1, norm)
